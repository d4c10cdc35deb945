package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// settled waits until every file of the share so far has been judged: a
// sentinel that is written last is held.
func settled(t *testing.T, g *gateway, name string) {
	t.Helper()
	path := filepath.Join(g.share, name)
	write(t, path, phiFile+name+"\n", 0o644)
	eventually(t, name+" is held", func() bool { return !exists(path) && exists(path+".stanch.txt") })
}

// heldPaths are the paths of held files.
func heldPaths(g *gateway) map[string]string {
	paths := map[string]string{}
	for _, it := range g.held() {
		paths[it.Path] = it.ID
	}
	return paths
}

// TestShareReport: a policy that only reports leaves the file where it is.
func TestShareReport(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{watch: `max_wait = "1s"`, extra: `
[[policies]]
id = "look"
where = { channels = ["file"] }
all = [ { type = "SSN" } ]
action = "report"
`})
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o644)
	eventually(t, "the decision is on record", func() bool { return strings.Contains(g.must("audit", "export"), `"result":"reported"`) })
	if got := read(t, path); got != phiFile {
		t.Errorf("it is %q now", got)
	}
	for _, e := range g.auditEvents() {
		if e["kind"] == "decision" && (e["policy"] != "look" || e["findings"] == nil) {
			t.Errorf("decision %v, want policy look and what was found", e)
		}
	}
	if n := len(g.held()); n != 0 {
		t.Errorf("%d held, want 0", n)
	}
}

// TestShareRelease: never over a newer file, with the folder made again, and open to
// those alone whom it was open to, by its access list where it had one.
func TestShareRelease(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	dir := filepath.Join(g.share, "ward")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	one, two := filepath.Join(dir, "a.csv"), filepath.Join(g.share, "gone", "b.csv")
	if err := os.Mkdir(filepath.Dir(two), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, one, phiFile, 0o640)
	made := filepath.Join(g.dir, "made.csv")
	write(t, made, phiFile+"\n", 0o600)
	var list string
	if exec.Command("setfacl", "-m", "u:1234:rw", made).Run() == nil { // its mode is 0660 now, and its group may nothing
		list = facl(t, made)
	}
	if err := os.Rename(made, two); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are held", func() bool { return len(g.held()) == 2 && exists(one+".stanch.txt") && exists(two+".stanch.txt") })
	ids := heldPaths(g)
	write(t, one, "a newer list, of nobody\n", 0o644)
	if err := os.RemoveAll(filepath.Dir(two)); err != nil {
		t.Fatal(err)
	}
	g.must("quarantine", "release", ids["ward/a.csv"])
	g.must("quarantine", "release", ids["gone/b.csv"])
	if got := read(t, one); got != "a newer list, of nobody\n" {
		t.Errorf("the newer file is %q", got)
	}
	if got := read(t, filepath.Join(dir, "a (released).csv")); got != phiFile {
		t.Errorf("the released file is %q", got)
	}
	if got := read(t, two); got != phiFile+"\n" {
		t.Errorf("the file in a folder that was gone is %q", got)
	}
	if list != "" && facl(t, two) != list {
		t.Errorf("released it is open to\n%swant\n%s", facl(t, two), list)
	}
	settled(t, g, "later.csv")
	if got := heldPaths(g); len(got) != 1 {
		t.Errorf("held %v, want the later file alone: what was released is not taken again", got)
	}
}

// facl is the access list of a file as getfacl shows it.
func facl(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command("getfacl", "-cnp", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestShareReleasedFileIsTakenAgainWhenItChanges: the release was of that
// content.
func TestShareReleasedFileIsTakenAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	path := filepath.Join(g.share, "a.csv")
	write(t, path, phiFile, 0o640)
	eventually(t, "it is held", func() bool { return len(g.held()) == 1 && exists(path+".stanch.txt") })
	g.must("quarantine", "release", g.held()[0].ID)
	write(t, path, phiFile+"Ines Madeup,536-22-8148\n", 0o640)
	eventually(t, "it is held again", func() bool { return len(g.held()) == 1 && !exists(path) })
}

// TestShareArrivals: the ways in which a file comes to stand in a share.
func TestShareArrivals(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	outsideDir := filepath.Join(g.dir, "elsewhere")
	if err := os.MkdirAll(filepath.Join(outsideDir, "tree", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(g.share, "before.csv")
	write(t, before, phiFile+"before\n", 0o644)
	g.start()
	want := map[string]bool{"before.csv": true}

	// Renamed into the root, alone and as a tree.
	write(t, filepath.Join(outsideDir, "moved.csv"), phiFile+"moved\n", 0o644)
	write(t, filepath.Join(outsideDir, "tree", "deep", "inner.csv"), phiFile+"inner\n", 0o644)
	rename(t, filepath.Join(outsideDir, "moved.csv"), filepath.Join(g.share, "moved.csv"))
	rename(t, filepath.Join(outsideDir, "tree"), filepath.Join(g.share, "tree"))
	want["moved.csv"], want["tree/deep/inner.csv"] = true, true

	// Many folders at once, each with a file in it before anyone could look.
	for i := range 20 {
		rel := filepath.Join(fmt.Sprint("n", i), "a", "b", "c", "list.csv")
		path := filepath.Join(g.share, rel)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, fmt.Sprint(phiFile, i, "\n"), 0o644)
		want[filepath.ToSlash(rel)] = true
	}

	// Links that lead out are neither followed nor taken.
	secret := filepath.Join(outsideDir, "secret.csv")
	write(t, secret, phiFile+"secret\n", 0o644)
	link, linkDir := filepath.Join(g.share, "link.csv"), filepath.Join(g.share, "linkdir")
	for from, to := range map[string]string{link: secret, linkDir: outsideDir} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}

	eventually(t, "all are held", func() bool { return len(g.held()) >= len(want) })
	settled(t, g, "last.csv")
	want["last.csv"] = true
	got := heldPaths(g)
	for path := range got {
		if !want[path] {
			t.Errorf("%s is held", path)
		}
	}
	for path := range want {
		if got[path] == "" {
			t.Errorf("%s is not held", path)
		}
	}
	if !exists(link) || !exists(linkDir) || read(t, secret) != phiFile+"secret\n" {
		t.Error("a link, or what it leads to, is gone")
	}
}

// TestShareFolderSwappedForLink: a release does not follow a link that took a
// folder's place.
func TestShareFolderSwappedForLink(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	dir, elsewhere := filepath.Join(g.share, "ward"), filepath.Join(g.dir, "elsewhere")
	for _, d := range []string{dir, elsewhere} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "a.csv")
	write(t, path, phiFile, 0o640)
	eventually(t, "it is held", func() bool { return len(g.held()) == 1 && exists(path+".stanch.txt") })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, dir); err != nil {
		t.Fatal(err)
	}
	out, code := g.cli("quarantine", "release", g.held()[0].ID)
	es, err := os.ReadDir(elsewhere)
	if err != nil || len(es) != 0 {
		t.Errorf("outside the root there is %v now (%v); release ended with %d: %s", es, err, code, out)
	}
	if code == 0 && len(g.held("--all")) == 0 {
		t.Error("it is nowhere")
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
