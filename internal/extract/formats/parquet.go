package formats

import (
	"errors"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/parquet"
)

const (
	mediaParquet = "application/vnd.apache.parquet"
	maxShortText = 1 << 10 // bytes that are a cell, whatever else they could be
)

// parquet reads a file's rows as those of a workbook are written, below it what
// programs say of it, and then what lies in its bytes.
func (j *job) parquet(at place, b []byte) error {
	j.part(at, mediaParquet)
	d := &columns{database: database{officeDoc: &officeDoc{j: j, at: at, packed: int64(len(b))}}}
	d.s = &sheet{d: d.officeDoc}
	err := parquet.Read(b, max(j.lim.Memory-j.held, 0)/2, d) // blobs are held as well
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	for _, f := range []struct {
		err    error
		cause  dlp.Cause
		detail string
	}{
		{parquet.ErrEncrypted, dlp.Encrypted, "parquet"},
		{parquet.ErrTooLarge, dlp.TooLarge, "pages of a table"},
		{parquet.ErrUnsupported, dlp.Unsupported, "columns of a table"},
		{parquet.ErrCorrupt, dlp.Corrupt, "parquet"},
	} {
		if errors.Is(err, f.err) {
			j.gap(at, f.cause, f.detail, 0)
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return d.end(nil, "blobs of a table", "parquet")
}

// columns writes the rows of a table that is kept by columns.
type columns struct{ database }

// Columns implements parquet.Sink.
func (c *columns) Columns(names []string) error {
	return c.s.declared(names, cutLabel)
}

// Cell implements parquet.Sink.
func (c *columns) Cell(column int, v parquet.Value) error {
	text := validString(v.Text)
	switch b := v.Bytes; {
	case len(b) == 0:
	case len(b) <= maxShortText && textEncoding(b, "") == encUTF8: // programs write texts without saying so
		text = decodeText(b, "")
	case len(b) <= smallBlob: // too little for a file, which it may look like
		for _, w := range words(b) {
			c.s.words = append(append(c.s.words, w...), '\n')
		}
	default:
		text = c.blob(b)
	}
	c.s.add(cell{col: column, text: text, label: cutLabel(validString(v.Key))})
	return c.spent(1)
}

// EndRow implements parquet.Sink.
func (c *columns) EndRow() error { return c.endRow(0) }

// Pair implements parquet.Sink.
func (c *columns) Pair(key, value string) error {
	key, value = cutLabel(validString(key)), validString(value)
	c.j.out.writeString(key + ": ")
	c.j.out.field(value, key, 0)
	c.j.out.writeString("\n")
	return c.spent(len(key) + len(value) + 3)
}

// Spend implements parquet.Sink.
func (c *columns) Spend(n int) error { return c.spent(n) }
