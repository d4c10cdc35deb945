package rpm_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/rpm"
)

// TestRpmbuild reads what rpmbuild writes.
func TestRpmbuild(t *testing.T) {
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Skip("rpmbuild is not installed")
	}
	dir := t.TempDir()
	spec := "Name: ada\nVersion: 1\nRelease: 1\nSummary: for Ada Example\nLicense: MIT\nBuildArch: noarch\n%description\nSSN 536-22-8145\n" +
		"%install\nmkdir -p %{buildroot}/opt\necho text > %{buildroot}/opt/a.txt\n%post\necho 078-05-1120\n%files\n/opt/a.txt\n"
	if err := os.WriteFile(filepath.Join(dir, "ada.spec"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "rpmbuild", "-bb", "--define", "_topdir "+dir, "ada.spec")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v %s", err, out)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "RPMS/*/*.rpm"))
	if len(names) != 1 {
		t.Fatal(names)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := rpm.Read(b)
	all := strings.Join(p.Words, "\n")
	if err != nil || len(p.Payload) == 0 {
		t.Errorf("payload of %d bytes, %v", len(p.Payload), err)
	}
	for _, s := range []string{"SSN 536-22-8145", "for Ada Example", "078-05-1120", "a.txt"} {
		if !strings.Contains(all, s) {
			t.Errorf("%q was not read: %q", s, all)
		}
	}
	for _, n := range []int{50, 200, len(b) - len(p.Payload) - 20} {
		if _, err := rpm.Read(b[:n]); err == nil {
			t.Errorf("cut after %d bytes, and no error", n)
		}
	}
}

// made is a package of one word.
func made() []byte {
	b := append([]byte(rpm.Magic), make([]byte, 92)...)
	head := func(words string) {
		b = append(b, "\x8e\xad\xe8\x01\x00\x00\x00\x00"...)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(words)))
		for _, v := range []uint32{1000, 6, 0, 1} {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		b = append(b, words...)
	}
	head("signed\x00\x00")
	head("SSN 536-22-8145\x00")
	return append(b, "payload"...)
}

func FuzzRead(f *testing.F) {
	f.Add(made())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _ := rpm.Read(b) // damaged or not, what comes out counts
		n := 0
		for _, s := range p.Words {
			n += len(s)
		}
		if n > 5*len(b) || len(p.Payload) > len(b) {
			t.Errorf("%d bytes of words out of %d", n, len(b))
		}
	})
}
