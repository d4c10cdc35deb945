package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
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
	most := mostResident(cmd.Process.Pid)
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
	if got := most(); got == 0 || got > 512<<20 {
		t.Errorf("%d MiB resident at most in one process, want 512 or less, and not none", got>>20)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// mostResident looks at a process and its children until it has ended or the
// returned function is called, which says how many bytes one of them had resident
// at most. What wait tells counts this process too, which a child begins as.
func mostResident(pid int) func() int64 {
	var most int64
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		look := time.NewTicker(50 * time.Millisecond)
		defer look.Stop()
		for {
			for _, p := range family(pid) {
				most = max(most, ofStatus(p, "\nVmHWM:"))
			}
			select {
			case <-done:
				return
			case <-look.C:
			}
		}
	})
	return func() int64 {
		close(done)
		looking.Wait()
		return most
	}
}
