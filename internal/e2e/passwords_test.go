package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
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
