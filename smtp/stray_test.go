package smtp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

var (
	cid = dlp.Address{Local: "cid", Domain: "out.test"}
	dan = dlp.Address{Local: "dan", Domain: "out.test"}
)

// left reports whether err leaves a message open, and on which side of its end.
func left(err error, afterDot bool) bool {
	se, ok := errors.AsType[*dlp.SendError](err)
	return ok && se.AfterDot == afterDot
}

// TestClientStrayBesideAnAnswer: what TLS has read together with an answer, as a
// record of its own in the same segment, is no answer to what is said next.
func TestClientStrayBesideAnAnswer(t *testing.T) {
	for _, stray := range []string{"250 2.0.0 stray", "550 5.7.1 stray"} {
		for _, at := range []string{"RCPT", "DATA", "."} {
			t.Run(at+" "+stray, func(t *testing.T) {
				usual := map[string]string{"RCPT": "250 2.1.5 OK", "DATA": "354 Go", ".": "250 2.0.0 taken"}
				h := &wireHop{ext: []string{"STARTTLS"}, tls: certificate(t), on: func(conn int, got string) string {
					verb, _, _ := strings.Cut(got, " ")
					switch {
					case conn == 1 && verb == at:
						return usual[at] + beside + stray
					case conn == 1 && got == ".":
						return "451 4.3.0 not taken"
					}
					return ""
				}}
				c := h.client(t, func(cfg *smtp.ClientConfig) { cfg.TLS = smtp.TLSOpportunistic })
				deliver := func() dlp.Delivery {
					return smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))[0]
				}
				d := deliver()
				if at == "." {
					if d.Err != nil || d.Reply.Code != 250 {
						t.Errorf("got %+v, %v; want the answer to the message", d.Reply, d.Err)
					}
				} else if at == "RCPT" {
					if d.Err == nil || d.Reply.Code != 0 {
						t.Errorf("got %+v, %v; want no answer", d.Reply, d.Err)
					}
				} else if !left(d.Err, false) {
					t.Errorf("got %+v, %v; want a SendError before the dot", d.Reply, d.Err)
				}
				if d = deliver(); d.Err != nil || d.Reply.Code != 250 {
					t.Errorf("the next message: got %+v, %v", d.Reply, d.Err)
				}
				if conns, _, _ := h.seen(); conns != 2 {
					t.Errorf("got %d connections, want 2: one that is out of step is not used again", conns)
				}
			})
		}
	}
}

// TestClientGoodbyeIsNoAnswer: a greeting or a goodbye takes no message, and a
// refusal with another answer behind it is none.
func TestClientGoodbyeIsNoAnswer(t *testing.T) {
	for _, tc := range []struct {
		at, says string
		afterDot bool
	}{{".", "221 2.0.0 Bye", true}, {".", "220 hop", true}, {"RCPT", "221 2.0.0 Bye", false}, {"RCPT", "550 5.1.1 stray\n250 2.1.5 ok", false}} {
		h := &wireHop{on: func(_ int, got string) string {
			if verb, _, _ := strings.Cut(got, " "); verb == tc.at {
				return tc.says
			}
			return ""
		}}
		d := smtp.Deliver(t.Context(), h.client(t, nil), ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))[0]
		if d.Err == nil || d.Reply.Code != 0 || tc.afterDot && !left(d.Err, true) {
			t.Errorf("%s at %s: got %+v, %v; want no answer", tc.says, tc.at, d.Reply, d.Err)
		}
	}
}

// TestClientStrayBetweenChunks: what the next hop says between two chunks is not
// the answer to the last one.
func TestClientStrayBetweenChunks(t *testing.T) {
	var opt smtp.MailOptions
	opt.Body = "BINARYMIME"
	for _, stray := range []string{"250 2.0.0 stray", "550 5.7.1 stray"} {
		conns := make(chan net.Conn, 10)
		h := &wireHop{ext: []string{"CHUNKING", "BINARYMIME"}, took: func(c net.Conn) { conns <- c }, on: func(_ int, got string) string {
			if strings.HasSuffix(got, "LAST") {
				return "451 4.3.1 not taken"
			}
			return ""
		}}
		tx := offer(t, h.client(t, nil), opt)
		conn := <-conns
		n := 0
		r, err := tx.Send(t.Context(), nil, readerFunc(func(p []byte) (int, error) {
			if n++; n == 1 {
				return copy(p, strings.Repeat("x", len(p))), nil
			}
			io.WriteString(conn, stray+"\r\n") // the first chunk is answered
			eventually(t, "more than was asked", func() bool { return !smtp.TxQuiet(tx) })
			return 0, io.EOF
		}))
		if !left(err, false) {
			t.Errorf("%s: got %+v, %v; want a SendError before the end", stray, r, err)
		}
	}
}

