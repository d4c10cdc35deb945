package pst

import (
	"encoding/binary"
	"slices"

	"github.com/stanch-dlp/stanch/internal/extract/mapi"
)

// heap is a node's data cut into pieces, which have numbers.
//
// Source: [MS-PST] 2.3.1.
type heap struct {
	f      *File
	blocks [][]byte
	root   uint32
	kind   byte
	sub    []node
	byID   map[uint32]int // places in sub
}

// node returns a node within, false where there is none of that number.
func (h *heap) node(id uint32) (node, bool) {
	i, ok := h.byID[id]
	if !ok {
		return node{}, false
	}
	return h.sub[i], true
}

// Kinds of heaps. [MS-PST] 2.3.1.2.
const (
	heapTable      = 0x7c
	heapProperties = 0xbc
	treeMark       = 0xb5

	maxRecords = 1 << 16 // of a tree on a heap: keys of properties have 16 bits
	maxProp    = 64 << 20
)

// heap reads a node's heap and the nodes in it; with an error what could be read
// of it, which may be nothing.
func (f *File) heap(n node) (*heap, error) {
	h := &heap{f: f}
	var err, err2 error
	h.blocks, err = f.blocks(n.data)
	if h.sub, err2 = f.within(n.sub); err == nil {
		err = err2
	}
	if len(h.blocks) == 0 || len(h.blocks[0]) < 12 || h.blocks[0][2] != 0xec {
		h.blocks = nil
		if err == nil {
			err = ErrCorrupt
		}
		return h, err
	}
	h.byID = make(map[uint32]int, len(h.sub))
	for i, n := range h.sub {
		h.byID[n.id] = i
	}
	h.kind, h.root = h.blocks[0][3], binary.LittleEndian.Uint32(h.blocks[0][4:])
	return h, err
}

// piece returns the piece of a number, nil where there is none.
func (h *heap) piece(id uint32) []byte {
	le := binary.LittleEndian
	block, i := int(id>>16), int(id>>5&0x7ff)
	if id&kindMask != 0 || i == 0 || block >= len(h.blocks) || len(h.blocks[block]) < 4 {
		return nil
	}
	b := h.blocks[block]
	m := int(le.Uint16(b))
	if m+4 > len(b) {
		return nil
	}
	n := int(le.Uint16(b[m:]))
	if i > n || m+4+2*(n+1) > len(b) {
		return nil
	}
	from, to := int(le.Uint16(b[m+2+2*i:])), int(le.Uint16(b[m+4+2*i:]))
	if from > to || to > len(b) {
		return nil
	}
	return b[from:to]
}

// value returns what a number of a piece or of a node stands for.
func (h *heap) value(id uint32) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	if id&kindMask == 0 {
		b := h.piece(id)
		if b == nil {
			return nil, ErrCorrupt
		}
		return b, h.f.spend(len(b))
	}
	if n, ok := h.node(id); ok {
		return h.f.data(n)
	}
	return nil, ErrCorrupt
}

// data returns the data of a node; with an error what came before it.
func (f *File) data(n node) ([]byte, error) {
	blocks, err := f.blocks(n.data)
	return slices.Concat(blocks...), err
}

// records calls yield for each record of the tree on the heap, until it says no.
//
// Source: [MS-PST] 2.3.2.
func (h *heap) records(root uint32, key, size int, yield func(b []byte) bool) error {
	head := h.piece(root)
	if len(head) < 8 || head[0] != treeMark || int(head[1]) != key || int(head[2]) != size || head[3] > maxLevel {
		return ErrCorrupt
	}
	left, bad := maxRecords, false
	var walk func(id uint32, level int) bool
	walk = func(id uint32, level int) bool {
		b, each := h.piece(id), key+size
		if level > 0 {
			each = key + 4
		}
		if b == nil && id != 0 {
			bad = true
		}
		for ; len(b) >= each; b = b[each:] {
			if left--; left < 0 {
				bad = true
				return false
			}
			if level > 0 {
				if !walk(binary.LittleEndian.Uint32(b[key:]), level-1) {
					return false
				}
			} else if !yield(b[:each]) {
				return false
			}
		}
		return true
	}
	walk(binary.LittleEndian.Uint32(head[4:]), int(head[3]))
	if bad {
		return ErrCorrupt
	}
	return nil
}

// props reads a heap of properties. The value of AttachData is left out; hold is
// given what stands for it.
//
// Source: [MS-PST] 2.3.3.
func (h *heap) props(hold func(t mapi.Type, id uint32)) (ps mapi.Props, err error) {
	if h.kind != heapProperties {
		return nil, ErrCorrupt
	}
	var over error
	damage := h.records(h.root, 2, 6, func(b []byte) bool {
		le := binary.LittleEndian
		if over = h.f.spend(len(b)); over != nil {
			return false
		}
		id, t, v := le.Uint16(b), mapi.Type(le.Uint16(b[2:])), b[4:8]
		if id == mapi.AttachData && hold != nil {
			hold(t, le.Uint32(v))
			return true
		}
		if n := t.Size(); t&mapi.Many != 0 || n == 0 || n > 4 {
			whole, e := h.value(le.Uint32(v))
			if e != nil {
				err = e
				if e != ErrCorrupt { //nolint:errorlint // ErrCorrupt comes bare
					over = e
					return false
				}
			}
			v = whole
		}
		ps = h.add(ps, id, t, v)
		return true
	})
	switch {
	case over != nil:
		return ps, over
	case damage != nil:
		return ps, damage
	}
	return ps, err
}

