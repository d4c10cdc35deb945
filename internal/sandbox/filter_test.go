package sandbox

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// run is a machine for the instructions that assemble uses. It fails the test
// where the kernel would refuse the program.
func run(t *testing.T, p []unix.SockFilter, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	data := map[uint32]uint32{atNumber: nr, atArch: arch}
	for i, a := range args {
		data[atArgs+8*uint32(i)], data[atArgs+8*uint32(i)+4] = uint32(a), uint32(a>>32)
	}
	var a uint32
	for at := 0; at < len(p); at++ {
		in := p[at]
		yes := false
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = data[in.K]
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= in.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = a == in.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			yes = a&in.K != 0
		default:
			t.Fatalf("instruction %d: code %#x", at, in.Code)
		}
		if yes {
			at += int(in.Jt)
		} else {
			at += int(in.Jf)
		}
	}
	t.Fatal("the program runs past its end")
	return 0
}

// TestFilter runs the list of each architecture, with the numbers of this one, call by call: all that
// there may be, and the arguments of those that have a condition.
func TestFilter(t *testing.T) {
	for _, goarch := range []string{"amd64", "arm64"} {
		t.Run(goarch, func(t *testing.T) {
			const end = unix.SECCOMP_RET_KILL_PROCESS
			arch, list := auditArch(goarch), calls(goarch)
			p := assemble(arch, list, "", end)
			on := map[uint32]call{}
			for _, c := range list {
				on[c.nr] = c
			}
			if len(on) != len(list) || len(p) > 255 {
				t.Errorf("%d calls, %d numbers, %d instructions", len(list), len(on), len(p))
			}
			check := func(what string, got, want uint32) {
				t.Helper()
				if got != want {
					t.Errorf("%s: got %#x, want %#x", what, got, want)
				}
			}
			for nr := range uint32(600) {
				c, ok := on[nr]
				name := fmt.Sprintf("call %d %s", nr, c.name)
				want := uint32(unix.SECCOMP_RET_ALLOW)
				switch {
				case !ok:
					want = end
				case c.check == fails:
					want = unix.SECCOMP_RET_ERRNO | uint32(c.errno)
				case c.check == lacks:
					check(name+" with the bits", run(t, p, arch, nr, 0, 0, uint64(c.value)|1), end)
				case c.check == equal:
					args := make([]uint64, 6)
					check(name+" with another", run(t, p, arch, nr, args...), end)
					args[c.arg] = uint64(c.value) | 1<<29
					check(name+" with more bits", run(t, p, arch, nr, args...), end)
				}
				args := make([]uint64, 6)
				if c.check == equal || c.check == hasBits {
					args[c.arg] = uint64(c.value)
				}
				check(name, run(t, p, arch, nr, args...), want)
				check(name+" of another architecture", run(t, p, arch+1, nr, args...), end)
				check(name+" of x32", run(t, p, arch, nr|1<<30, args...), end)
				check(name+" left off", run(t, assemble(arch, list, c.name, end), arch, nr, args...), end)
			}
		})
	}
}