// TestClientRefusalIsMeant: a refusal for good passes with its code if the next
// hop answers goodbye with goodbye, or closes. One behind which another answer
// comes was said out of turn: the message may have been taken.
func TestClientRefusalIsMeant(t *testing.T) {
	const no = "550 5.7.1 no"
	cancelled := "cancelled"
	for _, tc := range []struct {
		name, at, refusal, quit string
		meant                   bool
	}{
		{"goodbye", ".", no, "", true},
		{"closes", ".", no, hangUp, true},
		{"taken after all", ".", no, "250 2.0.0 taken\n221 2.0.0 Bye", false},
		{"taken, said at once", ".", no + "\n250 2.0.0 taken", "", false},
		{"not taken after all", ".", no, "451 4.3.0 not taken\n221 2.0.0 Bye", false},
		{"no answer to goodbye", ".", no, cancelled, false},
		{"no SMTP", ".", no, "what?", false},
		{"last chunk, goodbye", "BDAT 1 LAST", no, "", true},
		{"last chunk, taken after all", "BDAT 1 LAST", no, "250 2.0.0 taken\n221 2.0.0 Bye", false},
		{"chunk, goodbye", "BDAT 65536", no, "", true},
		{"chunk, taken after all", "BDAT 65536", no, "250 2.0.0 taken\n221 2.0.0 Bye", false},
		{"DATA, goodbye", "DATA", no, "", true},
		{"DATA, taken after all", "DATA", no, "354 Go", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := &wireHop{ext: []string{"CHUNKING", "BINARYMIME"}, on: func(_ int, got string) string {
				switch {
				case got == tc.at:
					return tc.refusal
				case got == "QUIT" && tc.quit == cancelled:
					cancel()
					return silence
				case got == "QUIT":
					return tc.quit
				}
				return ""
			}}
			opt, body := smtp.MailOptions{}, "x\r\n"
			if strings.HasPrefix(tc.at, "BDAT") {
				opt.Body, body = "BINARYMIME", strings.Repeat("x", 64<<10+1)
			}
			d := smtp.Deliver(ctx, h.client(t, nil), ann, []dlp.Address{bob}, nil, opt, source(body))[0]
			if tc.meant && (d.Err != nil || d.Reply.Code != 550 || d.Reply.Text != "no") {
				t.Errorf("got %+v, %v; want the refusal", d.Reply, d.Err)
			}
			if afterDot := tc.at == "." || strings.HasSuffix(tc.at, "LAST"); !tc.meant && !left(d.Err, afterDot) {
				t.Errorf("got %+v, %v; want a SendError, after the dot: %v", d.Reply, d.Err, afterDot)
			}
		})
	}
}

// TestLMTPOutOfStep: 503 for one recipient on a connection used before leaves
// that one open and no other; an answer too many leaves all open, since nobody
// knows whose each is.
func TestLMTPOutOfStep(t *testing.T) {
	for _, tc := range []struct {
		name, dot, quit string
		want            []int // codes, 0 for an error after the dot
	}{
		{"503 for one", "250 a\n503 5.5.1 b\n250 c", "", []int{250, 0, 250}},
		{"503 for the first", "503 5.5.1 a\n550 5.2.2 b\n250 c", "", []int{0, 550, 250}},
		{"one too many", "550 5.7.1 stray\n250 a\n250 b\n250 c", "", []int{0, 0, 0}},
		{"one too many, late", "503 5.5.1 stray\n250 a\n451 4.2.0 b", "250 c\n221 Bye", []int{0, 0, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			messages := 0
			h := &wireHop{on: func(_ int, got string) string {
				switch got {
				case "QUIT":
					return tc.quit
				case ".":
					if messages++; messages == 2 {
						return tc.dot
					}
					return "250 a\n250 b\n250 c"
				}
				return ""
			}}
			c := h.client(t, lmtp)
			for i, want := range [][]int{{250, 250, 250}, tc.want, {250, 250, 250}} {
				for j, d := range smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob, cid, dan}, nil, smtp.MailOptions{}, source("x\r\n")) {
					if d.Reply.Code != want[j] || want[j] == 0 && !left(d.Err, true) {
						t.Errorf("message %d, recipient %d: got %+v, %v; want %d", i+1, j+1, d.Reply, d.Err, want[j])
					}
				}
			}
		})
	}
}
