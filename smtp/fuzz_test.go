package smtp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/smtp"
)

// FuzzSession feeds a session whatever comes, at each kind of door. What is
// judged must have been ended by CRLF.CRLF or by a whole BDAT chunk, and every
// line back is a reply.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
		"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nBDAT 3\r\nabcBDAT 2 LAST\r\n\r\nQUIT\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\n.\r\nMAIL FROM:<e@f.test>\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 50 LAST\r\nshort",
		"BDAT 4\r\nNOOPNOOP\r\n",
	} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(strings.ReplaceAll(s, "EHLO", "LHLO")), uint8(1))
	}
	f.Add([]byte("XCLIENT ADDR=127.0.0.2 LOGIN=ann\r\nEHLO x\r\nXFORWARD NAME=a+20b ADDR=IPV6:::1\r\nMAIL FROM:<a@b.test>\r\n"), uint8(2))
	f.Add([]byte("PROXY TCP4 127.0.0.2 127.0.0.1 1 25\r\nEHLO x\r\nMAIL FROM:<\u00e4@b.test> SMTPUTF8 BODY=BINARYMIME\r\nRCPT TO:<c@d.test> NOTIFY=NEVER ORCPT=rfc822;a+2Bb\r\nBDAT 3 LAST\r\na\n."), uint8(3))
	cfg, deps := parts(f, &door{handler: &handler{}, hop: &memoryHop{}})
	cfg.XClientFrom, cfg.ProxyFrom = []string{"127.0.0.1"}, []string{"127.0.0.1"}
	kinds := []smtp.Door{{}, {Protocol: smtp.DoorLMTP}, {TLS: smtp.DoorTLSRequired}, {Proxy: true}}
	f.Fuzz(func(t *testing.T, in []byte, kind uint8) {
		d, out := converse(t, cfg, deps, kinds[int(kind)%len(kinds)], in)
		if len(out) == 0 { // no PROXY header: closed without a word
			return
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n"), "\r\n") {
			if len(line) < 4 || strings.Trim(line[:3], "0123456789") != "" || line[3] != ' ' && line[3] != '-' {
				t.Fatalf("got %q", line)
			}
		}
		for _, m := range d.hop.messages() {
			if len(m.rcpts) == 0 {
				t.Fatal("a message without recipients")
			}
			if _, err := smtp.Stuff([]byte(m.body), 7); err != nil && m.opt.Body != "BINARYMIME" {
				t.Fatalf("took %q, which cannot be sent on", m.body)
			}
			if strings.Count(string(in), "\r\n.\r\n")+strings.Count(strings.ToUpper(string(in)), "LAST\r\n") < len(d.hop.messages()) {
				t.Fatalf("%d messages out of %q", len(d.hop.messages()), in)
			}
		}
	})
}

