package iwork

import "encoding/binary"

// message is a protocol buffer.
type message []byte

// field is one field of a message: bytes, or a number.
type field struct {
	num uint64
	b   message // nil where it is a number
	n   uint64
}

// varint takes a number off the front.
func (m *message) varint() (uint64, bool) {
	v, n := binary.Uvarint(*m)
	if n <= 0 {
		return 0, false
	}
	*m = (*m)[n:]
	return v, true
}

// each calls f with every field until it returns false; false where m is no message.
func (m message) each(f func(field) bool) bool {
	for len(m) > 0 {
		tag, ok := m.varint()
		if !ok || tag>>3 == 0 {
			return false
		}
		x := field{num: tag >> 3}
		switch tag & 7 {
		case 0:
			if x.n, ok = m.varint(); !ok {
				return false
			}
		case 1:
			if len(m) < 8 {
				return false
			}
			x.n = binary.LittleEndian.Uint64(m)
			m = m[8:]
		case 2:
			n, ok := m.varint()
			if !ok || n > uint64(len(m)) {
				return false
			}
			x.b = m[:n:n]
			m = m[n:]
		case 5:
			if len(m) < 4 {
				return false
			}
			x.n = uint64(binary.LittleEndian.Uint32(m))
			m = m[4:]
		default:
			return false
		}
		if !f(x) {
			return true
		}
	}
	return true
}

// number returns the last number under num, 0 where there is none.
func (m message) number(num uint64) (n uint64) {
	m.each(func(f field) bool {
		if f.num == num && f.b == nil {
			n = f.n
		}
		return true
	})
	return n
}

// bytes returns the last bytes under num, nil where there are none.
func (m message) bytes(num uint64) (b message) {
	m.each(func(f field) bool {
		if f.num == num && f.b != nil {
			b = f.b
		}
		return true
	})
	return b
}

// all calls f with all bytes under num.
func (m message) all(num uint64, f func(b message)) {
	m.each(func(x field) bool {
		if x.num == num && x.b != nil {
			f(x.b)
		}
		return true
	})
}
