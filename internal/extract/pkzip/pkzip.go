// Package pkzip decodes what zip programs wrote before 1993: shrinking, reducing
// and imploding, methods 1 to 6 of zip files; and method 10, the imploding of
// PKWARE's Data Compression Library.
//
// It promises a stream that holds 16 KiB and tables of at most 100 KiB, and at
// most 8 KiB out for each code, whatever it reads.
package pkzip

import (
	"bufio"
	"errors"
	"io"
)

// ErrDamaged says that the stream is none.
var ErrDamaged = errors.New("pkzip: damaged")

const ringSize = 16 << 10 // the widest window, 8 KiB, and the longest string of shrinking

// Reader decodes one stream.
type Reader struct {
	r    io.ByteReader
	bits uint64
	have uint

	ring   [ringSize]byte // zeros stand before the start
	at     int            // where the next byte goes
	unread int            // bytes before at that were not yet returned
	left   int64          // bytes still to come, negative where the end of the input tells
	step   func() error   // decodes on, ringSize bytes at most
	err    error
}

// MethodReader returns a Reader of the stream in r of a method from 1 to 6 or 10, as a
// member with these general purpose flags has it, and of size bytes; a negative
// size lets the end of r tell. Programs of 1989 and 1990 meant other matches in
// some imploded members: such a one is read with early set.
//
// Source: APPNOTE.TXT 4.4.4, 5.1 to 5.3; Hans Wennborg, "Shrink, Reduce, and
// Implode: The Legacy Zip Compression Methods", for what it leaves open.
func MethodReader(r io.Reader, method, flags uint16, size int64, early bool) (*Reader, error) {
	z := &Reader{left: size}
	var ok bool
	if z.r, ok = r.(io.ByteReader); !ok {
		z.r = bufio.NewReader(r)
	}
	switch {
	case method == 1:
		z.step = newShrunk(z).step
	case method >= 2 && method <= 5:
		z.step = (&reduced{z: z, factor: uint(method - 1)}).step
	case method == 6:
		z.step = newImploded(z, flags, early).step
	case method == 10:
		z.step = newDCL(z).step
	default:
		return nil, ErrDamaged
	}
	return z, nil
}

// Read returns what the stream holds. The error is io.EOF, ErrDamaged,
// io.ErrUnexpectedEOF or the underlying reader's.
func (z *Reader) Read(p []byte) (int, error) {
	for z.unread == 0 && z.err == nil {
		if z.left == 0 {
			z.err = io.EOF
			break
		}
		z.err = z.step()
	}
	if z.unread == 0 {
		if z.left > 0 && errors.Is(z.err, io.EOF) {
			z.err = io.ErrUnexpectedEOF
		}
		return 0, z.err
	}
	n := 0
	for n < len(p) && z.unread > 0 {
		k := copy(p[n:min(len(p), n+z.unread)], z.ring[(z.at-z.unread)&(ringSize-1):])
		n += k
		z.unread -= k
	}
	return n, nil
}

// put puts a byte out; what is past the size is nothing.
func (z *Reader) put(c byte) {
	if z.left == 0 {
		return
	}
	z.left--
	z.ring[z.at] = c
	z.at = (z.at + 1) & (ringSize - 1)
	z.unread++
}

// repeat puts n bytes out that stand back bytes before.
func (z *Reader) repeat(n, back int) {
	for range n {
		z.put(z.ring[(z.at-back)&(ringSize-1)])
	}
}

// fill makes at least n bits ready, n at most 32.
func (z *Reader) fill(n uint) error {
	for z.have < n {
		c, err := z.r.ReadByte()
		if err != nil {
			return err
		}
		z.bits |= uint64(c) << z.have
		z.have += 8
	}
	return nil
}

// take takes n bits, the first one lowest.
func (z *Reader) take(n uint) (int, error) {
	if err := z.fill(n); err != nil {
		return 0, err
	}
	v := int(z.bits & (1<<n - 1))
	z.drop(n)
	return v, nil
}

func (z *Reader) drop(n uint) {
	z.bits >>= n
	z.have -= n
}
