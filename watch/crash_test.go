package watch_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
	"github.com/stanch-dlp/stanch/watch/watchtest"
)

// keptStore notes what claims hold.
type keptStore struct {
	watch.Store
	mu     sync.Mutex
	sealed []byte
}

func (k *keptStore) PutClaim(ctx context.Context, c watch.Claim) error {
	k.mu.Lock()
	k.sealed = append(k.sealed, c.Sealed...)
	k.mu.Unlock()
	return k.Store.PutClaim(ctx, c)
}

// Environment of the child that a crash test starts from this binary.
const (
	crashJob   = "WATCH_TEST_JOB" // "hold", "seal" or "restore"
	crashDir   = "WATCH_TEST_DIR"
	crashAt    = "WATCH_TEST_STEP" // the step before which the child is killed; "" to list them in DIR/steps
	crashID    = "abcdefghijklmnopqrstuvwxya"
	crashPlain = "released HOLD"
)

// crashBench is a bench whose store and vault outlive the process.
func crashBench(t *testing.T, dir, job string) *bench {
	t.Helper()
	b := newBench(t)
	b.root, b.desk.vault = filepath.Join(dir, "root"), filepath.Join(dir, "vault")
	for _, d := range []string{b.root, b.desk.vault} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store, err := watchtest.NewMemory(filepath.Join(dir, "store.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.store, b.cfg.Path, b.cfg.Stub = store, b.root, true
	if job == "seal" {
		b.cfg.AgeRecipients = []string{"age1invented"}
	}
	return b
}

// TestCrashChild is the child: it does one job and is killed on the way.
func TestCrashChild(t *testing.T) {
	job, dir := os.Getenv(crashJob), os.Getenv(crashDir)
	if job == "" {
		t.Skip("only as the child of a crash test")
	}
	b := crashBench(t, dir, job)
	at := os.Getenv(crashAt)
	list, err := os.OpenFile(filepath.Join(dir, "steps"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	b.deps.Steps = func(step string) {
		mu.Lock()
		defer mu.Unlock()
		if step == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if _, err := list.WriteString(step + "\n"); err != nil {
			t.Error(err)
		}
	}
	b.desk.steps = b.deps.Steps
	if job == "restore" {
		b.make()
		if _, err := b.restore("in/a.csv", crashID, crashPlain); err != nil {
			t.Fatal(err)
		}
		return
	}
	b.start().idle()
}

// child runs the job in a process of its own, killed before step at.
func child(t *testing.T, job, dir, at string) (steps []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.count=1")
	// What a killed child has no time to remove goes with this test.
	cmd.Env = append(os.Environ(), crashJob+"="+job, crashDir+"="+dir, crashAt+"="+at, "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if at == "" && err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); at != "" && (!ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
		t.Fatalf("killed before %q: got %v: %s", at, err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "steps"))
	if err != nil {
		t.Fatal(err)
	}
	for step := range strings.Lines(string(b)) {
		if step = strings.TrimSpace(step); !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	return steps
}

// TestKilledAtEveryStep kills the process before each durable step, starts
// again, and finds the file exactly once: in the vault, encrypted or restored.
func TestKilledAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for each step")
	}
	for _, c := range []struct {
		job     string
		content string
		want    []string // files left
		held    int
		least   int // steps
	}{
		{"hold", "HOLD me", []string{"in/a.csv.stanch.txt"}, 1, 10},
		{"seal", "SEAL me", []string{"in/a.csv.age", "in/a.csv.stanch.txt"}, 0, 10},
		{"restore", "", []string{"in/a.csv"}, 0, 5},
	} {
		prepare := func(t *testing.T) string {
			dir := t.TempDir()
			b := crashBench(t, dir, c.job)
			if c.content != "" {
				b.write("in/a.csv", c.content)
			}
			return dir
		}
		steps := child(t, c.job, prepare(t), "")
		if len(steps) < c.least {
			t.Fatalf("%s: only steps %q", c.job, steps)
		}
		for _, at := range steps {
			t.Run(c.job+", before "+at, func(t *testing.T) {
				dir := prepare(t)
				child(t, c.job, dir, at)
				b := crashBench(t, dir, c.job)
				b.start().idle()
				if c.job == "restore" {
					if got, err := b.restore("in/a.csv", crashID, crashPlain); err != nil || got != "in/a.csv" {
						t.Fatalf("restored again: %q %v", got, err)
					}
				}
				b.idle()
				b.wantTree(c.want...)
				var held []string
				for _, name := range b.desk.held(t) {
					if !strings.HasSuffix(name, ".new") { // not committed
						held = append(held, name)
					}
				}
				if len(held) != c.held {
					t.Errorf("held %d, want %d", len(held), c.held)
				}
				if left, err := b.store.Claims(t.Context(), keys{}.MAC("watch path", []byte(b.root))); err != nil || len(left) > 0 {
					t.Errorf("claims left: %d, %v", len(left), err)
				}
			})
		}
	}
}

func TestFileChangedSinceTheCrashIsPutBack(t *testing.T) {
	dir := t.TempDir()
	b := crashBench(t, dir, "hold")
	b.write("in/a.csv", "HOLD me")
	child(t, "hold", dir, "remove: unlink")
	b = crashBench(t, dir, "hold")
	taken := ""
	for _, rel := range b.tree() {
		if strings.HasPrefix(rel, ".stanch/") {
			taken = rel
		}
	}
	f, err := os.OpenFile(b.path(taken), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(", and this")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	b.start().until("the second judging", func() bool { return len(b.desk.held(t)) == 2 })
	b.wantJudged("in/a.csv: HOLD me, and this")
}

func TestVaultThatCannotAnswerLeavesTheFile(t *testing.T) {
	dir := t.TempDir()
	crashBench(t, dir, "hold").write("in/a.csv", "HOLD me")
	child(t, "hold", dir, "vault: commit")
	b := crashBench(t, dir, "hold")
	b.deps.Handler = mute{b.desk}
	b.start()
	b.until("the failed sweep", func() bool { return b.count(watch.CountSweepFailed) > 0 })
	if b.exists("in/a.csv") {
		t.Error("put back though the vault may have it")
	}
	b.stop()
	b.deps.Handler = b.desk
	b.start().idle()
	if got := len(b.desk.judged()); got != 1 || b.exists("in/a.csv") {
		t.Errorf("judged %d, want 1", got)
	}
}

// mute is a gateway whose vault does not answer.
type mute struct{ *desk }

func (mute) Kept(context.Context, dlp.ID) (bool, [32]byte, error) {
	return false, [32]byte{}, errors.New("vault: closed")
}

func TestNameThatIsNoTextComesBackAfterACrash(t *testing.T) {
	const name = "in/caf\xe9 \xff.csv" // Latin-1 and worse
	dir := t.TempDir()
	crashBench(t, dir, "hold").write(name, "HOLD me")
	child(t, "hold", dir, "vault: commit")
	b := crashBench(t, dir, "hold")
	b.deps.Handler = refuse{b.desk}
	b.start().idle()
	b.wantTree(name)
}

// refuse is a gateway that lets everything stay.
type refuse struct{ *desk }

func (refuse) File(context.Context, *dlp.Document, dlp.Claim) dlp.Outcome {
	return dlp.Outcome{Kind: dlp.Reported}
}
