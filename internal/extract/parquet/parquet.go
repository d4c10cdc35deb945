// Package parquet reads the rows of Apache Parquet files.
//
// Pages are read one at a time and decoded as their values are asked for: it
// holds one page and one dictionary of each column of a row group, and no more
// of them than it may. What no footer tells of is not read.
//
// Source: github.com/apache/parquet-format: README.md, Encodings.md,
// Compression.md, LogicalTypes.md, Encryption.md, parquet.thrift.
package parquet

import (
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/zstd"
)

// Marks at both ends of a file.
const (
	Magic          = "PAR1"
	MagicEncrypted = "PARE" // its footer is encrypted
)

// What is wrong with a file. Read joins all that it met with; what could be read
// was told.
var (
	ErrCorrupt     = errors.New("parquet: cut or damaged")
	ErrEncrypted   = errors.New("parquet: encrypted")
	ErrTooLarge    = errors.New("parquet: more than may be held")
	ErrUnsupported = errors.New("parquet: by a codec or an encoding that is not read, or in another file")
)

// Value is one value as it is shown. Bytes of which the file does not say what
// they are stand in Bytes; both are empty for a null.
type Value struct {
	Text  string // not checked for UTF-8
	Bytes []byte // good until the next value
	Key   string // of a map's value, not checked for UTF-8
}

// Sink takes what is found. After an error no more comes.
type Sink interface {
	// Columns takes the names of the columns that have values, those of groups
	// in front with dots between.
	Columns(names []string) error
	// Cell takes a value of the row at hand; of a column that repeats all of
	// a row, one after the other.
	Cell(column int, v Value) error
	// EndRow ends a row.
	EndRow() error
	// Pair takes what a program says of the file.
	Pair(key, value string) error
	// Spend counts n bytes that were unpacked, or values without bytes.
	Spend(n int) error
}

const tail = 8 // the footer's length and the mark behind it

// Read gives out the columns' names, every row of every row group, and what
// programs say of the file. It holds at most room bytes of unpacked pages and
// dictionaries. Its error is out's, or holds those above.
func Read(b []byte, room int64, out Sink) error {
	n := len(b)
	if n < len(Magic)+tail || string(b[:4]) != Magic && string(b[:4]) != MagicEncrypted {
		return ErrCorrupt
	}
	end := string(b[n-4:])
	if end == MagicEncrypted || string(b[:4]) == MagicEncrypted {
		return ErrEncrypted
	}
	size := int64(binary.LittleEndian.Uint32(b[n-tail:]))
	if end != Magic || size > int64(n-tail-len(Magic)) {
		return ErrCorrupt
	}
	r := &reader{b: b, out: out, room: room}
	defer func() {
		if r.zst != nil {
			r.zst.Close()
		}
	}()
	return r.file(b[n-tail-int(size) : n-tail])
}

// reader reads one file.
type reader struct {
	b    []byte
	out  Sink
	room int64 // bytes that may still be held
	tick int   // values taken since the last that were counted
	zst  *zstd.Decoder

	columns []*column
	faults  [4]error // each once
}

// fault keeps what is wrong where the rest can be read all the same. It returns
// what cannot be passed over: an error of the sink.
func (r *reader) fault(err error) error {
	for i, known := range []error{ErrCorrupt, ErrEncrypted, ErrTooLarge, ErrUnsupported} {
		if errors.Is(err, known) {
			r.faults[i] = known
			return nil
		}
	}
	return err
}

func (r *reader) file(footer []byte) error {
	m, err := readMeta(footer)
	if err != nil {
		return err
	}
	if m.encrypted { // some columns may be, which their chunks say
		r.faults[1] = ErrEncrypted
	}
	names := make([]string, len(m.leaves))
	for i := range m.leaves {
		names[i] = m.leaves[i].name
	}
	if err := r.out.Columns(names); err != nil {
		return err
	}
	for p := m.groups(); p.more(); {
		chunks, err := p.next(len(m.leaves))
		if err != nil {
			r.faults[0] = ErrCorrupt
			break
		}
		if err := r.group(m, chunks); err != nil {
			return err
		}
	}
	for _, kv := range m.pairs {
		if err := r.out.Pair(kv[0], kv[1]); err != nil {
			return err
		}
	}
	return errors.Join(r.faults[:]...)
}

// group reads one row group: its columns side by side, a row of each at a time.
func (r *reader) group(m *meta, chunks []chunk) error {
	r.columns = r.columns[:0]
	defer func() {
		for _, c := range r.columns {
			c.drop()
		}
	}()
	if len(chunks) != len(m.leaves) {
		r.faults[0] = ErrCorrupt
	}
	for i, ch := range chunks[:min(len(chunks), len(m.leaves))] {
		c, err := newColumn(r, i, &m.leaves[i], ch)
		if err == nil {
			r.columns = append(r.columns, c)
		} else if err := r.fault(err); err != nil {
			return err
		}
	}
	for i, c := range r.columns {
		if i > 0 && c.leaf.keys > 0 && r.columns[i-1].leaf == &m.leaves[c.leaf.keys-1] {
			c.keyed = r.columns[i-1]
		}
	}
	for {
		some, ended := false, false
		for _, c := range r.columns {
			c.keys = c.keys[:0]
			if c.done {
				continue
			}
			got, err := c.row()
			if err != nil {
				c.done, c.broken = true, true
				if err := r.fault(err); err != nil {
					return err
				}
			}
			some = some || got
			ended = ended || c.done && !c.broken && !got
		}
		if !some {
			return nil
		}
		if ended { // its columns have not all as many rows
			r.faults[0] = ErrCorrupt
		}
		if err := r.out.EndRow(); err != nil {
			return err
		}
	}
}

// took counts a value or a null that was taken: few bytes can stand for many.
func (r *reader) took() error {
	const often = 4096
	if r.tick++; r.tick < often {
		return nil
	}
	r.tick = 0
	return r.out.Spend(often)
}

// hold counts n bytes more that are held, or fewer.
func (r *reader) hold(n int) error {
	if r.room -= int64(n); r.room < 0 {
		r.room += int64(n)
		return ErrTooLarge
	}
	return nil
}
