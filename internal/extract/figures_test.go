package extract_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// clocks are those of this process and its children, each of all their threads.
// They are found before a measurement: looking for children takes 0.2 ms itself.
func clocks() []int32 {
	out := []int32{unix.CLOCK_PROCESS_CPUTIME_ID}
	for _, s := range childrenOf() {
		if pid, err := strconv.Atoi(s); err == nil {
			out = append(out, int32(^pid<<3|2)) // clock_getcpuclockid(3)
		}
	}
	return out
}

// cpu is the processor time by those clocks, and whether all of them still run.
func cpu(of []int32) (sum time.Duration, ok bool) {
	for _, c := range of {
		var ts unix.Timespec
		if unix.ClockGettime(c, &ts) != nil {
			return 0, false
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, true
}

// nothing takes all and keeps none of it.
type nothing struct{ unreadable bool }

func (*nothing) Part(dlp.PartInfo) error { return nil }
func (*nothing) Text(dlp.Window) error   { return nil }
func (n *nothing) Gap(g dlp.Gap) error {
	n.unreadable = n.unreadable || g.Cause == dlp.Encrypted || g.Cause == dlp.Crashed || g.Cause == dlp.Timeout
	return nil
}

// spent is the processor time that f takes, by the least of its runs, which go on for 20 ms.
func spent(t *testing.T, f func()) time.Duration {
	t.Helper()
	least, all := time.Hour, time.Duration(0)
	of := clocks()
	for all <= 20*time.Millisecond {
		start, _ := cpu(of)
		f()
		end, ok := cpu(of)
		if !ok {
			t.Fatal("a child ended while it was measured")
		}
		least, all = min(least, end-start), all+end-start
	}
	return least
}

// series are figures of one way, a round each.
type series map[string][]float64

func (s series) note(name string, v float64) { s[name] = append(s[name], v) }

func (s series) String() string {
	var b strings.Builder
	for _, name := range sortedKeys(s) {
		v := slices.Sorted(slices.Values(s[name]))
		fmt.Fprintf(&b, "%s: %.3g (%.3g to %.3g)\n", name, v[len(v)/2], v[0], v[len(v)-1])
	}
	return b.String()
}

// TestExtractFigures prints what `make bench-extract` is for. The ways take
// turns, so that whatever else the machine does strikes all of them; one child reads.
func TestExtractFigures(t *testing.T) {
	if os.Getenv("STANCH_BENCH") == "" {
		t.Skip("a measurement, run by make bench-extract")
	}
	const rounds = 7
	dir := shared(t, "corpus")
	p := newPool(t, func(c *extract.Config) { c.Workers, c.RecycleDocuments, c.RecycleMemory = 1, 1<<30, 1<<40 })
	read := func(ch dlp.Channel, b []byte) bool {
		var n nothing
		if err := p.Extract(t.Context(), document(ch, b), &n); err != nil {
			t.Fatal(err)
		}
		return !n.unreadable
	}
	out := series{}
	prose := "The patient was seen in clinic today and is doing well on the present dose; follow up in three months.\r\n"
	large := []byte("From: a@clinic.example\r\nSubject: a long letter\r\n\r\n" + strings.Repeat(prose, 1<<20/len(prose)))
	small := []byte("From: a@clinic.example\r\nSubject: note\r\n\r\nSeen today, doing well.\r\n")
	office := map[string][][]byte{}
	for _, ext := range []string{"docx", "xlsx", "pptx"} {
		office[ext] = plainPackages(t, dir, ext)
	}
	for range rounds {
		for _, ext := range sortedKeys(office) {
			var inflated, took time.Duration
			for _, b := range office[ext] {
				inflated += spent(t, func() { inflate(t, b) })
				took += spent(t, func() { read(dlp.File, b) })
			}
			out.note(fmt.Sprintf("%s, x the rate of inflating the same entries (wanted: 0.3), %d files", ext, len(office[ext])), float64(inflated)/float64(took))
		}
		out.note("mail of 1 MB of plain text, MB/s of processor time (wanted: 100)", float64(len(large))/1e6/spent(t, func() { read(dlp.Mail, large) }).Seconds())
		var trips []time.Duration
		runtime.GC()
		for range 500 {
			start := time.Now()
			read(dlp.Mail, small)
			trips = append(trips, time.Since(start))
		}
		slices.Sort(trips)
		out.note("small mail, round trip by the clock, median of 500, µs (wanted: 100)", float64(trips[250].Nanoseconds())/1e3)
	}
	pdfFigures(t, dir, read, out)
	load, _ := os.ReadFile("/proc/loadavg") // it says so when it is not there
	t.Logf("\nmedians of %d rounds in turns (least to most); processor time of this process and its child; load %s%s", rounds, load, out)
}

// plainPackages returns the office documents of a kind that hold nothing but
// their own XML and pictures.
func plainPackages(t *testing.T, dir, ext string) (out [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*."+ext))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil || slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.Contains(f.Name, "embeddings/") || f.Flags&1 != 0 }) {
			continue // no package, or more than one
		}
		out = append(out, b)
	}
	return out
}

// inflate unpacks the entries that hold text.
func inflate(t *testing.T, b []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if e := filepath.Ext(f.Name); e != ".xml" && e != ".rels" && e != ".vml" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Logf("%s: %v", f.Name, err)
		}
	}
}

// pdfFigures reads the corpus's PDFs in turns with pdftotext, each file at its
// least of all rounds. What is taken off pdftotext for its start is once what a PDF
// of one empty page costs it, which is more than it needs to start, and once what
// it takes to say its version, which is less.
func pdfFigures(t *testing.T, dir string, read func(dlp.Channel, []byte) bool, out series) {
	t.Helper()
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Log("no pdftotext (poppler-utils): PDF is not measured")
		return
	}
	names, err := filepath.Glob(filepath.Join(dir, "*", "*.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (time.Duration, bool) {
		cmd := exec.CommandContext(t.Context(), tool, args...)
		err := cmd.Run()
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err == nil
	}
	empty := filepath.Join(t.TempDir(), "empty.pdf")
	if err := os.WriteFile(empty, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read(dlp.File, mustRead(t, empty)) // the child loads its reader
	page, version := time.Hour, time.Hour
	theirs, ours := map[string]time.Duration{}, map[string]time.Duration{}
	for round := range 5 {
		for _, path := range names {
			if _, ok := ours[path]; !ok && round > 0 {
				continue
			}
			b := mustRead(t, path)
			their, ok := run("-q", path, "-")
			start, _ := run("-q", empty, "-")
			bare, _ := run("-v")
			page, version = min(page, start), min(version, bare)
			of := clocks()
			before, _ := cpu(of)
			readable := read(dlp.File, b)
			after, alive := cpu(of)
			if !readable || !alive || !ok {
				delete(ours, path)
				continue // one of the two cannot read it, or the child was lost
			}
			took := after - before
			if round > 0 {
				took, their = min(took, ours[path]), min(their, theirs[path])
			}
			ours[path], theirs[path] = took, their
		}
	}
	var their, our time.Duration
	for path, d := range ours {
		our += d
		their += theirs[path]
	}
	n := time.Duration(len(ours))
	out.note(fmt.Sprintf("PDF, x the rate of pdftotext without reading an empty page (wanted: 0.5), %d files", n), float64(their-n*page)/float64(our))
	out.note("PDF, x the rate of pdftotext without telling its version", float64(their-n*version)/float64(our))
	out.note("PDF, seconds of pdftotext without reading an empty page", (their - n*page).Seconds())
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
