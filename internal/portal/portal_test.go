package portal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/portal"
)

// desk knows one parcel, and counts what is asked of it.
type desk struct {
	id    dlp.ID
	also  dlp.ID // another
	asked int
}

func (d *desk) PickupOf(_ context.Context, id dlp.ID) (pickup.Parcel, error) {
	if id != d.id && (id != d.also || id == "") {
		return pickup.Parcel{}, pickup.ErrEnded
	}
	return pickup.Parcel{ID: id, State: pickup.Waiting, Expires: time.Now().Add(time.Hour), Known: pickup.Known{To: dlp.Address{Local: "sam", Domain: "partner.example"}}}, nil
}
func (d *desk) SendPickupCode(ctx context.Context, id dlp.ID, _ bool) (pickup.Parcel, error) {
	d.asked++
	return d.PickupOf(ctx, id)
}
func (d *desk) OpenPickup(ctx context.Context, id dlp.ID, _ string) (pickup.Parcel, int, error) {
	d.asked++
	p, err := d.PickupOf(ctx, id)
	return p, 4, err
}
func (d *desk) PickupContent(context.Context, dlp.ID) (io.ReadCloser, int64, error) {
	d.asked++
	return io.NopCloser(strings.NewReader("sealed")), 6, nil
}
func (d *desk) ReplyPickup(context.Context, dlp.ID, pickup.Reply) error {
	d.asked++
	return gateway.ErrNotSent
}
func (d *desk) Texts() bool { return true }

