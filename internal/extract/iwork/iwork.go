// Package iwork reads the documents of Pages, Numbers and Keynote since 2013: the
// texts, tables and comments in their archives of protocol buffers (.iwa).
//
// Source: Apple publishes no description; the archives' layout (snappy without
// checksums, TSP.ArchiveInfo, TSWP.StorageArchive, TST.TableModelArchive, cells of
// version 5) is as the messages' own descriptors in the programs have it; snappy's
// format_description.txt; protobuf.dev/programming-guides/encoding.
package iwork

import (
	"errors"

	"github.com/klauspost/compress/snappy"
)

// Errors that Add tells apart. What was added before stands.
var (
	ErrCorrupt  = errors.New("iwork: damaged")
	ErrTooLarge = errors.New("iwork: more than may be held")
	ErrTooMany  = errors.New("iwork: too many objects")
	ErrMethod   = errors.New("iwork: packed with LZFSE") // as logs of what authors did together are
)

const maxObjects = 1 << 20

// Kinds of objects that are read by their fields; of others their words are.
const (
	kindStorage  = 2001 // TSWP.StorageArchive
	kindStorage2 = 2005
	kindComment  = 3056 // TSD.CommentStorageArchive
	kindTable    = 6001 // TST.TableModelArchive
	kindTile     = 6002 // TST.Tile
	kindList     = 6005 // TST.TableDataList
	kindRich     = 6218 // TST.RichTextPayloadArchive
)

// object is one message of an archive.
type object struct {
	id   uint64
	kind uint64
	b    message
	used bool // by a table or as a text
}

// Document is what the archives of a document hold. The zero Document holds nothing.
type Document struct {
	objects []object
	at      map[uint64]int // of the first message of an object
	size    int64          // bytes of all archives
}

// Add takes the archives of one .iwa file, which may unpack to room bytes at most.
// It returns how many bytes they unpacked to. Beside an error, which is one of this
// package, what came before it was taken.
func (d *Document) Add(b []byte, room int64) (int64, error) {
	if len(b) >= 4 && string(b[:3]) == "bvx" {
		return 0, ErrMethod
	}
	var plain []byte
	for len(b) > 0 {
		if len(b) < 4 || b[0] != 0 {
			return int64(len(plain)), errors.Join(ErrCorrupt, d.archives(plain))
		}
		n := int(b[1]) | int(b[2])<<8 | int(b[3])<<16
		b = b[4:]
		if n > len(b) {
			return int64(len(plain)), errors.Join(ErrCorrupt, d.archives(plain))
		}
		size, err := snappy.DecodedLen(b[:n])
		if err != nil {
			return int64(len(plain)), errors.Join(ErrCorrupt, d.archives(plain))
		}
		if int64(size) > room-int64(len(plain)) {
			return int64(len(plain)), errors.Join(ErrTooLarge, d.archives(plain))
		}
		chunk, err := snappy.Decode(nil, b[:n])
		if err != nil {
			return int64(len(plain)), errors.Join(ErrCorrupt, d.archives(plain))
		}
		plain = append(plain, chunk...)
		b = b[n:]
	}
	return int64(len(plain)), d.archives(plain)
}

// archives takes archives one after the other: the length of an ArchiveInfo, that,
// and the messages it tells of.
func (d *Document) archives(b message) error {
	if d.at == nil {
		d.at = map[uint64]int{}
	}
	d.size += int64(len(b))
	for len(b) > 0 {
		n, ok := b.varint()
		if !ok || n > uint64(len(b)) {
			return ErrCorrupt
		}
		info := b[:n]
		b = b[n:]
		id := info.number(1)
		var err error
		bad := !info.each(func(f field) bool {
			if f.num != 2 || f.b == nil {
				return true
			}
			size := f.b.number(3)
			if size > uint64(len(b)) {
				err = ErrCorrupt
				return false
			}
			if len(d.objects) >= maxObjects {
				err = ErrTooMany
				return false
			}
			if _, ok := d.at[id]; !ok {
				d.at[id] = len(d.objects)
			}
			d.objects = append(d.objects, object{id: id, kind: f.b.number(1), b: b[:size:size]})
			b = b[size:]
			return true
		})
		if err != nil {
			return err
		}
		if bad {
			return ErrCorrupt
		}
	}
	return nil
}

// find returns the object that the field num of m, a TSP.Reference, leads to.
func (d *Document) find(m message, num uint64, kinds ...uint64) *object {
	i, ok := d.at[m.bytes(num).number(1)]
	if !ok {
		return nil
	}
	for _, k := range kinds {
		if d.objects[i].kind == k {
			return &d.objects[i]
		}
	}
	return nil
}
