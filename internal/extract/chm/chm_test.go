package chm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/chm"
)

// entry is a file to write.
type entry struct {
	name        string
	section, at int
	size        int
}

func word(v int) []byte {
	b := []byte{byte(v & 0x7f)}
	for v >>= 7; v > 0; v >>= 7 {
		b = append([]byte{byte(v&0x7f) | 0x80}, b...)
	}
	return b
}

// help writes compiled help: plain as it stands, packed as one block of LZX that is
// not packed.
func help(plain, packed string) []byte {
	le := binary.LittleEndian
	n := uint32(len(packed))
	lzx := le.AppendUint16(le.AppendUint16(nil, uint16(3<<12|n>>12)), uint16(n<<4))
	for range 3 {
		lzx = le.AppendUint32(lzx, 1)
	}
	lzx = append(lzx, packed...)
	control := le.AppendUint32(nil, 6)
	control = append(control, "LZXC"...)
	for _, v := range []uint32{2, 2, 2, 1, 0} {
		control = le.AppendUint32(control, v)
	}
	resets := le.AppendUint32(nil, 2)
	for _, v := range []uint32{1, 8, 40} {
		resets = le.AppendUint32(resets, v)
	}
	for _, v := range []int{len(packed), len(lzx), 32 << 10, 0} {
		resets = le.AppendUint64(resets, uint64(v))
	}
	var content []byte
	add := func(b []byte) (at, size int) {
		at = len(content)
		content = append(content, b...)
		return at, len(b)
	}
	entries := []entry{{name: "/a.txt"}, {"/b.html", 1, 0, len(packed)}, {name: "::DataSpace/Storage/MSCompressed/Content"},
		{name: "::DataSpace/Storage/MSCompressed/ControlData"},
		{name: "::DataSpace/Storage/MSCompressed/Transform/{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable"}}
	entries[0].at, entries[0].size = add([]byte(plain))
	entries[2].at, entries[2].size = add(lzx)
	entries[3].at, entries[3].size = add(control)
	entries[4].at, entries[4].size = add(resets)
	const block = 1024
	list := append([]byte("PMGL"), make([]byte, 16)...)
	for _, e := range entries {
		list = append(append(list, word(len(e.name))...), e.name...)
		list = append(append(append(list, word(e.section)...), word(e.at)...), word(e.size)...)
	}
	le.PutUint32(list[4:], uint32(block-len(list)))
	list = append(list, make([]byte, block-len(list))...)
	dir := append([]byte("ITSP"), make([]byte, 0x50)...)
	le.PutUint32(dir[8:], 0x54)
	le.PutUint32(dir[0x10:], block)
	le.PutUint32(dir[0x2c:], 1)
	dir = append(dir, list...)
	b := append([]byte("ITSF"), make([]byte, 0x5c)...)
	le.PutUint32(b[4:], 3)
	le.PutUint64(b[0x48:], 0x60)
	le.PutUint64(b[0x50:], uint64(len(dir)))
	le.PutUint64(b[0x58:], uint64(0x60+len(dir)))
	return append(append(b, dir...), content...)
}

// read returns the files by their names.
func read(b []byte) (map[string]string, error) {
	h, err := chm.Open(b)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var packed []byte
	var damage error
	if r, err := h.Open(); err == nil {
		packed, damage = io.ReadAll(r)
	}
	for _, f := range h.Files {
		switch {
		case strings.HasPrefix(f.Name, "::"):
		case f.Section == chm.Stored:
			p, whole := h.Bytes(f)
			if !whole {
				damage = chm.ErrDamaged
			}
			out[f.Name] = string(p)
		case f.Offset+f.Size <= int64(len(packed)):
			out[f.Name] = string(packed[f.Offset : f.Offset+f.Size])
		}
	}
	if h.Cut {
		damage = chm.ErrDamaged
	}
	return out, damage
}

// TestRead holds what comes out of help that is whole, cut or none.
func TestRead(t *testing.T) {
	b := help("plain 536-22-8145", "<p>packed 536-22-8145</p>")
	got, err := read(b)
	if want := "map[/a.txt:plain 536-22-8145 /b.html:<p>packed 536-22-8145</p>]"; fmt.Sprint(got) != want || err != nil {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	for _, n := range []int{0, 50, 0x70, 0x200} {
		if _, err := read(b[:n]); !errors.Is(err, chm.ErrDamaged) {
			t.Errorf("cut to %d: got %v", n, err)
		}
	}
}

// TestOfCompiler reads what Free Pascal's chmcmd compiles: texts of several
// frames, beside the pages it was given.
func TestOfCompiler(t *testing.T) {
	chmcmd, err := exec.LookPath("chmcmd")
	if err != nil {
		t.Skip("needs chmcmd (fp-utils)")
	}
	dir := t.TempDir()
	var long bytes.Buffer
	for i := range 9000 {
		fmt.Fprintf(&long, "<p>line %d of many, with %d words</p>\n", i, i*7919%1000)
	}
	pages := map[string]string{"a.html": "<html><body><p>SSN 536-22-<b>8145</b></p></body></html>", "b.html": "<html><body>" + long.String() + "</body></html>"}
	for name, p := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	project := "[OPTIONS]\nTitle=Ward\nDefault topic=a.html\nCompiled file=out.chm\n[FILES]\na.html\nb.html\n"
	if err := os.WriteFile(filepath.Join(dir, "a.hhp"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), chmcmd, "a.hhp")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.chm"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		if got["/"+name] != want {
			t.Errorf("%s: got %d bytes, want %d", name, len(got["/"+name]), len(want))
		}
	}
}

// FuzzRead holds that no file breaks the reader, and that no more comes out than
// its frames hold.
func FuzzRead(f *testing.F) {
	f.Add(help("plain", "packed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := chm.Open(b)
		if err != nil {
			return
		}
		for _, f := range h.Files {
			if p, whole := h.Bytes(f); whole && int64(len(p)) != f.Size {
				t.Fatalf("%d bytes of %d", len(p), f.Size)
			}
		}
		if r, err := h.Open(); err == nil {
			if n, _ := io.Copy(io.Discard, r); n > h.PackedSize()*(32<<10) {
				t.Fatalf("%d bytes of %d packed ones", n, h.PackedSize())
			}
		}
	})
}
