package smtp_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/smtp"
)

// authority signs certificates for tests; without one each signs itself.
type authority struct {
	t    *testing.T
	by   *synth.Authority
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	by, err := synth.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, by, by.Certificate()}
}

func (a *authority) sign(change func(*x509.Certificate), names ...string) tls.Certificate {
	a.t.Helper()
	c, err := a.by.Sign(change, names...)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// serving is the TLS of a server with a certificate for name.
func (a *authority) serving(name string, change func(*x509.Certificate)) *tls.Config {
	a.t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{a.sign(change, name)}}
}

// pemFile writes certificates into a PEM file.
func pemFile(t *testing.T, certs ...*x509.Certificate) string {
	t.Helper()
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(synth.CertificatePEM(c.Raw))
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return "sha256:" + base64.StdEncoding.EncodeToString(sum[:])
}

// TestVerified: nothing of a message, envelope included, leaves before the
// certificate has proved who the next hop is.
func TestVerified(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.serving("mx.test", nil)
	expired := ca.serving("mx.test", synth.Expired)
	early := ca.serving("mx.test", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour)
	})
	self := (&authority{t: t}).serving("mx.test", nil)
	leaf := func(c *tls.Config) *x509.Certificate { return c.Certificates[0].Leaf }
	old := good.Clone()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	trusting := func(c *smtp.Config) { c.NextHopCA = pemFile(t, ca.cert) }
	for _, tc := range []struct {
		name string
		ext  []string
		tls  *tls.Config
		on   func(int, string) string
		cfg  func(*smtp.Config)
		want bool
	}{
		{"signed by the authority, named as wanted", []string{"STARTTLS"}, good, nil, trusting, true},
		{"STARTTLS stripped", nil, good, nil, trusting, false},
		{"STARTTLS refused", []string{"STARTTLS"}, good, reply("STARTTLS", "454 4.7.0 not now"), trusting, false},
		{"more behind the answer to STARTTLS", []string{"STARTTLS"}, good, reply("STARTTLS", "220 go\n250 injected"), trusting, false},
		{"no TLS behind STARTTLS", []string{"STARTTLS"}, nil, nil, trusting, false},
		{"another name", []string{"STARTTLS"}, ca.serving("evil.test", nil), nil, trusting, false},
		{"a name in the subject alone", []string{"STARTTLS"}, ca.serving("x.test", func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "mx.test" }), nil, trusting, false},
		{"expired", []string{"STARTTLS"}, expired, nil, trusting, false},
		{"not yet valid", []string{"STARTTLS"}, early, nil, trusting, false},
		{"signed by itself", []string{"STARTTLS"}, self, nil, trusting, false},
		{"signed by somebody", []string{"STARTTLS"}, other.serving("mx.test", nil), nil, trusting, false},
		{"the system's roots do not know it", []string{"STARTTLS"}, good, nil, nil, false},
		{"for clients only", []string{"STARTTLS"}, ca.serving("mx.test", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), nil, trusting, false},
		{"TLS 1.1", []string{"STARTTLS"}, old, nil, trusting, false},
		{"a wildcard", []string{"STARTTLS"}, ca.serving("*.test", nil), nil, trusting, true},
		{"the certificate itself is the authority", []string{"STARTTLS"}, self, nil, func(c *smtp.Config) { c.NextHopCA = pemFile(t, leaf(self)) }, true},
		{"pinned", []string{"STARTTLS"}, self, nil, func(c *smtp.Config) {
			c.NextHopName, c.NextHopPins = "", []string{pinOf(leaf(good)), pinOf(leaf(self))}
		}, true},
		{"pinned, expired", []string{"STARTTLS"}, expired, nil, func(c *smtp.Config) { c.NextHopName, c.NextHopPins = "", []string{pinOf(leaf(expired))} }, true},
		{"another key is pinned", []string{"STARTTLS"}, good, nil, func(c *smtp.Config) { c.NextHopName, c.NextHopPins = "", []string{pinOf(leaf(self))} }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: tc.ext, tls: tc.tls, on: tc.on}
			cfg := smtp.Default()
			cfg.Hostname, cfg.NextHop, cfg.NextHopTLS, cfg.NextHopName = "gw.example", h.listen(t), smtp.TLSVerified, "mx.test"
			if tc.cfg != nil {
				tc.cfg(&cfg)
			}
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			hop := openHop(t, &cfg)
			for range 2 { // the second over a connection that was kept, or a new one
				ds := smtp.Deliver(t.Context(), hop, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))
				if got := ds[0].Err == nil && ds[0].Reply.Positive(); got != tc.want {
					t.Errorf("delivered: got %v (%v), want %v", got, ds[0].Err, tc.want)
				}
				if ds[0].Reply.Permanent() {
					t.Errorf("got %+v: a next hop that cannot be trusted must not bounce mail", ds[0].Reply)
				}
			}
			_, lines, _ := h.seen()
			if got := strings.Contains(strings.Join(lines, "|"), "MAIL FROM"); got != tc.want {
				t.Errorf("MAIL sent: got %v, want %v", got, tc.want)
			}
		})
	}
}

