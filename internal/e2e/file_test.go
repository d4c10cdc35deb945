package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestFileSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for i, step := range []string{"decision", "take: record", "take: rename", "take: sync", "take: compare", "taken", "check",
		"commit", "committed", "kept", "remove: unlink", "stub: mark", "stub: record", "stub: write", "stub: place", "drop claim",
		"removed"} {
		t.Run(step, func(t *testing.T) {
			eachSecond(t, i)
			g := newGateway(t, options{})
			path := filepath.Join(g.share, "ward", "patients.csv")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, phiFile, 0o640)
			g.start("STANCH_CRASH_AT=" + step)
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			eventually(t, "the file is held and its stub in its place", func() bool {
				return len(g.held()) == 1 && !exists(path) && exists(path+".stanch.txt")
			})
			items := g.held("--all")
			if len(items) != 1 {
				t.Fatalf("%d items, want exactly one", len(items))
			}
			if out := g.must("quarantine", "export", items[0].ID, "--reveal"); out != phiFile {
				t.Errorf("export is %q", out)
			}
			eventually(t, "nothing is left in the root's own folder", func() bool { return empty(t, filepath.Join(g.share, ".stanch")) })
			g.must("quarantine", "release", items[0].ID)
			if got, err := os.ReadFile(path); err != nil || string(got) != phiFile {
				t.Errorf("released file is %q, %v", got, err)
			}
			g.must("audit", "verify")
		})
	}
}

func TestFileReleaseSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for i, step := range []string{"restore: record", "restore: write", "restore: state", "restore: place", "restore: stub", "release"} {
		t.Run(step, func(t *testing.T) {
			eachSecond(t, i)
			g := newGateway(t, options{})
			path := filepath.Join(g.share, "patients.csv")
			write(t, path, phiFile, 0o640)
			g.start("STANCH_CRASH_AT=" + step)
			eventually(t, "the file is held", func() bool { return len(g.held()) == 1 && exists(path+".stanch.txt") })
			id := g.held()[0].ID
			if _, code := g.cli("quarantine", "release", id); code == 0 || !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			if len(g.held()) == 1 {
				g.must("quarantine", "release", id)
			}
			eventually(t, "the released file stands in its place, and nothing else", func() bool {
				got, err := os.ReadFile(path)
				if err != nil || string(got) != phiFile {
					return false
				}
				es, err := os.ReadDir(g.share)
				if err != nil {
					t.Fatal(err)
				}
				return !slices.ContainsFunc(es, func(e os.DirEntry) bool { return e.Name() != "patients.csv" && e.Name() != ".stanch" })
			})
		})
	}
}

const encryptPolicy = `
[[policies]]
id = "seal-files"
where = { channels = ["file"] }
all = [ { type = "SSN" } ]
action = "encrypt"
`

// ageKey makes a key pair with the age program itself.
func ageKey(t *testing.T) (file, recipient string) {
	t.Helper()
	need(t, "age")
	file = filepath.Join(t.TempDir(), "key.txt")
	out, err := exec.Command("age-keygen", "-o", file).CombinedOutput()
	if err != nil {
		t.Fatalf("age-keygen: %v: %s", err, out)
	}
	_, recipient, _ = strings.Cut(strings.TrimSpace(string(out)), "Public key: ")
	return file, recipient
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed; see .ci/deps", program)
	}
}

func TestFileEncryptedInPlaceIsOpenedByAge(t *testing.T) {
	t.Parallel()
	key, recipient := ageKey(t)
	g := newGateway(t, options{watch: fmt.Sprintf("age_recipients = [%q]", recipient), extra: encryptPolicy})
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	eventually(t, "the file is encrypted in place, with its note", func() bool { return !exists(path) && exists(path+".age") && exists(path+".stanch.txt") })
	out, err := exec.Command("age", "-d", "-i", key, path+".age").CombinedOutput()
	if err != nil || string(out) != phiFile {
		t.Fatalf("age -d: %v: %q", err, out)
	}
	if fi, err := os.Stat(path + ".age"); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode of the encrypted file: %v, %v", fi.Mode(), err)
	}
	if n := len(g.held("--all")); n != 0 {
		t.Errorf("%d held, want none", n)
	}
	for _, f := range append(filesWith(t, g.data(), inClear...), filesWith(t, g.share, inClear...)...) {
		t.Errorf("in the clear: %s", f)
	}
	if note := read(t, path+".stanch.txt"); !strings.Contains(note, recipient) {
		t.Errorf("the note does not say who can open it: %q", note)
	}
	aside := t.TempDir() // where nothing is encrypted again
	for _, again := range []bool{false, true} {
		out, code := runStanch(t, "decrypt", path+".age", "--identity", key, "--to", aside)
		if to := filepath.Join(aside, "patients.csv"); code != 0 || read(t, to) != phiFile || !exists(path+".age") || !exists(path+".stanch.txt") {
			t.Errorf("stanch decrypt --to, again %v: exit %d: %s", again, code, out)
		}
	}
	g.stop()
	if out, code := runStanch(t, "decrypt", path+".age", "--identity", key); code != 0 {
		t.Fatalf("stanch decrypt: exit %d: %s", code, out)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != phiFile || exists(path+".age") || exists(path+".stanch.txt") {
		t.Errorf("decrypted file is %q, %v", got, err)
	}
}

