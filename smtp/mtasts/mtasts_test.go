package mtasts_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/smtp/mtasts"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       mtasts.Policy
		ok         bool
	}{
		{"as in RFC 8461 3.2", "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n",
			mtasts.Policy{Mode: "enforce", MX: []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, Fetched: now, Expires: now.Add(7 * 24 * time.Hour)}, true},
		{"CRLF, no line end at the end, an extension, tabs", "version:\tSTSv1\r\nmode: testing \r\nfuture: yes: no\r\nmx:Mail.Example.com\r\nmax_age: 600",
			mtasts.Policy{Mode: "testing", MX: []string{"mail.example.com"}, Fetched: now, Expires: now.Add(600 * time.Second)}, true},
		{"none without servers", "version: STSv1\nmode: none\nmax_age: 86400\n", mtasts.Policy{Mode: "none", Fetched: now, Expires: now.Add(24 * time.Hour)}, true},
		{"the first of two modes", "version: STSv1\nmode: enforce\nmode: none\nmx: a.b\nmax_age: 86400\n",
			mtasts.Policy{Mode: "enforce", MX: []string{"a.b"}, Fetched: now, Expires: now.Add(24 * time.Hour)}, true},
		{"longer than a year", "version: STSv1\nmode: none\nmax_age: 9999999999\n", mtasts.Policy{Mode: "none", Fetched: now, Expires: now.Add(31557600 * time.Second)}, true},
		{"no time at all is five minutes", "version: STSv1\nmode: none\nmax_age: 0\n", mtasts.Policy{Mode: "none", Fetched: now, Expires: now.Add(5 * time.Minute)}, true},
		{"nothing", "", mtasts.Policy{}, false},
		{"another version", "version: STSv2\nmode: none\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"no version", "mode: none\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"no mode", "version: STSv1\nmx: a.b\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"unknown mode", "version: STSv1\nmode: Enforce\nmx: a.b\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"no age", "version: STSv1\nmode: enforce\nmx: a.b\n", mtasts.Policy{}, false},
		{"a negative age", "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: -1\n", mtasts.Policy{}, false},
		{"an endless age", "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 99999999999\n", mtasts.Policy{}, false},
		{"enforce without servers", "version: STSv1\nmode: enforce\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"a star inside", "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"a star alone", "version: STSv1\nmode: enforce\nmx: *\nmax_age: 86400\n", mtasts.Policy{}, false},
		{"no colon", "version: STSv1\nmode: none\nmax_age: 1\nhello\n", mtasts.Policy{}, false},
		{"too many servers", "version: STSv1\nmode: enforce\n" + strings.Repeat("mx: a.b\n", 1000) + "max_age: 1\n", mtasts.Policy{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := mtasts.Parse(tc.text, now)
			if (err == nil) != tc.ok || err == nil && !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

// FuzzParse: whatever a policy host serves, what comes of it can be applied.
func FuzzParse(f *testing.F) {
	f.Add("version: STSv1\nmode: enforce\nmx: *.example.net\nmax_age: 604800\n")
	f.Add("version: STSv1\r\nmode: none\r\nmax_age: 0")
	f.Add("mx: \nmx:*.\nversion:")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := mtasts.Parse(text, now)
		if err != nil {
			return
		}
		if p.Expires.Before(now) || p.Expires.After(now.Add(366*24*time.Hour)) {
			t.Errorf("ends at %v", p.Expires)
		}
		if p.Mode != mtasts.None && len(p.MX) == 0 || p.Fits("") {
			t.Errorf("got %+v", p)
		}
		for _, m := range p.MX {
			if host := strings.Replace(m, "*", "x", 1); !p.Fits(host) {
				t.Errorf("%q does not fit its own pattern %q", host, m)
			}
		}
	})
}

// keys seal as a test can see through.
type keys struct{}

func (keys) Seal(ad string, b []byte) ([]byte, error) { return append([]byte(ad+"|"), flip(b)...), nil }
func (keys) Open(ad string, b []byte) ([]byte, error) {
	b, ok := bytes.CutPrefix(b, []byte(ad+"|"))
	if !ok {
		return nil, errors.New("not sealed here")
	}
	return flip(b), nil
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0xff
	}
	return out
}

// world is DNS, a policy host and a clock.
type world struct {
	mu     sync.Mutex // guards below
	txt    string     // "" for none
	broken bool       // DNS and policy host
	down   bool       // the policy host alone
	policy string
	asked  int
	now    time.Time
}

