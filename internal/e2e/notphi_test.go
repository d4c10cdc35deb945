package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestConsoleNotPHI: an officer says in the browser that a finding is not PHI, sees
// what else that would have changed, and proposes it; once it is accepted the value,
// and no other, passes; and so for a sender. What was found stands in no rule file.
func TestConsoleNotPHI(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	addr := freeAddr(t)
	url := "http://" + addr
	g := newGateway(t, options{extra: fmt.Sprintf("\n[console]\nlisten     = %q\naccept_own = true\n", addr)})
	g.start()
	signIn(t, g, b, url)
	check := func(what string) {
		t.Helper()
		narrow(t, b)
		look(what)
		discreet(t, b)
	}
	for _, text := range []string{"social security number 536-22-8145", "his social security number is 536-22-8145", "her social security number is 536-22-8146"} {
		if !g.holds(text) {
			t.Fatalf("not held: %s", text)
		}
	}
	// open comes to the form of the finding of an item.
	open := func(item string) {
		t.Helper()
		b.Open(url + "/items/" + item)
		b.Do(chromedp.Click(`.finding a`), chromedp.WaitVisible("#why"))
	}
	propose := func(choose, why, changed string) {
		t.Helper()
		b.Do(chromedp.Click(choose))
		typeIn(b, "#why", why)
		b.Do(chromedp.Click(`button[value="look"]`), chromedp.WaitVisible(`button[value="propose"]`))
		if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, changed) {
			t.Errorf("want %q:\n%s", changed, text)
		}
		check("what a proposal would change")
		b.Do(chromedp.Click(`button[value="propose"]`), chromedp.WaitVisible(`form[action$="/accept"]`))
		check("a proposal that waits")
	}
	items := g.held()
	open(items[2].ID)
	check("the form")
	propose("#kind-value", "number of an order", "2 no longer held")
	if !g.holds("a social security number: 536-22-8145") {
		t.Error("a proposal is in force")
	}
	b.Open(url + "/rules/proposals")
	b.Do(chromedp.WaitVisible(`a[href="/rules/proposals/1"]`))
	check("proposals")
	b.Do(chromedp.Click(`th a[href="/rules/proposals/1"]`), chromedp.WaitVisible(`form[action$="/accept"]`))
	b.Submit(chromedp.Click(`form[action$="/accept"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	check("a proposal that is in force")
	if g.holds("the social security number 536-22-8145") {
		t.Error("the value is held all the same")
	}
	if !g.holds("the social security number 536-22-8147") {
		t.Error("another value passes")
	}
	open(items[0].ID)
	propose("#kind-sender", "their order numbers", "no longer held")
	b.Submit(chromedp.Click(`form[action$="/accept"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	if g.holds("a social security number 536-22-8148") {
		t.Error("mail of the sender is held all the same")
	}
	mail := "From: ada@clinic.example\r\nMessage-ID: <other@clinic.example>\r\n\r\nsocial security number 536-22-8148\r\n"
	if answer, err := g.send("bea@clinic.example", outside, mail); err != nil || !strings.Contains(answer, "Held for review") {
		t.Errorf("mail of another sender: %s, %v", answer, err)
	}
	open(items[0].ID)
	b.Do(chromedp.Click("#kind-words"))
	typeIn(b, "#words", "parcel")
	propose("#kind-words", "their orders", "0 newly held")
	typeIn(b, "#answer", "too wide")
	b.Submit(chromedp.Click(`form[action$="/decline"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	check("a proposal that was declined")
	rules := read(t, filepath.Join(g.data(), "state", "rules", "site.toml"))
	if strings.Contains(rules, "536-22") || strings.Contains(rules, "536228145") || strings.Contains(rules, "ada@") || strings.Count(rules, "[[rules.allowlists]]") != 2 || strings.Contains(rules, "demote") {
		t.Errorf("the rules:\n%s", rules)
	}
	g.stop()
	log := g.must("audit", "export")
	for _, want := range []string{`"propose:1"`, `"accept:1"`, `"save:1"`, `"propose:2"`, `"accept:2"`, `"save:2"`, `"decline:3"`, `"reason":"not_phi"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	for _, secret := range []string{"536-22", "ada@clinic"} {
		if strings.Contains(g.logged()+log, secret) {
			t.Errorf("a log holds %q", secret)
		}
		for _, f := range filesWith(t, filepath.Join(g.data(), "state"), secret) {
			t.Errorf("left: %s", f)
		}
	}
}
