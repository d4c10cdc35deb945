package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/spool/spooltest"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

// The test binary runs itself as the process that is killed. childEnv holds
// "MODE DIR STEP N".
const childEnv = "STANCH_SQLITE_CHILD"

// TestMain is the child where it is asked to be.
func TestMain(m *testing.M) {
	if s := os.Getenv(childEnv); s != "" {
		if err := child(strings.Fields(s)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(args []string) error {
	mode, dir, step, nth := args[0], args[1], args[2], 0
	if _, err := fmt.Sscan(args[3], &nth); err != nil {
		return err
	}
	var seen atomic.Int64
	in, err := start(dir, sqlite.Options{Steps: func(s string) {
		if strings.ReplaceAll(s, " ", "") == step && seen.Add(1) == int64(nth) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // no step after it
		}
	}})
	if err != nil {
		return err
	}
	switch mode {
	case "one":
		for i := range 6 {
			if err := work(in, i, workSizes[i%2]+i); err != nil {
				return err
			}
		}
		return errors.New("the step was never reached")
	case "fold": // contents in the database, so that its log grows
		for i := range 1000 { // it is folded beside them, and is killed long before the end
			if err := work(in, i, 200<<10); err != nil {
				return err
			}
		}
		return errors.New("the step was never reached")
	case "many":
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := w; ; i++ {
					if err := work(in, i, workSizes[i%2]+i); err != nil {
						fmt.Println("error", err)
					}
				}
			})
		}
		wg.Wait()
	case "sync":
		return failingSync(in)
	}
	return nil
}

// workSizes are of a content in the database and of one in a file.
var workSizes = [2]int{100, vault.InlineMax}

// work is the i-th round of all that a Change can hold, with a content of size
// bytes. What it prints was answered with nil.
func work(in *install, i, size int) error {
	ctx := context.Background()
	doc, body := vaulttest.Document(size)
	it, err := in.vault.Seal(ctx, doc, vaulttest.CaseOf(doc, body))
	if err != nil {
		return err
	}
	m := spooltest.Message(0)
	m.Doc = doc.ID
	e, err := in.spool.Seal(ctx, m, bytes.NewReader(body))
	if err != nil {
		return err
	}
	split := store.Change{Hold: []vault.Item{it}, Out: []spool.Entry{e}, Repeats: []store.Repeat{{ID: doc.ID, At: time.Now()}}}
	if err := in.db.Commit(ctx, split); err != nil {
		return err
	}
	fmt.Printf("split %s %s %d\n", doc.ID, m.ID, len(body))

	m.State = spool.Delivered
	u, err := in.spool.Progress(m)
	if err != nil {
		return err
	}
	tr, err := in.vault.Transition(doc.ID, vault.Held, vault.Expired, time.Now(), "officer", "")
	if err != nil {
		return err
	}
	if i%3 == 0 {
		end := store.Change{Progress: []spool.Update{u}, Decide: []vault.Transition{tr}, Acknowledge: []dlp.ID{doc.ID}}
		if err := in.db.Commit(ctx, end); err != nil {
			return err
		}
		fmt.Printf("end %s %s\n", doc.ID, m.ID)
	}
	return nil
}

// kill starts a child and returns what it printed before it died. It ends by
// itself at a step, or is killed after lines lines.
func kill(t *testing.T, mode, dir, step string, nth, lines int) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d", childEnv, mode, dir, strings.ReplaceAll(step, " ", ""), nth))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	s := bufio.NewScanner(out)
	for s.Scan() {
		got = append(got, s.Text())
		if strings.HasPrefix(s.Text(), "error") {
			t.Errorf("child: %s", s.Text())
		}
		if len(got) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	return got
}

// account opens what a killed child left and compares it with what it said.
func account(t *testing.T, dir string, said []string) {
	t.Helper()
	in := open(t, dir, sqlite.Options{})
	if err := in.db.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	ended := make(map[string]bool)
	for _, line := range said {
		if f := strings.Fields(line); f[0] == "end" {
			ended[f[1]] = true
		}
	}
	for _, line := range said {
		f := strings.Fields(line)
		if f[0] != "split" {
			continue
		}
		e, err := in.vault.Get(t.Context(), dlp.ID(f[1]))
		if err != nil {
			t.Errorf("answered and lost: hold: %v", err)
			continue
		}
		m, err := in.spool.Get(t.Context(), dlp.ID(f[2]))
		if err != nil {
			t.Errorf("answered and lost: copy: %v", err)
			continue
		}
		if ended[f[1]] && (e.State != vault.Expired || m.State != spool.Delivered) {
			t.Errorf("ended and forgotten: %s, %s", e.State, m.State)
		}
	}
	wholes(t, in)
	files(t, in)
	in.close(t) // for who looks next
}

