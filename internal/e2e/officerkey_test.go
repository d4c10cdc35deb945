package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// signInAgain signs admin in by the password that signIn set.
func signInAgain(b *webtest.Browser, url string) {
	b.Open(url + "/signin")
	typeIn(b, "#name", "admin")
	typeIn(b, "#password", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible(".masthead"))
}

// TestConsoleOfficersKey leads a site to reviewers_only by the key of an officer's
// login: what is held opens in the browser, by the password, and is released byte
// for byte; nothing on the server opens it otherwise. axe-core finds no serious
// fault on the pages of it.
//
// long: one site led through it
func TestConsoleOfficersKey(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	temp := t.TempDir()
	addr := freeAddr(t)
	url := "http://" + addr
	g := newGateway(t, options{extra: quietPolicy + fmt.Sprintf("\n[console]\nlisten = %q\n", addr)})
	g.start("TMPDIR=" + temp)
	signIn(t, g, b, url)
	check := func(what string) {
		t.Helper()
		narrow(t, b)
		look(what)
	}
	b.Open(url + "/key")
	check("no key")
	typeIn(b, "#old", reviewersPassword+kb.Enter)
	b.Do(chromedp.WaitVisible("#public"))
	check("a key that waits")
	public := webtest.Eval[string](b, `document.querySelector("#public").textContent`)
	b.Open(url + "/keys")
	check("the keys of the vault")
	if out := g.must("reviewers", "list"); !strings.Contains(out, public) || !strings.Contains(out, "waiting") {
		t.Errorf("reviewers list: %s", out)
	}
	if out := g.must("doctor", "--only", "reviewers"); !strings.Contains(out, "admin") || !strings.Contains(out, "waits") {
		t.Errorf("doctor: %s", out)
	}
	if _, err := g.send("ada@clinic.example", outside, canaryMail("before")); err != nil {
		t.Fatal(err)
	}
	g.reconfigure(fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", public))
	if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	items := g.held()
	if len(items) != 2 {
		t.Fatalf("%d held, want 2", len(items))
	}
	signInAgain(b, url)
	for i, it := range items {
		b.Open(url + "/items/" + it.ID)
		if i == 0 {
			b.Do(chromedp.WaitVisible(`form[action="/key/unlock"]`))
			discreet(t, b)
			check("an item that the server cannot open")
			typeIn(b, "#old", reviewersPassword+kb.Enter)
		}
		b.Do(chromedp.WaitVisible(".finding"))
		discreet(t, b)
		check("an item that the officer opened")
	}
	b.Open(url + "/key")
	check("an open key")
	b.Open(url + "/rules/edit")
	b.Submit(chromedp.WaitVisible("#draft"), chromedp.SetValue("#draft", fewerSSNs), chromedp.Click(`button[value="replay"]`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "2 documents of the last") || strings.Contains(text, "cannot be opened") {
		t.Errorf("of a draft that was replayed with the officer's key the page says:\n%s", text)
	}
	b.Open(url + "/items/" + items[0].ID) // the newest
	b.Do(chromedp.Click(`//section[.//span[@class="masked"]]//summary`))
	b.Do(chromedp.SetValue(`details[open] select`, "to_decide"), chromedp.Click(`details[open] button`), chromedp.WaitVisible(".revealed"))
	if got := webtest.Eval[string](b, `document.querySelector("mark").innerText`); got != "536-22-8145" {
		t.Errorf("marked %q, want the number", got)
	}
	b.Do(chromedp.Click(`[data-key="Escape"]`), chromedp.WaitVisible("#do-release"))
	b.Submit(chromedp.Click("#do-release"), chromedp.SetValue("#code", "payment"), chromedp.Click(".decide .btn-main"))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	eventually(t, "it is delivered byte for byte", func() bool {
		for _, m := range g.delivered() {
			if strings.HasSuffix(m, consoleMail) {
				return true
			}
		}
		return false
	})
	b.Do(chromedp.Click(`form[action="/signout"] button`), chromedp.WaitVisible("#name"))
	signInAgain(b, url)
	b.Open(url + "/items/" + items[1].ID)
	b.Do(chromedp.WaitVisible(`form[action="/key/unlock"]`))

	if said := g.refused("user", "passwd", "admin"); !strings.Contains(said, "--lose-key") {
		t.Errorf("another password says %q before the key is lost", said)
	}
	if log := g.logged() + g.printed() + g.must("audit", "export"); strings.Contains(log, "AGE-SECRET-KEY") || strings.Contains(log, reviewersPassword) {
		t.Error("a log holds a key or the password")
	}
	for _, dir := range []string{g.data(), temp} {
		for _, f := range filesWith(t, dir, append([]string{"AGE-SECRET-KEY", reviewersPassword}, canary...)...) {
			if !strings.Contains(f, "work.agekey") {
				t.Error(f)
			}
		}
	}
	g.stop()
}

// TestConsoleTwoOfficersAgree: where it takes two keys, one officer's agreement opens
// nothing; with that of the other, in a browser of their own, both keys together do.
// axe-core finds no serious fault on what either sees.
func TestConsoleTwoOfficersAgree(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	url := "http://" + addr
	g := newGateway(t, options{extra: quietPolicy + fmt.Sprintf("\n[console]\nlisten = %q\n", addr)})
	g.start()
	admin, ben := webtest.Chromium(t, 1280, 900), webtest.Chromium(t, 1280, 900)
	signIn(t, g, admin, url)
	const first, second = "a password to begin with", "another of Ben's own, longer"
	if out, err := g.withLine(first, "user", "add", "ben", "--role", "officer"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ben.Open(url)
	typeIn(ben, "#name", "ben")
	typeIn(ben, "#password", first+kb.Enter)
	typeIn(ben, "#old", first)
	typeIn(ben, "#new", second)
	typeIn(ben, "#again", second+kb.Enter)
	ben.Do(chromedp.WaitVisible(".masthead"))
	var public []string
	for password, b := range map[string]*webtest.Browser{reviewersPassword: admin, second: ben} {
		b.Open(url + "/key")
		typeIn(b, "#old", password+kb.Enter)
		b.Do(chromedp.WaitVisible("#public"))
		public = append(public, webtest.Eval[string](b, `document.querySelector("#public").textContent`))
	}
	g.reconfigure(fmt.Sprintf("[vault]\nreviewers = [%q, %q]\nreviewers_only = true\nreviewers_needed = 2\n", public[0], public[1]))
	if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	item := url + "/items/" + g.held()[0].ID
	look := map[*webtest.Browser]func(string){admin: axe(t, admin), ben: axe(t, ben)}
	check := func(b *webtest.Browser, what string) {
		t.Helper()
		discreet(t, b)
		narrow(t, b)
		look[b](what)
	}
	const agree = `form[action$="/agree"] button`
	for _, o := range []struct {
		b                    *webtest.Browser
		name, password, said string
	}{{admin, "admin", reviewersPassword, "It takes two reviewers."}, {ben, "ben", second, "admin agreed to opening it."}} {
		o.b.Open(url + "/signin")
		typeIn(o.b, "#name", o.name)
		typeIn(o.b, "#password", o.password+kb.Enter)
		o.b.Do(chromedp.WaitVisible(".masthead"))
		o.b.Open(item)
		o.b.Do(chromedp.WaitVisible(`form[action="/key/unlock"]`))
		check(o.b, o.name+": locked")
		typeIn(o.b, "#old", o.password+kb.Enter)
		o.b.Do(chromedp.WaitVisible(agree))
		if page := webtest.Eval[string](o.b, "document.body.innerText"); !strings.Contains(page, o.said) {
			t.Errorf("%s reads %q", o.name, page)
		}
		check(o.b, o.name+": asked to agree")
		o.b.Submit(chromedp.Click(agree))
		if o.b == admin {
			o.b.Do(chromedp.WaitVisible(`[role="status"]`))
			if page := webtest.Eval[string](o.b, "document.body.innerText"); !strings.Contains(page, "You agreed to opening it.") {
				t.Errorf("after the first: %q", page)
			}
			check(o.b, "one agreed")
		}
	}
	ben.Do(chromedp.WaitVisible(".finding"))
	check(ben, "the second has it open")
	admin.Open(item)
	admin.Do(chromedp.WaitVisible(".finding"))
	check(admin, "the first has it open")
	g.must("audit", "verify")
}
