package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// codesHeld is a policy that holds what a code stands in.
const codesHeld = "[[policies]]\nid = \"codes\"\nwhere = { channels = [\"mail\"] }\nall = [{ type = \"ICD10\", confidence = \"medium\" }]\naction = \"quarantine\"\n"

// TestTables: a code that only the imported table has is found once serve was
// told; a damaged table leaves a reload with what serve has, and refuses a start and
// commands that would judge without it; another import, or none in use, mends it.
func TestTables(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: codesHeld})
	list := filepath.Join(g.dir, "icd10cm_order_2027.txt")
	write(t, list, string(synth.OrderFile("A10")), 0o644)
	g.start()
	const only, otherYear = "diagnosis code A10.1", "diagnosis code I10"
	if g.holds(only) || !g.holds(otherYear) {
		t.Fatal("before: want what only the table has passed, and a category held")
	}
	if out := g.must("tables", "import", list); !strings.Contains(out, "icd10cm 2027 is in use: 97667 codes, 76601 of them billable") {
		t.Errorf("import said %q", out)
	}
	g.tablesOnRecord(fmt.Sprintf("import:2027 %x", sha256.Sum256([]byte(read(t, list)))))
	if g.holds(only) {
		t.Error("before a reload: held, want it passed")
	}
	if out, code := g.cli("doctor", "--only", "rules"); code != 0 || !strings.Contains(out, "serve judges by ") {
		t.Errorf("doctor before a reload: exit %d, %q; want it to tell of the reload", code, out)
	}
	g.reload("new rules and policies are in force")
	if !g.holds(only) {
		t.Error("after a reload: passed, want it held")
	}
	if out := g.must("audit", "export"); strings.Count(out, `"reason":"table:2027"`) != 1 {
		t.Errorf("the audit log names the table %d times, want once: by the event of the reload", strings.Count(out, `"reason":"table:2027"`))
	}
	if out, code := g.cli("doctor", "--only", "rules"); code != 0 || strings.Contains(out, "serve judges by ") {
		t.Errorf("doctor after a reload: exit %d, %q", code, out)
	}

	file := filepath.Join(g.data(), "tables", "icd10cm-2027.table")
	whole := read(t, file)
	write(t, file, whole[:len(whole)/2], 0o600)
	g.reload("the imported code table cannot be used; what was in force stays in force")
	eventually(t, "going on with", func() bool {
		return strings.Contains(g.logged(), "going on with icd10cm 2027, which was loaded before")
	})
	if !g.holds(only) {
		t.Error("after damage and a reload: passed, want what was in force to stay")
	}
	if out, code := g.cli("doctor", "--only", "tables"); code != 1 || !strings.Contains(out, "damaged") {
		t.Errorf("doctor: exit %d, %q; want 1, damaged", code, out)
	}
	if out, code := g.cli("config", "check"); code != 1 {
		t.Errorf("config check: exit %d, %q; want 1: a start is refused", code, out)
	}
	g.stop()
	g.damagedTable(file, list)
	g.must("tables", "use", "built-in")
	if out, code := g.cli("tables", "use", "2026"); code == 0 {
		t.Errorf("use of a table that is not there: exit 0, %q", out)
	}
	g.tablesOnRecord("use:built-in ", "use:2026 ", "use:2026 failed") // without serve, too
	g.start()
	if g.holds(only) || !g.holds(otherYear) {
		t.Error("with none in use and a start: want the built-in structure")
	}
	g.must("tables", "import", list)
	g.reload("new rules and policies are in force")
	if !g.holds(only) {
		t.Error("after another import: passed, want it held")
	}
	g.must("tables", "use", "built-in")
	g.reload("new rules and policies are in force")
	if g.holds(only) {
		t.Error("with none in use: held, want it passed")
	}
}

// tablesOnRecord: the last changes of the code tables on the audit log are those
// that are wanted, each "REASON DIGEST" or "REASON failed", by this user.
func (g *gateway) tablesOnRecord(want ...string) {
	g.t.Helper()
	var got []string
	for line := range strings.Lines(g.must("audit", "export")) {
		var e struct{ Kind, Actor, Reason, Digest, Result string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.t.Fatal(err)
		}
		if e.Kind != "tables" {
			continue
		}
		if e.Actor != fmt.Sprintf("uid:%d", os.Getuid()) {
			g.t.Errorf("got actor %q, want this user", e.Actor)
		}
		got = append(got, e.Reason+" "+e.Digest+e.Result)
	}
	if got = got[max(0, len(got)-len(want)):]; !slices.Equal(got, want) {
		g.t.Errorf("on record: got %q, want %q", got, want)
	}
}

