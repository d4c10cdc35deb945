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
	b.Open(url + "/rules?pack=us-identifiers")
	check("a pack")
	b.Do(chromedp.Click(`a[href="/rules/of/us-ssn"]`), chromedp.WaitVisible(`a.btn[href="/rules/try?rule=us-ssn"]`))
	check("a rule")
	b.Do(chromedp.Click(`a.btn[href="/rules/try?rule=us-ssn"]`), chromedp.WaitVisible("#text"))
	check("before rules are tried")
	typeIn(b, "#text", "Wilhelmina Quillfeather, social security number 536-22-8145 </textarea><script>document.title='x'</script>, or 536228146")
	b.Do(chromedp.Click(`main form button[type="submit"]`), chromedp.WaitVisible(".explain"))
	check("rules tried on a text")
	if got := webtest.Eval[string](b, `document.querySelector("mark").innerText + " " + document.title`); got != "536-22-8145 Rules: try · stanch" {
		t.Errorf("marked and title: %q", got)
	}
	file := filepath.Join(t.TempDir(), "Quillfeather.eml")
	write(t, file, consoleMail, 0o600)
	b.Open(url + "/rules/try")
	b.Do(chromedp.WaitVisible("#file"), chromedp.SetUploadFiles("#file", []string{file}), chromedp.Click(`main form button[type="submit"]`), chromedp.WaitVisible(".explain"))
	check("rules tried on a mail")
	text := webtest.Eval[string](b, `document.querySelector("main").innerText`)
	for _, want := range []string{"Headers", "Part 2", "536-22-8146", "validator: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation of a mail lacks %q:\n%s", want, text)
		}
	}
	g.stop()
	log := g.must("audit", "export")
	if n := strings.Count(log, `"rules_try"`); n != 2 {
		t.Errorf("%d trials on record, want 2", n)
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
