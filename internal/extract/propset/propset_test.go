package propset_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/propset"
)

var le = binary.LittleEndian

// stream writes a property set of user-defined properties: a code page, a
// dictionary of two names, a text and a number.
func stream() []byte {
	dict := le.AppendUint32(nil, 2)
	for id, name := range []string{"Ward\x00", "MRN\x00"} {
		dict = le.AppendUint32(dict, uint32(id+2))
		dict = le.AppendUint32(dict, uint32(len(name)))
		dict = append(dict, name...)
	}
	for len(dict)%4 != 0 {
		dict = append(dict, 0)
	}
	text := "Zo\xeb's\x00\x00\x00"
	values := [][]byte{
		le.AppendUint32(le.AppendUint32(nil, 2), 1252),
		dict,
		append(le.AppendUint32(le.AppendUint32(nil, 30), uint32(len(text))), text...),
		le.AppendUint32(le.AppendUint32(nil, 3), 1234567),
		append(le.AppendUint32(le.AppendUint32(nil, 0x101e), 2), "\x03\x00\x00\x00ab\x00\x02\x00\x00\x00c\x00"...), // as Office writes it
	}
	set := make([]byte, 8+8*len(values))
	le.PutUint32(set[4:], uint32(len(values)))
	for i, id := range []uint32{1, 0, 2, 3, 4} {
		le.PutUint32(set[8+8*i:], id)
		le.PutUint32(set[12+8*i:], uint32(len(set)))
		set = append(set, values[i]...)
	}
	le.PutUint32(set, uint32(len(set)))
	head := make([]byte, 48)
	le.PutUint16(head, 0xfffe)
	le.PutUint32(head[24:], 1)
	copy(head[28:], "a set of its own")
	le.PutUint32(head[44:], 48)
	return append(head, set...)
}

func TestRead(t *testing.T) {
	got, err := propset.Read(stream())
	want := []propset.Property{{Name: "Ward", Value: "Zoë's"}, {Name: "MRN", Value: "1234567"}, {Value: "ab"}, {Value: "c"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestDamaged(t *testing.T) {
	b := stream()
	for name, change := range map[string]func([]byte) []byte{
		"cut":            func(b []byte) []byte { return b[:len(b)-16] },
		"empty":          func([]byte) []byte { return nil },
		"count":          func(b []byte) []byte { le.PutUint32(b[52:], 1<<30); return b },
		"offset of set":  func(b []byte) []byte { le.PutUint32(b[44:], 1<<30); return b },
		"length of text": func(b []byte) []byte { i := bytes.Index(b, []byte("Zo")); le.PutUint32(b[i-4:], 1<<31); return b },
	} {
		if _, err := propset.Read(change(bytes.Clone(b))); !errors.Is(err, propset.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(stream())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := propset.Read(b)
		n := 0
		for _, p := range got {
			n += len(p.Value)
		}
		if n > 8*4*len(b)+64*len(got) {
			t.Fatalf("%d bytes of text from %d", n, len(b))
		}
	})
}
