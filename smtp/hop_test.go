package smtp_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// What a scripted next hop does instead of replying.
const (
	hangUp  = "hang up"
	silence = "silence"
	trickle = "trickle" // a line of an answer each ten seconds, of which none is the last
)

// beside stands between two answers that are written apart, under TLS as two
// records, and leave as one segment.
const beside = "\x00"

// gather holds writes back until flush, while it is told to.
type gather struct {
	net.Conn
	hold bool
	buf  []byte
}

func (g *gather) Write(p []byte) (int, error) {
	if g.hold {
		g.buf = append(g.buf, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

func (g *gather) flush() {
	g.hold = false
	g.Conn.Write(g.buf)
	g.buf = nil
}

// wireHop is a scripted next hop that speaks SMTP over real connections. Its
// end of data is the last five bytes CRLF.CRLF and nothing else.
type wireHop struct {
	greeting string // "" is "220 hop.test ESMTP"
	ext      []string
	tls      *tls.Config
	// on answers a command of the conn-th connection, counted from 1; "." is
	// the end of data. "" is the usual answer.
	on func(conn int, command string) string
	// took is handed each connection, and again once it is secured; nil for nobody.
	took func(net.Conn)

	mu     sync.Mutex // guards below
	conns  int
	lines  []string
	bodies []string // as on the wire, end mark included
	wg     sync.WaitGroup
}

// listen serves h on the loopback and returns its address.
func (h *wireHop) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			if h.took != nil {
				h.took(c)
			}
			h.wg.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		h.wg.Wait()
	})
	return l.Addr().String()
}

// long: a switch over the commands of SMTP
func (h *wireHop) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	under := &gather{Conn: conn}
	h.mu.Lock()
	h.conns++
	n := h.conns
	h.mu.Unlock()
	br := bufio.NewReader(conn)
	chunks := ""
	answer := func(command, usual string) bool {
		r := ""
		if h.on != nil {
			r = h.on(n, command)
		}
		switch r {
		case hangUp:
			return false
		case silence:
			io.Copy(io.Discard, br)
			return false
		case trickle:
			for {
				if _, err := io.WriteString(conn, "250-more\r\n"); err != nil {
					return false
				}
				time.Sleep(10 * time.Second)
			}
		case "":
			r = usual
		}
		r, closes := strings.CutSuffix(r, "\n"+hangUp)
		if first, second, ok := strings.Cut(r, beside); ok {
			under.hold = true
			defer under.flush()
			io.WriteString(conn, first+"\r\n")
			r = second
		}
		_, err := io.WriteString(conn, strings.ReplaceAll(r, "\n", "\r\n")+"\r\n")
		return err == nil && !closes
	}
	greeting := "220 hop.test ESMTP"
	if h.greeting != "" {
		greeting = h.greeting
	}
	if !answer("", greeting) {
		return
	}
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		h.mu.Lock()
		h.lines = append(h.lines, line)
		h.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		usual := "250 2.0.0 OK"
		switch verb {
		case "EHLO", "LHLO":
			lines := append([]string{"hop.test"}, h.ext...)
			usual = "250-" + strings.Join(lines[:len(lines)-1], "\n250-") + "\n250 " + lines[len(lines)-1]
			if len(lines) == 1 {
				usual = "250 hop.test"
			}
		case "QUIT":
			answer(line, "221 2.0.0 Bye")
			return
		case "STARTTLS":
			if !answer(line, "220 2.0.0 Go") || h.tls == nil {
				return
			}
			conn = tls.Server(under, h.tls)
			if h.took != nil {
				h.took(conn)
			}
			br = bufio.NewReader(conn)
			continue
		case "BDAT":
			var n int64
			last := strings.HasSuffix(line, " LAST")
			if _, err := fmt.Sscanf(line, "BDAT %d", &n); err != nil {
				return
			}
			b, err := io.ReadAll(io.LimitReader(br, n))
			if err != nil || int64(len(b)) < n {
				return
			}
			chunks += string(b)
			if last {
				h.mu.Lock()
				h.bodies = append(h.bodies, chunks)
				h.mu.Unlock()
				chunks = ""
			}
		case "DATA":
			usual = "354 Go"
			if h.on != nil {
				if r := h.on(n, "DATA"); r != "" && !strings.Contains(r, beside) {
					break
				}
			}
			if !answer(line, usual) || !h.data(br) {
				return
			}
			line, usual = ".", "250 2.0.0 queued as 7\n"
			usual = strings.TrimSpace(usual)
		}
		if !answer(line, usual) {
			return
		}
	}
}

