package onenote

import (
	"encoding/binary"
	"errors"
)

// Stream objects that a package is read for. [MS-FSSHTTPB] 2.2.1.5.
const (
	objElement    = 0x01 // data element
	objBlob       = 0x02 // object data BLOB
	objExcluded   = 0x03 // object group object excluded data
	objDeclBlob   = 0x05 // object group object BLOB data declaration
	objData       = 0x16 // object group object data
	objDecl       = 0x18 // object group object declare
	objBlobRef    = 0x1c // object group object data BLOB reference
	objFragment   = 0x6a // data element fragment
	objPackaging  = 0x7a // OneNote packaging
	partProps     = 1    // partitions of an object: [MS-ONESTORE] 2.7.5
	partFile      = 2
	partKind      = 4
	packagedStart = 68
)

// declared is what an object group says of the next of its data.
type declared struct {
	id   id
	part uint64
}

// packaged is a section as services and programs of Office 365 write it: a stream of
// objects, of which each data element is a group of a section's objects.
type packaged struct {
	*reader
	element id
	decls   []declared
	n       int          // data seen so far
	group   map[id]int32 // objects of the group at hand
	blobs   []blob
}

// blob is a file that stands by itself.
type blob struct {
	id   id
	data []byte
	used bool
}

// packaged reads a file in the alternative packaging.
//
// Source: [MS-ONESTORE] 2.7, 2.8; [MS-FSSHTTPB] 2.2.1.5, 2.2.1.12.
func (r *reader) packaged(b []byte) error {
	p := &packaged{reader: r, group: map[id]int32{}}
	err := p.stream(b[min(len(b), packagedStart):])
	at := make(map[id]int, len(p.blobs))
	for i, f := range p.blobs {
		at[f.id] = i
	}
	for i := range r.objects {
		o := &r.objects[i]
		if o.blob == (id{}) {
			continue
		}
		n, ok := at[o.blob]
		if !ok {
			r.damaged = true
			continue
		}
		o.file, o.isFile, p.blobs[n].used = p.blobs[n].data, true, true
	}
	for _, f := range p.blobs {
		if f.used {
			continue
		}
		if _, e := r.add(object{id: f.id, file: f.data, isFile: true}); e != nil {
			return e
		}
	}
	return err
}

// stream reads the objects one after the other. Those within others follow their
// own data, so that the ends of them say nothing more.
func (p *packaged) stream(b []byte) error {
	for len(b) > 0 {
		var kind uint32
		var size uint64
		c := cursor{b: b}
		switch b[0] & 3 {
		case 0: // [MS-FSSHTTPB] 2.2.1.5.1
			head := c.u16()
			kind, size = uint32(head>>3&0x3f), uint64(head>>9)
		case 2: // 2.2.1.5.2
			head := c.u32()
			kind, size = head>>3&0x3fff, uint64(head>>17)
			if size == 0x7fff {
				size = c.compact()
			}
		case 1: // an end
			b = b[1:]
			continue
		case 3:
			head := c.u16()
			if head>>2 == objPackaging {
				return nil
			}
			b = c.b
			if c.bad {
				return ErrCorrupt
			}
			continue
		}
		data := c.take(size)
		if c.bad {
			return ErrCorrupt
		}
		b = c.b
		if err := p.object(kind, cursor{b: data}); err != nil {
			return err
		}
	}
	return ErrCorrupt // its end is missing
}

// object reads one object's data.
func (p *packaged) object(kind uint32, c cursor) error {
	switch kind {
	case objElement:
		p.element, p.decls, p.n = c.id(), p.decls[:0], 0
		clear(p.group)
	case objDecl:
		p.decls = append(p.decls, declared{c.id(), c.compact()})
	case objDeclBlob:
		of := c.id()
		c.id()
		p.decls = append(p.decls, declared{of, c.compact()})
	case objExcluded:
		p.n++
		p.found.Elsewhere = true
	case objData, objBlobRef:
		if p.n >= len(p.decls) {
			return ErrCorrupt
		}
		d := p.decls[p.n]
		p.n++
		return p.data(kind, d, &c)
	case objBlob:
		p.blobs = append(p.blobs, blob{id: p.element, data: c.take(c.compact())})
		if len(p.blobs) > maxObjects {
			return ErrTooMany
		}
	case objFragment:
		p.damaged = true
	}
	if c.bad {
		return ErrCorrupt
	}
	return nil
}

// data reads what belongs to a declaration: an object's kind, its properties or
// its file.
func (p *packaged) data(kind uint32, d declared, c *cursor) error {
	refs := c.ids()
	for n := c.compact(); n > 0 && !c.bad; n-- { // cells
		c.id()
		c.id()
	}
	i, ok := p.group[d.id]
	if !ok {
		var err error
		if i, err = p.add(object{id: d.id}); err != nil {
			return err
		}
		p.group[d.id] = i
	}
	o := &p.objects[i]
	if kind == objBlobRef {
		o.blob = c.id()
	} else {
		b := c.take(c.compact())
		switch {
		case c.bad:
		case d.part == partKind && len(b) >= 4:
			o.jcid = binary.LittleEndian.Uint32(b)
		case d.part == partFile:
			o.file, o.isFile = b, true
		case d.part == partProps:
			values, err := p.props(b, func(i int, _ uint32) (id, bool) {
				if i >= len(refs) {
					return id{}, false
				}
				return refs[i], true
			})
			o.values = values
			if errors.Is(err, ErrTooMany) {
				return err
			}
			if err != nil {
				p.damaged = true
			}
		}
	}
	if c.bad {
		return ErrCorrupt
	}
	return nil
}

// compact reads a compact unsigned 64-bit integer. [MS-FSSHTTPB] 2.2.1.1.
func (c *cursor) compact() uint64 {
	if c.bad || len(c.b) == 0 {
		c.bad = true
		return 0
	}
	first := c.b[0]
	if first == 0 {
		c.take(1)
		return 0
	}
	n := 1 // bytes: as many as there are low bits up to the first that is set
	for first&1 == 0 {
		first >>= 1
		n++
	}
	if n == 8 {
		c.take(1)
		return c.uint(8)
	}
	return c.uint(n) >> n
}

// id reads an extended GUID. [MS-FSSHTTPB] 2.2.1.7.
func (c *cursor) id() id {
	first := c.u8()
	var n uint32
	switch {
	case first == 0:
		return id{}
	case first&7 == 4:
		n = uint32(first >> 3)
	case first&0x3f == 0x20:
		n = uint32(first>>6) | uint32(c.u8())<<2
	case first&0x7f == 0x40:
		n = uint32(first>>7) | uint32(c.u16())<<1
	case first == 0x80:
		n = c.u32()
	default:
		c.bad = true
	}
	return id{guid: c.guid(), n: n}
}

// ids reads an array of extended GUIDs. [MS-FSSHTTPB] 2.2.1.8.
func (c *cursor) ids() []id {
	n := c.compact()
	if n > uint64(len(c.b)) { // one takes a byte at least
		c.bad = true
		return nil
	}
	all := make([]id, 0, min(n, 64))
	for ; n > 0 && !c.bad; n-- {
		all = append(all, c.id())
	}
	return all
}
