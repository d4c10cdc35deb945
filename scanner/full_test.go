package scanner

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// shrink leaves the automata of s room for a few states only, or for no bytes of
// them, so that their tables are full all the time.
func shrink(s *Scanner, room int) {
	for _, g := range s.groups {
		for _, l := range []*lazy{g.match.lazy, g.back} {
			if l != nil {
				l.most, l.room = 1, room
				l.cur.Store(l.newTable(1))
			}
		}
	}
}

// TestFullTables: what is found does not depend on the room for states.
func TestFullTables(t *testing.T) {
	n := uint64(300)
	if testing.Short() {
		n = 40
	}
	for seed := range n {
		compareWithOracle(t, seed, true)
	}
}

// TestSharedTables: scans that share tables which are always full find what one
// with room does.
func TestSharedTables(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 19))
	set := randomRules(t, r)
	s, text := New(set), textFor(r, set, 2000)
	want := scanPlaces(t, s, text, nil)
	shrink(s, 0)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if got := scanPlaces(t, s, text, nil); !slices.Equal(got, want) {
					t.Errorf("found %q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestTablesAreBounded: states of many threads take no more memory than their
// table may, whatever a text asks for.
func TestTablesAreBounded(t *testing.T) {
	rules := "schema = 1\n"
	for i := range 40 {
		rules += fmt.Sprintf("[[rules]]\nid = \"x%d\"\ntype = \"CUSTOM\"\nboundary = \"none\"\n[[rules.patterns]]\nconfidence = \"low\"\nregex = '(?:a|b|ab|ba|aab|abb|bab){1,100}c%d'\n", i, i)
	}
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(set)
	text := make([]byte, 60)
	r := rand.New(rand.NewPCG(3, 1))
	for i := range text {
		text[i] = "ab"[r.IntN(2)]
	}
	scan := s.Begin(Options{VerifyFree: 1 << 40})
	if err := Feed(scan, dlp.PartInfo{}, append(text, "c7"...)); err != nil {
		t.Fatal(err)
	}
	if found, gaps := scan.Finish(); len(found) == 0 || len(gaps) > 0 {
		t.Errorf("%d findings, gaps %v, want some and none", len(found), gaps)
	}
	for _, g := range s.groups {
		took, most := 0, 0
		for _, set := range g.match.cur.Load().sets {
			took, most = took+16*len(set), max(most, 16*len(set))
		}
		if took > maxTable+most {
			t.Errorf("the states take %d bytes, want at most %d and one state's %d", took, maxTable, most)
		}
	}
}

// TestCostlyExpressions: expressions whose automata have more states than there
// is room for cost a document its budget and then a gap, not time without end.
func TestCostlyExpressions(t *testing.T) {
	const free = 1 << 20
	text := make([]byte, 16<<10)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range text {
		text[i] = "ab"[r.IntN(2)]
	}
	for expr, gap := range map[string]bool{`(?:[ab]{0,40}a[ab]{20}c){1,8}`: true, `(?:a|b|ab){1,100}c`: false, `[ab]{1,200}[a-c]{1,200}d`: false, `[ab]{0,9}a[ab]{12}`: false} {
		path := filepath.Join(t.TempDir(), "rules.toml")
		if err := os.WriteFile(path, fmt.Appendf(nil, "schema = 1\n[[rules]]\nid = \"x\"\ntype = \"CUSTOM\"\nboundary = \"none\"\n[[rules.patterns]]\nconfidence = \"low\"\nregex = '%s'\n", expr), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		scan := New(set).Begin(Options{VerifyFree: free})
		if err := Feed(scan, dlp.PartInfo{}, text); err != nil {
			t.Fatal(err)
		}
		scan.endPart()
		spent, bound := scan.spent, int64(free+verifyPerByte*len(text)) // one proof more may have gone past it
		const proof = patterns.MaxMatch * (2*patterns.MaxProgram + 16)
		if spent > bound+proof {
			t.Errorf("%s: %d bytes of proof spent, want at most %d and one proof", expr, spent, bound)
		}
		if _, gaps := scan.Finish(); gap != (len(gaps) == 1 && gaps[0].Cause == dlp.Timeout) {
			t.Errorf("%s: %d bytes of proof spent, gaps %v, want one: %t", expr, spent, gaps, gap)
		}
	}
}

// TestDefaultBudget: a document that costs more than the default allows is a gap
// soon after, and one that costs less is none: each byte begins four walks of 500
// bytes.
func TestDefaultBudget(t *testing.T) {
	rules := "schema = 1\n"
	for i, set := range []string{"#", "#%", "#!", "#;"} { // each a group of its own
		rules += fmt.Sprintf("[[rules]]\nid = \"x%d\"\ntype = \"CUSTOM\"\nboundary = \"none\"\n[[rules.patterns]]\nconfidence = \"low\"\nregex = '[%s][ -~]{0,500}x'\n", i, set)
	}
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(set)
	for size, gap := range map[int]bool{32 << 10: false, 256 << 10: true} {
		scan := s.Begin(Options{})
		if err := Feed(scan, dlp.PartInfo{Path: "1"}, bytes.Repeat([]byte{'#'}, size)); err != nil {
			t.Fatal(err)
		}
		scan.endPart()
		spent, bound := scan.spent, int64(verifyFree+verifyPerByte*size)
		want := []dlp.Gap(nil)
		if gap {
			want = []dlp.Gap{{Path: "1", Cause: dlp.Timeout, Detail: DetailBudget}}
		}
		if _, gaps := scan.Finish(); !slices.Equal(gaps, want) || spent > bound {
			t.Errorf("%d bytes: %d bytes of proof spent of %d, gaps %v, want %v", size, spent, bound, gaps, want)
		}
	}
}

// TestPlainly: what plainly lets stand alone, bounded does.
func TestPlainly(t *testing.T) {
	for _, b := range []patterns.Boundary{patterns.BoundaryWord, patterns.BoundaryNumber} {
		for before := range 256 {
			for after := range 256 {
				for _, far := range []string{"x", "9", "$", ".", "/", " "} {
					text := []byte(far + "_123456__")
					text[1], text[8] = byte(before), byte(after)
					text[9] = far[0]
					if plainly(text, 2, 8) && !bounded(b, text, 2, 8) {
						t.Errorf("%s: %q stands alone plainly, yet is not bounded", b, text)
					}
				}
			}
		}
	}
}
