package formats

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"math/bits"
	"strings"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/lzw"
	"github.com/stanch-dlp/stanch/internal/extract/xz"
)

// packed reads the one file inside a compressed file. Streams that follow one
// another are joined, as programs do; what stands behind the last is read by
// itself.
func (j *job) packed(at place, k kind, b []byte) error {
	j.part(at, k.media)
	in := at.inside("1")
	s := &streams{j: j, b: bytes.NewReader(b), k: k}
	if k.format == fGzip {
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			in.name = z.Name
			if z.Name != "" || z.Comment != "" {
				j.out.field(validString(strings.TrimSpace(z.Name+"\n"+z.Comment)), "name", 0)
			}
		}
	}
	if err := s.next(); err != nil {
		return gapOf(causeOf(err), trimKind(k.media))
	}
	j.member(in, s, int64(len(b)), 0, trimKind(k.media))
	if s.ended {
		return j.beside(&at, b[len(b)-s.b.Len():])
	}
	return nil
}

// compressedKind reports what packed reads.
func compressedKind(f format) bool {
	switch f {
	case fGzip, fBzip2, fXz, fZstd, fLZ4, fLZMA, fLzip, fCompress, fSnappy, fZlib:
		return true
	}
	return false
}

// streams reads one compressed stream after another.
type streams struct {
	j     *job
	k     kind
	b     *bytes.Reader
	r     io.Reader
	err   error
	ended bool // no stream follows
}

// next opens the stream at which b stands.
func (s *streams) next() error {
	var err error
	room := s.j.dictionary()
	switch s.k.format {
	case fGzip:
		var z *gzip.Reader
		if z, err = gzip.NewReader(s.b); err == nil {
			z.Multistream(false)
			s.r = z
		}
	case fBzip2:
		s.r = bzip2.NewReader(s.b)
	case fXz:
		s.r, err = xz.NewReader(s.b, room)
	case fZstd:
		s.r, err = zstd.NewReader(s.b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(1<<(bits.Len64(uint64(room))-1)), zstd.WithDecoderMaxMemory(uint64(s.j.lim.Decoded)))
	case fLZ4:
		s.r = lz4.NewReader(s.b)
	case fLZMA:
		s.r, err = lzma.ReaderConfig{DictCap: int(room)}.NewReader(s.b)
	case fLzip:
		s.r, err = lzip(s.b, room)
	case fCompress:
		s.r, err = lzw.NewReader(s.b)
	case fSnappy:
		s.r = s2.NewReader(s.b, s2.ReaderMaxBlockSize(4<<20))
	case fZlib:
		s.r, err = zlib.NewReader(s.b)
	default:
		err = gapOf(dlp.Unsupported, "compressed")
	}
	return err
}

func (s *streams) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.read(p)
	s.err = err
	return n, err
}

