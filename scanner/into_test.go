package scanner_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestInto: a list handed in gets the findings that a new one does, whatever room it
// has, behind those that it holds, and is not written to by another Scan.
func TestInto(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	text := benchText(t, "dense")[:16<<10]
	scan := func(opt scanner.Options, text []byte) ([]dlp.Finding, []dlp.Gap) {
		t.Helper()
		c := s.Begin(opt)
		if err := scanner.Feed(c, dlp.PartInfo{Path: "a.txt"}, text); err != nil {
			t.Fatal(err)
		}
		return c.Finish()
	}
	want, _ := scan(scanner.Options{}, text)
	if len(want) < 500 {
		t.Fatalf("%d findings, want a text of many", len(want))
	}
	held := dlp.Finding{Rule: "held", Path: "before.txt"}
	for _, room := range []int{0, 1, 2, len(want) / 2, len(want), len(want) + 1, 2 * len(want)} {
		list := slices.Repeat([]dlp.Finding{{Rule: "of the scan before", Tags: []dlp.Tag{"x"}, Line: 7}}, room)
		list = append(list[:0:room], slices.Repeat([]dlp.Finding{held}, min(room, 1))...)
		got, gaps := scan(scanner.Options{Into: list}, text)
		if len(gaps) > 0 || len(got) < len(list) || !reflect.DeepEqual(got[:len(list)], list) || !reflect.DeepEqual(unkeyed(got[len(list):]), unkeyed(want)) {
			t.Fatalf("with room for %d: %d findings and %d gaps, want %d as with a new list behind the %d held", room, len(got), len(gaps), len(want), len(list))
		}
		if len(got) <= room && &got[0] != &list[:1][0] {
			t.Errorf("with room for %d: the list is another, want the memory handed in", room)
		}
		kept := slices.Clone(got)
		scan(scanner.Options{}, benchText(t, "dense")[20<<10:30<<10])
		if !reflect.DeepEqual(got, kept) {
			t.Errorf("with room for %d: a later scan without the list changed it", room)
		}
		if !sameValues(got[len(list):], want) {
			t.Errorf("with room for %d: other values have one key than with a new list", room)
		}
	}
	few, gaps := scan(scanner.Options{Into: make([]dlp.Finding, 3, 8), MaxFindings: 10}, text)
	if len(few) != 13 || len(gaps) != 1 || gaps[0].Cause != dlp.TooMany {
		t.Errorf("bounded: %d findings and gaps %v, want 10 behind the 3 held, and the gap", len(few), gaps)
	}
}

// TestIntoTakesNoMemory: where the list has room a document full of findings costs
// little more memory than its key.
func TestIntoTakesNoMemory(t *testing.T) {
	s, text := scanner.New(benchRules(t)), benchText(t, "dense")
	list := scanInto(t, s, text, nil)
	if n := testing.AllocsPerRun(5, func() { list = scanInto(t, s, text, list) }); n > 50 {
		t.Errorf("%.0f allocations for %d findings, want those of a key", n, len(list))
	}
}

// unkeyed is found without the keys, which differ from Scan to Scan.
func unkeyed(found []dlp.Finding) []dlp.Finding {
	out := slices.Clone(found)
	for i := range out {
		out[i].ValueKey = dlp.ValueKey{}
	}
	return out
}

// sameValues reports whether the findings that have one key in a have one in b.
func sameValues(a, b []dlp.Finding) bool {
	to, from := map[dlp.ValueKey]dlp.ValueKey{}, map[dlp.ValueKey]dlp.ValueKey{}
	for i := range a {
		x, seenA := to[a[i].ValueKey]
		y, seenB := from[b[i].ValueKey]
		if seenA != seenB || seenA && (x != b[i].ValueKey || y != a[i].ValueKey) {
			return false
		}
		to[a[i].ValueKey], from[b[i].ValueKey] = b[i].ValueKey, a[i].ValueKey
	}
	return true
}
