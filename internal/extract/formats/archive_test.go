package formats_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// secret is what the archives of these tests hold.
const secret = "Patient Ada Example, SSN 536-22-8145\n"

// folder makes a folder with three files: a short one, one that does not fit into
// a decoder's window, and one in a folder of its own under a long name.
func folder(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	r := rand.New(rand.NewPCG(7, 7))
	var big bytes.Buffer
	for big.Len() < 400<<10 {
		fmt.Fprintf(&big, "line %d of noise %x\n", big.Len(), r.Uint64())
	}
	big.WriteString("last 078-05-1120\n")
	sub := filepath.Join(dir, strings.Repeat("d", 90))
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string][]byte{filepath.Join(dir, "a.txt"): []byte(secret), filepath.Join(dir, "big.log"): big.Bytes(),
		filepath.Join(sub, strings.Repeat("n", 100)+".txt"): []byte("deep 219-09-9999\n")} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a program in dir and returns what it prints, or skips where it is not
// installed.
func run(t *testing.T, dir string, in []byte, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if in != nil {
		cmd.Stdin = bytes.NewReader(in)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v %s %s", program, args, err, out, errs.String())
	}
	return out
}

func file(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reads fails where a document's text lacks a piece, or where there is a gap.
func reads(t *testing.T, a *answer, pieces ...string) {
	t.Helper()
	for _, s := range pieces {
		if !strings.Contains(a.all(), s) {
			t.Errorf("%q was not read; parts %v", s, a.paths)
		}
	}
	if len(a.gaps) > 0 {
		t.Errorf("gaps %q", a.told())
	}
}

// TestArchives reads what independent programs pack.
func TestArchives(t *testing.T) {
	dir := folder(t)
	all := func(program string, args ...string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			t.Helper()
			out := filepath.Join(t.TempDir(), "x")
			for i, a := range args {
				args[i] = strings.ReplaceAll(a, "OUT", out)
			}
			run(t, dir, nil, program, args...)
			names, err := filepath.Glob(out + "*")
			if err != nil || len(names) != 1 {
				t.Fatalf("%v %v", names, err)
			}
			return file(t, names[0])
		}
	}
	for name, pack := range map[string]func(*testing.T) []byte{
		"7z lzma2":      all("7z", "a", "-t7z", "OUT.7z", "."),
		"7z lzma":       all("7z", "a", "-t7z", "-m0=lzma", "OUT.7z", "."),
		"7z ppmd":       all("7z", "a", "-t7z", "-m0=ppmd", "OUT.7z", "."),
		"7z bzip2":      all("7z", "a", "-t7z", "-m0=bzip2", "OUT.7z", "."),
		"7z deflate":    all("7z", "a", "-t7z", "-m0=deflate", "OUT.7z", "."),
		"7z copy":       all("7z", "a", "-t7z", "-mx=0", "OUT.7z", "."),
		"7z bcj2":       all("7z", "a", "-t7z", "-mf=bcj2", "OUT.7z", "."),
		"7z delta":      all("7z", "a", "-t7z", "-mf=delta:4", "OUT.7z", "."),
		"7z no solid":   all("7z", "a", "-t7z", "-ms=off", "OUT.7z", "."),
		"7z plain head": all("7z", "a", "-t7z", "-mhc=off", "OUT.7z", "."),
		"tar gnu":       all("tar", "--format=gnu", "-cf", "OUT.tar", "."),
		"tar pax":       all("tar", "--format=pax", "-cf", "OUT.tar", "."),
		"tar posix":     all("tar", "--format=posix", "-cf", "OUT.tar", "."),
		"tar gz":        all("tar", "-czf", "OUT.tar.gz", "."),
		"tar bz2":       all("tar", "-cjf", "OUT.tar.bz2", "."),
		"tar xz":        all("tar", "-cJf", "OUT.tar.xz", "."),
		"tar zst":       all("tar", "--zstd", "-cf", "OUT.tar.zst", "."),
		"tar lz4":       all("tar", "-I", "lz4", "-cf", "OUT.tar.lz4", "."),
		"tar Z":         all("tar", "-I", "compress", "-cf", "OUT.tar.Z", "."),
		"tar lzma":      all("tar", "--lzma", "-cf", "OUT.tar.lzma", "."),
		"tar lz":        all("tar", "--lzip", "-cf", "OUT.tar.lz", "."),
		"bsdtar pax":    all("bsdtar", "--format=pax", "-cf", "OUT.tar", "."),
		"bsdtar 7z":     all("bsdtar", "--format=7zip", "-cf", "OUT.7z", "."),
		"cpio newc":     all("sh", "-c", "find . | cpio -o --quiet -H newc > OUT.cpio"),
		"cpio odc":      all("sh", "-c", "find . | cpio -o --quiet -H odc > OUT.cpio"),
		"cpio bin":      all("sh", "-c", "find . | cpio -o --quiet > OUT.cpio"),
	} {
		t.Run(name, func(t *testing.T) {
			reads(t, serve(t, false, limits, pack(t)), strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999", "a.txt", strings.Repeat("n", 100))
		})
	}
}

// TestTarOdd reads what tar writes beside plain files.
func TestTarOdd(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, nil, "sh", "-c", "echo 'before a hole 536-22-8145' | gzip -c > s && truncate -s 3M s && ln -s /etc/passwd l && ln s h")
	for _, args := range [][]string{{"--format=gnu", "--sparse"}, {"--format=pax", "--sparse"}, {"--format=v7"}, {"--format=ustar"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			out := run(t, dir, nil, "tar", append(args, "-cf", "-", "s", "l", "h")...)
			reads(t, serve(t, false, limits, out), "before a hole 536-22-8145", "/etc/passwd")
			two := append(bytes.Clone(out), run(t, dir, nil, "sh", "-c", "echo behind 219-09-9999 > b && tar -cf - b")...)
			reads(t, serve(t, false, limits, two), "before a hole 536-22-8145", "behind 219-09-9999")
		})
	}
}

