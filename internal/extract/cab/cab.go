// Package cab reads cabinet files of Windows: stored, MSZIP and LZX. It names
// what is in a cabinet of Quantum or goes on in another cabinet.
//
// It promises to hold two frames of 32 KiB and a window of at most 2 MiB while it
// unpacks, to check the sum of every block that has one, and to return what
// came out before any damage.
package cab

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/extract/lzx"
)

// Magic begins a cabinet.
const Magic = "MSCF\x00\x00\x00\x00"

// Errors of Open and of a folder's Reader.
var (
	ErrDamaged = errors.New("cab: damaged")
	// ErrMethod says that a folder is packed in a way that is not read.
	ErrMethod = errors.New("cab: method is not read")
)

// File is one member.
type File struct {
	Name   string // as the cabinet spells it, any bytes
	UTF8   bool   // that it is UTF-8, else the code page of who packed it
	Size   int64  // bytes
	Offset int64  // of its first byte in what its folder unpacks to
	Folder int    // index into Folders; -1 where it goes on in, or comes from, another cabinet
}

// Cabinet is a cabinet's directory.
type Cabinet struct {
	Files   []File
	Folders []Folder
	Size    int64    // of the cabinet, in bytes, as far as it is there
	Others  []string // names of the cabinets and disks before and after this one
	// Cut says that the directory ends before all files are told.
	Cut bool
}

// Folder is a run of members that are packed as one.
type Folder struct {
	method uint16
	blocks int
	data   []byte // of the first block and all behind it
	extra  int    // reserved bytes of a block
}

const (
	flagPrev    = 1
	flagNext    = 2
	flagReserve = 4

	nameUTF8 = 0x80 // of a file's attributes

	frame = 32 << 10 // the most that a block unpacks to
)

// Open reads the directory of the cabinet that b begins with.
//
// Source: [MS-CAB] 2.1 to 2.3.
func Open(b []byte) (*Cabinet, error) {
	if len(b) < 36 || string(b[:8]) != Magic {
		return nil, ErrDamaged
	}
	le := binary.LittleEndian
	c := &Cabinet{Size: min(int64(le.Uint32(b[8:])), int64(len(b)))}
	fileAt, folders, files, flags := int64(le.Uint32(b[16:])), int(le.Uint16(b[26:])), int(le.Uint16(b[28:])), le.Uint16(b[30:])
	rest := b[36:]
	folderExtra, dataExtra := 0, 0
	if flags&flagReserve != 0 {
		if len(rest) < 4 {
			return nil, ErrDamaged
		}
		n := int(le.Uint16(rest))
		folderExtra, dataExtra = int(rest[2]), int(rest[3])
		if len(rest) < 4+n {
			return nil, ErrDamaged
		}
		rest = rest[4+n:]
	}
	for _, f := range []uint16{flagPrev, flagNext} {
		for range 2 { // the cabinet, its disk
			if flags&f == 0 {
				continue
			}
			s, r, ok := cString(rest)
			if !ok {
				return nil, ErrDamaged
			}
			c.Others, rest = append(c.Others, s), r
		}
	}
	for range folders {
		if len(rest) < 8+folderExtra {
			return nil, ErrDamaged
		}
		at := int64(le.Uint32(rest))
		c.Folders = append(c.Folders, Folder{method: le.Uint16(rest[6:]), blocks: int(le.Uint16(rest[4:])), data: b[min(at, int64(len(b))):], extra: dataExtra})
		rest = rest[8+folderExtra:]
	}
	rest = b[min(fileAt, int64(len(b))):]
	for range files {
		if len(rest) < 16 {
			c.Cut = true
			break
		}
		f := File{Size: int64(le.Uint32(rest)), Offset: int64(le.Uint32(rest[4:])), Folder: int(le.Uint16(rest[8:])), UTF8: le.Uint16(rest[14:])&nameUTF8 != 0}
		s, r, ok := cString(rest[16:])
		if !ok {
			c.Cut = true
			break
		}
		f.Name, rest = s, r
		if f.Folder >= len(c.Folders) { // 0xFFFD to 0xFFFF: other cabinets
			if f.Folder < 0xfffd {
				c.Cut = true
			}
			f.Folder = -1
		}
		c.Files = append(c.Files, f)
	}
	return c, nil
}

