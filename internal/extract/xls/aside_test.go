package xls_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/xls"
)

// TestAside holds that what a workbook's reader is shown outside its cells is read.
func TestAside(t *testing.T) {
	begin := record(nil, 0x809, 0x600, 5, 0, 0, 0, 0, 0, 0)
	four := "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"what a cell may hold":    {record(begin, 0x1be, 3, 0, four, 8, 0, "\x17\x05\x00Al\x00Bo", 0, 0), "line Al, Bo\n"},
		"a format on a condition": {record(begin, 0x1b1, "\x01\x03", 5, 0, "format", "\x17\x02\x00ab"), "line ab\n"},
		"one of Excel 2007":       {record(begin, 0x87a, "header12byte", "\x01\x03", 5, 0, 0, 0, 0, "\x17\x02\x00ab"), "line ab\n"},
		"one with a format":       {record(begin, 0x87a, "header12byte", "\x01\x03", 5, 0, 6, 0, "format", "\x17\x02\x00ab"), "line ab\n"},
		"a filter":                {record(begin, 0x9e, 0, 0, "\x06\x02\x00\x00\x00\x00\x02\x00\x00\x00", "\x06\x02\x00\x00\x00\x00\x02\x00\x00\x00", "\x00ab", "\x00cd"), "line ab\nline cd\n"},
		"a shared formula":        {record(begin, 0x4bc, 0, 0, 0, 0, 5, "\x17\x02\x00ab"), "words ab\n"},
		"a formula of an array":   {record(begin, 0x221, 0, 0, 0, 0, 0, 0, 5, "\x17\x02\x00ab"), "words ab\n"},
		"a name itself":           {record(begin, 0x18, 0, 0x0300, 0, 0, 0, 0, 0, "\x00Ana"), "line Ana\n"},
		"Excel's own name":        {record(begin, 0x18, 0x20, 0x0100, 0, 0, 0, 0, 0, "\x00\x06"), ""},
		"a name's description":    {record(begin, 0x18, 0, 0x0100, 0, 0, 0, 0x0200, 0, "\x00N\x00ab"), "line ab\n"},
		"a comment on a name":     {record(begin, 0x894, "header12byte", 1, 2, "\x00N", "\x00ab"), "line ab\n"},
		"another file":            {record(begin, 0x1ae, 1, 4, "\x00\x01a\x03b", 2, "\x00ab"), "line a\\b\nline ab\n"},
		"this file":               {record(begin, 0x1ae, 1, 0x401), ""},
		"a name in another file":  {record(begin, 0x23, 0, 0, 0, "\x02\x00ab"), "line ab\n"},
		"another file of Excel 5": {record(record(nil, 0x809, 0x500, 5, 0, 0), 0x17, "\x03\x01ab"), "line ab\n"},
		"who wrote it":            {record(begin, 0x5c, 5, "\x00Ana  "), "line Ana\n"},
	} {
		out := &list{left: 99}
		if _, err := xls.Read(record(c.b, 0x0a), out); err != nil || out.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, out.String(), err, c.want)
		}
	}
}

// TestExcel5OfToday holds that a workbook is of the version that its first record
// says: Excel of today saves those of Excel 5 with sheets that claim to be Excel 97's.
func TestExcel5OfToday(t *testing.T) {
	b := record(record(nil, 0x809, 0x500, 5, 0, 0), 0x85, 0, 0, 0, "\x01A")
	at := len(b) + 4
	b[len(b)-8] = byte(at) // where the sheet begins
	b = record(b, 0x0a)
	b = record(record(b, 0x809, 0x600, 0x10, 0, 0), 0x204, 0, 0, 0, 15, "SSN 536-22-8145")
	out := &list{left: 99}
	if _, err := xls.Read(record(b, 0x0a), out); err != nil || out.String() != "[A]\n0 0 SSN 536-22-8145\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