// TestCompressed reads bare compressed files, several joined, and with something
// behind.
func TestCompressed(t *testing.T) {
	const one, two = "first 536-22-8145\n", "second 078-05-1120\n"
	for _, c := range []struct {
		program string
		args    []string
		alone   bool // it knows no second stream
	}{
		{"gzip", []string{"-c"}, false}, {"bzip2", []string{"-c"}, false}, {"xz", []string{"-c"}, false}, {"zstd", []string{"-c", "-q"}, false},
		{"lz4", []string{"-c", "-q"}, false}, {"lz4", []string{"-c", "-q", "-l"}, true}, {"lzip", []string{"-c"}, false},
		{"xz", []string{"-c", "--format=lzma"}, true}, {"compress", []string{"-c", "-f"}, true}, {"zlib-flate", []string{"-compress"}, true},
	} {
		t.Run(c.program+strings.Join(c.args, ""), func(t *testing.T) {
			dir := t.TempDir()
			a := run(t, dir, []byte(one), c.program, c.args...)
			reads(t, serve(t, false, limits, a), one)
			if c.alone {
				return
			}
			b := run(t, dir, []byte(two), c.program, c.args...)
			joined := slices.Concat(a, b)
			got := serve(t, false, limits, joined)
			reads(t, got, one, two)
			if got.texts["1"] != one+two {
				t.Errorf("joined: %q", got.texts)
			}
			behind := serve(t, false, limits, slices.Concat(joined, []byte("behind it 219-09-9999 stands a text")))
			reads(t, behind, one, two, "behind it 219-09-9999")
			cut := serve(t, false, limits, a[:len(a)-3])
			if !slices.ContainsFunc(cut.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Corrupt }) {
				t.Errorf("cut: gaps %q", cut.told())
			}
		})
	}
}

