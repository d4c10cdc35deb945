// Package chm reads compiled help of Windows (.chm): its files, stored or packed
// by LZX.
//
// It promises to hold a window and a frame besides the file, and to return what
// came out before any damage.
//
// Source: no specification is public; the container as M. Russotto describes it
// (Microsoft's HTML Help format, 2001), LZX as in [MS-PATCH].
package chm

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"

	"github.com/stanch-dlp/stanch/internal/extract/lzx"
)

// Magic begins compiled help.
const Magic = "ITSF"

// ErrDamaged says that a file is cut or damaged.
var ErrDamaged = errors.New("chm: damaged")

// Sections that files stand in.
const (
	Stored = 0
	Packed = 1
)

// File is a file in it.
type File struct {
	Name    string // any bytes, as a rule UTF-8
	Section int    // Stored, Packed, or one that is not known
	Offset  int64  // of its first byte in the section
	Size    int64
}

// maxFiles bounds the files that are told; compiled help has some ten thousand.
const maxFiles = 1 << 18

// Help is compiled help.
type Help struct {
	Files []File
	Cut   bool // the directory ends before all files are told

	stored []byte // the first section, and all behind it
	packed []byte // the second, as it stands
	frames []byte // 8 bytes for each frame: where it begins in packed
	every  int    // frames after which a reader begins anew
	window int
	size   int64 // of what the second unpacks to
}

// Names under which the directory tells how the second section is packed.
const (
	content = "::DataSpace/Storage/MSCompressed/Content"
	control = "::DataSpace/Storage/MSCompressed/ControlData"
	resets  = "::DataSpace/Storage/MSCompressed/Transform/{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable"
)

// Open reads the directory.
func Open(b []byte) (*Help, error) {
	le := binary.LittleEndian
	if len(b) < 0x60 || string(b[:4]) != Magic {
		return nil, ErrDamaged
	}
	end := uint64(len(b))
	dir, dirSize := le.Uint64(b[0x48:]), le.Uint64(b[0x50:])
	if dir > end || end-dir < 0x54 {
		return nil, ErrDamaged
	}
	first := dir + dirSize // of version 2
	if le.Uint32(b[4:]) >= 3 {
		first = le.Uint64(b[0x58:])
	}
	h := &Help{stored: b[min(first, end):]}
	d := b[dir:]
	head, block, n := uint64(le.Uint32(d[8:])), uint64(le.Uint32(d[0x10:])), uint64(le.Uint32(d[0x2c:]))
	if string(d[:4]) != "ITSP" || block < 0x20 || head > uint64(len(d)) {
		return nil, ErrDamaged
	}
	for d = d[head:]; n > 0; n-- {
		if uint64(len(d)) < block {
			h.Cut = true
			break
		}
		if string(d[:4]) == "PMGL" {
			free := uint64(le.Uint32(d[4:]))
			if free > block-0x14 || !h.list(d[0x14:block-free]) {
				h.Cut = true
			}
		}
		d = d[block:]
	}
	h.packing()
	return h, nil
}

// list reads the entries of a block, and reports whether all are whole.
func (h *Help) list(b []byte) bool {
	for len(b) > 0 {
		n, rest, ok := number(b)
		if !ok || len(h.Files) == maxFiles || n > uint64(len(rest)) {
			return false
		}
		f := File{Name: string(rest[:n])}
		b = rest[n:]
		var v [3]uint64
		for i := range v {
			if v[i], b, ok = number(b); !ok {
				return false
			}
		}
		f.Section, f.Offset, f.Size = int(v[0]&0xffff), int64(v[1]), int64(v[2])
		h.Files = append(h.Files, f)
	}
	return true
}

// number reads a number of seven bits a byte, the highest first, below 2^62.
func number(b []byte) (v uint64, rest []byte, ok bool) {
	for i, c := range b {
		if v >= 1<<55 {
			return 0, nil, false
		}
		if v = v<<7 | uint64(c&0x7f); c < 0x80 {
			return v, b[i+1:], true
		}
	}
	return 0, nil, false
}

// packing reads how the second section is packed; without it there is none.
func (h *Help) packing() {
	le := binary.LittleEndian
	var c, table []byte
	for _, f := range h.Files {
		if f.Section != Stored {
			continue
		}
		b, _ := h.Bytes(f)
		switch f.Name {
		case content:
			h.packed = b
		case control:
			c = b
		case resets:
			table = b
		}
	}
	if len(c) < 24 || string(c[4:8]) != "LZXC" || len(table) < 40 {
		return
	}
	every, window := uint64(le.Uint32(c[12:])), uint64(le.Uint32(c[16:]))
	if le.Uint32(c[8:]) >= 2 { // they count frames
		every, window = every*lzx.Frame, window*lzx.Frame
	}
	at, n := uint64(le.Uint32(table[12:])), uint64(le.Uint32(table[4:]))
	if every < lzx.Frame || bits.OnesCount64(window) != 1 || at > uint64(len(table)) || le.Uint64(table[32:]) != lzx.Frame {
		return
	}
	h.every, h.window = int(every/lzx.Frame), bits.TrailingZeros64(window)
	h.frames = table[at:]
	h.frames = h.frames[:min(8*n, uint64(len(h.frames))&^7)]
	h.size = int64(min(le.Uint64(table[16:]), n*lzx.Frame))
}

// Bytes returns what a stored file holds; false where it is cut.
func (h *Help) Bytes(f File) ([]byte, bool) {
	n := int64(len(h.stored))
	from := min(f.Offset, n)
	to := from + min(f.Size, n-from)
	return h.stored[from:to], to-from == f.Size
}

// PackedSize is how many bytes the second section is packed in.
func (h *Help) PackedSize() int64 { return int64(len(h.packed)) }

// Open returns a reader of what the second section unpacks to. Reading ends with
// io.EOF, or with ErrDamaged after what came before.
func (h *Help) Open() (io.Reader, error) {
	if h.window < lzx.MinWindow || h.window > lzx.MaxWindow || len(h.frames) == 0 {
		return nil, ErrDamaged
	}
	return &reader{h: h, left: h.size}, nil
}

// reader unpacks frame by frame.
type reader struct {
	h    *Help
	z    *lzx.Reader
	next int // frame
	left int64
	out  []byte
	err  error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.out, r.err = r.frame()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

func (r *reader) frame() ([]byte, error) {
	if r.left <= 0 {
		return nil, io.EOF
	}
	at := func(i int) uint64 {
		if 8*i+8 > len(r.h.frames) {
			return uint64(len(r.h.packed))
		}
		return binary.LittleEndian.Uint64(r.h.frames[8*i:])
	}
	from, to := at(r.next), min(at(r.next+1), uint64(len(r.h.packed)))
	if from >= to {
		return nil, ErrDamaged
	}
	if r.z == nil {
		r.z = lzx.New(r.h.window)
	} else if r.next%r.h.every == 0 {
		r.z.Reset()
	}
	r.next++
	n := int(min(r.left, lzx.Frame))
	r.left -= int64(n)
	out, err := r.z.Frame(r.h.packed[from:to], n)
	if err != nil {
		err = ErrDamaged
	}
	return out, err
}
