package msg

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/mapi"
)

// Errors of a file. They quote nothing of it.
var (
	ErrCorrupt  = errors.New("msg: cut or damaged")
	ErrTooLarge = errors.New("msg: more bytes than may be read")
)

// maxProp is the most bytes of one property of a message; attachments are
// bounded by whoever reads them.
const maxProp = 64 << 20

// Names of storages and streams. [MS-OXMSG] 2.1 to 2.4.
const (
	propsName   = "__properties_version1.0"
	valuePrefix = "__substg1.0_"
	recipPrefix = "__recip_version1.0_"
	attachName  = "__attach_version1.0_"
	namesName   = "__nameid_version1.0"
)

// Is reports a compound file that holds a message.
func Is(f *cfb.File) bool {
	for _, e := range f.Within(f.Root()) {
		if !e.Storage && strings.EqualFold(e.Name, propsName) {
			return true
		}
	}
	return false
}

// Read reads the message in f. Whatever could be read of a damaged one comes
// with ErrCorrupt or ErrTooLarge.
func Read(f *cfb.File) (*mapi.Message, error) {
	r := &reader{f: f}
	r.names(f.Root())
	return r.message(f.Root(), 32)
}

type reader struct {
	f     *cfb.File
	err   error
	named map[uint16]mapi.Named // of numbers from 0x8000 on
}

// read returns a stream's bytes and keeps the first error.
func (r *reader) read(e *cfb.Entry, most int64) []byte {
	b, err := r.f.Read(e, most)
	switch {
	case err == nil:
	case errors.Is(err, cfb.ErrTooLarge):
		r.err = ErrTooLarge
	case r.err == nil:
		r.err = ErrCorrupt
	}
	return b
}

// within returns what a storage holds under a name of that beginning, in the
// order of names: that numbers what is of a kind.
func (r *reader) within(storage *cfb.Entry, prefix string, storages bool) (out []*cfb.Entry) {
	for _, e := range r.f.Within(storage) {
		if e.Storage == storages && len(e.Name) >= len(prefix) && strings.EqualFold(e.Name[:len(prefix)], prefix) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *cfb.Entry) int { return strings.Compare(strings.ToUpper(a.Name), strings.ToUpper(b.Name)) })
	return out
}

// message reads the message in a storage, whose fixed properties stand behind a
// header of so many bytes.
func (r *reader) message(storage *cfb.Entry, header int) (*mapi.Message, error) {
	m := &mapi.Message{Props: r.props(storage, header)}
	m.Page = mapi.FindPage(m.Props)
	for _, e := range r.within(storage, recipPrefix, true) {
		m.Recipients = append(m.Recipients, r.props(e, 8))
	}
	for _, e := range r.within(storage, attachName, true) {
		m.Attachments = append(m.Attachments, r.attachment(e))
	}
	err := r.err
	r.err = nil
	return m, err
}

// attachment reads an attachment's properties.
func (r *reader) attachment(storage *cfb.Entry) mapi.Attachment {
	a := mapi.Attachment{Props: r.props(storage, 8)}
	for _, e := range r.f.Within(storage) {
		id, t, _, ok := valueName(e.Name)
		if !ok || id != mapi.AttachData {
			continue
		}
		switch {
		case !e.Storage && t == mapi.Binary:
			a.Open = func() ([]byte, error) {
				b := r.read(e, e.Size)
				err := r.err
				r.err = nil
				return b, err
			}
		case e.Storage && len(r.within(e, propsName, false)) > 0:
			a.Inner = func() (*mapi.Message, error) { return r.message(e, 24) }
		case e.Storage:
			a.Storage = e
		}
	}
	return a
}

// props reads the properties that a storage holds itself.
//
// Source: [MS-OXMSG] 2.1.3, 2.4.
func (r *reader) props(storage *cfb.Entry, header int) mapi.Props {
	var ps mapi.Props
	many := map[uint32]int{} // place of a property that comes value by value
	for _, e := range r.within(storage, propsName, false) {
		b := r.read(e, maxProp)
		if len(b) < header {
			if r.err == nil {
				r.err = ErrCorrupt
			}
			continue
		}
		for b = b[header:]; len(b) >= 16; b = b[16:] {
			t, id := mapi.Type(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
			if n := t.Size(); n > 0 && n <= 8 && t&mapi.Many == 0 {
				ps = append(ps, r.prop(id, t, b[8:8+n]))
			}
		}
	}
	for _, e := range r.within(storage, valuePrefix, false) {
		id, t, index, ok := valueName(e.Name)
		if !ok || id == mapi.AttachData || t&mapi.Many != 0 && index < 0 && t.Size() == 0 { // an attachment; lengths of values
			continue
		}
		v := r.read(e, maxProp)
		if index >= 0 {
			key := uint32(id)<<16 | uint32(t)
			if at, seen := many[key]; seen {
				ps[at].Values = append(ps[at].Values, v)
				continue
			}
			many[key] = len(ps)
		}
		p := r.prop(id, t, v)
		if n := t.Size(); t&mapi.Many != 0 && n > 0 { // values one after another
			p.Values = nil
			for ; len(v) >= n; v = v[n:] {
				p.Values = append(p.Values, v[:n])
			}
		}
		ps = append(ps, p)
	}
	return ps
}

func (r *reader) prop(id uint16, t mapi.Type, v []byte) mapi.Prop {
	n := r.named[id]
	return mapi.Prop{ID: id, Type: t, Name: n.Text, LID: n.LID, Values: [][]byte{v}}
}

// valueName reads the name of a stream that holds a property's value: number,
// type and, of many values, which one, else -1.
func valueName(s string) (id uint16, t mapi.Type, index int, ok bool) {
	s, ok = cutPrefixFold(s, valuePrefix)
	if !ok || len(s) < 8 {
		return 0, 0, 0, false
	}
	tag, err := strconv.ParseUint(s[:8], 16, 32)
	if err != nil {
		return 0, 0, 0, false
	}
	index = -1
	if len(s) > 9 && s[8] == '-' {
		n, err := strconv.ParseUint(s[9:], 16, 31)
		if err != nil {
			return 0, 0, 0, false
		}
		index = int(n)
	}
	return uint16(tag >> 16), mapi.Type(tag), index, true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// names reads what properties from 0x8000 on are called.
//
// Source: [MS-OXMSG] 2.2.3.
func (r *reader) names(root *cfb.Entry) {
	r.named = map[uint16]mapi.Named{}
	for _, storage := range r.within(root, namesName, true) {
		var entries, texts []byte
		for _, e := range r.f.Within(storage) {
			switch id, _, _, ok := valueName(e.Name); {
			case ok && id == 3:
				entries = r.read(e, maxProp)
			case ok && id == 4:
				texts = r.read(e, maxProp)
			}
		}
		maps.Copy(r.named, mapi.Names(entries, texts))
	}
}
