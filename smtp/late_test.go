package smtp_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// punctual is a listener whose connections count the writes that have no write
// deadline of their own.
type punctual struct {
	net.Listener

	mu   sync.Mutex // guards below
	late int
}

func (p *punctual) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &punctualConn{TCPConn: c.(*net.TCPConn), of: p}, nil
}

func (p *punctual) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.late
}

type punctualConn struct {
	*net.TCPConn
	of  *punctual
	set bool
}

func (c *punctualConn) SetWriteDeadline(t time.Time) error {
	c.set = true
	return c.TCPConn.SetWriteDeadline(t)
}

func (c *punctualConn) Write(b []byte) (int, error) {
	if !c.set {
		c.of.mu.Lock()
		c.of.late++
		c.of.mu.Unlock()
	}
	c.set = false
	return c.TCPConn.Write(b)
}

// TestEachWriteHasItsTime: answers that do not fit the buffer are written with a
// deadline of their own. Under that of the last flush they would be lost where
// a next hop or a client took long since: the session ended, and what was
// accepted came again.
func TestEachWriteHasItsTime(t *testing.T) {
	long := strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 100)+"\n", 30), "\n")
	for name, how := range map[string]func(c *client){
		"many recipients in one write": func(c *client) {
			var b strings.Builder
			want := []string{"250 2.1.0"}
			b.WriteString("MAIL FROM:<ann@clinic.example>\r\n")
			for i := range 100 {
				fmt.Fprintf(&b, "RCPT TO:<r%d@out.test>\r\n", i)
				want = append(want, "250 2.1.5")
			}
			c.say(b.String(), want...)
		},
		"a next hop that says much": func(c *client) {
			c.envelope("bob@out.test")
			c.say("DATA\r\n", "354")
			c.say("x\r\n.\r\n", "550-5.7.1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &door{handler: &handler{}, hop: &memoryHop{send: func() (dlp.Reply, error) {
				return dlp.Reply{Code: 550, Enhanced: "5.7.1", Text: long}, nil
			}}}
			cfg, deps := parts(t, d)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			d.addr = l.Addr().String()
			p := &punctual{Listener: l}
			d.start(t, cfg, deps, p)
			c := d.hello(t)
			how(c)
			c.say("QUIT\r\n", "221")
			if n := p.count(); n > 0 {
				t.Errorf("%d writes under the deadline of another", n)
			}
		})
	}
}

// TestClientLeavesWhatIsNotQuiet: a connection on which the next hop has said
// more than was asked, or that it has closed, is not used again. Else its answer
// to one command would be taken for that to the next: the refusal of one
// recipient for that of all.
func TestClientLeavesWhatIsNotQuiet(t *testing.T) {
	for name, more := range map[string]string{"one answer too many": "250 2.0.0 and again\r\n", "closed": ""} {
		t.Run(name, func(t *testing.T) {
			h := &wireHop{ext: []string{"PIPELINING"}, on: func(_ int, got string) string {
				if strings.HasPrefix(got, "RCPT TO:<carol@") {
					return "550 5.1.1 nobody"
				}
				return ""
			}}
			conns := make(chan net.Conn, 10)
			h.took = func(c net.Conn) { conns <- c }
			var log bytes.Buffer
			c := h.client(t, func(cfg *smtp.ClientConfig) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			if r, err := offer(t, c, smtp.MailOptions{}).Send(t.Context(), nil, strings.NewReader("x\r\n")); err != nil || r.Code != 250 {
				t.Fatalf("first message: %+v, %v", r, err)
			}
			first := <-conns
			if _, err := io.WriteString(first, more); err != nil {
				t.Fatal(err)
			}
			if more == "" {
				first.Close()
			}
			eventually(t, "a connection that is not quiet", func() bool { return !c.Quiet() })
			tx := offer(t, c, smtp.MailOptions{})
			if r, err := tx.Rcpt(t.Context(), dlp.Address{Local: "carol", Domain: "out.test"}, dlp.RcptParams{}); err != nil || r.Code != 550 {
				t.Errorf("who is not there: %+v, %v", r, err)
			}
			if r, err := tx.Send(t.Context(), nil, strings.NewReader("y\r\n")); err != nil || r.Code != 250 {
				t.Errorf("second message: %+v, %v", r, err)
			}
			if conns, _, _ := h.seen(); conns != 2 || log.Len() > 0 {
				t.Errorf("%d connections, and the log says %q", conns, log.String())
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestClientNextHopOutOfStep: a next hop that says more than was asked is not
// gone on with. Else its second word would be taken for the answer to the next
// command: lines of the message would reach it as commands, and what it never took
// would count as delivered.
func TestClientNextHopOutOfStep(t *testing.T) {
	const twice = "250 2.0.0 OK\n354 Go\n250 2.0.0 taken"
	for name, on := range map[string]func(string) string{
		"MAIL":       func(verb string) string { return map[string]string{"MAIL": twice}[verb] },
		"RCPT":       func(verb string) string { return map[string]string{"RCPT": twice, "DATA": "450 4.7.0 not now"}[verb] },
		"DATA":       func(verb string) string { return map[string]string{"DATA": "354 Go\n250 2.0.0 taken"}[verb] },
		"BDAT":       func(verb string) string { return map[string]string{"BDAT": "250 2.0.0 OK\n250 2.0.0 OK"}[verb] },
		"RCPT later": func(verb string) string { return map[string]string{"DATA": "450 4.7.0 not now"}[verb] },
		"DATA later": func(verb string) string { return map[string]string{".": "450 4.7.0 not now"}[verb] },
	} {
		t.Run(name, func(t *testing.T) {
			h := &wireHop{ext: []string{"CHUNKING", "BINARYMIME"}, on: func(_ int, got string) string {
				verb, _, _ := strings.Cut(got, " ")
				return on(verb)
			}}
			conns := make(chan net.Conn, 10)
			h.took = func(c net.Conn) { conns <- c }
			c := h.client(t, nil)
			body, opt := "NOOP mine\r\n", smtp.MailOptions{}
			if name == "BDAT" {
				opt.Body, body = "BINARYMIME", strings.Repeat(body, 20_000)
			}
			tx, r, err := c.Begin(t.Context(), ann, opt, toBob)
			if err == nil && r.Positive() {
				if name == "RCPT later" {
					io.WriteString(<-conns, "354 Go\r\n250 2.0.0 taken\r\n")
					eventually(t, "more than was asked", func() bool { return !smtp.TxQuiet(tx) })
				}
				r, err = tx.Send(t.Context(), nil, readerFunc(func(p []byte) (int, error) {
					if name == "DATA later" && body != "" { // it has said 354
						io.WriteString(<-conns, "250 2.0.0 taken\r\n")
						eventually(t, "more than was asked", func() bool { return !smtp.TxQuiet(tx) })
					}
					n := copy(p, body)
					body = body[n:]
					if n == 0 {
						return 0, io.EOF
					}
					return n, nil
				}))
			}
			if err == nil {
				t.Errorf("got %+v, want an error", r)
			}
			if _, lines, _ := h.seen(); slices.Contains(lines, "NOOP mine") {
				t.Error("the message was read as commands")
			}
		})
	}
}
