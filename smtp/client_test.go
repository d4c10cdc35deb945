package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

var (
	ann = dlp.Address{Local: "ann", Domain: "clinic.example"}
	bob = dlp.Address{Local: "bob", Domain: "out.test"}

	toBob = smtp.Recipient{Addr: bob}
)

// dialer returns a Client for h.
func (h *wireHop) client(t *testing.T, change func(*smtp.ClientConfig)) *smtp.Client {
	t.Helper()
	cfg := smtp.DefaultClient()
	cfg.Addr, cfg.Hostname, cfg.TLS = h.listen(t), "gw.example", smtp.TLSOff
	if change != nil {
		change(&cfg)
	}
	c := smtp.NewClient(cfg)
	t.Cleanup(func() { c.Close() })
	return c
}

// offer begins a transaction for bob.
func offer(t *testing.T, c *smtp.Client, opt smtp.MailOptions) smtp.Transaction {
	t.Helper()
	tx, r, err := c.Begin(t.Context(), ann, opt, toBob)
	if err != nil || r.Code != 250 {
		t.Fatalf("Begin: %+v, %v", r, err)
	}
	return tx
}

func TestClientSends(t *testing.T) {
	h := &wireHop{ext: []string{"8BITMIME", "SIZE 10000000", "PIPELINING"}}
	c := h.client(t, nil)
	for i, n := range []int{0, 100, 100_000, 2_000_000} {
		body := randomBody(uint64(i), n)
		tx := offer(t, c, smtp.MailOptions{Size: int64(n), MailParams: dlp.MailParams{Body: "8BITMIME"}})
		r, err := tx.Send(t.Context(), []byte("X-Front: 1\r\n"), bytes.NewReader(body))
		if want := (dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "queued as 7"}); err != nil || r != want {
			t.Fatalf("got %+v, %v, want %+v", r, err, want)
		}
		_, _, bodies := h.seen()
		got, rest, done, err := smtp.Unstuff([]byte(bodies[i]), []int{1 << 20})
		if !done || len(rest) > 0 || err != nil {
			t.Fatalf("wire form does not end at its end: %v", err)
		}
		same(t, "body", string(got), "X-Front: 1\r\n"+string(body))
	}
	conns, lines, _ := h.seen()
	if conns != 1 {
		t.Errorf("got %d connections, want 1", conns)
	}
	want := "EHLO gw.example|MAIL FROM:<ann@clinic.example> BODY=8BITMIME|RCPT TO:<bob@out.test>|DATA|MAIL FROM:<ann@clinic.example> SIZE=100 BODY=8BITMIME|"
	if got := strings.Join(lines, "|"); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

