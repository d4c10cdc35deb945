package keydir_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/keydir"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// A lingering connection is closed only when something more has been read on it:
// the end that a server makes of its answer when the client says that it goes.
type lingering struct {
	net.Conn
	lets chan struct{}
}

func (c lingering) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case c.lets <- struct{}{}:
	default:
	}
	return n, err
}

func (c lingering) Close() error {
	select {
	case <-c.lets:
	case <-time.After(5 * time.Second):
	}
	return c.Conn.Close()
}

// TestFinder: whom the finder asks, for what, and what it takes.
func TestFinder(t *testing.T) {
	const hash = "iy9q119eutrkn8s1mk4r39qejnbu3n5q" // of joe.doe: the draft's own, section 3.1
	var asked string
	var advanced bool // there is such a host
	var lets chan struct{}
	answer := func(http.ResponseWriter, *http.Request) {}
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = r.Host + r.URL.RequestURI()
		answer(rw, r)
	}))
	defer s.Close()
	inClear := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("key")) }))
	defer inClear.Close()
	// The server's certificate is for example.com and what is below it.
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	f := keydir.Finder{Roots: roots, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "openpgpkey.") && !advanced {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		if strings.HasSuffix(addr, ":80") {
			return new(net.Dialer).DialContext(ctx, network, inClear.Listener.Addr().String())
		}
		c, err := new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		if lets != nil && err == nil {
			c = lingering{c, lets}
		}
		return c, err
	}}
	says := func(status int, body []byte) func(http.ResponseWriter, *http.Request) {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(status)
			rw.Write(body) // the client tells
		}
	}
	to := func(url string) func(http.ResponseWriter, *http.Request) {
		return func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, url, http.StatusFound) }
	}
	packed := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		z.Write(make([]byte, keydir.MaxKey+1)) // the client tells
		z.Close()
	}
	stalls := func(rw http.ResponseWriter, r *http.Request) {
		rw.Write([]byte("ke"))
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	joe := dlp.Address{Local: "Joe.Doe", Domain: "Example.COM"}
	for _, tc := range []struct {
		name     string
		advanced bool
		template string
		answer   func(http.ResponseWriter, *http.Request)
		asked    string
		want     error
	}{
		{"advanced", true, "", says(200, []byte("key")), "openpgpkey.example.com/.well-known/openpgpkey/example.com/hu/" + hash + "?l=Joe.Doe", nil},
		{"direct", false, "", says(200, []byte("key")), "example.com/.well-known/openpgpkey/hu/" + hash + "?l=Joe.Doe", nil},
		{"no key, and the domain is not asked", true, "", says(404, nil), "openpgpkey.example.com/.well-known/openpgpkey/example.com/hu/" + hash + "?l=Joe.Doe", keydir.ErrNone},
		{"an error", false, "", says(500, []byte("key")), "", keydir.ErrAnswer},
		{"nothing", false, "", says(200, nil), "", keydir.ErrAnswer},
		{"huge", false, "", says(200, make([]byte, keydir.MaxKey+1)), "", keydir.ErrAnswer},
		{"huge, and little on its way", false, "", packed, "", keydir.ErrAnswer},
		{"does not end", false, "", stalls, "", keydir.ErrAnswer},
		{"to http", false, "", to("http://example.com/key"), "", keydir.ErrAnswer},
		{"to itself", false, "", to("https://example.com/key"), "", keydir.ErrAnswer},
		{"a directory", false, "https://example.com/by?mail={address}", says(200, []byte("key")), "example.com/by?mail=Joe.Doe%40Example.COM", nil},
		{"a certificate that does not hold", false, "https://other.example/{address}", says(200, []byte("key")), "", keydir.ErrAnswer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			advanced, answer, asked = tc.advanced, tc.answer, ""
			ctx := t.Context()
			if lets = nil; tc.name == "does not end" {
				lets = make(chan struct{})
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond) // as the Finder's own bound, and less
				defer cancel()
			}
			var got []byte
			var err error
			if tc.template != "" {
				got, _, err = f.HTTP(ctx, tc.template, joe)
			} else {
				got, _, err = f.WKD(ctx, joe)
			}
			if !errors.Is(err, tc.want) || tc.want == nil && !bytes.Equal(got, []byte("key")) {
				t.Errorf("got %q, %v; want %v", got, err, tc.want)
			}
			if tc.asked != "" && asked != tc.asked {
				t.Errorf("asked %q, want %q", asked, tc.asked)
			}
		})
	}
	for template, want := range map[string]bool{"https://keys.example/{address}": true, "https://keys.example/?q={address}&x": true, "http://keys.example/{address}": false,
		"https://{address}/": false, "https://keys.example/": false, "https://u:p@keys.example/{address}": false, "https://{address}": false, "": false, "{address}": false} {
		if keydir.Template(template) != want {
			t.Errorf("%q: want %v", template, want)
		}
	}
}