// TestSevenZipLocked holds that an encrypted archive is told as one, and that
// what is cut or damaged is not.
func TestSevenZipLocked(t *testing.T) {
	dir := folder(t)
	for name, c := range map[string]struct {
		args []string
		want dlp.Cause
		cut  int
	}{
		"members":       {[]string{"-psecret"}, dlp.Encrypted, 0},
		"header":        {[]string{"-psecret", "-mhe=on"}, dlp.Encrypted, 0},
		"members apart": {[]string{"-psecret", "-ms=off"}, dlp.Encrypted, 0},
		"stored":        {[]string{"-psecret", "-mx=0"}, dlp.Encrypted, 0},
		"cut":           {nil, dlp.Corrupt, 100},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "x.7z")
			run(t, dir, nil, "7z", append(append([]string{"a"}, c.args...), out, ".")...)
			b := file(t, out)
			a := serve(t, false, limits, b[:len(b)-c.cut])
			if len(a.gaps) == 0 || strings.Contains(a.all(), "536-22-8145") {
				t.Errorf("gaps %q, text %.100q", a.told(), a.all())
			}
			for _, g := range a.gaps {
				if g.Cause != c.want {
					t.Errorf("gap %v, want %v", g.Cause, c.want)
				}
			}
		})
	}
}

// TestSevenBranches reads what 7z packs with the filters for programs that are newer
// than its format's description, and tells one that is not known.
func TestSevenBranches(t *testing.T) {
	dir := folder(t)
	for method, want := range map[string]bool{"ARM64": true, "RISCV": true, "Swap4": false} {
		out := filepath.Join(t.TempDir(), "x.7z")
		cmd := exec.CommandContext(t.Context(), "7z", "a", "-t7z", "-m0="+method, "-m1=lzma2", out, ".")
		cmd.Dir = dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Logf("this 7z does not know of %s: %v %s", method, err, msg)
			continue
		}
		if a := serve(t, false, limits, file(t, out)); want {
			reads(t, a, strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999")
		} else if len(a.gaps) == 0 || a.gaps[0].Cause != dlp.Unsupported {
			t.Errorf("%s: gaps %q", method, a.told())
		}
	}
}

// TestCabinet reads what gcab packs, and tells what is damaged or elsewhere.
func TestCabinet(t *testing.T) {
	dir := folder(t)
	for _, zip := range []string{"-c", "-cz"} {
		out := filepath.Join(t.TempDir(), "x.cab")
		run(t, dir, nil, "sh", "-c", "gcab "+zip+" "+out+" a.txt big.log d*/n*.txt")
		b := file(t, out)
		reads(t, serve(t, false, limits, b), strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999", "a.txt", strings.Repeat("n", 100))
		reads(t, serve(t, false, limits, append(bytes.Clone(b), "behind 123-45-6780"...)), strings.TrimSpace(secret), "behind 123-45-6780")
		bad := bytes.Clone(b)
		bad[len(bad)-300] ^= 1
		a := serve(t, false, limits, bad)
		if !strings.Contains(a.all(), "536-22-8145") || len(a.gaps) == 0 || a.gaps[0].Cause != dlp.Corrupt {
			t.Errorf("damaged: gaps %q", a.told())
		}
	}
}

// TestDisc reads images of discs, and what stands around their trees.
func TestDisc(t *testing.T) {
	dir := folder(t)
	for name, args := range map[string][]string{
		"genisoimage plain": {"genisoimage", "-quiet"}, "genisoimage all": {"genisoimage", "-quiet", "-J", "-R", "-udf"},
		"xorriso": {"xorriso", "-as", "mkisofs", "-quiet", "-J"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "x.iso")
			run(t, dir, nil, args[0], append(args[1:], "-V", "ADA EXAMPLE", "-o", out, ".")...)
			b := file(t, out)
			a := serve(t, false, limits, b)
			reads(t, a, strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999", "ADA EXAMPLE")
			if len(a.paths) != 4 {
				t.Errorf("parts %q", a.paths)
			}
			reads(t, serve(t, false, limits, append(bytes.Clone(b), "behind 123-45-6780"...)), strings.TrimSpace(secret), "behind 123-45-6780")
			front := bytes.Clone(b)
			copy(front, "%PDF-1.4\n")
			if a := serve(t, false, limits, front); !strings.Contains(a.all(), "536-22-8145") || len(a.gaps) == 0 {
				t.Errorf("a PDF in front: gaps %q", a.told())
			}
			front = bytes.Clone(b)
			copy(front, "in front 123-45-6780 of it")
			reads(t, serve(t, false, limits, front), strings.TrimSpace(secret), "in front 123-45-6780")
			cut := serve(t, false, limits, b[:len(b)/4])
			if !slices.ContainsFunc(cut.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Corrupt }) {
				t.Errorf("cut: gaps %q", cut.told())
			}
		})
	}
}

