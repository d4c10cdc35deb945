package parquet

import "encoding/binary"

// values gives out a page's values, each as PLAIN keeps it, without the length
// in front of bytes. False says that there is none.
type values interface{ next() ([]byte, bool) }

// plainSize is how many bytes a value has, 0 where that differs.
func (l *leaf) plainSize() int {
	switch l.kind {
	case pInt32, pFloat:
		return 4
	case pInt64, pDouble:
		return 8
	case pInt96:
		return 12
	case pFixed:
		return l.size
	}
	return 0
}

// plain is PLAIN.
func (l *leaf) plain(b []byte) values {
	switch {
	case l.kind == pBoolean:
		return &plainBits{b: b}
	case l.kind == pBytes:
		return &plainBytes{b}
	}
	return &plainFixed{b, l.plainSize()}
}

type plainFixed struct {
	b []byte
	n int
}

func (p *plainFixed) next() ([]byte, bool) {
	if p.n > len(p.b) {
		return nil, false
	}
	v := p.b[:p.n]
	p.b = p.b[p.n:]
	return v, true
}

type plainBytes struct{ b []byte }

func (p *plainBytes) next() ([]byte, bool) {
	if len(p.b) < 4 {
		return nil, false
	}
	n := int64(binary.LittleEndian.Uint32(p.b))
	if n > int64(len(p.b)-4) {
		return nil, false
	}
	v := p.b[4 : 4+n]
	p.b = p.b[4+n:]
	return v, true
}

type plainBits struct {
	b   []byte
	bit uint64
	v   [1]byte
}

func (p *plainBits) next() ([]byte, bool) {
	v, ok := bitsAt(p.b, p.bit, 1)
	p.bit++
	p.v[0] = byte(v)
	return p.v[:], ok
}

// runBits are truths in runs.
type runBits struct {
	h hybrid
	v [1]byte
}

func (r *runBits) next() ([]byte, bool) {
	v, ok := r.h.next()
	r.v[0] = byte(v)
	return r.v[:], ok
}

// dictionary is a column's, of which pages keep the places.
type dictionary struct {
	b    []byte
	size int      // of each; 0: at
	at   []uint32 // where each stands, and the end
}

// newDictionary reads a dictionary of values as PLAIN keeps them, and as many as
// there are.
func (l *leaf) newDictionary(b []byte) (*dictionary, error) {
	if l.kind == pBoolean {
		return nil, ErrCorrupt
	}
	d := &dictionary{b: b, size: l.plainSize()}
	if d.size == 0 {
		for p := (plainBytes{b}); len(p.b) > 0; {
			d.at = append(d.at, uint32(len(b)-len(p.b)))
			if _, ok := p.next(); !ok {
				return nil, ErrCorrupt
			}
		}
		d.at = append(d.at, uint32(len(b)))
	}
	return d, nil
}

func (d *dictionary) get(i int64) ([]byte, bool) {
	if d.size == 0 {
		if i+1 >= int64(len(d.at)) {
			return nil, false
		}
		return d.b[d.at[i]+4 : d.at[i+1]], true
	}
	if (i+1)*int64(d.size) > int64(len(d.b)) {
		return nil, false
	}
	return d.b[i*int64(d.size) : (i+1)*int64(d.size)], true
}

type fromDictionary struct {
	h hybrid
	d *dictionary
}

func (f *fromDictionary) next() ([]byte, bool) {
	i, ok := f.h.next()
	if !ok {
		return nil, false
	}
	return f.d.get(int64(i))
}

// deltaInts is DELTA_BINARY_PACKED.
type deltaInts struct {
	d    delta
	size int
	v    [8]byte
}

func (d *deltaInts) next() ([]byte, bool) {
	v, ok := d.d.next()
	binary.LittleEndian.PutUint64(d.v[:], v)
	return d.v[:d.size], ok
}

// deltaLengths is DELTA_LENGTH_BYTE_ARRAY.
type deltaLengths struct {
	d delta
	b []byte
}

