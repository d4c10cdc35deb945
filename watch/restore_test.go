package watch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

var (
	restoredAt   = time.Date(2021, 3, 4, 5, 6, 7, 89, time.UTC)
	restoredUsed = restoredAt.Add(time.Hour)
	restoredSeen = dlp.Released{Rules: []dlp.RuleID{"us-ssn"}, Causes: []dlp.Cause{dlp.Image}}
)

func metaOf(content string) dlp.FileMeta {
	return dlp.FileMeta{UID: os.Getuid(), GID: os.Getgid(), Mode: 0o640, ModTime: restoredAt, AccessTime: restoredUsed, SHA256: sha256.Sum256([]byte(content))}
}

func (b *bench) restore(rel string, id dlp.ID, content string) (string, error) {
	return b.w.Restore(b.t.Context(), b.root, rel, metaOf(content), id, strings.NewReader(content), restoredSeen)
}

func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name string
		rel  string
		have map[string]string
		want string   // the name used
		tree []string // files afterwards
	}{
		{name: "to its place", rel: "in/a.csv", have: map[string]string{"in/b.csv": "x"}, want: "in/a.csv", tree: []string{"in/a.csv", "in/b.csv"}},
		{name: "missing folders are made", rel: "in/deep/a.csv", want: "in/deep/a.csv", tree: []string{"in/deep/a.csv"}},
		{name: "beside a newer file", rel: "a.csv", have: map[string]string{"a.csv": "newer"}, want: "a (released).csv", tree: []string{"a (released).csv", "a.csv"}},
		{name: "beside two", rel: "a.csv", have: map[string]string{"a.csv": "newer", "a (released).csv": "x"},
			want: "a (released 2).csv", tree: []string{"a (released 2).csv", "a (released).csv", "a.csv"}},
		{name: "a file stands where a folder was", rel: "in/a.csv", have: map[string]string{"in": "a file"}, want: "a.csv", tree: []string{"a.csv", "in"}},
		{name: "a hidden file keeps its dot", rel: ".profile", have: map[string]string{".profile": "x"}, want: ".profile (released)", tree: []string{".profile", ".profile (released)"}},
	} {
		for _, running := range []string{"running", "stopped"} {
			t.Run(c.name+", "+running, func(t *testing.T) {
				b := newBench(t)
				for rel, content := range c.have {
					b.write(rel, content)
				}
				if running == "running" {
					b.start()
				} else {
					b.make()
				}
				id := dlp.NewID()
				for range 2 { // the second call finds the work done
					got, err := b.restore(c.rel, id, "HOLD released")
					if err != nil || got != c.want {
						t.Fatalf("got %q, %v; want %q", got, err, c.want)
					}
				}
				b.wantTree(c.tree...)
				fi, err := os.Stat(b.path(c.want))
				if err != nil {
					t.Fatal(err)
				}
				if fi.Mode().Perm() != 0o640 || !fi.ModTime().Equal(restoredAt) || !accessed(fi).Equal(restoredUsed) || b.read(c.want) != "HOLD released" {
					t.Errorf("got %v, changed %v, last used %v, %q", fi.Mode(), fi.ModTime(), accessed(fi), b.read(c.want))
				}
				if running == "running" {
					b.idle()
					if got := b.desk.known[c.want]; got == nil || !slices.Equal(got.Rules, restoredSeen.Rules) || !slices.Equal(got.Causes, restoredSeen.Causes) {
						t.Errorf("judged again with %v, want what was released", got)
					}
					b.wantTree(c.tree...)
				}
			})
		}
	}
}

func TestReleasedFileThatChangesIsNewAgain(t *testing.T) {
	b := newBench(t)
	b.start()
	if _, err := b.restore("a.txt", dlp.NewID(), "HOLD released"); err != nil {
		t.Fatal(err)
	}
	b.idle()
	b.rules.Store("rules 2") // read again, still known
	b.idle()
	if got := len(b.desk.held(t)); got != 0 {
		t.Fatalf("held %d, want 0", got)
	}
	b.write("a.txt", "HOLD edited")
	b.until("taking it", func() bool { return len(b.desk.held(t)) == 1 })
}

