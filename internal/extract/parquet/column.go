package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// column reads one column of a row group.
type column struct {
	r     *reader
	index int
	leaf  *leaf
	codec int
	b     []byte // of the file, from the next page on
	size  int64  // of it that the chunk owns, as the footer has it
	count int64  // values that the footer tells of, still to come
	dict  *dictionary
	words int // held for dict

	left     int64 // entries of the page at hand
	rep, def hybrid
	vals     values
	buf      []byte // unpacked

	ahead            bool // nextRep and nextDef are the next entry's
	nextRep, nextDef uint32
	done, broken     bool

	keys  []string // those of the row at hand, of a column that is a map's key
	keyed *column  // with the keys of this one's values
}

// most that is kept of the keys of one row; what comes behind has no key
const (
	maxKeys = 1024
	maxKey  = 256
)

func newColumn(r *reader, index int, l *leaf, ch chunk) (*column, error) {
	switch {
	case ch.encrypted:
		return nil, ErrEncrypted
	case ch.outside:
		return nil, ErrUnsupported
	case ch.values == 0 && ch.size == 0:
		return &column{r: r, leaf: l}, nil
	case ch.start < int64(len(Magic)) || ch.start > int64(len(r.b)-tail) || ch.size < 0 || ch.values < 0:
		return nil, ErrCorrupt
	}
	return &column{r: r, index: index, leaf: l, codec: ch.codec, b: r.b[ch.start : len(r.b)-tail], size: ch.size, count: ch.values}, nil
}

// drop gives back what is held.
func (c *column) drop() {
	_ = c.r.hold(-cap(c.buf) - c.words) // fewer are always held
	c.buf, c.dict, c.words = nil, nil, 0
}

// row gives out the values of one row. It returns whether there was one.
func (c *column) row() (got bool, err error) {
	for n := 0; ; n++ {
		ok, err := c.peek()
		if err != nil {
			return got, err
		}
		if !ok {
			c.done = !got
			return got, nil
		}
		if got && c.nextRep == 0 {
			return true, nil
		}
		got, c.ahead = true, false
		if err := c.r.took(); err != nil {
			return true, err
		}
		if int(c.nextDef) == c.leaf.maxDef {
			raw, ok := c.vals.next()
			if !ok {
				return true, ErrCorrupt
			}
			v := c.leaf.show(raw)
			if c.keyed != nil && n < len(c.keyed.keys) {
				v.Key = c.keyed.keys[n]
			}
			c.keep(v)
			if err := c.r.out.Cell(c.index, v); err != nil {
				return true, err
			}
		} else {
			c.keep(Value{})
		}
		if c.leaf.maxRep == 0 {
			return true, nil
		}
	}
}

// keep remembers v, where it is a key, for the value of its number in the row.
func (c *column) keep(v Value) {
	if !c.leaf.isKey || len(c.keys) == maxKeys {
		return
	}
	k := v.Text
	if k == "" {
		k = string(v.Bytes[:min(len(v.Bytes), maxKey)])
	}
	if len(k) > maxKey {
		k = ""
	}
	c.keys = append(c.keys, k)
}

// peek reads the levels of the next entry.
func (c *column) peek() (bool, error) {
	if c.ahead {
		return true, nil
	}
	for c.left == 0 {
		if more, err := c.page(); !more || err != nil {
			return false, err
		}
	}
	var ok1, ok2 bool
	c.nextRep, ok1 = c.rep.next()
	c.nextDef, ok2 = c.def.next()
	if !ok1 || !ok2 || int(c.nextRep) > c.leaf.maxRep || int(c.nextDef) > c.leaf.maxDef {
		return false, ErrCorrupt
	}
	c.left--
	c.ahead = true
	return true, nil
}

// pageHead is a PageHeader.
type pageHead struct {
	kind               int
	unpacked, packed   int64
	values             int64
	encoding           int
	defCoded, repCoded int
	defSize, repSize   int64
	plain              bool // of version 2: its values are not packed
}

