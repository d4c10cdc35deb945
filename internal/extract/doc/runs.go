package doc

import "sort"

// maxRuns is how many runs of properties are kept; what stands behind them has
// text and no properties. A book of a thousand pages has some 100,000.
const maxRuns = 1 << 20

// run is a stretch of the main stream with the same properties.
type run struct {
	end  uint32 // where it ends in the main stream
	prop prop
}

// prop is what is known of a paragraph or of characters.
type prop struct {
	style  uint16
	symbol uint16 // the character that is shown instead
	lfo    uint16 // list, from 1; 0 for none
	level  uint8  // of the list
	flags  uint16
}

const (
	inTable uint16 = 1 << iota
	rowEnd
	innerCell
	innerRow
	hidden
	deleted
	special
	listSet // lfo was set, maybe to none
	levelSet
	picture
	fieldData // what looks like a picture is a field's data
)

// fkp says how a page of properties is laid out. [MS-DOC] 2.9.174, 2.9.33.
type fkp struct {
	slot  int // bytes of a slot behind the offsets
	style bool
}

var (
	papxPage = fkp{slot: 13, style: true}
	chpxPage = fkp{slot: 1}
)

// readRuns reads the properties of paragraphs or of characters, in the order
// of the stream. Each page is read once.
func readRuns(main, data, plc []byte, kind fkp) []run {
	n := (len(plc) - 4) / 8
	if n <= 0 {
		return nil
	}
	var out []run
	seen := map[uint32]bool{}
	for i := range n {
		pn := u32(plc, 4*(n+1)+4*i) & 0x3fffff
		page := cut(main, int64(pn)*512, 512)
		if len(page) < 512 || seen[pn] {
			continue
		}
		seen[pn] = true
		runs := int(page[511])
		if 4*(runs+1)+kind.slot*runs > 511 {
			continue
		}
		for k := range runs {
			if len(out) == maxRuns {
				return out
			}
			r := run{end: u32(page, 4*k+4)}
			if at := 2 * int(page[4*(runs+1)+kind.slot*k]); at > 0 {
				r.prop = kind.properties(page[:511], at, data)
			}
			if len(out) > 0 && r.end <= out[len(out)-1].end {
				continue // not in order: damaged
			}
			out = append(out, r)
		}
	}
	return out
}

func (k fkp) properties(page []byte, at int, data []byte) prop {
	var p prop
	if at >= len(page) {
		return p
	}
	n := int(page[at])
	at++
	if k.style {
		if n == 0 && at < len(page) {
			n = 2 * int(page[at])
			at++
		} else {
			n = 2*n - 1
		}
	}
	b := cut(page, int64(at), int64(n))
	if k.style {
		p.style = u16(b, 0)
		b = b[min(2, len(b)):]
	}
	p.apply(b, data, true)
	return p
}

// apply reads a list of modifications. [MS-DOC] 2.2.5, 2.6.
func (p *prop) apply(b, data []byte, huge bool) {
	for len(b) >= 2 {
		op := u16(b, 0)
		n := 0
		switch op >> 13 {
		case 0, 1:
			n = 1
		case 2, 4, 5:
			n = 2
		case 3:
			n = 4
		case 7:
			n = 3
		case 6:
			if len(b) < 3 {
				return
			}
			n = 1 + int(b[2])
			if op == 0xd608 { // sprmTDefTable: two bytes, one more than follow
				n = 1 + int(u16(b, 2))
			} else if op == 0xc615 && b[2] == 255 && len(b) > 3 { // sprmPChgTabs
				del := int(b[3])
				n = 2 + 4*del
				if 2+n < len(b) {
					n += 1 + 3*int(b[2+n])
				}
			}
		}
		if 2+n > len(b) {
			return
		}
		arg := b[2 : 2+n]
		b = b[2+n:]
		switch op {
		case 0x2416:
			p.set(inTable, arg[0])
		case 0x2417:
			p.set(rowEnd, arg[0])
		case 0x244b:
			p.set(innerCell, arg[0])
		case 0x244c:
			p.set(innerRow, arg[0])
		case 0x260a:
			p.level = arg[0]
			p.flags |= levelSet
		case 0x460b:
			p.lfo = u16(arg, 0)
			p.flags |= listSet
		case 0x6646, 0x6645: // sprmPHugePapx: the list stands in the data stream
			if at := int64(u32(arg, 0)); huge {
				p.apply(cut(data, at+2, int64(u16(data, int(at)))), nil, false)
			}
		case 0x0800:
			p.set(deleted, arg[0])
		case 0x083c:
			p.set(hidden, arg[0])
		case 0x0855:
			p.set(special, arg[0])
		case 0x0806:
			p.set(fieldData, arg[0])
		case 0x6a03: // sprmCPicLocation
			p.flags |= picture
		case 0x6a09:
			p.symbol = u16(arg, 2)
			p.flags |= special
		}
	}
}

func (p *prop) set(flag uint16, v byte) {
	if v&1 != 0 {
		p.flags |= flag
	} else if v == 0 {
		p.flags &^= flag
	}
}

// cursor finds the run of a place; places mostly rise.
type cursor struct {
	runs []run
	i    int
}

func (c *cursor) at(pos int64) *prop {
	if len(c.runs) == 0 {
		return &noProp
	}
	if !c.holds(pos) {
		c.i++
		if !c.holds(pos) {
			c.i = sort.Search(len(c.runs), func(i int) bool { return int64(c.runs[i].end) > pos })
		}
	}
	if c.i >= len(c.runs) {
		return &noProp
	}
	return &c.runs[c.i].prop
}

func (c *cursor) holds(pos int64) bool {
	return c.i < len(c.runs) && pos < int64(c.runs[c.i].end) && (c.i == 0 || pos >= int64(c.runs[c.i-1].end))
}

// noProp is that of a place without properties. It is not changed.
var noProp prop
