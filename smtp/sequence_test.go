package smtp_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// TestClientOutOfSequence: 503 on a connection that is used again is no answer
// to a message, and bounces none. On a fresh one it is passed on like any other
// refusal.
func TestClientOutOfSequence(t *testing.T) {
	const no = "503 5.5.1 bad sequence"
	for _, tc := range []struct {
		name, at string
		sent     bool // on a kept connection: by a fresh one, without the client's knowing
		dot      bool // the end of data had been sent
	}{
		{"the first RCPT", "RCPT TO:<bob@", true, false},
		{"a later RCPT", "RCPT TO:<cid@", false, false},
		{"DATA", "DATA", false, false},
		{"a chunk", "BDAT 65536", false, false},
		{"the end of data", ".", false, true},
		{"the last chunk", "BDAT 1 LAST", false, true},
	} {
		for _, kept := range []bool{true, false} {
			t.Run(tc.name+map[bool]string{true: ", kept", false: ", fresh"}[kept], func(t *testing.T) {
				opt, body := smtp.MailOptions{}, "x\r\n"
				if strings.Contains(tc.at, "BDAT") {
					opt.Body, body = "BINARYMIME", strings.Repeat("x", 64<<10+1)
				}
				var mu sync.Mutex
				armed := false
				h := &wireHop{ext: []string{"CHUNKING", "BINARYMIME"}, on: func(conn int, got string) string {
					mu.Lock()
					defer mu.Unlock()
					if armed && conn == 1 && strings.HasPrefix(got, tc.at) {
						return no
					}
					return ""
				}}
				c := h.client(t, nil)
				deliver := func() []dlp.Delivery {
					return smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob, {Local: "cid", Domain: "out.test"}}, nil, opt, source(body))
				}
				if kept {
					deliver()
				}
				mu.Lock()
				armed = true
				mu.Unlock()
				ds := deliver()
				last := ds[1]
				switch {
				case !kept:
					who := last
					if tc.sent {
						who = ds[0]
					}
					if who.Err != nil || who.Reply.Code != 503 {
						t.Errorf("got %+v, %v; want the next hop's own 503", who.Reply, who.Err)
					}
					return
				case tc.sent:
					if ds[0].Err != nil || ds[0].Reply.Code != 250 {
						t.Errorf("got %+v, %v; want it sent by a fresh connection", ds[0].Reply, ds[0].Err)
					}
				case ds[0].Err == nil || last.Err == nil:
					t.Errorf("got %+v and %+v, want an error for both", ds[0].Reply, last.Reply)
				}
				if se, ok := errors.AsType[*dlp.SendError](last.Err); tc.dot && (!ok || !se.AfterDot) {
					t.Errorf("got %v, want a SendError after the dot", last.Err)
				}
				if ds = deliver(); ds[0].Err != nil || ds[0].Reply.Code != 250 {
					t.Errorf("the next message: got %+v, %v", ds[0].Reply, ds[0].Err)
				}
				if conns, _, _ := h.seen(); conns != 2 {
					t.Errorf("got %d connections, want 2: one that is out of sequence is not used again", conns)
				}
			})
		}
	}
}

// TestClientStrayRefusal: what the next hop says before any of the message has
// left refuses nothing; over TLS too.
func TestClientStrayRefusal(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(map[bool]string{true: "TLS", false: "in the clear"}[secured], func(t *testing.T) {
			conns := make(chan net.Conn, 10)
			h := &wireHop{took: func(c net.Conn) { conns <- c }}
			if secured {
				h.ext, h.tls = []string{"STARTTLS"}, certificate(t)
			}
			tx := offer(t, h.client(t, func(cfg *smtp.ClientConfig) { cfg.TLS = smtp.TLSOpportunistic }), smtp.MailOptions{})
			conn := <-conns
			for _, is := conn.(*tls.Conn); is != secured; _, is = conn.(*tls.Conn) {
				conn = <-conns
			}
			said := false
			r, err := tx.Send(t.Context(), nil, readerFunc(func(p []byte) (int, error) { // it has said 354
				if said {
					return 0, io.EOF
				}
				said = true
				io.WriteString(conn, "550 5.7.1 stray\r\n")
				eventually(t, "more than was asked", func() bool { return !smtp.TxQuiet(tx) })
				return copy(p, "x\r\n"), nil
			}))
			if se, ok := errors.AsType[*dlp.SendError](err); !ok || se.AfterDot {
				t.Errorf("got %+v, %v; want a SendError before the dot", r, err)
			}
			if _, _, bodies := h.seen(); len(bodies) != 0 {
				t.Error("the message was sent to its end")
			}
		})
	}
}
