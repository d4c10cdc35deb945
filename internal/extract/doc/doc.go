// Package doc reads the text of Word's binary documents: Word 97 to 2003 with
// lists, tables, fields, hidden and deleted text, Word 6 and 95 as plain text.
//
// What is hidden, deleted or a field's instruction is written in lines of its
// own below the paragraph, so that what a reader sees stands without holes.
// Memory is bounded by the streams handed in and a few MiB; what is written is
// bounded by the caller, through the error of Write.
//
// Source: [MS-DOC]; for Word 6 the piece table's and header's older form as
// published by Microsoft in 1997.
package doc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/officeart"
)

// Errors of a document. They quote nothing of it.
var (
	ErrCorrupt   = errors.New("doc: damaged document")
	ErrEncrypted = errors.New("doc: encrypted document")
	ErrVersion   = errors.New("doc: version before Word 6")
)

// Streams are those of one document. Data may be missing.
type Streams struct {
	Main  []byte // WordDocument
	Table []byte // 0Table or 1Table, whichever TableName says
	Data  []byte
}

// Word's magic numbers. [MS-DOC] 2.5.2: wIdent; Word 6 and 95 have their own.
const (
	identWord97 = 0xa5ec
	identWord6  = 0xa5dc
)

// fib is the header of a document. [MS-DOC] 2.5.
type fib struct {
	old       bool   // Word 6 or 95
	lang      uint16 // of Word 6: which code page
	complex   bool
	encrypted bool
	obfuscate bool
	oneTable  bool
	fcMin     uint32 // of the text of Word 6
	fcMac     uint32
	ccp       [8]int64 // characters of main text, footnotes, headers, macros, comments, endnotes, text boxes, those of headers
	pairs     []byte   // where tables stand: offset and length, 8 bytes each
}

// Indexes of pairs. [MS-DOC] 2.5.6.
const (
	pairStyles    = 1
	pairChpx      = 12
	pairPapx      = 13
	pairClx       = 33
	pairOwners    = 36 // who commented
	pairDrawings  = 50
	pairReviewers = 51 // who changed
	pairVariables = 60
	pairSaved     = 71 // who saved it where
	pairLists     = 73
	pairLfos      = 74
)

func u16(b []byte, at int) uint16 {
	if at < 0 || at+2 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint16(b[at:])
}

func u32(b []byte, at int) uint32 {
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint32(b[at:])
}

// cut returns the bytes of b from at on, at most n; fewer where b ends.
func cut(b []byte, at, n int64) []byte {
	if at < 0 || n <= 0 || at >= int64(len(b)) {
		return nil
	}
	return b[at:min(int64(len(b)), at+n)]
}

func readFIB(b []byte) (*fib, error) {
	if len(b) < 0x60 {
		return nil, ErrCorrupt
	}
	f := &fib{lang: u16(b, 6), fcMin: u32(b, 0x18), fcMac: u32(b, 0x1c)}
	flags := u16(b, 10)
	f.complex, f.encrypted, f.oneTable, f.obfuscate = flags&4 != 0, flags&0x100 != 0, flags&0x200 != 0, flags&0x8000 != 0
	nFib := u16(b, 2)
	switch ident := u16(b, 0); {
	case ident == identWord6 || nFib >= 101 && nFib < 193:
		f.old = true
		for i := range f.ccp {
			f.ccp[i] = int64(u32(b, 0x34+4*i))
		}
		return f, nil
	case ident != identWord97 && ident&0xff != 0xec && ident&0xff != 0xdc: // Word 97 itself reads some others
		return nil, ErrVersion
	case nFib < 101:
		return nil, ErrVersion
	}
	at := 0x20
	words := int(u16(b, at))
	at += 2 + 2*words
	longs := int(u16(b, at))
	at += 2
	for i := range f.ccp {
		if i+3 < longs {
			f.ccp[i] = int64(u32(b, at+4*(3+i)))
		}
	}
	at += 4 * longs
	f.pairs = cut(b, int64(at+2), 8*int64(u16(b, at)))
	if len(f.pairs) < 8*(pairClx+1) {
		return nil, ErrCorrupt
	}
	return f, nil
}

// table returns the bytes of a table of the table stream.
func (f *fib) table(b []byte, pair int) []byte {
	return cut(b, int64(u32(f.pairs, 8*pair)), int64(u32(f.pairs, 8*pair+4)))
}

// TableName returns the name of the table stream that belongs to a main stream,
// "" for Word 6, which has none. With ErrEncrypted, Unlock comes before Read;
// ErrVersion says that there is nothing to read.
func TableName(main []byte) (string, error) {
	f, err := readFIB(main)
	if err != nil {
		return "", err
	}
	name := "0Table"
	switch {
	case f.old:
		name = ""
	case f.oneTable:
		name = "1Table"
	}
	if f.encrypted {
		return name, ErrEncrypted
	}
	return name, nil
}

