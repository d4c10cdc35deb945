// Package ppt reads the text of PowerPoint's binary presentations, 97 to 2003:
// slides, notes, masters, comments, headers, links and names, and the objects
// embedded in them.
//
// Records are read in the order of the file, so that what an earlier save left
// behind is read as well. Nothing is held but the path of records around.
//
// Source: [MS-PPT].
package ppt

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/officeart"
)

// Errors of a presentation. They quote nothing of it.
var (
	ErrCorrupt   = errors.New("ppt: damaged presentation")
	ErrEncrypted = errors.New("ppt: encrypted presentation")
)

// maxDepth is how many records may stand in one another.
const maxDepth = 64

// Record types. [MS-PPT] 2.13.24.
const (
	recSlide       = 0x03ee
	recNotes       = 0x03f0
	recMaster      = 0x03f8
	recTextChars   = 0x0fa0
	recTextBytes   = 0x0fa8
	recCString     = 0x0fba
	recUserEdit    = 0x0ff5
	recObject      = 0x1011
	recTagBlob     = 0x138b // what later versions added, comments among it
	recCryptStream = 0x2f14
)

// Out takes what is read. An error of it ends the reading and is returned.
type Out interface {
	Line(text string) error // UTF-8, lines within parted by newlines
	// Object takes an embedded object: a compound file, to be read once.
	// packed is how many bytes of the file it takes.
	Object(r io.Reader, size, packed int64) error
}

// Encrypted reports whether a stream Current User says that the presentation is
// encrypted. [MS-PPT] 2.3.2.
func Encrypted(currentUser []byte) bool {
	return len(currentUser) >= 16 && binary.LittleEndian.Uint32(currentUser[12:]) == 0xf3d1c4df
}

// Read writes the text of the stream PowerPoint Document, then with objects set
// hands on what is embedded instead. A damaged stream ends with ErrCorrupt,
// after what could be read.
func Read(b []byte, objects bool, out Out) error {
	if len(b) < 8 {
		return ErrCorrupt
	}
	p := &presentation{out: out, objects: objects}
	p.records(b)
	switch {
	case p.err != nil:
		return p.err
	case p.damaged || p.known == 0:
		return ErrCorrupt
	}
	return nil
}

type presentation struct {
	out     Out
	objects bool
	err     error
	damaged bool
	known   int // records that presentations have
}

// isRecords reports bytes that are nothing but records: what a tag holds is
// anything, by its program.
func isRecords(b []byte) bool {
	for len(b) > 8 {
		size := uint64(binary.LittleEndian.Uint32(b[4:]))
		if size > uint64(len(b)-8) {
			return false
		}
		b = b[8+size:]
	}
	return len(b) == 0 || len(b) == 8 && binary.LittleEndian.Uint32(b[4:]) == 0
}

// records reads all records, those within containers after their container.
func (p *presentation) records(b []byte) {
	var ends []int // of the containers around
	for at := 0; at+8 <= len(b) && p.err == nil; {
		for len(ends) > 0 && at >= ends[len(ends)-1] {
			ends = ends[:len(ends)-1]
		}
		version, kind := binary.LittleEndian.Uint16(b[at:])&15, binary.LittleEndian.Uint16(b[at+2:])
		size := int64(binary.LittleEndian.Uint32(b[at+4:]))
		at += 8
		if size > int64(len(b)-at) {
			size, p.damaged = int64(len(b)-at), true
		}
		if version == 15 && kind != recObject || kind == recTagBlob && isRecords(b[at:at+int(size)]) {
			p.known++
			if len(ends) < maxDepth {
				ends = append(ends, at+int(size))
				if kind == recSlide || kind == recNotes || kind == recMaster {
					p.line("\n")
				}
				if kind == recCryptStream {
					p.err = ErrEncrypted
				}
				continue
			}
			p.damaged = true
		}
		if kind == 0xf00b || kind == 0xf121 || kind == 0xf122 {
			for _, s := range officeart.Words(b[at-8 : at+int(size)]) {
				p.line(s)
			}
		}
		p.atom(kind, binary.LittleEndian.Uint16(b[at-8:])>>4, b[at:at+int(size)])
		at += int(size)
	}
}

func (p *presentation) line(s string) {
	if !p.objects && s != "" && p.err == nil {
		p.err = p.out.Line(s)
	}
}

func (p *presentation) atom(kind, instance uint16, b []byte) {
	switch kind {
	case recTextChars, recCString:
		p.known++
		p.line(plain(codepage.Decode16(b)))
	case recTextBytes:
		p.known++
		out := make([]byte, 0, len(b))
		for _, c := range b { // the lower bytes of UTF-16. [MS-PPT] 2.9.42
			out = utf8.AppendRune(out, rune(c))
		}
		p.line(plain(string(out)))
	case recUserEdit:
		p.known++
		if len(b) >= 32 { // [MS-PPT] 2.3.3: with a reference to how it is encrypted
			p.err = ErrEncrypted
		}
	case recObject:
		if p.objects {
			p.object(instance, b)
		}
	}
}

// plain turns the marks of paragraphs and lines into newlines.
func plain(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		switch r {
		case '\r', '\v':
			r = '\n'
		case 0:
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// object hands on an embedded object or a macro project. [MS-PPT] 2.10.34.
func (p *presentation) object(instance uint16, b []byte) {
	if instance == 0 {
		p.err = p.out.Object(bytes.NewReader(b), int64(len(b)), int64(len(b)))
		return
	}
	if len(b) < 4 {
		p.damaged = true
		return
	}
	size := int64(binary.LittleEndian.Uint32(b))
	z, err := zlib.NewReader(bytes.NewReader(b[4:]))
	if err != nil {
		p.damaged = true
		return
	}
	p.err = p.out.Object(z, size, int64(len(b)))
}