// wholes reads every content that a row promises, and checks that a hold and
// its copy are there together, in states that belong together.
func wholes(t *testing.T, in *install) {
	t.Helper()
	ms, err := in.spool.List(t.Context(), spool.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	es, err := in.vault.List(t.Context(), vault.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(es) != len(ms) {
		t.Errorf("got %d holds and %d copies, want as many", len(es), len(ms))
	}
	repeats, err := in.db.Unacknowledged(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	states := make(map[dlp.ID]vault.State)
	for _, e := range es {
		states[e.ID] = e.State
		if e.State == vault.Held {
			held++
			if r, err := in.vault.Open(t.Context(), e.ID, nil); err != nil {
				t.Errorf("hold: %v", err)
			} else if n, err := io.Copy(io.Discard, r); err != nil || n != e.Size || r.Close() != nil {
				t.Errorf("hold: got %d of %d bytes, %v", n, e.Size, err)
			}
		}
	}
	if len(repeats) != held {
		t.Errorf("got %d unacknowledged repeats, want %d", len(repeats), held)
	}
	for _, m := range ms {
		if (states[m.Doc] == vault.Held) != (m.State == spool.Queued) {
			t.Errorf("a change was cut in two: %s and %s", states[m.Doc], m.State)
		}
		if m.State == spool.Queued {
			if r, err := in.spool.Open(t.Context(), m.ID); err != nil {
				t.Errorf("copy: %v", err)
			} else if n, err := io.Copy(io.Discard, r); err != nil || n != m.Size || r.Close() != nil {
				t.Errorf("copy: got %d of %d bytes, %v", n, m.Size, err)
			}
		}
	}
}

// files checks that no file is left that no row owns. Check has seen to the
// other direction.
func files(t *testing.T, in *install) {
	t.Helper()
	for _, area := range []string{"vault", "spool"} {
		err := filepath.WalkDir(filepath.Join(in.dir, area), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			var owned bool
			if id, err := dlp.ParseID(strings.TrimSuffix(e.Name(), ".age")); err == nil {
				owned = opens(t, in, area, id)
			}
			if !owned {
				t.Errorf("left behind in %s: %s", area, e.Name())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func opens(t *testing.T, in *install, area string, id dlp.ID) bool {
	t.Helper()
	open := func(ctx context.Context, id dlp.ID) (io.ReadCloser, error) { return in.vault.Open(ctx, id, nil) }
	if area == "spool" {
		open = in.spool.Open
	}
	r, err := open(t.Context(), id)
	return err == nil && r.Close() == nil
}

func TestKilledAtEachStep(t *testing.T) {
	for _, c := range []struct {
		step  string
		swept bool // something must have been left for the sweep
	}{
		{"put: create", false},
		{"put: write", true},
		{"put: name", true},
		{"put: named", true},
		{"commit: begin", false},
		{"commit: sync", false},
		{"commit: answer", false},
		{"clean: remove", false},
	} {
		for _, nth := range []int{1, 2, 5} {
			if c.step == "clean: remove" && nth > 2 {
				continue // the child has two contents to clean
			}
			t.Run(fmt.Sprintf("%s %d", c.step, nth), func(t *testing.T) {
				dir := t.TempDir()
				said := kill(t, "one", dir, c.step, nth, -1)
				first := open(t, dir, sqlite.Options{})
				if c.swept && first.db.Swept() == 0 {
					t.Error("nothing was swept, want what the child had staged")
				}
				first.close(t)
				account(t, dir, said)
			})
		}
	}
}

// TestKilledWhileTheLogIsFolded kills a process at both ends of what goes on
// beside its commits.
func TestKilledWhileTheLogIsFolded(t *testing.T) {
	for _, step := range []string{"fold: begin", "fold: end"} {
		for _, nth := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s %d", step, nth), func(t *testing.T) {
				dir := t.TempDir()
				account(t, dir, kill(t, "fold", dir, step, nth, -1))
			})
		}
	}
}

func TestKilledUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var said []string
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		said = append(said, kill(t, "many", dir, "never", 1, 5+rnd.IntN(60))...)
		account(t, dir, said)
	}
}