// damagedTable: what judges without the table that is in use, file, ends with 2,
// and says the file and what to do.
func (g *gateway) damagedTable(file, text string) {
	g.t.Helper()
	for _, args := range [][]string{{"serve"}, {"scan", text}, {"rules", "lint"}, {"rules", "list"}, {"rules", "explain", "--text", "A10.1"}} {
		out, err := exec.CommandContext(g.t.Context(), stanch, append([]string{"--config", g.config}, args...)...).CombinedOutput()
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok || failed.ExitCode() != 2 {
			g.t.Errorf("%v with a damaged table: %v, want exit 2", args, err)
		}
		for _, want := range []string{file, "stanch tables import FILE", "stanch tables use built-in"} {
			if !strings.Contains(string(out), want) {
				g.t.Errorf("%v with a damaged table: %q, want %q in it", args, out, want)
			}
		}
	}
}

// TestTablesKilled: an import that is killed, at whatever moment, leaves the
// table that was in use, or has put the whole new one in its place; a bad file
// changes nothing.
func TestTablesKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "stanch.toml")
	write(t, config, "data_dir = \"data\"\n", 0o600)
	run := func(args ...string) (string, int) {
		return runStanch(t, append([]string{"--config", config, "tables"}, args...)...)
	}
	whole := synth.OrderFile("A10")
	list := filepath.Join(dir, "list.txt")
	write(t, list, string(whole), 0o644)
	begun := time.Now()
	if _, code := run("import", list, "--version", "2026"); code != 0 {
		t.Fatalf("import: exit %d", code)
	}
	took := time.Since(begun)
	inUse := func() string {
		t.Helper()
		out, code := run("list", "--format", "json")
		var all []struct {
			Version, Error string
			InUse          bool `json:"in_use"`
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 {
			t.Fatalf("list: exit %d, %v: %s", code, err, out)
		}
		for _, v := range all {
			if v.Error != "" {
				t.Errorf("%s: %s", v.Version, v.Error)
			}
			if v.InUse {
				return v.Version
			}
		}
		return ""
	}
	for i, bad := range [][]byte{whole[:len(whole)/2], bytes.Replace(whole, []byte("00009 "), []byte("00008 "), 1), nil} {
		write(t, list, string(bad), 0o644)
		if out, code := run("import", list, "--version", "2027"); code != 2 || out != "" || inUse() != "2026" {
			t.Errorf("bad file %d: exit %d, %q, in use %q; want 2 and 2026", i, code, out, inUse())
		}
	}
	was := "2026"
	for i, category := range []string{"A11", "A12", "A13", "A14", "B11", "B12", "B13", "B14"} {
		version := fmt.Sprint(2027 + i)
		write(t, list, string(synth.OrderFile(category)), 0o644) // the same file is not taken twice
		cmd := exec.CommandContext(t.Context(), stanch, "--config", config, "tables", "import", list, "--version", version)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(took * time.Duration(i+3) / 9)
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		now := inUse()
		if now != was && now != version {
			t.Fatalf("killed importing %s: in use %q, want it or %s", version, now, was)
		}
		t.Logf("killed importing %s: in use %s", version, now)
		was = now
	}
	write(t, list, string(synth.OrderFile("B28")), 0o644)
	if _, code := run("import", list, "--version", "2040"); code != 0 || inUse() != "2040" {
		t.Errorf("after all: exit %d, in use %q; want 2040", code, inUse())
	}
	if out, code := run("import", list, "--version", "2041"); code != 2 || out != "" || inUse() != "2040" {
		t.Errorf("the same file again under another version: exit %d, %q, in use %q; want 2 and 2040", code, out, inUse())
	}
	if out, code := run("import", list, "--version", "2040"); code != 0 || !strings.Contains(out, "in use already") {
		t.Errorf("the same file again: exit %d, %q; want 0 and word of it", code, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "data", "tables", ".stanch-tmp-*"))
	if err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "data")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data_dir: %v, %v; want mode 0700", info, err)
	}
}
