package onenote_test

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/onenote"
)

// No program here writes OneNote: the sections of these tests are written as
// [MS-ONESTORE] 2.3 to 2.8 and [MS-FSSHTTPB] 2.2.1 say.

// Properties and kinds of objects. [MS-ONE] 2.1.12, 2.1.13.
const (
	text, ascii, title, fileName, path     = 0x1c001c22, 0x1c003498, 0x1c001cf3, 0x1c001d9c, 0x1c001d9d
	children, content, container, someBool = 0x24001c20, 0x24001c1f, 0x20001d9b, 0x88001c04
	unknown, font, array                   = 0x1c00ffff, 0x1c001c0a, 0x40003499

	page, outline, rich, table, row, cell, fileNode, fileKind, inkKind = 0x6000b, 0x6000c, 0x6000e, 0x60022, 0x60023, 0x60024, 0x60035, 0x80036, 0x60014
)

// thing is an object of a section that is written: its number is its place.
type thing struct {
	kind  uint32
	words []words
	refs  map[uint32][]int // children by property
	file  string           // of a container
	away  bool             // the container's file is elsewhere
}

type words struct {
	prop uint32
	b    []byte
}

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func said(s string) words { return words{text, wide(s + "\x00")} }

func le(n int, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, v)[:n]
}

func join(all ...[]byte) (b []byte) {
	for _, x := range all {
		b = append(b, x...)
	}
	return b
}

// set writes the properties of t. 2.6.1.
func set(t thing) []byte {
	var ids, oids, data []byte
	n := 0
	for _, p := range []uint32{children, content, container} {
		if len(t.refs[p]) == 0 {
			continue
		}
		n++
		ids = append(ids, le(4, uint64(p))...)
		if p != container {
			data = append(data, le(4, uint64(len(t.refs[p])))...)
		}
		for _, r := range t.refs[p] {
			oids = append(oids, le(4, uint64(r+1))...) // of the first GUID
		}
	}
	for _, w := range t.words {
		n++
		ids = append(ids, le(4, uint64(w.prop))...)
		data = append(append(data, le(4, uint64(len(w.b)))...), w.b...)
	}
	n += 2 // what is passed over
	ids = append(append(ids, le(4, someBool)...), le(4, array)...)
	data = append(data, join(le(4, 1), le(4, 0x44000811), le(2, 1), le(4, 0x14001c01), le(4, 7))...)
	return join(le(4, uint64(len(oids)/4)|1<<31), oids, le(2, uint64(n)), ids, data)
}

const guid = "GUID of a sectio"

// header writes the first 64 bytes of a file.
func header(format string) []byte {
	return []byte(onenote.Magic + guid + guid + format)
}

const (
	formatStore   = "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8"
	formatPackage = "\x2f\xe9\x8d\x63\xd4\xa6\xc1\x4b\x9a\x36\xb3\xfc\x25\x11\xa5\xb7"
)

// store writes a revision store.
type store struct{ b []byte }

// node is a FileNode: its reference with eight and four bytes, where it has one. 2.4.3.
func node(kind, base int, at, size int, data []byte) []byte {
	ref := []byte{}
	if base != 0 {
		ref = join(le(8, uint64(at)), le(4, uint64(size)))
	}
	head := uint64(kind) | uint64(4+len(ref)+len(data))<<10 | uint64(base)<<27 | 1<<31
	return join(le(4, head), ref, data)
}

func (s *store) put(b []byte) (at, size int) {
	at = len(s.b)
	s.b = append(s.b, b...)
	return at, len(b)
}

// list writes nodes as a list of two fragments. 2.4.1, 2.4.2.
func (s *store) list(nodes ...[]byte) (at, size int) {
	const magic, foot = 0xa4567ab1f5f7f4c4, 0x8bc215c38233ba4b
	half := len(nodes) / 2
	next := join(le(8, 1<<64-1), le(4, 0))
	if half > 0 {
		at, size = s.put(join(le(8, magic), le(8, 1<<32), join(nodes[half:]...), []byte{0, 0}, next, le(8, foot)))
		next = join(le(8, uint64(at)), le(4, uint64(size)))
		nodes = append(nodes[:half:half], le(4, 0xff|4<<10))
	}
	return s.put(join(le(8, magic), le(8, 1), join(nodes...), next, le(8, foot)))
}

const fileMagic = "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac"

