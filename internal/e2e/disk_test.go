package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/smalldisk"
)

// smallDisk puts the data folder on a file system of its own of size bytes.
func smallDisk(t *testing.T, g *gateway, size int) {
	t.Helper()
	cache := filepath.Join(g.dir, "cache")
	if err := os.Rename(filepath.Join(g.data(), "cache"), cache); err != nil {
		t.Fatal(err)
	}
	smalldisk.Mount(t, g.data(), 0, fmt.Sprintf("size=%d,mode=0700", size))
	t.Cleanup(g.kill)                                                           // before it is taken away
	if err := os.Symlink(cache, filepath.Join(g.data(), "cache")); err != nil { // what is compiled is large, and no part of this
		t.Fatal(err)
	}
}

// fill takes all room that is left and returns what gives it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 20, 4096, 1} {
		for b := make([]byte, n); ; {
			if _, err := f.Write(b); err != nil {
				break
			}
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// bothPolicy is quietPolicy for files too.
var bothPolicy = strings.Replace(quietPolicy, `["mail"]`, `["mail", "file"]`, 1)

// TestFullDisk: without room what must be held is refused for now and clean
// mail flows on, out of the reserve of the audit log, and an alarm tells; with room
// again all is as it was, without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	metricsAddr := freeAddr(t)
	g := newGateway(t, options{nextHop: hop.addr, extra: bothPolicy + fmt.Sprintf("[metrics]\nlisten = %q\nmin_free = \"1MiB\"\n", metricsAddr)})
	smallDisk(t, g, 48<<20)
	g.start()
	if answer, err := b.send(g, outside, phiMail); err != nil {
		t.Fatalf("with room: %q, %v", answer, err)
	}
	alarms := func(when, want string) {
		t.Helper()
		if health := page(t, "http://"+metricsAddr+"/healthz"); !strings.Contains(health, `"alarms":`+want) {
			t.Errorf("/healthz %s: %s; want alarms %s", when, health, want)
		}
	}
	alarms("with room", `[]`)
	eventually(t, "the room is told", func() bool {
		_, told, _ := strings.Cut(page(t, "http://"+metricsAddr+"/metrics"), "\nstanch_disk_free_bytes ")
		var n float64
		_, err := fmt.Sscan(told, &n)
		return err == nil && 0 < n && n < 48<<20
	})
	large := phiMail + "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000)
	file := filepath.Join(g.share, "patients.csv")

	free := fill(t, g.data())
	alarms("without room", `["disk"]`)
	letters := []*letter{b.letter(phiMail + "2"), b.letter(large), b.letter(phiMail + "3")}
	for i, l := range letters {
		if answer, err := b.give(g, outside, l); !strings.HasPrefix(refused(err), "452 4.3.1") {
			t.Errorf("PHI %d without room: %q, %s; want 452 4.3.1", i, answer, refused(err))
		}
	}
	split, both := b.letter(phiMail+"4"), []string{"nurse@clinic.example", "sam@partner.example"}
	if answer, err := b.give(g, both, split); !strings.HasPrefix(refused(err), "452 4.3.1") {
		t.Errorf("split without room: %q, %s; want 452 4.3.1", answer, refused(err))
	}
	write(t, file, phiFile, 0o640)
	for i := range 20 {
		if answer, err := b.send(g, outside, cleanMail); err != nil {
			t.Errorf("clean mail %d without room: %q, %v", i, answer, err)
		}
	}
	clean := cleanMail + "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000)
	if answer, err := b.send(g, outside, clean); err != nil {
		t.Errorf("clean mail of 7 MB without room: %q, %v", answer, err)
	}
	if got := hop.count(); got != 21 {
		t.Errorf("%d at the next hop, want the 21 clean ones", got)
	}
	// A try to take the file finds no room, and leaves it where it is.
	eventually(t, "the file was tried", func() bool { return strings.Contains(g.logged(), "file not acted on") })
	eventually(t, "the file is in its place", func() bool { return exists(file) })
	if got := len(g.held()); got != 1 {
		t.Errorf("%d held, want the 1 from before", got)
	}

	free()
	alarms("with room again", `[]`)
	for _, l := range letters {
		if answer, err := b.give(g, outside, l); err != nil || !strings.Contains(answer, "Held for review") {
			t.Errorf("PHI with room again: %q, %v", answer, err)
		}
	}
	if answer, err := b.give(g, both, split); err != nil || !strings.Contains(answer, "Held for review") {
		t.Errorf("split with room again: %q, %v", answer, err)
	}
	// A file that is claimed is gone before it is held.
	eventually(t, "all 6 are held", func() bool { return !exists(file) && len(g.held()) == 6 })
	g.must("audit", "verify")
	g.kill()
	g.start()
	if got := len(g.held()); got != 6 {
		t.Errorf("%d held after a restart, want 6", got)
	}
	if n := b.settle(g); n != 0 {
		t.Errorf("%d second copies, want none", n)
	}
}

