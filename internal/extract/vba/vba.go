// Package vba reads the source of the macros that Office documents carry: it
// unpacks the streams of a VBA project and finds which of them are modules.
//
// It promises no more bytes than it is allowed, whatever it reads, and what could
// be unpacked beside an error.
//
// Source: [MS-OVBA] 2.3.4.2 (the dir stream), 2.4.1 (compression).
package vba

import (
	"encoding/binary"
	"errors"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Errors of a stream. They quote nothing of it.
var (
	ErrDamaged  = errors.New("vba: damaged")
	ErrTooLarge = errors.New("vba: more than may be held")
)

const chunkSize = 4096 // of what is packed at once

// Unpack returns the content of a compressed container, at most that many bytes.
//
// Source: [MS-OVBA] 2.4.1.3.
func Unpack(b []byte, most int64) ([]byte, error) {
	if len(b) == 0 || b[0] != 1 {
		return nil, ErrDamaged
	}
	var out []byte
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 {
			return out, ErrDamaged
		}
		h := binary.LittleEndian.Uint16(b)
		if h>>12&7 != 3 {
			return out, ErrDamaged
		}
		n := int(h&0xfff) + 3
		cut := n > len(b)
		n = min(n, len(b))
		chunk := b[2:n]
		b = b[n:]
		if int64(len(out))+chunkSize > most {
			return out, ErrTooLarge
		}
		var err error
		if h>>15 == 0 {
			out = append(out, chunk...)
		} else {
			out, err = unpackChunk(out, chunk)
		}
		if cut || err != nil {
			return out, ErrDamaged
		}
	}
	return out, nil
}

// unpackChunk appends what a chunk holds: groups of a byte that tells literals
// from copies, and eight of these.
func unpackChunk(out, b []byte) ([]byte, error) {
	start := len(out)
	for len(b) > 0 {
		flags := b[0]
		b = b[1:]
		for bit := 0; bit < 8 && len(b) > 0; bit++ {
			if flags>>bit&1 == 0 {
				out = append(out, b[0])
				b = b[1:]
				continue
			}
			if len(b) < 2 {
				return out, ErrDamaged
			}
			token := int(binary.LittleEndian.Uint16(b))
			b = b[2:]
			wide := 4 // bits of the distance: [MS-OVBA] 2.4.1.3.19.1
			for 1<<wide < len(out)-start {
				wide++
			}
			n, back := token&(0xffff>>wide)+3, token>>(16-wide)+1
			if back > len(out)-start || len(out)-start+n > chunkSize {
				return out, ErrDamaged
			}
			for range n {
				out = append(out, out[len(out)-back])
			}
		}
	}
	if len(out)-start > chunkSize {
		return out[:start+chunkSize], ErrDamaged
	}
	return out, nil
}

// Module is a stream of macros.
type Module struct {
	Stream string // its name
	Offset uint32 // where its packed source begins; compiled code stands before
}

// Project is what the dir stream tells.
type Project struct {
	Page    int // code page of sources
	Modules []Module
	Words   []string // descriptions and other words that people write, in the order of the stream
}

// Records of the dir stream whose words people write: names, descriptions, help
// files, constants. [MS-OVBA] 2.3.4.2.1, 2.3.4.2.3.
var words = map[uint16]bool{0x0004: true, 0x0005: true, 0x0006: true, 0x000c: true, 0x0019: true, 0x001c: true}

// maxModules is how many modules the dir stream can count: [MS-OVBA] 2.3.4.2.3.
const maxModules = 0xffff

// plain stays what it is in each code page that sources are written in, but not in
// those in which what is ASCII to one program is something else to another.
const plain = "A1~{0!~}\x1b$B0!\x1b(B"

// ReadDir reads an unpacked dir stream. What stands before damage is returned with
// ErrDamaged, and so is what is told twice, or in a code page that would hide it.
func ReadDir(b []byte) (p Project, err error) {
	p.Page = 1252
	var twice, strange bool
	for len(b) > 0 {
		if len(b) < 6 {
			return p, ErrDamaged
		}
		id, n := binary.LittleEndian.Uint16(b), int64(binary.LittleEndian.Uint32(b[2:]))
		if id == 0x0009 { // the version: its length does not count all of it
			n = 6
		}
		if n > int64(len(b)-6) {
			return p, ErrDamaged
		}
		v := b[6 : 6+n]
		b = b[6+n:]
		switch {
		case id == 0x0003 && n == 2:
			page := int(binary.LittleEndian.Uint16(v))
			if codepage.Decode(page, []byte(plain)) == plain {
				p.Page = page
			} else {
				strange = true
			}
		case id == 0x001a && len(p.Modules) == maxModules:
			return p, ErrDamaged
		case id == 0x001a:
			p.Modules = append(p.Modules, Module{Stream: codepage.Decode(p.Page, v)})
		case id == 0x0032 && len(p.Modules) > 0:
			p.Modules[len(p.Modules)-1].Stream = codepage.Decode16(v)
		case id == 0x0031 && n == 4 && len(p.Modules) > 0:
			m := &p.Modules[len(p.Modules)-1]
			twice = twice || m.Offset != 0
			m.Offset = binary.LittleEndian.Uint32(v)
		case words[id] && n > 0:
			p.Words = append(p.Words, codepage.Decode(p.Page, v))
		case id == 0x0010 && !twice && !strange: // the end
			return p, nil
		case id == 0x0010:
			return p, ErrDamaged
		}
	}
	return p, ErrDamaged
}
