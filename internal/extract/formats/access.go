package formats

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/access"
	"github.com/stanch-dlp/stanch/internal/extract/ole1"
)

const mediaAccess = "application/msaccess"

// access reads a database as those of SQLite are read.
func (j *job) access(at place, b []byte) error {
	j.part(at, mediaAccess)
	if access.Encoded(b) {
		if j.hold(int64(len(b))); j.held > j.lim.Memory {
			return gapOf(dlp.TooLarge, "more than may be held")
		}
		b = bytes.Clone(b)
	}
	d := &tables{database: database{officeDoc: &officeDoc{j: j, at: at, packed: int64(len(b))}}}
	d.s = &sheet{d: d.officeDoc}
	err := access.Read(b, d)
	if errors.Is(err, access.ErrEncrypted) {
		err = gapOf(dlp.Encrypted, "access")
	}
	return d.end(err, "objects of a database", "access")
}

// tables writes a database's rows.
type tables struct{ database }

// Row implements access.Sink.
func (t *tables) Row(values []access.Value) error {
	for i, v := range values {
		c := cell{col: i, text: validString(v.Text)}
		if len(v.Blob) > 0 {
			c.text = t.blob(t.object(v.Blob))
		}
		t.s.add(c)
	}
	return t.endRow(len(values))
}

// object returns the file in a value: an attachment behind its own head, packed
// or not, or an object of OLE behind Access's.
func (t *tables) object(b []byte) []byte {
	if len(b) < 8 {
		return b
	}
	le := binary.LittleEndian
	if le.Uint16(b) == 0x1c15 { // the head of an object, and its length
		if n := int(le.Uint16(b[2:])); n < len(b) {
			o := ole1.Read(b[n:])
			if p, ok := ole1.Package(o.Data); ok {
				o = p
			}
			return o.Data
		}
	}
	kind, size := le.Uint32(b), int64(le.Uint32(b[4:]))
	body := b[8:]
	switch {
	case kind == 1 && len(body) > 2 && body[0]&0x0f == 8: // packed by zlib
		r, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return b
		}
		limit := min(t.j.lim.Memory-t.j.held, int64(len(body))*t.j.lim.Ratio+1<<20)
		unpacked, err := io.ReadAll(io.LimitReader(&budget{j: t.j, r: r, packed: int64(len(body))}, max(limit, 0)))
		if err != nil && len(unpacked) == 0 {
			return b
		}
		body = unpacked
	case kind == 0 && size <= int64(len(body)) && size > 8:
	default:
		return b
	}
	if len(body) < 8 {
		return b
	}
	if n := int64(le.Uint32(body)); n >= 8 && n <= int64(len(body)) { // a head with the kind of file, in letters
		return body[n:]
	}
	return b
}
