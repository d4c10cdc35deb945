package parquet

import "encoding/binary"

// Types of fields in Thrift's compact protocol.
//
// Source: github.com/apache/thrift: doc/specs/thrift-compact-protocol.md.
const (
	tStop   = 0
	tTrue   = 1
	tFalse  = 2
	tByte   = 3
	tI16    = 4
	tI32    = 5
	tI64    = 6
	tDouble = 7
	tBinary = 8
	tList   = 9
	tSet    = 10
	tMap    = 11
	tStruct = 12
	tUUID   = 13
)

const maxNested = 32 // structures and lists within one another

// thrift reads compact structures. After damage it reads nothing but ends.
type thrift struct {
	b   []byte
	bad bool
}

func (t *thrift) fail() { t.b, t.bad = nil, true }

func (t *thrift) byte() byte {
	if len(t.b) == 0 {
		t.fail()
		return 0
	}
	c := t.b[0]
	t.b = t.b[1:]
	return c
}

func (t *thrift) uvarint() uint64 {
	v, n := binary.Uvarint(t.b)
	if n <= 0 {
		t.fail()
		return 0
	}
	t.b = t.b[n:]
	return v
}

func (t *thrift) int() int64 {
	v := t.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (t *thrift) bytes() []byte {
	n := t.uvarint()
	if n > uint64(len(t.b)) {
		t.fail()
		return nil
	}
	b := t.b[:n]
	t.b = t.b[n:]
	return b
}

// fields calls f for each field of a structure; f takes the value, or returns
// false, and it is passed over.
func (t *thrift) fields(f func(id int, typ byte) bool) {
	id := int64(0)
	for !t.bad {
		h := t.byte()
		if h == tStop {
			return
		}
		if d := h >> 4; d != 0 {
			id += int64(d)
		} else {
			id = t.int()
		}
		if !f(int(id), h&15) {
			t.skip(h&15, 0)
		}
	}
}

// list calls f for each element of a list.
func (t *thrift) list(f func(typ byte)) {
	h := t.byte()
	n := uint64(h >> 4)
	if n == 15 {
		n = t.uvarint()
	}
	for ; n > 0 && !t.bad; n-- {
		f(h & 15)
		if len(t.b) == 0 && n > 1 {
			t.fail() // each takes a byte at least
		}
	}
}

// skip passes over a value.
func (t *thrift) skip(typ byte, depth int) {
	if depth > maxNested {
		t.fail()
		return
	}
	switch typ {
	case tTrue, tFalse:
	case tByte:
		t.byte()
	case tI16, tI32, tI64:
		t.uvarint()
	case tDouble:
		t.drop(8)
	case tUUID:
		t.drop(16)
	case tBinary:
		t.bytes()
	case tList, tSet:
		t.list(func(typ byte) { t.element(typ, depth+1) })
	case tMap:
		if n := t.uvarint(); n > 0 {
			types := t.byte()
			for ; n > 0 && !t.bad; n-- {
				t.element(types>>4, depth+1)
				t.element(types&15, depth+1)
			}
		}
	case tStruct:
		for !t.bad {
			h := t.byte()
			if h == tStop {
				return
			}
			if h>>4 == 0 {
				t.int()
			}
			t.skip(h&15, depth+1)
		}
	default:
		t.fail()
	}
}

// element passes over an element of a list, in which a truth takes a byte.
func (t *thrift) element(typ byte, depth int) {
	if typ == tTrue || typ == tFalse {
		t.byte()
		return
	}
	t.skip(typ, depth)
}

func (t *thrift) drop(n int) {
	if n > len(t.b) {
		t.fail()
		return
	}
	t.b = t.b[n:]
}
