package pst

import (
	"encoding/binary"

	"github.com/stanch-dlp/stanch/internal/extract/mapi"
)

// Item is a message of a store, or a contact, an appointment and so on.
type Item struct {
	f *File
	n node
}

// Items calls yield for each message, and at last for each that folders keep for
// programs, until it says no. Damage on the way comes as ErrCorrupt, after all
// that could be found.
func (f *File) Items(yield func(Item) bool) error {
	if err := f.names(); err != nil {
		return err
	}
	more := true
	var damage error
	for _, kind := range []uint32{kindMessage, kindAssociated} {
		if !more {
			break
		}
		damage = f.each(func(n node) bool {
			if n.id&kindMask == kind {
				more = yield(Item{f, n})
			}
			return more
		})
	}
	return damage
}

// Folders calls yield for the properties of each folder.
func (f *File) Folders(yield func(mapi.Props) bool) error {
	var err error
	damage := f.each(func(n node) bool {
		if k := n.id & kindMask; k != kindFolder && k != kindSearch {
			return true
		}
		h, e := f.heap(n)
		var ps mapi.Props
		if e == nil {
			ps, e = h.props(nil)
		}
		if e != nil {
			if err = e; e != ErrCorrupt { //nolint:errorlint // ErrCorrupt comes bare
				return false
			}
		}
		return yield(ps)
	})
	if err == nil {
		err = damage
	}
	return err
}

// names reads what properties are called. A store without names has numbers.
//
// Source: [MS-PST] 2.4.7.
func (f *File) names() error {
	if f.named != nil {
		return nil
	}
	f.named = map[uint16]mapi.Named{}
	e, err := f.find(f.nodes, pageNodes, nodeNames)
	if err != nil {
		return nil //nolint:nilerr // there need be none
	}
	w := f.size()
	h, err := f.heap(node{nodeNames, f.word(e, w), f.word(e, 2*w)})
	if err != nil {
		return err
	}
	ps, err := h.props(nil)
	f.named = mapi.Names(ps.Bytes(3), ps.Bytes(4))
	return err
}

// Read reads the item. Whatever could be read of a damaged one comes with
// ErrCorrupt, or with the error of whoever counts.
func (i Item) Read() (*mapi.Message, error) { return i.f.message(i.n) }

// message reads a message, in the store or in an attachment.
//
// Source: [MS-PST] 2.4.5.
func (f *File) message(n node) (*mapi.Message, error) {
	h, err := f.heap(n)
	keep := func(e error) {
		if err == nil || e != nil && e != ErrCorrupt { //nolint:errorlint // ErrCorrupt comes bare
			err = e
		}
	}
	m := &mapi.Message{}
	if h.blocks == nil {
		return m, err
	}
	ps, e := h.props(nil)
	keep(e)
	m.Props, m.Page = ps, mapi.FindPage(ps)
	for _, s := range h.sub {
		switch s.id & kindMask {
		case kindRecipients:
			t, e := f.heap(s)
			if keep(e); t.blocks == nil {
				continue
			}
			m.Recipients, e = t.rows()
			keep(e)
		case kindAttachment:
			a, e := f.attachment(s)
			keep(e)
			m.Attachments = append(m.Attachments, a)
		}
	}
	return m, err
}

// attachment reads an attachment's properties.
//
// Source: [MS-PST] 2.4.6.2.
func (f *File) attachment(n node) (mapi.Attachment, error) {
	var a mapi.Attachment
	h, err := f.heap(n)
	if h.blocks == nil {
		return a, err
	}
	ps, e := h.props(func(t mapi.Type, id uint32) {
		a.Open = func() ([]byte, error) {
			b, err := h.value(id)
			if t != mapi.Object || err != nil || len(b) < 4 {
				return b, err
			}
			s, ok := h.node(binary.LittleEndian.Uint32(b))
			if !ok {
				return nil, ErrCorrupt
			}
			return f.data(s)
		}
		if t != mapi.Object {
			return
		}
		b := h.piece(id) // its node, and its size
		if len(b) < 4 {
			return
		}
		if s, ok := h.node(binary.LittleEndian.Uint32(b)); ok && s.id&kindMask == kindMessage {
			a.Open, a.Inner = nil, func() (*mapi.Message, error) { return f.message(s) }
		}
	})
	if e != nil && err == nil {
		err = e
	}
	a.Props = ps
	return a, err
}
