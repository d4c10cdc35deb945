package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMemoryStaysInMemory: no crash of serve or of its readers leaves a core
// file, in which mail and keys would stand.
func TestMemoryStaysInMemory(t *testing.T) {
	g := newGateway(t, options{})
	g.start()
	serve := g.cmd.Process.Pid
	pids := []string{fmt.Sprint(serve)}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", serve))
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range threads {
		kids, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", serve, th.Name()))
		if err != nil {
			t.Skip("the kernel does not name a process's children: ", err)
		}
		pids = append(pids, strings.Fields(string(kids))...)
	}
	for _, pid := range pids {
		limits, err := os.ReadFile("/proc/" + pid + "/limits")
		if err != nil {
			t.Fatal(err)
		}
		_, core, _ := strings.Cut(string(limits), "Max core file size")
		core, _, _ = strings.Cut(core, "\n")
		if got := strings.Fields(core); len(got) < 2 || got[0] != "0" || got[1] != "0" {
			t.Errorf("process %s: core files up to %q, want 0", pid, core)
		}
	}
	if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", serve)); os.Geteuid() != 0 && err == nil {
		t.Error("another program of this user may look into it")
	}
}