func TestClientQuotesAddresses(t *testing.T) {
	h := &wireHop{}
	c := h.client(t, nil)
	tx, _, err := c.Begin(t.Context(), dlp.Address{}, smtp.MailOptions{Size: 5, MailParams: dlp.MailParams{Body: "8BITMIME"}},
		smtp.Recipient{Addr: dlp.Address{Local: `a "b`, Domain: "out.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, lines, _ := h.seen()
	want := `EHLO gw.example|MAIL FROM:<>|RCPT TO:<"a \"b"@out.test>|RSET`
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClientRefusals(t *testing.T) {
	at := func(command, reply string) func(int, string) string {
		return func(_ int, got string) string {
			if got == command || command != "" && strings.HasPrefix(got, command+" ") {
				return reply
			}
			return ""
		}
	}
	send := func(ctx context.Context, c *smtp.Client) (step string, r dlp.Reply, err error) {
		tx, r, err := c.Begin(ctx, ann, smtp.MailOptions{}, toBob)
		switch {
		case err != nil:
			return "MAIL", r, err
		case !r.Positive():
			return "RCPT", r, nil
		}
		r, err = tx.Send(ctx, nil, strings.NewReader("x\r\n"))
		return "dot", r, err
	}
	for _, tc := range []struct {
		name string
		on   func(int, string) string
		step string
		want string // the reply; "" an error that is no reply
		dot  bool   // the error says the message may have been taken
	}{
		{"greeting 554", at("", "554 5.3.2 go away"), "MAIL", "", false},
		{"greeting 421", at("", "421 4.3.2 busy"), "MAIL", "", false},
		{"greeting closed", at("", hangUp), "MAIL", "", false},
		{"greeting of another protocol", at("", "SSH-2.0-x"), "MAIL", "", false},
		{"EHLO 421", at("EHLO", "421 4.3.2 busy"), "MAIL", "", false},
		{"EHLO 554", at("EHLO", "554 5.7.1 no"), "MAIL", "", false},
		{"MAIL 550", at("MAIL", "550-5.1.8 no\n550 5.1.8 such sender"), "MAIL", "550 5.1.8 no\nsuch sender", false},
		{"MAIL 451 without an enhanced code", at("MAIL", "451 later"), "MAIL", "451  later", false},
		{"MAIL closed", at("MAIL", hangUp), "MAIL", "", false},
		{"MAIL 354", at("MAIL", "354 what"), "MAIL", "", false},
		{"RCPT 550", at("RCPT", "550 5.1.1 unknown"), "RCPT", "550 5.1.1 unknown", false},
		{"RCPT 421", at("RCPT", "421 4.3.2 bye"), "RCPT", "421 4.3.2 bye", false},
		{"RCPT closed", at("RCPT", hangUp), "MAIL", "", false},
		{"RCPT codes differ", at("RCPT", "250-a\n550 b"), "MAIL", "", false},
		{"DATA 554", at("DATA", "554 5.5.1 no"), "dot", "554 5.5.1 no", false},
		{"DATA 250", at("DATA", "250 what"), "dot", "", false},
		{"DATA closed", at("DATA", hangUp), "dot", "", false},
		{"dot 451", at(".", "451 4.3.0 later"), "dot", "451 4.3.0 later", false},
		{"dot 554", at(".", "554 5.6.0 no"), "dot", "554 5.6.0 no", false},
		{"dot closed", at(".", hangUp), "dot", "", true},
		{"dot 354", at(".", "354 what"), "dot", "", true},
		{"dot with an endless line", at(".", "250 "+strings.Repeat("x", 1<<20)), "dot", "", true},
		{"dot with endless lines", at(".", strings.Repeat("250-x\n", 1000)+"250 x"), "dot", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{on: tc.on}
			step, r, err := send(t.Context(), h.client(t, nil))
			if re, ok := errors.AsType[*smtp.ReplyError](err); ok {
				r, err = re.Reply, nil
				if strings.Contains(re.Error(), "such sender") {
					t.Error("the error tells the next hop's text")
				}
			}
			got := ""
			if err == nil {
				got = fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text)
			}
			if step != tc.step || got != tc.want {
				t.Errorf("got %q at %s (%v), want %q at %s", got, step, err, tc.want, tc.step)
			}
			if se, ok := errors.AsType[*dlp.SendError](err); tc.step == "dot" && tc.want == "" && (!ok || se.AfterDot != tc.dot) {
				t.Errorf("got %v, want a SendError after the dot: %v", err, tc.dot)
			}
		})
	}
}

// TestClientReuse: what happens to the second message over the same Client.
func TestClientReuse(t *testing.T) {
	second := func(command, reply string) func(int, string) string {
		var mu sync.Mutex
		mails := 0
		return func(conn int, got string) string {
			mu.Lock()
			defer mu.Unlock()
			if strings.HasPrefix(got, "MAIL") {
				mails++
			}
			if conn == 1 && mails == 2 && strings.HasPrefix(got, command) {
				return reply
			}
			return ""
		}
	}
	for _, tc := range []struct {
		name  string
		on    func(int, string) string
		conns int
		want  bool // the second message is delivered
	}{
		{"kept", nil, 1, true},
		{"closed while idle", second("MAIL", hangUp), 2, true},
		{"answered twice", func(conn int, got string) string {
			if conn == 1 && got == "." {
				return "250 2.0.0 OK\n250 2.0.0 OK"
			}
			return ""
		}, 2, true},
		{"421 to MAIL", second("MAIL", "421 4.4.2 idle too long"), 2, true},
		{"503 to MAIL", second("MAIL", "503 5.5.1 nested MAIL command"), 2, true},
		{"refused", second("MAIL", "550 5.1.8 no"), 1, false},
		{"closed after MAIL was accepted", second("RCPT", hangUp), 1, false},
		{"closed after the dot", second(".", hangUp), 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{on: tc.on}
			c := h.client(t, nil)
			delivered := func() bool {
				ds := smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))
				return ds[0].Err == nil && ds[0].Reply.Positive()
			}
			if !delivered() {
				t.Fatal("the first message was not delivered")
			}
			if got := delivered(); got != tc.want {
				t.Errorf("second message delivered: got %v, want %v", got, tc.want)
			}
			if conns, _, _ := h.seen(); conns != tc.conns {
				t.Errorf("got %d connections, want %d", conns, tc.conns)
			}
		})
	}
}

