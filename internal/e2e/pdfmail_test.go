package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const agreed = "seven yellow boats drift"

// withPassphrases is the configuration for mail that goes as an encrypted PDF to
// those who have a file in the folder.
func withPassphrases(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, words := range files {
		write(t, filepath.Join(dir, name), words+"\n", 0o600)
	}
	return fmt.Sprintf("[encrypt]\npdf_dir = %q\n", dir) + `[[policies]]
id = "seal-phi"
where = { channels = ["mail"], recipients = "external" }
all = [ { type = "SSN" } ]
action = "encrypt"
`
}

// readsPDF opens the PDF of a delivered mail with the passphrase, by two
// programs, and returns what its pages show.
func readsPDF(t *testing.T, mail, passphrase string) string {
	t.Helper()
	_, body, ok := strings.Cut(mail, "filename=\"message.pdf\"")
	if ok {
		_, body, ok = strings.Cut(strings.ReplaceAll(body, "\r\n", "\n"), "\n\n")
	}
	body, _, _ = strings.Cut(body, "\n--")
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil || !ok {
		t.Fatalf("no PDF in it: %v: %.500q", err, mail)
	}
	file := filepath.Join(t.TempDir(), "message.pdf")
	write(t, file, string(b), 0o600)
	if out := output(t, "qpdf", "--password="+passphrase, "--show-encryption", file); !strings.Contains(out, "R = 6") {
		t.Errorf("not of revision 6: %s", out)
	}
	return output(t, "pdftotext", "-upw", passphrase, file, "-")
}

// TestMailAsEncryptedPDF: who has a passphrase gets a PDF that it opens, others
// have the mail held, as do those whose passphrase others could read.
func TestMailAsEncryptedPDF(t *testing.T) {
	t.Parallel()
	need(t, "qpdf")
	g := newGateway(t, options{extra: withPassphrases(t, map[string]string{"pat@home.example.pass": agreed, "partner.example.pass": agreed + " twice", "weak@home.example.pass": "short"})})
	open := filepath.Join(strings.Split(read(t, g.config), `pdf_dir = "`)[1])
	open, _, _ = strings.Cut(open, `"`)
	write(t, filepath.Join(open, "open@home.example.pass"), agreed, 0o644)
	if err := os.Chmod(filepath.Join(open, "open@home.example.pass"), 0o644); err != nil {
		t.Fatal(err)
	}
	g.start()
	if out := g.must("keys", "test", "pat@home.example"); !strings.Contains(out, "pdf") || strings.Contains(out, agreed) {
		t.Errorf("keys test: %s", out)
	}
	for who, word := range map[string]string{"weak@home.example": "weak", "open@home.example": "exposed", "nobody@home.example": "no_key"} {
		if out, code := runStanch(t, "keys", "test", who, "--config", g.config); code != 1 || !strings.Contains(out, word) {
			t.Errorf("keys test %s: exit %d: %s", who, code, out)
		}
	}
	for rcpt, passphrase := range map[string]string{"pat@home.example": agreed, "any@partner.example": agreed + " twice"} {
		before := len(g.delivered())
		if answer, err := g.send("ada@clinic.example", []string{rcpt}, strings.ReplaceAll(secretMail, "bob@partner.example", rcpt)); err != nil {
			t.Fatalf("%q, %v", answer, err)
		}
		eventually(t, "it is delivered", func() bool { return len(g.delivered()) == before+1 })
		opened := false
		for _, m := range g.delivered() {
			if strings.Contains(m, "536-22-8145") {
				t.Fatalf("in the clear: %.600q", m)
			}
			if strings.Contains(m, rcpt) {
				opened = strings.Contains(readsPDF(t, m, passphrase), "536-22-8145")
			}
		}
		if !opened {
			t.Errorf("%s does not read it", rcpt)
		}
	}
	for i, rcpt := range []string{"weak@home.example", "open@home.example", "nobody@home.example"} {
		if answer, err := g.send("ada@clinic.example", []string{rcpt}, strings.ReplaceAll(secretMail, "bob@partner.example", rcpt)); err != nil || !strings.Contains(answer, "Held") {
			t.Errorf("to %s: %q, %v", rcpt, answer, err)
		}
		if n := len(g.held()); n != i+1 {
			t.Errorf("%d held, want %d", n, i+1)
		}
	}
	for what, text := range map[string]string{"the log": g.logged(), "standard output": g.printed(), "audit export": g.must("audit", "export")} {
		if strings.Contains(text, agreed) || strings.Contains(text, "536-22-8145") {
			t.Errorf("%s tells", what)
		}
	}
}

