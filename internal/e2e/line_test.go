package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFourGiBLine: one line of 4 GiB from a pipe is read whole, in memory that
// does not follow its length, or is said not to be.
func TestFourGiBLine(t *testing.T) {
	longTest(t)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), stanch, "scan", "--format", "jsonl", "-")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Dir(warmed), "STANCH_CONFIG=", "TMPDIR="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	block := []byte(strings.Repeat("no end of line here, ", 1<<16))
	for sent := int64(0); sent < 4<<30; sent += int64(len(block)) {
		if _, err := in.Write(block); err != nil {
			break // it has ended: what it says is looked at below
		}
	}
	if _, err := io.WriteString(in, "SSN 536-22-8145"); err != nil {
		t.Logf("the end was not read: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Log(err)
	}
	err = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if code != 1 && code != 3 {
		t.Fatalf("exit %d, %v, %s; want the number at the end, or a gap", code, err, errs.String())
	}
	if code == 1 && !strings.Contains(out.String(), `"type":"SSN"`) || code == 3 && !strings.Contains(out.String(), `"cause":`) {
		t.Errorf("exit %d, %s", code, out.String())
	}
	if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); !ok || use.Maxrss > 512<<10 { // KiB, the children's too
		t.Errorf("%d KiB resident at most, want 512 MiB or less", use.Maxrss)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
