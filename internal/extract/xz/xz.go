// Package xz reads the container of .xz files around an LZMA2 decoder.
//
// It promises never to hold a dictionary larger than it was told, whatever a
// block announces, to check every checksum that it knows, and to leave what
// stands behind a stream to its caller.
package xz

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"slices"

	"github.com/ulikunitz/xz/lzma"
)

// Magic begins a stream.
const Magic = "\xfd7zXZ\x00"

// Errors of a Reader.
var (
	ErrDamaged = errors.New("xz: damaged")
	ErrFilter  = errors.New("xz: unknown filter")
	// ErrDictionary says that a block needs a larger dictionary than may be held.
	ErrDictionary = errors.New("xz: dictionary too large")
)

// checkSizes are the lengths of a block's check by the stream's check type.
// The .xz File Format 1.2.1, 2.1.1.2.
var checkSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

// Reader decodes the first stream of a file, block by block.
type Reader struct {
	b    *bytes.Reader
	dict int64
	kind byte // of the check

	block  io.Reader
	sum    hash.Hash // nil for a kind that is not known
	start  int64     // of the block at hand
	capped bool      // its dictionary is smaller than it announces
	err    error
}

// NewReader returns a Reader of the stream at which b stands, with dictionaries
// of at most dict bytes. After io.EOF b stands behind the stream.
func NewReader(b *bytes.Reader, dict int64) (*Reader, error) {
	var h [12]byte
	if _, err := io.ReadFull(b, h[:]); err != nil || string(h[:6]) != Magic {
		return nil, ErrDamaged
	}
	if h[6] != 0 || h[7]&0xf0 != 0 || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return nil, ErrDamaged
	}
	return &Reader{b: b, dict: dict, kind: h[7]}, nil
}

// Read returns what the stream holds.
func (z *Reader) Read(p []byte) (int, error) {
	for z.err == nil {
		if z.block == nil {
			z.err = z.open()
			continue
		}
		n, err := z.block.Read(p)
		if z.sum != nil {
			_, _ = z.sum.Write(p[:n]) // a hash returns no error
		}
		if err == io.EOF {
			z.block = nil
			z.err = z.closeBlock()
			err = nil
		}
		if err != nil {
			z.err = ErrDamaged
			if z.capped {
				z.err = ErrDictionary
			}
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, z.err
}

func (z *Reader) pos() int64 { return z.b.Size() - int64(z.b.Len()) }

// open reads a block's header, or the index and footer.
func (z *Reader) open() error {
	z.start = z.pos()
	c, err := z.b.ReadByte()
	if err != nil {
		return ErrDamaged
	}
	if c == 0 {
		return z.end()
	}
	h := make([]byte, (int(c)+1)*4)
	h[0] = c
	if _, err := io.ReadFull(z.b, h[1:]); err != nil {
		return ErrDamaged
	}
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(body):]) {
		return ErrDamaged
	}
	return z.filters(body)
}

// filters sets up the chain of a block.
//
// Source: The .xz File Format 1.2.1, 3.1, 5.3.
func (z *Reader) filters(body []byte) error {
	flags := body[1]
	r := body[2:]
	known := int64(-1)
	for i := range 2 { // compressed size, uncompressed size
		if flags>>(6+i)&1 == 0 {
			continue
		}
		v, n := binary.Uvarint(r)
		if n <= 0 || v > 1<<62 {
			return ErrDamaged
		}
		r = r[n:]
		known = int64(v)
		if i == 0 {
			known = -1
		}
	}
	var chain []func(io.Reader) io.Reader // the last one is undone first
	for i := range int(flags&3) + 1 {
		id, n := binary.Uvarint(r)
		if n <= 0 {
			return ErrDamaged
		}
		r = r[n:]
		size, n := binary.Uvarint(r)
		if n <= 0 || size > uint64(len(r)-n) {
			return ErrDamaged
		}
		props := r[n : n+int(size)]
		r = r[n+int(size):]
		last := i == int(flags&3)
		undo, align := newBranch(id)
		switch {
		case id == 0x03 && !last && len(props) == 1:
			distance := int(props[0]) + 1
			chain = append(chain, func(r io.Reader) io.Reader { return &deltaReader{r: r, past: make([]byte, distance)} })
		case undo != nil && !last && (len(props) == 0 || len(props) == 4):
			start := uint32(0)
			if len(props) == 4 {
				start = binary.LittleEndian.Uint32(props)
			}
			if start%align != 0 {
				return ErrDamaged
			}
			chain = append(chain, func(r io.Reader) io.Reader { return &branchReader{r: r, undo: undo, pos: start} })
		case id == 0x21 && last && len(props) == 1:
			return z.lzma2(props[0], known, chain)
		default:
			return ErrFilter
		}
	}
	return ErrDamaged
}

func (z *Reader) lzma2(prop byte, known int64, chain []func(io.Reader) io.Reader) error {
	if prop > 40 {
		return ErrDamaged
	}
	size := int64(1<<32 - 1)
	if prop < 40 {
		size = int64(2|prop&1) << (prop/2 + 11)
	}
	if known >= 0 {
		size = min(size, known)
	}
	z.capped = size > z.dict
	r, err := lzma.Reader2Config{DictCap: int(max(min(size, z.dict), lzma.MinDictCap))}.NewReader2(z.b)
	if err != nil {
		return ErrDamaged
	}
	z.block = r
	for _, undo := range slices.Backward(chain) {
		z.block = undo(z.block)
	}
	z.sum = nil
	switch z.kind {
	case 1:
		z.sum = crc32.NewIEEE()
	case 4:
		z.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		z.sum = sha256.New()
	}
	return nil
}

// closeBlock reads the padding and the check of a block.
func (z *Reader) closeBlock() error {
	for (z.pos()-z.start)%4 != 0 {
		if c, err := z.b.ReadByte(); err != nil || c != 0 {
			return ErrDamaged
		}
	}
	want := make([]byte, checkSizes[z.kind])
	if _, err := io.ReadFull(z.b, want); err != nil {
		return ErrDamaged
	}
	if z.sum == nil {
		return nil
	}
	got := z.sum.Sum(nil)
	if z.kind != 10 { // CRCs stand little end first
		for i, k := 0, len(got)-1; i < k; i, k = i+1, k-1 {
			got[i], got[k] = got[k], got[i]
		}
	}
	if !bytes.Equal(got, want) {
		return ErrDamaged
	}
	return nil
}

// end passes over the index, whose numbers nothing here needs, and the footer.
func (z *Reader) end() error {
	n, err := binary.ReadUvarint(z.b)
	if err != nil || n > uint64(z.b.Len()) {
		return ErrDamaged
	}
	for range 2 * n {
		if _, err := binary.ReadUvarint(z.b); err != nil {
			return ErrDamaged
		}
	}
	for (z.pos()-z.start)%4 != 0 {
		if _, err := z.b.ReadByte(); err != nil {
			return ErrDamaged
		}
	}
	var f [4 + 12]byte
	if _, err := io.ReadFull(z.b, f[:]); err != nil || string(f[14:]) != "YZ" {
		return ErrDamaged
	}
	return io.EOF
}

// deltaReader undoes the delta filter. The .xz File Format 1.2.1, 5.3.3.
type deltaReader struct {
	r    io.Reader
	past []byte
	at   int
}

func (d *deltaReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	for i := range p[:n] {
		p[i] += d.past[d.at]
		d.past[d.at] = p[i]
		d.at = (d.at + 1) % len(d.past)
	}
	return n, err
}
