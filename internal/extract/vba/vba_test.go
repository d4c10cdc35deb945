package vba_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/vba"
)

// TestExamples unpacks the examples of [MS-OVBA] 3.2.
func TestExamples(t *testing.T) {
	for want, packed := range map[string]string{
		"abcdefghijklmnopqrstuv.": "\x01\x19\xb0\x00abcdefgh\x00ijklmnop\x00qrstuv.",
		"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa": "\x01\x2f\xb0\x00#aaabcde\x82f\x00pagh" +
			"ij\x01\x38\x08akl\x00\x30mnop\x06q\x02p\x04\x10rstuv\x10wxyz\x00\x3c",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": "\x01\x03\xb0\x02a\x45\x00",
	} {
		if got, err := vba.Unpack([]byte(packed), 1<<20); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

// pack packs b: the longest copy there is in a chunk, else a literal.
func pack(b []byte) []byte {
	out := []byte{1}
	for len(b) > 0 {
		in := b[:min(len(b), 4096)]
		b = b[len(in):]
		var chunk []byte
		for at := 0; at < len(in); {
			flags := len(chunk)
			chunk = append(chunk, 0)
			for bit := 0; bit < 8 && at < len(in); bit++ {
				wide := 4
				for 1<<wide < at {
					wide++
				}
				best, back := 0, 0
				for d := 1; d <= min(at, 1<<wide, 200); d++ {
					n := 0
					for at+n < len(in) && n < 0xffff>>wide+3 && in[at+n] == in[at+n-d] {
						n++
					}
					if n > best {
						best, back = n, d
					}
				}
				if best < 3 {
					chunk = append(chunk, in[at])
					at++
					continue
				}
				chunk[flags] |= 1 << bit
				chunk = binary.LittleEndian.AppendUint16(chunk, uint16((back-1)<<(16-wide)|(best-3)))
				at += best
			}
		}
		if len(chunk) > 4096 { // as it is, filled up
			out = binary.LittleEndian.AppendUint16(out, 0x3fff)
			out = append(append(out, in...), make([]byte, 4096-len(in))...)
			continue
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(0xb000|(len(chunk)+2-3)))
		out = append(out, chunk...)
	}
	return out
}

// TestBounds holds that no more comes out than may, and what came before.
func TestBounds(t *testing.T) {
	b := bytes.Repeat([]byte("a line of a macro\r\n"), 2000)
	if got, err := vba.Unpack(pack(b), 10_000); !errors.Is(err, vba.ErrTooLarge) || len(got) == 0 || !bytes.HasPrefix(b, got) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, damaged := range []string{"", "\x02", "\x01\x00", "\x01\x03\xb0\x01\x00\x00", "\x01\x19\xb0ab", "\x01\x03\x30\x00"} {
		if _, err := vba.Unpack([]byte(damaged), 1<<20); err == nil {
			t.Errorf("%q is no error", damaged)
		}
	}
}

// record is one of the dir stream's.
func record(id uint16, v string) []byte {
	return append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(nil, id), uint32(len(v))), v...)
}

// TestDir finds modules by their names in either form, and what people wrote.
func TestDir(t *testing.T) {
	b := bytes.Join([][]byte{
		record(0x0001, "\x01\x00\x00\x00"), record(0x0003, "\xe3\x04"), record(0x0004, "\xcf\xf0\xee"), record(0x0005, "a description"),
		append(record(0x0009, "\x01\x02\x03\x04"), 5, 0), record(0x0019, "First"), record(0x001a, "First"), record(0x0032, "F\x00i\x00"), record(0x0031, "\x09\x00\x00\x00"),
		record(0x0019, "Second"), record(0x001a, "S2"), record(0x0031, "\x00\x01\x00\x00"), record(0x0010, ""), []byte("beyond"),
	}, nil)
	got, err := vba.ReadDir(b)
	want := vba.Project{Page: 1251, Words: []string{"Про", "a description", "First", "Second"}, Modules: []vba.Module{{Stream: "Fi", Offset: 9}, {Stream: "S2", Offset: 256}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := vba.ReadDir(b[:len(b)-20]); err == nil || len(got.Modules) != 2 {
		t.Errorf("cut: %+v, %v", got, err)
	}
}

// TestDirOfAnEnemy holds that what is told twice, in a code page in which ASCII is
// something else, or more often than can be counted, is damage.
func TestDirOfAnEnemy(t *testing.T) {
	name, end := record(0x001a, "M"), record(0x0010, "")
	place := record(0x0031, "\x09\x00\x00\x00")
	for _, c := range []struct {
		name    string
		b       []byte
		ok      bool
		page    int
		modules int
	}{
		{"cyrillic", slices.Concat(record(0x0003, "\xe3\x04"), name, place, end), true, 1251, 1},
		{"shift-jis", slices.Concat(record(0x0003, "\xa4\x03"), name, place, end), true, 932, 1},
		{"gbk", slices.Concat(record(0x0003, "\xa8\x03"), name, place, end), true, 936, 1},
		{"big5", slices.Concat(record(0x0003, "\xb6\x03"), name, place, end), true, 950, 1},
		{"korean", slices.Concat(record(0x0003, "\xb5\x03"), name, place, end), true, 949, 1},
		{"thai", slices.Concat(record(0x0003, "\x6a\x03"), name, place, end), true, 874, 1},
		{"macintosh", slices.Concat(record(0x0003, "\x10\x27"), name, place, end), true, 10000, 1},
		{"utf-8", slices.Concat(record(0x0003, "\xe9\xfd"), name, place, end), true, 65001, 1},
		{"utf-16", slices.Concat(record(0x0003, "\xb0\x04"), name, place, end), false, 1252, 1},
		{"ebcdic", slices.Concat(record(0x0003, "\x25\x00"), name, place, end), false, 1252, 1},
		{"hz", slices.Concat(record(0x0003, "\xc8\xce"), name, place, end), false, 1252, 1},
		{"iso-2022-jp", slices.Concat(record(0x0003, "\x2c\xc4"), name, place, end), false, 1252, 1},
		{"two places", slices.Concat(name, place, place, end), false, 1252, 1},
		{"as many as can be", slices.Concat(bytes.Repeat(name, 0xffff), end), true, 1252, 0xffff},
		{"one more", slices.Concat(bytes.Repeat(name, 0x10000), end), false, 1252, 0xffff},
	} {
		p, err := vba.ReadDir(c.b)
		if (err == nil) != c.ok || p.Page != c.page || len(p.Modules) != c.modules {
			t.Errorf("%s: page %d, %d modules, %v", c.name, p.Page, len(p.Modules), err)
		}
	}
}

// FuzzUnpack holds that what is packed comes back, and that nothing breaks the
// reader or makes it pass its bound.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x01\x03\xb0\x02a\x45\x00"))
	f.Add([]byte("#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa"))
	f.Add(pack(record(0x001a, "Module1")))
	f.Add(record(0x0009, "\x01\x02\x03\x04\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := vba.Unpack(b, 20_000)
		if len(got) > 20_000 {
			t.Errorf("%d bytes", len(got))
		}
		_, _ = vba.ReadDir(got)
		_, _ = vba.ReadDir(b)
		b = b[:min(len(b), 5000)]
		if got, err := vba.Unpack(pack(b), 20_000); err != nil || !bytes.HasPrefix(got, b) {
			t.Errorf("%d bytes packed are %d, %v", len(b), len(got), err)
		}
	})
}
