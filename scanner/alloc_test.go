package scanner_test

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestCleanTextTakesNoMemory: a document in which nothing is found costs no
// allocation, though it has numbers to look at.
func TestCleanTextTakesNoMemory(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("under the race detector a sync.Pool forgets on purpose")
	}
	text := []byte(strings.Repeat("The committee met at 10.30 on 3 occasions; 120 000 were asked, 45-50 % came, order 4829137, ratio 0.304262935, part AB-1234.\n", 3000))
	for name, set := range map[string]*patterns.Set{"packs": loadBuiltIn(t, patterns.Site{}), "40 rules": benchRules(t)} {
		s := scanner.New(set)
		scan := func() {
			c := s.Begin(scanner.Options{})
			if err := scanner.Feed(c, dlp.PartInfo{}, text); err != nil {
				t.Fatal(err)
			}
			if found, gaps := c.Finish(); len(found)+len(gaps) > 0 {
				t.Fatalf("%s: %d findings and %d gaps, want none", name, len(found), len(gaps))
			}
		}
		scan()
		if n := testing.AllocsPerRun(20, scan); n > 0 {
			t.Errorf("%s: %.0f allocations, want none", name, n)
		}
	}
}