func pages(t *testing.T, d *desk, log io.Writer, now func() time.Time) *httptest.Server {
	t.Helper()
	cfg := pickup.Default()
	cfg.Listen, cfg.URL, cfg.Site, cfg.Contact = "127.0.0.1:0", "http://127.0.0.1/", "Harbor <b>Vale</b>", "555-0142"
	cfg.Proxies = []string{"127.0.0.0/8"}
	buffers, err := buffer.NewPool(buffer.Config{MemoryEach: 1 << 20, MemoryAll: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	h, err := portal.New(cfg, d, buffers, slog.New(slog.NewTextHandler(log, nil)), now)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func TestPages(t *testing.T) {
	d, log := &desk{id: dlp.NewID()}, &bytes.Buffer{}
	srv := pages(t, d, log, time.Now)
	for _, x := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/p/" + string(d.id), 200, `id="send-text"`},
		{"HEAD", "/p/" + string(d.id), 200, ""},
		{"GET", "/p/" + string(dlp.NewID()), 404, "Harbor &lt;b&gt;Vale&lt;/b&gt;, 555-0142"},
		{"GET", "/p/../../etc/passwd", 404, "cannot be opened"},
		{"GET", "/", 404, "cannot be opened"},
		{"GET", "/p/" + string(d.id) + "/code", 404, ""},
		{"GET", "/p/" + string(d.id) + "/open", 404, ""},
		{"GET", "/p/" + string(d.id) + "/content", 401, ""},
		{"POST", "/p/" + string(d.id), 404, ""},
		{"POST", "/p/" + string(d.id) + "/reply", 401, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), x.method, srv.URL+x.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != x.status || !strings.Contains(string(b), x.has) {
			t.Errorf("%s %s: %d, %v, want %d and %q in\n%s", x.method, x.path, res.StatusCode, err, x.status, x.has, b)
		}
	}
	if d.asked != 0 {
		t.Errorf("the desk was asked %d times by who only looked", d.asked)
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log)
	}
}

// TestNothingBesides: the page's script asks its own server and nobody else's, and
// nothing else runs or is loaded.
func TestNothingBesides(t *testing.T) {
	d := &desk{id: dlp.NewID()}
	srv := pages(t, d, io.Discard, time.Now)
	for _, path := range []string{"/p/" + string(d.id), "/p/" + string(dlp.NewID()), "/p/" + string(d.id) + "/content"} {
		res, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		const want = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
		if got := res.Header.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestCodeOpensForHalfAnHour: who entered a code reads on for half an hour, that message
// alone, and the address that the code went to is shown as its owner knows it again.
func TestCodeOpensForHalfAnHour(t *testing.T) {
	d := &desk{id: dlp.NewID(), also: dlp.NewID()}
	var late atomic.Int64
	srv := pages(t, d, io.Discard, func() time.Time { return time.Now().Add(time.Duration(late.Load())) })
	ask := func(method, path, token, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/p/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if _, said := ask("POST", string(d.id)+"/code", "", "{}"); said != `{"to":"s•••••@p•••••.example"}`+"\n" {
		t.Errorf("the code went to %s", said)
	}
	_, said := ask("POST", string(d.id)+"/open", "", `{"code":"123456"}`)
	var open struct{ Token string }
	if err := json.Unmarshal([]byte(said), &open); err != nil || open.Token == "" {
		t.Fatalf("%s, %v", said, err)
	}
	for _, x := range []struct {
		after  time.Duration
		id     dlp.ID
		status int
	}{{0, d.id, http.StatusOK}, {0, d.also, http.StatusUnauthorized}, {29 * time.Minute, d.id, http.StatusOK}, {31 * time.Minute, d.id, http.StatusUnauthorized}} {
		late.Store(int64(x.after))
		if got, _ := ask("GET", string(x.id)+"/content", open.Token, ""); got != x.status {
			t.Errorf("after %v: %d, want %d", x.after, got, x.status)
		}
	}
}

// TestOverTLS: who was once on a page that is reached by TLS comes back by no other way.
func TestOverTLS(t *testing.T) {
	for url, want := range map[string]bool{"https://pickup.clinic.example": true, "http://127.0.0.1/": false} {
		cfg := pickup.Default()
		cfg.Listen, cfg.URL, cfg.Site, cfg.Contact = "127.0.0.1:0", url, "Harbor Vale", "555-0142"
		h, err := portal.New(cfg, &desk{id: dlp.NewID()}, nil, slog.New(slog.DiscardHandler), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

// TestLimits: one address is made to wait, and who comes through a proxy has the
// address that the proxy names, which nobody can name instead.
func TestLimits(t *testing.T) {
	d, now := &desk{id: dlp.NewID()}, time.Now()
	srv := pages(t, d, io.Discard, func() time.Time { return now }) // which stands still: no wait is over meanwhile
	post := func(from string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/p/"+string(d.id)+"/open", strings.NewReader(`{"code":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", from)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	waits := 0
	for range 100 {
		if post("203.0.113.9, 198.51.100.7") == http.StatusTooManyRequests {
			waits++
		}
	}
	if waits == 0 || waits == 100 {
		t.Errorf("%d of 100 were made to wait", waits)
	}
	if got := post("203.0.113.10, 198.51.100.7"); got != http.StatusTooManyRequests {
		t.Errorf("what a client says of itself counts: %d", got)
	}
	if got := post("198.51.100.8"); got != http.StatusOK {
		t.Errorf("another client: %d", got)
	}
}

// TestOneReplyOfAMessage: an answer that does not end keeps its own reader waiting,
// and nobody else.
func TestOneReplyOfAMessage(t *testing.T) {
	d := &desk{id: dlp.NewID(), also: dlp.NewID()}
	srv := pages(t, d, io.Discard, time.Now)
	var asked atomic.Int64
	browser := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Hour}}
	t.Cleanup(browser.CloseIdleConnections)
	post := func(id dlp.ID, what, token string, body io.Reader) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/p/"+string(id)+"/"+what, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", asked.Add(1)%250)) // or the limit by address is met
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if _, waits := body.(*io.PipeReader); waits {
			req.Header.Set("Expect", "100-continue") // nothing of the body goes before it is read
		}
		return browser.Do(req)
	}
	enter := func(id dlp.ID) (token string) {
		res, err := post(id, "open", "", strings.NewReader(`{"code":"123456"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var said struct{ Token string }
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil || said.Token == "" {
			t.Fatalf("%+v, %v", said, err)
		}
		return said.Token
	}
	first, other := enter(d.id), enter(d.also)
	word := func(res *http.Response, err error) string {
		if err != nil {
			t.Error(err)
			return ""
		}
		defer res.Body.Close()
		var said struct{ Error string }
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		return said.Error
	}
	reply := func(id dlp.ID, token string) string {
		return word(post(id, "reply", token, strings.NewReader("--x--")))
	}
	in, out := io.Pipe()
	ended := make(chan string, 1)
	go func() { ended <- word(post(d.id, "reply", first, in)) }()
	if _, err := io.WriteString(out, "before the first part\r\n"); err != nil { // it is read
		t.Fatal(err)
	}
	if got := reply(d.id, first); got != "wait" {
		t.Errorf("a second answer to the message is read beside the first: %q", got)
	}
	if got := reply(d.also, other); got != "failed" { // the desk takes none
		t.Errorf("an answer to another message: %q", got)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got != "failed" {
		t.Errorf("the first: %q", got)
	}
	if got := reply(d.id, first); got != "failed" {
		t.Errorf("after it: %q", got)
	}
	const file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n"
	for files, want := range map[int]int{20: http.StatusServiceUnavailable, 21: http.StatusBadRequest} { // the desk takes none
		res, err := post(d.id, "reply", first, strings.NewReader(strings.Repeat(file, files)+"--x--"))
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != want {
			t.Errorf("%d files: %d, want %d", files, res.StatusCode, want)
		}
	}
}