func (w *world) options(t *testing.T, file string) mtasts.Options {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked++
		if w.broken || w.down {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "text/plain")
		io.WriteString(rw, w.policy)
	}))
	t.Cleanup(s.Close)
	// httptest's certificate is for example.com, which serves for mta-sts too.
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return mtasts.Options{
		TXT: func(_ context.Context, name string) ([]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.broken {
				return nil, errors.New("no answer")
			}
			if name != "_mta-sts.example.com" || w.txt == "" {
				return nil, nil
			}
			return []string{"v=spf1 -all", w.txt}, nil
		},
		File: file, Keys: keys{}, Roots: pool,
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// TestStore: a policy once had holds until it runs out, also over a restart and
// while nobody answers; one never had is none.
func TestStore(t *testing.T) {
	const policy = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 604800\n"
	w := &world{txt: "v=STSv1; id=1;", policy: policy, now: now}
	file := filepath.Join(t.TempDir(), "state", "mta-sts")
	o := w.options(t, file)
	open := func() *mtasts.Store {
		t.Helper()
		s, err := mtasts.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	check := func(step, mode, mx string, asked int) {
		t.Helper()
		p, ok := s.Policy(t.Context(), "example.com")
		got := ""
		if len(p.MX) > 0 {
			got = p.MX[0]
		}
		if ok != (mode != "") || p.Mode != mode || got != mx || w.asked != asked {
			t.Errorf("%s: got %q for %q after %d questions, want %q for %q after %d", step, p.Mode, got, w.asked, mode, mx, asked)
		}
	}
	later := func(d time.Duration) { w.change(func() { w.now = w.now.Add(d) }) }

	check("first", "enforce", "a.example", 1)
	check("again", "enforce", "a.example", 1)
	later(time.Hour)
	check("same id", "enforce", "a.example", 1)
	w.change(func() { w.txt, w.policy = "v=STSv1; id=2", strings.Replace(policy, "a.example", "b.example", 1) })
	check("another id, asked lately", "enforce", "a.example", 1)
	later(time.Hour)
	check("another id", "enforce", "b.example", 2)
	later(25 * time.Hour)
	check("refreshed", "enforce", "b.example", 3)
	w.change(func() { w.txt, w.down = "v=STSv1; id=3", true })
	later(time.Hour)
	check("another id, and the policy host fails", "enforce", "b.example", 4)
	w.change(func() { w.broken = true })
	later(time.Hour)
	check("nobody answers", "enforce", "b.example", 4)
	w.change(func() { w.broken, w.down, w.txt = false, false, "" })
	later(time.Hour)
	check("the record is gone", "enforce", "b.example", 4)
	s = open()
	later(time.Hour)
	check("after a restart", "enforce", "b.example", 4)
	later(8 * 24 * time.Hour)
	check("run out", "", "", 4)

	w.change(func() { w.txt, w.broken = "v=STSv1; id=3", true })
	later(time.Hour)
	check("never had, nobody answers", "", "", 4)

	raw, err := os.ReadFile(file)
	if err != nil || bytes.Contains(raw, []byte("example")) {
		t.Errorf("what is kept can be read: %v", err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", fi.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.broken = false })
	s = open()
	later(time.Hour)
	check("a damaged file is begun anew", "enforce", "b.example", 5)
}

// TestAskedAtOnce: who asks while another's first question is under way is not
// told that there is no promise.
func TestAskedAtOnce(t *testing.T) {
	w := &world{txt: "v=STSv1; id=1", policy: "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 604800\n", now: now}
	o := w.options(t, "")
	txt, first := o.TXT, true // one goroutine asks
	var s *mtasts.Store
	o.TXT = func(ctx context.Context, name string) ([]string, error) {
		if first { // the second question comes while the first has no answer
			first = false
			if p, ok := s.Policy(ctx, "example.com"); !ok || p.Mode != mtasts.Enforce {
				t.Errorf("got %+v, %v, want the policy", p, ok)
			}
		}
		return txt(ctx, name)
	}
	s, err := mtasts.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := s.Policy(t.Context(), "example.com"); !ok || p.Mode != mtasts.Enforce {
		t.Errorf("got %+v, %v, want the policy", p, ok)
	}
}

func TestHostIsProved(t *testing.T) {
	w := &world{txt: "v=STSv1; id=1", policy: "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 604800\n", now: now}
	o := w.options(t, "")
	o.Roots = x509.NewCertPool() // knows nobody
	s, err := mtasts.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := s.Policy(t.Context(), "example.com"); ok {
		t.Errorf("got %+v from a host that proved nothing", p)
	}
}

// TestAnswersThatAreNoPolicy: what is no plain text, or comes with any other code
// than 200, is no policy, and nowhere else is looked for one. RFC 8461 3.3.
func TestAnswersThatAreNoPolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		code       int
		kind, goTo string
		want       bool
	}{
		"a policy":             {http.StatusOK, "text/plain; charset=utf-8", "", true},
		"another code":         {http.StatusNotFound, "text/plain", "", false},
		"no plain text":        {http.StatusOK, "text/html", "", false},
		"a redirect":           {http.StatusFound, "text/plain", "/elsewhere", false},
		"a permanent redirect": {http.StatusMovedPermanently, "text/plain", "/elsewhere", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := (&world{txt: "v=STSv1; id=1", now: now}).options(t, "")
			host := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				code, kind := tc.code, tc.kind
				if r.URL.Path == tc.goTo {
					code, kind = http.StatusOK, "text/plain"
				} else if tc.goTo != "" {
					rw.Header().Set("Location", tc.goTo)
				}
				rw.Header().Set("Content-Type", kind)
				rw.WriteHeader(code)
				io.WriteString(rw, "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 604800\n")
			}))
			defer host.Close()
			o.Roots.AddCert(host.Certificate())
			o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, host.Listener.Addr().String())
			}
			s, err := mtasts.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := s.Policy(t.Context(), "example.com"); ok != tc.want {
				t.Errorf("got %+v, %v, want %v", p, ok, tc.want)
			}
		})
	}
}

