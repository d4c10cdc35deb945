package rollout_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/rollout"
)

func TestTake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := rollout.Open(dir)
	yes := func(rollout.State) error { return nil }
	watch := rollout.Step{At: time.Unix(1, 0).UTC(), By: "user:ann", Policy: "phi", Do: rollout.Watch, Days: 14}
	enforce := rollout.Step{Policy: "phi", Do: rollout.Enforce, Note: "as expected"}
	full := errors.New("full")
	for _, c := range []struct {
		name    string
		base    int
		step    rollout.Step
		between func(rollout.State) error
		want    error
		holds   bool // enforced afterwards
	}{
		{"watched", 0, watch, yes, nil, false},
		{"enforced by who saw an older state", 0, enforce, yes, rollout.ErrChanged, false},
		{"enforced without a record", 1, enforce, func(rollout.State) error { return full }, full, false},
		{"watched for no days", 1, rollout.Step{Policy: "phi", Do: rollout.Watch}, yes, rollout.ErrStep, false},
		{"watched for too long", 1, rollout.Step{Policy: "phi", Do: rollout.Watch, Days: 91}, yes, rollout.ErrStep, false},
		{"nothing", 1, rollout.Step{Policy: "phi", Do: "allow"}, yes, rollout.ErrStep, false},
		{"of no policy", 1, rollout.Step{Do: rollout.Enforce}, yes, rollout.ErrStep, false},
		{"a long note", 1, rollout.Step{Policy: "phi", Do: rollout.Enforce, Note: strings.Repeat("x", 501)}, yes, rollout.ErrStep, false},
		{"enforced", 1, enforce, yes, nil, true},
		{"enforced twice", 2, enforce, yes, rollout.ErrStep, true},
		{"another policy watched", 2, rollout.Step{Policy: "other", Do: rollout.Watch, Days: 1}, yes, nil, true},
		{"watched again", 3, watch, yes, nil, false},
	} {
		if _, err := s.Take(c.base, c.step, c.between); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		now, err := rollout.Load(dir)
		if err != nil || now.Enforced("phi") != c.holds {
			t.Errorf("%s: enforced %v, %v; want %v", c.name, now.Enforced("phi"), err, c.holds)
		}
	}
	// What cannot be read decides nothing.
	for _, text := range []string{"", "{", `{"v":2}`, `{"v":1,"steps":[{"n":2,"policy":"phi","do":"watch"}]}`, `{"v":1,"steps":[{"n":1,"policy":"phi","do":"off"}]}`} {
		if err := os.WriteFile(rollout.Path(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := rollout.Load(dir); !errors.Is(err, rollout.ErrDamaged) {
			t.Errorf("%q: %v, want %v", text, err, rollout.ErrDamaged)
		}
		if _, err := s.Take(0, watch, yes); !errors.Is(err, rollout.ErrDamaged) {
			t.Errorf("a step after %q: %v", text, err)
		}
	}
}
