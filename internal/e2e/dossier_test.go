package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestDossier: an officer finds what somebody sent, held and passed, begins a
// dossier about it, fills in the four factors and concludes; the command line
// exports it, and its proof holds by the log's public key alone.
func TestDossier(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	looks := axe(t, b)
	g, url := withConsole(t)
	signIn(t, g, b, url)
	for _, to := range [][]string{outside, {"sam@clinic.example"}} { // the one is held, the other passes with what was found
		if _, err := g.send("ada@clinic.example", to, consoleMail); err != nil {
			t.Fatal(err)
		}
	}
	held := string(g.held()[0].ID)
	g.must("quarantine", "release", held, "--reason", "payment")

	b.Open(url + "/dossiers")
	narrow(t, b)
	looks("no dossier")
	typeIn(b, "#address", "Ada@clinic.example\r")
	b.Do(chromedp.WaitVisible(`input[name="item"]`))
	discreet(t, b)
	narrow(t, b)
	looks("documents found for a dossier")
	if at := webtest.Eval[string](b, `location.href + document.title`); strings.Contains(strings.ToLower(at), "clinic.example") {
		t.Errorf("an address stands in the URL: %q", at)
	}
	webtest.Eval[int](b, `(() => { const all = document.querySelectorAll('input[name="item"]'); all.forEach(x => x.checked = true); return all.length })()`)
	typeIn(b, "#title", "A list of Wilhelmina Oakenshield's went astray\r")
	b.Do(chromedp.WaitVisible("#conclusion"))
	text := webtest.Eval[string](b, `document.querySelector("main").innerText`)
	for _, want := range []string{"ada@clinic.example", outside[0] + ": released", "sam@clinic.example: passed", "SSN", "release", "payment"} {
		if !strings.Contains(text, want) {
			t.Errorf("the dossier lacks %q:\n%s", want, text)
		}
	}
	for _, factor := range []string{"nature", "receiver", "acquired", "mitigated"} {
		if factor == "mitigated" { // an empty factor blocks a conclusion, not a save
			b.Submit(chromedp.SetValue("#conclusion", "low_risk"), chromedp.Click(".sheet .btn-main"))
			if text := webtest.Eval[string](b, `document.body.innerText`); !strings.Contains(text, "all four factors") {
				t.Fatalf("concluded with an empty factor:\n%s", text)
			}
			b.Do(chromedp.NavigateBack(), chromedp.WaitVisible("#conclusion"))
		}
		b.Do(chromedp.SetValue("#"+factor, "Words about Wilhelmina Oakenshield"), chromedp.Click(`input[name="`+factor+`-risk"][value="low"]`))
	}
	b.Submit(chromedp.SetValue("#discovered", "2026-11-20"), chromedp.SetValue("#people", "1"), chromedp.SetValue("#conclusion", "low_risk"), chromedp.Click(".sheet .btn-main"))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	narrow(t, b)
	looks("a dossier")
	if text := webtest.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(text, "2027-01-19") || !strings.Contains(text, "low risk") {
		t.Errorf("a concluded dossier:\n%s", text)
	}
	b.Submit(chromedp.Click(`form[action$="/gather"] button`))
	b.Do(chromedp.WaitVisible(`[role="status"]`))

	list := g.must("dossier", "list")
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	if !strings.Contains(list, "low_risk") || !strings.Contains(g.must("dossier", "show", id), "sam@clinic.example: passed") {
		t.Errorf("dossier list:\n%s", list)
	}
	form := filepath.Join(t.TempDir(), "form.toml")
	filled := strings.NewReplacer("people = 1\n", "people = 2\n", `conclusion = "low_risk"`, `conclusion = "breach"`).Replace(g.must("dossier", "form", id))
	assess := func(text string) (string, int) {
		if err := os.WriteFile(form, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return g.cli("dossier", "assess", id, form)
	}
	if out, code := assess(strings.Replace(filled, `risk = "low"`, `risk = ""`, 1)); code != 2 {
		t.Errorf("a breach with a factor that is not rated: %d\n%s", code, out)
	}
	if out, code := assess(filled); code != 0 || !strings.Contains(out, "version 4") || !strings.Contains(g.must("dossier", "list"), "breach") {
		t.Errorf("assess: %d\n%s", code, out)
	}
	if out, code := assess(filled); code != 2 {
		t.Errorf("assess with an older form: %d\n%s", code, out)
	}
	exported := g.must("dossier", "export", id)
	file := filepath.Join(t.TempDir(), "dossier.json")
	key := filepath.Join(g.data(), "keys", "audit.key.pub")
	verify := func(text string) (string, int) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return g.cli("dossier", "verify", file, "--key", key)
	}
	if out, code := verify(exported); code != 0 || !strings.Contains(out, "The proof holds") {
		t.Errorf("verify: %d\n%s", code, out)
	}
	if out, code := verify(strings.Replace(exported, `\"reason\":\"payment\"`, `\"reason\":\"treatment\"`, 1)); code != 1 {
		t.Errorf("verify of a dossier in which a reason was changed: %d\n%s", code, out)
	}
	var d struct {
		N     int `json:"n"`
		Found struct {
			Evidence struct{ Events []struct{ Line string } } `json:"evidence"`
		} `json:"found"`
	}
	if err := json.Unmarshal([]byte(exported), &d); err != nil || d.N != 4 {
		t.Errorf("version %d, %v; want 4", d.N, err)
	}
	log := g.must("audit", "export")
	for _, want := range []string{`"reason":"begin:1"`, `"reason":"save:2"`, `"reason":"gather:3"`, `"reason":"save:4"`, `"reason":"export:4"`, `"kind":"look","doc":"` + held + `"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	if strings.Contains(log+g.logged(), "Oakenshield") {
		t.Error("a log holds what somebody wrote")
	}
	g.stop()
	for _, f := range filesWith(t, g.data(), "Oakenshield") {
		t.Error(f)
	}
}