func (h *wireHop) data(br *bufio.Reader) bool {
	wire := []byte("\r\n")
	for !bytes.HasSuffix(wire, []byte("\r\n.\r\n")) {
		c, err := br.ReadByte()
		if err != nil {
			return false
		}
		wire = append(wire, c)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, string(wire[2:]))
	return true
}

func (h *wireHop) seen() (conns int, lines, bodies []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns, append([]string(nil), h.lines...), append([]string(nil), h.bodies...)
}

// said is what the next hop was told in order, without greetings: a connection
// opened beside to see what it offers says no more.
func (h *wireHop) said() string {
	_, lines, _ := h.seen()
	var out []string
	for _, l := range lines {
		if !strings.HasPrefix(l, "EHLO ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "|")
}

// TestClientPipelines: MAIL and the first RCPT go out together to a next hop
// that offers PIPELINING, one after the other to any other; a refusal of MAIL
// leaves no answer behind that the next message could take for its own.
//
// long: a table and the server that it is about
func TestClientPipelines(t *testing.T) {
	for _, tc := range []struct {
		name, ext  string
		mail, rcpt string // answers to the first message
		together   bool
		refused    bool
		conns      int // used for two messages
	}{
		{"offered", "PIPELINING", "250 ok", "250 ok", true, false, 1},
		{"not offered", "8BITMIME", "250 ok", "250 ok", false, false, 1},
		{"MAIL refused", "PIPELINING", "550 5.1.8 no", "503 5.5.1 MAIL first", true, true, 1},
		{"MAIL refused, RCPT taken", "PIPELINING", "550 5.1.8 no", "250 ok", true, true, 2},
		{"MAIL refused, then closing", "PIPELINING", "550 5.1.8 no", "421 4.3.2 bye", true, true, 2},
		{"MAIL refused, not offered", "8BITMIME", "550 5.1.8 no", "250 never asked", false, true, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var hops sync.WaitGroup
			conns, first, together := 0, true, false
			serve := func(conn net.Conn) {
				defer conn.Close()
				br := bufio.NewReader(conn)
				say := func(s string) { io.WriteString(conn, s+"\r\n") }
				say("220 hop.test")
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
					case verb == "EHLO":
						say("250-hop.test\r\n250 " + tc.ext)
					case verb == "MAIL" && first:
						first, together = false, br.Buffered() > 0
						say(tc.mail)
						if together {
							br.ReadString('\n')
							say(tc.rcpt)
						}
					case verb == "DATA":
						say("354 go")
						for line != ".\r\n" && err == nil {
							line, err = br.ReadString('\n')
						}
						say("250 2.0.0 second is its own")
					default:
						say("250 ok")
					}
				}
			}
			hops.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conns++
					serve(conn)
				}
			})
			cfg := smtp.DefaultClient()
			cfg.Addr, cfg.Hostname, cfg.TLS = l.Addr().String(), "gw.example", smtp.TLSOff
			c := smtp.NewClient(cfg)
			tx, _, err := c.Begin(t.Context(), ann, smtp.MailOptions{}, toBob)
			if _, ok := errors.AsType[*smtp.ReplyError](err); ok != tc.refused {
				t.Errorf("got %v, want refused: %v", err, tc.refused)
			}
			if err == nil {
				tx.Reset(t.Context())
			}
			r, err := offer(t, c, smtp.MailOptions{}).Send(t.Context(), nil, strings.NewReader("x\r\n"))
			if err != nil || r.Text != "second is its own" {
				t.Errorf("second message: got %+v, %v", r, err)
			}
			c.Close()
			l.Close()
			hops.Wait()
			if together != tc.together || conns != tc.conns {
				t.Errorf("got together %v over %d connections, want %v over %d", together, conns, tc.together, tc.conns)
			}
		})
	}
}

// TestClientHoldsBackWhatIsNotTaken: a recipient outside ASCII is not said to a
// next hop without SMTPUTF8, not even together with MAIL.
func TestClientHoldsBackWhatIsNotTaken(t *testing.T) {
	h := &wireHop{ext: []string{"PIPELINING"}}
	c := h.client(t, nil)
	wide := smtp.Recipient{Addr: dlp.Address{Local: "gr\u00fcn", Domain: "out.test"}}
	tx, r, err := c.Begin(t.Context(), ann, smtp.MailOptions{}, wide)
	if err != nil || r.Code != 553 || r.Enhanced != "5.6.7" {
		t.Fatalf("got %+v, %v; want 553 5.6.7", r, err)
	}
	if err := tx.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := h.said(), "MAIL FROM:<ann@clinic.example>|RSET"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}