// cString returns the bytes before the first NUL, of at most 256, and the rest.
func cString(b []byte) (string, []byte, bool) {
	i := bytes.IndexByte(b[:min(len(b), 257)], 0)
	if i < 0 {
		return "", nil, false
	}
	return string(b[:i]), b[i+1:], true
}

// Packed returns an upper bound of the bytes that the folder is packed in.
func (f Folder) Packed() int64 {
	return min(int64(len(f.data)), int64(f.blocks)*(64<<10))
}

// Method names what the folder is packed with.
func (f Folder) Method() string {
	if names := [...]string{"stored", "MSZIP", "Quantum", "LZX"}; int(f.method&0xf) < len(names) {
		return names[f.method&0xf]
	}
	return "unknown"
}

// Open returns a reader of all that the folder unpacks to. Reading ends with
// io.EOF, or with ErrDamaged after what came before.
func (f Folder) Open() (io.Reader, error) {
	r := &reader{f: f}
	switch f.method & 0xf {
	case 0:
		r.unpack = func(in []byte, n int) ([]byte, error) {
			if len(in) != n {
				return in, ErrDamaged
			}
			return in, nil
		}
	case 1:
		r.unpack = new(mszip).frame
	case 3:
		window := int(f.method >> 8 & 0x1f)
		if window < lzx.MinWindow || window > lzx.MaxWindow {
			return nil, ErrDamaged
		}
		z := lzx.New(window)
		r.unpack = func(in []byte, n int) ([]byte, error) {
			out, err := z.Frame(in, n)
			if err != nil {
				err = ErrDamaged
			}
			return out, err
		}
	default:
		return nil, ErrMethod
	}
	return r, nil
}

// reader unpacks a folder block by block.
type reader struct {
	f      Folder
	unpack func(in []byte, n int) ([]byte, error) // what it returns is valid until the next call
	out    []byte
	err    error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.out, r.err = r.block()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	if len(r.out) == 0 { // with the last of a damaged block: nobody may ask for more
		return n, r.err
	}
	return n, nil
}

// block unpacks the next block. [MS-CAB] 2.4.
func (r *reader) block() ([]byte, error) {
	if r.f.blocks == 0 {
		return nil, io.EOF
	}
	r.f.blocks--
	le, b := binary.LittleEndian, r.f.data
	if len(b) < 8+r.f.extra {
		return nil, ErrDamaged
	}
	sum, packed, size := le.Uint32(b), int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	data := b[8+r.f.extra:]
	if size > frame || size == 0 { // 0: it goes on in the next cabinet
		return nil, ErrDamaged
	}
	cut := packed > len(data)
	data = data[:min(packed, len(data))]
	r.f.data = b[8+r.f.extra+len(data):]
	out, err := r.unpack(data, size)
	if err == nil && (cut || sum != 0 && checksum(b[4:8+r.f.extra], checksum(data, 0)) != sum) {
		err = ErrDamaged
	}
	return out, err
}

// checksum is the exclusive or of all words, the last bytes in the other order.
// [MS-CAB] 3.1.
func checksum(b []byte, sum uint32) uint32 {
	for len(b) >= 4 {
		sum ^= binary.LittleEndian.Uint32(b)
		b = b[4:]
	}
	last := uint32(0)
	for _, c := range b {
		last = last<<8 | uint32(c)
	}
	return sum ^ last
}

// mszip unpacks MSZIP: each block is deflate behind two letters, and reaches
// back into the block before.
//
// Source: [MS-MCI] 2.
type mszip struct {
	z    io.ReadCloser
	past []byte
	buf  [frame]byte
}

func (m *mszip) frame(in []byte, n int) ([]byte, error) {
	if len(in) < 2 || string(in[:2]) != "CK" {
		return nil, ErrDamaged
	}
	src := bytes.NewReader(in[2:])
	if m.z == nil {
		m.z = flate.NewReaderDict(src, m.past)
	} else if err := m.z.(flate.Resetter).Reset(src, m.past); err != nil {
		return nil, ErrDamaged
	}
	got, err := io.ReadFull(m.z, m.buf[:n])
	m.past = append(m.past[:0], m.buf[:got]...)
	if err != nil {
		return m.buf[:got], ErrDamaged
	}
	return m.buf[:n], nil
}