func source(body string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
}

func TestClientAfterRefusals(t *testing.T) {
	h := &wireHop{on: func(_ int, c string) string {
		switch {
		case c == ".":
			return "450 4.0.0 no"
		case strings.HasPrefix(c, "RCPT TO:<no@"):
			return "550 5.0.0 no"
		}
		return ""
	}}
	c := h.client(t, nil)
	for range 3 {
		ds := smtp.Deliver(t.Context(), c, ann, []dlp.Address{{Local: "no", Domain: "out.test"}, bob}, nil, smtp.MailOptions{}, source("x\r\n"))
		for i, want := range []int{550, 450} {
			if d := ds[i]; d.Err != nil || d.Reply.Code != want {
				t.Errorf("got %+v, want %d", d, want)
			}
		}
	}
	if conns, _, _ := h.seen(); conns != 1 {
		t.Errorf("got %d connections, want 1: these refusals are no reason to close", conns)
	}
}

func TestClientGuards(t *testing.T) {
	seekable := func(s string) io.Reader { return strings.NewReader(s) }
	stream := func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }
	for _, tc := range []struct {
		name string
		ext  []string
		body io.Reader
		want string
		data bool // DATA was sent
	}{
		{"larger than SIZE", []string{"SIZE 50"}, seekable(strings.Repeat("x", 60)), "552 5.3.4", false},
		{"within SIZE", []string{"SIZE 50"}, seekable("x\r\n"), "250 2.0.0", true},
		{"SIZE 0 is no limit", []string{"SIZE 0"}, seekable(strings.Repeat("x", 60)), "250 2.0.0", true},
		{"8-bit data, no 8BITMIME", nil, seekable("gr\u00fcn\r\n"), "554 5.6.3", false},
		{"8-bit data, no 8BITMIME, a stream", nil, stream("gr\u00fcn\r\n"), "554 5.6.3", true},
		{"8-bit data, 8BITMIME", []string{"8BITMIME"}, seekable("gr\u00fcn\r\n"), "250 2.0.0", true},
		{"declared 8-bit, but is not", nil, seekable("green\r\n"), "250 2.0.0", true},
		{"LF.LF", nil, seekable("a\n.\nb\r\n"), "554 5.6.0", true},
		{"CR.CRLF", nil, seekable("a\r.\r\nb\r\n"), "554 5.6.0", true},
		{"CR at the end", nil, seekable("a\r"), "554 5.6.0", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: tc.ext}
			c := h.client(t, nil)
			tx := offer(t, c, smtp.MailOptions{MailParams: dlp.MailParams{Body: "8BITMIME"}})
			r, err := tx.Send(t.Context(), nil, tc.body)
			if got := fmt.Sprintf("%d %s", r.Code, r.Enhanced); err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
			_, lines, bodies := h.seen()
			if got := strings.Contains(strings.Join(lines, "|"), "DATA"); got != tc.data {
				t.Errorf("DATA sent: got %v, want %v", got, tc.data)
			}
			if got := len(bodies) == 1; got != strings.HasPrefix(tc.want, "250") {
				t.Errorf("end mark sent: got %v", got)
			}
		})
	}
	t.Run("declared larger than SIZE", func(t *testing.T) {
		h := &wireHop{ext: []string{"SIZE 50"}}
		_, _, err := h.client(t, nil).Begin(t.Context(), ann, smtp.MailOptions{Size: 51}, toBob)
		if re, ok := errors.AsType[*smtp.ReplyError](err); !ok || re.Code != 552 || re.Enhanced != "5.3.4" {
			t.Errorf("got %v, want 552 5.3.4", err)
		}
	})
	t.Run("larger than SIZE by its trace fields", func(t *testing.T) {
		h := &wireHop{ext: []string{"SIZE 50"}}
		r, err := offer(t, h.client(t, nil), smtp.MailOptions{}).Send(t.Context(), []byte("X: y\r\n"), seekable(strings.Repeat("x", 46)))
		if _, lines, _ := h.seen(); err != nil || r.Code != 552 || strings.Contains(strings.Join(lines, "|"), "DATA") {
			t.Errorf("got %+v, %v, behind %q, want 552 before DATA", r, err, lines)
		}
	})
	t.Run("our own copy cannot be read", func(t *testing.T) {
		for _, why := range unreadable() {
			h := &wireHop{ext: []string{"8BITMIME"}}
			tx := offer(t, h.client(t, nil), smtp.MailOptions{})
			_, err := tx.Send(t.Context(), nil, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(why)))
			if se, ok := errors.AsType[*dlp.SendError](err); !ok || se.AfterDot {
				t.Errorf("%v: got %v, want a SendError before the dot", why, err)
			}
			h.wait(t, func() bool { _, _, bodies := h.seen(); return len(bodies) == 0 })
		}
	})
}

