package extract_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// shared returns a folder of data that lies beside a checkout, and skips the
// test where it does not.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no %s beside the checkout", name)
	}
	return dir
}

func rows(t *testing.T, path string) [][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(b)) {
		out = append(out, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
	}
	return out
}

func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// TestCorpus measures how many of the strings that public test suites expect
// are read, by format, and holds that an encrypted file is told as one.
func TestCorpus(t *testing.T) {
	dir := shared(t, "corpus")
	p := newPool(t, nil)
	type tally struct{ found, verified, all, foundVerified int }
	by := map[string]*tally{}
	cache := map[string]*read{}
	flat := map[string]string{}
	for _, r := range rows(t, filepath.Join(dir, "expected.tsv"))[1:] {
		if len(r) < 6 {
			continue
		}
		path, format, want, verified := r[0], r[1], r[2], r[5] == "yes"
		if cache[path] == nil {
			b, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			cache[path] = get(t, p, dlp.File, b)
			if d := time.Since(start); d > 3*time.Second {
				t.Logf("slow: %s %v", path, d.Round(time.Millisecond))
			}
			s := cache[path].all()
			for _, pt := range cache[path].parts {
				s += pt.Name
			}
			flat[path] = squeeze(s)
		}
		got := cache[path]
		n := by[format]
		if n == nil {
			n = &tally{}
			by[format] = n
		}
		ok := false
		if want == "@ENCRYPTED" {
			ok = slices.ContainsFunc(got.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Encrypted })
			if !ok && len(got.gaps) == 0 {
				t.Errorf("%s: encrypted, and told as read", path)
			}
		} else {
			ok = strings.Contains(flat[path], squeeze(want))
		}
		n.all++
		if ok {
			n.found++
		}
		if verified {
			n.verified++
			if ok {
				n.foundVerified++
			}
		}
		if !ok && os.Getenv("STANCH_MISSED") != "" && strings.Contains(" "+os.Getenv("STANCH_MISSED")+" ", " "+format+" ") {
			fmt.Printf("missed %s verified=%v %.60q gaps=%v\n", path, verified, want, got.told()[:min(3, len(got.gaps))])
		}
	}
	formats := make([]string, 0, len(by))
	for f := range by {
		formats = append(formats, f)
	}
	slices.Sort(formats)
	for _, f := range formats {
		n := by[f]
		t.Logf("%-14s all %4d/%4d verified %4d/%4d", f, n.found, n.all, n.foundVerified, n.verified)
	}
}

// TestEvasions measures how many of the hidden numbers are read or told as a
// gap. What is left has no gap at all.
func TestEvasions(t *testing.T) {
	dir := shared(t, "evasions")
	p := newPool(t, nil)
	found, gapped, missed := 0, 0, 0
	for _, r := range rows(t, filepath.Join(dir, "index.tsv")) {
		if len(r) < 3 || !strings.HasSuffix(r[0], ".eml") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, r[0]))
		if err != nil {
			t.Fatal(err)
		}
		got := get(t, p, dlp.Mail, b)
		s := got.all()
		switch {
		case strings.Contains(s, "536-22-8145") || strings.Contains(s, "536228145"):
			found++
		case len(got.gaps) > 0:
			gapped++
			t.Logf("gap    %s %v", r[0], got.told())
		default:
			missed++
			t.Logf("missed %s (%s) %.200q", r[0], r[2], s[max(0, len(s)-200):])
		}
		if strings.Contains(r[2], "control") && !strings.Contains(s, "536-22-8145") {
			t.Errorf("%s: the control was not read", r[0])
		}
	}
	t.Logf("found %d, gap %d, neither as written %d", found, gapped, missed)
}

// TestOrdinaryMail holds that no ordinary mail is told as ambiguous.
func TestOrdinaryMail(t *testing.T) {
	dir := shared(t, "negatives/mail_ham")
	p := newPool(t, nil)
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	causes := map[string]int{}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got := get(t, p, dlp.Mail, b)
		for _, g := range got.gaps {
			causes[g.Cause.String()+" "+g.Detail]++
			if g.Cause == dlp.Ambiguous || g.Cause == dlp.Crashed {
				t.Errorf("%s: %v", n.Name(), got.told())
			}
		}
	}
	t.Logf("%d mails, gaps %v", len(names), causes)
}

// TestHostile reads the files that tools/gen_hostile.py makes, or those in the
// folder that STANCH_HOSTILE names, and holds that each ends with text or a gap
// by the pool's own clock.
func TestHostile(t *testing.T) {
	dir := os.Getenv("STANCH_HOSTILE")
	if dir == "" {
		if testing.Short() {
			t.Skip("making the files takes a quarter of a minute")
		}
		dir = t.TempDir()
		tool := filepath.Join(shared(t, "tools"), "gen_hostile.py")
		if out, err := exec.CommandContext(t.Context(), "python3", tool, dir).CombinedOutput(); err != nil {
			t.Skipf("hostile files cannot be made here: %v %s", err, out)
		}
	}
	p := newPool(t, func(c *extract.Config) {
		c.MaxMemory = 256 << 20
		c.PartTimeout, c.PDFTimeout = dlp.Duration(5*time.Second), dlp.Duration(5*time.Second)
		c.DocumentTimeout = dlp.Duration(20 * time.Second)
	})
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows(t, filepath.Join(dir, "index.tsv")) {
		b, err := os.ReadFile(filepath.Join(dir, r[0]))
		if err != nil {
			t.Fatal(err)
		}
		ch := dlp.File
		if strings.HasSuffix(r[0], ".eml") {
			ch = dlp.Mail
		}
		start := time.Now()
		got := get(t, p, ch, b)
		size := 0
		for _, s := range got.texts {
			size += s.Len()
		}
		if size == 0 && len(got.gaps) == 0 && len(b) > 22 { // an empty zip is 22 bytes
			t.Errorf("%s: neither text nor gap", r[0])
		}
		told := got.told()
		t.Logf("%-28s %6dms parts=%d text=%d gaps=%d %q (%s)", r[0], time.Since(start).Milliseconds(), len(got.parts), size,
			len(told), told[:min(2, len(told))], r[len(r)-1])
	}
}
