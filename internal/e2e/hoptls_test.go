package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// pemText is a key and its certificate as one PEM text, as Postfix wants them.
func pemText(t *testing.T, by *synth.Authority, change func(*x509.Certificate)) string {
	t.Helper()
	c, err := by.Sign(change, "mx.clinic.example")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := synth.PEM(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(key) + string(cert)
}

// mailServer makes p take mail at addr as well, over TLS only and from those who
// log in.
func (p *postfix) mailServer(addr, certificate, password string) {
	p.t.Helper()
	sasl := filepath.Join(p.dir, "sasl")
	if err := os.MkdirAll(sasl, 0o755); err != nil {
		p.t.Fatal(err)
	}
	db := filepath.Join(sasl, "sasldb2")
	cmd := exec.Command("/usr/sbin/saslpasswd2", "-f", db, "-c", "-p", "-u", "clinic.example", "relay")
	cmd.Stdin = strings.NewReader(password)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("saslpasswd2: %v: %s", err, out)
	}
	p.run("chown", "postfix", db)
	write(p.t, filepath.Join(sasl, "smtpd.conf"), "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN SCRAM-SHA-256\nsasldb_path: "+db+"\n", 0o644)
	write(p.t, certificate, "", 0o600)
	add := func(file, text string) {
		path := filepath.Join(p.dir, file)
		write(p.t, path, read(p.t, path)+text, 0o644)
	}
	add("main.cf", fmt.Sprintf(`
cyrus_sasl_config_path = %s
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = clinic.example
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = %s
smtpd_tls_loglevel = 1
smtpd_relay_restrictions = permit_sasl_authenticated, reject
notify_classes =
`, sasl, certificate))
	add("master.cf", addr+" inet n - n - - smtpd\ntlsmgr unix - - n 1000? 1 tlsmgr\n")
}

// shows reports whether a mail server's STARTTLS shows the certificate in pemText.
func shows(addr, pemText string) bool {
	c, err := gosmtp.DialStartTLS(addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return false
	}
	defer c.Close()
	if c.Hello("client.example") != nil { // which is when the handshake takes place
		return false
	}
	state, ok := c.TLSConnectionState()
	rest := []byte(pemText)
	for block := (*pem.Block)(nil); ok; {
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if block.Type == "CERTIFICATE" {
			return bytes.Equal(block.Bytes, state.PeerCertificates[0].Raw)
		}
	}
	return false
}