func (h *wireHop) wait(t *testing.T, ok func() bool) {
	t.Helper()
	eventually(t, "the next hop", ok)
}

// unreadable are the errors of a reader that has not come to its end, which
// io.EOF alone says.
func unreadable() []error {
	return []error{errors.New("disk failed"), io.ErrUnexpectedEOF, fmt.Errorf("read: %w", io.EOF)}
}

func TestClientEarlyRefusal(t *testing.T) {
	// The next hop refuses in the middle of a large message and closes.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		br := bufio.NewReader(conn)
		io.WriteString(conn, "220 hop.test\r\n")
		for _, r := range []string{"250 hop.test", "250 ok", "250 ok", "354 go"} {
			br.ReadString('\n')
			io.WriteString(conn, r+"\r\n")
		}
		br.ReadString('\n')
		io.WriteString(conn, "552 5.3.4 enough\r\n")
		conn.(*net.TCPConn).CloseWrite()
		io.CopyN(io.Discard, br, 8<<20)
	})
	cfg := smtp.DefaultClient()
	cfg.Addr, cfg.Hostname, cfg.TLS = l.Addr().String(), "gw.example", smtp.TLSOff
	c := smtp.NewClient(cfg)
	defer c.Close()
	tx := offer(t, c, smtp.MailOptions{})
	r, err := tx.Send(t.Context(), nil, io.MultiReader(bytes.NewReader(bytes.Repeat([]byte("0123456789abcde\r\n"), 2<<20))))
	if se, ok := errors.AsType[*dlp.SendError](err); !ok && r.Code != 552 || ok && se.AfterDot {
		t.Errorf("got %+v, %v, want 552 or an error before the dot", r, err)
	}
}

