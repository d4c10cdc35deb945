package doc

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/listnum"
)

// maxLine is how much of a paragraph or row is gathered before it is written.
const maxLine = 128 << 10

// maxFields bounds fields within one another.
const maxFields = 64

// writer keeps the first error of w.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) write(b []byte) {
	if w.err == nil && len(b) > 0 {
		_, w.err = w.w.Write(b)
	}
}

// document is a document on its way out.
type document struct {
	fib    *fib
	main   []byte
	out    writer
	page   int // code page of Word 6; 0 for later ones
	papx   []run
	chpx   []run
	lists  *listnum.Counter // nil: there are none
	styles []style

	line     []byte // what a reader sees of the paragraph or row at hand
	aside    []byte // what stands in it unseen: lines
	apart    bool   // the aside's last line is open
	fields   []bool // of the fields around: in its instruction still
	start    int    // where the paragraph begins in line
	pictures bool   // some were seen
	wasCell  bool   // the last character ended a cell
	high     rune   // a surrogate that waits for its other half
}

// write writes all pieces in the order of the text.
func (d *document) write(pieces []piece) error {
	pap, chp := cursor{runs: d.papx}, cursor{runs: d.chpx}
	ends := d.ends()
	var cp int64
	var err error
	for _, p := range pieces {
		width := int64(2)
		if p.narrow {
			width = 1
		}
		b := cut(d.main, p.at, p.chars*width)
		if int64(len(b)) < p.chars*width {
			err = ErrCorrupt
		}
		if d.page != 0 {
			d.plain(codepage.Decode(d.page, b))
			continue
		}
		for i := int64(0); i+width <= int64(len(b)) && d.out.err == nil; i += width {
			for len(ends) > 0 && cp >= ends[0] {
				d.endLine()
				d.fields, ends = d.fields[:0], ends[1:]
			}
			cp++
			var r rune
			if p.narrow {
				r = charmap.Windows1252.DecodeByte(b[i])
			} else {
				r = rune(b[i]) | rune(b[i+1])<<8
			}
			if r >= ' ' && r != 0x28 && len(d.chpx) == 0 {
				d.put(r)
				continue
			}
			d.char(r, chp.at(p.at+i), &pap, p.at+i)
		}
		if d.out.err != nil {
			return d.out.err
		}
	}
	d.endLine()
	if d.out.err != nil {
		return d.out.err
	}
	if d.page == 0 && cp < d.fib.letters() { // there are pieces that are not there
		err = ErrCorrupt
	}
	return err
}

// ends returns where each part of the text ends: main text, footnotes, ….
func (d *document) ends() []int64 {
	var out []int64
	sum := int64(0)
	for _, n := range d.fib.ccp {
		if n > 0 {
			sum += n
			out = append(out, sum)
		}
	}
	return out
}

// letters returns how many characters the header counts. What it says of macros
// is of no meaning. [MS-DOC] 2.5.5: reserved3.
func (f *fib) letters() (sum int64) {
	for i, n := range f.ccp {
		if i != 3 && n < 1<<31 {
			sum += n
		}
	}
	return sum
}

// plain writes the text of Word 6, which has no properties that are read.
func (d *document) plain(s string) {
	for _, r := range s {
		if d.out.err != nil {
			return
		}
		d.char(r, &noProp, &cursor{}, 0)
	}
}

// char takes in one character. [MS-DOC] 2.4.1, 2.8.25.
func (d *document) char(r rune, c *prop, pap *cursor, at int64) {
	wasCell := d.wasCell
	d.wasCell = r == 7
	switch r {
	case 0x13:
		if len(d.fields) < maxFields {
			d.fields = append(d.fields, true)
		}
	case 0x14:
		if len(d.fields) > 0 {
			d.fields[len(d.fields)-1] = false
			d.closeAside()
		}
	case 0x15:
		if len(d.fields) > 0 {
			d.fields = d.fields[:len(d.fields)-1]
			d.closeAside()
		}
	case 0x0d:
		switch p := pap.at(at); {
		case p.flags&innerRow != 0:
			d.put('\n')
		case p.flags&innerCell != 0:
			d.put('\t')
		case p.flags&inTable != 0:
			d.number(p)
			d.put(' ')
			d.start = len(d.line)
		default:
			d.number(p)
			d.endLine()
		}
	case 7:
		p := pap.at(at)
		if p.flags&rowEnd != 0 || len(d.papx) == 0 && wasCell {
			d.endLine()
			d.wasCell = false
			return
		}
		d.number(p)
		d.put('\t')
		d.start = len(d.line)
	case 0x0c, 0x0e, 3, 4:
		d.endLine()
	case 0x0b:
		d.put('\n')
	case 0x1e:
		d.see('-', c)
	case 1:
		d.pictures = d.pictures || c.flags&picture != 0 && c.flags&fieldData == 0
	case 0, 2, 5, 6, 8, 0x1f:
	case '(':
		if c.symbol != 0 {
			r = rune(c.symbol)
		}
		d.see(r, c)
	default:
		if r < ' ' && r != '\t' {
			r = ' '
		}
		d.see(r, c)
	}
}

// see takes in a character with its properties.
func (d *document) see(r rune, c *prop) {
	unseen := c.flags&(hidden|deleted) != 0
	for _, instruction := range d.fields {
		unseen = unseen || instruction
	}
	if !unseen {
		d.closeAside()
		d.put(r)
		return
	}
	d.apart = true
	d.aside = d.append(d.aside, r)
	if len(d.aside) >= maxLine {
		d.endLine()
	}
}

func (d *document) closeAside() {
	if d.apart {
		d.aside, d.apart, d.high = append(d.aside, '\n'), false, 0
	}
}

func (d *document) put(r rune) {
	d.line = d.append(d.line, r)
	if len(d.line) >= maxLine {
		d.out.write(d.line)
		d.line, d.start = d.line[:0], 0
	}
}

// append adds a UTF-16 unit or a character to b.
func (d *document) append(b []byte, r rune) []byte {
	switch {
	case r >= 0xf020 && r < 0xf100: // a symbol font's
		r -= 0xf000
	case utf16.IsSurrogate(r):
		if r < 0xdc00 {
			d.high = r
			return b
		}
		r, d.high = utf16.DecodeRune(d.high, r), 0
	}
	return utf8.AppendRune(b, r)
}

// number writes the paragraph's list number before it.
func (d *document) number(p *prop) {
	if d.lists == nil {
		return
	}
	use, depth := d.list(p)
	if use == 0 || d.start == len(d.line) {
		return
	}
	s, joined := d.lists.Next(int32(use), depth)
	if s == "" {
		return
	}
	text := string(d.line[d.start:])
	if joined && listnum.EndsInDigit(s) { // both may be one number
		d.closeAside()
		d.aside, joined = append(append(append(d.aside, s...), text...), '\n'), false
	}
	if d.line = append(d.line[:d.start], s...); !joined {
		d.line = append(d.line, ' ')
	}
	d.line = append(d.line, text...)
}

// endLine writes the line at hand, then what stands unseen in it.
func (d *document) endLine() {
	d.closeAside()
	if len(d.line) > 0 {
		d.out.write(append(d.line, '\n'))
	}
	d.out.write(d.aside)
	d.line, d.aside, d.start, d.high = d.line[:0], d.aside[:0], 0, 0
}