// TestVerifiedSmartHost: Debian's Postfix as the next hop, to which stanch logs
// in over TLS that proves who it is. Whatever is wrong with the proof, no MAIL
// reaches it.
//
// long: one server set up and asked in several ways
func TestVerifiedSmartHost(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/sbin/saslpasswd2"); err != nil {
		t.Skip("sasl2-bin is not installed; see .ci/deps")
	}
	sink, messages := startSMTPSink(t)
	p := startPostfix(t, sink)
	ca, err := synth.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write(t, caFile, string(synth.CertificatePEM(ca.Certificate().Raw)), 0o600)
	addr, certificate := freeAddr(t), filepath.Join(p.dir, "smtpd.pem")
	p.mailServer(addr, certificate, "pencil")
	secret := filepath.Join(t.TempDir(), "smarthost.auth")
	write(t, secret, "relay@clinic.example:pencil\n", 0o600)
	with := func(text string, settings ...string) {
		t.Helper()
		write(t, certificate, text, 0o600)
		for _, s := range settings {
			p.run("postconf", "-c", p.dir, "-e", s)
		}
		p.run("postfix", "-c", p.dir, "reload")
		// A process that was idle may take one more client as things were before.
		stripped := slices.Contains(settings, "smtpd_tls_security_level = none")
		eventually(t, "postfix's mail server shows what it is given", func() bool {
			for range 5 {
				if shows(addr, text) == stripped {
					return false
				}
			}
			return true
		})
	}
	good := pemText(t, ca, nil)
	with(good)
	g := newGateway(t, options{nextHop: addr, smtp: fmt.Sprintf("next_hop_idle = 0\nnext_hop_tls = \"verified\"\nnext_hop_name = \"mx.clinic.example\"\nnext_hop_ca = %q\nnext_hop_auth = %q\n", caFile, secret)})
	g.start()
	flows := func(step string) {
		t.Helper()
		before := len(messages())
		eventually(t, step+": mail flows", func() bool { // a next hop that was down is tried again within 30 s
			_, err := g.send("ada@clinic.example", outside, cleanMail)
			return err == nil
		})
		eventually(t, step+": the mail has arrived", func() bool { return len(messages()) > before })
	}
	flows("a good certificate")
	eventually(t, "Postfix has logged a login by SCRAM-SHA-256", func() bool {
		return strings.Contains(p.logged(), "sasl_method=SCRAM-SHA-256, sasl_username=relay@clinic.example")
	})
	// From here on a client that says MAIL is one that was fooled.
	for _, tc := range []struct {
		name, pem string
		settings  []string
	}{
		{"another name", pemText(t, ca, func(x *x509.Certificate) { x.DNSNames = []string{"mx.evil.example"} }), nil},
		{"expired", pemText(t, ca, synth.Expired), nil},
		{"signed by itself", pemText(t, nil, nil), nil},
		{"STARTTLS stripped", good, []string{"smtpd_tls_security_level = none", "smtpd_tls_auth_only = no", "smtpd_relay_restrictions = permit_mynetworks, reject", "mynetworks = 127.0.0.0/8"}},
	} {
		with(tc.pem, tc.settings...)
		taken := strings.Count(p.logged(), "client=")
		for range 3 {
			if _, err := g.send("ada@clinic.example", outside, cleanMail); !strings.HasPrefix(refused(err), "451 4.4.1") {
				t.Errorf("%s: got %s, want 451 4.4.1", tc.name, refused(err))
			}
		}
		if got := strings.Count(p.logged(), "client="); got != taken {
			t.Errorf("%s: Postfix accepted MAIL and RCPT %d times", tc.name, got-taken)
		}
	}
	with(good, "smtpd_tls_security_level = may", "smtpd_tls_auth_only = yes", "smtpd_relay_restrictions = permit_sasl_authenticated, reject")
	flows("a good certificate again")
	write(t, secret, "relay@clinic.example:wrong\n", 0o600)
	with(good) // ends the connections that are logged in
	eventually(t, "a wrong password is 451, no bounce", func() bool {
		_, err := g.send("ada@clinic.example", outside, cleanMail)
		return strings.HasPrefix(refused(err), "451 4.4.1")
	})
	if log := g.logged(); strings.Contains(log, "pencil") || strings.Contains(log, "relay@") {
		t.Error("the log tells the login")
	}
}

// tlsHop is a mail server with STARTTLS, unless it has no certificate, that nobody
// here wrote.
type tlsHop struct {
	addr string
	mu   sync.Mutex // guards below
	tls  int        // messages over TLS
	all  int
	text []string // the messages
	cert tls.Certificate
}

// shows has the server show another certificate from now on.
func (h *tlsHop) shows(c tls.Certificate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cert = c
}

func (h *tlsHop) messages() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.text)
}

func newTLSHop(t *testing.T, cert tls.Certificate) *tlsHop {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &tlsHop{addr: ln.Addr().String(), cert: cert}
	s := gosmtp.NewServer(h)
	s.Domain = "mx.dane.example"
	if len(cert.Certificate) > 0 {
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			c := h.cert
			return &c, nil
		}}
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) })                      // until Close
	t.Cleanup(func() { ln.Close(); s.Close(); wg.Wait() }) // the listener too: a Close before Serve knows it leaves it open
	return h
}

func (h *tlsHop) count() (overTLS, all int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tls, h.all
}

// NewSession implements gosmtp.Backend.
func (h *tlsHop) NewSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	return &tlsSession{h: h, c: c}, nil
}

type tlsSession struct {
	h *tlsHop
	c *gosmtp.Conn
}

