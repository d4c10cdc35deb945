package smtp_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// patience is how long a test waits for what must come. It is never reached
// when all is well.
const patience = 2 * time.Minute

// handler is a scripted Handler. The zero value passes everything on.
type handler struct {
	message func(ctx context.Context, doc *dlp.Document, onward dlp.Onward) dlp.Outcome
	ackErr  error

	mu   sync.Mutex // guards below
	docs []*dlp.Document
	acks [][]dlp.ID
}

func (h *handler) Message(ctx context.Context, doc *dlp.Document, onward dlp.Onward) dlp.Outcome {
	h.mu.Lock()
	h.docs = append(h.docs, doc)
	h.mu.Unlock()
	if h.message != nil {
		return h.message(ctx, doc, onward)
	}
	return pass(ctx, doc, onward)
}

func (h *handler) Acknowledge(_ context.Context, ids []dlp.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acks = append(h.acks, ids)
	return h.ackErr
}

func (h *handler) seen() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.docs)
}

func (h *handler) acknowledged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprint(h.acks)
}

func pass(ctx context.Context, doc *dlp.Document, onward dlp.Onward) dlp.Outcome {
	body, err := doc.Open()
	if err != nil {
		return dlp.Outcome{}
	}
	defer body.Close()
	r, err := onward.Send(ctx, doc.Trace, body)
	if err != nil {
		return dlp.Outcome{Kind: dlp.Unreached, ID: doc.ID}
	}
	return dlp.Outcome{Kind: dlp.Passed, ID: doc.ID, Reply: r}
}

// answer makes a Handler that ends everything with out.
func answer(out dlp.Outcome) func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome {
	return func(_ context.Context, doc *dlp.Document, _ dlp.Onward) dlp.Outcome {
		if out.ID == "" {
			out.ID = doc.ID
		}
		return out
	}
}

// memoryHop is a NextHop in memory.
type memoryHop struct {
	begin func(from dlp.Address, opt smtp.MailOptions) error
	rcpt  func(dlp.Address) (dlp.Reply, error)
	send  func() (dlp.Reply, error)
	ext   smtp.Extensions // offered

	mu     sync.Mutex // guards below
	got    []message
	resets int
}

type message struct {
	from   dlp.Address
	rcpts  []dlp.Address
	params []dlp.RcptParams
	opt    smtp.MailOptions
	header string
	body   string
}

func (m *memoryHop) Begin(ctx context.Context, from dlp.Address, opt smtp.MailOptions, first smtp.Recipient) (smtp.Transaction, dlp.Reply, error) {
	if m.begin != nil {
		if err := m.begin(from, opt); err != nil {
			return nil, dlp.Reply{}, err
		}
	}
	tx := &memoryTx{hop: m, msg: message{from: from, opt: opt}}
	r, err := tx.Rcpt(ctx, first.Addr, first.Params)
	if err != nil {
		return nil, r, err
	}
	return tx, r, nil
}

func (m *memoryHop) Offers() smtp.Extensions { return m.ext }

func (m *memoryHop) messages() []message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]message(nil), m.got...)
}

func (m *memoryHop) resetCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resets
}

type memoryTx struct {
	hop *memoryHop
	msg message
}

func (t *memoryTx) Rcpt(_ context.Context, a dlp.Address, p dlp.RcptParams) (dlp.Reply, error) {
	if t.hop.rcpt != nil {
		if r, err := t.hop.rcpt(a); err != nil || !r.Positive() {
			return r, err
		}
	}
	t.msg.rcpts, t.msg.params = append(t.msg.rcpts, a), append(t.msg.params, p)
	return dlp.Reply{Code: 250, Enhanced: "2.1.5", Text: "Ok"}, nil
}

func (t *memoryTx) Send(_ context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return dlp.Reply{}, err
	}
	t.msg.header, t.msg.body = string(header), string(b)
	if t.hop.send != nil {
		return t.hop.send()
	}
	t.hop.mu.Lock()
	defer t.hop.mu.Unlock()
	t.hop.got = append(t.hop.got, t.msg)
	return dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "queued as 1A2B"}, nil
}

func (t *memoryTx) Reset(context.Context) error {
	t.hop.mu.Lock()
	defer t.hop.mu.Unlock()
	t.hop.resets++
	return nil
}

