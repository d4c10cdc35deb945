package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// signInNew signs in an account that an admin added, and sets its password.
func signInNew(b *webtest.Browser, url, name, first string) {
	b.Open(url + "/signin")
	typeIn(b, "#name", name)
	typeIn(b, "#password", first+kb.Enter)
	b.Do(chromedp.WaitVisible("#again"))
	typeIn(b, "#old", first)
	typeIn(b, "#new", reviewersPassword)
	typeIn(b, "#again", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible(".masthead"))
}

// TestConsoleDeputy: an admin names a deputy in the browser, who decides about what the
// admin claimed, in their name; where two must decide the deputy is not the second,
// and nobody releases their own mail.
func TestConsoleDeputy(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	addr := freeAddr(t)
	g := newGateway(t, options{extra: fmt.Sprintf("\n[console]\nlisten = %q\n\n[review]\nsecond_severity = \"high\"\n", addr)})
	g.start()
	url := "http://" + addr
	signIn(t, g, b, url)
	const first = "another first password"
	if r := shell(t, g.dir, first+"\n", "user", "add", "dana", "--role", "officer", "--config", g.config); r.code != 0 {
		t.Fatalf("user add: %s", r.errs)
	}
	g.must("user", "address", "dana", "Ada@clinic.example")
	for _, m := range []string{consoleMail, phiMail} {
		if _, err := g.send("ada@clinic.example", outside, m); err != nil {
			t.Fatal(err)
		}
	}
	items := g.held()
	for _, it := range items {
		b.Open(url + "/items/" + it.ID)
		b.Do(chromedp.WaitVisible(`[data-key="c"]`), chromedp.KeyEvent("c"), chromedp.WaitVisible(`form[action$="/unclaim"]`))
	}
	b.Open(url + "/deputy")
	discreet(t, b)
	narrow(t, b)
	look("naming a deputy")
	day := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly) // today may end meanwhile
	b.Do(chromedp.SetValue("#name", "dana"), chromedp.SetValue("#last", day), chromedp.Click(`form[action="/deputy/name"] button`), chromedp.WaitVisible(`form[action="/deputy/end"]`))
	discreet(t, b)
	narrow(t, b)
	look("a deputy")
	if out := g.must("user", "deputies"); !strings.HasPrefix(out, "admin\tdana\t") {
		t.Errorf("user deputies: %q", out)
	}
	decide := func(id, what string) {
		t.Helper()
		b.Open(url + "/items/" + id)
		b.Do(chromedp.WaitVisible("#do-"+what), chromedp.Click("#do-"+what), chromedp.SetValue("#code", "payment"))
		b.Submit(chromedp.Click(".decide .btn-main"))
	}
	main := func() string { return webtest.Eval[string](b, `document.querySelector("main").innerText`) }
	decide(items[0].ID, "release")
	if said := main(); !strings.Contains(said, "first of two") {
		t.Fatalf("the first decision: %s", said)
	}
	b.Do(chromedp.Click(`form[action="/signout"] button`), chromedp.WaitVisible("#name"))
	signInNew(b, url, "dana", first)
	b.Open(url + "/items/" + items[1].ID)
	b.Do(chromedp.WaitVisible(".finding"))
	discreet(t, b)
	narrow(t, b)
	look("an item of whose deputy one is, and one's own mail")
	if said := main(); !strings.Contains(said, "You act for admin here") || !strings.Contains(said, "your own mail") {
		t.Errorf("the item says: %s", said)
	}
	decide(items[1].ID, "release")
	if said := main(); !strings.Contains(said, "Somebody else must release it") {
		t.Errorf("releasing one's own mail: %s", said)
	}
	g.must("user", "address", "dana", "--none")
	b.Open(url + "/signin")
	typeIn(b, "#name", "dana")
	typeIn(b, "#password", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible(".masthead"))
	decide(items[0].ID, "release")
	if said := main(); !strings.Contains(said, "Somebody else must say yes") {
		t.Errorf("the deputy as the second person: %s", said)
	}
	decide(items[1].ID, "reject")
	for _, m := range g.delivered() { // its sender is told, and it goes to nobody
		if strings.HasSuffix(m, consoleMail) || strings.HasSuffix(m, phiMail) {
			t.Error("one person let mail go")
		}
	}
	if n := len(g.held()); n != 1 {
		t.Errorf("%d held, want one", n)
	}
	g.must("user", "deputy", "admin", "--end")
	if out := g.must("user", "deputies"); out != "" {
		t.Errorf("after the end: %q", out)
	}
	log := g.must("audit", "export")
	for _, want := range []string{`"kind":"reject","doc":"` + items[1].ID, `"actor":"user:dana","for":"user:admin"`, `"for":"user:admin","reason":"deputy:dana","until":"`, `"for":"user:admin","reason":"deputy_off:dana"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	g.must("audit", "verify")
	for _, secret := range consoleSecrets {
		if strings.Contains(log+g.logged(), secret) {
			t.Errorf("a log holds %q", secret)
		}
	}
	for _, f := range filesWith(t, g.data(), consoleSecrets...) {
		t.Error(f)
	}
	g.stop()
}