func TestClientTLS(t *testing.T) {
	for _, tc := range []struct {
		name, mode string
		hop        *wireHop
		secured    bool
		ok         bool
	}{
		{"off, offered", smtp.TLSOff, &wireHop{ext: []string{"STARTTLS"}, tls: certificate(t)}, false, true},
		{"opportunistic, offered", smtp.TLSOpportunistic, &wireHop{ext: []string{"STARTTLS"}, tls: certificate(t)}, true, true},
		{"opportunistic, not offered", smtp.TLSOpportunistic, &wireHop{}, false, true},
		{"opportunistic, refused", smtp.TLSOpportunistic, &wireHop{ext: []string{"STARTTLS"}, on: func(_ int, c string) string {
			if c == "STARTTLS" {
				return "454 4.7.0 not now"
			}
			return ""
		}}, false, false},
		{"opportunistic, broken handshake", smtp.TLSOpportunistic, &wireHop{ext: []string{"STARTTLS"}}, false, false},
		{"required, offered", smtp.TLSRequired, &wireHop{ext: []string{"STARTTLS"}, tls: certificate(t)}, true, true},
		{"required, stripped", smtp.TLSRequired, &wireHop{}, false, false},
		{"required, no EHLO", smtp.TLSRequired, &wireHop{on: func(_ int, c string) string {
			if strings.HasPrefix(c, "EHLO") {
				return "500 5.5.1 what"
			}
			return ""
		}}, false, false},
		{"answers injected behind STARTTLS", smtp.TLSRequired, &wireHop{ext: []string{"STARTTLS"}, tls: certificate(t), on: func(_ int, c string) string {
			if c == "STARTTLS" {
				return "220 Go\n250 ok"
			}
			return ""
		}}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := tc.hop.client(t, func(cfg *smtp.ClientConfig) { cfg.TLS = tc.mode })
			_, _, err := c.Begin(t.Context(), ann, smtp.MailOptions{}, toBob)
			if (err == nil) != tc.ok {
				t.Errorf("got %v, want ok %v", err, tc.ok)
			}
			if _, ok := errors.AsType[*smtp.ReplyError](err); ok {
				t.Errorf("got %v: a failure of TLS is no refusal of the message", err)
			}
			_, lines, _ := tc.hop.seen()
			all := strings.Join(lines, "|")
			if got := strings.Count(all, "EHLO") == 2 && strings.Contains(all, "STARTTLS"); got != tc.secured {
				t.Errorf("secured: got %v (%s), want %v", got, all, tc.secured)
			}
			if !tc.ok && strings.Contains(all, "MAIL") {
				t.Errorf("an envelope in the clear: %s", all)
			}
		})
	}
}

func TestClientFallsBackToHELO(t *testing.T) {
	h := &wireHop{on: func(_ int, c string) string {
		if strings.HasPrefix(c, "EHLO") {
			return "502 what"
		}
		return ""
	}}
	tx := offer(t, h.client(t, nil), smtp.MailOptions{Size: 5, MailParams: dlp.MailParams{Body: "8BITMIME"}})
	if r, err := tx.Send(t.Context(), nil, strings.NewReader("x\r\n")); err != nil || r.Code != 250 {
		t.Errorf("got %+v, %v", r, err)
	}
	_, lines, _ := h.seen()
	if got := strings.Join(lines, "|"); !strings.Contains(got, "HELO gw.example|MAIL FROM:<ann@clinic.example>|") {
		t.Errorf("got %q", got)
	}
}

// TestClientTimeouts: every wait for the next hop has an end.
func TestClientTimeouts(t *testing.T) {
	for _, tc := range []struct {
		at   string
		most time.Duration
	}{
		{"", 30 * time.Second}, {"EHLO", 30 * time.Second}, {"MAIL", 2 * time.Minute}, {"RCPT", 2 * time.Minute},
		{"DATA", 2 * time.Minute}, {".", 5 * time.Minute},
	} {
		for _, how := range []string{silence, trickle} {
			t.Run(how+" at "+tc.at, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { outwaits(t, tc.at, how, tc.most) }) })
		}
	}
}

