// Package iso reads images of optical discs: ISO 9660 with Joliet and Rock Ridge,
// UDF (ECMA-167 of versions 2 and 3), and discs that hold both.
//
// It promises members as pieces of the bytes it was handed, each piece once
// whatever trees list it, and an end: no directory is walked twice, none deeper
// than 64, and no more entries are read than its caller takes.
package iso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
)

// Errors of Read.
var (
	ErrDamaged = errors.New("iso: damaged")
	// ErrPartition says that a UDF volume lies in a way that is not read (a
	// virtual or metadata partition).
	ErrPartition = errors.New("iso: kind of partition is not read")
)

// Entry is one file of one tree.
type Entry struct {
	Name   string   // with the folders above it, any bytes
	Link   string   // what a symbolic link points to
	Pieces [][]byte // of the content, in order; alias the image
	Size   int64    // bytes, as the directory has it
	Dir    bool
	Packed bool // the content is compressed (zisofs)
	Cut    bool // the image ends before the content does
	Again  bool // another tree or name listed the same content before
}

const (
	sector   = 2048
	maxDepth = 64
	maxPiece = 1 << 16 // pieces of one file

	// maxDirs is how many bytes of directories are read: folders may lie over one
	// another.
	maxDirs = 64 << 20
)

// Is reports whether head, the first 34 KiB or more of a file, is that of an
// image: a volume descriptor stands in sector 16. ECMA-119 8.1; ECMA-167 2/9.1.
func Is(head []byte) bool {
	if len(head) < 16*sector+7 {
		return false
	}
	d := head[16*sector:]
	switch string(d[1:6]) {
	case "CD001":
		return d[0] <= 3 && d[6] <= 2
	case "BEA01":
		return d[0] == 0 && d[6] == 1
	}
	return false
}

// Image is what an image says of itself.
type Image struct {
	Words []string // names of volume, publisher and others
	End   int64    // of what any tree lists, in bytes
}

// Read calls visit for each file and folder of each tree in b, until it returns
// false. An error comes after all that could be read.
func Read(b []byte, visit func(Entry) bool) (Image, error) {
	w := &walk{b: b, visit: visit, seen: map[[2]int64]bool{}, dirs: map[[2]int64]bool{}}
	udf := false
	for at := 16 * sector; at+sector <= len(b) && at < 80*sector; at += sector {
		d := b[at : at+sector]
		if w.reach(int64(at), sector); string(d[1:6]) == "CD001" {
			switch d[0] {
			case 1, 2:
				w.volume(d)
			}
			continue
		}
		switch string(d[1:6]) {
		case "BEA01", "TEA01", "BOOT2", "CDW02":
			continue
		case "NSR02", "NSR03":
			udf = true
			continue
		}
		break
	}
	if udf || !w.any {
		if err := w.udf(); err != nil && w.err == nil {
			w.err = err
		}
	}
	return Image{Words: w.words, End: w.end}, w.err
}

type walk struct {
	b       []byte
	visit   func(Entry) bool
	stopped bool
	any     bool // a tree was found
	err     error
	words   []string
	end     int64
	seen    map[[2]int64]bool // content by where it begins and its size
	dirs    map[[2]int64]bool
	walked  int64 // bytes of directories
}

func (w *walk) damaged() { w.err = ErrDamaged }

func (w *walk) reach(at, n int64) { w.end = max(w.end, min(at+n, int64(len(w.b)))) }

// piece returns n bytes at an offset, or as many as there are.
func (w *walk) piece(at, n int64) (p []byte, cut bool) {
	size := int64(len(w.b))
	if at < 0 || n < 0 || at > size {
		return nil, true
	}
	w.reach(at, n)
	return w.b[at:min(at+n, size)], at+n > size
}

func (w *walk) word(s string) {
	s = strings.Trim(s, " \x00")
	if s != "" {
		w.words = append(w.words, s)
	}
}

// found hands an entry on, marked where its content was listed before.
func (w *walk) found(e Entry, at int64) {
	if w.stopped {
		return
	}
	if !e.Dir && e.Size > 0 && len(e.Pieces) > 0 {
		key := [2]int64{at, e.Size}
		e.Again = w.seen[key]
		w.seen[key] = true
	}
	w.stopped = !w.visit(e)
}

// volume reads the tree of a primary, supplementary or enhanced volume.
// ECMA-119 8.4, 8.5; Joliet Specification.
func (w *walk) volume(d []byte) {
	le := binary.LittleEndian
	t := &tree{w: w, block: int64(le.Uint16(d[128:]))}
	if t.block == 0 || t.block%512 != 0 || t.block > 32<<10 {
		w.damaged()
		return
	}
	esc := string(d[88:91])
	t.joliet = d[0] == 2 && (esc == "%/@" || esc == "%/C" || esc == "%/E")
	for _, f := range [][2]int{{8, 40}, {40, 72}, {190, 318}, {318, 446}, {446, 574}, {574, 702}, {702, 739}, {739, 776}, {776, 813}} {
		w.word(t.text(d[f[0]:f[1]]))
	}
	w.any = true
	w.reach(0, int64(le.Uint32(d[80:]))*t.block)
	root := d[156:190]
	// What Rock Ridge skips at the head of each record stands in the first one
	// of the root. SUSP 5.3.
	at := int64(le.Uint32(root[2:])) * t.block
	first, _ := w.piece(at, 255)
	if len(first) > 34 && int(first[0]) <= len(first) && int(first[0]) > 34+6 {
		if su := first[34:first[0]]; string(su[:2]) == "SP" && len(su) >= 7 {
			t.skip = int(su[6])
		}
	}
	t.dir("", at, int64(le.Uint32(root[10:])), 0)
}