// pageHeader reads a PageHeader.
func (t *thrift) pageHeader() (h pageHead) {
	h.kind, h.defCoded, h.repCoded = -1, eRLE, eRLE
	t.fields(func(id int, typ byte) bool {
		switch {
		case typ == tI32:
			v := t.int()
			switch id {
			case 1:
				h.kind = int(v)
			case 2:
				h.unpacked = v
			case 3:
				h.packed = v
			}
			return true
		case typ != tStruct || id != 5 && id != 7 && id != 8:
			return false
		}
		v2 := id == 8
		t.fields(func(id int, typ byte) bool {
			if v2 && id == 7 {
				h.plain = typ == tFalse
				return false
			}
			if typ != tI32 {
				return false
			}
			v := t.int()
			switch {
			case id == 1:
				h.values = v
			case v2 && id == 4, !v2 && id == 2:
				h.encoding = int(v)
			case v2 && id == 5:
				h.defSize = v
			case v2 && id == 6:
				h.repSize = v
			case !v2 && id == 3:
				h.defCoded = int(v)
			case !v2 && id == 4:
				h.repCoded = int(v)
			}
			return true
		})
		return true
	})
	return h
}

// Kinds of pages.
const (
	pageData       = 0
	pageDictionary = 2
	pageDataV2     = 3
)

// page enters the next page, false where there is none. Files of old programs
// tell a size without the last page's end, so what it may have is the file's.
func (c *column) page() (more bool, err error) {
	if c.size <= 0 && c.count <= 0 {
		return false, nil
	}
	t := &thrift{b: c.b}
	h := t.pageHeader()
	if t.bad || h.packed < 0 || h.packed > int64(len(t.b)) || h.unpacked < 0 || h.values < 0 {
		return false, ErrCorrupt
	}
	body := t.b[:h.packed]
	c.size -= int64(len(c.b)-len(t.b)) + h.packed
	c.b = t.b[h.packed:]
	switch h.kind {
	case pageDictionary:
		return true, c.dictionary(body, h)
	case pageData:
		c.count -= h.values
		c.left = h.values
		return true, c.first(body, h)
	case pageDataV2:
		c.count -= h.values
		c.left = h.values
		return true, c.second(body, h)
	}
	return true, nil // an index
}

func (c *column) dictionary(body []byte, h pageHead) error {
	if h.encoding != ePlain && h.encoding != ePlainDictionary {
		return ErrUnsupported
	}
	_ = c.r.hold(-c.words) // fewer are always held
	c.dict, c.words = nil, 0
	b, err := c.unpack(nil, body, h.unpacked)
	if err != nil {
		return err
	}
	n := 2 * len(b)
	if err := c.r.hold(n); err != nil {
		return err
	}
	c.words = n
	c.dict, err = c.leaf.newDictionary(b)
	return err
}

// first enters a page of version 1: the levels are packed with the values.
func (c *column) first(body []byte, h pageHead) error {
	b, err := c.refill(body, h.unpacked)
	if err != nil {
		return err
	}
	var ok bool
	if c.rep, b, ok = levels(b, c.leaf.maxRep, h.repCoded, h.values); !ok {
		return ErrCorrupt
	}
	if c.def, b, ok = levels(b, c.leaf.maxDef, h.defCoded, h.values); !ok {
		return ErrCorrupt
	}
	c.vals, err = c.decode(h.encoding, b)
	return err
}

// second enters a page of version 2: the levels stand in front as they are.
func (c *column) second(body []byte, h pageHead) error {
	n := int64(len(body))
	if h.repSize < 0 || h.defSize < 0 || h.repSize > n || h.defSize > n-h.repSize || h.repSize+h.defSize > h.unpacked {
		return ErrCorrupt
	}
	rep, def, b := body[:h.repSize], body[h.repSize:h.repSize+h.defSize], body[h.repSize+h.defSize:]
	c.rep = hybrid{b: rep, width: uint(bits.Len(uint(c.leaf.maxRep)))}
	c.def = hybrid{b: def, width: uint(bits.Len(uint(c.leaf.maxDef)))}
	var err error
	if !h.plain && len(b) > 0 {
		if b, err = c.refill(b, h.unpacked-h.repSize-h.defSize); err != nil {
			return err
		}
	}
	c.vals, err = c.decode(h.encoding, b)
	return err
}

