package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Invented people; the numbers only have the form that SSA gives out.
const (
	cleanMail = "From: Ada Example <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\nSubject: meeting\r\n" +
		"Message-ID: <clean-1@clinic.example>\r\n\r\nDear Sam,\r\n\r\nthe meeting is at three.\r\n.leading dot\r\nKind regards\r\nAda\r\n"
	phiMail = "From: Ada Example <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\nSubject: patient\r\n" +
		"Message-ID: <phi-1@clinic.example>\r\nX-Demo-Id: phi-1\r\n\r\nHer social security number is 536-22-8145.\r\nbare \rCR and no end of line"
	phiFile = "name,ssn\nMira Testcase,536-22-8145\nOlav Sample,536-22-8146\n"
)

var outside = []string{"sam@partner.example"}

func TestMailRoad(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()

	answer, err := g.send("ada@clinic.example", outside, cleanMail)
	if err != nil {
		t.Fatalf("clean mail: %v", err)
	}
	got := g.delivered()
	if len(got) != 1 || !strings.HasSuffix(got[0], cleanMail) {
		t.Fatalf("answered %q; maildir holds %q, want the message as it came behind trace fields", answer, got)
	}
	if n := len(g.held()); n != 0 {
		t.Errorf("%d held after a clean mail, want 0", n)
	}

	answer, err = g.send("ada@clinic.example", outside, phiMail)
	if err != nil || !strings.Contains(answer, "Held for review, id ") {
		t.Fatalf("PHI: %q, %v; want it held", answer, err)
	}
	items := g.held("--header", "X-Demo-Id")
	if len(items) != 1 {
		t.Fatalf("held %v, want one", items)
	}
	it := items[0]
	if it.Channel != "mail" || it.Sender != "ada@clinic.example" || it.Header != "phi-1" || it.State != "held" ||
		len(it.Recipients) != 1 || it.Recipients[0] != outside[0] || !strings.Contains(answer, it.ID) {
		t.Errorf("held item is %+v, answer %q", it, answer)
	}
	// The client's dot writer ends the last line; everything else is as sent.
	sent := phiMail + "\r\n"
	if out := g.must("quarantine", "export", it.ID, "--reveal"); out != sent {
		t.Errorf("export is %q, want %q", out, sent)
	}
	if out, code := g.cli("quarantine", "export", it.ID); code != 2 || out != "" {
		t.Errorf("export without --reveal: exit %d, %q", code, out)
	}
	g.must("quarantine", "release", it.ID)
	eventually(t, "the released mail is in the maildir", func() bool {
		for _, m := range g.delivered() {
			if strings.HasSuffix(m, sent) && strings.Contains(m, "X-Stanch-Id: "+it.ID) {
				return true
			}
		}
		return false
	})
	if _, code := g.cli("quarantine", "release", it.ID); code == 0 {
		t.Error("a second release was not refused")
	}
	if items := g.held("--all"); len(items) != 1 || items[0].State != "released" {
		t.Errorf("--all lists %+v, want one released", items)
	}
	g.must("audit", "verify")
	g.stop()
	g.must("audit", "verify")
	g.must("quarantine", "list")
}

// TestHealthByName: the starter policy holds an identifier together with the
// names of a condition and a drug, and neither alone.
func TestHealthByName(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	letter := func(body string) string {
		return "From: Ada Example <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\nSubject: letter\r\n\r\n" + body + "\r\n"
	}
	for body, held := range map[string]bool{
		"MRN: 4829137, diagnosed with type 2 diabetes, started on metformin.": true,
		"MRN: 4829137, seen on Tuesday.":                                      false,
		"Diagnosed with type 2 diabetes, started on metformin.":               false,
	} {
		before := len(g.held())
		answer, err := g.send("ada@clinic.example", outside, letter(body))
		if err != nil || strings.Contains(answer, "Held for review") != held {
			t.Errorf("%q: %q, %v; want held %t", body, answer, err, held)
		}
		if got := len(g.held()) - before; got == 1 != held {
			t.Errorf("%q: %d held, want held %t", body, got, held)
		}
	}
	if items := g.held(); len(items) != 1 || items[0].Policy != "phi-leaves" || !slices.Equal(items[0].Rules, []string{"condition", "drug", "us-mrn"}) {
		t.Errorf("held %+v, want one by phi-leaves for its condition, drug and record number", items)
	}
}

