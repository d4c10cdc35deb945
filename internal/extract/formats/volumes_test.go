package formats_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestVolumes holds that no volume that 7z makes of an archive is taken for clean:
// the first, which has a mark, and those without.
func TestVolumes(t *testing.T) {
	path, err := exec.LookPath("7z")
	if err != nil {
		t.Skip("no 7z here: Debian's p7zip-full has it")
	}
	dir := t.TempDir()
	noise := make([]byte, 6000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	if err := os.WriteFile(filepath.Join(dir, "a.bin"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"7z", "zip"} {
		cmd := exec.CommandContext(t.Context(), path, "a", "-v2000b", "a."+kind, "a.bin")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("7z: %v %s", err, out)
		}
		for _, n := range []string{"001", "002", "003"} {
			b, err := os.ReadFile(filepath.Join(dir, "a."+kind+"."+n))
			if err != nil {
				t.Fatal(err)
			}
			gaps := serve(t, false, limits, b).gaps
			if len(gaps) == 0 || gaps[0].Cause != dlp.Unsupported && gaps[0].Cause != dlp.Corrupt {
				t.Errorf("%s, volume %s: gaps %v", kind, n, gaps)
			}
		}
	}
}

// attached is a mail with files attached to it.
func attached(text string, files ...member) string {
	lines := []string{"Content-Type: multipart/mixed; boundary=o", "", "--o", "", text}
	for _, f := range files {
		lines = append(lines, "--o", "Content-Type: application/octet-stream", `Content-Disposition: attachment; filename="`+f.name+`"`, "Content-Transfer-Encoding: base64", "", b64(f.data))
	}
	return crlf(append(lines, "--o--")...)
}

// TestVolumesTogether holds that the volumes of an archive which come in one mail are
// read as the archive, in whatever order they come, and that there is a gap where one
// is missing.
func TestVolumesTogether(t *testing.T) {
	dir := folder(t)
	made := func(ext string, args ...string) []member {
		out := t.TempDir()
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "OUT", filepath.Join(out, "Case."+ext))
		}
		run(t, dir, nil, args[0], args[1:]...)
		var all []member
		names, err := filepath.Glob(filepath.Join(out, "*"))
		if err != nil || len(names) < 3 {
			t.Fatalf("%v %q", err, names)
		}
		for _, name := range names {
			all = append(all, member{filepath.Base(name), string(file(t, name))})
		}
		return all
	}
	own := []string{strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999"}
	for name, c := range map[string]struct {
		files []member
		text  string
		want  []string
	}{
		"7z":                    {made("7z", "7z", "a", "-mx=0", "-v20k", "OUT", "."), "", own},
		"zip by 7z":             {made("zip", "7z", "a", "-mx=0", "-v20k", "OUT", "."), "", own},
		"zip":                   {made("zip", "zip", "-qr0", "-s", "64k", "OUT", "."), "", own},
		"rar 4":                 {rarMembers(t, "volume4.*"), "", own},
		"rar 5":                 {rarMembers(t, "volume5.*"), "", own},
		"rar 4, former names":   {rarMembers(t, "oldname4.*"), "", own},
		"rar 4 with a password": {rarMembers(t, "lockvol4.*"), "Your password is " + rarPassword, own},
		"rar 5 with a password": {rarMembers(t, "lockvol5.*"), "Your password is " + rarPassword, own},
	} {
		t.Run(name, func(t *testing.T) {
			shuffled := append(slices.Clone(c.files[1:]), c.files[0])
			for _, files := range [][]member{c.files, shuffled} {
				reads(t, withPasswords(t, true, []byte(attached(c.text, files...)), 50, 200), c.want...)
			}
			for missing := range c.files {
				rest := slices.Delete(slices.Clone(c.files), missing, missing+1)
				a := withPasswords(t, true, []byte(attached(c.text, rest...)), 50, 200)
				if len(a.gaps) == 0 {
					t.Errorf("without %s: no gap", c.files[missing].name)
				}
			}
		})
	}
}

// TestVolumesBeside holds that what is no volume but has the name of one is read as
// well.
func TestVolumesBeside(t *testing.T) {
	plain := strings.Repeat("a letter to nobody\n", 10)
	archive := zipOf(t, member{"a.txt", "SSN 536-22-8145"})
	for name, files := range map[string][]member{
		"texts":                  {{"a.001", plain + "SSN 536-22-8145"}, {"a.002", "1"}},
		"a text behind archives": {{"a.zip.001", archive}, {"a.zip.002", plain}},
		"the same number twice":  {{"a.zip.001", archive}, {"a.zip.001", archive}},
		"an archive of its own":  {{"a.rar", string(rarFile(t, "rar4.rar"))}, {"a.r00", plain + "SSN 536-22-8145"}},
	} {
		if a := serve(t, true, limits, []byte(attached("", files...))); !strings.Contains(a.all(), "536-22-8145") || strings.Contains(a.all(), "536-22-81451") {
			t.Errorf("%s: got %q, gaps %v", name, a.all(), a.told())
		}
	}
	extra := append(rarMembers(t, "volume5.*"), member{"volume5.part4.rar", string(rarFile(t, "rar5.rar"))})
	if a := serve(t, true, limits, []byte(attached("", extra...))); len(a.gaps) == 0 {
		t.Error("a volume that is not of the archive: no gap")
	}
}

// rarMembers are files of testdata/rar.
func rarMembers(t *testing.T, glob string) (all []member) {
	t.Helper()
	names, err := filepath.Glob("testdata/rar/" + glob)
	if err != nil || len(names) < 3 {
		t.Fatalf("%v %q", err, names)
	}
	for _, name := range names {
		all = append(all, member{filepath.Base(name), string(rarFile(t, filepath.Base(name)))})
	}
	return all
}
