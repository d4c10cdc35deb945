package doc

import (
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/listnum"
)

// Bounds of lists and styles: Word allows 2,047 lists and 4,095 styles.
const (
	maxLists  = 1 << 12
	maxStyles = 1 << 12
	maxBases  = 16 // styles that build on one another
)

// readLists reads the lists and their uses. [MS-DOC] 2.9.184, 2.9.185.
func readLists(f *fib, table []byte) *listnum.Lists {
	l := &listnum.Lists{Levels: map[int32][]listnum.Level{}, Uses: map[int32]listnum.Use{}}
	at := int64(u32(f.pairs, 8*pairLists))
	b := f.table(table, pairLists)
	n := min(int(u16(b, 0)), maxLists, max(0, len(b)-2)/28)
	rest := cut(table, at+int64(u32(f.pairs, 8*pairLists+4)), int64(len(table)))
	for i := range n {
		lstf := b[2+28*i:]
		count := 9
		if lstf[26]&1 != 0 {
			count = 1
		}
		levels := make([]listnum.Level, count)
		for k := range levels {
			var ok bool
			if levels[k], rest, ok = readLevel(rest); !ok {
				return l
			}
		}
		l.Levels[int32(u32(lstf, 0))] = levels
	}
	readUses(l, f.table(table, pairLfos))
	return l
}

// readUses reads the uses of lists, which paragraphs count from one.
func readUses(l *listnum.Lists, b []byte) {
	if len(b) < 4 {
		return
	}
	n := min(int(u32(b, 0)), maxLists, (len(b)-4)/16)
	rest := b[4+16*n:]
	for i := range n {
		e := b[4+16*i:]
		use := listnum.Use{List: int32(u32(e, 0)), Starts: map[uint8]int32{}, Levels: map[uint8]listnum.Level{}}
		if len(rest) >= 4 {
			rest = rest[4:]
		}
		for range e[12] {
			if len(rest) < 8 {
				break
			}
			start, bits := int32(u32(rest, 0)), u32(rest, 4)
			rest = rest[8:]
			if bits&0x10 != 0 {
				use.Starts[uint8(bits&15)] = start
			}
			if bits&0x20 != 0 {
				var lv listnum.Level
				var ok bool
				if lv, rest, ok = readLevel(rest); ok {
					use.Levels[uint8(bits&15)] = lv
					if bits&0x10 != 0 {
						use.Starts[uint8(bits&15)] = lv.Start
					}
				}
			}
		}
		l.Uses[int32(i+1)] = use
	}
}

// readLevel reads a level. [MS-DOC] 2.9.150.
func readLevel(b []byte) (listnum.Level, []byte, bool) {
	if len(b) < 28 {
		return listnum.Level{}, nil, false
	}
	lv := listnum.Level{Start: int32(u32(b, 0)), Format: b[4], Legal: b[5]&4 != 0, Kept: b[5]&8 != 0, Above: b[26], Joined: b[15] == 2}
	at := 28 + int(b[24]) + int(b[25])
	n := int(u16(b, at))
	if at+2+2*n > len(b) {
		return listnum.Level{}, nil, false
	}
	var text []uint16
	for i := range min(n, listnum.MaxText) {
		text = append(text, u16(b, at+2+2*i))
	}
	lv.Text = utf16.Decode(text)
	return lv, b[at+2+2*n:], true
}

// style is what a paragraph style says of lists.
type style struct {
	base uint16
	prop prop
}

// readStyles reads the style sheet. [MS-DOC] 2.9.271.
func readStyles(b []byte) []style {
	head := int(u16(b, 0))
	n := min(int(u16(b, 2)), maxStyles)
	fixed := int(u16(b, 4))
	if head < 4 || fixed < 10 || 2+head > len(b) {
		return nil
	}
	b = b[2+head:]
	out := make([]style, 0, n)
	for range n {
		if len(b) < 2 {
			break
		}
		size := int(u16(b, 0))
		std := b[2:min(len(b), 2+size)]
		b = b[2+len(std):]
		s := style{base: 0xfff}
		if len(std) > fixed && u16(std, 2)&15 == 1 { // of paragraphs
			s.base = u16(std, 2) >> 4
			at := fixed + 2 + 2*int(u16(std, fixed)) + 2
			if upx := cut(std, int64(at+2), int64(u16(std, at))); len(upx) > 2 {
				s.prop.apply(upx[2:], nil, false)
			}
		}
		out = append(out, s)
	}
	return out
}

// list returns a paragraph's list, with what its style says.
func (d *document) list(p *prop) (use uint16, depth uint8) {
	use, depth = p.lfo, p.level
	haveUse, haveDepth := p.flags&listSet != 0, p.flags&levelSet != 0
	at := p.style
	for range maxBases {
		if int(at) >= len(d.styles) || haveUse && haveDepth {
			break
		}
		s := &d.styles[at]
		if !haveUse && s.prop.flags&listSet != 0 {
			use, haveUse = s.prop.lfo, true
		}
		if !haveDepth && s.prop.flags&levelSet != 0 {
			depth, haveDepth = s.prop.level, true
		}
		at = s.base
	}
	return use, depth
}
