package xls_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/xls"
)

// box writes a text box of so many letters, whose text stands in the parts.
func box(letters int, parts ...string) []byte {
	b := record(nil, 0x809, 0x600, 5, 0, 0, 0, 0, 0, 0)
	b = record(b, 0x1b6, 0, 0, 0, 0, 0, letters, 16, 0, 0)
	for _, p := range parts {
		b = record(b, 0x3c, p)
	}
	return record(b, 0x0a)
}

func wide(s string) string {
	out := "\x01"
	for _, r := range s {
		out += string([]byte{byte(r), byte(r >> 8)})
	}
	return out
}

// Letters are counted, not bytes, over all records that hold them.
func TestTextBox(t *testing.T) {
	long := strings.Repeat("жук ", 1000)
	for name, c := range map[string]struct {
		b    []byte
		want string
		err  error
	}{
		"over two records": {box(4015, wide(long), wide("SSN 536-22-8145"), strings.Repeat("\x00", 16)), "line " + long + "SSN 536-22-8145\n", nil},
		"cut in a number":  {box(15, wide("SSN 536-"), "\x0022-8145"), "line SSN 536-22-8145\n", nil},
		"letters lack":     {box(20, wide("SSN 536-22-8145")), "line SSN 536-22-8145\n", xls.ErrCorrupt},
		"none come":        {box(20), "", xls.ErrCorrupt},
	} {
		out := &list{left: 99}
		if _, err := xls.Read(c.b, out); !errors.Is(err, c.err) || !strings.HasSuffix(out.String(), c.want) {
			t.Errorf("%s: %.80q, %v", name, out.String(), err)
		}
	}
}
