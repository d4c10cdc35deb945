package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readsPictures has the words in pictures read, and a start without that is none.
const readsPictures = quietPolicy + "\n[defaults]\nnotify = []\n[extract.ocr]\nenabled = true\n"

// scanOf is a scanned page with some words, as independent programs make one: a
// picture in the form that name says, or a PDF of nothing else.
func scanOf(t *testing.T, name, words string) []byte {
	t.Helper()
	for _, program := range []string{"tesseract", "convert", "tiff2pdf"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	to := filepath.Join(t.TempDir(), name)
	drawn := strings.TrimSuffix(to, ".pdf")
	if drawn != to {
		drawn += ".tif"
	}
	run := func(program string, args ...string) {
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", program, err, out)
		}
	}
	run("convert", "-size", "1600x400", "xc:white", "-font", "DejaVu-Sans", "-pointsize", "36", "-fill", "black",
		"-annotate", "+40+120", words, "-alpha", "off", "-depth", "8", "-density", "200", "-units", "PixelsPerInch", drawn)
	if drawn != to {
		run("tiff2pdf", "-o", to, drawn)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	patientsPage = "Patient: Jane Roe\nSSN: 536-22-8145"
	cleanPage    = "Minutes of the garden club\nThe roses were pruned."
)

// scans are mails with a page that is read, by name.
func scans(t *testing.T, words string) map[string]string {
	return map[string]string{
		"PNG": attached("scan.png", "image/png", scanOf(t, "scan.png", words), nil),
		"PDF": attached("scan.pdf", "application/pdf", scanOf(t, "scan.pdf", words), nil),
	}
}

// readLater sends what is to be read on, and wants its client told so.
func (g *gateway) readLater(name, msg string) {
	g.t.Helper()
	answer, err := g.send("ada@clinic.example", outside, msg)
	if err != nil || !strings.Contains(answer, "Accepted for reading, id ") {
		g.t.Fatalf("%s: answered %q, %v; want it accepted for reading", name, answer, err)
	}
}

// one wants one message, held or delivered as it came.
func (g *gateway) one(t *testing.T, msg string, held bool) {
	t.Helper()
	eventually(t, "the queue is empty", func() bool { return len(g.queue()) == 0 })
	in, out := g.held(), g.delivered()
	switch {
	case held && (len(in) != 1 || len(out) != 0), !held && (len(in) != 0 || len(out) != 1):
		t.Errorf("%d held, %d delivered; want one, held: %v", len(in), len(out), held)
	case held:
		if got := g.must("quarantine", "export", in[0].ID, "--reveal"); got != msg {
			t.Errorf("held %d bytes, want the message as it came", len(got))
		}
	case !strings.HasSuffix(out[0], msg):
		t.Errorf("delivered %d bytes, want the message as it came behind its trace fields", len(out[0]))
	}
	noneLeft(t, filepath.Join(g.data(), "tmp"))
	g.must("audit", "verify")
}

// TestScannedPages: a mail with a page that is a picture is answered at once and
// read without its client. The one with a patient is held for what stands on the
// page; the other goes out by itself.
func TestScannedPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, words string
		held        bool
	}{{"patient", patientsPage, true}, {"clean", cleanPage, false}} {
		for name, msg := range scans(t, c.words) {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				g := newGateway(t, options{extra: readsPictures})
				g.start()
				g.readLater(name, msg)
				g.one(t, msg, c.held)
				if c.held {
					if got := g.must("quarantine", "show", g.held()[0].ID); !strings.Contains(got, "SSN") {
						t.Errorf("not held for the number on it: %s", got)
					}
				}
			})
		}
	}
}

// TestPicturesWithoutProgram: as long as nothing reads them, pictures are gaps.
// By itself that is warned of; where they must be read, nothing starts.
func TestPicturesWithoutProgram(t *testing.T) {
	t.Parallel()
	msg := attached("scan.png", "image/png", scanOf(t, "scan.png", cleanPage), nil)
	for name, keys := range map[string]string{
		"missing": "program = \"/nowhere/tesseract\"\n", "another program": "program = \"/bin/true\"\n",
		"no such language": "languages = [\"xyz\"]\n", "switched off": "enabled = false\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, options{extra: quietPolicy + "\n[extract.ocr]\n" + keys})
			g.start()
			answer, err := g.send("ada@clinic.example", outside, msg)
			if err != nil || !strings.Contains(answer, "Held for review, id ") {
				t.Fatalf("answered %q, %v", answer, err)
			}
			if got := g.must("quarantine", "show", g.held()[0].ID); !strings.Contains(got, "image") {
				t.Errorf("not held for a picture: %s", got)
			}
			if warned := strings.Count(g.logged(), "WARNING: words in pictures are not read"); (warned == 1) != (name != "switched off") {
				t.Errorf("warned %d times", warned)
			}
			if name == "switched off" {
				return
			}
			g.kill()
			g.change(t, "[extract.ocr]\n", "[extract.ocr]\nenabled = true\n")
			out, err := exec.CommandContext(t.Context(), stanch, "serve", "--config", g.config).CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("extract.ocr.enabled: tesseract cannot be used: ")) || !bytes.Contains(out, []byte("Install tesseract-ocr")) {
				t.Errorf("started where it must not, or without a next step: %v: %s", err, out)
			}
		})
	}
}

// offspring are the processes below serve that run a program of that name.
func (g *gateway) offspring(name string) (pids []int) {
	g.t.Helper()
	for _, pid := range g.children() {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Base(to) == name {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestKilledAmidPictures: whoever is killed while a page is read, the message is
// there once: held for the page that was not read, or read anew.
func TestKilledAmidPictures(t *testing.T) {
	t.Parallel()
	msg := scans(t, cleanPage)["PNG"]
	for _, c := range []struct {
		name string
		kill func(t *testing.T, g *gateway, tesseract int)
		held bool
	}{
		{"tesseract", func(t *testing.T, _ *gateway, tesseract int) { killed(t, tesseract) }, true},
		{"the readers", func(t *testing.T, g *gateway, tesseract int) {
			for _, pid := range append(g.offspring(filepath.Base(stanch)), tesseract) {
				_ = syscall.Kill(pid, syscall.SIGKILL) // serve may have ended it, once another was gone
			}
		}, true},
		{"the gateway", func(_ *testing.T, g *gateway, _ int) {
			g.kill()
			g.start()
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t, options{extra: readsPictures})
			g.start()
			g.readLater("PNG", msg)
			tesseract := g.stopped("tesseract")
			c.kill(t, g, tesseract)
			g.one(t, msg, c.held)
		})
	}
}

// stopped waits for a program to run below serve, and stops it there: it stays
// amid its work until it is killed.
func (g *gateway) stopped(name string) (pid int) {
	g.t.Helper()
	for end := time.Now().Add(waitWithin); time.Now().Before(end); {
		if pids := g.offspring(name); len(pids) > 0 && syscall.Kill(pids[0], syscall.SIGSTOP) == nil && slices.Contains(g.offspring(name), pids[0]) {
			return pids[0]
		}
	}
	g.t.Fatalf("no %s was seen", name)
	return 0
}

func killed(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
