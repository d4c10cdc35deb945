package watch_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

func TestWhatBecomesOfAFile(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string
		content string
		set     func(*watch.Config)
		want    []string // files left
		held    int
		judged  int
	}{
		{name: "clean stays", file: "in/a.csv", content: "plain", want: []string{"in/a.csv"}, judged: 1},
		{name: "empty stays unjudged", file: "a.csv", content: "", want: []string{"a.csv"}},
		{name: "quarantine takes it away", file: "in/a.csv", content: "HOLD", held: 1, judged: 1},
		{name: "quarantine leaves a stub if asked", file: "in/a.csv", content: "HOLD",
			set: func(c *watch.Config) { c.Stub = true }, want: []string{"in/a.csv.stanch.txt"}, held: 1, judged: 1},
		{name: "encrypt in place", file: "in/a.csv", content: "SEAL",
			set: func(c *watch.Config) { c.AgeRecipients = []string{"age1invented"} }, want: []string{"in/a.csv.age"}, judged: 1},
		{name: "a name of 255 bytes", file: strings.Repeat("é", 125) + ".json", content: "SEAL",
			set:  func(c *watch.Config) { c.AgeRecipients = []string{"age1invented"} },
			want: []string{strings.Repeat("é", 125) + "..age"}, judged: 1},
		{name: "a folder named as the own one deeper down is no hiding place", file: "in/.stanch/a.csv", content: "HOLD", held: 1, judged: 1},
		{name: "a name as a stub has is no hiding place", file: "a.stanch.txt", content: "HOLD", held: 1, judged: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, when := range []string{"before the start", "by event"} {
				b := newBench(t)
				if c.set != nil {
					c.set(&b.cfg)
				}
				if when == "before the start" {
					b.write(c.file, c.content)
					b.start()
				} else {
					b.start().write(c.file, c.content)
					b.until("judging", func() bool { return len(b.desk.judged()) >= c.judged })
				}
				b.idle()
				b.idle() // what stanch left is looked at too
				b.wantTree(c.want...)
				if got := len(b.desk.held(t)); got != c.held {
					t.Errorf("%s: held %d, want %d", when, got, c.held)
				}
				if got := len(b.desk.judged()); got != c.judged {
					t.Errorf("%s: judged %q, want %d", when, b.desk.judged(), c.judged)
				}
			}
		})
	}
}

func TestEncryptedFileKeepsOwnerModeAndTimes(t *testing.T) {
	b := newBench(t)
	b.cfg.AgeRecipients = []string{"age1invented"}
	b.write("a.csv", "SEAL me")
	when := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	if err := os.Chmod(b.path("a.csv"), 0o640); err != nil {
		t.Fatal(err)
	}
	used := when.Add(time.Hour)
	if err := os.Chtimes(b.path("a.csv"), used, when); err != nil {
		t.Fatal(err)
	}
	b.start().idle()
	fi, err := os.Stat(b.path("a.csv.age"))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o640 || !fi.ModTime().Equal(when) {
		t.Errorf("got %v %v, want 0640 %v", fi.Mode(), fi.ModTime(), when)
	}
	if got := accessed(fi); !got.Equal(used) {
		t.Errorf("last used %v, want %v", got, used)
	}
	if got := b.read("a.csv.age"); !strings.HasPrefix(got, "scrambled for age1invented\n") || strings.Contains(got, "SEAL") {
		t.Errorf("got %q", got)
	}
}

// accessed is when the file was last read, by whom it may concern.
func accessed(fi os.FileInfo) time.Time { return time.Unix(fi.Sys().(*syscall.Stat_t).Atim.Unix()) }

// TestJudgingLeavesTheAccessTime: who last used a file that stays is to be seen in
// spite of its having been read here.
func TestJudgingLeavesTheAccessTime(t *testing.T) {
	b := newBench(t)
	b.write("a.csv", "nothing to see")
	used := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC) // so old that a common mount notes any reading
	if err := os.Chtimes(b.path("a.csv"), used, used.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.start().idle()
	b.wantJudged("a.csv: nothing to see")
	if fi, err := os.Stat(b.path("a.csv")); err != nil || !accessed(fi).Equal(used) {
		t.Errorf("last used %v, %v; want %v", accessed(fi), err, used)
	}
}

