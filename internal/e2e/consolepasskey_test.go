package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestConsolePasskey: a reviewer sets a passkey in a real browser, signs in by it
// alone and beside the password, has it open their reviewer's key and what the server
// cannot; removed by its owner or an admin it lets nobody in.
//
// long: one account's passkey from its beginning to its end
func TestConsolePasskey(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	b.Authenticator()
	look := axe(t, b)
	addr := freeAddr(t)
	url := "http://localhost:" + addr[strings.LastIndexByte(addr, ':')+1:]
	g := newGateway(t, options{extra: quietPolicy + fmt.Sprintf("\n[console]\nlisten = %q\nurl = %q\nsecond_factor = [\"admin\"]\n", addr, url)})
	g.start()
	signInFirst(t, g, b, url)
	check := func(what string) {
		t.Helper()
		discreet(t, b)
		narrow(t, b)
		look(what)
	}
	at := func() string { return webtest.Eval[string](b, "location.pathname") }
	set := func() {
		t.Helper()
		b.Open(url + "/passkeys")
		check("passkeys")
		typeIn(b, `form[action="/passkeys/offer"] #old`, reviewersPassword+kb.Enter)
		b.Do(chromedp.WaitVisible("form[data-make]"))
		check("setting a passkey")
		b.Do(chromedp.Click("form[data-make] button"), chromedp.WaitVisible(`form[action="/passkeys/remove"]`))
	}
	b.Open(url + "/queue")
	if at() != "/second" {
		t.Errorf("a role that must have a second factor is let to %s", at())
	}
	set()
	check("a passkey")
	b.Open(url + "/queue")
	b.Do(chromedp.WaitVisible(".masthead")) // it is a second factor
	out := func() {
		t.Helper()
		b.Do(chromedp.Click(`form[action="/signout"] button`), chromedp.WaitVisible("#name"))
	}
	byPasskey := func(want string) {
		t.Helper()
		b.Open(url + "/signin")
		b.Do(chromedp.Click(`form[action="/signin/passkey/ask"] button`), chromedp.WaitVisible("form[data-passkey]"))
		check("signing in by a passkey")
		b.Do(chromedp.Click("form[data-passkey] button"), chromedp.WaitVisible(want))
	}
	out()
	byPasskey(".masthead")
	out()
	b.Open(url + "/signin")
	typeIn(b, "#name", "admin")
	typeIn(b, "#password", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible(`form[action="/code/passkey"]`))
	check("a passkey beside the password")
	b.Open(url + "/queue")
	if at() != "/signin" {
		t.Errorf("a password alone is let to %s", at())
	}
	b.Open(url + "/code")
	b.Do(chromedp.WaitVisible(`form[action="/code/passkey"]`))
	check("the page of a code, with a passkey beside it")
	b.Do(chromedp.Click(`form[action="/code/passkey"] button`), chromedp.WaitVisible(".masthead"))

	b.Open(url + "/key")
	typeIn(b, "#old", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible("#public"))
	public := webtest.Eval[string](b, `document.querySelector("#public").textContent`)
	g.reconfigure(fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", public))
	byPasskey(".masthead")
	b.Open(url + "/key")
	typeIn(b, "#old", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible(`form[action="/key/passkey/ask"]`))
	b.Do(chromedp.Click(`form[action="/key/passkey/ask"] button`), chromedp.WaitVisible("form[data-passkey]"))
	check("having a passkey open the key")
	b.Do(chromedp.Click("form[data-passkey] button"))
	eventually(t, "the page says that the passkey opens the key", func() bool {
		return strings.Contains(webtest.Eval[string](b, `document.querySelector("main")?.innerText ?? ""`), "opens your key from now on")
	})
	if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	out()
	byPasskey(".masthead")
	b.Open(url + "/items/" + g.held()[0].ID)
	b.Do(chromedp.WaitVisible(`form[action="/key/passkey/ask"]`))
	discreet(t, b)
	check("an item that a passkey opens")
	b.Do(chromedp.Click(`form[action="/key/passkey/ask"] button`), chromedp.WaitVisible("form[data-passkey]"), chromedp.Click("form[data-passkey] button"), chromedp.WaitVisible(".finding"))
	discreet(t, b)
	for _, path := range []string{"/passkeys", "/key", "/deputy"} { // with somebody held to tell of
		b.Open(url + path)
		check(path + " while mail is held")
	}

	g.must("user", "passkeys-off", "admin")
	byPasskey(`[role="alert"]`)
	g.must("doctor", "--only", "reviewers")
	log := g.must("audit", "export")
	for _, want := range []string{`"passkey_set:admin"`, `"reason":"passkey","result":"passed"`, `"reason":"passkey_wrong","result":"failed"`, `"key_by_passkey:admin"`, `"key_opened_passkey"`, `"passkeys_off:admin"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	for _, f := range filesWith(t, g.data(), append([]string{"AGE-SECRET-KEY", reviewersPassword}, consoleSecrets...)...) {
		if !strings.Contains(f, "work.agekey") {
			t.Error(f)
		}
	}
	for _, secret := range append([]string{"AGE-SECRET-KEY", reviewersPassword}, consoleSecrets...) {
		if strings.Contains(log+g.logged(), secret) {
			t.Errorf("a log holds %q", secret)
		}
	}
	g.stop()
}
