package smtp_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// TestEnvelopeIsWithheld: an envelope that may not go on before its message is
// judged reaches no next hop, and what was offered already is taken back.
func TestEnvelopeIsWithheld(t *testing.T) {
	secret := func(d *dlp.Document) bool {
		return d.Params.EnvID == "secret" || slices.ContainsFunc(d.Rcpts, func(a dlp.Address) bool { return a.Local == "secret" })
	}
	for _, tc := range []struct {
		name, mail     string
		rcpts          []string
		begun, resets  int
		asked, offered int
	}{
		{"clean", "", []string{"bob", "cid"}, 1, 0, 2, 2},
		{"from MAIL on", " ENVID=secret", []string{"bob", "cid"}, 0, 0, 1, 0},
		{"from the second recipient on", "", []string{"bob", "secret", "cid"}, 1, 1, 2, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begun, offered, asked := 0, 0, 0
			d := open(t, func(_ *smtp.Config, deps *smtp.Deps, d *door) {
				d.hop.begin = func(dlp.Address, smtp.MailOptions) error { begun++; return nil }
				d.hop.rcpt = func(dlp.Address) (dlp.Reply, error) { offered++; return dlp.Reply{Code: 250}, nil }
				deps.Withholds = func(_ context.Context, doc *dlp.Document) bool { asked++; return secret(doc) }
				d.handler.message = func(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
					if !doc.Scattered {
						return pass(ctx, doc, o)
					}
					if _, err := o.Send(ctx, nil, strings.NewReader("")); err == nil {
						t.Error("a withheld message was sent")
					}
					return dlp.Outcome{Kind: dlp.Held, ID: doc.ID}
				}
			})
			c := d.hello(t)
			c.say("MAIL FROM:<ann@clinic.example>"+tc.mail+"\r\n", "250")
			for _, r := range tc.rcpts {
				c.say("RCPT TO:<"+r+"@out.test>\r\n", "250")
			}
			c.say("DATA\r\n", "354")
			want := "250 2.0.0 Held"
			if tc.name == "clean" {
				want = "250 2.0.0 queued"
			}
			c.say("Subject: x\r\n\r\nx\r\n.\r\n", want)
			c.say("QUIT\r\n", "221")
			d.hop.mu.Lock()
			defer d.hop.mu.Unlock()
			if begun != tc.begun || d.hop.resets != tc.resets || asked != tc.asked || offered != tc.offered {
				t.Errorf("begun %d, reset %d, asked %d, offered %d", begun, d.hop.resets, asked, offered)
			}
			if docs := d.handler.docs; len(docs) != 1 || len(docs[0].Rcpts) != len(tc.rcpts) {
				t.Errorf("got %d documents, want one for all recipients", len(docs))
			}
		})
	}
}