func TestEncryptGoesBesideAnotherFile(t *testing.T) {
	b := newBench(t)
	b.cfg.AgeRecipients = []string{"age1invented"}
	b.write("a.csv.age", "somebody's own")
	b.write("a.csv", "SEAL me")
	b.start().idle()
	b.wantTree("a.csv (2).age", "a.csv.age")
	if got := b.read("a.csv.age"); got != "somebody's own" {
		t.Errorf("got %q", got)
	}
}

func TestNoRecipientIsNoWay(t *testing.T) {
	b := newBench(t)
	put := make(chan struct{})
	first := once(func() { close(put) })
	b.desk.answer = func(doc *dlp.Document, c dlp.Claim, _ []byte) (dlp.Outcome, bool) {
		select {
		case <-put: // it is offered again
			return dlp.Outcome{Kind: dlp.Reported}, true
		default:
		}
		if err := c.Take(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Encrypt(t.Context()); err != dlp.ErrNoWay {
			t.Errorf("got %v, want %v", err, dlp.ErrNoWay)
		}
		if err := c.PutBack(t.Context()); err != nil {
			t.Error(err)
		}
		first()
		return dlp.Outcome{Kind: dlp.Held}, true
	}
	b.write("a.csv", "SEAL me")
	b.start()
	<-put
	b.wantTree("a.csv")
}

func TestEveryFileOfABurstIsJudgedOnce(t *testing.T) {
	const folders, each = 50, 100
	b := newBench(t)
	b.cfg.Jobs = 4
	b.start()
	want := make(map[string]bool, folders*each)
	for i := range folders {
		for j := range each {
			rel := fmt.Sprintf("new/%d/deep/er/%d.txt", i, j)
			b.write(rel, rel)
			want[rel+": "+rel] = true
		}
	}
	b.until("all of them", func() bool { return b.count(watch.CountJudged) >= folders*each })
	b.idle()
	got := b.desk.judged()
	if len(got) != len(want) {
		t.Errorf("judged %d, want %d", len(got), len(want))
	}
	for _, s := range got {
		if !want[s] {
			t.Errorf("judged %q", s)
		}
		delete(want, s)
	}
}

func TestUnchangedFilesAreNotReadAgain(t *testing.T) {
	b := newBench(t)
	b.write("a.txt", "one")
	b.start().idle()
	b.restart()
	b.idle()
	b.wantJudged("a.txt: one")
	if got := b.count(watch.CountUnchanged); got != 0 {
		t.Errorf("read again: %d", got)
	}

	if err := os.Chmod(b.path("a.txt"), 0o600); err != nil { // ctime moves on, the content does not
		t.Fatal(err)
	}
	b.idle()
	b.wantJudged("a.txt: one")

	b.rules.Store("rules 2")
	b.idle()
	b.wantJudged("a.txt: one", "a.txt: one")

	b.write("a.txt", "two")
	b.until("the new content", func() bool { return len(b.desk.judged()) == 3 })
	b.wantJudged("a.txt: one", "a.txt: one", "a.txt: two")
}

func TestFilesOnTheMove(t *testing.T) {
	b := newBench(t)
	b.write("a/sub/one.txt", "1")
	b.write("c/two.txt", "2")
	b.start().idle()

	// No walk but that of events sees these.
	step := func(what string, do func() error, want string) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		b.until(what, func() bool { return strings.Contains(strings.Join(b.desk.judged(), "\n"), want) })
	}
	step("a moved folder's file under its new name", func() error { return os.Rename(b.path("a"), b.path("b")) }, "b/sub/one.txt: 1")
	step("a file in a moved folder", func() error { b.write("b/sub/three.txt", "3"); return nil }, "b/sub/three.txt: 3")
	step("a file in a folder with the old name", func() error { b.write("a/sub/four.txt", "4"); return nil }, "a/sub/four.txt: 4")
	step("a file moved", func() error { return os.Rename(b.path("c/two.txt"), b.path("c/2.txt")) }, "c/2.txt: 2")
	step("a folder made anew", func() error {
		if err := os.RemoveAll(b.path("c")); err != nil {
			return err
		}
		b.write("c/five.txt", "5")
		return nil
	}, "c/five.txt: 5")
	outside := t.TempDir()
	step("a folder moved in", func() error {
		if err := os.MkdirAll(outside+"/x/y", 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(outside+"/x/y/six.txt", []byte("6"), 0o644); err != nil {
			return err
		}
		return os.Rename(outside+"/x", b.path("x"))
	}, "x/y/six.txt: 6")
	step("a file in it", func() error { b.write("x/y/seven.txt", "7"); return nil }, "x/y/seven.txt: 7")
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	b := newBench(t)
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/secret.txt", []byte("HOLD outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.write("real/a.txt", "HOLD inside")
	for _, err := range []error{
		os.Symlink(outside, b.path("out")),
		os.Symlink(outside+"/secret.txt", b.path("secret.txt")),
		os.Symlink("real", b.path("in")),
		unix.Mkfifo(b.path("pipe"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b.start().idle()
	b.wantJudged("real/a.txt: HOLD inside")
	if got := b.w.Status()[0]; got.Symlinks != 3 || got.Skipped != 1 {
		t.Errorf("passed over %d links, want 3, and %d others, want 1", got.Symlinks, got.Skipped)
	}
	if links, others := b.count(watch.CountSymlink), b.count(watch.CountSkipped); links < 3 || others < 1 {
		t.Errorf("counted %d links and %d others", links, others)
	}
	if _, err := os.Stat(outside + "/secret.txt"); err != nil {
		t.Error(err)
	}
}

// TestSymbolicLinksAreOnTheLog: that links are passed over is logged with how many
// there are, once as long as that is so, and never with a name.
func TestSymbolicLinksAreOnTheLog(t *testing.T) {
	b := newBench(t)
	link := func(name string) {
		if err := os.Symlink("/nowhere", b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	link("quillfeather.csv")
	b.start().idle()
	link("another.csv")
	b.idle()
	b.idle() // the first may have been past it
	b.stop()
	got := b.logs.String()
	for count, want := range map[string]int{`"reason":"symlink","count":1,`: 1, `"reason":"symlink","count":2,`: 1, "quillfeather": 0} {
		if n := strings.Count(got, count); n != want {
			t.Errorf("%s is logged %d times, want %d:\n%s", count, n, want, got)
		}
	}
}

func TestHardLinkedFileGoesNameByName(t *testing.T) {
	b := newBench(t)
	outside := t.TempDir()
	b.write("a.txt", "HOLD")
	for _, to := range []string{b.path("b.txt"), outside + "/c.txt"} {
		if err := os.Link(b.path("a.txt"), to); err != nil {
			t.Skipf("no hard links here: %v", err)
		}
	}
	b.start()
	b.until("both names", func() bool { return len(b.desk.held(t)) == 2 && len(b.tree()) == 0 })
	if _, err := os.Stat(outside + "/c.txt"); err != nil {
		t.Errorf("the name outside the root: %v", err)
	}
}

func TestHandlerThatFails(t *testing.T) {
	for _, c := range []struct {
		name string
		kind dlp.OutcomeKind
		boom bool
	}{
		{name: "try again with the file taken", kind: dlp.TryAgain},
		{name: "no room with the file taken", kind: dlp.NoRoom},
		{name: "held, but the vault has nothing", kind: dlp.Held},
		{name: "panic with the file taken", boom: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			first := atomic.Bool{}
			b.desk.answer = func(_ *dlp.Document, cl dlp.Claim, _ []byte) (dlp.Outcome, bool) {
				if first.Swap(true) { // it is offered again
					return dlp.Outcome{Kind: dlp.Reported}, true
				}
				if err := cl.Take(t.Context()); err != nil {
					t.Error(err)
				}
				if c.boom {
					panic("broken")
				}
				return dlp.Outcome{Kind: c.kind}, true
			}
			b.write("a.txt", "HOLD")
			b.start()
			b.until("putting back", func() bool { return b.count(watch.CountPutBack) > 0 })
			b.wantTree("a.txt")
			if got := b.read("a.txt"); got != "HOLD" {
				t.Errorf("got %q", got)
			}
		})
	}
}
