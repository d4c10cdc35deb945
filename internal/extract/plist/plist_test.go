package plist_test

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/plist"
)

// list gathers what is read, and ends after so much.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) add(s string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(s + "\n")
	return nil
}

func (l *list) Text(key, text string) error { return l.add(key + "=" + text) }

func (l *list) Data(b []byte, beside func(string) string) error {
	return l.add(beside("kind") + ":" + string(b))
}

// made is a list of objects of less than 256 bytes in all, the first the top.
func made(objects ...string) []byte {
	b := []byte("bplist00")
	var offs []byte
	for _, o := range objects {
		offs = append(offs, byte(len(b)))
		b = append(b, o...)
	}
	t := make([]byte, 32)
	t[6], t[7] = 1, 1
	binary.BigEndian.PutUint64(t[8:], uint64(len(objects)))
	binary.BigEndian.PutUint64(t[24:], uint64(len(b)))
	return append(append(b, offs...), t...)
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want string
		err  error
		left int
	}{
		"a text":            {made("\x55hello"), "=hello\n", nil, 9},
		"a dictionary":      {made("\xd2\x01\x02\x03\x04", "\x53ssn", "\x54kind", "\x43abc", "\x64\x00t\x00e\x00x\x00t"), "=ssn\ntext:abc\nkind=text\n", nil, 9},
		"keys":              {made("\xd4\x01\x02\x03\x04\x05\x06\x07\x08", "\x51a", "\x51b", "\x51c", "\x51d", "\x09", "\xa0", "\xd0", "\x50"), "=a\n=b\n=c\n=d\n", nil, 9},
		"a key of a list's": {made("\xd1\x01\x02", "\x51a", "\xa1\x03", "\x51b"), "=a\na=b\n", nil, 9},
		"nothing's":         {made("\x51a", "\x53SSN"), "=a\n", plist.ErrCorrupt, 9},
		"no object's":       {made("\xa1\x01", "\x51aSSN"), "=a\n", plist.ErrCorrupt, 9},
		"before them":       {moved(made("\x51a")), "=a\n", plist.ErrCorrupt, 9},
		"a key of data":     {made("\xd1\x01\x02", "\x43SSN", "\x51a"), "=a\n", plist.ErrCorrupt, 9},
		"numbers":           {made("\xa3\x01\x02\x03", "\x11\x12\x34", "\x13\xff\xff\xff\xff\xff\xff\xff\xfe", "\x23\x3f\xf8\x00\x00\x00\x00\x00\x00"), "=4660\n=-2\n=1.5\n", nil, 9},
		"a day":             {made("\x33\x41\x00\x00\x00\x00\x00\x00\x00"), "=2001-01-02 12:24:32\n", nil, 9}, // 131,072 s
		"a long text":       {made("\x5f\x10\x20" + strings.Repeat("x", 32)), "=" + strings.Repeat("x", 32) + "\n", nil, 9},
		"within itself":     {made("\xa2\x00\x01", "\x51a"), "=a\n", nil, 9},
		"out's error":       {made("\xa2\x01\x01", "\x51a"), "=a\n", errFull, 1},
		"cut text":          {made("\x5f\x11\xff\xff" + "abc"), "=abc\x00\n", plist.ErrCorrupt, 9},
		"no object":         {made("\xa1\x09"), "", plist.ErrCorrupt, 9},
		"nothing":           {nil, "", plist.ErrCorrupt, 9},
	} {
		out := &list{left: c.left}
		err := plist.Read(c.in, out)
		got := out.String()
		if name == "cut text" { // with the table of offsets behind it
			got = strings.Replace(got, "\x08", "\x00", 1)
		}
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", name, got, err, c.want, c.err)
		}
	}
}

// moved puts bytes before the one object of a list.
func moved(b []byte) []byte {
	b = slices.Insert(b, 8, []byte("SSN")...)
	b[len(b)-33] += 3
	b[len(b)-1] += 3
	return b
}

// TestLongKey holds that a key that is no label is told whole.
func TestLongKey(t *testing.T) {
	out := &list{left: 9}
	key := strings.Repeat("k", 300)
	err := plist.Read(wide(2, []string{"\xd1\x00\x01\x00\x02", "\x5f\x11\x01\x2c" + key, "\x51a"}, 0, 1, 2), out)
	if want := "=" + key + "\n" + key[:256] + "=a\n"; err != nil || out.String() != want {
		t.Errorf("got %q, %v, want %q", out.String(), err, want)
	}
}

