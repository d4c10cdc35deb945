package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestPickupPasskey: who has opened a message sets a passkey, and opens the next one by
// it, without a code; with the passkey and another key in the link nothing opens; and once it is removed, codes are all there is.
func TestPickupPasskey(t *testing.T) {
	t.Parallel()
	p := newPickupPagesAt(t, "localhost", "")
	b := webtest.Chromium(t, 390, 844)
	b.Authenticator()
	p.start()
	looks := axe(t, b)
	check := func(what string) {
		t.Helper()
		looks(what)
		if webtest.Eval[bool](b, "document.documentElement.scrollWidth > innerWidth") {
			t.Errorf("%s is wider than a telephone", what)
		}
	}
	says := func(id, want string) {
		t.Helper()
		eventually(t, "it is said", func() bool {
			return strings.HasPrefix(webtest.Eval[string](b, `document.getElementById("`+id+`").textContent`), want)
		})
	}
	first := p.sends(pickupMail)
	p.opens(b, first, 1)
	eventually(t, "a passkey may be set", func() bool { return webtest.Eval[bool](b, `!document.getElementById("passkeys").hidden`) })
	b.Do(chromedp.Click(chromedp.CSS("#passkeys summary")), chromedp.Click(chromedp.CSS("#set-passkey")))
	says("passkey-done", "Your passkey is set.")
	check("a passkey set")
	b.Do(chromedp.Click(chromedp.CSS("#set-passkey")))
	says("passkey-amiss", "This device has a passkey")
	if list := p.must("portal", "passkeys"); !strings.Contains(list, "bob@partner.example") || strings.Count(list, "\n") != 1 {
		t.Errorf("portal passkeys: %s", list)
	}

	n := p.hop.count()
	second := p.sends(strings.Replace(pickupMail, "p-1@", "p-2@", 1))
	b.Open(second)
	p.shows(b, "ask")
	check("asks for the passkey")
	b.Do(chromedp.Click(chromedp.CSS("#use-passkey")))
	p.shows(b, "opened")
	if got := webtest.Eval[string](b, `document.getElementById("subject").textContent`); got != "Labs of Mira Testcase" {
		t.Errorf("opened %q", got)
	}
	if got := p.hop.count(); got != n+1 {
		t.Errorf("%d mails went out beside the notice", got-n-1)
	}

	at, key, _ := strings.Cut(second, "#")
	b.Open("about:blank")
	b.Open(at + "#" + string('A'+(key[0]-'A'+1)%26) + key[1:])
	p.shows(b, "ask")
	b.Do(chromedp.Click(chromedp.CSS("#use-passkey")))
	p.shows(b, "broken")

	b.Open("about:blank")
	b.Open(second)
	p.shows(b, "ask")
	b.Do(chromedp.Click(chromedp.CSS("#use-passkey")))
	p.shows(b, "opened")
	eventually(t, "the passkey is listed", func() bool { return webtest.Eval[int](b, `document.querySelectorAll("#passkey-list li").length`) == 1 })
	b.Do(chromedp.Click(chromedp.CSS("#passkeys summary")), chromedp.Click(chromedp.CSS("#passkey-list button")))
	says("passkey-done", "The passkey is removed")
	b.Open("about:blank")
	b.Open(second)
	p.shows(b, "ask")
	if webtest.Eval[bool](b, `document.getElementById("use-passkey") !== null`) {
		t.Error("the page asks for a passkey that is removed")
	}
	if status, said, _ := p.ask("POST", second, "/passkey/ask", "", "{}"); status != 403 || said["error"] != "passkey_none" {
		t.Errorf("a passkey where none is: %d %v", status, said)
	}
	if list := p.must("portal", "passkeys"); !strings.Contains(list, "No reader") {
		t.Errorf("portal passkeys: %s", list)
	}
	export := p.must("audit", "export")
	for _, reason := range []string{"passkey_set", "passkey_opened", "passkey_removed"} {
		if !strings.Contains(export, `"reason":"`+reason+`"`) {
			t.Errorf("the audit log has no %s", reason)
		}
	}
}

// TestDamagedPasskey: a row that does not open is listed as such, hides no other and
// is removed by its ID, while serve runs and when it does not.
func TestDamagedPasskey(t *testing.T) {
	t.Parallel()
	p := newPickupPagesAt(t, "localhost", "")
	p.start()
	p.sends(pickupMail)
	p.stop()
	const one, two = "aaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbba"
	for _, id := range []string{one, two} {
		output(t, "sqlite3", filepath.Join(p.data(), "stanch.db"), fmt.Sprintf("INSERT INTO passkeys VALUES ('%s', x'00', %d, %[2]d, 1, x'01')", id, time.Now().UnixMicro()))
	}
	for n, id := range []string{one, two} {
		if n == 1 {
			p.start()
		}
		if list := p.must("portal", "passkeys"); !strings.Contains(list, id+"  set ") || strings.Count(list, "  (damaged)\n") != 2-n {
			t.Errorf("portal passkeys: %s", list)
		}
		var all []struct{ ID, Of string }
		if err := json.Unmarshal([]byte(p.must("portal", "passkeys", "--format", "json")), &all); err != nil || len(all) != 2-n || all[0].Of != "" {
			t.Errorf("portal passkeys: %+v, %v", all, err)
		}
		p.must("portal", "forget", id)
		if said := p.refused("portal", "forget", id); !strings.Contains(said, "no such passkey") {
			t.Errorf("forgotten twice: %s", said)
		}
	}
	if list := p.must("portal", "passkeys"); !strings.Contains(list, "No reader") {
		t.Errorf("portal passkeys: %s", list)
	}
	if log := p.must("audit", "export"); strings.Count(log, `"reason":"passkey_removed"`) != 2 {
		t.Error("the audit log does not tell of both")
	}
}
