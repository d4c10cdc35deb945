// Package ole1 reads embedded objects of OLE 1 and the files that Windows'
// packager puts into them, as RTF, mail and old Office files hold them.
//
// Sources: [MS-OLEDS] 2.2.4, 2.2.5; the packager's own format is known from its
// files.
package ole1

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Object is an embedded object, or a link to one.
type Object struct {
	Class string // of the program that made it, "" when not known
	Name  string // of the file, or what a link leads to; "" when it has none
	Data  []byte // part of what was given; nil for a link
	Link  bool
	Cut   bool // fewer bytes than it says
}

// Read reads an object with its header. What has no such header is returned as
// it is.
//
// Source: [MS-OLEDS] 2.2.5.
func Read(b []byte) Object {
	o, ok := object(b)
	if !ok {
		if i := bytes.Index(b, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")); i >= 0 {
			b = b[i:]
		}
		return Object{Data: b}
	}
	if strings.EqualFold(o.Class, "package") {
		if p, ok := Package(o.Data); ok {
			p.Class, p.Cut = o.Class, p.Cut || o.Cut
			return p
		}
	}
	return o
}

func object(b []byte) (o Object, ok bool) {
	r := reader{b: b, ok: true}
	r.u32() // version: programs write anything
	format := r.u32()
	if format != 1 && format != 2 {
		return o, false
	}
	o.Class = r.counted()
	topic, item := r.counted(), r.counted()
	if !r.ok {
		return o, false
	}
	o.Name = strings.TrimSpace(topic + " " + item)
	if format == 1 {
		o.Link = true
		return o, true
	}
	o.Data, o.Cut = r.take(r.u32())
	return o, r.ok
}

// Native reads the stream "\x01Ole10Native", which is a package behind its
// length.
func Native(b []byte) (Object, bool) {
	if len(b) < 4 {
		return Object{}, false
	}
	if p, ok := Package(b[4:]); ok {
		return p, true
	}
	r := reader{b: b, ok: true}
	data, cut := r.take(r.u32())
	return Object{Data: data, Cut: cut}, r.ok && len(data) > 0
}

// Package reads what the packager wrote; false: it is none.
func Package(b []byte) (o Object, ok bool) {
	r := reader{b: b, ok: true}
	if r.u16() != 2 {
		return o, false
	}
	label, from := r.text(), r.text()
	r.u16()
	kind := r.u16()
	if !r.ok || kind != 3 && kind != 1 {
		return o, false
	}
	o.Name = label
	if o.Name == "" {
		o.Name = from
	}
	if kind == 1 { // a link: the path is all there is
		o.Name, o.Link = from, true
		return o, true
	}
	r.take(r.u32()) // a temporary path
	o.Data, o.Cut = r.take(r.u32())
	return o, r.ok
}

// reader reads fields; ok turns false at the first that is not there.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) u16() uint16 {
	if len(r.b) < 2 {
		r.ok, r.b = false, nil
		return 0
	}
	n := binary.LittleEndian.Uint16(r.b)
	r.b = r.b[2:]
	return n
}

func (r *reader) u32() uint32 {
	if len(r.b) < 4 {
		r.ok, r.b = false, nil
		return 0
	}
	n := binary.LittleEndian.Uint32(r.b)
	r.b = r.b[4:]
	return n
}

// take returns n bytes, fewer where there are no more.
func (r *reader) take(n uint32) (b []byte, cut bool) {
	if int64(n) > int64(len(r.b)) {
		b, r.b = r.b, nil
		return b, true
	}
	b, r.b = r.b[:n], r.b[n:]
	return b, false
}

// counted reads a string behind its length, NUL counted.
func (r *reader) counted() string {
	const longest = 4096
	n := r.u32()
	if n > longest || int64(n) > int64(len(r.b)) {
		r.ok = false
		return ""
	}
	b, _ := r.take(n)
	return codepage.Decode(codepage.Latin1, bytes.TrimRight(b, "\x00"))
}

// text reads a string that ends in NUL.
func (r *reader) text() string {
	i := bytes.IndexByte(r.b, 0)
	if i < 0 {
		r.ok = false
		return ""
	}
	s := r.b[:i]
	r.b = r.b[i+1:]
	return codepage.Decode(codepage.Latin1, s)
}
