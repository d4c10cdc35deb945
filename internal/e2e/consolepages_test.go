package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// codeOf is the code of an authenticator program, now or some seconds from now.
func codeOf(t *testing.T, secret, from string) string {
	t.Helper()
	out, err := exec.Command("oathtool", "--totp", "--base32", strings.ReplaceAll(secret, " ", ""), "--now", from).CombinedOutput()
	if err != nil {
		t.Fatalf("oathtool: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestConsolePages: axe-core finds no serious fault on any page of the console,
// none is wider than a phone, and a second factor keeps out who has the password
// alone.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("oathtool"); err != nil {
		t.Skip("oathtool is not installed: .ci/deps does that")
	}
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	g, url := withConsole(t)
	check := func(what string) {
		t.Helper()
		narrow(t, b)
		look(what)
	}
	go1 := func(path, what string) {
		t.Helper()
		b.Open(url + path)
		check(what)
	}
	go1("/signin", "signing in")
	signIn(t, g, b, url)
	go1("/queue", "an empty queue")
	for _, m := range []string{consoleMail, phiMail} {
		if _, err := g.send("ada@clinic.example", outside, m); err != nil {
			t.Fatal(err)
		}
	}
	go1("/queue", "the queue")
	go1("/queue?type=MBI", "a queue with nothing in it")
	go1("/accounts", "accounts")
	go1("/password", "the password")
	b.Open(url + "/queue")
	b.Do(chromedp.Click(".holds tbody tr:last-child .what a"), chromedp.WaitVisible(".finding"))
	check("an item")
	b.Do(chromedp.Click(`//section[.//span[@class="masked"]]//summary`))
	b.Do(chromedp.SetValue(`details[open] select`, "to_decide"))
	check("before a part is revealed")
	b.Do(chromedp.Click(`details[open] button`), chromedp.WaitVisible(".revealed"))
	check("a revealed part")
	go1("/items/aaaaaaaaaaaaaaaaaaaaaaaaaa", "an item that is not there")
	go1("/audit", "the audit log")
	b.Submit(chromedp.Click(`a[href="/audit/proof?event=1"]`))
	b.Do(chromedp.WaitVisible("#path"))
	check("the proof of an event")
	b.Submit(chromedp.Click(`form[action="/audit/verify"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	check("the whole log verified")
	b.Open(url + "/queue")
	b.Do(chromedp.Click(`.holds input[type="checkbox"]`), chromedp.Click(`button[value="reject"]`), chromedp.WaitVisible("#count"))
	check("asking before several are decided about")

	go1("/drills", "no drill")
	b.Do(chromedp.SetValue("#name", "on the pages"), chromedp.SetValue("#senders", "ward5@clinic.example"), chromedp.SetValue("#to", outside[0]))
	b.Submit(chromedp.Click(`form[action="/drills"] button`))
	b.Do(chromedp.WaitVisible("#who"))
	check("the report of a drill")
	go1("/drills", "drills")
	b.Submit(chromedp.Click(`a[href^="/drills/"]`))
	b.Do(chromedp.WaitVisible(`form[action$="/stop"] button`))
	b.Submit(chromedp.Click(`form[action$="/stop"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"], .masthead [role="status"]`))
	check("a drill that was stopped")
	go1("/second", "no second factor")
	typeIn(b, "#old", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible("#secret"))
	check("a second factor on offer")
	secret := webtest.Eval[string](b, `document.querySelector("#secret").textContent`)
	used := codeOf(t, secret, "now")
	b.Submit(chromedp.SetValue("#code", used), chromedp.SendKeys("#code", kb.Enter))
	b.Do(chromedp.WaitVisible(`.masthead [role="status"], main [role="status"]`))
	go1("/second", "a second factor")
	b.Do(chromedp.Click(`form[action="/signout"] button`), chromedp.WaitVisible("#name"))
	withPassword := func() {
		t.Helper()
		b.Open(url + "/signin")
		typeIn(b, "#name", "admin")
		typeIn(b, "#password", reviewersPassword+kb.Enter)
	}
	withPassword()
	b.Do(chromedp.WaitVisible("#code"))
	check("the code")
	typeIn(b, "#code", used+kb.Enter)
	b.Do(chromedp.WaitVisible(`[role="alert"]`))
	check("a code that was used before")
	b.Open(url + "/queue")
	if at := webtest.Eval[string](b, "location.pathname"); at != "/signin" {
		t.Errorf("with a password alone the queue is at %q", at)
	}
	g.kill() // a code that was used is used after a restart
	g.start()
	withPassword()
	b.Do(chromedp.WaitVisible("#code"))
	typeIn(b, "#code", used+kb.Enter)
	b.Do(chromedp.WaitVisible(`[role="alert"]`))
	typeIn(b, "#code", codeOf(t, secret, "+30 seconds")+kb.Enter)
	b.Do(chromedp.WaitVisible(".masthead"))
	g.must("user", "second-off", "admin")
	withPassword()
	b.Do(chromedp.WaitVisible(".masthead"))
	log := g.must("audit", "export")
	for _, want := range []string{`"second_on:admin"`, `"second_off:admin"`, `"code_asked"`, `"code_wrong"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	code := regexp.MustCompile(`\b` + used + `\b`) // not as six of the digits of a time
	if all := g.logged() + log; strings.Contains(all, strings.ReplaceAll(secret, " ", "")) || code.MatchString(all) {
		t.Error("a log holds the secret or a code")
	}
	g.stop()
}

// TestConsoleTakesBack: an officer takes back what waits for a recipient's browser, from
// a page that axe-core finds no serious fault with and that is no wider than a phone. It
// is on record, the link opens nothing, and the notice that was not sent yet never is.
func TestConsoleTakesBack(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	p := newPickupPages(t, fmt.Sprintf("[console]\nlisten = %q\n", addr))
	p.hop.follow(func(verb, _ string, _ hopMail) string {
		if verb == "DOT" {
			return "451 4.2.0 later"
		}
		return ""
	})
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	p.start()
	if answer, err := p.send("ada@clinic.example", []string{"bob@partner.example"}, pickupMail); err != nil {
		t.Fatalf("%q, %v", answer, err)
	}
	eventually(t, "the notice was tried", func() bool { return strings.Contains(p.must("queue", "list"), "451") })
	signIn(t, p.gateway, b, "http://"+addr)
	b.Submit(chromedp.Click(`a[href="/pickups"]`))
	b.Do(chromedp.WaitVisible("details"))
	narrow(t, b)
	look("what waits for browsers")
	text := webtest.Eval[string](b, `document.querySelector("main").innerText`)
	if !strings.Contains(text, "bob@partner.example") || !strings.Contains(text, "not opened") || strings.Contains(text, "Labs") {
		t.Errorf("the page says %q", text)
	}
	b.Do(chromedp.Click("details summary"), chromedp.WaitVisible("details button"))
	look("before it is taken back")
	b.Submit(chromedp.Click("details button"))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "Nothing waits") {
		t.Errorf("then it says %q", text)
	}
	b.Open("http://" + addr + "/pickups?all=1")
	look("what was taken back")
	if list := p.must("portal", "list", "--all"); !strings.Contains(list, "revoked") {
		t.Errorf("portal list: %s", list)
	}
	p.hop.follow(nil)
	p.must("queue", "retry", "--all")
	if list := p.must("queue", "list"); !strings.Contains(list, "empty") || p.hop.count() != 0 {
		t.Errorf("%d went out; queued: %s", p.hop.count(), list)
	}
	if log := p.must("audit", "export"); !strings.Contains(log, `"reason":"revoked"`) || !strings.Contains(log, `"user:admin"`) {
		t.Errorf("the audit log: %s", log)
	}
	p.must("audit", "verify")
}
