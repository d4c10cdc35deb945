package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/internal/webtest"
)

// lockedReport is an archive that 7z encrypts, with an SSN in it.
func lockedReport(t *testing.T, password string) []byte {
	t.Helper()
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.txt"), []byte("Patient SSN 536-22-8199\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "7z", "a", "-tzip", "-mem=AES256", "-p"+password, "report.zip", "report.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.zip"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPasswordInAnotherMail holds that a password which one mail names opens what
// another between the same two carries, either way; that nobody else's does; and
// that it stands in no file, log, metric or record, and is gone with the process.
func TestPasswordInAnotherMail(t *testing.T) {
	t.Parallel()
	const (
		password = "Quetzal-8841-Vane"
		ada, sam = "ada@clinic.example", "sam@partner.example"
		eve      = "eve@elsewhere.example"
	)
	zip := lockedReport(t, password)
	metricsAddr := freeAddr(t)
	g := newGateway(t, options{extra: quietPolicy + "[metrics]\nlisten = \"" + metricsAddr + "\"\n"})
	g.start()
	says := func(from, to string) {
		t.Helper()
		m := synth.Message(synth.Mail{From: from, To: []string{to}, Subject: "the other matter", Paragraphs: []string{"The password for the file is: " + password}})
		if answer, err := g.send(from, []string{to}, string(m)); err != nil || strings.Contains(answer, "Held") {
			t.Fatalf("what names the password: %q, %v; want it delivered", answer, err)
		}
	}
	var known []string // held before
	held := func(name, from string, to []string, want string) {
		t.Helper()
		m := synth.Message(synth.Mail{From: from, To: to, Subject: name, Paragraphs: []string{"As promised."},
			Attachments: []synth.Attachment{{Member: synth.Member{Name: "report.zip", Data: zip}, Type: "application/zip"}}})
		answer, err := g.send(from, to, string(m))
		if err != nil || !strings.Contains(answer, "Held for review") {
			t.Fatalf("%s: %q, %v; want it held", name, answer, err)
		}
		for _, it := range g.held() {
			if slices.Contains(known, it.ID) {
				continue
			}
			known = append(known, it.ID)
			got := "gap"
			if slices.Contains(it.Rules, "us-ssn") {
				got = "us-ssn"
			}
			if got != want {
				t.Errorf("%s: held for %s (policy %q, rules %q), want %s", name, got, it.Policy, it.Rules, want)
			}
		}
	}
	held("before any password", ada, []string{sam}, "gap")
	says(ada, sam)
	held("after it", ada, []string{sam}, "us-ssn")
	held("to several", ada, []string{eve, sam}, "us-ssn")
	held("to somebody else", ada, []string{eve}, "gap")
	held("from somebody else", "bob@clinic.example", []string{sam}, "gap")
	says(sam, eve)
	held("what an answer names", eve, []string{sam}, "us-ssn")

	nowhere := func(when string) {
		t.Helper()
		for _, f := range filesWith(t, g.data(), password) {
			t.Errorf("%s: %s", when, f)
		}
		for what, text := range map[string]string{"the log": g.logged(), "standard output": g.printed()} {
			if strings.Contains(text, password) {
				t.Errorf("%s: %s holds the password", when, what)
			}
		}
	}
	nowhere("while it runs")
	res, err := http.Get("http://" + metricsAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var page strings.Builder
	if err := res.Write(&page); err != nil || !strings.Contains(page.String(), "stanch_documents_total") {
		t.Fatalf("metrics: %v", err)
	}
	for what, text := range map[string]string{"metrics": page.String(), "audit export": g.must("audit", "export"), "list of held mail": g.must("quarantine", "list", "--format", "json")} {
		if strings.Contains(text, password) {
			t.Errorf("%s holds the password", what)
		}
	}
	g.kill()
	nowhere("after kill -9")
	g.start()
	held("after a restart", ada, []string{sam}, "gap")
	g.stop()
	nowhere("after a stop")
}

// TestReviewerTypesThePassword: on the page of a held item, the password of its
// attachment opens it; what is inside is found, masked, and the item stays held.
// The password and what it protected stand nowhere.
func TestReviewerTypesThePassword(t *testing.T) {
	t.Parallel()
	const password = "Quetzal-8841-Vane"
	zip := lockedReport(t, password)
	b := webtest.Chromium(t, 1280, 900)
	look := axe(t, b)
	g, url := withConsole(t)
	m := synth.Message(synth.Mail{From: "ada@clinic.example", To: outside, Subject: "the report", Paragraphs: []string{"As promised."},
		Attachments: []synth.Attachment{{Member: synth.Member{Name: "report.zip", Data: zip}, Type: "application/zip"}}})
	if answer, err := g.send("ada@clinic.example", outside, string(m)); err != nil || !strings.Contains(answer, "Held for review") {
		t.Fatalf("%q, %v; want it held", answer, err)
	}
	signIn(t, g, b, url)
	id := g.held()[0].ID
	b.Open(url + "/items/" + id)
	narrow(t, b)
	look("an item with a part that is encrypted")
	typeIn(b, "#password", "wrong"+kb.Enter)
	eventually(t, "the page says that a wrong password opens nothing", func() bool {
		return webtest.Eval[bool](b, `document.readyState === "complete" && document.querySelector("main")?.textContent.includes("opens nothing") === true`)
	})
	look("a password that opens nothing")
	b.Open(url + "/items/" + id)
	typeIn(b, "#password", password+kb.Enter)
	b.Do(chromedp.WaitVisible(".finding .masked"))
	look("an item that was opened")
	if says := webtest.Eval[string](b, `document.querySelector("main").textContent`); !strings.Contains(says, "us-ssn") || strings.Contains(says, "536-22-8199") {
		t.Errorf("opened, the page does not say what was found, or shows it: %q", says)
	}
	if it := g.held()[0]; it.State != "held" || !slices.Contains(it.Rules, "us-ssn") {
		t.Errorf("opened, it is listed as %+v", it)
	}
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector('form[action$="/reveal"] input[name="password"]').closest("details").open = true`))
	look("a part that takes its password to be revealed")
	narrow(t, b)
	b.Submit(chromedp.Evaluate[chromedp.Void](`(() => { const f = document.querySelector('form[action$="/reveal"] input[name="password"]').form; f.reason.value = "to_decide"; f.password.value = "` + password + `"; f.requestSubmit() })()`))
	if shown := webtest.Eval[string](b, `document.querySelector(".revealed")?.textContent ?? document.body.innerText`); !strings.Contains(shown, "536-22-8199") {
		t.Errorf("a part inside what a password opened is revealed as %q", shown)
	}
	log := g.must("audit", "export")
	if strings.Count(log, `"reason":"password"`) != 2 || !strings.Contains(log, `"result":"opened"`) {
		t.Error("the audit log lacks a try, or what came of it")
	}
	g.stop()
	if all := log + g.logged(); strings.Contains(all, password) || strings.Contains(all, "536-22-8199") {
		t.Error("a log holds the password or what it protected")
	}
	err := filepath.WalkDir(g.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		body, err := os.ReadFile(path)
		if strings.Contains(string(body), password) || strings.Contains(string(body), "536-22-8199") {
			t.Errorf("%s holds the password or what it protected", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
