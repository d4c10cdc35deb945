package cfb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
)

// Errors of a file. They quote nothing of it.
var (
	ErrCorrupt  = errors.New("cfb: damaged compound file")
	ErrTooMany  = errors.New("cfb: more entries than a file may have")
	ErrTooLarge = errors.New("cfb: more bytes than may be read")
)

// Bounds of a file.
const (
	maxEntries = 1 << 16 // a mail with a thousand recipients has 30,000
	maxDepth   = 64      // storages within one another
	maxPath    = 1024    // bytes of an entry's path

	// What all reads together may copy: so many times the file, and a free MiB.
	maxCopies = 8
	freeCopy  = 1 << 20
)

// Special sector numbers. [MS-CFB] 2.1.
const (
	endOfChain = 0xfffffffe
	maxSector  = 0xfffffffa
	noStream   = 0xffffffff
)

const signature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

const entrySize = 128 // [MS-CFB] 2.6.1

// Is reports whether a file that begins with head is a compound file.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(signature)) }

// Entry is a storage or a stream.
type Entry struct {
	Name    string   // as written, UTF-8; may begin with a control character
	Path    string   // names from the root down, parted by "/"; "" for the root
	Storage bool     // it holds entries; else it is a stream
	Orphan  bool     // no storage holds it
	CLSID   [16]byte // class of a storage, in the file's order of bytes
	Size    int64    // bytes of a stream, as declared

	parent      int // -1 for the root
	first, last int // what a storage holds; 0 for nothing
	next        int // behind this in its storage; 0 at the end
	start       uint32
}

// File is an open compound file. It is not safe for use by more than one
// goroutine.
type File struct {
	b       []byte
	shift   uint  // of a sector's size
	mini    uint  // of a short sector's size
	cutoff  int64 // streams below it stand in the mini stream
	version uint16

	fat     []uint32 // sectors that hold the table of chains
	miniFAT []uint32 // sectors that hold the table of short chains
	short   []uint32 // sectors of the mini stream
	entries []Entry
	copied  int64
}

// Open reads the directory of the compound file b, which is kept. A damaged
// file comes with ErrCorrupt or ErrTooMany beside what can be read of it; the
// File is nil only where b has no usable header.
func Open(b []byte) (*File, error) {
	if len(b) < 512 || !Is(b) {
		return nil, ErrCorrupt
	}
	f := &File{b: b, version: binary.LittleEndian.Uint16(b[26:]), shift: uint(binary.LittleEndian.Uint16(b[30:])),
		mini: uint(binary.LittleEndian.Uint16(b[32:])), cutoff: int64(binary.LittleEndian.Uint32(b[56:]))}
	if f.shift < 7 || f.shift > 16 || f.mini < 4 || f.mini > f.shift || binary.LittleEndian.Uint16(b[28:]) != 0xfffe {
		return nil, ErrCorrupt
	}
	err := f.difat()
	dir, e := f.chain(binary.LittleEndian.Uint32(b[48:]), maxEntries*entrySize>>f.shift+1)
	err = errors.Join(err, e)
	f.miniFAT, e = f.chain(binary.LittleEndian.Uint32(b[60:]), f.sectors())
	err = errors.Join(err, e, f.directory(dir))
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, ErrTooMany):
		return f, ErrTooMany
	}
	return f, ErrCorrupt
}

// sectors returns how many sectors the file has behind its header, a cut one
// counted.
func (f *File) sectors() int {
	size := 1 << f.shift
	return max(0, (len(f.b)+size-1)>>f.shift-1)
}

// sector returns the bytes of a sector, fewer at the end of a cut file.
func (f *File) sector(n uint32) []byte {
	if n > maxSector || int(n) >= f.sectors() {
		return nil
	}
	at := (int(n) + 1) << f.shift
	return f.b[at:min(len(f.b), at+1<<f.shift)]
}

// difat lists the sectors that hold the table of chains. [MS-CFB] 2.5.
func (f *File) difat() error {
	perSector := 1 << f.shift / 4
	most := f.sectors()/perSector + 1
	take := func(b []byte) {
		for ; len(b) >= 4 && len(f.fat) < most; b = b[4:] {
			if n := binary.LittleEndian.Uint32(b); n <= maxSector {
				f.fat = append(f.fat, n)
			}
		}
	}
	take(f.b[76:512])
	next := binary.LittleEndian.Uint32(f.b[68:])
	for n := 0; next <= maxSector; n++ {
		s := f.sector(next)
		if len(s) < 1<<f.shift || n > f.sectors() {
			return ErrCorrupt
		}
		if len(f.fat) >= most {
			return nil
		}
		take(s[:len(s)-4])
		next = binary.LittleEndian.Uint32(s[len(s)-4:])
	}
	return nil
}