// TestFullDiskUnderLoad fills the disk under vault and spool while 20 clients
// send, and gives its room back, three times: nothing that was answered 250 is
// lost, mangled or doubled.
func TestFullDiskUnderLoad(t *testing.T) {
	t.Parallel()
	g := newTrial(t, options{})
	smallDisk(t, g.gateway, 256<<20)
	g.start()
	for range 3 {
		sank, turned := g.sank(), strings.Count(g.logged(), "message not taken")
		load := g.load(200)
		eventually(t, "mail flows", func() bool { return g.sank() > sank+20 })
		free := fill(t, g.data())
		eventually(t, "holds find no room", func() bool {
			if load.done() { // before the disk was full: the next finds it so
				load = g.load(200)
			}
			return strings.Count(g.logged(), "message not taken") > turned
		})
		free()
		load.wait(t)
	}
	g.whole()
}

// TestAuditLogCannotBeWritten: no record, no act. With the reserve used up
// every mail is to come again and files stay.
func TestAuditLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	g := newGateway(t, options{nextHop: b.hop().addr, extra: bothPolicy})
	smallDisk(t, g, 48<<20)
	g.start()
	free := fill(t, g.data())
	// What uses the reserve up in earnest is weeks of mail; here a second name
	// for its room does.
	log := filepath.Join(g.data(), "audit", "log")
	unreserve(t, log)
	unreserve(t, filepath.Join(g.data(), "audit", "hashes"))
	free2 := fillMore(t, g.data())

	passed := 0
	for passed < 100 { // the last page of the log has some room left
		if _, err := b.send(g, outside, cleanMail); err != nil {
			break
		}
		passed++
	}
	letters := []*letter{b.letter(cleanMail), b.letter(phiMail)}
	for _, l := range letters {
		if answer, err := b.give(g, outside, l); !strings.HasPrefix(refused(err), "451 4.3.0") {
			t.Errorf("answered %q, %s; want 451 4.3.0", answer, refused(err))
		}
	}
	file := filepath.Join(g.share, "patients.csv")
	write(t, file, phiFile, 0o640)
	eventually(t, "the file was looked at", func() bool { return strings.Count(g.logged(), "decision not recorded") > 3 })
	if !exists(file) || len(g.held()) != 0 {
		t.Errorf("file there: %v, %d held; want nothing done", exists(file), len(g.held()))
	}
	free2()
	free()
	for i, want := range []string{"taken", "Held for review"} {
		if answer, err := b.give(g, outside, letters[i]); err != nil || !strings.Contains(answer, want) {
			t.Errorf("with room again: %q, %v; want %s", answer, err, want)
		}
	}
	eventually(t, "the file and the message are held", func() bool { return !exists(file) && len(g.held()) == 2 })
	b.settle(g)
}

// unreserve gives back the room that a file keeps behind its end.
func unreserve(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil { // cuts nothing but what is allocated ahead
		t.Fatal(err)
	}
}

// fillMore is fill, beside an earlier one.
func fillMore(t *testing.T, dir string) (free func()) {
	t.Helper()
	sub := filepath.Join(dir, "tmp", "more")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	remove := fill(t, sub)
	return func() {
		remove()
		if err := os.Remove(sub); err != nil {
			t.Error(err)
		}
	}
}