func reply(command, with string) func(int, string) string {
	return func(_ int, got string) string {
		if got == command {
			return with
		}
		return ""
	}
}

// TestVerifiedByAddress: a next hop given by address proves that address.
func TestVerifiedByAddress(t *testing.T) {
	ca := newAuthority(t)
	h := &wireHop{ext: []string{"STARTTLS"}, tls: ca.serving("127.0.0.1", nil)}
	cfg := smtp.Default()
	cfg.Hostname, cfg.NextHop, cfg.NextHopTLS, cfg.NextHopCA = "gw.example", h.listen(t), smtp.TLSVerified, pemFile(t, ca.cert)
	hop := openHop(t, &cfg)
	if ds := smtp.Deliver(t.Context(), hop, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n")); ds[0].Err != nil {
		t.Error(ds[0].Err)
	}
}

// TestCertificateFollowsFile: what a next hop must prove, and what it is shown,
// is read anew when the files change; a broken file changes nothing.
func TestCertificateFollowsFile(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	path := pemFile(t, other.cert)
	roots, err := smtp.LoadRoots(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	proof := smtp.ProveName(roots, "mx.test")
	leaf := ca.serving("mx.test", nil).Certificates[0].Leaf
	holds := func() bool {
		return proof(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}) == nil
	}
	if holds() {
		t.Fatal("a certificate of an unknown authority passes")
	}
	for _, step := range []struct {
		name, file string
	}{{"renewed", pemFile(t, ca.cert)}, {"broken", ""}} {
		b := []byte("no certificate")
		if step.file != "" {
			if b, err = os.ReadFile(step.file); err != nil {
				t.Fatal(err)
			}
		}
		next := filepath.Join(filepath.Dir(path), "next")
		if err := os.WriteFile(next, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		eventually(t, step.name+": the renewed file counts", holds)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !holds() {
		t.Error("a file that is gone takes away what was read")
	}
}

func TestLogin(t *testing.T) {
	ca := newAuthority(t)
	secret := filepath.Join(t.TempDir(), "auth")
	if err := os.WriteFile(secret, []byte("user:pen:cil\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	plain := "AUTH PLAIN " + b64("\x00user\x00pen:cil")
	for _, tc := range []struct {
		name    string
		offers  string
		answers map[string]string
		want    bool
		tls     string
	}{
		{"PLAIN", "AUTH PLAIN LOGIN", map[string]string{plain: "235 2.7.0 ok"}, true, smtp.TLSVerified},
		{"PLAIN, required", "AUTH PLAIN", map[string]string{plain: "235 2.7.0 ok"}, true, smtp.TLSRequired},
		{"PLAIN refused", "AUTH PLAIN", map[string]string{plain: "535 5.7.8 no"}, false, smtp.TLSVerified},
		{"PLAIN asks on", "AUTH PLAIN", map[string]string{plain: "334 more"}, false, smtp.TLSVerified},
		{"PLAIN answered 250", "AUTH PLAIN", map[string]string{plain: "250 ok"}, false, smtp.TLSVerified},
		{"LOGIN", "AUTH LOGIN", map[string]string{"AUTH LOGIN": "334 VXNlcm5hbWU6", b64("user"): "334 UGFzc3dvcmQ6", b64("pen:cil"): "235 ok"}, true, smtp.TLSVerified},
		{"LOGIN refused", "AUTH LOGIN", map[string]string{"AUTH LOGIN": "334 VXNlcm5hbWU6", b64("user"): "334 UGFzc3dvcmQ6", b64("pen:cil"): "535 no"}, false, smtp.TLSVerified},
		{"no way we know", "AUTH GSSAPI", nil, false, smtp.TLSVerified},
		{"none at all", "SIZE 0", nil, false, smtp.TLSVerified},
		{"SCRAM that accepts anybody", "AUTH PLAIN SCRAM-SHA-256", nil, false, smtp.TLSVerified},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: []string{"STARTTLS", tc.offers}, tls: ca.serving("mx.test", nil), on: func(_ int, c string) string {
				if a, ok := tc.answers[c]; ok {
					return a
				}
				if strings.HasPrefix(c, "AUTH SCRAM") {
					return "235 2.7.0 welcome"
				}
				return ""
			}}
			cfg := smtp.Default()
			cfg.Hostname, cfg.NextHop, cfg.NextHopTLS, cfg.NextHopAuth = "gw.example", h.listen(t), tc.tls, secret
			if tc.tls == smtp.TLSVerified {
				cfg.NextHopName, cfg.NextHopCA = "mx.test", pemFile(t, ca.cert)
			}
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			hop := openHop(t, &cfg)
			ds := smtp.Deliver(t.Context(), hop, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))
			if got := ds[0].Err == nil && ds[0].Reply.Positive(); got != tc.want || ds[0].Reply.Permanent() {
				t.Errorf("delivered: got %v (%v, %d), want %v", got, ds[0].Err, ds[0].Reply.Code, tc.want)
			}
		})
	}
}

