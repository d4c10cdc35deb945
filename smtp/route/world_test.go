package route_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/miekg/dns"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

var ann = dlp.Address{Local: "ann", Domain: "clinic.example"}

func at(domain string) dlp.Address { return dlp.Address{Local: "bob", Domain: domain} }

// zone is a DNS server on the loopback that answers from a list.
type zone struct {
	addr string

	mu      sync.Mutex // guards below
	records map[string][]dns.RR
	signed  map[string]bool // second-level names whose answers carry AD
	bare    map[string]bool // names below whose answers do not
	broken  map[string]bool // names that give SERVFAIL
	asked   map[string]int
}

func newZone(t *testing.T, text string, signed ...string) *zone {
	t.Helper()
	z := &zone{bare: map[string]bool{}, broken: map[string]bool{}, signed: map[string]bool{}, asked: map[string]int{}}
	for _, s := range signed {
		z.signed[s] = true
	}
	z.set(t, text)
	var pc net.PacketConn
	var l net.Listener
	for { // the port has to be free both ways
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		z.addr = pc.LocalAddr().String()
		if l, err = net.Listen("tcp", z.addr); err == nil {
			break
		}
		pc.Close()
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: l, Handler: z}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		var wg sync.WaitGroup
		wg.Go(func() { s.ActivateAndServe() })
		<-up
		t.Cleanup(func() { s.Shutdown(); wg.Wait() })
	}
	return z
}

func (z *zone) set(t *testing.T, text string) {
	t.Helper()
	records := map[string][]dns.RR{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ToLower(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = records
}

func (z *zone) breaks(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.broken[name+"."] = true
}

func (z *zone) unsigns(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.bare[name+"."] = true
}

func (z *zone) questions(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[name+"."]
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a := new(dns.Msg)
	a.SetReply(q)
	name := strings.ToLower(q.Question[0].Name)
	z.asked[name]++
	a.AuthenticatedData = z.signs(name)
	rrs, exists := z.records[name]
	for n := range z.records {
		exists = exists || dns.IsSubDomain(name, n)
	}
	switch {
	case z.broken[name]:
		a.Rcode = dns.RcodeServerFailure
	case !exists:
		a.Rcode = dns.RcodeNameError
	}
	for _, rr := range rrs {
		if c, ok := rr.(*dns.CNAME); ok && q.Question[0].Qtype != dns.TypeCNAME {
			target := strings.ToLower(c.Target)
			a.Answer = append(a.Answer, c)
			rrs = append(rrs, z.records[target]...)
			a.AuthenticatedData = a.AuthenticatedData && z.signs(target) // all of the answer is proved, or it is not
		}
	}
	for _, rr := range rrs {
		if rr.Header().Rrtype == q.Question[0].Qtype {
			a.Answer = append(a.Answer, rr)
		}
	}
	w.WriteMsg(a)
}

// signs reports whether what stands at name is signed. The caller holds mu.
func (z *zone) signs(name string) bool {
	labels := dns.SplitDomainName(name)
	return z.signed[strings.Join(labels[max(0, len(labels)-2):], ".")] && !z.bare[name]
}

// server is a mail server that nobody here wrote.
type server struct {
	addr string
	*gosmtp.Server

	mu     sync.Mutex // guards below
	mails  []string   // "to,to: message"
	rcpt   func(to string) error
	mail   func() error
	data   func() error
	extend func(*gosmtp.Server)
	clear  int // MAIL commands without TLS
	came   int // connections
	gone   int // connections that have ended
}

// listen starts s at ip:port; port "0" chooses one.
func (s *server) listen(t *testing.T, ip, port string, cfg *tls.Config) *server {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.Server = gosmtp.NewServer(s)
	s.Server.TLSConfig = cfg
	s.Server.Domain = "mx.test"
	s.Server.ErrorLog = silent{}
	if s.extend != nil {
		s.extend(s.Server)
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.Server.Serve(l) })
	t.Cleanup(func() { l.Close(); s.Server.Close(); wg.Wait() }) // the listener too: a Close before Serve knows it leaves it open
	return s
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

func (s *server) port() string {
	_, p, _ := net.SplitHostPort(s.addr)
	return p
}

func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

func (s *server) inClear() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clear
}

// conns tells how many connections came, and how many of them have ended.
func (s *server) conns() (came, gone int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came, s.gone
}

// NewSession implements gosmtp.Backend.
func (s *server) NewSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came++
	return &serverSession{s: s, c: c}, nil
}

