package ppt_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/ppt"
)

// list gathers lines and objects, and ends after so many.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) Line(s string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(s + "\n")
	return nil
}

func (l *list) Object(r io.Reader, _, _ int64) error {
	b, err := io.ReadAll(io.LimitReader(r, 1<<16))
	return errors.Join(err, l.Line("object "+string(b)))
}

func record(version, instance, kind uint16, body []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, version|instance<<4)
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

func sample() []byte {
	var packed bytes.Buffer
	packed.Write([]byte{5, 0, 0, 0})
	z := zlib.NewWriter(&packed)
	z.Write([]byte("hello"))
	z.Close()
	return bytes.Join([][]byte{
		record(15, 0, 0x03ee, bytes.Join([][]byte{
			record(15, 0, 0xf00d, record(0, 0, 0x0fa8, []byte("MRN\rZo\xeb"))),
			record(0, 0, 0x0fa0, []byte("A\x00q\x67")),
		}, nil)),
		record(0, 0, 0x0fba, []byte("n\x00")),
		record(0, 1, 0x1011, packed.Bytes()),
		record(0, 0, 0x1011, []byte("plain")),
	}, nil)
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		objects bool
		want    string
	}{"words": {false, "\n\nMRN\nZoë\nA東\nn\n"}, "objects": {true, "object hello\nobject plain\n"}} {
		out := &list{left: 100}
		if err := ppt.Read(sample(), c.objects, out); err != nil || out.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, c.want)
		}
	}
}

// TestTalk reads what LibreOffice writes.
func TestTalk(t *testing.T) {
	f, err := cfb.Open(convert(t, "talk.fodp", "ppt:MS PowerPoint 97"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.Read(f.Stream("PowerPoint Document"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	user, err := f.Read(f.Stream("Current User"), 1<<20)
	if err != nil || ppt.Encrypted(user) {
		t.Errorf("current user: got encrypted=%v, %v", ppt.Encrypted(user), err)
	}
	out := &list{left: 1000}
	if err := ppt.Read(b, false, out); err != nil {
		t.Error(err)
	}
	for _, w := range []string{"Case of Ada Example\nMRN E1234567\n", "東京 Zoë\n", "The notes say SSN 536-22-8145\n", "Bea Nurse\nAsk about SSN 536-22-8146\n"} {
		if !strings.Contains(out.String(), w) {
			t.Errorf("want %q in\n%s", w, out)
		}
	}
}

// TestTag: what a tag holds is read where it is records, and is nobody's elsewhere.
func TestTag(t *testing.T) {
	words := record(0, 0, 0x0fba, []byte("h\x00i\x00"))
	for name, c := range map[string]struct {
		blob []byte
		want string
	}{
		"records":                 {record(15, 0, 0x2ee0, words), "hi\n"},
		"and zeros behind":        {append(bytes.Clone(words), make([]byte, 8)...), "hi\n"},
		"another program's bytes": {[]byte("\x07 some bytes, no records"), ""},
		"too few":                 {words[:len(words)-2], ""},
		"nothing":                 {nil, ""},
	} {
		b := record(15, 0, 0x1388, record(15, 0, 0x138a, record(0, 0, 0x138b, c.blob)))
		out := &list{left: 100}
		if err := ppt.Read(b, false, out); err != nil || out.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, c.want)
		}
	}
}

func TestNotRead(t *testing.T) {
	b := sample()
	for name, c := range map[string]struct {
		b    []byte
		want error
		left int
	}{
		"cut":               {b[:40], ppt.ErrCorrupt, 100},
		"empty":             {nil, ppt.ErrCorrupt, 100},
		"no records":        {make([]byte, 800), ppt.ErrCorrupt, 100},
		"edit that is told": {record(0, 0, 0x0ff5, make([]byte, 32)), ppt.ErrEncrypted, 100},
		"out's":             {b, errFull, 1},
	} {
		if err := ppt.Read(c.b, false, &list{left: c.left}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if !ppt.Encrypted([]byte("\x00\x00\xf6\x0f\x20\x00\x00\x00\x14\x00\x00\x00\xdf\xc4\xd1\xf3")) {
		t.Error("the token of encryption is not known")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sample())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, objects := range []bool{false, true} {
			out := &list{left: 1000}
			if err := ppt.Read(b, objects, out); out.left < -1 {
				t.Fatalf("went on after an error: %v", err)
			}
		}
	})
}

// convert has LibreOffice write a file of testdata in another format.
func convert(t *testing.T, name, to string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("LibreOffice takes some ten seconds")
	}
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("no soffice here: Debian's libreoffice-impress-nogui has it")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", to, "--outdir", dir, filepath.Join("testdata", name))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("soffice does not run here: %v %s", err, out)
	}
	ext, _, _ := strings.Cut(to, ":")
	b, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(name, filepath.Ext(name))+"."+ext))
	if err != nil {
		t.Skipf("soffice made no %s: %v", ext, err)
	}
	return b
}
