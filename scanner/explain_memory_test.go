package scanner_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestExplainHoldsLittle: what an explanation of proved matches keeps of a text full
// of numbers is a small multiple of the text. Each held message has one made.
func TestExplainHoldsLittle(t *testing.T) {
	const most = 100 // bytes for each of the text, most of them for the scan itself; with a copy of each value and all that was not proved it was twice that
	set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := scanner.New(set)
	var rows strings.Builder
	for n := 0; rows.Len() < 100<<10; n += 7919 {
		fmt.Fprintf(&rows, "%d,%03d-%02d-%04d,%d,2024-%02d-%02d,(555) 555-%04d\n", 100000000+n*31, 100+n%800, 10+n%89, n%9973, n*17%9999999, 1+n%12, 1+n%28, n%9967)
	}
	held := func() int {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		x := s.Explain(scanner.ExplainOptions{Max: 80, Proved: true, Bytes: 1 << 20})
		if err := x.Part(dlp.PartInfo{Path: "1"}); err != nil {
			t.Fatal(err)
		}
		if err := x.Text(dlp.Window{Text: []byte(rows.String())}); err != nil {
			t.Fatal(err)
		}
		out := x.Finish()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(x)
		if len(out.Candidates) == 0 || out.Left == 0 {
			t.Fatalf("%d candidates, %d left out: the text is not what it was made for", len(out.Candidates), out.Left)
		}
		return int(after.HeapAlloc) - int(before.HeapAlloc)
	}
	held() // tables of the rules grow as they are used
	if got := held() / rows.Len(); got > most {
		t.Errorf("%d bytes for each of the text, want at most %d", got, most)
	} else {
		t.Logf("%d bytes for each of the text", got)
	}
}
