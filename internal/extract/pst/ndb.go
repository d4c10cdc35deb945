// Package pst reads Outlook's stores, .pst and .ost: their messages, contacts,
// appointments and folders, as properties.
//
// It promises to hold no more than the blocks of one node at a time besides the
// file, to tell its caller of every byte that it decodes, and to return what came
// out before any damage. What no node names any more (deleted messages, free
// blocks) is not read.
//
// Source: [MS-PST].
package pst

import (
	"encoding/binary"
	"errors"

	"github.com/stanch-dlp/stanch/internal/extract/mapi"
)

// Magic begins a store.
const Magic = "!BDN"

// Errors of a store. They quote nothing of it.
var (
	ErrCorrupt   = errors.New("pst: cut or damaged")
	ErrEncrypted = errors.New("pst: encrypted")
	ErrVersion   = errors.New("pst: version is not read")
)

// File is a store.
type File struct {
	b     []byte
	wide  bool // places and numbers have 64 bits: Outlook 2003 and later
	crypt byte
	back  [256]byte
	nodes ref // of the tree of nodes
	table ref // of the tree of blocks
	spend func(n int) error
	named map[uint16]mapi.Named // what properties from 0x8000 on are called
}

type ref struct{ bid, at uint64 }

// Kinds of nodes, the low five bits of a number. [MS-PST] 2.2.2.1.
const (
	kindFolder     = 0x02
	kindSearch     = 0x03
	kindMessage    = 0x04
	kindAttachment = 0x05
	kindAssociated = 0x08
	kindRecipients = 0x12
	kindMask       = 0x1f

	nodeNames = 0x61 // the map of named properties
)

// Kinds of pages. [MS-PST] 2.2.2.7.1.
const (
	pageBlocks = 0x80
	pageNodes  = 0x81

	pageSize = 512
	maxLevel = 8       // of a tree of pages; a full one of five has a thousand million entries
	maxBlock = 1 << 14 // bytes of a block; 8,192 with its trailer
)

// Open reads a store's head. spend is told of every so many bytes that are
// decoded, and ends the reading by its error.
//
// Source: [MS-PST] 2.2.2.6, 2.2.2.5.
func Open(b []byte, spend func(n int) error) (*File, error) {
	le := binary.LittleEndian
	if len(b) < 564 || string(b[:4]) != Magic {
		return nil, ErrCorrupt
	}
	f := &File{b: b, spend: spend, back: back()}
	switch v := le.Uint16(b[10:]); {
	case v == 14 || v == 15:
		f.nodes = ref{uint64(le.Uint32(b[184:])), uint64(le.Uint32(b[188:]))}
		f.table = ref{uint64(le.Uint32(b[192:])), uint64(le.Uint32(b[196:]))}
		f.crypt = b[461]
	case v >= 23 && v < 36:
		f.wide = true
		f.nodes = ref{le.Uint64(b[216:]), le.Uint64(b[224:])}
		f.table = ref{le.Uint64(b[232:]), le.Uint64(b[240:])}
		f.crypt = b[513]
	default: // 36: pages of 4 KiB, packed blocks
		return nil, ErrVersion
	}
	if f.crypt == 0x10 { // Windows Information Protection
		return nil, ErrEncrypted
	}
	if f.crypt > cryptCyclic {
		return nil, ErrVersion
	}
	return f, nil
}

// word reads a place or number at an offset that is there.
func (f *File) word(b []byte, off int) uint64 {
	if f.wide {
		return binary.LittleEndian.Uint64(b[off:])
	}
	return uint64(binary.LittleEndian.Uint32(b[off:]))
}

// size is 8 of a wide store's places, else 4.
func (f *File) size() int {
	if f.wide {
		return 8
	}
	return 4
}

// page is a page of a tree: entries of one size, in the order of their keys.
type page struct {
	entries []byte
	n, each int
	level   int
}

func (p *page) entry(i int) []byte { return p.entries[i*p.each : (i+1)*p.each] }

// page reads the page at a place. [MS-PST] 2.2.2.7.7.1.
func (f *File) page(at uint64, kind byte) (*page, error) {
	if at > uint64(len(f.b)) || uint64(len(f.b))-at < pageSize {
		return nil, ErrCorrupt
	}
	b := f.b[at : at+pageSize]
	foot, trailer := 496, 500
	if f.wide {
		foot, trailer = 488, 496
	}
	p := &page{entries: b[:foot], n: int(b[foot]), each: int(b[foot+2]), level: int(b[foot+3])}
	if b[trailer] != kind || b[trailer+1] != kind || p.level > maxLevel || p.n*p.each > foot {
		return nil, ErrCorrupt
	}
	least := 3 * f.size() // of a page that leads to pages: a key, a number, a place
	if p.level == 0 {
		least = f.leaf(kind)
	}
	if p.n > 0 && p.each < least {
		return nil, ErrCorrupt
	}
	return p, nil
}

