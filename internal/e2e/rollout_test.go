package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stanch-dlp/stanch/internal/rollout"
	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestRollout: a policy that is being brought in lets mail pass and counts it; an
// admin sees what it would have held, enforces it, and it holds, over a restart too.
func TestRollout(t *testing.T) {
	t.Parallel()
	b := webtest.Chromium(t, 1280, 900)
	looks := axe(t, b)
	g, url := withConsole(t)
	old, err := os.ReadFile(g.config)
	if err == nil {
		err = os.WriteFile(g.config, append(old, []byte("\n[[policies]]\nid = \"brought-in\"\nmode = \"rollout\"\nwhere = { recipients = \"external\" }\nany = [{ type = \"SSN\" }]\naction = \"quarantine\"\n")...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.kill()
	g.start()
	signIn(t, g, b, url)
	send := func(held int, what string) {
		t.Helper()
		if _, err := g.send("ada@clinic.example", outside, consoleMail); err != nil {
			t.Fatal(err)
		}
		if got := len(g.held()); got != held {
			t.Fatalf("%s: %d held, want %d", what, got, held)
		}
	}
	send(0, "watched")
	b.Open(url + "/rollout")
	b.Submit(chromedp.WaitVisible(`select[name="days"]`), chromedp.Click(`button[value="watch"]`))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	text := strings.Join(strings.Fields(webtest.Eval[string](b, `document.querySelector("main").innerText`)), " ")
	for _, want := range []string{"day 1 of 14", "us-ssn 1 1 nobody decided yet", "with 1 documents"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	discreet(t, b)
	narrow(t, b)
	looks("a roll-out")
	typeIn(b, `input[name="confirm"]`, "brought-in")
	b.Submit(chromedp.Click(`button[value="enforce"]`))
	b.Do(chromedp.WaitVisible(`[role="status"]`))
	looks("an enforced policy")
	send(1, "enforced")
	behind := func() bool {
		b.Open(url + "/rollout")
		return strings.Contains(webtest.Eval[string](b, `document.querySelector("main").innerText`), "The last step is not in force")
	}
	if behind() {
		t.Error("the page says that the step is not in force")
	}
	// What is written is another thing than what judges, as after a step that could be
	// written alone.
	steps, aside := rollout.Path(g.data()), filepath.Join(t.TempDir(), "steps")
	if err := os.Rename(steps, aside); err != nil {
		t.Fatal(err)
	}
	if !behind() {
		t.Error("the page does not say that what it shows is not in force")
	}
	looks("a step that is not in force")
	if err := os.Rename(aside, steps); err != nil {
		t.Fatal(err)
	}
	g.stop()
	g.start()
	if _, err := g.send("ben@clinic.example", outside, consoleMail); err != nil {
		t.Fatal(err)
	}
	if got := len(g.held()); got != 2 {
		t.Errorf("after a restart: %d held, want 2", got)
	}
	log := g.must("audit", "export")
	for _, want := range []string{`"policy":"brought-in","actor":"user:admin","reason":"watch:1"`, `"reason":"enforce:2"`, `"monitored_policy":"brought-in"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	g.stop()
}