func TestMailSplit(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	both := []string{"nurse@clinic.example", "sam@partner.example"}
	answer, err := g.send("ada@clinic.example", both, phiMail)
	if err != nil || !strings.Contains(answer, "Held for review, id ") {
		t.Fatalf("split: %q, %v; want it held for one", answer, err)
	}
	items := g.held()
	if len(items) != 1 || len(items[0].Recipients) != 1 || items[0].Recipients[0] != "sam@partner.example" {
		t.Fatalf("held %+v, want one for the external recipient alone", items)
	}
	eventually(t, "the internal recipient's copy is in the maildir", func() bool {
		for _, m := range g.delivered() {
			if strings.HasSuffix(m, phiMail+"\r\n") && strings.Contains(m, "nurse@clinic.example") && !strings.Contains(m[:strings.Index(m, "From: ")], "sam@") {
				return true
			}
		}
		return false
	})
}

func TestFileRoad(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	clean, phi := filepath.Join(g.share, "minutes.txt"), filepath.Join(g.share, "deep", "er", "patients.csv")
	if err := os.MkdirAll(filepath.Dir(phi), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, clean, "minutes of the meeting at three\n", 0o644)
	write(t, phi, phiFile, 0o640)
	before, err := os.Stat(phi)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file with PHI is held", func() bool { return len(g.held()) == 1 })
	stub := phi + ".stanch.txt"
	eventually(t, "its stub stands in its place", func() bool { return !exists(phi) && exists(stub) })
	if !exists(clean) {
		t.Error("the clean file is gone")
	}
	it := g.held()[0]
	if it.Channel != "file" || it.Path != filepath.Join("deep", "er", "patients.csv") {
		t.Errorf("held item is %+v", it)
	}
	if out := g.must("quarantine", "export", it.ID, "--reveal"); out != phiFile {
		t.Errorf("export is %q", out)
	}
	g.must("quarantine", "release", it.ID)
	got, err := os.ReadFile(phi)
	if err != nil || string(got) != phiFile {
		t.Fatalf("released file is %q, %v", got, err)
	}
	after, err := os.Stat(phi)
	if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("mode and time are %v %v, want %v %v (%v)", after.Mode(), after.ModTime(), before.Mode(), before.ModTime(), err)
	}
	if exists(stub) {
		t.Error("the stub is still there after release")
	}
	g.stop()
	g.start() // the walk at start sees the released file again
	write(t, filepath.Join(g.share, "second.csv"), strings.ReplaceAll(phiFile, "8145", "8147"), 0o644)
	eventually(t, "a second file is held", func() bool { return len(g.held()) == 1 })
	if !exists(phi) {
		t.Error("the released file was taken again")
	}
	g.must("audit", "verify")
}

func TestMailSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	large := phiMail + "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000) + "end"
	for _, tt := range []struct{ step, msg string }{
		{"decision", phiMail},
		{"commit", phiMail},
		{"commit: begin", phiMail},
		{"commit: sync", phiMail},
		{"commit: answer", phiMail},
		{"committed", phiMail},
		{"put: create", large},
		{"put: write", large},
		{"put: name", large},
		{"put: named", large},
	} {
		t.Run(tt.step, func(t *testing.T) {
			b := newBooks(t)
			hop, l := b.hop(), b.letter(tt.msg)
			g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
			g.start("STANCH_CRASH_AT=" + tt.step)
			answer, err := b.give(g, outside, l)
			if !g.ended() {
				t.Fatalf("the step was never reached: answered %q, %v", answer, err)
			}
			if err == nil {
				t.Fatalf("answered %q by a process that died before it", answer)
			}
			g.start()
			answer, err = b.give(g, outside, l) // as every mail server does
			if err != nil || !strings.Contains(answer, "Held for review, id ") {
				t.Fatalf("second try: %q, %v", answer, err)
			}
			items := g.held()
			if len(items) != 1 {
				t.Fatalf("%d held, want exactly one: %+v", len(items), items)
			}
			if out := g.must("quarantine", "export", items[0].ID, "--reveal"); out != l.text {
				t.Errorf("export is %q", out)
			}
			if hop.count() != 0 {
				t.Error("something of it was delivered")
			}
			noneLeft(t, filepath.Join(g.data(), "tmp"))
			if n := b.settle(g); n != 0 {
				t.Errorf("%d second copies, want none", n)
			}
		})
	}
}

func TestCleanMailSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step   string
		copies int // at the next hop after the second try
	}{
		{"decision", 1},
		{"send", 1},
		{"sent", 2}, // the next hop had taken it: the one duplicate that SMTP cannot avoid
	} {
		t.Run(tt.step, func(t *testing.T) {
			b := newBooks(t)
			hop, l := b.hop(), b.letter(cleanMail)
			g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
			g.start("STANCH_CRASH_AT=" + tt.step)
			if answer, err := b.give(g, outside, l); err == nil || !g.ended() {
				t.Fatalf("answered %q, %v; want the connection lost", answer, err)
			}
			g.start()
			if _, err := b.give(g, outside, l); err != nil {
				t.Fatal(err)
			}
			if got := len(g.held()); got != 0 {
				t.Errorf("%d held, want 0", got)
			}
			if n := b.settle(g); n != tt.copies-1 || hop.count() != tt.copies {
				t.Errorf("%d copies, %d of them excused; want %d, one of them with no excuse", hop.count(), n, tt.copies)
			}
		})
	}
}

func TestReleaseSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"release", "deliver", "delivered"} {
		t.Run(step, func(t *testing.T) {
			b := newBooks(t)
			hop, l := b.hop(), b.letter(phiMail)
			g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
			g.start("STANCH_CRASH_AT=" + step)
			if _, err := b.give(g, outside, l); err != nil {
				t.Fatal(err)
			}
			id := g.held()[0].ID
			_, code := g.cli("quarantine", "release", id)
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			// Not promised, and not done: the officer does it again. A release
			// that was done may go out before its answer does.
			if code != 0 && len(g.held()) == 1 {
				g.must("quarantine", "release", id)
			}
			eventually(t, "it is delivered", func() bool { return hop.count() > 0 })
			want := 1
			if step == "delivered" {
				want = 2
				b.unrecorded(l, outside)
			}
			if n := b.settle(g); n != want-1 || hop.count() != want {
				t.Errorf("%d copies, %d of them excused; want %d, one of them with no excuse", hop.count(), n, want)
			}
		})
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func noneLeft(t *testing.T, dir string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		t.Errorf("left behind in %s: %s", filepath.Base(dir), e.Name())
	}
}

// ofTheCache tells whether a file is the compiled PDF reader that all gateways share:
// large, and made before any of them ran.
func ofTheCache(d os.DirEntry) bool {
	info, err := d.Info()
	return err == nil && slices.ContainsFunc(warmedFiles(), func(w os.FileInfo) bool {
		return os.SameFile(info, w) && info.Size() == w.Size() && info.ModTime().Equal(w.ModTime())
	})
}

// warmedFiles are those of the folder warmed, as they were made.
var warmedFiles = sync.OnceValue(func() (files []os.FileInfo) {
	_ = filepath.WalkDir(warmed, func(_ string, d os.DirEntry, err error) error { // what is not seen is searched like others
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				files = append(files, info)
			}
		}
		return nil
	})
	return files
})

// filesWith returns the files below dir that hold any of the words.
func filesWith(t *testing.T, dir string, words ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // serve has taken it away meanwhile
		}
		if err != nil || !d.Type().IsRegular() || ofTheCache(d) {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		low := bytes.ToLower(b)
		for _, w := range words {
			if bytes.Contains(low, []byte(strings.ToLower(w))) {
				found = append(found, path+" holds "+w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
