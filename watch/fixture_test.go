package watch_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
	"github.com/stanch-dlp/stanch/watch/watchtest"
)

// keys are watch.Keys under a fixed key.
type keys struct{}

func (keys) MAC(label string, parts ...[]byte) [32]byte {
	h := hmac.New(sha256.New, []byte("key"))
	for _, p := range append([][]byte{[]byte(label)}, parts...) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

func (keys) aead() cipher.AEAD {
	b, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCMWithRandomNonce(b)
	if err != nil {
		panic(err)
	}
	return a
}

func (k keys) Seal(label string, plain []byte) ([]byte, error) {
	return k.aead().Seal(nil, nil, plain, []byte(label)), nil
}

func (k keys) Open(label string, sealed []byte) ([]byte, error) {
	return k.aead().Open(nil, nil, sealed, []byte(label))
}

// scrambling is the Encryption of a root with age_recipients.
func scrambling(c watch.Config) (watch.Encryption, error) {
	if len(c.AgeRecipients) == 0 {
		return watch.Encryption{}, dlp.ErrNoWay
	}
	return watch.Encryption{Ext: ".age", Note: "for " + strings.Join(c.AgeRecipients, ","), Write: func(dst io.Writer, src io.Reader) error {
		return scramble(dst, src, c.AgeRecipients)
	}}, nil
}

// scramble stands for encryption: what it writes does not show the plain text.
func scramble(dst io.Writer, src io.Reader, recipients []string) error {
	b, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	salt := make([]byte, 8)
	rand.Read(salt)
	for i := range b {
		b[i] ^= 0x55
	}
	_, err = dst.Write(slices.Concat([]byte("scrambled for "+strings.Join(recipients, ",")+"\n"), salt, b))
	return err
}

// desk is a small gateway: it judges by the words "HOLD", "SEAL", "REJECT" in
// the content and keeps what it holds in a folder. Its hooks change one step.
type desk struct {
	vault string // folder

	taking func(doc *dlp.Document) // after judging, before Take
	taken  func(c dlp.Claim)       // after Take
	answer func(doc *dlp.Document, c dlp.Claim, content []byte) (dlp.Outcome, bool)
	steps  func(step string)

	mu     sync.Mutex
	seen   []string // "path: content" of each document judged, in order
	known  map[string]*dlp.Released
	errors []error // of claims
}

func (d *desk) File(ctx context.Context, doc *dlp.Document, c dlp.Claim) dlp.Outcome {
	r, err := doc.Open()
	if err != nil {
		return dlp.Outcome{}
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close(), doc.Validate()); err != nil {
		d.fail(err)
		return dlp.Outcome{}
	}
	if sha256.Sum256(content) != doc.File.SHA256 || int64(len(content)) != doc.Size {
		d.fail(errors.New("the content is not what the digest says"))
	}
	d.mu.Lock()
	d.seen = append(d.seen, doc.Name+": "+string(content[:min(len(content), 40)]))
	if d.known == nil {
		d.known = map[string]*dlp.Released{}
	}
	d.known[doc.Name] = doc.Known
	d.mu.Unlock()
	if d.answer != nil {
		if out, ok := d.answer(doc, c, content); ok {
			return out
		}
	}
	verdict := func(a dlp.Action) dlp.Verdict { return dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Action: a}}} }
	switch {
	case doc.Known != nil:
	case bytes.Contains(content, []byte("HOLD")):
		return dlp.Outcome{Kind: d.hold(ctx, doc, c), ID: doc.ID, Verdict: verdict(dlp.Hold)}
	case bytes.Contains(content, []byte("SEAL")):
		return dlp.Outcome{Kind: d.seal(ctx, doc, c), ID: doc.ID, Verdict: verdict(dlp.Encrypt)}
	}
	return dlp.Outcome{Kind: dlp.Reported, ID: doc.ID, Verdict: verdict(dlp.Allow)}
}

func (d *desk) hold(ctx context.Context, doc *dlp.Document, c dlp.Claim) dlp.OutcomeKind {
	if !d.take(ctx, doc, c) {
		return dlp.Changed
	}
	r, err := c.Open()
	if err != nil {
		d.fail(err)
		return dlp.TryAgain
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		d.fail(err)
		return dlp.TryAgain
	}
	if d.taken != nil {
		d.taken(c)
	}
	if err := c.Check(ctx); err != nil {
		return d.changed(err)
	}
	d.step("vault: write")
	err = os.WriteFile(filepath.Join(d.vault, string(doc.ID)+".new"), content, 0o600)
	d.step("vault: commit")
	err = errors.Join(err, os.Rename(filepath.Join(d.vault, string(doc.ID)+".new"), filepath.Join(d.vault, string(doc.ID))))
	if err != nil {
		d.fail(err)
		return dlp.TryAgain
	}
	if err := c.Remove(ctx, []byte("held "+string(doc.ID)+"\n")); err != nil {
		return d.changed(err)
	}
	return dlp.Held
}

func (d *desk) seal(ctx context.Context, doc *dlp.Document, c dlp.Claim) dlp.OutcomeKind {
	if !d.take(ctx, doc, c) {
		return dlp.Changed
	}
	if d.taken != nil {
		d.taken(c)
	}
	if err := c.Encrypt(ctx); err != nil {
		return d.changed(err)
	}
	return dlp.Sealed
}

