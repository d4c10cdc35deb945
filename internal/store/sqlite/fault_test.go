package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/smalldisk"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

// TestAFullDiskIsSaidAndPasses fills a small file system of its own under an
// open store, and makes room again.
func TestAFullDiskIsSaidAndPasses(t *testing.T) {
	dir := t.TempDir()
	smalldisk.Mount(t, dir, 0, "size=6m,mode=0700")
	in := open(t, filepath.Join(dir, "data"), sqlite.Options{})
	before := item(t, in, 10)
	commit(t, in, store.Change{Hold: []vault.Item{before}})
	staged := item(t, in, 100<<10)
	large, body := vaulttest.Document(2 * vault.InlineMax)

	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	for range 3 {
		if err := in.db.Commit(t.Context(), store.Change{Hold: []vault.Item{staged}}); !errors.Is(err, store.ErrNoRoom) {
			t.Errorf("commit: got %v, want ErrNoRoom", err)
		}
	}
	if _, err := in.vault.Seal(t.Context(), large, vaulttest.CaseOf(large, body)); !errors.Is(err, store.ErrNoRoom) {
		t.Errorf("stage: got %v, want ErrNoRoom", err)
	}
	if _, err := in.vault.Get(t.Context(), before.ID); err != nil {
		t.Errorf("what was there can be read: %v", err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Hold: []vault.Item{staged}})
	again, err := in.vault.Seal(t.Context(), large, vaulttest.CaseOf(large, body))
	if err != nil {
		t.Fatalf("stage, with room again: %v", err)
	}
	commit(t, in, store.Change{Hold: []vault.Item{again}})
	in = in.reopen(t)
	for _, id := range []dlp.ID{before.ID, staged.ID, large.ID} {
		if r, err := in.vault.Open(t.Context(), id, nil); err != nil {
			t.Errorf("content: %v", err)
		} else if _, err := io.Copy(io.Discard, r); err != nil || r.Close() != nil {
			t.Errorf("content: %v", err)
		}
	}
	if n := in.db.Swept(); n != 0 {
		t.Errorf("swept %d, want nothing left by what failed", n)
	}
	in.close(t) // before the unmount
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2 // to the last byte
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAFailedSyncIsNotWritten runs a child whose fsync and fdatasync begin to
// fail with EIO, which is all that a dying disk tells.
func TestAFailedSyncIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	said := kill(t, "sync", dir, "never", 1, -1)
	if len(said) == 1 && strings.HasPrefix(said[0], "skip") {
		t.Skip(said[0])
	}
	want := []string{"commit no room", "stage no room", "read ok"}
	if len(said) != 4 || !strings.HasPrefix(said[0], "split ") || strings.Join(said[1:], ",") != strings.Join(want, ",") {
		t.Fatalf("got %q, want a split and then %q", said, want)
	}
	account(t, dir, said[:1])
}

// failingSync is the child of TestAFailedSyncIsNotWritten. It is killed in the
// end, as a machine with such a disk would be.
func failingSync(in *install) error {
	if err := work(in, 1, workSizes[1]); err != nil {
		return err
	}
	doc, body := vaulttest.Document(100)
	it, err := in.vault.Seal(context.Background(), doc, vaulttest.CaseOf(doc, body))
	if err != nil {
		return err
	}
	if err := breakSync(); err != nil {
		fmt.Println("skip: no seccomp filter:", err)
		return errors.New("skipped")
	}
	tell := func(what string, err error) {
		switch {
		case errors.Is(err, store.ErrNoRoom):
			fmt.Println(what, "no room")
		case err != nil:
			fmt.Println(what, "error", err)
		default:
			fmt.Println(what, "ok")
		}
	}
	tell("commit", in.db.Commit(context.Background(), store.Change{Hold: []vault.Item{it}}))
	large, lbody := vaulttest.Document(2 * vault.InlineMax)
	_, err = in.vault.Seal(context.Background(), large, vaulttest.CaseOf(large, lbody))
	tell("stage", err)
	_, err = in.vault.List(context.Background(), vault.Filter{})
	tell("read", err)
	return unix.Kill(os.Getpid(), unix.SIGKILL)
}

