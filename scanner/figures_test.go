package scanner_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestScanFigures prints what `make bench-scan` is for: how fast the scanner is
// beside the standard library, Hyperscan and plain reading of memory. All ways
// take turns, so that whatever else the machine does strikes all of them.
func TestScanFigures(t *testing.T) {
	if os.Getenv("STANCH_BENCH") == "" {
		t.Skip("a measurement, run by make bench")
	}
	const rounds = 15
	set := benchRules(t)
	many := manyRules(t)
	s40, s400 := scanner.New(set), scanner.New(many)
	packs := loadBuiltIn(t, patterns.Site{})
	sPacks := scanner.New(packs)
	std, stdPacks := expressions(set), expressions(packs)
	hyper := newHyperscan(t, set)
	memory := make([]byte, 64<<20)
	for i := range memory {
		memory[i] = byte(i)
	}
	var list []dlp.Finding            // of the scan before: what is scanned by s40 and s400 is done with it
	figures := map[string][]float64{} // nanoseconds of processor time a byte, and milliseconds
	note := func(name string, v float64) { figures[name] = append(figures[name], v) }
	for range rounds {
		note("memory", perByte(len(memory), func() { readAll(memory) }))
		note("ready 40", perByte(1, func() { scanner.New(set) })/1e6)
		note("ready 400", perByte(1, func() { scanner.New(many) })/1e6)
		for _, name := range benchNames {
			text := benchText(t, name)
			part := text[:16<<10]
			note("40 "+name, perByte(len(text), func() { list = scanInto(t, s40, text, list) }))
			note("40 own "+name, perByte(len(text), func() { scanText(t, s40, text) }))
			note("std "+name, perByte(len(part), func() {
				for _, re := range std {
					re.FindAllIndex(part, -1)
				}
			}))
			note("packs "+name, perByte(len(text), func() { scanText(t, sPacks, text) }))
			note("std packs "+name, perByte(len(part), func() {
				for _, re := range stdPacks {
					re.FindAllIndex(part, -1)
				}
			}))
			note("400 "+name, perByte(len(text), func() { list = scanInto(t, s400, text, list) }))
			if hyper != nil {
				note("hs "+name, hyper.run(t, name))
			}
		}
	}
	median := func(name string) float64 {
		v := slices.Clone(figures[name])
		slices.Sort(v)
		return v[len(v)/2]
	}
	ratio := func(a, b string) string {
		var v []float64
		for i := range figures[a] {
			v = append(v, figures[a][i]/figures[b][i])
		}
		slices.Sort(v)
		return fmt.Sprintf("%.4g (%.4g to %.4g)", v[len(v)/2], v[0], v[len(v)-1])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "processor time, medians of %d rounds in turns; ratios are medians of the rounds' own (least to most)\n", rounds)
	for _, name := range benchNames {
		fmt.Fprintf(&b, "%-6s %8.1f MB/s with 40 rules; x standard library %s; 400 rules keep %s", name, 1e3/median("40 "+name), ratio("std "+name, "40 "+name), ratio("40 "+name, "400 "+name))
		if hyper != nil {
			fmt.Fprintf(&b, "; x Hyperscan %s", ratio("hs "+name, "40 "+name))
		}
		fmt.Fprintf(&b, "; of memory's bandwidth %s\n", ratio("memory", "40 "+name))
	}
	for _, name := range benchNames {
		fmt.Fprintf(&b, "%-6s %8.1f MB/s with 40 rules and a new list of findings each time; x standard library %s", name, 1e3/median("40 own "+name), ratio("std "+name, "40 own "+name))
		if hyper != nil {
			fmt.Fprintf(&b, "; x Hyperscan %s", ratio("hs "+name, "40 own "+name))
		}
		b.WriteByte('\n')
	}
	for _, name := range benchNames {
		fmt.Fprintf(&b, "%-6s %8.1f MB/s with the built-in packs; x standard library %s\n", name, 1e3/median("packs "+name), ratio("std packs "+name, "packs "+name))
	}
	fmt.Fprintf(&b, "ready in %.1f ms with 40 rules, %.1f ms with 400; memory is read at %.0f MB/s", median("ready 40"), median("ready 400"), 1e3/median("memory"))
	if hyper == nil {
		b.WriteString("\nHyperscan: not installed (libhyperscan-dev and gcc)")
	}
	t.Log("\n" + b.String())
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// perByte is how many nanoseconds of processor time f takes, by each of n bytes.
func perByte(n int, f func()) float64 {
	start, runs := cpu(), 0
	for cpu()-start < 25*time.Millisecond {
		f()
		runs++
	}
	return float64(cpu()-start) / float64(runs) / float64(n)
}

var sink uint64

// readAll reads b once, as fast as plain Go does.
func readAll(b []byte) {
	var s [4]uint64
	for ; len(b) >= 32; b = b[32:] {
		s[0] += binary.LittleEndian.Uint64(b)
		s[1] += binary.LittleEndian.Uint64(b[8:])
		s[2] += binary.LittleEndian.Uint64(b[16:])
		s[3] += binary.LittleEndian.Uint64(b[24:])
	}
	sink += s[0] + s[1] + s[2] + s[3]
}

// hyperscan is the program testdata/bench/hyperscan.c with the expressions of a
// set.
type hyperscan struct{ program, expressions string }

// newHyperscan builds the program; nil where the library or gcc is absent.
func newHyperscan(tb testing.TB, set *patterns.Set) *hyperscan {
	tb.Helper()
	dir := tb.TempDir()
	h := &hyperscan{filepath.Join(dir, "hyperscan"), filepath.Join(dir, "expressions")}
	if _, err := os.Stat("/usr/include/hs/hs.h"); err != nil {
		return nil
	}
	if out, err := exec.Command("gcc", "-O2", "-o", h.program, filepath.Join(benchDir, "hyperscan.c"), "-I/usr/include/hs", "-lhs").CombinedOutput(); err != nil {
		tb.Logf("hyperscan.c is not built: %v\n%s", err, out)
		return nil
	}
	var lines strings.Builder
	for _, r := range set.Rules() {
		for _, p := range r.Patterns {
			lines.WriteString(p.Regex + "\n")
		}
	}
	if err := os.WriteFile(h.expressions, []byte(lines.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return h
}

// run returns the nanoseconds a byte that Hyperscan took.
func (h *hyperscan) run(tb testing.TB, name string) float64 {
	tb.Helper()
	out, err := exec.Command(h.program, h.expressions, filepath.Join(benchDir, name+".txt"), "0.025").Output()
	if err != nil {
		tb.Fatal(err)
	}
	var ns float64
	if _, err := fmt.Sscan(string(out), &ns); err != nil {
		tb.Fatal(err)
	}
	return ns
}

// manyRules are the forty and 360 more in the manner of a site's own numbers.
func manyRules(tb testing.TB) *patterns.Set {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(benchDir, "rules40.toml"))
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	b.Write(text)
	letter := func(n int) string { return string(rune('A' + n%26)) }
	for i := range 360 {
		a, c, d := letter(i), letter(i/5+3*i), letter(i/26+7*i)
		expr := []string{
			fmt.Sprintf(`\b%s%s%s-?\d{6}\b`, a, c, d),
			fmt.Sprintf(`\b\d{%d}-\d{%d}\b`, 2+i%5, 3+i/5%6),
			fmt.Sprintf(`\b%s%s\d{%d,%d}[A-Z]\b`, a, c, 4+i%3, 8+i%3),
			fmt.Sprintf(`\b(?:%s%s|%s%s%s%s)/\d{2}/\d{%d}\b`, a, c, d, a, c, d, 4+i%3),
			fmt.Sprintf(`\b[%s-%s]\d{%d}\b`, letter(i%13), letter(13+i%13), 7+i%6),
			fmt.Sprintf(`\b%d\d{%d}\b`, i%10, 6+i%9),
		}[i%6]
		fmt.Fprintf(&b, "\n[[rules]]\nid = \"site-%d\"\ntype = \"CUSTOM\"\nboundary = \"number\"\n  [[rules.patterns]]\n  confidence = \"medium\"\n  regex = '''%s'''\n", i, expr)
		if i%6 == 1 || i%6 >= 4 {
			fmt.Fprintf(&b, "  supporting = { any = [\"%s%s%s%s no\", \"%s%s%s%s id\"], proximity = 40 }\n", "q", strings.ToLower(a), strings.ToLower(c), strings.ToLower(d), "x", strings.ToLower(d), strings.ToLower(a), strings.ToLower(c))
		}
	}
	path := filepath.Join(tb.TempDir(), "many.toml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	set, err := patterns.Load(tb.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if n := len(set.Rules()); n != 400 {
		tb.Fatalf("%d rules, want 400", n)
	}
	return set
}
