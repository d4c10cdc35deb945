package pst_test

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/mapi"
)

// store writes a store, block by block.
type store struct {
	wide  bool
	crypt byte
	b     []byte
	table [][3]uint64 // number, place, size of blocks
	nodes [][3]uint64 // number, data, nodes within
	next  uint64
}

var le = binary.LittleEndian

func newStore(wide bool, crypt byte) *store {
	return &store{wide: wide, crypt: crypt, b: make([]byte, 1024), next: 4}
}

func (s *store) word(b []byte, v uint64) []byte {
	if s.wide {
		return le.AppendUint64(b, v)
	}
	return le.AppendUint32(b, uint32(v))
}

func (s *store) align(n int) {
	for len(s.b)%n != 0 {
		s.b = append(s.b, 0)
	}
}

// block adds a block, and returns its number.
func (s *store) block(data []byte, internal bool) uint64 {
	id := s.next
	if s.next += 4; internal {
		id |= 2
	}
	data = slices.Clone(data)
	if !internal {
		encode(data, s.crypt, id)
	}
	s.align(64)
	s.table = append(s.table, [3]uint64{id, uint64(len(s.b)), uint64(len(data))})
	s.b = append(s.b, data...)
	return id
}

// data adds data as one block, or as several with one that lists them.
func (s *store) data(b []byte, most int) uint64 {
	if len(b) <= most {
		return s.block(b, false)
	}
	list, n := []byte{1, 1, 0, 0}, 0
	list = le.AppendUint32(list, uint32(len(b)))
	for c := range slices.Chunk(b, most) {
		list, n = s.word(list, s.block(c, false)), n+1
	}
	le.PutUint16(list[2:], uint16(n))
	return s.block(list, true)
}

// within adds a list of nodes.
func (s *store) within(nodes [][3]uint64) uint64 {
	if len(nodes) == 0 {
		return 0
	}
	b := []byte{2, 0, byte(len(nodes)), 0}
	if s.wide {
		b = append(b, 0, 0, 0, 0)
	}
	for _, n := range nodes {
		for _, v := range n {
			b = s.word(b, v)
		}
	}
	return s.block(b, true)
}

// finish writes the trees and the head.
func (s *store) finish() []byte {
	nodes, table := s.tree(0x81, s.nodes, true), s.tree(0x80, s.table, false)
	copy(s.b, "!BDN")
	if s.wide {
		le.PutUint16(s.b[10:], 23)
		le.PutUint64(s.b[224:], nodes)
		le.PutUint64(s.b[240:], table)
		s.b[513] = s.crypt
		return s.b
	}
	le.PutUint16(s.b[10:], 14)
	le.PutUint32(s.b[188:], uint32(nodes))
	le.PutUint32(s.b[196:], uint32(table))
	s.b[461] = s.crypt
	return s.b
}

// tree writes leaves of three entries below one page that leads to them.
func (s *store) tree(kind byte, all [][3]uint64, nodes bool) uint64 {
	slices.SortFunc(all, func(a, b [3]uint64) int { return int(a[0]) - int(b[0]) })
	var above []byte
	n := 0
	for c := range slices.Chunk(all, 3) {
		var leaf []byte
		for _, e := range c {
			leaf = s.word(s.word(leaf, e[0]), e[1])
			if nodes {
				leaf = le.AppendUint32(s.word(leaf, e[2]), 0)
			} else {
				leaf = le.AppendUint16(le.AppendUint16(leaf, uint16(e[2])), 1)
			}
			if s.wide {
				leaf = append(leaf, 0, 0, 0, 0)
			}
		}
		above = s.word(s.word(s.word(above, c[0][0]), 0), s.page(kind, leaf, len(c), 0))
		n++
	}
	return s.page(kind, above, n, 1)
}

