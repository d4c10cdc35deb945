package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestConsoleRules: rules are browsed and tried on the console, by what reads mail;
// what was tried stands in no log and in no file.
func TestConsoleRules(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	g, url := withConsole(t)
	signIn(t, g, b, url)
	check := func(what string) {
		t.Helper()
		narrow(t, b)
		look(what)
	}
	if !g.holds("Wilhelmina Quillfeather, social security number 536-22-8145") {
		t.Error("a mail with a number is not held")
	}
	b.Open(url + "/rules?pack=us-identifiers")
	check("a pack")
	b.Do(chromedp.Click(`a[href="/rules/of/us-ssn"]`), chromedp.WaitVisible(`a.btn[href="/rules/try?rule=us-ssn"]`))
	check("a rule")
	b.Do(chromedp.Click(`a.btn[href="/rules/try?rule=us-ssn"]`), chromedp.WaitVisible("#text"))
	check("before rules are tried")
	typeIn(b, "#text", "Wilhelmina Quillfeather, social security number 536-22-8145 </textarea><script>document.title='x'</script>, or 536228146")
	b.Do(chromedp.Click(`form[action="/rules/try"] button`), chromedp.WaitVisible(".explain"))
	check("rules tried on a text")
	if got := webtest.Eval[string](b, `document.querySelector("mark").innerText + " " + document.title`); got != "536-22-8145 Rules: try · stanch" {
		t.Errorf("marked and title: %q", got)
	}
	b.Open(url + "/rules/try")
	b.Do(chromedp.WaitVisible("#live"), chromedp.Click("#live"), chromedp.SetValue("#text", "an SSN 536-22-8145 <b>typed</b>"))
	webtest.Eval[bool](b, `document.querySelector("#text").dispatchEvent(new Event("input", {bubbles: true}))`)
	b.Do(chromedp.WaitVisible("#tried mark"))
	check("rules tried as a text is typed")
	if got := webtest.Eval[string](b, `document.querySelector("#tried mark").innerText + " " + document.querySelector("#text").value`); got != "536-22-8145 an SSN 536-22-8145 <b>typed</b>" {
		t.Errorf("marked as it is typed: %q", got)
	}
	file := filepath.Join(t.TempDir(), "Quillfeather.eml")
	write(t, file, consoleMail, 0o600)
	b.Open(url + "/rules/try")
	b.Do(chromedp.WaitVisible("#file"), chromedp.SetUploadFiles("#file", []string{file}), chromedp.Click(`form[action="/rules/try"] button`), chromedp.WaitVisible(".explain"))
	check("rules tried on a mail")
	text := webtest.Eval[string](b, `document.querySelector("main").innerText`)
	for _, want := range []string{"Headers", "Part 2", "536-22-8146", "validator: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation of a mail lacks %q:\n%s", want, text)
		}
	}
	editRules(t, g, b, url, check)
	g.stop()
	log := g.must("audit", "export")
	for _, want := range []string{`"save:1"`, `"back:3:1"`, `"kind":"rule_file"`, `"kind":"rules"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	if n := strings.Count(log, `"rules_try"`); n != 3 {
		t.Errorf("%d trials on record, want 3", n)
	}
	for _, f := range filesWith(t, g.data(), consoleSecrets...) {
		t.Errorf("what was tried is left: %s", f)
	}
	for _, secret := range consoleSecrets {
		if strings.Contains(g.logged()+log, secret) {
			t.Errorf("a log holds %q", secret)
		}
	}
}

const badgeRule = `schema = 1
[[rules]]
id          = "staff-badge"
type        = "CUSTOM"
description = "Staff badge number"
tags        = ["identifier"]
  [[rules.patterns]]
  confidence = "medium"
  regex      = 'BX\d{6}'
  supporting = { any = ["badge"], proximity = 40 }
  [rules.tests]
  match    = ["badge BX482913"]
  no_match = ["BX482913"]
`

// editRules writes a rule in the browser, sees it in force, changes it and goes back.
func editRules(t *testing.T, g *gateway, b *webtest.Browser, url string, check func(string)) {
	t.Helper()
	inForce := func() int { return strings.Count(g.logged(), "new rules and policies are in force") }
	draft := func(text, note, do string) {
		t.Helper()
		b.Open(url + "/rules/edit")
		b.Do(chromedp.WaitVisible("#draft"), chromedp.SetValue("#draft", text), chromedp.SetValue("#note", note))
		b.Submit(chromedp.Click(`button[value="` + do + `"]`))
		b.Do(chromedp.WaitVisible(`main [role="alert"], main [role="status"]`))
	}
	b.Open(url + "/rules/edit")
	check("the editor before anything was saved")
	// A key that is none, a test that fails: each with its line, and nothing is in force.
	draft(strings.Replace(badgeRule, "proximity", "nearness", 1), "badges", "save")
	check("a draft with a mistake")
	if text := webtest.Eval[string](b, `document.querySelector('[role="alert"]').innerText`); !strings.Contains(text, "Line 10") || !strings.Contains(text, "nearness") {
		t.Errorf("of a key that is none the page says %q", text)
	}
	draft(strings.Replace(badgeRule, `"BX482913"]`, `"badge BX482913"]`, 1), "badges", "save")
	if text := webtest.Eval[string](b, `document.querySelector('[role="alert"]').innerText`); !strings.Contains(text, "Line 13") {
		t.Errorf("of a test that fails the page says %q", text)
	}
	if n := inForce(); n != 0 || strings.Contains(g.must("rules", "list"), "staff-badge") {
		t.Errorf("a draft that is wrong is in force (%d)", n)
	}
	draft(badgeRule, "badges of the wards", "save")
	eventually(t, "what was saved is said to be in force", func() bool { return inForce() == 1 })
	if !strings.Contains(g.must("rules", "list"), "staff-badge") {
		t.Errorf("a draft that is right is not in force: %s", webtest.Eval[string](b, `document.querySelector("main").innerText`))
	}
	check("the editor after a save")
	draft(fewerSSNs, "not said yet", "replay")
	check("a draft replayed")
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "1 no longer held") || !strings.Contains(text, "***-**-8145") || strings.Contains(text, "Quillfeather") {
		t.Errorf("of a draft that was replayed the page says:\n%s", text)
	}
	draft(strings.Replace(badgeRule, "medium", "high", 1), "surer", "save")
	b.Open(url + "/rules/history/2")
	check("a version")
	b.Do(chromedp.Click(`a[href="/rules/history"]`), chromedp.WaitVisible(`a[href="/rules/history/1"]`))
	check("versions")
	b.Do(chromedp.Click(`a[href="/rules/history/1"]`), chromedp.WaitVisible(`form[action="/rules/history/1/back"]`))
	b.Submit(chromedp.Click(`form[action="/rules/history/1/back"] button`))
	b.Do(chromedp.WaitVisible(`main [role="status"]`))
	eventually(t, "three times something was in force", func() bool { return inForce() == 3 })
	if read(t, filepath.Join(g.data(), "state", "rules", "site.toml")) != badgeRule {
		t.Error("after going back the first version is not in force")
	}
}
