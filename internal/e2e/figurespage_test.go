package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestDashboardCounts: what is sent, held and decided shows on the dashboard, on
// the report and in the CSV, by department too, and counts once over a restart.
func TestDashboardCounts(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	looks := axe(t, b)
	of := filepath.Join(t.TempDir(), "departments.csv")
	if err := os.WriteFile(of, []byte("address,department\nAda@clinic.example,Emergency\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	url := "http://" + addr
	g := newGateway(t, options{extra: fmt.Sprintf("\n[console]\nlisten = %q\n[departments]\nfile = %q\n", addr, of)})
	g.start()
	signIn(t, g, b, url)
	for _, m := range []string{cleanMail, consoleMail, consoleMail} {
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
		for _, want := range []string{"Passed unchanged 1 ", "Held 2 ", "us-ssn 1 0 0 % ", "us-ssn 2 0 0 0", "ada@clinic.example 2",
			"Emergency 3 2 none before 1 ada@clinic.example: 2 us-ssn 2", "Next hop", "Audit log written"} {
			if !strings.Contains(text, want) {
				t.Errorf("the dashboard lacks %q (again: %v):\n%s", want, again, text)
			}
		}
	}
	b.Open(url + "/report?days=2")
	discreet(t, b)
	narrow(t, b)
	looks("the report")
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "Emergency") {
		t.Errorf("the report lacks the department:\n%s", text)
	}
	printed := g.must("report", "--format", "csv")
	for _, want := range []string{"together,,held,2", "precision,us-ssn,decided,1", "precision,us-ssn,phi,0", "time_to_decision,,decisions,1", "sender,ada@clinic.example,held,2",
		"department,Emergency,messages,3", "department,Emergency,senders_with_repeats,1", "department,Emergency,held of ada@clinic.example,2"} {
		if !strings.Contains(printed, ","+want+"\n") {
			t.Errorf("stanch report lacks %q:\n%s", want, printed)
		}
	}
	if out, code := g.cli("report", "--from", "2026-02-01", "--to", "2026-01-01"); code != 2 || out != "" {
		t.Errorf("a period that is none: %d %s", code, out)
	}
	csv := webtest.Eval[string](b, `(() => { const x = new XMLHttpRequest(); x.open("GET", "/report.csv?days=2", false); try { x.send() } catch (e) { return String(e) } return x.responseText })()`)
	if !strings.Contains(csv, "NetworkError") { // the page's own policy lets no script fetch anything
		t.Errorf("a script of the page could fetch: %q", csv)
	}
	if log := g.must("audit", "export"); !strings.Contains(log, `"reason":"report"`) || !strings.Contains(log, `"reason":"report_csv"`) {
		t.Error("that the report was made is not on record")
	}
	g.stop()
	days := strings.Split(strings.Split(printed, "\n")[1], ",") // it may be the next by now
	if alone := g.must("report", "--format", "csv", "--from", days[0], "--to", days[1]); alone != printed {
		t.Errorf("without a running serve stanch report prints\n%s\nwant\n%s", alone, printed)
	}
	if log := g.must("audit", "export"); !strings.Contains(log[strings.LastIndex(log, `"kind":"stop"`)+1:], `"reason":"report_csv"`) {
		t.Error("that the report was made without serve is not on record")
	}
}

// proofTaken takes the proof of the newest event on the page as a file, which is
// checked by the public key alone, and does not hold once it was changed.
func proofTaken(t *testing.T, g *gateway, b *webtest.Browser) {
	t.Helper()
	dir := t.TempDir()
	b.SavesTo(dir)
	b.Submit(chromedp.Click(`a[href^="/audit/proof?event="]`))
	b.Do(chromedp.Click(`form[action="/audit/proof"][method="post"] button`))
	var file string
	var saved []byte
	eventually(t, "the proof is saved", func() bool {
		if names, _ := filepath.Glob(filepath.Join(dir, "audit-event-*.json")); len(names) == 1 {
			file = names[0]
			saved, _ = os.ReadFile(file)
		}
		return json.Valid(saved)
	})
	verify := func() (string, int) {
		cmd := exec.Command(stanch, "audit", "verify", "--proof", file, "--key", filepath.Join(g.data(), "keys", "audit.key.pub"))
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := verify(); code != 0 || !strings.Contains(out, "The proof holds: 1 event of a log of") || !strings.Contains(out, `"kind":"`) {
		t.Errorf("the proof does not hold: %d\n%s", code, out)
	}
	if err := os.WriteFile(file, bytes.Replace(saved, []byte(`\"actor\":\"`), []byte(`\"actor\":\"x`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := verify(); code != 1 {
		t.Errorf("a proof that was changed: %d\n%s", code, out)
	}
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
	b.Do(chromedp.SendKeys("#why", "the subpoena is settled"))
	b.Submit(chromedp.Click(`button[value="lift"]`))
	if page := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(page, "the subpoena is settled") {
		t.Error("the page does not say why it was lifted")
	}
	narrow(t, b)
	looks("legal holds that were lifted")
	proofTaken(t, g, b)
	if out := g.must("legal-hold", "list", "--lifted"); !strings.Contains(out, id) || !strings.Contains(out, "subpoena is settled") {
		t.Errorf("legal-hold list --lifted:\n%s", out)
	}
	if out := g.must("legal-hold", "list"); !strings.Contains(out, "no legal hold") {
		t.Errorf("lifted, and listed:\n%s", out)
	}
	if log := g.must("audit", "export"); strings.Contains(log+g.logged(), "subpoena") || strings.Contains(log, "ada@") || strings.Count(log, `"kind":"legal_hold"`) != 4 {
		t.Error("a log holds why there was a legal hold, or not that there was one")
	}
	g.stop()
}
