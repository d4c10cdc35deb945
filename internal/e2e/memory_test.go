package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestMemoryStaysInMemory: no crash of serve or of its readers leaves a core
// file, in which mail and keys would stand.
func TestMemoryStaysInMemory(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	serve := g.cmd.Process.Pid
	if _, err := os.Stat(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", serve)); err != nil {
		t.Skip("the kernel does not name a process's children: ", err)
	}
	for _, pid := range append([]int{serve}, g.children()...) {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if pid != serve && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		_, core, _ := strings.Cut(string(limits), "Max core file size")
		core, _, _ = strings.Cut(core, "\n")
		if got := strings.Fields(core); len(got) < 2 || got[0] != "0" || got[1] != "0" {
			t.Errorf("process %d: core files up to %q, want 0", pid, core)
		}
	}
	if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", serve)); os.Geteuid() != 0 && err == nil {
		t.Error("another program of this user may look into it")
	}
}

// TestTimersHaveSlack: every thread of serve lets its timers go off late, as
// stanch.service lets those of the whole service, by as much.
func TestTimersHaveSlack(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("without CAP_SYS_NICE the unit sets it, not serve")
	}
	unit := regexp.MustCompile(`(?m)^TimerSlackNSec=(\d+)us$`).FindStringSubmatch(read(t, "../../packaging/stanch.service"))
	if unit == nil {
		t.Fatal("stanch.service says nothing of timers")
	}
	want := unit[1] + "000"
	g := newGateway(t, options{})
	g.start()
	serve := g.cmd.Process.Pid
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", serve))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, th := range threads {
		got, err := os.ReadFile("/proc/" + th.Name() + "/timerslack_ns")
		if err != nil {
			continue // it has ended
		}
		seen++
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("thread %s: %s ns, want %s", th.Name(), strings.TrimSpace(string(got)), want)
		}
	}
	if seen == 0 {
		t.Error("no thread was seen")
	}
}