// breakSync makes fsync and fdatasync fail with EIO in every thread of this
// process, for good.
func breakSync() error {
	ld := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	eq := func(k uint32, yes uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	filter := []unix.SockFilter{
		ld(0), // seccomp_data.nr
		eq(unix.SYS_FSYNC, 2),
		eq(unix.SYS_FDATASYNC, 1),
		ret(unix.SECCOMP_RET_ALLOW),
		ret(unix.SECCOMP_RET_ERRNO | uint32(unix.EIO)),
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// TestNothingOfAPatientStandsInClear holds, queues, decides and forgets an
// invented patient's documents, and searches every byte of the data folder for
// her, while the store is open and after it was closed.
func TestNothingOfAPatientStandsInClear(t *testing.T) {
	canaries := []string{"Marigold", "Testcase", "536-22-8145", "oncology", "quillfeather", "discharge-note"}
	in := open(t, filepath.Join(t.TempDir(), "data"), sqlite.Options{})
	for _, size := range []int{1000, 3 * vault.InlineMax} {
		plantPatient(t, in, size)
		for _, c := range canaries {
			if file := contains(t, in.dir, c); file != "" {
				t.Errorf("open, %d bytes: %q stands in %s", size, c, file)
			}
		}
	}
	in.close(t)
	for _, c := range canaries {
		if file := contains(t, in.dir, c); file != "" {
			t.Errorf("closed: %q stands in %s", c, file)
		}
	}
	if contains(t, in.dir, "phi-leaves") == "" {
		t.Error("the search finds nothing at all")
	}
}

func plantPatient(t *testing.T, in *install, size int) {
	t.Helper()
	text := []byte("Patient Marigold Testcase, SSN 536-22-8145, oncology.\r\n")
	body := bytes.Repeat(text, size/len(text))
	patient := dlp.Address{Local: "marigold.Testcase", Domain: "quillfeather.example"}
	doc := &dlp.Document{
		ID: dlp.NewID(), Channel: dlp.File, Name: "Marigold Testcase/discharge-note.pdf", Root: "/srv/oncology", Received: time.Now(),
		Open: func() (io.ReadSeekCloser, error) {
			return struct {
				*bytes.Reader
				io.Closer
			}{bytes.NewReader(body), io.NopCloser(nil)}, nil
		},
	}
	c := vaulttest.CaseOf(&dlp.Document{ID: doc.ID, Rcpts: []dlp.Address{patient}}, body)
	c.Envelope = vault.Envelope{
		Sender: patient, Rcpts: []dlp.Address{patient}, AllRcpts: []dlp.Address{patient}, Root: doc.Root, Path: doc.Name,
		File: &dlp.FileMeta{Mode: 0o640}, Trace: []byte("Received: from quillfeather.example\r\n"),
	}
	c.Gaps = []dlp.Gap{{Path: "2", Name: "discharge-note.pdf"}}
	it, err := in.vault.Seal(t.Context(), doc, c)
	if err != nil {
		t.Fatal(err)
	}
	m := spool.Message{Doc: doc.ID, ID: dlp.NewID(), Kind: spool.Copy, From: patient, Rcpts: []spool.Rcpt{{Addr: patient}}, Created: time.Now(), State: spool.Queued}
	e, err := in.spool.Seal(t.Context(), m, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := in.vault.Transition(doc.ID, vault.Held, vault.Rejected, time.Now(), "officer quillfeather", "is Marigold Testcase's")
	if err != nil {
		t.Fatal(err)
	}
	u, err := in.spool.Progress(m)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Hold: []vault.Item{it}, Out: []spool.Entry{e}})
	commit(t, in, store.Change{Decide: []vault.Transition{tr}, Progress: []spool.Update{u}})
}

// contains returns the name of a file under dir that holds s, in any of the
// ways that text is written down.
func contains(t *testing.T, dir, s string) (file string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(path, s) || bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(s))) {
			file = e.Name()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}