// TestFileEncryptedPostQuantum: a recipient with a post-quantum key has files encrypted
// to it, and decrypt brings them back.
func TestFileEncryptedPostQuantum(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, id.String()+"\n", 0o600)
	g := newGateway(t, options{watch: fmt.Sprintf("age_recipients = [%q]", id.Recipient()), extra: encryptPolicy})
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	eventually(t, "the file is encrypted in place, with its note", func() bool { return !exists(path) && exists(path+".age") && exists(path+".stanch.txt") })
	if sealed := read(t, path+".age"); strings.Contains(sealed, "-> X25519") || !strings.Contains(sealed, "-> mlkem768x25519") {
		t.Errorf("sealed as %.200q", sealed)
	}
	g.stop()
	if out, code := runStanch(t, "decrypt", path+".age", "--identity", key); code != 0 || read(t, path) != phiFile || exists(path+".age") {
		t.Fatalf("stanch decrypt: exit %d: %s", code, out)
	}
}

func TestFileEncryptionSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	key, recipient := ageKey(t)
	for i, step := range []string{"decision", "take: record", "take: rename", "take: sync", "take: compare", "encrypt: write",
		"encrypt: mark", "encrypt: record", "encrypt: place", "stub: write", "stub: place", "encrypt: unlink", "drop claim"} {
		t.Run(step, func(t *testing.T) {
			eachSecond(t, i)
			g := newGateway(t, options{watch: fmt.Sprintf("age_recipients = [%q]", recipient), extra: encryptPolicy})
			path := filepath.Join(g.share, "patients.csv")
			write(t, path, phiFile, 0o640)
			g.start("STANCH_CRASH_AT=" + step)
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			eventually(t, "the file is encrypted in place", func() bool { return !exists(path) && exists(path+".age") })
			eventually(t, "nothing is left in the root's own folder", func() bool { return empty(t, filepath.Join(g.share, ".stanch")) })
			if out, err := exec.Command("age", "-d", "-i", key, path+".age").CombinedOutput(); err != nil || string(out) != phiFile {
				t.Errorf("age -d: %v: %q", err, out)
			}
			es, err := os.ReadDir(g.share)
			if err != nil {
				t.Fatal(err)
			}
			if len(es) != 3 { // the .age file, its note and the root's own folder
				t.Errorf("the folder holds %v", es)
			}
			g.must("audit", "verify")
		})
	}
}

func empty(t *testing.T, dir string) bool {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(es) == 0
}

// TestEncryptedFileKeepsItsAttributes asks setfacl's and setfattr's own
// counterparts whether owner, access list, attributes, mode and times came through
// encryption and back, and whether a folder's default list let nobody in.
func TestEncryptedFileKeepsItsAttributes(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"setfacl", "setfattr"} {
		need(t, p)
	}
	key, recipient := ageKey(t)
	g := newGateway(t, options{watch: fmt.Sprintf("age_recipients = [%q]", recipient), extra: encryptPolicy})
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		return string(out)
	}
	listed, plain := filepath.Join(g.share, "listed.csv"), filepath.Join(g.share, "plain.csv")
	write(t, listed, phiFile, 0o640)
	write(t, plain, phiFile, 0o640)
	if os.Geteuid() == 0 { // who else may give files away
		for _, path := range []string{listed, plain} {
			if err := os.Chown(path, 3456, 4567); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := exec.Command("setfacl", "-m", "u:1234:r,g:2345:rw", listed).CombinedOutput(); err != nil {
		t.Skipf("no access lists here: %s", out)
	}
	run("setfacl", "-d", "-m", "u:4321:rwx", g.share) // what is made here from now on lets 4321 in
	run("setfattr", "-n", "user.ward", "-v", "three", listed)
	run("touch", "-m", "-d", "2025-01-02 03:04:05.678901234", listed)
	run("touch", "-a", "-d", "2025-01-03 04:05:06.789012345", listed)
	about := func(path string) string {
		return run("getfacl", "-cnp", path) + run("getfattr", "-d", "--absolute-names", "--only-values", path) + run("stat", "-c", "%a %u %g %x %y", path)
	}
	want := map[string]string{listed: about(listed), plain: about(plain)}
	g.start()
	for path := range want {
		eventually(t, "the file is encrypted in place", func() bool { return !exists(path) && exists(path+".age") })
		if got := about(path + ".age"); got != want[path] {
			t.Errorf("encrypted, %s has\n%swant\n%s", filepath.Base(path), got, want[path])
		}
	}
	g.stop()
	for path := range want {
		if out, code := runStanch(t, "decrypt", path+".age", "--identity", key); code != 0 {
			t.Fatalf("stanch decrypt: exit %d: %s", code, out)
		}
		if got := about(path); got != want[path] || read(t, path) != phiFile {
			t.Errorf("brought back, %s has\n%swant\n%s", filepath.Base(path), got, want[path])
		}
	}
}
