package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// TestEncryptedComesBack: what the recipient's server refuses for good, and what
// it put off until it expired, is reported to the sender (RFC 3464) without a word
// of what was encrypted or of what the server said; audit log and queue say so.
func TestEncryptedComesBack(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	certificate(t, certs, "sam@partner.example", "email:sam@partner.example")
	gina := newPerson(t, "gina@partner.example")
	for _, tt := range []struct {
		name, rcpt, reply, status string
		expires                   bool
	}{
		{name: "OpenPGP, refused", rcpt: "gina@partner.example", reply: "554 5.2.2 mailbox of Mira full", status: "5.2.2"},
		{name: "S/MIME, expired", rcpt: "sam@partner.example", reply: "451 4.2.0 Mira later", status: "4.4.7", expires: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hop := newNextHop(t)
			hop.follow(func(verb, _ string, tx hopMail) string {
				if verb == "DOT" && slices.Contains(tx.rcpts, tt.rcpt) {
					return tt.reply
				}
				return ""
			})
			g := newGateway(t, options{nextHop: hop.addr, extra: withKeys(t, map[string]string{"gina@partner.example": gina.key}) + fmt.Sprintf("smime_dir = %q\n", certs)})
			g.start()
			if answer, err := g.send("ada@clinic.example", []string{tt.rcpt}, secretMail); err != nil {
				t.Fatalf("%q, %v", answer, err)
			}
			if tt.expires {
				eventually(t, "it was tried", func() bool { return strings.Contains(g.must("queue", "list"), "451") })
				id := dlp.ID(g.queue()[0].ID)
				g.stop()
				inSpool(t, g.data(), func(s *spool.Spool, db *sqlite.DB) {
					m, err := s.Get(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					m.Expires, m.Next = time.Now(), time.Now()
					up, err := s.Progress(m)
					if err != nil {
						t.Fatal(err)
					}
					if err := db.Commit(t.Context(), store.Change{Progress: []spool.Update{up}}); err != nil {
						t.Fatal(err)
					}
				})
				g.start()
			}
			eventually(t, "the report", func() bool { return hop.count() == 1 })
			dsn := hop.messages()[0]
			if dsn.from != "" || !slices.Equal(dsn.rcpts, []string{"ada@clinic.example"}) {
				t.Errorf("the report went from <%s> to %v", dsn.from, dsn.rcpts)
			}
			for _, want := range []string{"report-type=delivery-status", "Content-Type: message/delivery-status", "Final-Recipient: rfc822; " + tt.rcpt, "Action: failed", "Status: " + tt.status} {
				if !strings.Contains(strings.ReplaceAll(dsn.text, "rfc822;"+tt.rcpt, "rfc822; "+tt.rcpt), want) {
					t.Errorf("the report has no %q:\n%s", want, dsn.text)
				}
			}
			var log string
			eventually(t, "the audit log says that it came back", func() bool {
				log = g.must("audit", "export")
				return strings.Contains(log, `"result":"undelivered"`)
			})
			for what, text := range map[string]string{"the report": dsn.text, "the log": g.logged(), "the audit log": log} {
				for _, never := range append([]string{"Labs of", "of Mira", "Mira later", "BEGIN PGP"}, inClear...) {
					if strings.Contains(text, never) {
						t.Errorf("%s holds %q:\n%s", what, never, tail(text, 3000))
					}
				}
			}
			eventually(t, "nothing waits any more", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
			if all := g.must("queue", "list", "--all"); !strings.Contains(all, "failed") || !strings.Contains(all, "encrypted") {
				t.Errorf("queue list --all:\n%s", all)
			}
			g.must("audit", "verify")
			for _, f := range filesWith(t, g.data(), inClear...) {
				t.Error(f)
			}
		})
	}
}