func (s *store) page(kind byte, entries []byte, n, level int) uint64 {
	s.align(512)
	at := len(s.b)
	s.b = append(s.b, make([]byte, 512)...)
	p, foot, trailer := s.b[at:], 496, 500
	if s.wide {
		foot, trailer = 488, 496
	}
	copy(p, entries)
	p[foot], p[foot+1], p[foot+3] = byte(n), byte(n), byte(level)
	if n > 0 {
		p[foot+2] = byte(len(entries) / n)
	}
	p[trailer], p[trailer+1] = kind, kind
	return uint64(at)
}

// heap makes a heap of pieces; the first is its root.
func heap(kind byte, pieces ...[]byte) []byte {
	b := []byte{0, 0, 0xec, kind, 0x20, 0, 0, 0, 0, 0, 0, 0}
	ends := []int{len(b)}
	for _, p := range pieces {
		b = append(b, p...)
		ends = append(ends, len(b))
	}
	le.PutUint16(b, uint16(len(b)))
	b = le.AppendUint16(le.AppendUint16(b, uint16(len(pieces))), 0)
	for _, e := range ends {
		b = le.AppendUint16(b, uint16(e))
	}
	return b
}

// piece is the number of a heap's n-th piece, from 1.
func piece(n int) uint32 { return uint32(n) << 5 }

// prop is a property to write; of an object, its value is a node's number.
type prop struct {
	id    uint16
	t     mapi.Type
	value []byte
}

func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, c)
	}
	return b
}

func number(n uint32) []byte { return le.AppendUint32(nil, n) }

// properties adds a heap of properties, and returns its data and what stands in
// it besides what is given. Values past 300 bytes are nodes.
func (s *store) properties(ps []prop, sub [][3]uint64) (data, within uint64) {
	pieces := [][]byte{{0xb5, 2, 6, 0, 0x40, 0, 0, 0}, nil}
	var records []byte
	slices.SortFunc(ps, func(a, b prop) int { return int(a.id) - int(b.id) })
	for i, p := range ps {
		records = le.AppendUint16(le.AppendUint16(records, p.id), uint16(p.t))
		switch n := p.t.Size(); {
		case n > 0 && n <= 4:
			records = append(records, append(slices.Clone(p.value), 0, 0, 0, 0)[:4]...)
		case len(p.value) > 300:
			id := uint32(i+1)<<5 | 0x1f
			sub = append(sub, [3]uint64{uint64(id), s.data(p.value, 1000), 0})
			records = le.AppendUint32(records, id)
		default:
			pieces = append(pieces, p.value)
			records = le.AppendUint32(records, piece(len(pieces)))
		}
	}
	pieces[1] = records
	return s.block(heap(0xbc, pieces...), false), s.within(sub)
}

// recipients adds a table of names and addresses.
func (s *store) recipients(all ...[2]string) [3]uint64 {
	info := []byte{0x7c, 3}
	for _, end := range []uint16{16, 16, 16, 17} {
		info = le.AppendUint16(info, end)
	}
	info = append(info, 0, 0, 0, 0)
	info = le.AppendUint32(le.AppendUint32(info, piece(2)), 0)
	column := func(id uint16, t mapi.Type, at uint16, bit byte) {
		info = le.AppendUint16(le.AppendUint16(info, uint16(t)), id)
		info = append(le.AppendUint16(info, at), 4, bit)
	}
	column(mapi.DisplayName, mapi.String, 4, 0)
	column(mapi.SMTPAddress, mapi.String, 8, 1)
	column(mapi.RecipientType, mapi.Int32, 12, 2)
	pieces := [][]byte{info, nil}
	for i, r := range all {
		pieces = append(pieces, wide(r[0]), wide(r[1]))
		row := le.AppendUint32(nil, uint32(i+1))
		row = le.AppendUint32(le.AppendUint32(row, piece(len(pieces)-1)), piece(len(pieces)))
		pieces[1] = append(append(pieces[1], le.AppendUint32(row, 1)...), 0xe0)
	}
	return [3]uint64{0x692, s.block(heap(0x7c, pieces...), false), 0}
}
