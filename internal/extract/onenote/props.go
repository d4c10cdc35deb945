package onenote

import "encoding/binary"

// cursor reads numbers; past the end it fails, and stays so.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// uint reads n bytes, at most eight, in little endian.
func (c *cursor) uint(n int) uint64 {
	var v [8]byte
	copy(v[:], c.take(uint64(n)))
	return binary.LittleEndian.Uint64(v[:])
}

func (c *cursor) u8() uint8   { return uint8(c.uint(1)) }
func (c *cursor) u16() uint16 { return uint16(c.uint(2)) }
func (c *cursor) u32() uint32 { return uint32(c.uint(4)) }

func (c *cursor) guid() (g [16]byte) {
	copy(g[:], c.take(16))
	return g
}

// Types of a property's value. [MS-ONESTORE] 2.6.6.
const (
	typeNone       = 0x1
	typeBool       = 0x2
	typeByte       = 0x3
	typeTwo        = 0x4
	typeFour       = 0x5
	typeEight      = 0x6
	typeData       = 0x7
	typeObject     = 0x8
	typeObjects    = 0x9
	typeSpace      = 0xa
	typeSpaces     = 0xb
	typeContext    = 0xc
	typeContexts   = 0xd
	typeSets       = 0x10
	typeSet        = 0x11
	maskOfCount    = 1<<24 - 1
	flagExtended   = 1 << 30
	flagNoSpaces   = 1 << 31
	maxSetsInArray = 1 << 16
)

// propSet is a property set that is being read.
type propSet struct {
	r      *reader
	c      cursor
	refs   func(i int) (id, bool) // of the i-th object that it refers to
	n      int                    // objects referred to so far
	count  int                    // all
	values []value
	err    error
}

// props reads an ObjectSpaceObjectPropSet. refs resolves the i-th of its
// references, which it has as well as the number of in the stream of the set.
//
// Source: [MS-ONESTORE] 2.6.1 to 2.6.9.
func (r *reader) props(b []byte, refs func(i int, compact uint32) (id, bool)) ([]value, error) {
	if err := r.spend(len(b)); err != nil {
		return nil, err
	}
	p := &propSet{r: r, c: cursor{b: b}}
	head := p.c.u32()
	p.count = int(head & maskOfCount)
	oids := p.c.take(4 * uint64(p.count))
	p.refs = func(i int) (id, bool) {
		if 4*i+4 > len(oids) {
			return id{}, false
		}
		return refs(i, binary.LittleEndian.Uint32(oids[4*i:]))
	}
	if head&flagNoSpaces == 0 {
		head := p.c.u32()
		p.c.take(4 * uint64(head&maskOfCount))
		if head&flagExtended != 0 {
			p.c.take(4 * uint64(p.c.u32()&maskOfCount))
		}
	}
	p.set(0)
	if p.err == nil && p.c.bad {
		p.err = ErrCorrupt
	}
	return p.values, p.err
}

// set reads one PropertySet.
func (p *propSet) set(depth int) {
	if depth > maxDepth {
		p.err = ErrCorrupt
		return
	}
	n := int(p.c.u16())
	ids := p.c.take(4 * uint64(n))
	for i := 0; i < len(ids) && p.err == nil && !p.c.bad; i += 4 {
		p.value(binary.LittleEndian.Uint32(ids[i:]), depth)
	}
}

func (p *propSet) value(prop uint32, depth int) {
	switch prop >> 26 & 0x1f {
	case typeNone, typeBool:
	case typeByte:
		p.c.take(1)
	case typeTwo:
		p.c.take(2)
	case typeFour:
		p.c.take(4)
	case typeEight:
		p.c.take(8)
	case typeData:
		if data := p.c.take(uint64(p.c.u32())); len(data) > 0 && isText(prop, data) {
			p.keep(value{prop: prop, data: data})
		}
	case typeObject:
		p.objects(prop, 1)
	case typeObjects:
		p.objects(prop, p.c.u32())
	case typeSpace, typeContext:
	case typeSpaces, typeContexts:
		p.c.take(4)
	case typeSets:
		n := p.c.u32()
		if n > maxSetsInArray {
			p.err = ErrCorrupt
			return
		}
		if n > 0 {
			p.c.take(4) // their type
		}
		for range n {
			if p.err != nil || p.c.bad {
				return
			}
			p.set(depth + 1)
		}
	case typeSet:
		p.set(depth + 1)
	default:
		p.err = ErrCorrupt
	}
}

// objects reads n references.
func (p *propSet) objects(prop, n uint32) {
	if int64(n) > int64(p.count-p.n) {
		p.err = ErrCorrupt
		return
	}
	v := value{prop: prop}
	for range n {
		if x, ok := p.refs(p.n); ok {
			v.refs = append(v.refs, x)
		}
		p.n++
	}
	if len(v.refs) > 0 {
		p.keep(v)
	}
}

func (p *propSet) keep(v value) {
	p.r.values += 1 + len(v.refs)
	if p.r.values > maxValues {
		p.err = ErrTooMany
		return
	}
	p.values = append(p.values, v)
}
