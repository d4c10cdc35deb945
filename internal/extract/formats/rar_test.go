package formats_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// What the archives of testdata/rar hold.
const (
	rarPassword = "Vogel-7-Haus"
	rarNote     = "Grüße an Jürgen, MRN 00417723"
)

func rarFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "rar", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rarFiles are the members and what each holds; in RAR 4 the link is one, and holds
// where it leads to.
func rarFiles(name string) map[string]string {
	var log strings.Builder
	for n := range 60 {
		log.WriteString("visit " + strconv.Itoa(n+1) + ": seen, well, no change of the medication\n")
	}
	log.WriteString("last 078-05-1120\n")
	files := map[string]string{"a.txt": secret, "b.log": log.String(), "case/Jürgen.txt": "deep 219-09-9999\n"}
	if strings.Contains(name, "4.") {
		files["case/link"] = "../a.txt"
	}
	return files
}

// TestRar reads what RAR 6.23 and 7.01 packed: every member to its last byte, all
// names, the comment.
func TestRar(t *testing.T) {
	for _, c := range []struct {
		name    string
		locked  bool
		comment bool
		closed  []string // the gaps without the password
	}{
		{name: "rar4.rar", comment: true},
		{name: "rar5.rar", comment: true},
		{name: "stored4.rar"},
		{name: "stored5.rar"},
		{name: "solid4.rar"},
		{name: "solid5.rar"},
		{name: "recovery4.rar"},
		{name: "recovery5.rar"},
		{"locked4.rar", true, true, []string{"1 encrypted rar AES", "2 encrypted rar AES", "3 encrypted rar AES", "4 encrypted rar AES"}},
		{"locked5.rar", true, true, []string{"1 encrypted rar AES", "2 encrypted rar AES", "4 encrypted rar AES"}},
		{"head4.rar", true, true, []string{"encrypted rar AES"}},
		{"head5.rar", true, true, []string{"encrypted rar AES"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := rarFile(t, c.name)
			want := rarFiles(c.name)
			a := withPasswords(t, false, b, 50, 200, "nothing", rarPassword)
			reads(t, a, "case/empty\n", "../a.txt")
			if c.comment != strings.Contains(a.texts[""], "\n"+rarNote+"\n") {
				t.Errorf("names and comment: %q", a.texts[""])
			}
			got := map[string]string{}
			for _, p := range a.paths {
				if p == "" {
					continue
				}
				got[a.parts[p].Name] = a.texts[p]
				if a.parts[p].Opened != c.locked {
					t.Errorf("%s: opened is %v", p, a.parts[p].Opened)
				}
			}
			for name, text := range want {
				if got[name] != text {
					t.Errorf("%s: %q", name, got[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d members, want %d", len(got), len(want))
			}
			if !c.locked {
				return
			}
			a = withPasswords(t, false, b, 50, 200, "nothing", "vogel-7-haus")
			if got := a.told(); !slices.Equal(got, c.closed) {
				t.Errorf("without the password: gaps %q, want %q", got, c.closed)
			}
			if strings.Contains(a.all(), "219-09-9999") {
				t.Error("without the password: content was read")
			}
		})
	}
}

// TestRarPPM reads a member of RAR 4's text compression.
func TestRarPPM(t *testing.T) {
	reads(t, serve(t, false, limits, rarFile(t, "ppm4.rar")), rarFiles("ppm4.rar")["b.log"])
}

// TestRarPasswordInMail holds that a password of the message's own text opens what
// is attached.
func TestRarPasswordInMail(t *testing.T) {
	for _, name := range []string{"locked4.rar", "locked5.rar", "head4.rar", "head5.rar"} {
		mail := crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "", "The password is "+rarPassword, "--o",
			"Content-Type: application/octet-stream; name=case.rar", "Content-Transfer-Encoding: base64", "", b64(string(rarFile(t, name))), "--o--")
		reads(t, withPasswords(t, true, []byte(mail), 50, 200), "deep 219-09-9999", rarNote)
	}
}

// TestRarVolumes holds that no volume of several is taken for clean, whatever way it
// was named, alone or beside the others.
func TestRarVolumes(t *testing.T) {
	const told = "unsupported rar: one of several volumes"
	var all []member
	names, err := filepath.Glob("testdata/rar/*vol*")
	if err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob("testdata/rar/oldname4.*")
	if err != nil || len(names) < 6 || len(old) != 3 {
		t.Fatalf("%v %q %q", err, names, old)
	}
	for _, name := range append(names, old...) {
		b := rarFile(t, filepath.Base(name))
		all = append(all, member{filepath.Base(name), string(b)})
		a := withPasswords(t, false, b, 50, 200, rarPassword)
		if !slices.Contains(a.told(), told) {
			t.Errorf("%s: gaps %q", name, a.told())
		}
		first := strings.Contains(name, "part1") || strings.HasSuffix(name, ".rar") && strings.Contains(name, "oldname")
		if plain := !strings.Contains(name, "lock"); plain && first && !strings.Contains(a.all(), "visit 20:") {
			t.Errorf("%s: what the first volume holds was not read", name)
		}
	}
	a := serve(t, false, limits, []byte(zipOf(t, all...)))
	for n := range all {
		if !slices.Contains(a.told(), strconv.Itoa(n+1)+" "+told) {
			t.Errorf("in a zip, %s: gaps %q", all[n].name, a.told())
		}
	}
}

// TestRarDamaged holds that an archive of which a byte is changed or the end is
// missing has a gap, unless all of it is read all the same.
func TestRarDamaged(t *testing.T) {
	for _, name := range []string{"rar4.rar", "rar5.rar", "stored4.rar", "stored5.rar", "solid4.rar", "solid5.rar"} {
		whole := rarFile(t, name)
		for at := len(rarMagicOf(whole)); at < len(whole); at += 1 + len(whole)/60 {
			flipped := slices.Clone(whole)
			flipped[at] ^= 0x20
			for what, b := range map[string][]byte{"cut": whole[:at], "flipped": flipped} {
				a := serve(t, false, limits, b)
				complete := strings.Contains(a.all(), "078-05-1120") && strings.Contains(a.all(), "219-09-9999") && strings.Contains(a.all(), "536-22-8145")
				if len(a.gaps) == 0 && !complete {
					t.Errorf("%s, %s at %d: no gap; parts %q", name, what, at, a.paths)
				}
			}
		}
	}
	for _, name := range []string{"rar4.rar", "stored4.rar"} { // between its blocks
		whole := rarFile(t, name)
		for at := 7; at < len(whole)-7; at++ {
			if a := serve(t, false, limits, whole[:at]); rar4Begins(whole[at:]) && !slices.Contains(a.told(), "corrupt rar") {
				t.Errorf("%s, cut between blocks at %d of %d: gaps %q", name, at, len(whole), a.told())
			}
		}
	}
	for name, at := range map[string]int{"stored4.rar": 500, "stored5.rar": 500} { // in the content of a member
		b := rarFile(t, name)
		b[at] ^= 1
		if got, want := serve(t, false, limits, b).told(), []string{"1 corrupt rar"}; !slices.Equal(got, want) {
			t.Errorf("%s, a wrong checksum: gaps %q, want %q", name, got, want)
		}
	}
}

// rar4Begins reports whether a block of RAR 4 begins b.
func rar4Begins(b []byte) bool {
	if len(b) < 7 {
		return false
	}
	size := int(binary.LittleEndian.Uint16(b[5:]))
	return size >= 7 && size <= len(b) && binary.LittleEndian.Uint16(b) == uint16(crc32.ChecksumIEEE(b[2:size]))
}

func rarMagicOf(b []byte) []byte { return b[:7+bytes.Count(b[6:7], []byte{1})] }

// TestRarAround reads what stands in front of an archive and behind its end.
func TestRarAround(t *testing.T) {
	for _, name := range []string{"rar4.rar", "rar5.rar"} {
		b := slices.Concat([]byte("MZ in front 111-22-3333\n"), rarFile(t, name), []byte("behind 444-55-6666\n"))
		a := serve(t, false, limits, b)
		for _, want := range []string{"219-09-9999", "444-55-6666", rarNote} {
			if !strings.Contains(a.all(), want) {
				t.Errorf("%s: %q was not read; gaps %q", name, want, a.told())
			}
		}
		zip := slices.Concat(rarFile(t, name), []byte(zipOf(t, member{"z.txt", "in the zip 444-55-6666"})))
		if a := serve(t, false, limits, zip); !strings.Contains(a.all(), "in the zip 444-55-6666") {
			t.Errorf("%s: the zip behind was not read; gaps %q", name, a.told())
		}
	}
}

// TestRarOldComment holds that a comment as RAR 2 wrote it is a gap.
func TestRarOldComment(t *testing.T) {
	b := rarFile(t, "stored4.rar")
	const mainHead, fileHead, hasComment, hasFileComment = 7, 20, 0x2, 0x8
	for at, flag := range map[int]byte{mainHead: hasComment, fileHead: hasFileComment} {
		c := slices.Clone(b)
		c[at+3] |= flag
		size := int(binary.LittleEndian.Uint16(c[at+5:]))
		binary.LittleEndian.PutUint16(c[at:], uint16(crc32.ChecksumIEEE(c[at+2:at+size])))
		if got := serve(t, false, limits, c).told(); !slices.Contains(got, "unsupported rar: comment of before RAR 3") {
			t.Errorf("at %d: gaps %q", at, got)
		}
	}
}

// FuzzRar holds that no archive breaks the walk over its blocks.
func FuzzRar(f *testing.F) {
	names, err := filepath.Glob("testdata/rar/*.rar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(rarFile(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range withPasswords(t, false, b, 2, 2, rarPassword).gaps {
			if g.Cause == dlp.Crashed && bytes.HasPrefix(b, []byte("Rar!")) {
				t.Errorf("gap %v at %q", g.Cause, g.Path)
			}
		}
	})
}