// next returns the sector behind n in its chain.
func (f *File) next(table []uint32, n uint32) uint32 {
	perSector := uint32(1) << (f.shift - 2)
	if i := n / perSector; int(i) < len(table) {
		if s, at := f.sector(table[i]), int(n%perSector)*4; at+4 <= len(s) {
			return binary.LittleEndian.Uint32(s[at:])
		}
	}
	return noStream
}

// chain lists the sectors of a chain, at most that many. A chain that breaks
// off, loops or goes on comes with ErrCorrupt.
func (f *File) chain(start uint32, most int) ([]uint32, error) {
	most = min(most, f.sectors())
	var out []uint32
	err := f.follow(f.fat, start, func(n uint32) (more bool) {
		if len(out) == most {
			return false
		}
		out = append(out, n)
		return true
	})
	return out, err
}

// follow calls visit for each sector of a chain until it returns false.
// ErrCorrupt is returned for a chain that leads nowhere or loops.
func (f *File) follow(table []uint32, start uint32, visit func(uint32) bool) error {
	mark, steps, limit := start, 0, 2 // Brent's: the mark moves at each power of two
	for n := start; n != endOfChain; {
		if n > maxSector {
			if n == noStream && n == start { // an empty stream, as some programs write it
				return nil
			}
			return ErrCorrupt
		}
		if !visit(n) {
			return nil
		}
		n = f.next(table, n)
		if n == mark {
			return ErrCorrupt
		}
		if steps++; steps == limit {
			mark, limit, steps = n, limit*2, 0
		}
	}
	return nil
}

// directory reads all entries and lists them from the root down.
func (f *File) directory(dir []uint32) error {
	perSector := 1 << f.shift / entrySize
	at := func(id uint32) []byte {
		if int(id)/perSector >= len(dir) {
			return nil
		}
		s, o := f.sector(dir[int(id)/perSector]), int(id)%perSector*entrySize
		if o+entrySize > len(s) {
			return nil
		}
		return s[o : o+entrySize]
	}
	root := at(0)
	if root == nil {
		return ErrCorrupt
	}
	f.add(root, -1)
	f.entries[0].Name, f.entries[0].Path, f.entries[0].Storage = "", "", true
	err := f.root()

	seen := make([]bool, min(len(dir)*perSector, maxEntries))
	seen[0] = true
	type step struct {
		id     uint32
		parent int
		depth  int
	}
	todo := []step{{binary.LittleEndian.Uint32(root[76:]), 0, 1}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.id == noStream {
			continue
		}
		e := at(s.id)
		if e == nil || int(s.id) >= len(seen) || seen[s.id] || s.depth > maxDepth {
			err = ErrCorrupt
			continue
		}
		seen[s.id] = true
		me := f.add(e, s.parent)
		todo = append(todo, step{binary.LittleEndian.Uint32(e[72:]), s.parent, s.depth})
		if f.entries[me].Storage {
			todo = append(todo, step{binary.LittleEndian.Uint32(e[76:]), me, s.depth + 1})
		}
		todo = append(todo, step{binary.LittleEndian.Uint32(e[68:]), s.parent, s.depth})
	}
	for id := range seen { // what no storage holds any more
		if e := at(uint32(id)); !seen[id] && e != nil && (e[66] == 1 || e[66] == 2) {
			f.entries[f.add(e, 0)].Orphan = true
		}
	}
	if len(dir)*perSector > maxEntries {
		return ErrTooMany
	}
	return err
}

// root finds the mini stream, which is kept as the root's. [MS-CFB] 2.6.2.
func (f *File) root() error {
	r := &f.entries[0]
	if r.Size == 0 {
		return nil
	}
	var err error
	f.short, err = f.chain(r.start, f.sectors())
	return err
}

// add appends an entry and returns its index.
func (f *File) add(b []byte, parent int) int {
	e := Entry{Name: name(b), Storage: b[66] == 1 || b[66] == 5, parent: parent, start: binary.LittleEndian.Uint32(b[116:]),
		Size: int64(binary.LittleEndian.Uint64(b[120:]) &^ (1 << 63))}
	copy(e.CLSID[:], b[80:96])
	if f.version < 4 {
		e.Size &= 0xffffffff // [MS-CFB] 2.6.1: the upper half may be anything
	}
	e.Path = e.Name
	if parent > 0 {
		e.Path = f.entries[parent].Path + "/" + e.Name
		if len(e.Path) > maxPath {
			e.Path = e.Name
		}
	}
	f.entries = append(f.entries, e)
	me := len(f.entries) - 1
	if parent >= 0 {
		if p := &f.entries[parent]; p.first == 0 {
			p.first, p.last = me, me
		} else {
			f.entries[p.last].next, p.last = me, me
		}
	}
	return me
}

