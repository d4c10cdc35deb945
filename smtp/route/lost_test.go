package route_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// TestLostAtRcpt: what becomes of the recipients when a next hop is lost, or
// closes, at one of them: with it go those whom it alone had accepted, and
// nobody who has another.
func TestLostAtRcpt(t *testing.T) {
	temper := func(to string) error {
		switch local, _, _ := strings.Cut(to, "@"); local {
		case "no":
			return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "unknown"}
		case "lost":
			return errHangUp
		case "closing":
			return &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "bye"}
		}
		return nil
	}
	a, b := (&server{rcpt: temper}).listen(t, "127.0.0.1", "0", nil), (&server{rcpt: temper}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, nil,
		smtp.Route{Recipients: []string{"a.example"}, NextHops: []string{a.addr}},
		smtp.Route{Recipients: []string{"b.example"}, NextHops: []string{b.addr}},
	)
	for _, tc := range []struct {
		name      string
		rcpts     string // "local@hop …"
		answers   string
		sent      string
		scattered bool
	}{
		{"the one hop, after it took one", "bob@a lost@a", "250 2.0.0|unreached", "unreached", false},
		{"the one hop, after it refused one", "no@a lost@a bob@b", "550 5.1.1|451 4.4.1|250 2.0.0", "250 2.0.0", false},
		{"and it is not asked again", "no@a lost@a cid@a bob@b", "550 5.1.1|451 4.4.1|451 4.4.1|250 2.0.0", "250 2.0.0", false},
		{"one of two, of which both took one", "bob@a bob@b lost@b cid@a", "250 2.0.0|250 2.0.0|451 4.4.1|250 2.0.0", "", true},
		{"the one hop closes", "closing@a", "421 4.3.2", "", false},
		{"one of two closes", "bob@a closing@b", "250 2.0.0|451 4.3.2", "250 2.0.0", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var rcpts []dlp.Address
			for w := range strings.FieldsSeq(tc.rcpts) {
				local, hop, _ := strings.Cut(w, "@")
				rcpts = append(rcpts, dlp.Address{Local: local, Domain: hop + ".example"})
			}
			answers, sent, scattered := live(t, r, ann, rcpts...)
			same(t, "answers", answers, strings.Split(tc.answers, "|"))
			if sent != tc.sent || scattered != tc.scattered {
				t.Errorf("got %q, scattered %v, want %q, %v", sent, scattered, tc.sent, tc.scattered)
			}
		})
	}
}

// TestManyHops: a message has a bounded number of next hops at once, and is
// never sent to one of several, or to none.
func TestManyHops(t *testing.T) {
	a := (&server{rcpt: func(to string) error {
		if strings.HasPrefix(to, "no@") {
			return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "unknown"}
		}
		return nil
	}}).listen(t, "127.0.0.1", "0", nil)
	var routes []smtp.Route
	var rcpts []dlp.Address
	for i := range 21 { // one more than a message may have
		d := fmt.Sprintf("d%d.example", i)
		routes = append(routes, smtp.Route{Recipients: []string{d}, NextHops: []string{a.addr}})
		rcpts = append(rcpts, at(d))
	}
	r := router(t, route.Deps{}, nil, routes...)
	answers, _, scattered := live(t, r, ann, rcpts...)
	if got := answers[20]; got != "452 4.5.3" || answers[19] != "250 2.0.0" || !scattered {
		t.Errorf("got %q, scattered %v; want 452 4.5.3 for the last alone", answers, scattered)
	}
	for name, second := range map[string]dlp.Address{"several": at("d1.example"), "none": {Local: "no", Domain: "d1.example"}} {
		first := at("d0.example")
		if name == "none" {
			first.Local = "no"
		}
		tx, _, err := r.Begin(context.Background(), ann, smtp.MailOptions{}, smtp.Recipient{Addr: first})
		if err == nil {
			_, err = tx.Rcpt(context.Background(), second, dlp.RcptParams{})
		}
		if err != nil {
			t.Fatal(err)
		}
		reply, err := tx.Send(context.Background(), nil, strings.NewReader(text))
		if se, ok := errors.AsType[*dlp.SendError](err); !ok || se.AfterDot {
			t.Errorf("sent to %s: got %+v, %v; want an error before the dot", name, reply, err)
		}
	}
	if got := a.took(); len(got) != 0 {
		t.Errorf("took %q, want nothing", got)
	}
}
