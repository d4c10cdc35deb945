package onenote

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Nodes that a list is read for. [MS-ONESTORE] 2.4.3.
const (
	nodeTableStart   = 0x021 // GlobalIdTableStartFNDX
	nodeTableStart2  = 0x022
	nodeTableEntry   = 0x024
	nodeDeclare      = 0x02d // ObjectDeclarationWithRefCountFNDX
	nodeDeclareMany  = 0x02e
	nodeRevise       = 0x041 // ObjectRevisionWithRefCountFNDX
	nodeReviseMany   = 0x042
	nodeFile         = 0x072 // ObjectDeclarationFileData3RefCountFND
	nodeFileMany     = 0x073
	nodeKey          = 0x07c // ObjectDataEncryptionKeyV2FNDX
	nodeFileObject   = 0x094 // FileDataStoreObjectReferenceFND
	nodeDeclare2     = 0x0a4 // ObjectDeclaration2RefCountFND
	nodeDeclare2Many = 0x0a5
	nodeReadOnly     = 0x0c4 // ReadOnlyObjectDeclaration2RefCountFND
	nodeReadOnlyMany = 0x0c5
	nodeEnd          = 0x0ff // ChunkTerminatorFND
)

const (
	listMagic = 0xa4567ab1f5f7f4c4 // FileNodeListHeader
	listHead  = 16
	listFoot  = 20  // nextFragment and the footer
	maxLists  = 8   // within one another: the root, an object space, its revisions, a group
	logAt     = 160 // fcrTransactionLog
	rootAt    = 172 // fcrFileNodeListRoot
	headerEnd = 1024
)

// store is a revision store: lists of nodes that lead to other lists, to
// property sets and to files.
//
// Source: [MS-ONESTORE] 2.1, 2.3, 2.4.
type store struct {
	*reader
	seen  map[uint64]bool    // fragments that were read
	files map[[16]byte]int64 // where the file of a GUID stands
	taken map[int64]bool     // files that an object names
	wants []wanted
}

// wanted is an object whose file is in the store.
type wanted struct {
	object int32
	guid   [16]byte
}

func (r *reader) store() error {
	if len(r.b) < headerEnd {
		return ErrCorrupt
	}
	s := &store{reader: r, seen: map[uint64]bool{}, files: map[[16]byte]int64{}, taken: map[int64]bool{}}
	root := cursor{b: r.b[rootAt:]}
	err := s.list(root.uint(8), root.uint(4), 0)
	if p, ok := r.within(); ok {
		err = errors.Join(err, r.packaged(p))
	}
	for _, w := range s.wants {
		at, ok := s.files[w.guid]
		if !ok {
			s.damaged = true
			continue
		}
		s.taken[at] = true
		o := &s.objects[w.object]
		o.file, o.cut, o.isFile = fileAt(r.b, at)
	}
	if !s.locked {
		err = errors.Join(err, s.strays())
	}
	return err
}

// within returns the package that stands behind the log of a store, where newer
// programs keep it: of the store there is then no more than a frame.
func (r *reader) within() ([]byte, bool) {
	log := cursor{b: r.b[logAt:]}
	at, size := log.uint(8), log.uint(4)
	if at > uint64(len(r.b)) || size > uint64(len(r.b))-at {
		return nil, false
	}
	b := r.b[at+size:]
	return b, len(b) >= packagedStart && string(b[48:64]) == formatPackage
}

func fileAt(b []byte, at int64) ([]byte, bool, bool) {
	data, cut, ok := fileData(b[at:])
	return data, cut || !ok, true
}

// strays keeps the files that no object names: those of earlier revisions, and
// what somebody put there.
func (s *store) strays() error {
	for at := headerEnd; ; {
		i := bytes.Index(s.b[at:], []byte(fileMagic))
		if i < 0 {
			return nil
		}
		at += i
		data, cut, ok := fileData(s.b[at:])
		if ok && len(data) > 0 && !s.taken[int64(at)] {
			o := object{id: id{n: uint32(at)}, file: data, cut: cut, isFile: true}
			copy(o.id.guid[:], fileMagic)
			if _, err := s.add(o); err != nil {
				return err
			}
		}
		at += fileHead
		if ok && !cut {
			at += len(data) // what a file holds is its own
		}
	}
}

// list reads a list of nodes, fragment by fragment.
func (s *store) list(at, size uint64, depth int) error {
	if depth > maxLists {
		return ErrCorrupt
	}
	t := map[uint32][16]byte{} // the table of GUIDs at hand
	for {
		if at > uint64(len(s.b)) || size > uint64(len(s.b))-at || size < listHead+listFoot {
			s.damaged = true
			return nil
		}
		if s.seen[at] {
			return nil
		}
		s.seen[at] = true
		if err := s.spend(int(size)); err != nil {
			return err
		}
		f := s.b[at : at+size]
		if binary.LittleEndian.Uint64(f) != listMagic {
			s.damaged = true
			return nil
		}
		if err := s.nodes(f[listHead:size-listFoot], t, depth); err != nil {
			return err
		}
		next := cursor{b: f[size-listFoot:]}
		at, size = next.uint(8), next.uint(4)
		if at == 1<<64-1 || size == 0 { // fcrNil, fcrZero
			return nil
		}
	}
}

