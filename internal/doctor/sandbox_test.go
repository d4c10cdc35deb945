package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// TestSandbox holds what doctor makes of how a child is locked in.
func TestSandbox(t *testing.T) {
	whole := extract.Sandbox{Landlock: 3, Seccomp: true, Things: 28, Trials: 46}
	none := fmt.Errorf("start: %w", extract.ErrSandbox)
	for name, c := range map[string]struct {
		box      extract.Sandbox
		err      error
		read     error
		mode     string
		findings int
		want     doctor.Level
	}{
		"whole":              {box: whole, findings: 3, want: doctor.OK},
		"partial":            {box: extract.Sandbox{Seccomp: true, Lacks: "landlock: not in this kernel"}, mode: extract.SandboxPartial, findings: 3, want: doctor.Warn},
		"off":                {mode: extract.SandboxOff, findings: 3, want: doctor.Fail},
		"refused":            {err: none, read: none, findings: 1, want: doctor.Fail},
		"a child escapes":    {box: whole, err: none, findings: 3, want: doctor.Fail},
		"no child starts":    {err: errors.New("noexec"), read: errors.New("noexec"), findings: 2, want: doctor.Fail},
		"off, and not whole": {box: extract.Sandbox{}, mode: extract.SandboxOff, findings: 3, want: doctor.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			check := doctor.Extraction(func(context.Context) error { return c.read }, nil, true,
				func(context.Context) (extract.Sandbox, error) { return c.box, c.err }, c.mode)
			found := check.Run(t.Context())
			if len(found) != c.findings {
				t.Errorf("got %d findings, want %d: %+v", len(found), c.findings, found)
			}
			for _, f := range found {
				if f.Object == "sandbox" && f.Level != c.want {
					t.Errorf("got %+v, want level %v", f, c.want)
				}
			}
		})
	}
}