func storeOf(things []thing, extra ...[]byte) []byte {
	s := &store{b: append(header(formatStore), make([]byte, 1024-64)...)}
	group := [][]byte{node(0x022, 0, 0, 0, nil), node(0x024, 0, 0, 0, join(le(4, 0), []byte(guid)))}
	var files [][]byte
	for i, t := range things {
		if t.file != "" || t.away {
			g := []byte("file of number \x00")
			g[15] = byte(i)
			ref := wide("<ifndf>{656C6966-6F20-2066-6E75-6D6265722" + "0" + hex(byte(i)) + "}\x00")
			if t.away {
				ref = wide("<file>a.pdf\x00")
			}
			group = append(group, node(0x072, 0, 0, 0, join(le(4, uint64(i+1)), le(4, uint64(t.kind)), []byte{1}, le(4, uint64(len(ref)/2)), ref, le(4, 0))))
			at, size := s.put(join([]byte(fileMagic), le(8, uint64(len(t.file))), make([]byte, 12), []byte(t.file), make([]byte, 16)))
			if t.file != "" {
				files = append(files, node(0x094, 1, at, size, g))
			}
			continue
		}
		at, size := s.put(set(t))
		group = append(group, node(0x0a4, 1, at, size, join(le(4, uint64(i+1)), le(4, uint64(t.kind)), []byte{3, 1})))
	}
	at, size := s.list(append(group, extra...)...)
	at, size = s.list(node(0x01c, 0, 0, 0, nil), node(0x0b0, 2, at, size, make([]byte, 20)))
	at, size = s.list(node(0x010, 2, at, size, nil))
	root := [][]byte{node(0x008, 2, at, size, make([]byte, 20))}
	if files != nil {
		at, size = s.list(files...)
		root = append(root, node(0x090, 2, at, size, nil))
	}
	at, size = s.list(root...)
	copy(s.b[172:], join(le(8, uint64(at)), le(4, uint64(size))))
	return s.b
}

func hex(b byte) string { return string("0123456789ABCDEF"[b>>4]) + string("0123456789ABCDEF"[b&15]) }

// packageOf writes the same in the other packaging.
func packageOf(things []thing) []byte {
	id := func(n int) []byte { return join([]byte{byte(n<<3 | 4)}, []byte(guid)) }
	compact := func(n int) []byte { return le(4, uint64(n)<<4|8) }
	start := func(kind int, data []byte) []byte {
		return join(le(4, 2|uint64(kind)<<3|uint64(0x7fff)<<17), join([]byte{0x80}, le(8, uint64(len(data)))), data)
	}
	short := func(kind int, data []byte) []byte { return join(le(2, uint64(kind)<<3|uint64(len(data))<<9), data) }
	element := func(n, kind int, inside ...[]byte) []byte {
		return join(short(0x01, join(id(n), []byte{0}, []byte{byte(kind<<1 | 1)})), join(inside...), []byte{0x01<<2 | 1})
	}
	var decl, data, blobs []byte
	for i, t := range things {
		n := i + 1
		decl = append(decl, short(0x18, join(id(n), []byte{4<<1 | 1}, compact(4), compact(0), compact(0)))...)
		data = append(data, start(0x16, join(compact(0), compact(0), compact(4), le(4, uint64(t.kind))))...)
		if t.file != "" {
			decl = append(decl, short(0x05, join(id(n), id(20+i), []byte{2<<1 | 1}, compact(0), compact(0)))...)
			data = append(data, start(0x1c, join(compact(0), compact(0), id(20+i)))...)
			blobs = append(blobs, element(20+i, 0x0a, start(0x02, join(compact(len(t.file)), []byte(t.file))))...)
		}
		if t.away {
			decl = append(decl, short(0x18, join(id(n), []byte{2<<1 | 1}, compact(9), compact(0), compact(0)))...)
			data = append(data, start(0x03, join(compact(0), compact(0), compact(9)))...)
		}
		var refs []byte
		all := 0
		for _, p := range []uint32{children, content, container} {
			for _, r := range t.refs[p] {
				refs = append(refs, id(r+1)...)
				all++
			}
		}
		b := set(t)
		decl = append(decl, short(0x18, join(id(n), []byte{1<<1 | 1}, compact(len(b)), compact(all), compact(0)))...)
		data = append(data, start(0x16, join(compact(all), refs, compact(0), compact(len(b)), b))...)
	}
	group := element(19, 0x05, start(0x1d, nil), decl, []byte{0x1d<<2 | 1}, start(0x1e, nil), data, []byte{0x1e<<2 | 1})
	return join(header(formatPackage), le(4, 0), start(0x7a, join(id(1), []byte(guid))), short(0x15, []byte{0}),
		group, blobs, []byte{0x15<<2 | 1}, le(2, 0x7a<<2|3))
}