// Read writes the text of the document to w as UTF-8. An error of w ends it. A
// damaged document ends with ErrCorrupt, after what could be read. Pictures, of
// which nothing is written, are told.
func Read(s Streams, w io.Writer) (pictures bool, err error) {
	f, err := readFIB(s.Main)
	if err != nil {
		return false, err
	}
	if f.encrypted {
		return false, ErrEncrypted
	}
	d := &document{fib: f, main: s.Main, out: writer{w: w}}
	pieces, err := f.pieces(s)
	if err != nil {
		return false, err
	}
	if f.old {
		d.page = codepage.OfLanguage(f.lang)
	} else {
		d.papx = readRuns(s.Main, s.Data, f.table(s.Table, pairPapx), papxPage)
		d.chpx = readRuns(s.Main, s.Data, f.table(s.Table, pairChpx), chpxPage)
		if l := readLists(f, s.Table); len(l.Uses) > 0 {
			d.lists = l.Counter()
		}
		d.styles = readStyles(f.table(s.Table, pairStyles))
	}
	err = d.write(pieces)
	if !f.old && d.out.err == nil {
		d.strings(s.Table)
		d.drawings(f.table(s.Table, pairDrawings))
		d.drawings(s.Data)
	}
	if !f.old { // those that stand beside the text: [MS-ODRAW] 2.2.32 begins each
		d.pictures = d.pictures || bytes.Contains(f.table(s.Table, pairDrawings), []byte("\x07\xf0"))
	}
	return d.pictures, errors.Join(err, d.out.err)
}

// strings writes what people's names and paths stand in tables: who commented,
// changed and saved, and variables. [MS-DOC] 2.2.4, 2.9.65.
func (d *document) strings(table []byte) {
	for _, pair := range []int{pairReviewers, pairVariables, pairSaved} {
		b := d.fib.table(table, pair)
		if len(b) < 6 || u16(b, 0) != 0xffff { // the form with letters of two bytes
			continue
		}
		n, extra := int(u16(b, 2)), int(u16(b, 4))
		b = b[6:]
		for range n {
			size := 2 * int(u16(b, 0))
			if len(b) < 2+size+extra || d.out.err != nil {
				break
			}
			d.stringLine(b[2 : 2+size])
			b = b[2+size+extra:]
		}
		if pair == pairVariables { // the values stand behind their names
			for len(b) >= 2 && d.out.err == nil {
				size := 2 * int(u16(b, 0))
				d.stringLine(cut(b, 2, int64(size)))
				b = b[min(len(b), 2+size):]
			}
		}
	}
	for b := d.fib.table(table, pairOwners); len(b) >= 2 && d.out.err == nil; {
		size := 2 * int(u16(b, 0))
		d.stringLine(cut(b, 2, int64(size)))
		b = b[min(len(b), 2+size):]
	}
}

// drawings writes the words of drawings, beside the text or in it.
func (d *document) drawings(b []byte) {
	for _, s := range officeart.Words(b) {
		d.out.write([]byte(s + "\n"))
	}
}

func (d *document) stringLine(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		if r := rune(u16(b, i)); r >= ' ' {
			d.put(r)
		}
	}
	d.endLine()
}

// piece is a stretch of text. [MS-DOC] 2.9.177.
type piece struct {
	chars  int64
	at     int64 // in the main stream
	narrow bool  // a byte a character
}

// pieces reads the table of pieces. [MS-DOC] 2.9.38, 2.9.178.
func (f *fib) pieces(s Streams) ([]piece, error) {
	var clx []byte
	if f.old {
		if !f.complex {
			return []piece{{chars: int64(f.fcMac) - int64(f.fcMin), at: int64(f.fcMin), narrow: true}}, nil
		}
		clx = cut(s.Main, int64(u32(s.Main, 0x160)), int64(u32(s.Main, 0x164)))
	} else {
		clx = f.table(s.Table, pairClx)
	}
	for len(clx) >= 3 && clx[0] == 1 {
		clx = clx[min(len(clx), 3+int(u16(clx, 1))):]
	}
	if len(clx) < 5+16 || clx[0] != 2 {
		return nil, ErrCorrupt
	}
	plc := cut(clx, 5, int64(u32(clx, 1)))
	n := (len(plc) - 4) / 12
	var out []piece
	for i := range n {
		pcd := plc[4*(n+1)+8*i:]
		p := piece{chars: int64(u32(plc, 4*i+4)) - int64(u32(plc, 4*i)), at: int64(u32(pcd, 2)), narrow: f.old}
		if p.chars <= 0 {
			continue
		}
		if !f.old && p.at&(1<<30) != 0 {
			p.at, p.narrow = p.at&^(1<<30)/2, true
		}
		out = append(out, p)
	}
	return out, nil
}
