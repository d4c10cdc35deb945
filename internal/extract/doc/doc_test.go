package doc_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/doc"
)

// streams takes a document out of its compound file.
func streams(b []byte) (doc.Streams, error) {
	f, err := cfb.Open(b)
	if f == nil {
		return doc.Streams{}, err
	}
	stream := func(name string) []byte {
		got, _ := f.Read(f.Stream(name), 1<<30)
		return got
	}
	s := doc.Streams{Main: stream("WordDocument"), Data: stream("Data")}
	name, err := doc.TableName(s.Main)
	if name != "" {
		s.Table = stream(name)
	}
	return s, err
}

func read(b []byte) (string, error) {
	s, err := streams(b)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	_, err = doc.Read(s, &out)
	return out.String(), err
}

// letter is what letter.fodt shows, line by line, as Word orders its parts.
const letter = `Discharge summary of Ada Example, Zoë 東京 𐌲
SSN 536-22-8145 seen and end.
unseen words
999
The portal
 HYPERLINK "http://clinic.example/ada"
1)Aspirin
2)Statin
MRN	E7654321	
Born	1980-02-03	
After the table.
	The footnote says MRN E1234567.
Clinic of the header
Foot of the page
A comment on it.
	The endnote.
In a text box.
`

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLetter reads what LibreOffice writes: the file kept here, and one made
// now.
func TestLetter(t *testing.T) {
	t.Run("kept", func(t *testing.T) {
		if got, err := read(file(t, "letter.doc")); err != nil || !strings.HasPrefix(got, letter) {
			t.Errorf("got %v\n%s\nwant\n%s", err, got, letter)
		}
	})
	for name, filter := range map[string]string{"Word 97": "doc:MS Word 97"} {
		t.Run(name, func(t *testing.T) {
			if got, err := read(convert(t, "letter.fodt", filter)); err != nil || !strings.HasPrefix(got, letter) {
				t.Errorf("got %v\n%s\nwant\n%s", err, got, letter)
			}
		})
	}
}

// convert has LibreOffice write a file of testdata in another format.
func convert(t *testing.T, name, to string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("LibreOffice takes some ten seconds")
	}
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("no soffice here: Debian's libreoffice-writer-nogui has it")
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

// TestUnlock reads locked.doc, which LibreOffice made of letter.fodt with the
// password secret7.
func TestUnlock(t *testing.T) {
	s, err := streams(file(t, "locked.doc"))
	if !errors.Is(err, doc.ErrEncrypted) {
		t.Errorf("got %v, want ErrEncrypted", err)
	}
	if _, ok := doc.Unlock(s, "secret8"); ok {
		t.Error("a wrong password opens it")
	}
	plain, ok := doc.Unlock(s, "secret7")
	if !ok {
		t.Fatal("the password does not open it")
	}
	var out bytes.Buffer
	if _, err := doc.Read(plain, &out); err != nil || !strings.HasPrefix(out.String(), letter) {
		t.Errorf("got %v\n%s", err, out.String())
	}
}

// word6 writes a document of Word 6's, whose text follows its header.
func word6(lang uint16, text string) doc.Streams {
	b := make([]byte, 0x300)
	put := func(at int, v uint32) {
		b[at], b[at+1], b[at+2], b[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	put(0, 0xa5dc|104<<16)
	put(6, uint32(lang))
	put(0x18, 0x300)
	put(0x1c, 0x300+uint32(len(text)))
	put(0x34, uint32(len(text)))
	return doc.Streams{Main: append(b, text...)}
}

func TestWord6(t *testing.T) {
	for name, c := range map[string]struct {
		s    doc.Streams
		want string
	}{
		"English": {word6(0x409, "Zo\xeb\r\x13PAGE\x142\x15 end\r"), "Zoë\n2 end\nPAGE\n"},
		"Russian": {word6(0x419, "\xc0\xed\xed\xe0\r"), "Анна\n"},
		"table":   {word6(0x409, "MRN\x07E1\x07\x07Born\x071980\x07\x07end\r"), "MRN\tE1\t\nBorn\t1980\t\nend\n"},
	} {
		var out bytes.Buffer
		if _, err := doc.Read(c.s, &out); err != nil || out.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, out.String(), err, c.want)
		}
	}
}

func TestNotRead(t *testing.T) {
	good, err := streams(file(t, "letter.doc"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(s *doc.Streams)) doc.Streams {
		s := doc.Streams{Main: bytes.Clone(good.Main), Table: bytes.Clone(good.Table), Data: good.Data}
		f(&s)
		return s
	}
	for name, c := range map[string]struct {
		s    doc.Streams
		want error
		room int
	}{
		"encrypted":  {change(func(s *doc.Streams) { s.Main[11] |= 1 }), doc.ErrEncrypted, 1 << 20},
		"no table":   {change(func(s *doc.Streams) { s.Table = nil }), doc.ErrCorrupt, 1 << 20},
		"text cut":   {change(func(s *doc.Streams) { s.Main = s.Main[:0x700] }), doc.ErrCorrupt, 1 << 20},
		"Word 2":     {change(func(s *doc.Streams) { s.Main[0], s.Main[1], s.Main[2] = 0xdb, 0xa5, 45 }), doc.ErrVersion, 1 << 20},
		"empty":      {doc.Streams{}, doc.ErrCorrupt, 1 << 20},
		"zeros":      {doc.Streams{Main: make([]byte, 4096)}, doc.ErrVersion, 1 << 20},
		"no pieces":  {change(func(s *doc.Streams) { clear(s.Main[0x1a2:0x1aa]) }), doc.ErrCorrupt, 1 << 20},
		"few pieces": {change(func(s *doc.Streams) { binary.LittleEndian.PutUint32(s.Main[0x4c:], 1<<20) }), doc.ErrCorrupt, 1 << 20},
		"write ends": {good, errFull, 40},
	} {
		if _, err := doc.Read(c.s, &full{left: c.room}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

var errFull = errors.New("no more")

// full takes some bytes and no more.
type full struct{ left, after int }

func (f *full) Write(b []byte) (int, error) {
	if f.left < 0 {
		f.after++
	}
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// FuzzRead holds that no document makes the reader break, loop or write
// without end.
func FuzzRead(f *testing.F) {
	s, err := streams(file(f, "letter.doc"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Main, s.Table, s.Data)
	old := word6(0x409, "text\r")
	f.Add(old.Main, old.Table, old.Data)
	f.Fuzz(func(t *testing.T, main, table, data []byte) {
		out := &full{left: 1 << 20}
		_, _ = doc.Read(doc.Streams{Main: main, Table: table, Data: data}, out) // an error is fine
		if out.after > 0 {
			t.Fatal("wrote on after an error")
		}
	})
}