// TestPDFSurvivesKillAtEachStep: whatever moment the gateway dies at, the one
// copy that arrives is encrypted.
func TestPDFSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	need(t, "qpdf")
	for i, step := range []string{"encrypt", "encrypted", "decision", "seal encrypted", "commit: sync", "committed", "deliver"} {
		t.Run(step, func(t *testing.T) {
			eachSecond(t, i)
			g := newGateway(t, options{extra: withPassphrases(t, map[string]string{"bob@partner.example.pass": agreed})})
			g.start("STANCH_CRASH_AT=" + step)
			_, stage, err := g.offer("ada@clinic.example", []string{"bob@partner.example"}, secretMail)
			if stage == "quit" { // it has its answer: no mail server sends again
				err = nil
			}
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			if err != nil { // as every mail server does
				if answer, err := g.send("ada@clinic.example", []string{"bob@partner.example"}, secretMail); err != nil {
					t.Fatalf("second try: %q, %v", answer, err)
				}
			}
			eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
			got := g.delivered()
			if len(got) != 1 || strings.Contains(got[0], "536-22-8145") || !strings.Contains(readsPDF(t, got[0], agreed), "536-22-8145") {
				t.Fatalf("%d copies: %.300q", len(got), got)
			}
			if n := len(g.held()); n != 0 {
				t.Errorf("%d held, want 0", n)
			}
		})
	}
}

// TestPDFCanary: while an encrypted PDF waits, no trace of the patient is on
// disk, in open files or in what the gateway says.
func TestPDFCanary(t *testing.T) {
	t.Parallel()
	need(t, "qpdf")
	hop := newNextHop(t)
	hop.follow(func(verb, _ string, _ hopMail) string {
		if verb == "DOT" {
			return "451 4.2.0 later"
		}
		return ""
	})
	g := newGateway(t, options{nextHop: hop.addr, extra: withPassphrases(t, map[string]string{"bob@partner.example.pass": agreed}) + "[buffer]\nmemory_each = \"64KiB\"\n[defaults]\non_gap = \"allow\"\n"})
	temp := t.TempDir()
	g.start("TMPDIR=" + temp)
	mail := strings.Replace(canaryMail("labs"), "<zq-correspondent@partner.example>", "bob@partner.example", 1)
	mail = strings.Replace(mail, "From: Zephyrine Quillfeather <quillfeather.zephyrine@clinic.example>", "From: ada@clinic.example", 1)
	if answer, err := g.send("ada@clinic.example", []string{"bob@partner.example"}, mail); err != nil {
		t.Fatalf("%q, %v", answer, err)
	}
	eventually(t, "it was tried", func() bool { return strings.Contains(g.must("queue", "list"), "451") })
	noCanaryOnDisk(t, g, temp)
	for what, text := range map[string]string{"the log": g.logged(), "standard output": g.printed(), "audit export": g.must("audit", "export")} {
		noCanary(t, what, text)
	}
	hop.follow(nil)
	g.must("queue", "retry", "--all")
	eventually(t, "it is delivered", func() bool { return hop.count() == 1 })
	m := hop.messages()[0].text
	noCanary(t, "what was delivered", m)
	if !strings.Contains(readsPDF(t, m, agreed), canary[0]) {
		t.Error("Bob does not read it")
	}
}