// levels reads where a page's levels stand, and returns what is behind them.
func levels(b []byte, most, coding int, n int64) (h hybrid, rest []byte, ok bool) {
	h.width = uint(bits.Len(uint(most)))
	switch {
	case most == 0:
		return h, b, true
	case coding == eBitPacked:
		size := (n*int64(h.width) + 7) / 8
		if size > int64(len(b)) {
			return h, nil, false
		}
		h.b, h.legacy = b[:size], true
		return h, b[size:], true
	}
	h.b, rest, ok = prefixed(b)
	return h, rest, ok
}

// prefixed parts the bytes behind a length from what follows.
func prefixed(b []byte) (in, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > int64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// refill unpacks a page in the place of the one before.
func (c *column) refill(body []byte, size int64) ([]byte, error) {
	if c.codec == codecNone {
		return body, nil
	}
	if size > int64(cap(c.buf)) {
		_ = c.r.hold(-cap(c.buf)) // fewer are always held
		c.buf = nil
		if err := c.r.hold(int(size)); err != nil {
			return nil, err
		}
		c.buf = make([]byte, 0, size)
	}
	return c.unpack(c.buf, body, size)
}

// Codecs.
const (
	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecBrotli = 4
	codecLZ4    = 5 // as Hadoop has it
	codecZstd   = 6
	codecLZ4Raw = 7
)

// unpack returns what body holds: size bytes, in to where there is room.
func (c *column) unpack(to, body []byte, size int64) ([]byte, error) {
	if c.codec == codecNone {
		return body, nil
	}
	if err := c.r.out.Spend(int(size)); err != nil {
		return nil, err
	}
	if size > c.r.room && int64(cap(to)) < size {
		return nil, ErrTooLarge
	}
	if int64(cap(to)) < size {
		to = make([]byte, size)
	}
	to = to[:size]
	switch c.codec {
	case codecSnappy:
		n, err := snappy.DecodedLen(body)
		if err != nil || int64(n) != size {
			return nil, ErrCorrupt
		}
		if to, err = snappy.Decode(to, body); err != nil {
			return nil, ErrCorrupt
		}
		return to, nil
	case codecGzip:
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, ErrCorrupt
		}
		return filled(to, r)
	case codecBrotli:
		return filled(to, brotli.NewReader(bytes.NewReader(body)))
	case codecZstd:
		return c.r.zstd(to, body)
	case codecLZ4Raw:
		return block(to, body)
	case codecLZ4:
		if hadoop(to, body) {
			return to, nil
		}
		if b, err := block(to, body); err == nil {
			return b, nil
		}
		return filled(to, lz4.NewReader(bytes.NewReader(body)))
	}
	return nil, ErrUnsupported // LZO
}

// filled reads as much as to has room for, at whose end r ends.
func filled(to []byte, r io.Reader) ([]byte, error) {
	if _, err := io.ReadFull(r, to); err != nil {
		return nil, ErrCorrupt
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return nil, ErrCorrupt
	}
	return to, nil
}

func block(to, body []byte) ([]byte, error) {
	if n, err := lz4.UncompressBlock(body, to); err != nil || n != len(to) {
		return nil, ErrCorrupt
	}
	return to, nil
}

// hadoop unpacks blocks behind their lengths, which say themselves whether they
// are any: unpacked and packed, the highest byte first.
func hadoop(to, body []byte) bool {
	for len(body) >= 8 {
		n, packed := int64(binary.BigEndian.Uint32(body)), int64(binary.BigEndian.Uint32(body[4:]))
		if n > int64(len(to)) || packed > int64(len(body)-8) {
			return false
		}
		if _, err := block(to[:n], body[8:8+packed]); err != nil {
			return false
		}
		to, body = to[n:], body[8+packed:]
	}
	return len(to) == 0 && len(body) == 0
}

// zstd unpacks one page by the decoder that all columns share.
func (r *reader) zstd(to, body []byte) ([]byte, error) {
	if r.zst == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1<<31), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		r.zst = d
	}
	b, err := r.zst.DecodeAll(body, to[:0:len(to)])
	if err != nil || len(b) != len(to) {
		return nil, ErrCorrupt
	}
	return b, nil
}
