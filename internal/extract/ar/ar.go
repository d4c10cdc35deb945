// Package ar reads Unix ar archives, Debian packages among them.
//
// It promises members with the names that the System V, GNU and BSD variants
// give them, as pieces of the bytes it was handed: it copies no content.
package ar

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// Magic begins an archive, ThinMagic one that holds names alone.
const (
	Magic     = "!<arch>\n"
	ThinMagic = "!<thin>\n"
)

// ErrDamaged says that a header is none, or that a member is cut.
var ErrDamaged = errors.New("ar: damaged")

const headerLen = 60 // ar(5): name 16, date 12, uid 6, gid 6, mode 8, size 10, end 2

// Member is one file.
type Member struct {
	Name string // as the archive spells it, any bytes
	Data []byte // aliases the archive; empty in a thin one
	Cut  bool   // the archive ends before it does
}

// Read calls member for each file in b, in order, until it returns false. Tables
// of symbols and of names are no files. The error is ErrDamaged, after all that
// could be read.
//
// Source: ar(5) of 4.4BSD; the GNU binutils manual.
func Read(b []byte, member func(Member) bool) error {
	thin := bytes.HasPrefix(b, []byte(ThinMagic))
	if !thin && !bytes.HasPrefix(b, []byte(Magic)) {
		return ErrDamaged
	}
	b = b[len(Magic):]
	var names []byte
	for len(b) > 0 {
		if len(bytes.Trim(b, "\n\x00")) == 0 {
			return nil
		}
		if len(b) < headerLen || b[58] != '`' || b[59] != '\n' {
			return ErrDamaged
		}
		name := strings.TrimRight(string(b[:16]), " ")
		size, err := strconv.ParseInt(strings.TrimSpace(string(b[48:58])), 10, 64)
		if err != nil || size < 0 {
			return ErrDamaged
		}
		b = b[headerLen:]
		table := name == "/" || name == "//" || name == "/SYM64/" || strings.HasPrefix(name, "__.SYMDEF")
		stored := size
		if thin && !table {
			stored = 0
		}
		m := Member{Cut: stored > int64(len(b))}
		stored = min(stored, int64(len(b)))
		m.Data = b[:stored]
		b = b[stored:]
		if size%2 == 1 && len(b) > 0 && b[0] == '\n' && !(thin && !table) {
			b = b[1:]
		}
		if table {
			if name == "//" {
				names = m.Data
			}
			continue
		}
		m.Name, m.Data = nameOf(name, names, m.Data)
		if strings.HasPrefix(m.Name, "__.SYMDEF") {
			continue
		}
		if !member(m) {
			return nil
		}
		if m.Cut {
			return ErrDamaged
		}
	}
	return nil
}

// nameOf returns the name that a header's field stands for, and the content
// without the name where that stands in front of it.
func nameOf(field string, names, data []byte) (string, []byte) {
	if n, ok := strings.CutPrefix(field, "#1/"); ok { // BSD
		if k, err := strconv.Atoi(n); err == nil && k >= 0 && k <= len(data) {
			return string(bytes.TrimRight(data[:k], "\x00")), data[k:]
		}
		return field, data
	}
	if n, ok := strings.CutPrefix(field, "/"); ok { // GNU
		if k, err := strconv.Atoi(n); err == nil && k >= 0 && k < len(names) {
			rest := names[k:]
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				rest = rest[:i]
			}
			return strings.TrimSuffix(string(rest), "/"), data
		}
		return field, data
	}
	return strings.TrimSuffix(field, "/"), data
}