// nodes reads the nodes of one fragment.
//
// Source: [MS-ONESTORE] 2.4.3.
func (s *store) nodes(b []byte, t map[uint32][16]byte, depth int) error {
	for len(b) >= 4 {
		head := binary.LittleEndian.Uint32(b)
		kind, size := head&0x3ff, int(head>>10&0x1fff)
		if kind == nodeEnd || kind == 0 {
			return nil
		}
		if size < 4 || size > len(b) {
			s.damaged = true
			return nil
		}
		n := node{kind: kind, c: cursor{b: b[4:size]}}
		b = b[size:]
		base := head >> 27 & 0xf
		if base != 0 {
			n.reference(head>>23&3, head>>25&3)
		}
		var err error
		if base == 2 {
			if !n.c.bad && !n.none {
				err = s.list(n.at, n.size, depth+1)
			}
		} else {
			err = s.node(&n, t)
		}
		switch {
		case errors.Is(err, ErrTooMany):
			return err
		case err != nil || n.c.bad:
			s.damaged = true
		}
	}
	return nil
}

// node is one node at hand: what it refers to, then its own data.
type node struct {
	kind     uint32
	at, size uint64 // of what it refers to
	none     bool   // it refers to nothing
	c        cursor
}

// reference reads a FileNodeChunkReference. [MS-ONESTORE] 2.2.4.2.
func (n *node) reference(stp, cb uint32) {
	at, size := [4]int{8, 4, 2, 4}[stp], [4]int{4, 8, 1, 2}[cb]
	n.at, n.size = n.c.uint(at), n.c.uint(size)
	n.none = n.at == 1<<(8*at)-1 && n.size == 0
	if stp >= 2 {
		n.at *= 8
	}
	if cb >= 2 {
		n.size *= 8
	}
}

// node reads a node that declares something.
func (s *store) node(n *node, t map[uint32][16]byte) error {
	switch n.kind {
	case nodeTableStart, nodeTableStart2:
		clear(t)
	case nodeTableEntry:
		i := n.c.u32()
		t[i] = n.c.guid()
	case nodeKey:
		s.locked = true
	case nodeFileObject:
		g := n.c.guid()
		if n.at >= uint64(len(s.b)) {
			return ErrCorrupt
		}
		s.files[g] = int64(n.at)
	case nodeFile, nodeFileMany:
		return s.fileNode(n, t)
	case nodeDeclare, nodeDeclareMany:
		oid := n.c.u32()
		return s.declare(n, compactID(t, oid), uint32(n.c.u16()&0x3ff)|0x00020000, t)
	case nodeRevise, nodeReviseMany:
		return s.declare(n, compactID(t, n.c.u32()), 0, t)
	case nodeDeclare2, nodeDeclare2Many, nodeReadOnly, nodeReadOnlyMany:
		oid := n.c.u32()
		return s.declare(n, compactID(t, oid), n.c.u32(), t)
	}
	return nil
}

// compactID resolves a CompactID. [MS-ONESTORE] 2.2.2.
func compactID(t map[uint32][16]byte, v uint32) id {
	g, ok := t[v>>8]
	if !ok {
		return id{n: v} // of an earlier revision's table: it leads nowhere
	}
	return id{guid: g, n: v & 0xff}
}

// declare keeps the version of an object that a node declares.
func (s *store) declare(n *node, of id, jcid uint32, t map[uint32][16]byte) error {
	if s.locked || n.none || n.size == 0 {
		return nil
	}
	if n.c.bad || n.at > uint64(len(s.b)) || n.size > uint64(len(s.b))-n.at {
		return ErrCorrupt
	}
	values, err := s.props(s.b[n.at:n.at+n.size], func(_ int, compact uint32) (id, bool) {
		return compactID(t, compact), true
	})
	if _, e := s.add(object{id: of, jcid: jcid, values: values}); e != nil {
		return e
	}
	return err
}

// fileNode keeps a container of a file: the file's name in the store, or where
// else it is.
//
// Source: [MS-ONESTORE] 2.5.27, 2.5.28.
func (s *store) fileNode(n *node, t map[uint32][16]byte) error {
	oid, jcid := n.c.u32(), n.c.u32()
	if n.kind == nodeFile {
		n.c.take(1)
	} else {
		n.c.take(4)
	}
	ref := codepage.Decode16(n.c.take(2 * uint64(n.c.u32())))
	if n.c.bad {
		return ErrCorrupt
	}
	i, err := s.add(object{id: compactID(t, oid), jcid: jcid})
	if err != nil {
		return err
	}
	switch kind, rest, _ := strings.Cut(ref, ">"); kind {
	case "<ifndf":
		g, ok := parseGUID(rest)
		if !ok {
			return ErrCorrupt
		}
		s.wants = append(s.wants, wanted{i, g})
	case "<file":
		s.found.Elsewhere = true
	}
	return nil
}

// parseGUID reads {XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX} as a GUID is stored.
func parseGUID(s string) (g [16]byte, ok bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(strings.TrimRight(s, "\x00"), "{}"), "-", ""))
	if err != nil || len(b) != len(g) {
		return g, false
	}
	order := [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}
	for i, at := range order {
		g[at] = b[i]
	}
	return g, true
}
