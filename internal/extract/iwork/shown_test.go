package iwork_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/iwork"
)

// shown returns what a document of archives hands on.
func shown(t *testing.T, left int, archives ...[]byte) (string, error) {
	t.Helper()
	var d iwork.Document
	if _, err := d.Add(packed(join(archives...)), 1<<26); err != nil {
		t.Fatal(err)
	}
	out := &list{left: left}
	_, err := d.Show(out)
	return out.String(), err
}

// packed packs archives of any length.
func packed(b []byte) (out []byte) {
	for len(b) > 0 {
		n := min(len(b), 1<<15)
		out = append(out, pack(b[:n])...)
		b = b[n:]
	}
	return out
}

// tableOf is a table of one tile and two lists.
func tableOf(id, tile, texts, rich uint64) []byte {
	return archive(id, 6001, sub(4, sub(3, sub(1, sub(2, num(1, tile)))), sub(4, num(1, texts)), sub(17, num(1, rich))))
}

// TestShown holds that what a program shows is handed on, in whatever way a document
// has it.
func TestShown(t *testing.T) {
	const who = "Patient Jane Doe SSN 536-22-8841"
	entry := func(key uint64, s string) []byte { return sub(3, num(1, key), str(3, s)) }
	words := func(s string) [][]byte { return [][]byte{archive(1, 10000, sub(4, str(2, s)))} }
	for name, c := range map[string]struct {
		in   [][]byte
		want string
	}{
		"no-break space":    {words("Patient Jane Doe SSN\u00a0536-22-8841"), "SSN\u00a0536-22-8841"},
		"narrow space":      {words("Patient\u202f536-22-8841"), "536-22-8841"},
		"soft hyphen":       {words("Pa\u00adtient 536-22-8841"), "536-22-8841"},
		"joiners":           {words("Pat\u200b\u200c\u200dient 536-22-8841"), "536-22-8841"},
		"carriage return":   {words("Patient\r536-22-8841\vand\fmore"), "536-22-8841"},
		"private character": {words("\uf8ff Patient 536-22-8841"), "536-22-8841"},
		"mark of an object": {words("Patient\u0004 536-22-8841"), "536-22-8841"},
		"no UTF-8":          {words("Patient\xff 536-22-8841"), "536-22-8841"},
		"text or message":   {words(string(str(15, "536-22-8841                                         "))), "word|536-22-8841"},
		"tile of two tables": {[][]byte{tableOf(20, 21, 22, 0), tableOf(30, 21, 32, 0), archive(21, 6002, rowOf(0, cellOf(3, 8, u32(1)))),
			archive(22, 6005, entry(1, "nothing")), archive(32, 6005, entry(1, who))}, "row|" + who},
		"list of two tables": {[][]byte{tableOf(20, 0, 22, 0), tableOf(30, 21, 22, 0), archive(21, 6002, rowOf(0, cellOf(3, 8, u32(1)))),
			archive(22, 6005, entry(1, who))}, "row|" + who},
		"rich that leads nowhere": {[][]byte{tableOf(20, 21, 22, 23), archive(21, 6002, rowOf(0, cellOf(3, 8|16, u32(1), u32(77)))),
			archive(22, 6005, entry(1, who))}, "row|" + who},
		"number beside words": {[][]byte{tableOf(20, 21, 22, 0), archive(21, 6002, rowOf(0, cellOf(2, 1|8, decimal(536228841, 0, false), u32(1)))),
			archive(22, 6005, entry(1, "SSN"))}, "row|SSN 536228841"},
		"more digits than are shown": {[][]byte{tableOf(20, 21, 22, 0), archive(21, 6002, rowOf(0, cellOf(2, 1, decimal(5362281449999999996, -10, false))))},
			"row|536228145 (536228144.9999999996)\n"},
		"no more digits": {[][]byte{tableOf(20, 21, 22, 0), archive(21, 6002, rowOf(0, cellOf(2, 1, decimal(5362281450000000000, -10, true))))}, "row|-536228145\n"},
		"entry of no cell": {[][]byte{tableOf(20, 21, 22, 0), archive(21, 6002, rowOf(0, cellOf(3, 8, u32(1)))),
			archive(22, 6005, entry(1, "nothing"), entry(2, who))}, "word|" + who},
		"text of no cell": {[][]byte{tableOf(20, 21, 0, 23), archive(21, 6002, rowOf(0, cellOf(9, 16, u32(1)))),
			archive(23, 6005, sub(3, num(1, 2), sub(9, num(1, 24)))), archive(24, 6218, sub(1, num(1, 25))), archive(25, 2001, str(3, who))}, "word|" + who},
		"key of two entries": {[][]byte{tableOf(20, 21, 22, 0), archive(21, 6002, rowOf(0, cellOf(3, 8, u32(1)))),
			archive(22, 6005, entry(1, who), entry(1, "nothing"))}, "word|" + who},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := shown(t, 100, c.in...); err != nil || !strings.Contains(got, c.want) {
				t.Errorf("%q, %v: want %q in it", got, err, c.want)
			}
		})
	}
}

// TestRepeated holds that a document whose tables name the same things over and
// over is bounded by what it holds.
func TestRepeated(t *testing.T) {
	var tables, entries, rows [][]byte
	for i := range uint64(20000) {
		tables = append(tables, tableOf(100+i, 21, 22, 23))
		entries = append(entries, sub(3, num(1, i+1), sub(9, num(1, 24))))
	}
	for range 30000 {
		rows = append(rows, sub(5, num(1, 0), sub(6, make([]byte, 4))))
	}
	rest := [][]byte{archive(21, 6002, rows...), archive(22, 6005, entries...), archive(23, 6005, entries...),
		archive(24, 6218, sub(1, num(1, 25))), archive(25, 2001, str(3, strings.Repeat("Patient ", 1<<17)))}
	if _, err := shown(t, 1<<20, append(tables, rest...)...); !errors.Is(err, iwork.ErrTooMany) {
		t.Errorf("a tile of all tables: got %v", err)
	}
	rest[0] = archive(21, 6002)
	if got, err := shown(t, 1<<20, append(tables, rest...)...); err != nil || strings.Count(got, "Patient Patient")*2 > 1<<17 {
		t.Errorf("a text of all entries: %d bytes, %v", len(got), err)
	}
}