// leaf returns the least size of an entry that leads to no page.
func (f *File) leaf(kind byte) int {
	switch {
	case kind == pageNodes && f.wide:
		return 28
	case kind == pageNodes:
		return 16
	case f.wide:
		return 20
	}
	return 12
}

// find looks a key up, and returns its entry in a leaf.
func (f *File) find(root ref, kind byte, key uint64) ([]byte, error) {
	at, above := root.at, maxLevel+1
	for {
		p, err := f.page(at, kind)
		if err != nil || p.level >= above {
			return nil, ErrCorrupt
		}
		above = p.level
		var best []byte
		for i := range p.n {
			e := p.entry(i)
			k := f.word(e, 0)
			if kind == pageNodes {
				k = uint64(uint32(k))
			} else {
				k &^= 1
			}
			if k > key {
				break
			}
			if p.level > 0 || k == key {
				best = e
			}
		}
		if best == nil {
			return nil, ErrCorrupt
		}
		if p.level == 0 {
			return best, nil
		}
		at = f.word(best, 2*f.size())
	}
}

// node is an entry of the tree of nodes, or of those within one.
type node struct {
	id        uint32
	data, sub uint64 // blocks
}

// each calls yield for each node of the store, in the order of their numbers.
// Pages that are damaged are passed over; then it returns ErrCorrupt.
func (f *File) each(yield func(node) bool) error {
	seen := map[uint64]bool{} // a page leads to others once
	var damage error
	var walk func(at uint64, above int) bool
	walk = func(at uint64, above int) bool {
		p, err := f.page(at, pageNodes)
		if err != nil || p.level >= above || seen[at] {
			damage = ErrCorrupt
			return true
		}
		seen[at] = true
		for i := range p.n {
			e, w := p.entry(i), f.size()
			if p.level > 0 {
				if !walk(f.word(e, 2*w), p.level) {
					return false
				}
			} else if !yield(node{uint32(f.word(e, 0)), f.word(e, w), f.word(e, 2*w)}) {
				return false
			}
		}
		return true
	}
	walk(f.nodes.at, maxLevel+1)
	return damage
}

// block returns the bytes of a block, decoded where it holds data.
//
// Source: [MS-PST] 2.2.2.8.
func (f *File) block(bid uint64) ([]byte, error) {
	bid &^= 1
	e, err := f.find(f.table, pageBlocks, bid)
	if err != nil {
		return nil, err
	}
	w := f.size()
	at, n := f.word(e, w), uint64(binary.LittleEndian.Uint16(e[2*w:]))
	if n > maxBlock || at > uint64(len(f.b)) || uint64(len(f.b))-at < n {
		return nil, ErrCorrupt
	}
	if err := f.spend(int(n) + 64); err != nil {
		return nil, err
	}
	b := f.b[at : at+n]
	if bid&2 == 0 && f.crypt != cryptNone {
		b = append([]byte(nil), b...)
		f.decode(b, bid)
	}
	return b, nil
}

// blocks returns the blocks of data that a number stands for, in their order;
// with an error those before it.
//
// Source: [MS-PST] 2.2.2.8.3.2.
func (f *File) blocks(bid uint64) ([][]byte, error) { return f.spread(nil, bid, 3) }

func (f *File) spread(out [][]byte, bid uint64, levels int) ([][]byte, error) {
	if bid&^1 == 0 {
		return out, nil
	}
	b, err := f.block(bid)
	if err != nil {
		return out, err
	}
	if bid&2 == 0 {
		return append(out, b), nil
	}
	w := f.size()
	if len(b) < 8 || b[0] != 1 || levels == 1 {
		return out, ErrCorrupt
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if 8+n*w > len(b) {
		return out, ErrCorrupt
	}
	for i := range n {
		if out, err = f.spread(out, f.word(b, 8+i*w), levels-1); err != nil {
			return out, err
		}
	}
	return out, nil
}

// within returns the nodes that stand in another.
//
// Source: [MS-PST] 2.2.2.8.3.3.
func (f *File) within(bid uint64) ([]node, error) { return f.gather(nil, bid, 2) }

func (f *File) gather(out []node, bid uint64, levels int) ([]node, error) {
	if bid&^1 == 0 {
		return out, nil
	}
	b, err := f.block(bid)
	if err != nil {
		return out, err
	}
	head, w := 4, f.size()
	if f.wide {
		head = 8
	}
	if bid&2 == 0 || len(b) < head || b[0] != 2 || int(b[1]) >= levels {
		return out, ErrCorrupt
	}
	n, leaf := int(binary.LittleEndian.Uint16(b[2:])), b[1] == 0
	each := 2 * w
	if leaf {
		each = 3 * w
	}
	if head+n*each > len(b) {
		return out, ErrCorrupt
	}
	for i := range n {
		e := b[head+i*each:]
		if leaf {
			out = append(out, node{uint32(f.word(e, 0)), f.word(e, w), f.word(e, 2*w)})
		} else if out, err = f.gather(out, f.word(e, w), int(b[1])); err != nil {
			return out, err
		}
	}
	return out, nil
}
