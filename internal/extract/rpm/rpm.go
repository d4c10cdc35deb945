// Package rpm reads the headers of RPM packages.
//
// It promises to copy no more text than four times the header it stands in, and
// the payload as a piece of the bytes it was handed: what it is packed with
// shows in its own first bytes.
package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Magic begins a package.
const Magic = "\xed\xab\xee\xdb"

// ErrDamaged says that a header is none, or is cut.
var ErrDamaged = errors.New("rpm: damaged")

// Package is a package's words and its payload.
type Package struct {
	Words   []string // of the main header: name, description, scripts, changes …, any bytes
	Payload []byte   // packed cpio; aliases the package
}

const (
	leadSize  = 96
	typeText  = 6
	typeTexts = 8
	typeI18N  = 9
)

// hashes are the tags whose words are sums and keys. rpmtag.h of RPM 4.18.
var hashes = map[uint32]bool{261: true, 269: true, 273: true, 1035: true, 1146: true, 5092: true, 5097: true}

// Read reads the package that b begins with. What could be read comes with the
// error.
//
// Source: RPM V4 Package format (rpm.org, "RPM Package format").
func Read(b []byte) (Package, error) {
	var p Package
	if len(b) < leadSize || string(b[:4]) != Magic {
		return p, ErrDamaged
	}
	_, n, ok := header(b[leadSize:]) // of signatures
	if !ok {
		return p, ErrDamaged
	}
	at := leadSize + (n+7)&^7
	if at > len(b) {
		return p, ErrDamaged
	}
	words, n, ok := header(b[at:])
	p.Words = words
	if !ok {
		return p, ErrDamaged
	}
	p.Payload = b[at+n:]
	return p, nil
}

// header reads one header: its words, and how many bytes it has.
func header(b []byte) (words []string, size int, ok bool) {
	if len(b) < 16 || string(b[:4]) != "\x8e\xad\xe8\x01" {
		return nil, 0, false
	}
	be := binary.BigEndian
	entries, bytesOf := int64(be.Uint32(b[8:])), int64(be.Uint32(b[12:]))
	index := b[16:]
	if entries > int64(len(index))/16 {
		return nil, 0, false
	}
	store := index[16*entries:]
	ok = bytesOf <= int64(len(store))
	store = store[:min(bytesOf, int64(len(store)))]
	left := 4 * len(store)
	for i := range entries {
		e := index[16*i:]
		tag, kind, at, count := be.Uint32(e), be.Uint32(e[4:]), int64(be.Uint32(e[8:])), be.Uint32(e[12:])
		if kind != typeText && kind != typeTexts && kind != typeI18N || at > int64(len(store)) || hashes[tag] {
			continue
		}
		for s := store[at:]; count > 0 && len(s) > 0 && left > 0; count-- {
			end := bytes.IndexByte(s, 0)
			if end < 0 {
				end = len(s)
				ok = false
			}
			if end > 0 {
				words = append(words, string(s[:end]))
			}
			left -= end + 1
			s = s[min(end+1, len(s)):]
		}
	}
	return words, int(16 + 16*entries + bytesOf), ok
}
