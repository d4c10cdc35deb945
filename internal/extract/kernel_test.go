package extract

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/sandbox"
)

// TestKernelWithout starts this test program anew on what looks like a kernel
// that lacks one of the locks, and holds that nothing is read there unless the
// configuration makes do with the rest, and that it is said what is lacking.
func TestKernelWithout(t *testing.T) {
	if sandbox.TestBuild {
		t.Skip("nothing is locked in a build with the race detector")
	}
	landlock, filter := uint32(unix.SYS_LANDLOCK_CREATE_RULESET), uint32(unix.SYS_SECCOMP)
	for name, c := range map[string]struct {
		without []uint32
		errno   unix.Errno
		mode    string
		want    string
	}{
		"no landlock, required":       {[]uint32{landlock}, unix.ENOSYS, "", "the sandbox cannot be had whole: landlock: not in this kernel. "},
		"no landlock, partial":        {[]uint32{landlock}, unix.ENOSYS, SandboxPartial, "locked in by a filter of system calls; "},
		"landlock off, required":      {[]uint32{landlock}, unix.EOPNOTSUPP, "", "landlock: switched off when the kernel was started (lsm=)"},
		"landlock forbidden, partial": {[]uint32{landlock}, unix.EPERM, SandboxPartial, "lacking: landlock: forbidden to this process, as by a container's filter"},
		"no seccomp, required":        {[]uint32{filter}, unix.ENOSYS, "", "seccomp: not in this kernel. Want Linux 5.13"},
		"no seccomp, partial":         {[]uint32{filter}, unix.ENOSYS, SandboxPartial, "locked in by landlock ABI "},
		"neither, partial":            {[]uint32{landlock, filter}, unix.ENOSYS, SandboxPartial, "the sandbox cannot be had: landlock: not in this kernel, seccomp: not in this kernel. "},
		"neither, off":                {[]uint32{landlock, filter}, unix.ENOSYS, SandboxOff, "locked in by nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestInside$", "-test.v")
			cmd.Env = append(os.Environ(), "STANCH_INSIDE=1", "STANCH_INSIDE_MODE="+c.mode)
			type ran struct {
				out []byte
				err error
			}
			done := make(chan ran)
			go func() {
				runtime.LockOSThread() // the filter is this thread's, and ends with it
				if err := lose(c.without, c.errno); err != nil {
					done <- ran{err: err}
					return
				}
				out, err := cmd.CombinedOutput()
				done <- ran{out, err}
			}()
			r := <-done
			if r.err != nil {
				t.Fatalf("%v\n%s", r.err, r.out)
			}
			if !strings.Contains(string(r.out), c.want) {
				t.Errorf("got %s, want %q", r.out, c.want)
			}
		})
	}
}

// TestInside is what TestKernelWithout starts.
func TestInside(t *testing.T) {
	if os.Getenv("STANCH_INSIDE") == "" {
		t.Skip("started by TestKernelWithout")
	}
	cfg := Default()
	cfg.Sandbox = os.Getenv("STANCH_INSIDE_MODE")
	p, err := NewPool(cfg, Deps{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.SelfTest(t.Context())
	t.Log(s, err)
	if err != nil {
		if err := p.Extract(t.Context(), document("Subject: x\r\n\r\nx\r\n"), &discard{}); err == nil {
			t.Error("a document was read")
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// lose lets the calls with these numbers fail with errno in this thread and what
// it starts.
func lose(numbers []uint32, errno unix.Errno) error {
	p := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // struct seccomp_data, nr
	for _, n := range numbers {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	}
	p = append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
