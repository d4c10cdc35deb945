package formats

import (
	"errors"
	"unicode/utf8"

	"golang.org/x/text/encoding"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/dbf"
)

const mediaDBF = "application/x-dbf"

// dbf reads a table of dBASE's as a workbook's is written.
func (j *job) dbf(at place, b []byte) error {
	j.part(at, mediaDBF)
	t := &dbfTable{rows: newRows(&officeDoc{j: j, at: at, packed: int64(len(b))})}
	if !utf8.Valid(b) {
		t.found = detectHigh(dbf.Rows(b))
	}
	err := dbf.Read(b, t)
	t.end()
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	if err != nil {
		return gapOf(dlp.Corrupt, "dbf")
	}
	return nil
}

// dbfTable writes the rows of a table.
type dbfTable struct {
	*rows
	found encoding.Encoding // of texts where the table names none; nil for Western European
}

// Text decodes a text: programs of today write UTF-8 whatever the table names.
func (t *dbfTable) Text(page int, b []byte) string {
	switch {
	case utf8.Valid(b):
		return string(b)
	case page != 0:
		return codepage.Decode(page, b)
	case t.found != nil:
		return string(decodedBy(t.found, b))
	}
	return codepage.Decode(codepage.Latin1, b)
}

// Columns writes the names of the columns, which label their cells.
func (t *dbfTable) Columns(names []string) error {
	t.s.header = false
	return t.s.declared(names, columnLabel)
}
