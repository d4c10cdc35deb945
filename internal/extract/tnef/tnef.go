package tnef

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/mapi"
)

// Errors of a stream. They quote nothing of it.
var (
	ErrCorrupt  = errors.New("tnef: cut or damaged")
	ErrTooMany  = errors.New("tnef: more attributes than a message may have")
	ErrChecksum = errors.New("tnef: a checksum does not fit") // all was read
)

// Bounds of a stream.
const (
	maxProps       = 1 << 17 // of one message, its recipients and attachments
	maxAttachments = 1 << 14
)

const signature = "\x78\x9f\x3e\x22"

// Is reports bytes that begin as TNEF does.
func Is(head []byte) bool { return len(head) >= 6 && string(head[:4]) == signature }

// Attributes. [MS-OXTNEF] 2.1.3.2; the upper half of what is written is their
// type and is not looked at.
const (
	attOwner         = 0x0000
	attSentFor       = 0x0001
	attDelegate      = 0x0002
	attDateStart     = 0x0006
	attDateEnd       = 0x0007
	attFrom          = 0x8000
	attSubject       = 0x8004
	attDateSent      = 0x8005
	attDateReceived  = 0x8006
	attMessageClass  = 0x8008
	attMessageID     = 0x8009
	attBody          = 0x800c
	attAttachData    = 0x800f
	attAttachTitle   = 0x8010
	attAttachMeta    = 0x8011
	attTransportName = 0x9001
	attRendering     = 0x9002
	attProps         = 0x9003
	attRecipients    = 0x9004
	attAttachment    = 0x9005
	attOEMCodepage   = 0x9007
)

// Read reads a message. Whatever could be read before it broke comes with
// ErrCorrupt or ErrTooMany; with ErrChecksum all of it.
func Read(b []byte) (*mapi.Message, error) {
	if !Is(b) {
		return nil, ErrCorrupt
	}
	r := &reader{m: &mapi.Message{Page: codepage.Latin1}, left: maxProps}
	err := r.attributes(b[6:])
	r.m.Page = r.page()
	if err == nil && r.sums {
		err = ErrChecksum
	}
	return r.m, err
}

type reader struct {
	m    *mapi.Message
	oem  int
	left int  // properties that may come
	sums bool // a checksum did not fit
}

func (r *reader) page() int {
	if r.oem != 0 && codepage.Known(r.oem) {
		return r.oem
	}
	return mapi.FindPage(r.m.Props)
}

func (r *reader) attributes(b []byte) error {
	for len(b) > 0 {
		if len(b) < 9 {
			return ErrCorrupt
		}
		level, id, size := b[0], int(binary.LittleEndian.Uint16(b[1:])), int64(binary.LittleEndian.Uint32(b[5:]))
		b = b[9:]
		data, cut := b, true
		if size+2 <= int64(len(b)) {
			data, cut = b[:size], false
			if sum(data) != binary.LittleEndian.Uint16(b[size:]) {
				r.sums = true
			}
			b = b[size+2:]
		} else if size <= int64(len(b)) { // only the checksum is not there
			data = b[:size]
		}
		if level != 1 && level != 2 {
			return ErrCorrupt
		}
		if err := r.attribute(id, data); err != nil {
			return err
		}
		if cut {
			return ErrCorrupt
		}
	}
	return nil
}

func sum(b []byte) (n uint16) {
	for _, c := range b {
		n += uint16(c)
	}
	return n
}

// attribute takes one attribute. Those of the message are turned into the
// properties that mean the same.
func (r *reader) attribute(id int, data []byte) (err error) {
	m := r.m
	add := func(id uint16, t mapi.Type, v []byte) {
		m.Props = append(m.Props, mapi.Prop{ID: id, Type: t, Values: [][]byte{v}})
	}
	switch id {
	case attOEMCodepage:
		if len(data) >= 4 {
			r.oem = int(binary.LittleEndian.Uint32(data))
		}
	case attSubject:
		add(mapi.Subject, mapi.String8, data)
	case attBody:
		add(mapi.Body, mapi.String8, data)
	case attMessageClass:
		add(mapi.MessageClass, mapi.String8, data)
	case attMessageID:
		add(0x300b, mapi.Binary, data)
	case attFrom:
		name, address := triple(data)
		add(mapi.SenderName, mapi.String8, name)
		add(mapi.SenderAddress, mapi.String8, address)
	case attOwner, attSentFor:
		name, address := pair(data)
		add(mapi.SenderName, mapi.String8, name)
		add(mapi.SenderAddress, mapi.String8, address)
	case attDateSent, attDateReceived, attDateStart, attDateEnd:
		if v := dated(data); v != nil {
			add(map[int]uint16{attDateSent: 0x0039, attDateReceived: 0x0e06, attDateStart: 0x0060, attDateEnd: 0x0061}[id], mapi.Time, v)
		}
	case attProps:
		var ps mapi.Props
		ps, _, err = r.props(data)
		m.Props = append(m.Props, ps...)
	case attRecipients:
		err = r.recipients(data)
	case attRendering:
		return r.attach()
	case attAttachData, attAttachTitle, attAttachMeta, attTransportName, attAttachment:
		if len(m.Attachments) == 0 { // programs forget what begins one
			if err := r.attach(); err != nil {
				return err
			}
		}
		return r.attachment(&m.Attachments[len(m.Attachments)-1], id, data)
	default:
		m.Other = append(m.Other, data)
	}
	return err
}

