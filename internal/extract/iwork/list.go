package iwork

import (
	"cmp"
	"slices"
	"sort"
)

const (
	maxEntries = 1 << 20 // of all lists
	freeAgain  = 1 << 24 // bytes that may be read or held again, beside four times all
)

// entry is one entry of a list: a text as it stands, or an object that has one.
type entry struct {
	key   uint32
	shown bool // by a cell
	b     message
	of    *object
	read  bool
	text  string // once it was read
}

// entries are a list's, by their keys.
type entries []entry

// list returns the entries of a TST.TableDataList, which is read once however many
// tables name it.
func (x *show) list(data message, num uint64) entries {
	o := x.find(data, num, kindList)
	if o == nil {
		return nil
	}
	if l, ok := x.lists[o]; ok {
		return l
	}
	o.used = o.b.bytes(4) == nil // what stands in segments is told as words
	var l entries
	o.b.all(3, func(m message) {
		e := entry{key: uint32(m.number(1)), b: m.bytes(3)}
		if p := x.find(m, 9, kindRich); p != nil {
			if e.of = x.find(p.b, 1, kindStorage, kindStorage2); e.of != nil {
				e.of.used = true
			}
		}
		if len(e.b) == 0 && e.of == nil || x.err != nil {
			return
		}
		if x.kept++; x.kept > maxEntries {
			x.err = ErrTooMany
			return
		}
		l = append(l, e)
	})
	slices.SortStableFunc(l, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	x.lists[o] = l
	return l
}

// entry returns the text of the last entry with a key.
func (x *show) entry(l entries, key uint32) string {
	i := sort.Search(len(l), func(i int) bool { return l[i].key > key }) - 1
	if i < 0 || l[i].key != key {
		return ""
	}
	l[i].shown = true
	return x.entryText(&l[i])
}

// entryText returns the text of an entry; that of an object is put together once.
func (x *show) entryText(e *entry) string {
	if e.of != nil {
		s, ok := x.texts[e.of]
		if !ok {
			s = plain(x.storage(e.of))
			x.texts[e.of] = s
		}
		if s != "" {
			return s
		}
	}
	if !e.read {
		e.text, e.read = plain(string(e.b)), true
	}
	return e.text
}

// repeat counts bytes that are read or held again, of which a document of honest
// make has few.
func (x *show) repeat(n int) {
	if x.again += int64(n); x.again > 4*x.size+freeAgain && x.err == nil {
		x.err = ErrTooMany
	}
}

// unshown tells the entries of lists that no cell shows.
func (x *show) unshown() {
	told := map[*object]bool{}
	for i := range x.objects {
		l := x.lists[&x.objects[i]]
		for k := range l {
			if l[k].of != nil && l[k].shown {
				told[l[k].of] = true
			}
		}
	}
	for i := range x.objects {
		l := x.lists[&x.objects[i]]
		for k := range l {
			e := &l[k]
			if e.shown || e.of != nil && told[e.of] {
				continue
			}
			if e.of != nil {
				told[e.of] = true
			}
			x.text(x.entryText(e), x.s.Word)
		}
	}
}
