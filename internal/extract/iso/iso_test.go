package iso_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/iso"
)

// disc makes an image of four files with a program; nil where it is not installed.
func disc(t testing.TB, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		return nil
	}
	dir := t.TempDir()
	for n, s := range files() {
		if err := os.MkdirAll(filepath.Join(dir, "d", filepath.Dir(n)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "d", n), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "d", "link")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append(args, "-o", "x.iso", "d")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v %s", program, args, err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x.iso"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func files() map[string]string {
	return map[string]string{"a.txt": "SSN 536-22-8145\n", "big.log": strings.Repeat("a line of a file that takes some sectors\n", 5000),
		"sub/deeper/A long name of a Größe.txt": "deep", "sub/" + strings.Repeat("n", 60) + ".txt": "long"}
}

// TestPrograms reads what genisoimage and xorriso write: each file once, whatever
// trees list it, under the names that the trees give it.
func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		long  bool // long names are kept
		links bool
		only  string // of the trees
	}{
		{"plain", []string{"genisoimage", "-quiet"}, false, false, ""},
		{"level 3", []string{"genisoimage", "-quiet", "-iso-level", "3"}, false, false, ""},
		{"level 4", []string{"genisoimage", "-quiet", "-iso-level", "4"}, true, false, ""},
		{"Joliet", []string{"genisoimage", "-quiet", "-J", "-joliet-long", "-input-charset", "utf-8"}, true, false, ""},
		{"Rock Ridge", []string{"genisoimage", "-quiet", "-R"}, true, true, ""},
		{"UDF", []string{"genisoimage", "-quiet", "-udf", "-input-charset", "utf-8"}, true, false, ""},
		{"UDF alone", []string{"genisoimage", "-quiet", "-udf", "-input-charset", "utf-8"}, true, false, "udf"},
		{"all", []string{"genisoimage", "-quiet", "-J", "-joliet-long", "-R", "-udf", "-V", "ADA EXAMPLE", "-input-charset", "utf-8"}, true, true, ""},
		{"xorriso", []string{"xorriso", "-as", "mkisofs", "-quiet"}, true, true, ""},
		{"xorriso, Joliet", []string{"xorriso", "-as", "mkisofs", "-quiet", "-J", "-joliet-long"}, true, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := disc(t, tt.args[0], tt.args[1:]...)
			if b == nil {
				t.Skip(tt.args[0] + " is not installed")
			}
			if tt.only == "udf" { // a disc that is no ISO 9660 at all
				for i := 16 * 2048; i < 24*2048; i += 2048 {
					if string(b[i+1:i+6]) == "CD001" {
						copy(b[i:], "\x00BEA01\x01")
					}
				}
			}
			if !iso.Is(b[:64<<10]) {
				t.Error("not known as an image")
			}
			names, texts, linked, total := map[string]bool{}, map[string]int{}, false, 0
			im, err := iso.Read(b, func(e iso.Entry) bool {
				names[e.Name] = true
				linked = linked || e.Link == "/etc/passwd"
				if !e.Dir && !e.Again && e.Link == "" && e.Size > 0 {
					s := string(bytes.Join(e.Pieces, nil))
					if e.Cut || int64(len(s)) != e.Size {
						t.Errorf("%s is cut: %d of %d bytes", e.Name, len(s), e.Size)
					}
					texts[s]++
					total++
				}
				return true
			})
			if err != nil {
				t.Error(err)
			}
			for n, s := range files() {
				if texts[s] != 1 {
					t.Errorf("%s was read %d times", n, texts[s])
				}
				if tt.long && !names[n] {
					t.Errorf("no name %q in %v", n, names)
				}
			}
			if total != len(files()) || linked != tt.links {
				t.Errorf("%d files, link %v; names %v", total, linked, names)
			}
			if rest := bytes.Trim(b[im.End:], "\x00"); len(rest) > 0 {
				t.Errorf("%d bytes behind the end", len(rest))
			}
			if tt.name == "all" && !strings.Contains(strings.Join(im.Words, "\n"), "ADA EXAMPLE") {
				t.Errorf("words %q", im.Words)
			}
			if _, err := iso.Read(b[:len(b)*2/5], func(e iso.Entry) bool { total += b2i(e.Cut); return true }); err == nil && total == len(files()) {
				t.Error("cut, and nothing is told")
			}
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestLoop holds that a folder that holds itself is walked once, and that a
// caller ends the walk.
func TestLoop(t *testing.T) {
	b := small(20)
	n := 0
	if _, err := iso.Read(b, func(iso.Entry) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
	n = 0
	_, _ = iso.Read(small(21), func(iso.Entry) bool { n++; return n < 3 }) // damage is not what is asked
	if n != 3 {
		t.Errorf("%d entries after it was ended", n)
	}
}

// small is an image whose root stands in sector 20 and holds a folder in sector
// at; what stands in 21 are many files.
func small(at byte) []byte {
	b := make([]byte, 22*2048)
	d := b[16*2048:]
	copy(d, "\x01CD001\x01")
	d[129], d[128], d[80] = 8, 0, 22
	record := func(r []byte, at byte, dir byte, name string) int {
		r[0], r[2], r[11], r[25], r[32] = byte(34+len(name)&^1), at, 8, dir, byte(len(name))
		copy(r[33:], name)
		return int(r[0])
	}
	record(d[156:], 20, 2, "\x00")
	copy(d[2048:], "\xffCD001\x01")
	record(b[20*2048:], at, 2, "A")
	for i := 21 * 2048; i < 22*2048-64; {
		i += record(b[i:], 1, 0, "F")
	}
	return b
}

func FuzzRead(f *testing.F) {
	f.Add(small(20))
	f.Add(small(21))
	if b := disc(f, "genisoimage", "-quiet", "-J", "-R", "-udf"); b != nil {
		f.Add(b[:300*2048])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		im, _ := iso.Read(b, func(e iso.Entry) bool { // damaged or not, what comes out counts
			for _, p := range e.Pieces {
				if int64(len(p)) > e.Size && e.Size >= 0 {
					t.Errorf("a piece of %d bytes in a file of %d", len(p), e.Size)
				}
			}
			n++
			return n < 1000
		})
		if im.End > int64(len(b)) || n > 1000 {
			t.Errorf("end %d of %d, %d entries", im.End, len(b), n)
		}
	})
}

// TestPartition: a volume of UDF in a partition that is not read is told, and what
// stands in other trees is read all the same.
func TestPartition(t *testing.T) {
	b := disc(t, "genisoimage", "-quiet", "-udf")
	if b == nil {
		t.Skip("genisoimage is not installed")
	}
	const logical, maps, kind = 6, 264, 440 // where a logical volume has the size of its maps, and the maps
	changed := 0
	for i := 0; i+2048 <= len(b); i += 2048 {
		d := b[i:]
		if binary.LittleEndian.Uint16(d) == logical && d[kind] == 1 && d[kind+1] == 6 {
			binary.LittleEndian.PutUint32(d[maps:], 64)
			copy(d[kind:], "\x02\x40\x00\x00\x00*UDF Metadata Partition")
			changed++
		}
	}
	files := 0
	_, err := iso.Read(b, func(e iso.Entry) bool {
		if !e.Dir && !e.Again && e.Size > 0 {
			files++
		}
		return true
	})
	if changed == 0 || files < 4 || !errors.Is(err, iso.ErrPartition) {
		t.Errorf("%d volumes changed, %d files, error %v", changed, files, err)
	}
}