// TestSelfExtractors reads archives behind a program. What the program itself
// says stays a gap.
func TestSelfExtractors(t *testing.T) {
	dir := folder(t)
	// Its constants hold the bare signatures, as those of such programs do.
	consts := "\x00" + "7z\xbc\xaf\x27\x1c" + "Rar!\x1a\x07\x00" + "MSCF\x00\x00\x00\x00" + strings.Repeat("\x00\x01\xff", 30)
	for stubName, stub := range map[string]string{"MZ": "MZ\x90\x00" + strings.Repeat("\x03\x00\xff", 40) + consts, "ELF": "\x7fELF\x02\x01\x01" + consts,
		"far": "MZ\x90\x00" + strings.Repeat("\x03\x00\xff", 700<<10) + consts} {
		for name, pack := range map[string]string{"7z": "7z a OUT.7z . >/dev/null", "zip": "zip -qr OUT.zip .", "cab": "gcab -cz OUT.cab a.txt big.log d*/n*.txt"} {
			t.Run(stubName+" "+name, func(t *testing.T) {
				if _, err := exec.LookPath(strings.Fields(pack)[0]); err != nil {
					t.Skip(strings.Fields(pack)[0] + " is not installed")
				}
				out := filepath.Join(t.TempDir(), "x")
				run(t, dir, nil, "sh", "-c", strings.ReplaceAll(pack, "OUT", out))
				a := serve(t, false, limits, append([]byte(stub), file(t, out+"."+name)...))
				for _, s := range []string{strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999"} {
					if !strings.Contains(a.all(), s) {
						t.Errorf("%q was not read: parts %q", s, a.paths)
					}
				}
				if len(a.gaps) != 1 || a.gaps[0].Cause != dlp.Unsupported || a.gaps[0].Path != "~2" {
					t.Errorf("gaps %q", a.told())
				}
			})
		}
	}
}

// TestPackageManagers reads an RPM package.
func TestPackageManagers(t *testing.T) {
	for _, payload := range []string{"w9.gzdio", "w6.xzdio", "w3.zstdio", "w9.bzdio"} {
		t.Run(payload, func(t *testing.T) {
			dir := t.TempDir()
			spec := "Name: ada\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nFor 219-09-9999\n" +
				"%install\nmkdir -p %{buildroot}/opt\necho 'SSN 536-22-8145' > %{buildroot}/opt/a.txt\n%files\n/opt/a.txt\n"
			if err := os.WriteFile(filepath.Join(dir, "ada.spec"), []byte(spec), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, dir, nil, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, "--define", "_binary_payload "+payload, "ada.spec")
			names, _ := filepath.Glob(filepath.Join(dir, "RPMS/*/*.rpm"))
			if len(names) != 1 {
				t.Fatal(names)
			}
			b := file(t, names[0])
			reads(t, serve(t, false, limits, b), "SSN 536-22-8145", "For 219-09-9999", "a.txt")
			cut := serve(t, false, limits, b[:len(b)-20])
			if !slices.ContainsFunc(cut.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Corrupt }) {
				t.Errorf("cut: gaps %q", cut.told())
			}
		})
	}
}