// A release that comes while the same document is still in hand, as it is to a
// sweep after a crash, waits for its turn.
func TestRestoreWaitsForItsTurn(t *testing.T) {
	const content = "Mira Testcase,536-22-8145\n"
	b := newBench(t).start()
	id, feed := dlp.NewID(), make(chan struct{})
	type result struct {
		name string
		err  error
	}
	results := make(chan result, 2)
	begun := make(chan struct{})
	go func() {
		name, err := b.w.Restore(t.Context(), b.root, "a.csv", metaOf(content), id, &slowReader{strings.NewReader(content), begun, feed}, restoredSeen)
		results <- result{name, err}
	}()
	<-begun // the first has it in hand
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.w.Restore(over, b.root, "a.csv", metaOf(content), id, strings.NewReader(content), restoredSeen); !errors.Is(err, context.Canceled) {
		t.Errorf("a second that may not wait: %v, want %v", err, context.Canceled)
	}
	go func() {
		name, err := b.restore("a.csv", id, content)
		results <- result{name, err}
	}()
	close(feed)
	for range 2 {
		if r := <-results; r.err != nil || r.name != "a.csv" {
			t.Errorf("Restore = %q, %v; want a.csv", r.name, r.err)
		}
	}
}

// slowReader says when it is first read, and then waits.
type slowReader struct {
	*strings.Reader
	begun, feed chan struct{}
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.begun != nil {
		close(r.begun)
		<-r.feed
		r.begun = nil
	}
	return r.Reader.Read(p)
}

// WriteTo would let a copy pass by Read.
func (r *slowReader) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{r}) }