// name reads an entry's name: UTF-16 with its length in bytes, the ending NUL
// counted.
func name(b []byte) string {
	n := min(int(binary.LittleEndian.Uint16(b[64:])), 64) / 2
	u := make([]uint16, 0, 32)
	for i := range n {
		c := binary.LittleEndian.Uint16(b[2*i:])
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// Entries returns all entries, each storage before what it holds; the root is
// the first. The slice is not to be changed.
func (f *File) Entries() []Entry { return f.entries }

// Root returns the root.
func (f *File) Root() *Entry {
	if len(f.entries) == 0 {
		return &Entry{Storage: true, parent: -1}
	}
	return &f.entries[0]
}

// Parent returns the storage that holds e; nil for the root.
func (f *File) Parent(e *Entry) *Entry {
	if e.parent < 0 {
		return nil
	}
	return &f.entries[e.parent]
}

// Within returns what the storage holds itself, in the order of Entries.
func (f *File) Within(storage *Entry) []*Entry {
	var out []*Entry
	for i := storage.first; i > 0; i = f.entries[i].next {
		out = append(out, &f.entries[i])
	}
	return out
}

// Stream returns the stream of that path from the root, as "A/B"; nil where
// there is none. Case does not matter ([MS-CFB] 2.6.4).
func (f *File) Stream(path string) *Entry { return f.find(path, false) }

// Storage returns the storage of that path from the root; nil where there is none.
func (f *File) Storage(path string) *Entry { return f.find(path, true) }

func (f *File) find(path string, storage bool) *Entry {
	for i := range f.entries {
		if e := &f.entries[i]; i > 0 && e.Storage == storage && strings.EqualFold(e.Path, path) {
			return e
		}
	}
	return nil
}

// Read returns the bytes of a stream, at most that many, and for a stream that
// has more ErrTooLarge. The bytes of a damaged stream that can be had come with
// ErrCorrupt. The result may be part of the file itself: it is not to be
// changed.
func (f *File) Read(e *Entry, most int64) ([]byte, error) {
	if e == nil || e.Storage || e.Size == 0 {
		return nil, nil
	}
	size, shift, table := e.Size, f.shift, f.fat
	get := f.sector
	if e.Size < f.cutoff {
		shift, table, get = f.mini, f.miniFAT, f.shortSector
	}
	var err error
	if size > int64(len(f.b)) {
		size, err = int64(len(f.b)), ErrCorrupt
	}
	if size > most {
		size, err = most, ErrTooLarge
	}
	var out []byte
	owned := false // out is a copy, and no part of the file
	first := f.follow(table, e.start, func(n uint32) bool {
		if int64(len(out)) >= size {
			return false
		}
		s := get(n)
		s = s[:min(int64(len(s)), size-int64(len(out)))]
		if len(s) == 0 {
			return false
		}
		switch {
		case out == nil:
			out = s
			return true
		case !owned && cap(out) > len(out)+len(s) && &out[:len(out)+1][len(out)] == &s[0]:
			out = out[:len(out)+len(s)]
			return true
		case !owned:
			if f.copied += size; f.copied > maxCopies*int64(len(f.b))+freeCopy {
				err = ErrTooLarge
				return false
			}
			out, owned = append(make([]byte, 0, size), out...), true
		}
		out = append(out, s...)
		return len(s) == 1<<shift
	})
	if err == nil && (first != nil || int64(len(out)) < size) {
		err = ErrCorrupt
	}
	return out[:len(out):len(out)], err
}

// Copied returns how many bytes all reads so far have copied, rather than given
// as part of the file.
func (f *File) Copied() int64 { return f.copied }

// shortSector returns the bytes of a sector of the mini stream.
func (f *File) shortSector(n uint32) []byte {
	at := int64(n) << f.mini
	if i := at >> f.shift; i < int64(len(f.short)) {
		s := f.sector(f.short[i])
		o := int(at & (1<<f.shift - 1))
		if o < len(s) {
			return s[o:min(len(s), o+1<<f.mini)]
		}
	}
	return nil
}

// Child returns what the storage holds under that name, whatever its case; nil
// where it holds no such thing.
func (f *File) Child(storage *Entry, name string) *Entry {
	for i := storage.first; i > 0; i = f.entries[i].next {
		if e := &f.entries[i]; strings.EqualFold(e.Name, name) {
			return e
		}
	}
	return nil
}
