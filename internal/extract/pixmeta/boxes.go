package pixmeta

import (
	"bytes"
	"encoding/binary"
)

// boxes reads the boxes of HEIC, AVIF and JPEG 2000 that hold words. file is all
// of the file, which HEIC's items point into.
//
// Source: ISO/IEC 14496-12 4.2, 8.11; ISO/IEC 23008-12 annex A; ISO/IEC 15444-1
// annex I.
func (r *reader) boxes(b, file []byte) error {
	return eachBox(b, func(kind string, v []byte) error {
		if err := r.spend(8); err != nil {
			return err
		}
		switch kind {
		case "meta":
			return r.items(v, file)
		case "xml ":
			return r.xmp(v)
		case "uuid":
			if len(v) > 16 {
				return r.block(v[16:])
			}
		case "jp2c":
			return r.codestream(v)
		case "asoc":
			return r.nested(v, file)
		case "lbl ":
			return r.line("Label", v)
		}
		return nil
	})
}

func (r *reader) nested(b, file []byte) error {
	if r.depth++; r.depth > maxDepth {
		return ErrTooDeep
	}
	defer func() { r.depth-- }()
	return r.boxes(b, file)
}

func eachBox(b []byte, f func(kind string, v []byte) error) error {
	for len(b) >= 8 {
		n, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		kind := string(b[4:8])
		switch {
		case n == 1 && len(b) >= 16:
			n, head = binary.BigEndian.Uint64(b[8:]), 16
		case n == 0: // to the end
			n = uint64(len(b))
		}
		if n < head {
			return nil
		}
		n = min(n, uint64(len(b)))
		if err := f(kind, b[head:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// codestream reads the comments in the main header of JPEG 2000. ISO/IEC 15444-1
// A.9.2.
func (r *reader) codestream(b []byte) error {
	if !bytes.HasPrefix(b, []byte("\xff\x4f")) {
		return nil
	}
	b = b[2:]
	for len(b) >= 4 && b[0] == 0xff && b[1] != 0x90 { // up to the first tile
		n := min(max(int(binary.BigEndian.Uint16(b[2:])), 2)+2, len(b))
		if b[1] == 0x64 && n > 6 {
			if err := r.line("Comment", b[6:n]); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}

// item is what the meta box of HEIC says of one of its items.
type item struct {
	kind string
	data []byte
}

// items reads the items of a meta box that are Exif or XML.
func (r *reader) items(b, file []byte) error {
	if len(b) < 4 {
		return nil
	}
	wanted := map[uint32]string{}
	var places, idat []byte
	err := eachBox(b[4:], func(kind string, v []byte) error {
		switch kind {
		case "iinf":
			return r.itemNames(v, wanted)
		case "iloc":
			places = v
		case "idat":
			idat = v
		case "xml ":
			if len(v) > 4 {
				return r.xmp(v[4:])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	found, err := r.located(places, idat, file, wanted)
	if err != nil {
		return err
	}
	for _, it := range found {
		v := it.data
		if it.kind == "Exif" {
			if len(v) < 4 {
				continue
			}
			v = v[4:][min(uint64(binary.BigEndian.Uint32(v)), uint64(len(v)-4)):] // where TIFF begins
		}
		if err := r.block(v); err != nil {
			return err
		}
	}
	return nil
}

const maxItems = 10_000

// itemNames notes the items that hold words.
func (r *reader) itemNames(b []byte, wanted map[uint32]string) error {
	skip := 6
	if len(b) > 0 && b[0] > 0 {
		skip = 8
	}
	if len(b) < skip {
		return nil
	}
	return eachBox(b[skip:], func(kind string, v []byte) error {
		if err := r.spend(len(v)); err != nil {
			return err
		}
		if kind != "infe" || len(v) < 12 || v[0] < 2 || v[0] >= 3 && len(v) < 14 {
			return nil
		}
		id, rest := uint32(binary.BigEndian.Uint16(v[4:])), v[8:]
		if v[0] >= 3 {
			id, rest = binary.BigEndian.Uint32(v[4:]), v[10:]
		}
		if k := string(rest[:4]); (k == "Exif" || k == "mime") && len(wanted) < maxItems {
			wanted[id] = k
		}
		return nil
	})
}

// cursor takes numbers off the front of b; past its end all are 0.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) (x uint64) {
	if n > len(c.b) {
		c.b, c.bad = nil, true
		return 0
	}
	for _, v := range c.b[:n] {
		x = x<<8 | uint64(v)
	}
	c.b = c.b[n:]
	return x
}

// located returns the bytes of the items that are wanted.
func (r *reader) located(places, idat, file []byte, wanted map[uint32]string) (found []item, err error) {
	c := &cursor{b: places}
	version := c.take(4) >> 24
	sizes := c.take(2)
	offset, length, base, index := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	if version == 0 {
		index = 0
	}
	idSize := 2
	if version >= 2 {
		idSize = 4
	}
	total := 0
	for n := c.take(idSize); n > 0 && !c.bad; n-- {
		id := uint32(c.take(idSize))
		from := file
		if version >= 1 && c.take(2)&15 == 1 {
			from = idat
		}
		c.take(2) // which file: this one
		start := c.take(base)
		var data []byte
		for k := c.take(2); k > 0 && !c.bad; k-- {
			c.take(index)
			at, size := start+c.take(offset), c.take(length)
			if wanted[id] == "" || at >= uint64(len(from)) {
				continue
			}
			if size == 0 {
				size = uint64(len(from))
			}
			piece := from[at:][:min(size, uint64(len(from))-at)]
			if total += len(piece); total > len(file) { // extents overlap
				return nil, ErrTooLarge
			}
			data = append(data, piece...)
		}
		if len(data) > 0 {
			found = append(found, item{wanted[id], data})
		}
	}
	return found, nil
}
