package route_test

import (
	"context"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// TestPassesDSN: reports are the next hops' where each that took a recipient
// makes them; one that took nobody does not matter.
func TestPassesDSN(t *testing.T) {
	refusing := func(to string) error {
		if strings.HasPrefix(to, "no@") {
			return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "unknown"}
		}
		return nil
	}
	reports := (&server{rcpt: refusing, extend: func(s *gosmtp.Server) { s.EnableDSN = true }}).listen(t, "127.0.0.1", "0", nil)
	silent := (&server{rcpt: refusing}).listen(t, "127.0.0.1", "0", nil)
	r := router(t, route.Deps{}, nil,
		smtp.Route{Recipients: []string{"reports.example"}, NextHops: []string{reports.addr}},
		smtp.Route{Recipients: []string{"silent.example"}, NextHops: []string{silent.addr}},
	)
	no := dlp.Address{Local: "no", Domain: "silent.example"}
	for _, tc := range []struct {
		name  string
		rcpts []dlp.Address
		want  bool
	}{
		{"one that reports", []dlp.Address{at("reports.example")}, true},
		{"one that does not", []dlp.Address{at("silent.example")}, false},
		{"both", []dlp.Address{at("reports.example"), at("silent.example")}, false},
		{"both, the other way round", []dlp.Address{at("silent.example"), at("reports.example")}, false},
		{"one that reports, and one that takes nobody", []dlp.Address{no, at("reports.example")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := context.Background()
			tx, _, err := r.Begin(ctx, ann, smtp.MailOptions{}, smtp.Recipient{Addr: tc.rcpts[0]})
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Reset(ctx)
			for _, to := range tc.rcpts[1:] {
				if _, err := tx.Rcpt(ctx, to, dlp.RcptParams{}); err != nil {
					t.Fatal(err)
				}
			}
			if got := tx.(smtp.DSNPasser).PassesDSN(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
