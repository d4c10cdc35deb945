package formats

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/sqlitefile"
)

const (
	mediaSQLite = "application/vnd.sqlite3"
	smallBlob   = 64 // bytes: hashes, keys and UUIDs are no longer
)

// sqlite reads a database: its rows as those of a workbook are written, then
// what lies in its blobs.
func (j *job) sqlite(at place, b []byte) error {
	j.part(at, mediaSQLite)
	d := &database{officeDoc: &officeDoc{j: j, at: at, packed: int64(len(b))}}
	d.s = &sheet{d: d.officeDoc}
	return d.end(sqlitefile.Read(b, d), "blobs of a database", "sqlite")
}

// end reads what lies in blobs once the rows have been read, tells of those that
// are of no known kind, and makes a gap of err: its own, else Corrupt of a format.
func (d *database) end(err error, unknown, format string) error {
	if d.unknown {
		d.j.gap(d.at, dlp.Unsupported, unknown, 0)
	}
	d.members()
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	if err != nil {
		return gapOf(dlp.Corrupt, format)
	}
	return nil
}

// members reads what lies in blobs.
func (d *database) members() {
	for i, blob := range d.blobs {
		d.j.leaf(d.at.inside(itoa(i+1)), memory(blob))
	}
}

// database writes a database's rows.
type database struct {
	*officeDoc
	s       *sheet
	blobs   [][]byte
	unknown bool // blobs of no known kind were seen
}

// Table implements sqlitefile.Sink.
func (d *database) Table(name string, columns []string) error {
	d.s = &sheet{d: d.officeDoc}
	d.j.out.field(validString(name), "table", 0)
	d.j.out.writeString("\n")
	if err := d.spent(len(name) + 1); err != nil {
		return err
	}
	return d.s.declared(columns, cutLabel)
}

// Row implements sqlitefile.Sink.
func (d *database) Row(values []sqlitefile.Value) error {
	for i, v := range values {
		c := cell{col: i}
		switch v.Kind {
		case sqlitefile.Integer:
			c.text = strconv.FormatInt(v.Int, 10)
		case sqlitefile.Real:
			c.text = plainNumber(v.Real)
		case sqlitefile.Text:
			c.text = validString(v.Text)
		case sqlitefile.Blob:
			c.text = d.blob(v.Blob)
		}
		d.s.add(c)
	}
	return d.endRow(len(values))
}

// endRow ends a row of n cells.
func (d *database) endRow(n int) error {
	d.s.endRow()
	d.j.out.write(d.s.words) // of a row that shows nothing
	d.s.cells, d.s.held, d.s.words = d.s.cells[:0], 0, d.s.words[:0]
	return d.spent(1 + n)
}

// blob returns the text that a blob is, or keeps it to be read as a file.
func (d *database) blob(b []byte) string {
	switch k := sniff(b[:min(len(b), headSize)], place{}); {
	case k.format == fEmpty:
	case k.format == fText && len(b) <= maxCell && textEncoding(b, "") == encUTF8:
		return decodeText(b, "")
	case k.format == fBinary && k.detail == "binary":
		if d.unknown = d.unknown || len(b) > smallBlob; len(b) <= smallBlob {
			for _, w := range words(b) {
				d.s.words = append(append(d.s.words, w...), '\n')
			}
		}
	default:
		d.j.hold(int64(len(b)))
		if len(d.blobs) <= d.j.lim.Members && d.j.held <= d.j.lim.Memory {
			d.blobs = append(d.blobs, bytes.Clone(b))
		} else if d.wb.err == nil {
			d.wb.err = gapOf(dlp.TooLarge, "blobs of a database")
		}
	}
	return ""
}

// Statement implements sqlitefile.Sink.
func (d *database) Statement(sql string) error {
	d.line([]byte(sql))
	return d.spent(len(sql) + 1)
}
