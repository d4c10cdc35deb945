package extract_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// kills counts children that a pool lost.
type kills struct {
	mu     sync.Mutex // guards causes
	causes []string
}

func (*kills) ExtractStarted()            {}
func (*kills) ExtractSandbox(string, int) {}
func (k *kills) ExtractKill(c dlp.Cause) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.causes = append(k.causes, c.String())
}

// residents samples the resident memory of this process and of its children until
// stop is called, which returns the most of each in MiB. The own one is exact.
func residents(t *testing.T) (stop func() (own, child int64)) {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("memory of this process is that of all tests: %v", err)
	}
	done := make(chan struct{})
	var most int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, pid := range childrenOf() {
				most = max(most, status(pid, "VmHWM:"))
			}
		}
	})
	return func() (int64, int64) {
		close(done)
		wg.Wait()
		return status("self", "VmHWM:") >> 10, most >> 10
	}
}

func childrenOf() []string {
	var out []string
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is sound
	for _, l := range lists {
		b, err := os.ReadFile(l)
		if err == nil { // a thread that has ended has none
			out = append(out, strings.Fields(string(b))...)
		}
	}
	return out
}

// status returns a line of /proc/PID/status in KiB, 0 for a process that is gone.
func status(pid, key string) int64 {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) > 1 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// hostile says whether got is what the index asks for: text or a gap with the
// right cause, the number where it must be found, and no file of the machine.
func hostile(got *scanning, want string, size int64) string {
	limit := got.has(dlp.TooLarge) || got.has(dlp.TooDeep) || got.has(dlp.TooMany)
	told := limit || got.has(dlp.Corrupt) || got.has(dlp.Encrypted) || got.has(dlp.Ambiguous) || got.has(dlp.Image) || got.has(dlp.Unsupported)
	finds := strings.HasPrefix(want, "find:") || strings.Contains(want, "SSN found")
	switch {
	case bytes.Contains(got.first, []byte("root:x:0:")):
		return "READ A FILE OF THE MACHINE"
	case got.has(dlp.Crashed):
		return "CRASHED"
	case finds && !got.ssn():
		return "NOT FOUND"
	case got.ssn():
		return "found"
	case got.has(dlp.Timeout):
		return "deadline"
	case limit:
		return "limit"
	case told:
		return "gap"
	case got.text > 0:
		return "text"
	case size <= 22: // an empty zip is 22 bytes
		return "empty"
	}
	return "NEITHER TEXT NOR GAP"
}

// TestHostile reads the files that tools/gen_hostile.py makes, or those in the
// folder that STANCH_HOSTILE names, through extraction and the built-in rules
// with the default bounds, and holds what each of them must lead to.
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
	s := builtIn(t)
	if err := newPool(t, nil).Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	rep := report{Table: "hostile files", Columns: []string{"file", "outcome", "seconds", "child MiB", "gateway MiB", "children lost", "gaps", "wanted"}}
	var bad, late []string
	var mostOwn, mostChild int64
	mostLost := 0
	for _, r := range rows(t, filepath.Join(dir, "index.tsv")) {
		k := &kills{}
		p, err := extract.NewPool(extract.Default(), extract.Deps{CacheDir: cacheDir(t), Metrics: k})
		if err != nil {
			t.Fatal(err)
		}
		ch := dlp.File
		if strings.HasSuffix(r[0], ".eml") {
			ch = dlp.Mail
		}
		path := filepath.Join(dir, r[0])
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		stop := residents(t)
		got := scanFile(t, s, p, ch, path)
		own, child := stop()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		outcome := hostile(got, r[len(r)-1], fi.Size())
		if outcome == strings.ToUpper(outcome) {
			bad = append(bad, r[0]+" "+outcome)
		}
		if outcome == "deadline" {
			late = append(late, r[0])
		}
		mostOwn, mostChild, mostLost = max(mostOwn, own), max(mostChild, child), max(mostLost, len(k.causes))
		gaps := got.told()
		rep.row(r[0], outcome, fmt.Sprintf("%.1f", got.took.Seconds()), child, own, len(k.causes), strings.Join(gaps[:min(3, len(gaps))], ", "), r[len(r)-1])
	}
	slices.Sort(bad)
	rep.Figures = []figure{
		{Name: "files that led to something else", Value: float64(len(bad)), Want: "0", Reached: len(bad) == 0},
		{Name: "files ended by their deadline", Value: float64(len(late))},
		{Name: "most memory of a child, MiB", Value: float64(mostChild), Want: "<= 512", Reached: mostChild <= 512},
		{Name: "most memory of the gateway's side, MiB", Value: float64(mostOwn), Want: "< 200", Reached: mostOwn < 200},
		{Name: "most children lost by one file", Value: float64(mostLost), Want: "<= 1", Reached: mostLost <= 1},
	}
	rep.print(t)
	if len(bad) > 0 {
		t.Errorf("led to something else: %q", bad)
	}
	for _, f := range rep.Figures {
		if f.Want != "" && !f.Reached {
			t.Errorf("%s: got %v, want %s", f.Name, f.Value, f.Want)
		}
	}
}