// attach begins an attachment.
func (r *reader) attach() error {
	if len(r.m.Attachments) >= maxAttachments {
		return ErrTooMany
	}
	r.m.Attachments = append(r.m.Attachments, mapi.Attachment{})
	return nil
}

// attachment takes an attribute of an attachment.
func (r *reader) attachment(a *mapi.Attachment, id int, data []byte) error {
	switch id {
	case attAttachTitle, attTransportName:
		a.Props = append(a.Props, mapi.Prop{ID: mapi.AttachFilename, Type: mapi.String8, Values: [][]byte{data}})
	case attAttachMeta: // its icon: a metafile
		r.m.Other = append(r.m.Other, data)
	case attAttachData:
		if a.Inner != nil || a.Open != nil { // a second one: programs differ about which counts
			if err := r.attach(); err != nil {
				return err
			}
			a = &r.m.Attachments[len(r.m.Attachments)-1]
		}
		a.Open = func() ([]byte, error) { return data, nil }
	case attAttachment:
		ps, _, err := r.props(data)
		a.Props = append(a.Props, ps...)
		v := ps.Get(mapi.AttachData)
		if v == nil {
			return err
		}
		bytes := v.Values[0]
		if v.Type == mapi.Object && len(bytes) >= 16 { // behind its interface
			bytes = bytes[16:]
		}
		if a.Open = func() ([]byte, error) { return bytes, nil }; Is(bytes) {
			a.Open, a.Inner = nil, func() (*mapi.Message, error) { return Read(bytes) }
		}
		return err
	}
	return nil
}

// recipients reads a table of recipients. [MS-OXTNEF] 2.1.3.5.1.
func (r *reader) recipients(b []byte) error {
	if len(b) < 4 {
		return ErrCorrupt
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	for range n {
		ps, rest, err := r.props(b)
		if len(ps) > 0 {
			r.m.Recipients = append(r.m.Recipients, ps)
		}
		if err != nil {
			return err
		}
		if b = rest; len(b) == 0 {
			break
		}
	}
	return nil
}

// props reads a list of properties. [MS-OXTNEF] 2.1.3.4.
func (r *reader) props(b []byte) (ps mapi.Props, rest []byte, err error) {
	c := cursor{b: b}
	n := c.u32()
	for i := uint32(0); i < n && !c.bad; i++ {
		if r.left--; r.left < 0 {
			return ps, nil, ErrTooMany
		}
		p := mapi.Prop{Type: mapi.Type(c.u16()), ID: c.u16()}
		if p.ID >= 0x8000 {
			c.take(16) // the set
			if kind := c.u32(); kind == 0 {
				p.LID = c.u32()
			} else {
				p.Name = strings.TrimRight(codepage.Decode16(c.padded(c.u32())), "\x00")
			}
		}
		size, count := p.Type.Size(), uint32(1)
		if size == 0 || p.Type&mapi.Many != 0 {
			count = c.u32()
		}
		if p.Type&^mapi.Many == 0 || p.Type&^mapi.Many == 1 { // no value
			continue
		}
		for k := uint32(0); k < count && !c.bad; k++ {
			var v []byte
			if size > 0 {
				v = c.padded(uint32(size))
			} else {
				v = c.padded(c.u32())
			}
			if r.left--; r.left < 0 {
				return ps, nil, ErrTooMany
			}
			if v != nil {
				p.Values = append(p.Values, v)
			}
		}
		ps = append(ps, p)
	}
	if c.bad {
		return ps, nil, ErrCorrupt
	}
	return ps, c.b, nil
}

// cursor reads fields; bad turns true at the first that is not there whole.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) u16() uint16 {
	if v := c.take(2); len(v) == 2 {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if v := c.take(4); len(v) == 4 {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

// take returns n bytes, what there is of them where the stream is cut.
func (c *cursor) take(n uint32) []byte {
	if int64(n) > int64(len(c.b)) {
		v := c.b
		c.b, c.bad = nil, true
		return v
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// padded takes n bytes and what fills them up to four. At the end of a list the
// filling may lack.
func (c *cursor) padded(n uint32) []byte {
	v := c.take(n)
	if fill := -n & 3; !c.bad {
		c.b = c.b[min(int(fill), len(c.b)):]
	}
	return v
}

// triple reads a TRP structure. [MS-OXTNEF] 2.1.3.3.2.
func triple(b []byte) (name, address []byte) {
	if len(b) < 8 {
		return nil, nil
	}
	n, m := int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
	b = b[8:]
	name = b[:min(n, len(b))]
	b = b[len(name):]
	return name, b[:min(m, len(b))]
}

// pair reads a name and an address, each behind its length. [MS-OXTNEF] 2.1.3.3.10.
func pair(b []byte) (name, address []byte) {
	c := cursor{b: b}
	name = c.take(uint32(c.u16()))
	return name, c.take(uint32(c.u16()))
}

// dated turns a DTR structure into the bytes of a time. [MS-OXTNEF] 2.1.3.3.1.
func dated(b []byte) []byte {
	if len(b) < 12 {
		return nil
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(b[2*i:])) }
	t := time.Date(at(0), time.Month(at(1)), at(2), at(3), at(4), at(5), 0, time.UTC)
	if at(0) < 1900 || at(0) > 3000 {
		return nil
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(t.Unix()+11_644_473_600)*10_000_000)
}