// wide is a list whose references and offsets have as many bytes: each number is
// that of the text its object stands for.
func wide(ref int, texts []string, objects ...int) []byte {
	b := []byte("bplist00")
	var at []int
	for _, s := range texts {
		at = append(at, len(b))
		b = append(b, s...)
	}
	t := make([]byte, 32)
	t[6], t[7] = 4, byte(ref)
	binary.BigEndian.PutUint64(t[8:], uint64(len(objects)))
	binary.BigEndian.PutUint64(t[24:], uint64(len(b)))
	for _, n := range objects {
		b = binary.BigEndian.AppendUint32(b, uint32(at[n]))
	}
	return append(b, t...)
}

// many counts what is read.
type many struct{ texts, data int }

func (m *many) Text(string, string) error { m.texts++; return nil }

func (m *many) Data(b []byte, _ func(string) string) error { m.data += len(b); return nil }

// TestOnce holds that bytes are read once, under however many numbers.
func TestOnce(t *testing.T) {
	refs := func(from, n int) string {
		b := []byte{0xaf, 0x11, byte(n >> 8), byte(n)}
		for i := range n {
			b = binary.BigEndian.AppendUint16(b, uint16(from+i))
		}
		return string(b)
	}
	const n = 9000
	data := "\x4f\x12\x00\x04\x93\xe0" + strings.Repeat("x", 300000)
	all := make([]int, n+1)
	for i := range n {
		all[1+i] = 1
	}
	out := &many{}
	if err := plist.Read(wide(2, []string{refs(1, n), data}, all...), out); err != nil || out.data != 300000 {
		t.Errorf("one data: got %d bytes, %v", out.data, err)
	}
	same := make([]int, n+1)
	same[n] = 1
	out = &many{}
	if err := plist.Read(wide(2, []string{refs(1, n), "\x51a"}, same...), out); err != nil || out.texts != 1 {
		t.Errorf("one list: got %d texts, %v", out.texts, err)
	}
	over := strings.Repeat("\x4f\x12\x00\x01\x00\x00", 20000) // each holds those behind it
	b := wide(2, []string{refs(1, n), over}, all...)
	for i := range n {
		binary.BigEndian.PutUint32(b[len(b)-32-4*(n-i):], uint32(8+4+2*n+6*i))
	}
	out = &many{}
	if err := plist.Read(b, out); !errors.Is(err, plist.ErrCorrupt) || out.data > len(b) {
		t.Errorf("overlapping: got %d bytes, %v", out.data, err)
	}
}

// TestPython reads what Python's plistlib writes.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	b, err := exec.CommandContext(t.Context(), python, "-c", `
import plistlib, sys, datetime
sys.stdout.buffer.write(plistlib.dumps({"main": {"kind": "text/html", "data": b"<p>SSN 536-22-8145</p>", "name": "Zoë 東京"}, "n": [1, -7, 2**40, 2.5],
  "when": datetime.datetime(1980, 5, 3, 12, 0, 1), "many": ["row %d" % i for i in range(1000)], "long": "x" * 70000, "yes": True}, fmt=plistlib.FMT_BINARY))`).Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	out := &list{left: 5000}
	if err := plist.Read(b, out); err != nil {
		t.Errorf("got %v", err)
	}
	for _, w := range []string{"text/html:<p>SSN 536-22-8145</p>\n", "name=Zoë 東京\n", "n=1\nn=-7\nn=1099511627776\nn=2.5\n", "when=1980-05-03 12:00:01\n", "many=row 999\n", "long=" + strings.Repeat("x", 70000) + "\n"} {
		if !strings.Contains(out.String(), w) {
			t.Errorf("want %.60q in it", w)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(made("\xd2\x01\x02\x03\x04", "\x53ssn", "\x54kind", "\x43abc", "\x64\x00t\x00e\x00x\x00t"))
	f.Add(made("\xa2\x00\x01", "\x51a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: 1000}
		if err := plist.Read(b, out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
	})
}