// door is a running Server.
type door struct {
	*smtp.Server
	handler *handler
	hop     *memoryHop
	addr    string
	as      smtp.Door // how it is served
}

// open starts a Server on the loopback. change may be nil.
func open(t *testing.T, change func(*smtp.Config, *smtp.Deps, *door)) *door {
	t.Helper()
	d := &door{handler: &handler{}, hop: &memoryHop{}}
	cfg, deps := parts(t, d)
	if change != nil {
		change(&cfg, &deps, d)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = l.Addr().String()
	d.start(t, cfg, deps, l)
	return d
}

// parts are what a Server is made of in these tests.
func parts(t testing.TB, d *door) (smtp.Config, smtp.Deps) {
	t.Helper()
	cfg := smtp.Default()
	cfg.Hostname = "gw.example"
	pool, err := buffer.NewPool(buffer.Config{MemoryEach: 1 << 20, MemoryAll: 64 << 20, DiskAll: 1 << 30, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, smtp.Deps{Handler: d.handler, NextHop: d.hop, Buffers: pool, Log: slog.New(slog.DiscardHandler)}
}

func (d *door) start(t *testing.T, cfg smtp.Config, deps smtp.Deps, l net.Listener) {
	t.Helper()
	s, err := smtp.NewServer(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.ServeDoor(context.Background(), l, d.as); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(ctx) // sessions that a test left open are cut
		wg.Wait()
	})
}

// client is a raw SMTP client.
type client struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
}

// raw connects without reading the greeting.
func (d *door) raw(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func newClient(t *testing.T, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t: t, conn: conn, br: bufio.NewReader(conn)}
}

// hello connects up to EHLO.
func (d *door) hello(t *testing.T) *client {
	t.Helper()
	c := d.raw(t)
	c.want("220")
	c.say("EHLO client.example\r\n", "250")
	return c
}

// send writes raw bytes. A peer that has closed is found out by want.
func (c *client) send(raw string) { io.WriteString(c.conn, raw) }

// read returns one reply, "" when the peer has ended the connection. That
// nothing comes, or only half a reply, is an error of the test.
func (c *client) read() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		b.WriteString(line)
		switch {
		case err == nil && len(line) > 3 && line[3] == '-':
			continue
		case err != nil && !hungUp(err):
			c.t.Errorf("after %q, with the connection open: %v", b.String(), err)
		case err != nil && b.Len() > 0:
			c.t.Errorf("the connection ended within a reply: %q", b.String())
		}
		return strings.TrimRight(b.String(), "\r\n")
	}
}

// hungUp reports whether err says that the peer has closed the connection, in
// good order or not.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// want reads a reply for each prefix; "closed" is the end of the connection.
func (c *client) want(prefixes ...string) string {
	c.t.Helper()
	var got string
	for _, p := range prefixes {
		if got = c.read(); p == "closed" && got != "" || p != "closed" && (got == "" || !strings.HasPrefix(got, p)) {
			c.t.Fatalf("got %q, want %s", got, p)
		}
	}
	return got
}

// say sends raw and reads a reply for each prefix.
func (c *client) say(raw string, prefixes ...string) string {
	c.t.Helper()
	c.send(raw)
	return c.want(prefixes...)
}

// envelope opens a transaction.
func (c *client) envelope(rcpts ...string) {
	c.t.Helper()
	c.say("MAIL FROM:<ann@clinic.example>\r\n", "250 2.1.0")
	for _, r := range rcpts {
		c.say("RCPT TO:<"+r+">\r\n", "250 2.1.5")
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// certificate makes a self-signed one for gw.example.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gw.example"}, DNSNames: []string{"gw.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// dotted is body on the wire with its end mark.
func dotted(t *testing.T, body []byte) string {
	t.Helper()
	wire, err := smtp.Stuff(body, len(body)+1)
	if err != nil {
		t.Fatal(err)
	}
	return string(wire)
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%s differs at byte %d of %d and %d: got %q, want %q", what, i, len(got), len(want), cutAt(got, i), cutAt(want, i))
	}
}

func cutAt(s string, i int) string { return s[max(0, i-20):min(len(s), i+20)] }