func newDeltaLengths(b []byte) (*deltaLengths, bool) {
	d, ok := newDelta(b)
	if !ok {
		return nil, false
	}
	rest, ok := d.behind()
	return &deltaLengths{d, rest}, ok
}

func (d *deltaLengths) next() ([]byte, bool) {
	n, ok := d.d.next()
	if !ok || n > uint64(len(d.b)) {
		return nil, false
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v, true
}

// deltaBytes is DELTA_BYTE_ARRAY: each value begins as the one before.
type deltaBytes struct {
	shared delta
	rest   *deltaLengths
	v      []byte
}

func newDeltaBytes(b []byte) (*deltaBytes, bool) {
	d, ok := newDelta(b)
	if !ok {
		return nil, false
	}
	behind, ok := d.behind()
	if !ok {
		return nil, false
	}
	rest, ok := newDeltaLengths(behind)
	return &deltaBytes{shared: d, rest: rest}, ok
}

func (d *deltaBytes) next() ([]byte, bool) {
	n, ok := d.shared.next()
	if !ok || n > uint64(len(d.v)) {
		return nil, false
	}
	rest, ok := d.rest.next()
	d.v = append(d.v[:n], rest...)
	return d.v, ok
}

// split is BYTE_STREAM_SPLIT: the first byte of each value, then the second.
type split struct {
	b  []byte
	n  int // values
	at int
	v  []byte
}

func (s *split) next() ([]byte, bool) {
	if s.at == s.n {
		return nil, false
	}
	for i := range s.v {
		s.v[i] = s.b[i*s.n+s.at]
	}
	s.at++
	return s.v, true
}

// Encodings.
const (
	ePlain           = 0
	ePlainDictionary = 2
	eRLE             = 3
	eBitPacked       = 4
	eDelta           = 5
	eDeltaLength     = 6
	eDeltaBytes      = 7
	eDictionary      = 8
	eSplit           = 9
)

// decode returns the values of a page.
func (c *column) decode(encoding int, b []byte) (values, error) {
	var ok bool
	l := c.leaf
	var v values
	switch encoding {
	case ePlain:
		return l.plain(b), nil
	case ePlainDictionary, eDictionary:
		if c.dict == nil {
			return nil, ErrCorrupt
		}
		if len(b) == 0 {
			return &plainFixed{nil, 1}, nil // all are nulls
		}
		if b[0] > 32 {
			return nil, ErrCorrupt
		}
		return &fromDictionary{hybrid{b: b[1:], width: uint(b[0])}, c.dict}, nil
	case eRLE:
		if l.kind != pBoolean {
			return nil, ErrCorrupt
		}
		runs, _, ok := prefixed(b)
		if !ok {
			return nil, ErrCorrupt
		}
		return &runBits{h: hybrid{b: runs, width: 1}}, nil
	case eDelta:
		d := &deltaInts{size: l.plainSize()}
		if l.kind != pInt32 && l.kind != pInt64 {
			return nil, ErrCorrupt
		}
		d.d, ok = newDelta(b)
		v = d
	case eDeltaLength:
		v, ok = newDeltaLengths(b)
		ok = ok && l.kind == pBytes
	case eDeltaBytes:
		v, ok = newDeltaBytes(b)
		ok = ok && (l.kind == pBytes || l.kind == pFixed)
	case eSplit:
		size := l.plainSize()
		if size == 0 {
			return nil, ErrCorrupt
		}
		if size > len(b) {
			return &plainFixed{nil, 1}, nil // all are nulls
		}
		return &split{b: b, n: len(b) / size, v: make([]byte, size)}, nil
	default:
		return nil, ErrUnsupported
	}
	if !ok && len(b) > 0 {
		return nil, ErrCorrupt
	}
	if !ok {
		return &plainFixed{nil, 1}, nil // all are nulls
	}
	return v, nil
}