// converse leads one session whose client says in and nothing more, and returns
// what it was answered.
func converse(t *testing.T, cfg smtp.Config, deps smtp.Deps, as smtp.Door, in []byte) (*door, string) {
	t.Helper()
	d := &door{handler: &handler{}, hop: &memoryHop{}}
	deps.Handler, deps.NextHop = d.handler, d.hop
	s, err := smtp.NewServer(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	p := newPipes()
	var wg sync.WaitGroup
	wg.Go(func() { s.ServeDoor(context.Background(), p, as) })
	a, b := net.Pipe()
	p.conns <- halfClosed{fromLocal{b}, in, new(int)}
	a.SetDeadline(time.Now().Add(patience))
	out, err := io.ReadAll(a)
	if err != nil {
		t.Fatalf("the session did not end: %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	return d, string(out)
}

// halfClosed gives in and then the end of the stream; what is written goes
// through.
type halfClosed struct {
	net.Conn
	in []byte
	at *int
}

func (h halfClosed) Read(p []byte) (int, error) {
	if *h.at == len(h.in) {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 7)], h.in[*h.at:])
	*h.at += n
	return n, nil
}

// FuzzTransfer sends a body by DATA and by BDAT in pieces. What is taken comes
// out as it went in; the two take the same bodies, but for a last line without
// its end, which DATA cannot carry.
func FuzzTransfer(f *testing.F) {
	for _, s := range []string{"", "a\r\n", ".\r\n..\r\n", "a\nb\rc\r\n", "a\x00b", "Received: x\r\n\r\n.", "a\n.\r\nb\r\n", "a\r\r\n"} {
		f.Add([]byte(s), uint16(1))
		f.Add([]byte(s), uint16(5))
	}
	cfg, deps := parts(f, &door{handler: &handler{}, hop: &memoryHop{}})
	envelope := "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
	f.Fuzz(func(t *testing.T, body []byte, size uint16) {
		if len(body) > 1<<16 {
			return
		}
		send := func(in string) ([]message, bool) {
			d, out := converse(t, cfg, deps, smtp.Door{}, []byte(in))
			return d.hop.messages(), strings.Contains(out, "queued as 1A2B")
		}
		wire, err := smtp.Stuff(body, int(size))
		stuffed := err == nil
		if stuffed {
			got, taken := send(envelope + "DATA\r\n" + string(wire) + "QUIT\r\n")
			if len(got) != 1 || !taken || got[0].body != string(ended(body)) {
				t.Fatalf("DATA: got %+v, want %q", got, body)
			}
		}
		var chunks strings.Builder
		for rest := body; ; {
			n := min(len(rest), int(size)+1)
			last := map[bool]string{true: " LAST"}[n == len(rest)]
			fmt.Fprintf(&chunks, "BDAT %d%s\r\n%s", n, last, rest[:n])
			if rest = rest[n:]; last != "" {
				break
			}
		}
		got, taken := send(envelope + chunks.String() + "QUIT\r\n")
		if taken != stuffed || taken && (len(got) != 1 || !bytes.Equal([]byte(got[0].body), body)) {
			t.Fatalf("BDAT: got %+v, want %q, taken as by DATA: %v", got, body, stuffed)
		}
	})
}

// FuzzAttributes reads the argument of XCLIENT and XFORWARD: nothing that ends a
// command or a parameter comes out.
func FuzzAttributes(f *testing.F) {
	for _, s := range []string{"NAME=a.example ADDR=192.0.2.1 PORT=25", "ADDR=IPV6:2001:db8::1 LOGIN=ann+40x.test", "HELO=[UNAVAILABLE] PROTO=ESMTP", "NAME=a+0D+0Ab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, names := range []string{"NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", "NAME ADDR PORT PROTO HELO IDENT SOURCE"} {
			attrs, err := smtp.Attributes(s, names)
			if err != nil {
				continue
			}
			for k, v := range attrs {
				if !strings.Contains(" "+names+" ", " "+k+" ") || strings.ContainsAny(v, "\r\n\x00") || len(v) > 255 {
					t.Fatalf("%q: %q is %q", s, k, v)
				}
			}
		}
	})
}

// FuzzBdat reads the argument of BDAT: what is understood is written the same
// again.
func FuzzBdat(f *testing.F) {
	for _, s := range []string{"0", "86 LAST", "86 last", "99999999999999999999", "-1", "1 LAST x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, last, err := smtp.ParseBdat(s)
		if err != nil {
			return
		}
		again := fmt.Sprintf("%d%s", n, map[bool]string{true: " LAST"}[last])
		if m, l, err := smtp.ParseBdat(again); n < 0 || err != nil || m != n || l != last {
			t.Fatalf("%q reads as %d %v, and %q as %d %v, %v", s, n, last, again, m, l, err)
		}
	})
}

// FuzzUsers reads a users file: who is in it can be looked up, and nobody else.
func FuzzUsers(f *testing.F) {
	f.Add("$seed:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nann:SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("# nothing\n")
	f.Fuzz(func(t *testing.T, s string) {
		names, err := smtp.ParseUsers([]byte(s))
		if err != nil {
			return
		}
		for _, n := range names {
			if n == "" || strings.ContainsAny(n, ": \n") || !strings.Contains(s, n+":SCRAM-SHA-256$") {
				t.Fatalf("%q has a user %q", s, n)
			}
		}
	})
}