type serverSession struct {
	s     *server
	c     *gosmtp.Conn
	rcpts []string
}

// Reset forgets the recipients.
func (x *serverSession) Reset() { x.rcpts = nil }

// Logout is called when the connection has ended.
func (x *serverSession) Logout() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.gone++
	return nil
}

func (x *serverSession) Mail(string, *gosmtp.MailOptions) error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if _, ok := x.c.TLSConnectionState(); !ok {
		x.s.clear++
	}
	if x.s.mail != nil {
		return x.s.mail()
	}
	return nil
}

func (x *serverSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.rcpt != nil {
		if err := x.s.rcpt(to); err != nil {
			if errors.Is(err, errHangUp) {
				x.c.Conn().Close()
			}
			return err
		}
	}
	x.rcpts = append(x.rcpts, to)
	return nil
}

func (x *serverSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.data != nil {
		if err := x.s.data(); err != nil {
			if errors.Is(err, errHangUp) {
				x.c.Conn().Close()
			}
			return err
		}
	}
	x.s.mails = append(x.s.mails, strings.Join(x.rcpts, ",")+": "+strings.TrimSpace(string(b)))
	return nil
}

var errHangUp = errors.New("hang up")

// authority signs certificates; the zero one has each sign itself.
type authority struct {
	by   *synth.Authority
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	by, err := synth.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return &authority{by, by.Certificate()}
}

// serving is the TLS of a server named names, its authority sent along.
func (a *authority) serving(t *testing.T, change func(*x509.Certificate), names ...string) *tls.Config {
	t.Helper()
	c, err := a.by.Sign(change, names...)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

func leaf(c *tls.Config) *x509.Certificate { return c.Certificates[0].Leaf }

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, synth.CertificatePEM(a.cert.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *authority) roots(t *testing.T) *smtp.Roots {
	t.Helper()
	r, err := smtp.LoadRoots(a.file(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// spki is the data of a TLSA record x 1 1 for c.
func spki(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// router makes a Router of routes and of the default next hop.
func router(t *testing.T, d route.Deps, change func(*smtp.Config), routes ...smtp.Route) *route.Router {
	t.Helper()
	cfg := smtp.Default()
	cfg.Hostname, cfg.NextHop, cfg.NextHopTLS = "gw.example", "127.0.0.1:1", smtp.TLSOff
	for i := range routes {
		if routes[i].TLS == "" {
			routes[i].TLS = smtp.TLSOff
		}
		if routes[i].Name == "" {
			routes[i].Name = fmt.Sprintf("r%d", i)
		}
	}
	cfg.Routes = routes
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := route.New(&cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func asking(z *zone) func(*smtp.Config) {
	return func(c *smtp.Config) { c.Resolver = z.addr }
}

const text = "Subject: x\r\n\r\nhello\r\n"

func open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }

// live offers a message as the door does and says how each recipient and the
// message were answered.
func live(t *testing.T, r *route.Router, from dlp.Address, rcpts ...dlp.Address) (answers []string, sent string, scattered bool) {
	t.Helper()
	ctx := context.Background()
	tx, reply, err := r.Begin(ctx, from, smtp.MailOptions{}, smtp.Recipient{Addr: rcpts[0]})
	if err != nil {
		return nil, "MAIL: " + word(dlp.Reply{}, err), false
	}
	accepted := false
	for i, to := range rcpts {
		if i > 0 {
			reply, err = tx.Rcpt(ctx, to, dlp.RcptParams{})
		}
		answers = append(answers, word(reply, err))
		accepted = accepted || err == nil && reply.Positive()
	}
	if s, ok := tx.(interface{ Scattered() bool }); ok && s.Scattered() {
		tx.Reset(ctx)
		return answers, "", true
	}
	if !accepted {
		tx.Reset(ctx)
		return answers, "", false
	}
	reply, err = tx.Send(ctx, nil, strings.NewReader(text))
	return answers, word(reply, err), false
}

func word(r dlp.Reply, err error) string {
	if re, ok := errors.AsType[*smtp.ReplyError](err); ok {
		r, err = re.Reply, nil
	}
	if err != nil {
		return "unreached"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, r.Enhanced))
}

// later delivers a message of our own as the outbox does.
func later(t *testing.T, r *route.Router, from dlp.Address, rcpts ...dlp.Address) []string {
	t.Helper()
	var out []string
	for _, d := range r.Deliver(context.Background(), from, rcpts, nil, smtp.MailOptions{}, open) {
		out = append(out, word(d.Reply, d.Err))
	}
	return out
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