func (x *tlsSession) Reset()                                 {}
func (x *tlsSession) Logout() error                          { return nil }
func (x *tlsSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (x *tlsSession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }

func (x *tlsSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.h.mu.Lock()
	defer x.h.mu.Unlock()
	x.h.all, x.h.text = x.h.all+1, append(x.h.text, string(b))
	if _, ok := x.c.TLSConnectionState(); ok {
		x.h.tls++
	}
	return nil
}

// unbound starts Debian's validating resolver with one signed zone, which
// spoil may change after it was signed.
func unbound(t *testing.T, name, zone string, spoil func(string) string) (addr string) {
	t.Helper()
	addr = freeAddr(t)
	unboundAt(t, addr, name, zone, spoil)
	return addr
}

// unboundAt is unbound at addr; it ends with stop, at the latest with the test.
func unboundAt(t *testing.T, addr, name, zone string, spoil func(string) string) (stop func()) {
	t.Helper()
	for _, f := range []string{"/usr/sbin/unbound", "/usr/bin/ldns-signzone"} {
		if _, err := os.Stat(f); err != nil {
			t.Skip(f + " is not installed; see .ci/deps")
		}
	}
	dir := t.TempDir()
	run := func(prog string, args ...string) string {
		t.Helper()
		cmd := exec.Command(prog, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", prog, err)
		}
		return strings.TrimSpace(string(out))
	}
	write(t, filepath.Join(dir, "zone"), zone, 0o644)
	key := run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", name)
	run("ldns-signzone", "-f", "signed", "zone", key)
	write(t, filepath.Join(dir, "signed"), spoil(read(t, filepath.Join(dir, "signed"))), 0o644)
	host, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "unbound.conf")
	write(t, conf, fmt.Sprintf(`server:
  directory: %[1]q
  chroot: ""
  username: ""
  pidfile: ""
  logfile: ""
  use-syslog: no
  interface: %[2]s
  port: %[3]s
  do-ip6: no
  do-not-query-localhost: no
  num-threads: 1
  module-config: "validator iterator"
  trust-anchor-file: "%[4]s.key"
  val-log-level: 2
remote-control:
  control-enable: no
auth-zone:
  name: %[5]q
  zonefile: "signed"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
`, dir, host, port, key, name), 0o644)
	cmd := exec.Command("/usr/sbin/unbound", "-d", "-c", conf)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it serves until then
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("unbound:\n%s", tail(log.String(), 2000))
		}
	})
	eventually(t, "unbound listens", func() bool { return listens(addr) })
	return stop
}

// TestDANEByResolver: a real validating resolver proves what a signed zone says
// of a mail server; a zone that was changed on its way proves nothing, and no
// mail leaves.
func TestDANEByResolver(t *testing.T) {
	t.Parallel()
	cert, err := (*synth.Authority)(nil).Sign(nil, "anything.example")
	if err != nil {
		t.Fatal(err)
	}
	hop := newTLSHop(t, cert)
	_, port, _ := net.SplitHostPort(hop.addr)
	sum := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo)
	right, wrong := hex.EncodeToString(sum[:]), strings.Repeat("00", 32)
	as := func(s string) string { return s }
	for _, tc := range []struct {
		name, tlsa string
		spoil      func(string) string
		want       string // "" for delivered
	}{
		{"the record fits", right, as, ""},
		{"the record does not fit", wrong, as, "451 4.4.1"},
		{"the zone was changed after it was signed", wrong, func(s string) string { return strings.ReplaceAll(s, wrong, right) }, "451 4.4.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolver := unbound(t, "dane.example", fmt.Sprintf(`$ORIGIN dane.example.
$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
@ IN MX 10 mx
mx IN A 127.0.0.1
_%s._tcp.mx IN TLSA 3 1 1 %s
`, port, tc.tlsa), tc.spoil)
			g := newGateway(t, options{smtp: fmt.Sprintf("resolver = %q\n[[smtp.routes]]\nname = \"world\"\nrecipients = [\"dane.example\"]\nnext_hops = [\"mx@%s\"]\ntls = \"dane\"\n", resolver, port)})
			g.start()
			before, _ := hop.count()
			_, err := g.send("ada@clinic.example", []string{"sam@dane.example"}, cleanMail)
			if got := refused(err); !strings.HasPrefix(got, tc.want) || tc.want == "" && err != nil {
				t.Errorf("got %s, want %q", got, tc.want)
			}
			overTLS, all := hop.count()
			if overTLS != all || (tc.want == "") != (overTLS == before+1) {
				t.Errorf("got %d messages over TLS of %d", overTLS-before, all)
			}
		})
	}
}