// outwaits delivers to a next hop that does how at a command, and holds that it is
// given up within most.
func outwaits(t *testing.T, at, how string, most time.Duration) {
	t.Helper()
	h := &wireHop{on: func(_ int, c string) string {
		if verb, _, _ := strings.Cut(c, " "); verb == at {
			return how
		}
		return ""
	}}
	cfg := smtp.DefaultClient()
	cfg.Addr, cfg.Hostname, cfg.TLS = "hop.test:25", "gw.example", smtp.TLSOff
	cfg.Dial = h.pipe
	c := smtp.NewClient(cfg)
	start := time.Now()
	ds := smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))
	if ds[0].Err == nil {
		t.Errorf("got %+v, want an error", ds[0].Reply)
	}
	if got := time.Since(start); got > most {
		t.Errorf("waited %v, want at most %v", got, most)
	}
	c.Close()
	h.wg.Wait()
	if conns, _, _ := h.seen(); conns != 1 {
		t.Errorf("got %d connections, want 1", conns)
	}
}

// pipe is a Dial to h in memory.
func (h *wireHop) pipe(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	h.wg.Go(func() { h.serve(b) })
	return a, nil
}

func TestClientIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &wireHop{}
		cfg := smtp.DefaultClient()
		cfg.Addr, cfg.Hostname, cfg.TLS, cfg.Dial, cfg.MaxIdle = "hop.test:25", "gw.example", smtp.TLSOff, h.pipe, 1
		c := smtp.NewClient(cfg)
		a, b := offer(t, c, smtp.MailOptions{}), offer(t, c, smtp.MailOptions{})
		a.Reset(t.Context())
		b.Reset(t.Context()) // one too many: closed at once
		synctest.Wait()
		count := func() int { _, lines, _ := h.seen(); return strings.Count(strings.Join(lines, "|"), "QUIT") }
		if got := count(); got != 1 {
			t.Errorf("got %d connections closed, want 1", got)
		}
		time.Sleep(cfg.IdleTimeout)
		synctest.Wait()
		if got := count(); got != 2 {
			t.Errorf("got %d connections closed after the idle time, want 2", got)
		}
		c.Close()
		h.wg.Wait()
	})
}

// TestClientBreaker: fifty sessions do not each wait for a dead next hop.
func TestClientBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		dials, dead := 0, true
		h := &wireHop{}
		cfg := smtp.DefaultClient()
		cfg.Addr, cfg.Hostname, cfg.TLS = "hop.test:25", "gw.example", smtp.TLSOff
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			dials++
			isDead := dead
			mu.Unlock()
			if isDead {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return h.pipe(ctx, network, addr)
		}
		c := smtp.NewClient(cfg)
		start := time.Now()
		for range 50 {
			if _, _, err := c.Begin(t.Context(), ann, smtp.MailOptions{}, toBob); err == nil {
				t.Fatal("a dead next hop was reached")
			}
		}
		if got := time.Since(start); got > 3*cfg.ConnectTimeout || dials > 3 {
			t.Errorf("fifty sessions waited %v over %d dials", got, dials)
		}
		mu.Lock()
		dead = false
		mu.Unlock()
		time.Sleep(time.Second)
		tx := offer(t, c, smtp.MailOptions{})
		tx.Reset(t.Context())
		c.Close()
		h.wg.Wait()
	})
}

func TestBreaker(t *testing.T) {
	var b smtp.Breaker
	now := time.Unix(0, 0)
	for range 3 {
		if !b.Allow(now) {
			t.Fatal("closed too early")
		}
		b.Failure(now)
	}
	pause := time.Second
	for range 10 {
		if b.Allow(now.Add(pause - 1)) {
			t.Fatalf("tried before %v were over", pause)
		}
		now = now.Add(pause)
		if !b.Allow(now) {
			t.Fatalf("not tried after %v", pause)
		}
		if b.Allow(now) {
			t.Fatal("tried twice at once")
		}
		b.Failure(now)
		pause = min(2*pause, 30*time.Second)
	}
	now = now.Add(pause)
	if !b.Allow(now) {
		t.Fatal("not tried")
	}
	b.Success()
	for range 2 {
		if !b.Allow(now) {
			t.Error("still closed after a success")
		}
	}
}
