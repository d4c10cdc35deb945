// Package onenote reads the sections of OneNote (.one) and the tables of
// contents of its notebooks (.onetoc2): text, tables and embedded files, of the
// pages as they are and as earlier revisions in the file have them.
//
// Source: [MS-ONESTORE] (both packagings), [MS-FSSHTTPB] 2.2.1, [MS-ONE] 2.1.12, 2.2.
package onenote

import (
	"encoding/binary"
	"errors"
)

// Magic and MagicTOC begin a section and a table of contents: guidFileType.
//
// Source: [MS-ONESTORE] 2.3.1.
const (
	Magic    = "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"
	MagicTOC = "\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f"
)

// The two packagings: guidFileFormat. [MS-ONESTORE] 2.3.1, 2.8.1.
const (
	formatStore   = "\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8"
	formatPackage = "\x2f\xe9\x8d\x63\xd4\xa6\xc1\x4b\x9a\x36\xb3\xfc\x25\x11\xa5\xb7"
)

// Errors that Read tells apart. What was read before stands.
var (
	ErrCorrupt   = errors.New("onenote: damaged")
	ErrEncrypted = errors.New("onenote: a section with a password")
	ErrVersion   = errors.New("onenote: written before OneNote 2007")
	ErrTooMany   = errors.New("onenote: too many objects")
)

// Bounds of a file.
const (
	maxObjects = 1 << 20 // versions of objects
	maxValues  = 1 << 21 // properties that are kept
	maxDepth   = 64      // of objects and of property sets within one another
)

// Sink takes what a section holds, in this order: the texts and rows of its
// pages, then the values, then the files. An error of it ends the reading and
// is returned as it is.
type Sink interface {
	Text(s string) error                           // a paragraph
	Row(cells []string, first bool) error          // of a table; first: its first one
	Value(name, value string) error                // what stands beside the text; a name may be empty
	File(name string, data []byte, cut bool) error // data is part of what Read was given
}

// Found says what a section holds that Read does not hand on.
type Found struct {
	Ink       bool // handwriting
	Elsewhere bool // files that are not in this one
}

// id is an ExtendedGUID: an object's, or a blob's. [MS-ONESTORE] 2.2.1.
type id struct {
	guid [16]byte
	n    uint32
}

// value is a property that holds text, or leads to other objects.
type value struct {
	prop uint32 // PropertyID with its type
	data []byte // text as it stands
	refs []id
}

// object is one version of an object.
type object struct {
	id     id
	jcid   uint32 // what it is
	next   int32  // the next version, -1 at the last
	values []value
	file   []byte // of a container
	blob   id     // where the file stands elsewhere in the package
	cut    bool   // the file is
	isFile bool
}

// reader is a file on its way.
type reader struct {
	b       []byte
	found   Found
	objects []object
	first   map[id]int32 // version of an object, and the last one
	last    map[id]int32
	values  int
	spent   int64 // bytes of lists and property sets that were read
	damaged bool
	locked  bool
}

// Read hands a section's content to s. An error is one of this package or s's own.
func Read(b []byte, s Sink) (Found, error) {
	r := &reader{b: b, first: map[id]int32{}, last: map[id]int32{}}
	if len(b) < 64 {
		return r.found, ErrCorrupt
	}
	var err error
	switch string(b[48:64]) {
	case formatStore:
		err = r.store()
	case formatPackage:
		err = r.packaged(b)
	default:
		return r.found, ErrVersion
	}
	if e := r.show(s); e != nil {
		return r.found, e
	}
	switch {
	case err != nil:
		return r.found, err
	case r.locked:
		return r.found, ErrEncrypted
	case r.damaged || len(r.objects) == 0:
		return r.found, ErrCorrupt
	}
	return r.found, nil
}

// spend counts n bytes that are read: an honest file has each of them once, so
// that lists and sets that lie over one another end.
func (r *reader) spend(n int) error {
	if r.spent += int64(n); r.spent > 4*int64(len(r.b)) {
		return ErrCorrupt
	}
	return nil
}

// add keeps a version of an object.
func (r *reader) add(o object) (int32, error) {
	if len(r.objects) >= maxObjects {
		return 0, ErrTooMany
	}
	i := int32(len(r.objects))
	o.next = -1
	if before, ok := r.last[o.id]; ok {
		r.objects[before].next = i
		if o.jcid == 0 {
			o.jcid = r.objects[before].jcid // a revision is of the same kind
		}
	} else {
		r.first[o.id] = i
	}
	r.last[o.id] = i
	r.objects = append(r.objects, o)
	return i, nil
}

// fileData returns the data of a FileDataStoreObject at the beginning of b.
//
// Source: [MS-ONESTORE] 2.6.13.
func fileData(b []byte) (data []byte, cut, ok bool) {
	if len(b) < fileHead || string(b[:16]) != fileMagic {
		return nil, false, false
	}
	size := binary.LittleEndian.Uint64(b[16:])
	b = b[fileHead:]
	if size > uint64(len(b)) {
		return b, true, true
	}
	return b[:size], false, true
}

const (
	fileMagic = "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac" // guidHeader
	fileHead  = 36
)