// tree is one directory tree of ISO 9660.
type tree struct {
	w      *walk
	block  int64
	joliet bool
	skip   int
}

func (t *tree) text(b []byte) string {
	if !t.joliet {
		return string(b)
	}
	return utf16BE(b)
}

func utf16BE(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// dir reads a directory. ECMA-119 9.1.
func (t *tree) dir(path string, at, size int64, depth int) {
	w := t.w
	key := [2]int64{at, 0}
	if t.joliet {
		key[1] = 1
	}
	if w.stopped || w.dirs[key] {
		return
	}
	w.dirs[key] = true
	w.walked += size
	if depth > maxDepth || w.walked > maxDirs {
		w.damaged()
		return
	}
	b, cut := w.piece(at, size)
	if cut {
		w.damaged()
	}
	le := binary.LittleEndian
	var parts Entry // of a file in several extents
	var first int64
	for i := int64(0); i < int64(len(b)) && !w.stopped; {
		n := int64(b[i])
		if n == 0 { // on to the next sector
			i = (i/sector + 1) * sector
			continue
		}
		if n < 34 || i+n > int64(len(b)) || 33+int64(b[i+32]) > n {
			w.damaged()
			return
		}
		r := b[i : i+n]
		i += n
		id := r[33 : 33+int(r[32])]
		if len(id) == 1 && id[0] <= 1 { // itself, the one above
			continue
		}
		e := Entry{Name: t.name(id), Size: int64(le.Uint32(r[10:])), Dir: r[25]&2 != 0}
		from := (int64(le.Uint32(r[2:])) + int64(r[1])) * t.block
		if use := 33 + len(id) + 1 - len(id)&1 + t.skip; use < len(r) {
			t.rockRidge(&e, &from, r[use:])
		}
		e.Name = path + e.Name
		if e.Dir {
			w.found(Entry{Name: e.Name, Dir: true}, 0)
			t.dir(e.Name+"/", from, e.Size, depth+1)
			continue
		}
		if r[26] != 0 || r[27] != 0 { // interleaved: what nobody writes
			w.damaged()
		}
		p, cut := w.piece(from, e.Size)
		if parts.Pieces == nil {
			parts, first = e, from
			parts.Size = 0
		}
		parts.Size += e.Size
		parts.Cut = parts.Cut || cut
		parts.Pieces = append(parts.Pieces, p)
		if r[25]&0x80 == 0 || len(parts.Pieces) > maxPiece { // no further extent
			w.found(parts, first)
			parts = Entry{}
		}
	}
	if parts.Pieces != nil {
		parts.Cut = true
		w.found(parts, first)
	}
}

// name returns an identifier without its version.
func (t *tree) name(id []byte) string {
	s := t.text(id)
	if i := strings.LastIndexByte(s, ';'); i > 0 {
		s = s[:i]
	}
	if !t.joliet {
		s = strings.TrimSuffix(s, ".")
	}
	return s
}

// rockRidge reads what the system use area says: the name, a link, where a
// folder was moved to. SUSP 5; RRIP 4.1.
func (t *tree) rockRidge(e *Entry, from *int64, use []byte) {
	le := binary.LittleEndian
	var name, link []byte
	for hops := 0; hops < 32; hops++ { // continuation areas
		var next []byte
		for len(use) >= 4 && int(use[2]) >= 4 && int(use[2]) <= len(use) {
			f := use[:use[2]]
			use = use[use[2]:]
			switch string(f[:2]) {
			case "NM":
				if len(f) > 5 {
					name = append(name, f[5:]...)
				}
			case "SL":
				if len(f) > 5 {
					link = slComponents(link, f[5:])
				}
			case "CL": // the folder stands elsewhere
				if len(f) >= 12 {
					at := int64(le.Uint32(f[4:])) * t.block
					if d, _ := t.w.piece(at, 34); len(d) == 34 {
						*from, e.Size, e.Dir = at, int64(le.Uint32(d[10:])), true
					}
				}
			case "ZF":
				e.Packed = true
			case "CE":
				if len(f) >= 28 {
					next, _ = t.w.piece(int64(le.Uint32(f[4:]))*t.block+int64(le.Uint32(f[12:])), int64(le.Uint32(f[20:])))
				}
			}
		}
		if next == nil {
			break
		}
		use = next
	}
	if len(name) > 0 {
		e.Name = string(name)
	}
	e.Link = string(link)
}

// slComponents adds the components of a link. RRIP 4.1.3.1.
func slComponents(link, c []byte) []byte {
	for len(c) >= 2 && int(c[1]) <= len(c)-2 {
		if len(link) > 0 && !bytes.HasSuffix(link, []byte("/")) {
			link = append(link, '/')
		}
		switch {
		case c[0]&2 != 0:
			link = append(link, '.')
		case c[0]&4 != 0:
			link = append(link, ".."...)
		case c[0]&8 != 0:
			link = append(link, '/')
		default:
			link = append(link, c[2:2+int(c[1])]...)
		}
		c = c[2+int(c[1]):]
	}
	return link
}
