package smtp_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/smtp"
)

// FuzzReply reads what a next hop may answer. What is taken for a reply has a
// code that there is, says nothing that could begin a line of its own when it
// is passed on, and reads back the same from there.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"250 2.0.0 taken\r\n", "250-hop.example\r\n250-SIZE 1000\r\n250 8BITMIME\r\n", "354 go\r\n", "451\r\n", "550-5.1.1 nobody\r\n550 5.1.1 here\r\n",
		"250-one\r\n451 two\r\n", "250 ok\rMAIL FROM:<a@b.test>\r\n", "999 no\r\n", "25\r\n", "250 a\x00b\r\n", "250 caf\xe9\r\n", "250 bare\n", strings.Repeat("250-x\r\n", 300),
		"250 " + strings.Repeat("x", 3000) + "\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := smtp.ReadReply(bytes.NewReader(in))
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 {
			t.Fatalf("code %d of %q", r.Code, in)
		}
		smtp.Learn(r.Text)
		wire := smtp.WireReply(r)
		if !strings.HasSuffix(wire, "\r\n") {
			t.Fatalf("%q is passed on as %q", in, wire)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(wire, "\r\n"), "\r\n") {
			if len(line) < 4 || line[:3] != wire[:3] || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("%q is passed on with a line %q", in, line)
			}
		}
		back, err := smtp.ReadReply(strings.NewReader(wire))
		if err != nil || back.Code != r.Code || smtp.WireReply(back) != wire {
			t.Fatalf("%q is passed on as %q, which reads as %+v, %v", in, wire, back, err)
		}
	})
}

// FuzzReceived counts Received fields in pieces of any size as a plain reading
// of the header does.
func FuzzReceived(f *testing.F) {
	for _, s := range []string{"Received: a\r\nRECEIVED : b\r\nSubject: x\r\n\r\nReceived: c\r\n", "Received-SPF: pass\r\n\r\n",
		"Subject:\r\n Received: x\r\n\r\n", "Received: a\nReceived: b\n\nReceived: c\n", "\r\r\nReceived: x\r\n", "received\t: a"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, msg []byte, size int) {
		want := 0
		for rest := msg; len(rest) > 0; {
			line, after, _ := bytes.Cut(rest, []byte{'\n'})
			if len(line) == 0 && len(after) < len(rest) || string(line) == "\r" && len(rest) > 1 {
				break
			}
			name := strings.ToLower(string(line[:min(len(line), len("received"))]))
			if name == "received" && len(line) > len(name) && strings.IndexByte(": \t", line[len(name)]) >= 0 {
				want++
			}
			rest = after
		}
		if got := smtp.Received(msg, size); got != want {
			t.Fatalf("in pieces of %d: %d, want %d in %q", size, got, want, msg)
		}
	})
}