// lingering is closed when something more has been read on it.
type lingering struct {
	net.Conn
	read chan struct{}
}

func (c lingering) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case c.read <- struct{}{}:
	default:
	}
	return n, err
}

func (c lingering) Close() error {
	select {
	case <-c.read:
	case <-time.After(5 * time.Second):
	}
	return c.Conn.Close()
}

// TestPartOfAPolicyIsNone: what has come of a policy when its time is over, here
// without its second mx, is not kept, though the host then ends it in good order.
func TestPartOfAPolicyIsNone(t *testing.T) {
	o := (&world{txt: "v=STSv1; id=1", now: now}).options(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	host := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		io.WriteString(rw, "version: STSv1\nmode: enforce\nmax_age: 604800\nmx: a.example\n")
		rw.(http.Flusher).Flush()
		time.AfterFunc(100*time.Millisecond, cancel) // the client has begun to read by then
		<-r.Context().Done()
	}))
	defer host.Close()
	o.Roots.AddCert(host.Certificate())
	o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, host.Listener.Addr().String())
		return lingering{c, make(chan struct{})}, err
	}
	s, err := mtasts.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := s.Policy(ctx, "example.com"); ok {
		t.Errorf("got %+v, want none", p)
	}
}

// slowKeys seal when they are let.
type slowKeys struct {
	keys
	sealing, let chan struct{}
}

func (k slowKeys) Seal(ad string, b []byte) ([]byte, error) {
	k.sealing <- struct{}{}
	<-k.let
	return k.keys.Seal(ad, b)
}

// TestAskingWaitsForNoDisk: while a policy is written down, others are answered
// from memory, and what they add is written too.
func TestAskingWaitsForNoDisk(t *testing.T) {
	w := &world{now: now, txt: "v=STSv1; id=1;", policy: "version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 86400\n"}
	o := w.options(t, filepath.Join(t.TempDir(), "mta-sts"))
	k := slowKeys{sealing: make(chan struct{}), let: make(chan struct{})}
	o.Keys = k
	s, err := mtasts.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, ok := s.Policy(t.Context(), "example.com"); !ok {
			t.Error("no policy of the first")
		}
	})
	<-k.sealing // and it stays there
	answered := make(chan bool, 1)
	wg.Go(func() {
		_, ok := s.Policy(t.Context(), "example.com") // in force already, if not asked for
		answered <- ok
	})
	select {
	case <-k.sealing:
		t.Error("two write at once")
	case ok := <-answered:
		if !ok {
			t.Error("no policy while it is written down")
		}
	case <-time.After(time.Minute):
		t.Error("who asks waits for the disk")
	}
	close(k.let)
	wg.Wait()
}
