package web_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stanch-dlp/stanch/internal/web"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPages(t *testing.T) {
	t.Parallel()
	a, err := web.NewAssets(fstest.MapFS{"own.js": {Data: []byte("1")}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := web.NewPages(fstest.MapFS{
		"_layout.html": {Data: []byte(`{{define "top"}}<link href="{{asset "stanch.css"}}">{{icon "mail"}}{{end}}`)},
		"a.html":       {Data: []byte(`{{template "top"}}<p>{{.}}</p>`)},
		"bad.html":     {Data: []byte(`so far{{icon "nosuch"}}`)},
	}, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.Render(w, http.StatusOK, "a", "<script>"); err != nil {
		t.Fatal(err)
	}
	url, err := a.URL("stanch.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{url, "&lt;script&gt;", "#mail"} {
		if got := w.Body.String(); !strings.Contains(got, want) {
			t.Errorf("page lacks %q: %s", want, got)
		}
	}
	w = httptest.NewRecorder()
	if err := p.Render(w, http.StatusOK, "bad", nil); err == nil || w.Body.Len() > 0 {
		t.Errorf("a page that fails: error %v and %d bytes, want an error and none", err, w.Body.Len())
	}
	for path, status := range map[string]int{url: http.StatusOK, "/assets/stanch.css": http.StatusNotFound, "/assets/": http.StatusNotFound} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status {
			t.Errorf("GET %s: %d, want %d", path, w.Code, status)
		}
	}
	if _, err := web.NewAssets(fstest.MapFS{"stanch.css": {}}); err == nil {
		t.Error("an asset of a name that is taken was accepted")
	}
	if _, err := web.NewAssets(fstest.MapFS{"x.html": {}}); err == nil {
		t.Error("an asset of a foreign type was accepted")
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	h := web.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("patient")
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}
	}), 8, quiet())
	for name, c := range map[string]struct {
		method, path, site, body string
		want                     int
	}{
		"get from anywhere":    {http.MethodGet, "/", "cross-site", "", http.StatusOK},
		"post from here":       {http.MethodPost, "/", "same-origin", "12345678", http.StatusOK},
		"post from elsewhere":  {http.MethodPost, "/", "cross-site", "", http.StatusForbidden},
		"post from a sister":   {http.MethodPost, "/", "same-site", "", http.StatusForbidden},
		"post of a large body": {http.MethodPost, "/", "same-origin", "123456789", http.StatusRequestEntityTooLarge},
		"a page that panics":   {http.MethodGet, "/panic", "", "", http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Sec-Fetch-Site", c.site)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%d, want %d", w.Code, c.want)
			}
			if strings.Contains(w.Body.String(), "patient") {
				t.Error("the answer quotes the panic")
			}
			if got := w.Header().Get("Content-Security-Policy"); got != web.Policy || strings.Contains(got, "unsafe") {
				t.Errorf("policy %q", got)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q, want no-store", got)
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := web.NewLimiter(3, time.Minute, func() time.Time { return now })
	for i := range 3 {
		if _, ok := l.Allow("a"); !ok {
			t.Fatalf("attempt %d was refused", i)
		}
	}
	if wait, ok := l.Allow("a"); ok || wait != time.Minute {
		t.Fatalf("the fourth: %v, %v, want refused for a minute", wait, ok)
	}
	if _, ok := l.Allow("b"); !ok {
		t.Error("another key waits for the first")
	}
	l.Refund("a")
	if _, ok := l.Allow("a"); !ok {
		t.Error("what was refunded counts")
	}
	now = now.Add(time.Minute)
	if _, ok := l.Allow("a"); !ok {
		t.Error("refused after the wait")
	}
	for i := range 3000 { // the others neither make it forget nor block every newcomer
		l.Allow(strings.Repeat("x", i+1))
	}
	if _, ok := l.Allow("a"); ok {
		t.Error("a flood of keys made it forget")
	}
}

func TestClientKey(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1:99": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "@": "",
	} {
		if got := web.ClientKey(&http.Request{RemoteAddr: addr}); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

func TestServeStops(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, end := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- web.Serve(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-end
			_, _ = io.WriteString(w, "whole")
		}), time.Minute)
	}()
	answered := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answered <- string(b)
	}()
	<-begun
	stop()
	close(end)
	if got := <-answered; got != "whole" {
		t.Errorf("the request in hand: %q, want it whole", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
