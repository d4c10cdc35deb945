package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestDashboardCounts: what is sent, held and decided shows on the dashboard, on
// the report and in the CSV, and counts once over a restart.
func TestDashboardCounts(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	looks := axe(t, b)
	g, url := withConsole(t)
	signIn(t, g, b, url)
	for _, m := range []string{cleanMail, consoleMail} {
		if _, err := g.send("ada@clinic.example", outside, m); err != nil {
			t.Fatal(err)
		}
	}
	b.Open(url + "/queue")
	b.Do(chromedp.Click(".holds .what a"), chromedp.WaitVisible("#do-reject"))
	b.Submit(chromedp.Click("#do-reject"), chromedp.SetValue("#code", "not_phi"), chromedp.Click(".decide .btn-main"))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	for _, again := range []bool{false, true} {
		if again {
			g.stop()
			g.start()
			b.Open(url + "/signin")
			typeIn(b, "#name", "admin")
			typeIn(b, "#password", reviewersPassword+"\r")
			b.Do(chromedp.WaitVisible(".masthead"))
		}
		b.Open(url + "/dashboard?days=2")
		discreet(t, b)
		narrow(t, b)
		looks("the dashboard")
		text := strings.Join(strings.Fields(webtest.Eval[string](b, `document.querySelector("main").innerText`)), " ")
		for _, want := range []string{"Passed unchanged 1 ", "Held 1 ", "us-ssn 1 0 0 % ", "us-ssn 1 0 0 0", "ada@clinic.example 1", "Next hop", "Audit log written"} {
			if !strings.Contains(text, want) {
				t.Errorf("the dashboard lacks %q (again: %v):\n%s", want, again, text)
			}
		}
	}
	b.Open(url + "/report?days=2")
	discreet(t, b)
	narrow(t, b)
	looks("the report")
	csv := webtest.Eval[string](b, `(() => { const x = new XMLHttpRequest(); x.open("GET", "/report.csv?days=2", false); try { x.send() } catch (e) { return String(e) } return x.responseText })()`)
	if !strings.Contains(csv, "NetworkError") { // the page's own policy lets no script fetch anything
		t.Errorf("a script of the page could fetch: %q", csv)
	}
	if log := g.must("audit", "export"); !strings.Contains(log, `"reason":"report"`) {
		t.Error("that the report was made is not on record")
	}
	g.stop()
}

// TestAuditPageAndLegalHold: an admin finds an item's events by its sender, who is in
// no URL, and places a legal hold, which the command line lists and lifts.
func TestAuditPageAndLegalHold(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	looks := axe(t, b)
	g, url := withConsole(t)
	signIn(t, g, b, url)
	if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	id := string(g.held()[0].ID)
	b.Open(url + "/audit")
	typeIn(b, "#address", "ADA@clinic.example\r")
	b.Do(chromedp.WaitVisible(`a[href="/audit?doc=` + id + `"]`))
	if at := webtest.Eval[string](b, `location.href + document.title`); strings.Contains(strings.ToLower(at), "clinic.example") {
		t.Errorf("an address stands in the URL: %q", at)
	}
	discreet(t, b)
	narrow(t, b)
	looks("the audit page")
	b.Do(chromedp.Click(`a[href="/audit?doc=`+id+`"]`), chromedp.WaitVisible("#why"), chromedp.SendKeys("#why", "a subpoena"), chromedp.Click(`button[value="place"]`), chromedp.WaitVisible(`button[value="lift"]`))
	looks("an item's events")
	if out := g.must("legal-hold", "list"); !strings.Contains(out, id) || !strings.Contains(out, "a subpoena") || !strings.Contains(out, "user:admin") {
		t.Errorf("legal-hold list:\n%s", out)
	}
	g.must("legal-hold", "lift", id)
	if out := g.must("legal-hold", "list"); !strings.Contains(out, "no legal hold") {
		t.Errorf("lifted, and listed:\n%s", out)
	}
	if log := g.must("audit", "export"); strings.Contains(log+g.logged(), "subpoena") || strings.Contains(log, "ada@") || strings.Count(log, `"kind":"legal_hold"`) != 2 {
		t.Error("a log holds why there was a legal hold, or not that there was one")
	}
	g.stop()
}