func TestLoginFile(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		mode       os.FileMode
		want       bool
	}{
		{"one line", "user:pass word", 0o600, true},
		{"read-only", "user:pass\r\n", 0o400, true},
		{"others may read", "user:pass\n", 0o644, false},
		{"the group may read", "user:pass\n", 0o640, false},
		{"no password", "user:\n", 0o600, false},
		{"no user", ":pass\n", 0o600, false},
		{"no colon", "pass\n", 0o600, false},
		{"two lines", "user:pass\nmore", 0o600, false},
		{"NUL", "user:pa\x00ss\n", 0o600, false},
		{"empty", "", 0o600, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth")
			if err := os.WriteFile(path, []byte(tc.text), tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := smtp.LoadCredentials(path, nil)
			if got := err == nil; got != tc.want {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "pass\x00") {
				t.Error("the error quotes the file")
			}
		})
	}
}

func TestParsePin(t *testing.T) {
	sum := sha256.Sum256([]byte("key"))
	for _, tc := range []struct {
		in   string
		want bool
	}{
		{"sha256:" + base64.StdEncoding.EncodeToString(sum[:]), true},
		{"sha256:" + hex.EncodeToString(sum[:]), true},
		{"sha256:" + strings.ToUpper(hex.EncodeToString(sum[:])), true},
		{hex.EncodeToString(sum[:]), false},
		{"sha256:", false},
		{"sha1:" + hex.EncodeToString(sum[:]), false},
		{"sha256:" + hex.EncodeToString(sum[:30]), false},
	} {
		got, ok := smtp.ParsePin(tc.in)
		if ok != tc.want || ok && got != smtp.Pin(sum) {
			t.Errorf("%q: got %v, %v, want %v", tc.in, got, ok, tc.want)
		}
	}
}

// TestClientCertificate: a next hop that asks is shown the configured one.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.sign(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	_, key, err := synth.PEM(cert)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	serving := ca.serving("127.0.0.1", nil)
	serving.ClientAuth, serving.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	serving.ClientCAs.AddCert(ca.cert)
	for _, shown := range []bool{true, false} {
		h := &wireHop{ext: []string{"STARTTLS"}, tls: serving}
		cfg := smtp.Default()
		cfg.Hostname, cfg.NextHop, cfg.NextHopTLS, cfg.NextHopCA = "gw.example", h.listen(t), smtp.TLSVerified, pemFile(t, ca.cert)
		if shown {
			cfg.NextHopCert, cfg.NextHopKey = pemFile(t, cert.Leaf), keyFile
		}
		hop := openHop(t, &cfg)
		ds := smtp.Deliver(t.Context(), hop, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))
		if got := ds[0].Err == nil; got != shown {
			t.Errorf("certificate shown %v: delivered %v (%v)", shown, got, ds[0].Err)
		}
	}
}

// openHop makes the client of next_hop.
func openHop(t *testing.T, cfg *smtp.Config) *smtp.Client {
	t.Helper()
	routes := cfg.AllRoutes()
	security, err := routes[len(routes)-1].LoadSecurity(nil)
	if err != nil {
		t.Fatal(err)
	}
	cc := cfg.Client(nil, nil)
	cc.Addr = cfg.NextHop
	host, _, err := net.SplitHostPort(cfg.NextHop)
	if err != nil {
		t.Fatal(err)
	}
	security.Apply(&cc, host)
	c := smtp.NewClient(cc)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestDoorCertificateIsRenewed: from the next handshake on, without a restart; a
// certificate whose key is not there yet waits for it.
func TestDoorCertificateIsRenewed(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	put := func(serial int64, files ...string) {
		t.Helper()
		cert, key, err := synth.PEM(ca.sign(func(c *x509.Certificate) { c.SerialNumber = big.NewInt(serial) }))
		if err != nil {
			t.Fatal(err)
		}
		text := map[string][]byte{"cert": cert, "key": key}
		for _, f := range files {
			next := filepath.Join(dir, "next")
			if err := os.WriteFile(next, text[f], 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, filepath.Join(dir, f)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(1, "cert", "key")
	cfg := smtp.Default()
	cfg.TLSCert, cfg.TLSKey = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	door, err := cfg.LoadTLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		c, err := door.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
	put(2, "cert") // without its key
	put(3, "cert", "key")
	eventually(t, "the renewed certificate is shown", func() bool { return serial() == 3 })
}
