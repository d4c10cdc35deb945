package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func TestDeliver(t *testing.T) {
	no := dlp.Address{Local: "no", Domain: "out.test"}
	later := dlp.Address{Local: "later", Domain: "out.test"}
	on := func(_ int, c string) string {
		switch c {
		case "RCPT TO:<no@out.test>":
			return "550 5.1.1 unknown"
		case "RCPT TO:<later@out.test>":
			return "451 4.2.0 greylisted"
		case "RCPT TO:<dead@out.test>":
			return hangUp
		case "MAIL FROM:<bad@clinic.example>":
			return "553 5.1.8 no"
		}
		return ""
	}
	gone := func() (io.ReadCloser, error) { return nil, errors.New("gone") }
	for _, tc := range []struct {
		name  string
		from  dlp.Address
		rcpts []dlp.Address
		open  func() (io.ReadCloser, error)
		want  string
		sent  int
	}{
		{"each its own", ann, []dlp.Address{no, bob, later}, source("x\r\n"), "550 250 451", 1},
		{"none accepted", ann, []dlp.Address{no, later}, source("x"), "550 451", 0},
		{"sender refused", dlp.Address{Local: "bad", Domain: "clinic.example"}, []dlp.Address{no, bob}, source("x"), "553 553", 0},
		{"lost on the way", ann, []dlp.Address{no, bob, {Local: "dead", Domain: "out.test"}, later}, source("x"), "550 error error error", 0},
		{"lost, none accepted yet", ann, []dlp.Address{no, {Local: "dead", Domain: "out.test"}}, source("x"), "550 error", 0},
		{"not readable", ann, []dlp.Address{no, bob}, gone, "error error", 0},
		{"nobody", ann, nil, nil, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{on: on}
			ds := smtp.Deliver(t.Context(), h.client(t, nil), tc.from, tc.rcpts, nil, smtp.MailOptions{}, tc.open)
			var got []string
			for i, d := range ds {
				if d.Rcpt != tc.rcpts[i] {
					t.Errorf("got %v at %d, want %v", d.Rcpt, i, tc.rcpts[i])
				}
				if d.Err != nil {
					got = append(got, "error")
				} else {
					got = append(got, fmt.Sprint(d.Reply.Code))
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
			if _, _, bodies := h.seen(); len(bodies) != tc.sent {
				t.Errorf("got %d messages sent, want %d", len(bodies), tc.sent)
			}
		})
	}
	t.Run("next hop down", func(t *testing.T) {
		h := &wireHop{on: func(int, string) string { return hangUp }}
		ds := smtp.Deliver(t.Context(), h.client(t, nil), ann, []dlp.Address{bob, no}, nil, smtp.MailOptions{}, source("x"))
		if ds[0].Err == nil || ds[1].Err == nil {
			t.Errorf("got %+v", ds)
		}
	})
}

// TestDeliverDeclares: what the envelope does not say is found in the message.
func TestDeliverDeclares(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		opt        smtp.MailOptions
		want       string
	}{
		{"7-bit", "x\r\n", smtp.MailOptions{}, " SIZE=3"},
		{"8-bit", "gr\u00fcn\r\n", smtp.MailOptions{}, " SIZE=7 BODY=8BITMIME"},
		{"said before", "x\r\n", smtp.MailOptions{Size: 9, MailParams: dlp.MailParams{Body: "8BITMIME"}}, " SIZE=9 BODY=8BITMIME"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: []string{"8BITMIME", "SIZE"}}
			ds := smtp.Deliver(t.Context(), h.client(t, nil), ann, []dlp.Address{bob}, nil, tc.opt, source(tc.body))
			if ds[0].Err != nil || ds[0].Reply.Code != 250 {
				t.Errorf("got %+v", ds[0])
			}
			_, lines, bodies := h.seen()
			if want := "MAIL FROM:<ann@clinic.example>" + tc.want; lines[1] != want {
				t.Errorf("got %q, want %q", lines[1], want)
			}
			same(t, "body", bodies[0], tc.body+".\r\n")
		})
	}
}

// TestDeliverNamesTheStep: an error names the step at which there was no reply,
// and that a next hop was not tried.
func TestDeliverNamesTheStep(t *testing.T) {
	at := func(command string) func(int, string) string {
		return func(_ int, c string) string {
			if verb, _, _ := strings.Cut(c, " "); verb == command {
				return hangUp
			}
			return ""
		}
	}
	for _, tt := range []struct {
		step string
		on   func(int, string) string
		set  func(*smtp.ClientConfig)
	}{
		{"connect", nil, func(c *smtp.ClientConfig) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		}},
		{"greeting", at(""), nil},
		{"ehlo", at("EHLO"), nil},
		{"tls", nil, func(c *smtp.ClientConfig) { c.TLS = smtp.TLSRequired }},
		{"mail", at("MAIL"), nil},
		{"rcpt", at("RCPT"), nil},
		{"data", at("DATA"), nil},
		{"dot", at("."), nil},
	} {
		t.Run(tt.step, func(t *testing.T) {
			h := &wireHop{on: tt.on}
			c := h.client(t, tt.set)
			try := func() string {
				d := smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))[0]
				e, ok := errors.AsType[*dlp.StageError](d.Err)
				if !ok {
					t.Fatalf("got %v, which names no step", d.Err)
				}
				return e.At
			}
			for range 3 {
				if got := try(); got != tt.step {
					t.Errorf("got %q, want %q", got, tt.step)
				}
			}
			if !c.Down() {
				return
			}
			if got := try(); got != "down" {
				t.Errorf("while it counts as down: got %q", got)
			}
		})
	}
}