func (s *streams) read(p []byte) (int, error) {
	for {
		n, err := s.r.Read(p)
		if err == nil {
			return n, nil
		}
		if n > 0 {
			s.r = failed{err} // told next time
			return n, nil
		}
		if trailing := s.behind(err); trailing >= 0 {
			_, _ = s.b.Seek(int64(-trailing), io.SeekCurrent) // back to what was read of it
			err = io.EOF
		}
		if err != io.EOF {
			if ge, ok := errors.AsType[*gapError](err); ok {
				return 0, ge
			}
			if cause := causeOf(err); cause != dlp.Corrupt {
				return 0, gapOf(cause, trimKind(s.k.media))
			}
			return 0, err
		}
		if !s.follows() {
			s.ended = true
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
}

// behind returns how many bytes of what is no stream a decoder has taken before
// it gave err, -1 where err is damage.
func (s *streams) behind(err error) int {
	if s.k.format == fBzip2 && strings.HasSuffix(err.Error(), "bad magic value in continuation file") {
		return 2
	}
	if s.k.format == fZstd && errors.Is(err, zstd.ErrMagicMismatch) || s.k.format == fLZ4 && errors.Is(err, lz4.ErrInvalidFrame) {
		return 4
	}
	return -1
}

// follows reports whether another stream begins where b stands.
func (s *streams) follows() bool {
	pos := s.b.Size() - int64(s.b.Len())
	head := make([]byte, 16)
	n, _ := s.b.ReadAt(head, pos) // io.EOF comes with the bytes
	head = head[:n]
	switch s.k.format {
	case fGzip:
		return bytes.HasPrefix(head, []byte("\x1f\x8b"))
	case fXz:
		for skip := int64(0); ; skip += 4 { // stream padding, 2.2
			n, _ := s.b.ReadAt(head[:6], pos+skip)
			switch {
			case n == 6 && string(head[:6]) == xz.Magic:
				_, _ = s.b.Seek(pos+skip, io.SeekStart) // cannot fail
				return true
			case n < 4 || string(head[:4]) != "\x00\x00\x00\x00":
				return false
			}
		}
	case fLZ4:
		return bytes.HasPrefix(head, []byte("\x04\x22\x4d\x18")) || bytes.HasPrefix(head, []byte("\x02\x21\x4c\x18"))
	case fLzip:
		return bytes.HasPrefix(head, []byte("LZIP"))
	case fSnappy, fZstd, fBzip2:
		return false // the decoder goes on by itself
	}
	return false
}

// causeOf returns what an error of a decoder means.
func causeOf(err error) dlp.Cause {
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge.cause
	}
	if _, ok := errors.AsType[*lzma.ErrDictSize](err); ok {
		return dlp.TooLarge
	}
	switch {
	case errors.Is(err, xz.ErrDictionary), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return dlp.TooLarge
	case errors.Is(err, xz.ErrFilter):
		return dlp.Unsupported
	}
	return dlp.Corrupt
}

// lzip opens a member of a lzip file: LZMA with fixed properties.
//
// Source: the lzip manual, "File format".
func lzip(b *bytes.Reader, room int64) (io.Reader, error) {
	var h [6]byte
	if _, err := io.ReadFull(b, h[:]); err != nil || string(h[:5]) != "LZIP\x01" {
		return nil, gapOf(dlp.Corrupt, "lzip")
	}
	size := int64(1) << (h[5] & 0x1f)
	size -= size / 16 * int64(h[5]>>5)
	if size > room {
		return nil, gapOf(dlp.TooLarge, "dictionary")
	}
	r, err := rawLZMA(b, 3+0*9+2*45, size, -1) // lc 3, lp 0, pb 2
	if err != nil {
		return nil, err
	}
	return &lzipReader{r: r, b: b, sum: crc32.NewIEEE()}, nil
}

// lzipReader checks the trailer of a member: CRC, size, size of the member.
type lzipReader struct {
	r   io.Reader
	b   *bytes.Reader
	sum hash.Hash32
}

func (z *lzipReader) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	_, _ = z.sum.Write(p[:n]) // a hash returns no error
	if errors.Is(err, io.EOF) {
		var trailer [20]byte
		if _, terr := io.ReadFull(z.b, trailer[:]); terr != nil || binary.LittleEndian.Uint32(trailer[:]) != z.sum.Sum32() {
			err = gapOf(dlp.Corrupt, "lzip")
		}
		z.r = failed{err}
	}
	return n, err
}

// rawLZMA decodes LZMA without its own header. size is -1 where a mark ends it.
func rawLZMA(r io.Reader, props byte, dict, size int64) (io.Reader, error) {
	h := make([]byte, 13)
	h[0] = props
	binary.LittleEndian.PutUint32(h[1:], uint32(dict))
	binary.LittleEndian.PutUint64(h[5:], uint64(size))
	br, ok := r.(io.ByteReader)
	if !ok {
		return lzma.ReaderConfig{DictCap: int(dict)}.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(h), r)))
	}
	return lzma.ReaderConfig{DictCap: int(dict)}.NewReader(&headed{h: h, r: r, b: br})
}

// headed is a header and then a reader, byte by byte where it is read so.
type headed struct {
	h []byte
	r io.Reader
	b io.ByteReader
}

func (r *headed) Read(p []byte) (int, error) {
	if len(r.h) > 0 {
		n := copy(p, r.h)
		r.h = r.h[n:]
		return n, nil
	}
	return r.r.Read(p)
}

func (r *headed) ReadByte() (byte, error) {
	if len(r.h) > 0 {
		c := r.h[0]
		r.h = r.h[1:]
		return c, nil
	}
	return r.b.ReadByte()
}

// isZlib reports a bare zlib stream: its two bytes of header fit, RFC 1950 2.2,
// and what follows inflates. goesOn: it may be cut anywhere.
func isZlib(head []byte, goesOn bool) bool {
	if len(head) < 8 || head[0]&0x0f != 8 || head[0]>>4 > 7 || (int(head[0])<<8|int(head[1]))%31 != 0 || head[1]&0x20 != 0 {
		return false
	}
	z, err := zlib.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	n, err := io.CopyN(io.Discard, z, 4096)
	return n > 0 && (err == nil || errors.Is(err, io.EOF) || n >= 64 && len(head) >= headSize/2 || errors.Is(err, io.ErrUnexpectedEOF) && (goesOn || len(head) == headSize))
}

// isLZMA reports a bare .lzma file, whose header holds nothing constant:
// properties that programs write, a dictionary size that is a power of two or
// the sum of two neighbours, and a size that can be.
//
// Source: lzma-file-format.txt of XZ Utils.
func isLZMA(head []byte) bool {
	if len(head) < 14 || head[0] != 0x5d || head[13] != 0 {
		return false
	}
	dict, size := binary.LittleEndian.Uint32(head[1:]), binary.LittleEndian.Uint64(head[5:])
	if dict != 1<<32-1 && (dict < 4096 || bits.OnesCount32(dict) > 2) {
		return false
	}
	return size == 1<<64-1 || size < 1<<38
}