func TestRestoreGivesOwnerBack(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	b := newBench(t)
	b.make()
	m := metaOf("x")
	m.UID, m.GID, m.Mode = 12345, 23456, 0o4711
	if _, err := b.w.Restore(t.Context(), b.root, "a", m, dlp.NewID(), strings.NewReader("x"), dlp.Released{}); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(b.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if st.Uid != 12345 || st.Gid != 23456 || st.Mode&0o7777 != 0o4711 {
		t.Errorf("got %d:%d %o", st.Uid, st.Gid, st.Mode)
	}
}

// accessList is one by acl(5) as Linux hands it out: the owner may read and write,
// uid 1234 what the bits of named say, the group nothing, all bounded by mask.
func accessList(named, mask uint16) (b []byte) {
	b = binary.LittleEndian.AppendUint32(nil, 2) // linux/posix_acl_xattr.h: the version, then tag, rights and id of each
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{{0x01, 6, ^uint32(0)}, {0x02, named, 1234}, {0x04, 0, ^uint32(0)}, {0x10, mask, ^uint32(0)}, {0x20, 0, ^uint32(0)}} {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.rights)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// TestRestoreLetsNobodyElseIn: what is released has the access list that it was held
// with, where the mode shows the mask in the group's place, and one that had none gets
// none of its folder's.
func TestRestoreLetsNobodyElseIn(t *testing.T) {
	b := newBench(t)
	held := map[string]dlp.FileMeta{}
	var mu sync.Mutex
	b.desk.taking = func(doc *dlp.Document) {
		mu.Lock()
		defer mu.Unlock()
		held[doc.Name] = *doc.File
	}
	b.write("listed", "HOLD listed")
	b.write("plain", "HOLD plain")
	list := accessList(6, 6)
	if err := unix.Setxattr(b.path("listed"), "system.posix_acl_access", list, 0); err != nil {
		t.Skipf("no access lists here: %v", err)
	}
	if err := os.Chmod(b.path("plain"), 0o640); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.until("both are held", func() bool { return len(b.desk.held(t)) == 2 })
	b.stop()
	for _, dir := range []string{b.root, b.path(".stanch")} { // what is made here from now on lets 1234 in
		if err := unix.Setxattr(dir, "system.posix_acl_default", accessList(7, 7), 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]byte{"listed": list, "plain": nil} {
		if _, err := b.w.Restore(t.Context(), b.root, name, held[name], dlp.NewID(), strings.NewReader("HOLD "+name), dlp.Released{}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 1<<10)
		n, err := unix.Getxattr(b.path(name), "system.posix_acl_access", got)
		if errors.Is(err, unix.ENODATA) {
			n, err = 0, nil
		}
		if err != nil || !bytes.Equal(got[:n], want) {
			t.Errorf("%s: access list %x, %v, want %x", name, got[:max(n, 0)], err, want)
		}
	}
	if fi, err := os.Stat(b.path("plain")); err != nil || fi.Mode() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestReleaseTakesItsOwnStubAway(t *testing.T) {
	b := newBench(t)
	b.cfg.Stub = true
	b.write("a.csv", "HOLD one")
	b.start().idle()
	b.write("a.csv", "HOLD two")
	b.until("the second", func() bool { return len(b.desk.held(t)) == 2 })
	b.idle()
	b.wantTree("a.csv.stanch (2).txt", "a.csv.stanch.txt")
	first, ok := strings.CutPrefix(strings.TrimSpace(b.read("a.csv.stanch.txt")), "held ")
	if !ok {
		t.Fatalf("stub %q", b.read("a.csv.stanch.txt"))
	}
	second := strings.TrimPrefix(strings.TrimSpace(b.read("a.csv.stanch (2).txt")), "held ")

	for _, c := range []struct{ id, content, want string }{{first, "HOLD one", "a.csv"}, {second, "HOLD two", "a (released).csv"}} {
		if got, err := b.restore("a.csv", dlp.ID(c.id), c.content); err != nil || got != c.want {
			t.Fatalf("got %q, %v; want %q", got, err, c.want)
		}
	}
	b.wantTree("a (released).csv", "a.csv")
}

func TestReleaseLeavesAnothersStub(t *testing.T) {
	b := newBench(t)
	b.cfg.Stub = true
	b.write("a.csv", "HOLD one")
	b.start().idle()
	b.write("a.csv.stanch.txt", "my own words")
	if _, err := b.restore("a.csv", dlp.ID(b.desk.held(t)[0]), "HOLD one"); err != nil {
		t.Fatal(err)
	}
	if got := b.read("a.csv.stanch.txt"); got != "my own words" {
		t.Errorf("got %q", got)
	}
}

func TestRestoreRefuses(t *testing.T) {
	b := newBench(t)
	b.make()
	broken := errors.New("broken pipe")
	for _, c := range []struct {
		name    string
		root    string
		rel     string
		id      dlp.ID
		content interface{ Read([]byte) (int, error) }
		want    error
	}{
		{name: "a root that is not watched", root: filepath.Dir(b.root), rel: "a", want: watch.ErrNoRoot},
		{name: "other content", rel: "a", content: strings.NewReader("other"), want: watch.ErrContent},
		{name: "content cut short", rel: "a", content: errReader{broken}, want: broken},
		{name: "a path out of the root", rel: "../a"},
		{name: "an absolute path", rel: "/a"},
		{name: "no path", rel: ""},
		{name: "no id", rel: "a", id: "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root == "" {
				c.root = b.root
			}
			if c.id == "" {
				c.id = dlp.NewID()
			}
			if c.content == nil {
				c.content = bytes.NewReader([]byte("right"))
			}
			_, err := b.w.Restore(t.Context(), c.root, c.rel, metaOf("right"), c.id, c.content, dlp.Released{})
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			b.wantTree()
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestOwnFolderMustBeOurs(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(b *bench) error
	}{
		{"others may enter", func(b *bench) error {
			return errors.Join(os.Mkdir(b.path(".stanch"), 0o700), os.Chmod(b.path(".stanch"), 0o755))
		}},
		{"a link", func(b *bench) error { return os.Symlink(b.t.TempDir(), b.path(".stanch")) }},
		{"a file", func(b *bench) error { return os.WriteFile(b.path(".stanch"), nil, 0o700) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if err := c.make(b); err != nil {
				t.Fatal(err)
			}
			b.make()
			if _, err := b.restore("a", dlp.NewID(), "x"); err == nil {
				t.Error("restored into a root whose own folder is not ours")
			}
		})
	}
}

func TestTwoWatchersDoNotShareARoot(t *testing.T) {
	b := newBench(t)
	b.start()
	other := newBench(t)
	other.root, other.cfg.Path = b.root, b.root
	other.make()
	if _, err := other.restore("a", dlp.NewID(), "x"); err == nil {
		t.Error("a second watcher has the root too")
	}
}

func TestStrangersInTheOwnFolderStay(t *testing.T) {
	b := newBench(t)
	b.start().stop()
	b.write(".stanch/lost.txt", "HOLD whose?")
	b.start().idle()
	if got := b.read(".stanch/lost.txt"); got != "HOLD whose?" {
		t.Errorf("got %q", got)
	}
	if b.count(watch.CountStranger) == 0 {
		t.Error("not counted")
	}
	if strings.Contains(b.logs.String(), "lost") {
		t.Error("its name is in the log")
	}
}

func TestRootThatComesLateAndIsReplaced(t *testing.T) {
	b := newBench(t)
	if err := os.RemoveAll(b.root); err != nil {
		t.Fatal(err)
	}
	aside := t.TempDir()
	if err := os.Mkdir(aside+"/root", 0o755); err != nil {
		t.Fatal(err)
	}
	come := once(func() {
		if err := os.Rename(aside+"/root", b.root); err != nil {
			t.Error(err)
		}
	})
	count := b.deps.Count
	b.deps.Count = func(c watch.Count, n int) {
		count(c, n)
		if c == watch.CountRootFailed {
			come()
		}
	}
	b.start()
	b.write("a.txt", "1")
	b.until("the late root", func() bool { return len(b.desk.judged()) == 1 })

	if err := errors.Join(os.Rename(b.root, aside+"/old"), os.Mkdir(b.root, 0o755)); err != nil {
		t.Fatal(err)
	}
	b.write("b.txt", "2")
	b.w.Recheck()
	b.until("the new root", func() bool { return len(b.desk.judged()) == 2 })
	b.wantJudged("a.txt: 1", "b.txt: 2")
}

func TestNoNameIsToldOutside(t *testing.T) {
	const canary = "Wilhelmina Quackenbush"
	b := newBench(t)
	b.cfg.Stub, b.cfg.AgeRecipients = true, []string{"age1invented"}
	b.write(canary+"/"+canary+".txt", "HOLD "+canary)
	b.write(canary+"/"+canary+".csv", "SEAL "+canary)
	b.write(canary+"/plain "+canary, canary)
	tries := 0
	b.desk.answer = func(_ *dlp.Document, _ dlp.Claim, content []byte) (dlp.Outcome, bool) {
		if tries++; tries == 1 {
			panic(canary)
		}
		return dlp.Outcome{}, false
	}
	b.cfg.Jobs = 1
	store := &keptStore{Store: b.store}
	b.store = store
	b.start()
	b.until("judging", func() bool { return len(b.desk.judged()) >= 3 })
	if _, err := b.restore(canary+".txt", dlp.NewID(), canary); err != nil {
		t.Fatal(err)
	}
	_, err := b.w.Restore(t.Context(), b.root, canary, metaOf("x"), dlp.NewID(), strings.NewReader(canary), dlp.Released{})
	if err == nil || strings.Contains(err.Error(), "Quack") {
		t.Errorf("error %v", err)
	}
	b.stop()
	if strings.Contains(b.logs.String(), "Quack") {
		t.Errorf("the log tells: %s", b.logs.String())
	}
	if bytes.Contains(store.sealed, []byte("Quack")) {
		t.Error("a claim tells")
	}
	if len(store.sealed) == 0 {
		t.Error("no claim was seen")
	}
}

// TestGivenToNoOtherGroup: a file that may not be given its group is not open to a
// group of who runs stanch; one whose group may be given is open to that.
func TestGivenToNoOtherGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as somebody else")
	}
	const nobody, oncology = 65534, 54321
	for _, tc := range []struct {
		name  string
		group int
		list  []byte
		want  os.FileMode
	}{{"a group of theirs", os.Getegid(), nil, 0o664}, {"a group that is not", oncology, nil, 0o604},
		{"a group of theirs, a list", os.Getegid(), accessList(6, 6), 0o664}, {"a group that is not, a list", oncology, accessList(6, 6), 0o604}} {
		f, err := os.Create(filepath.Join(t.TempDir(), "name"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Chown(nobody, 12345); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		_, err = unix.SetfsuidRetUid(nobody) // of this thread, and with it the rights of root over files
		if err == nil {
			err = watch.Own(f, dlp.FileMeta{UID: 1, GID: tc.group, Mode: 0o6664, ACL: tc.list})
			_, _ = unix.SetfsuidRetUid(0) // back to what it was
		}
		runtime.UnlockOSThread()
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		fi, err := f.Stat()
		if err != nil || fi.Mode() != tc.want {
			t.Errorf("%s: mode %v, %v; want %v", tc.name, fi.Mode(), err, tc.want)
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); !ok || (int(st.Gid) == tc.group) != (tc.want == 0o664) {
			t.Errorf("%s: group %d", tc.name, st.Gid)
		}
	}
}