// add adds a property that has a value.
func (h *heap) add(ps mapi.Props, id uint16, t mapi.Type, v []byte) mapi.Props {
	if len(v) == 0 || len(v) > maxProp {
		return ps
	}
	p := mapi.Prop{ID: id, Type: t, Values: [][]byte{v}}
	if n := h.f.named[id]; id >= 0x8000 {
		p.Name, p.LID = n.Text, n.LID
	}
	switch {
	case t&mapi.Many != 0:
		p.Values = many(t, v)
	case id == mapi.Subject: // its prefix is told by a mark and a length. [MS-PST] 2.5.3.1.1.1
		if t == mapi.String && len(v) >= 4 && v[0] == 1 && v[1] == 0 {
			p.Values[0] = v[4:]
		} else if t == mapi.String8 && len(v) >= 2 && v[0] == 1 {
			p.Values[0] = v[2:]
		}
	}
	return append(ps, p)
}

// many cuts the values of a property that has several. [MS-PST] 2.3.3.4.
func many(t mapi.Type, v []byte) (out [][]byte) {
	le := binary.LittleEndian
	if n := t.Size(); n > 0 {
		for ; len(v) >= n; v = v[n:] {
			out = append(out, v[:n])
		}
		return out
	}
	if len(v) < 4 {
		return nil
	}
	n := int64(le.Uint32(v))
	if 4+4*n > int64(len(v)) {
		return nil
	}
	past := int64(0) // values follow one another: they do not lie over each other
	for i := range n {
		from, to := int64(le.Uint32(v[4+4*i:])), int64(len(v))
		if i+1 < n {
			to = int64(le.Uint32(v[8+4*i:]))
		}
		if from < past || from > to || to > int64(len(v)) {
			break
		}
		past = to
		out = append(out, v[from:to])
	}
	return out
}

// rows reads a heap that is a table.
//
// Source: [MS-PST] 2.3.4.
func (h *heap) rows() (out []mapi.Props, err error) {
	le := binary.LittleEndian
	info := h.piece(h.root)
	if h.kind != heapTable || len(info) < 22 || info[0] != heapTable || len(info) < 22+8*int(info[1]) {
		return nil, ErrCorrupt
	}
	columns, bits, size := info[22:22+8*int(info[1])], int(le.Uint16(info[6:])), int(le.Uint16(info[8:]))
	if bits > size || size < 4 {
		return nil, ErrCorrupt
	}
	var blocks [][]byte
	if id := le.Uint32(info[14:]); id&kindMask == 0 {
		blocks = [][]byte{h.piece(id)}
	} else {
		n, ok := h.node(id)
		if !ok && id != 0 {
			return nil, ErrCorrupt
		}
		if blocks, err = h.f.blocks(n.data); err != nil && err != ErrCorrupt { //nolint:errorlint // ErrCorrupt comes bare
			return nil, err
		}
	}
	for _, b := range blocks {
		for ; len(b) >= size; b = b[size:] {
			ps, e := h.row(b[:size], columns, bits)
			if e != nil {
				if err = e; e != ErrCorrupt { //nolint:errorlint // ErrCorrupt comes bare
					return out, err
				}
			}
			if len(ps) > 0 {
				out = append(out, ps)
			}
			if len(out) >= maxRecords {
				return out, ErrCorrupt
			}
		}
	}
	return out, err
}

// row reads a row, in which bits from an offset on say which cells have a value.
func (h *heap) row(b, columns []byte, bits int) (ps mapi.Props, err error) {
	le := binary.LittleEndian
	if err := h.f.spend(len(b)); err != nil {
		return nil, err
	}
	for ; len(columns) >= 8; columns = columns[8:] {
		t, id := mapi.Type(le.Uint16(columns)), le.Uint16(columns[2:])
		at, n, bit := int(le.Uint16(columns[4:])), int(columns[6]), int(columns[7])
		if at+n > bits || bits+bit/8 >= len(b) || b[bits+bit/8]&(0x80>>(bit%8)) == 0 {
			continue
		}
		v := b[at : at+n]
		switch size := t.Size(); {
		case size > 0 && size <= 8 && t&mapi.Many == 0:
			if n < min(size, 8) && t != mapi.Bool { // a truth value is a byte here
				continue
			}
			if n == 1 {
				v = []byte{v[0], 0}
			}
		case n == 4:
			whole, e := h.value(le.Uint32(v))
			if e != nil {
				if err = e; e != ErrCorrupt { //nolint:errorlint // ErrCorrupt comes bare
					return ps, e
				}
			}
			v = whole
		default:
			continue
		}
		ps = h.add(ps, id, t, v)
	}
	return ps, err
}
