package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// children are the processes that serve has started.
func (g *gateway) children() (pids []int) {
	g.t.Helper()
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(g.cmd.Process.Pid) + "/task/*/children")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, l := range lists {
		b, err := os.ReadFile(l)
		if err != nil {
			continue // the thread has ended
		}
		for _, f := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				g.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

const smallPDF = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n" +
	"4 0 obj<</Length 44>>stream\nBT /F1 12 Tf 10 100 Td (The plan for May) Tj ET \nendstream endobj\ntrailer<</Root 1 0 R>>\n"

// TestPlainMailFlowsPastPDFs: one document is read at a time, and one PDF. While
// the readers of PDF make no progress and others with a PDF wait for it, mail
// without one is answered. Nor are they timed out by that.
func TestPlainMailFlowsPastPDFs(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{smtp: `scan_timeout = "8m"`, extra: quietPolicy +
		"\n[extract]\nworkers = 1\npdf_workers = 1\npart_timeout = \"1h\"\npdf_timeout = \"1h\"\ndocument_timeout = \"1h\"\n"})
	g.start()
	send := func(msg string) (answer string, ok bool) {
		answer, err := g.send("ada@clinic.example", outside, msg)
		return answer, err == nil && answer != "" && !strings.Contains(answer, ", id ") // neither held nor to be read on
	}
	withPDF := withFile("plan.pdf", []byte(smallPDF))
	started := func(msg string) []int { // each skill has a child more, for the background
		for range 2 {
			if answer, ok := send(msg); !ok {
				t.Fatalf("answered %q", answer)
			}
		}
		return g.children()
	}
	plain := started(cleanMail)
	pdf := slices.DeleteFunc(started(withPDF), func(pid int) bool { return slices.Contains(plain, pid) })
	if len(plain) != 2 || len(pdf) != 2 {
		t.Fatalf("%d and %d children, want 2 of each skill", len(plain), len(pdf))
	}
	signal := func(s syscall.Signal) {
		for _, pid := range pdf {
			if err := syscall.Kill(pid, s); err != nil {
				t.Error(err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	var waiting sync.WaitGroup
	answers := make(chan string, 4)
	for range cap(answers) {
		waiting.Go(func() {
			answer, ok := send(withPDF)
			if !ok {
				t.Errorf("with a PDF: answered %q", answer)
			}
			answers <- answer
		})
	}
	for range 20 {
		if answer, ok := send(cleanMail); !ok {
			t.Errorf("without a PDF: answered %q", answer)
		}
	}
	if n := len(answers); n != 0 {
		t.Errorf("%d with a PDF were answered", n)
	}
	signal(syscall.SIGCONT)
	waiting.Wait()
	if n := len(g.delivered()); n != 28 {
		t.Errorf("%d delivered, want 28", n)
	}
}
