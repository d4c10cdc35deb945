package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOfficersAreTold: of severe mail and of a severe file at once, and by a
// digest at its time, once; nothing of a mail or file is in it.
func TestOfficersAreTold(t *testing.T) {
	t.Parallel()
	hop := newNextHop(t)
	const keys = "\n[notify]\nofficers = [\"privacy@clinic.example\"]\nat_once = \"low\"\n"
	g := newGateway(t, options{nextHop: hop.addr, extra: keys})
	g.start()
	told := func(n int, subject string) string {
		t.Helper()
		var text string
		eventually(t, subject, func() bool {
			seen := 0
			for _, m := range hop.messages() {
				if m.rcpts[0] == "privacy@clinic.example" && strings.Contains(m.text, "Subject: "+subject) {
					seen++
					text = m.text
				}
			}
			return seen == n
		})
		for _, never := range append([]string{"ada@", "sam@", "Quillfeather.csv"}, consoleSecrets...) {
			if strings.Contains(text, never) {
				t.Errorf("the notice holds %q:\n%s", never, text)
			}
		}
		return text
	}
	if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	told(1, "A message is held and waits for you")
	write(t, filepath.Join(g.share, "Quillfeather.csv"), "name,ssn\nWilhelmina Quillfeather,536-22-8145\n", 0o600)
	told(1, "A file is held and waits for you")
	g.stop()
	text, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	// The time was an hour ago, wherever midnight is: none other is due meanwhile.
	digest := fmt.Sprintf("digest = [%q]\n", time.Now().Add(-time.Hour).Format("15:04"))
	write(t, g.config, strings.Replace(string(text), "at_once = \"low\"\n", digest, 1), 0o600)
	g.start()
	if got := told(1, "2 held and waiting for a decision"); !strings.Contains(got, "us-ssn: 2") {
		t.Errorf("the digest reads\n%s", got)
	}
	g.kill()
	g.start()
	if _, err := g.send("ada@clinic.example", outside, strings.Replace(consoleMail, "console-1@", "console-2@", 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is held", func() bool { return len(g.held()) == 3 })
	told(1, "2 held and waiting for a decision")
	told(0, "3 held and waiting for a decision")
	g.stop()
}
