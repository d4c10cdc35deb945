package doc

import "strconv"

// Bounds of lists and styles: Word allows 2,047 lists and 4,095 styles.
const (
	maxLists  = 1 << 12
	maxStyles = 1 << 12
	maxBases  = 16 // styles that build on one another
)

// level is how one level of a list counts. [MS-DOC] 2.9.150.
type level struct {
	start  int32
	format uint8
	legal  bool // all numbers in digits
	text   []uint16
}

// lists are the lists of a document and where their counting stands.
type lists struct {
	levels map[int32][]level // by list
	lfos   []lfo
	counts map[int32]*[9]int32 // by list
}

// lfo is a use of a list, with what it does otherwise. [MS-DOC] 2.9.131.
type lfo struct {
	list   int32
	starts map[uint8]int32
	levels map[uint8]level
	begun  bool
}

// readLists reads the lists and their uses. [MS-DOC] 2.9.184, 2.9.185.
func readLists(f *fib, table []byte) *lists {
	l := &lists{levels: map[int32][]level{}, counts: map[int32]*[9]int32{}}
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
		levels := make([]level, count)
		for k := range levels {
			var ok bool
			if levels[k], rest, ok = readLevel(rest); !ok {
				return l
			}
		}
		l.levels[int32(u32(lstf, 0))] = levels
	}
	l.readUses(f.table(table, pairLfos))
	return l
}

func (l *lists) readUses(b []byte) {
	if len(b) < 4 {
		return
	}
	n := min(int(u32(b, 0)), maxLists, (len(b)-4)/16)
	rest := b[4+16*n:]
	for i := range n {
		e := b[4+16*i:]
		use := lfo{list: int32(u32(e, 0)), starts: map[uint8]int32{}, levels: map[uint8]level{}}
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
				use.starts[uint8(bits&15)] = start
			}
			if bits&0x20 != 0 {
				var lv level
				var ok bool
				if lv, rest, ok = readLevel(rest); ok {
					use.levels[uint8(bits&15)] = lv
					if bits&0x10 != 0 {
						use.starts[uint8(bits&15)] = lv.start
					}
				}
			}
		}
		l.lfos = append(l.lfos, use)
	}
}

func readLevel(b []byte) (level, []byte, bool) {
	if len(b) < 28 {
		return level{}, nil, false
	}
	lv := level{start: int32(u32(b, 0)), format: b[4], legal: b[5]&4 != 0}
	at := 28 + int(b[24]) + int(b[25])
	n := int(u16(b, at))
	if at+2+2*n > len(b) {
		return level{}, nil, false
	}
	for i := range min(n, 64) {
		lv.text = append(lv.text, u16(b, at+2+2*i))
	}
	return lv, b[at+2+2*n:], true
}

// next counts a paragraph of a list and returns the number that stands before
// it, "" for none.
func (l *lists) next(use uint16, depth uint8) string {
	if use == 0 || int(use) > len(l.lfos) || depth > 8 {
		return ""
	}
	u := &l.lfos[use-1]
	levels := l.levels[u.list]
	if int(depth) >= len(levels) {
		return ""
	}
	get := func(d uint8) level {
		if lv, ok := u.levels[d]; ok {
			return lv
		}
		if int(d) < len(levels) {
			return levels[d]
		}
		return level{}
	}
	c := l.counts[u.list]
	if c == nil {
		c = new([9]int32)
		for i := range c {
			c[i] = get(uint8(i)).start - 1
		}
		l.counts[u.list] = c
	}
	if !u.begun {
		u.begun = true
		for d, start := range u.starts {
			if d < 9 {
				c[d] = start - 1
			}
		}
	}
	c[depth]++
	for d := depth + 1; d < 9; d++ {
		c[d] = get(d).start - 1
	}
	lv := get(depth)
	var out []byte
	for _, r := range lv.text {
		if r > 8 {
			if lv.format != 23 { // a bullet says nothing
				out = append(out, string(rune(r))...)
			}
			continue
		}
		format, v := get(uint8(r)).format, c[r]
		if lv.legal {
			format = 0
		}
		if uint8(r) != depth && v < get(uint8(r)).start { // a level above that was not counted
			v = get(uint8(r)).start
		}
		out = append(out, number(v, format)...)
	}
	return string(out)
}

// number writes a list's number. [MS-OSHARED] 2.2.1.3 (MSONFC).
func number(n int32, format uint8) string {
	s := strconv.Itoa(int(n))
	switch {
	case n <= 0 || n > 32767:
		return s
	case format == 1:
		return roman(n, "MDCLXVI")
	case format == 2:
		return roman(n, "mdclxvi")
	case format == 3:
		return letters(n, 'A')
	case format == 4:
		return letters(n, 'a')
	case format == 5:
		switch {
		case n%100/10 == 1:
			return s + "th"
		case n%10 == 1:
			return s + "st"
		case n%10 == 2:
			return s + "nd"
		case n%10 == 3:
			return s + "rd"
		}
		return s + "th"
	case format == 22 && n < 10:
		return "0" + s
	case format == 23 || format == 255:
		return ""
	}
	return s
}

func roman(n int32, digits string) string {
	var out []byte
	if n > 3999 {
		return strconv.Itoa(int(n))
	}
	for i, unit := 0, int32(1000); i < 7; i, unit = i+2, unit/10 {
		d := n / unit % 10
		if i == 0 {
			d = n / 1000
		}
		switch {
		case d == 9:
			out = append(out, digits[i], digits[i-2])
			d = 0
		case d == 4:
			out = append(out, digits[i], digits[i-1])
			d = 0
		case d >= 5 && i > 0:
			out = append(out, digits[i-1])
			d -= 5
		}
		for range d {
			out = append(out, digits[i])
		}
	}
	return string(out)
}

func letters(n int32, first byte) string {
	var out []byte
	for range (n-1)/26 + 1 {
		out = append(out, first+byte((n-1)%26))
	}
	return string(out[:min(len(out), 40)])
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