func (d *desk) take(ctx context.Context, doc *dlp.Document, c dlp.Claim) bool {
	if d.taking != nil {
		d.taking(doc)
	}
	if err := c.Take(ctx); err != nil {
		d.changed(err)
		return false
	}
	return true
}

func (d *desk) changed(err error) dlp.OutcomeKind {
	if errors.Is(err, dlp.ErrChanged) {
		return dlp.Changed
	}
	d.fail(err)
	return dlp.TryAgain
}

func (d *desk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errors = append(d.errors, err)
}

func (d *desk) step(name string) {
	if d.steps != nil {
		d.steps(name)
	}
}

func (d *desk) Kept(_ context.Context, id dlp.ID) (bool, [32]byte, error) {
	b, err := os.ReadFile(filepath.Join(d.vault, string(id)))
	if errors.Is(err, os.ErrNotExist) {
		return false, [32]byte{}, nil
	}
	return err == nil, sha256.Sum256(b), err
}

// judged returns what was judged, in order of path and content.
func (d *desk) judged() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(slices.Values(d.seen))
}

func (d *desk) held(t *testing.T) []string {
	t.Helper()
	var out []string
	es, err := os.ReadDir(d.vault)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		out = append(out, e.Name())
	}
	return out
}

// bench is one running Watcher over one root.
type bench struct {
	t      *testing.T
	root   string
	desk   *desk
	store  watch.Store
	cfg    watch.Config
	deps   watch.Deps
	w      *watch.Watcher
	counts [64]atomic.Int64
	rules  atomic.Value
	logs   lockedBuffer
	stop   func()
}

// newBench prepares a bench with events, a short settle and no rescan soon.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, root: t.TempDir(), desk: &desk{vault: t.TempDir()}}
	store, err := watchtest.NewMemory("")
	if err != nil {
		t.Fatal(err)
	}
	b.store = store
	b.rules.Store("rules 1")
	b.cfg = watch.Config{Path: b.root, Settle: dlp.Duration(20 * time.Millisecond), Rescan: dlp.Duration(time.Hour)}
	b.deps = watch.Deps{Handler: b.desk, Keys: keys{}, Encryption: scrambling,
		RuleSet: func() string { return b.rules.Load().(string) },
		Count:   func(c watch.Count, n int) { b.counts[c].Add(int64(n)) },
		Log:     slog.New(slog.NewJSONHandler(&b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	return b
}

// start runs a Watcher and returns when its first walk is done.
func (b *bench) start() *bench {
	b.t.Helper()
	b.make()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.w.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(func() {
		b.stop()
		b.desk.mu.Lock()
		defer b.desk.mu.Unlock()
		for _, err := range b.desk.errors {
			b.t.Errorf("claim: %v", err)
		}
	})
	b.until("the first walk", func() bool { return b.w.Status()[0].Walks > 0 })
	return b
}

// make makes the Watcher without running it.
func (b *bench) make() {
	b.t.Helper()
	b.deps.Store = b.store
	w, err := watch.New([]watch.Config{b.cfg}, b.deps)
	if err != nil {
		b.t.Fatal(err)
	}
	b.w = w
}

// restart stops the Watcher and runs another one over the same store.
func (b *bench) restart() { b.t.Helper(); b.stop(); b.start() }

// until waits for cond; the long limit only ends a test that has failed.
func (b *bench) until(what string, cond func() bool) {
	b.t.Helper()
	limit := time.After(5 * time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-limit:
			b.t.Fatalf("waited in vain for %s; judged %q, tree %q, logs %s", what, b.desk.judged(), b.tree(), b.logs.String())
		case <-tick.C:
		}
	}
}

// idle waits until the root was walked once more and no file waits.
func (b *bench) idle() {
	b.t.Helper()
	walks := b.w.Status()[0].Walks
	b.w.Recheck()
	b.until("rest", func() bool { s := b.w.Status()[0]; return s.Walks > walks && s.Pending == 0 })
}

func (b *bench) path(rel string) string { return filepath.Join(b.root, rel) }

// write makes a file, with the folders it lies in.
func (b *bench) write(rel, content string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(rel)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(rel), []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(rel string) string {
	b.t.Helper()
	c, err := os.ReadFile(b.path(rel))
	if err != nil {
		b.t.Fatalf("read: %v; tree %q", err, b.tree())
	}
	return string(c)
}

func (b *bench) exists(rel string) bool {
	_, err := os.Lstat(b.path(rel))
	return err == nil
}

// tree lists every file below the root, the root's own folder included.
func (b *bench) tree() []string {
	var out []string
	err := filepath.WalkDir(b.root, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(b.root, p)
			out = append(out, rel)
		}
		return nil // what goes while it is listed is not there
	})
	if err != nil {
		b.t.Error(err)
	}
	return out
}

func (b *bench) wantTree(want ...string) {
	b.t.Helper()
	if got := b.tree(); !slices.Equal(got, want) {
		b.t.Errorf("files:\n got %q\nwant %q", got, want)
	}
}

func (b *bench) wantJudged(want ...string) {
	b.t.Helper()
	if got := b.desk.judged(); !slices.Equal(got, want) {
		b.t.Errorf("judged:\n got %q\nwant %q", got, want)
	}
}

func (b *bench) count(c watch.Count) int64 { return b.counts[c].Load() }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
