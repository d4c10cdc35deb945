// Package cpio reads cpio archives: the portable ASCII form (odc), the new ASCII
// forms with and without checksum (newc, crc) and the old binary one in both
// byte orders.
//
// It promises members as pieces of the bytes it was handed: it copies no
// content.
package cpio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

// ErrDamaged says that a header is none, or that a member is cut.
var ErrDamaged = errors.New("cpio: damaged")

// Member is one file.
type Member struct {
	Name string // as the archive spells it, any bytes
	Data []byte // aliases the archive
	Dir  bool
	Link bool // Data is what it points to
	Cut  bool // the archive ends before it does
}

const trailer = "TRAILER!!!"

const ( // of the mode: stat(2)
	typeMask = 0o170000
	typeDir  = 0o040000
	typeLink = 0o120000
)

// Is reports whether b begins as a cpio archive does.
func Is(b []byte) bool {
	_, ok := parse(b)
	return ok
}

// Read calls member for each file in b, in order, until it returns false. rest
// is what stands behind the trailer and its padding. The error is ErrDamaged,
// after all that could be read.
//
// Source: cpio(5) of FreeBSD.
func Read(b []byte, member func(Member) bool) (rest []byte, err error) {
	for {
		h, ok := parse(b)
		if !ok || h.names < 1 || h.names > 64<<10 || h.head+h.names > int64(len(b)) {
			return nil, ErrDamaged
		}
		m := Member{Name: string(bytes.TrimRight(b[h.head:h.head+h.names], "\x00")),
			Dir: h.mode&typeMask == typeDir, Link: h.mode&typeMask == typeLink}
		from := align(h.head+h.names, h.align)
		if m.Name == trailer && h.size == 0 {
			return bytes.TrimLeft(b[min(from, int64(len(b))):], "\x00"), nil
		}
		to := from + h.size
		m.Cut = to > int64(len(b))
		to = min(to, int64(len(b)))
		m.Data = b[min(from, to):to]
		if !member(m) {
			return nil, nil
		}
		if m.Cut {
			return nil, ErrDamaged
		}
		b = b[min(align(to, h.align), int64(len(b))):]
	}
}

func align(n, to int64) int64 { return (n + to - 1) / to * to }

// header is what all forms say.
type header struct {
	mode        int64
	names, size int64 // in bytes, of the name with its NUL and of the content
	head        int64 // length of the header itself
	align       int64
}

func parse(b []byte) (h header, ok bool) {
	if len(b) < 26 {
		return h, false
	}
	switch {
	case bytes.HasPrefix(b, []byte("070701")), bytes.HasPrefix(b, []byte("070702")):
		if len(b) < 110 {
			return h, false
		}
		h = header{head: 110, align: 4}
		return h, number(b[14:22], 16, &h.mode) && number(b[54:62], 16, &h.size) && number(b[94:102], 16, &h.names)
	case bytes.HasPrefix(b, []byte("070707")):
		if len(b) < 76 {
			return h, false
		}
		h = header{head: 76, align: 1}
		return h, number(b[18:24], 8, &h.mode) && number(b[59:65], 8, &h.names) && number(b[65:76], 8, &h.size)
	}
	var o binary.ByteOrder = binary.LittleEndian
	switch {
	case b[0] == 0xc7 && b[1] == 0x71:
	case b[0] == 0x71 && b[1] == 0xc7:
		o = binary.BigEndian
	default:
		return h, false
	}
	word := func(i int) int64 { return int64(o.Uint16(b[i:])) }
	h = header{head: 26, align: 2, mode: word(6), names: word(20), size: word(22)<<16 | word(24)}
	// Two bytes say little: the name must end where the header says.
	end := h.head + h.names
	return h, h.names > 1 && end <= int64(len(b)) && b[end-1] == 0 && bytes.IndexByte(b[h.head:end], 0) == int(h.names)-1
}

func number(b []byte, base int, n *int64) bool {
	v, err := strconv.ParseInt(string(b), base, 64)
	*n = v
	return err == nil && v >= 0
}
