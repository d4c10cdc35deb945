package scanner

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// Transitions that a table has room for, at first and at most (4 bytes each).
const (
	minEntries = 1 << 12
	maxEntries = 1 << offsetBits
)

// maxTable is how many bytes the states and outputs of a table may take. Those of the
// built-in rules take a hundredth; one state of the largest set takes as much.
const maxTable = 16 << 20

// entriesPerOut is how many transitions share one place for an output.
const entriesPerOut = 16

// A transition: 0 is one not looked for yet; else the offset of the state it leads
// to, with special where that is state 0 or it has an output, and with output and the
// number of that where it has one. So most are told by one comparison, as passing has
// it, and are the state to go on in.
const (
	special    = 1 << 31
	output     = 1 << 30
	offsetBits = 18
	toMask     = 1<<offsetBits - 1
	maxOuts    = output >> offsetBits
)

// passing reports that e leads on and has no output.
func passing(e uint32) bool { return int32(e) > 0 }

// transition is one to the state at offset to.
func transition(to uint32) uint32 {
	if to == 0 {
		return special
	}
	return to
}

// telling is one to the state at offset to that has the output numbered out.
func telling(to, out uint32) uint32 { return special | output | out<<offsetBits | to }

// told is the output of a transition of t that has one.
func (t *table) told(e uint32) *outcome { return &t.outs[e&(output-1)>>offsetBits] }

// lazy is an automaton whose states and transitions are made when a text first
// asks for them. It is shared by all Scans: who finds a transition missing
// makes it under the lock; the others read. A full table is left to those that
// walk in it and replaced by an empty one.
type lazy struct {
	class  [256]uint8 // bytes that nothing tells apart have one number; the end of the text has the last
	stride uint32     // classes, the end included
	most   uint32     // transitions that a table has room for at most
	room   int        // bytes that its states and outputs may take
	rep    []int      // by class: one of its bytes, endOfText for the last
	cur    atomic.Pointer[table]

	mu   sync.Mutex
	step func(set []uint64, c int) (next []uint64, out []uint16) // guarded by mu; what it returns is valid until the next call
	root [][]uint64                                              // the states that each table begins with

	needs []uint64 // by expression: the bit that outcome.needs has for it; nil: none
}

const endOfText = 256

// table is what has been made so far. State 0, which nothing leads on from, is
// at offset 0; state i of root stands at offset (i+1)*stride.
type table struct {
	next []atomic.Uint32 // by offset of the state and class
	outs []outcome       // by number; written before next

	// Guarded by lazy.mu.
	sets    [][]uint64
	byKey   map[string]uint32
	outKeys map[string]uint32
	key     []byte
	kept    int // bytes of sets and outs, and of their keys
	room    int // lazy.room
	roots   int // states that the table began with
}

// outcome is the expressions that a transition tells of.
type outcome struct {
	list  []uint16
	needs uint64 // lazy.needs of all of them together
}

// newLazy makes an automaton over the classes that told apart: by byte, the
// values of each column.
func newLazy(columns []func(c byte) uint32, step func([]uint64, int) ([]uint64, []uint16), root [][]uint64) *lazy {
	l := &lazy{step: step, root: root, most: maxEntries, room: maxTable}
	l.class, l.rep = classesOf(columns)
	l.rep = append(l.rep, endOfText)
	l.stride = uint32(len(l.rep))
	l.cur.Store(l.newTable(minEntries))
	return l
}

// classesOf tells apart the bytes that some column tells apart: by byte its class,
// by class one of its bytes.
func classesOf(columns []func(c byte) uint32) (class [256]uint8, rep []int) {
	type split struct { // of a class: which of its bytes went, and where to
		from  uint8
		value uint32
		to    uint8
	}
	rep = make([]int, 1, 256)
	var splits []split
	for _, col := range columns {
		var value [256]uint32
		for c := range value {
			value[c] = col(byte(c))
		}
		splits = splits[:0]
		for c, v := range value {
			from := class[c]
			if v == value[rep[from]] {
				continue // most columns split no class
			}
			i := slices.IndexFunc(splits, func(s split) bool { return s.from == from && s.value == v })
			if i < 0 {
				i = len(splits)
				splits = append(splits, split{from, v, uint8(len(rep))})
				rep = append(rep, c)
			}
			class[c] = splits[i].to
		}
		if len(rep) == 256 {
			break
		}
	}
	return class, rep
}

func (l *lazy) newTable(entries uint32) *table {
	entries = max(entries/l.stride, uint32(len(l.root)+8)) * l.stride
	t := &table{next: make([]atomic.Uint32, entries), outs: make([]outcome, min(entries/entriesPerOut, maxOuts)),
		sets: make([][]uint64, 1), byKey: map[string]uint32{}, outKeys: map[string]uint32{}, room: l.room}
	for _, set := range l.root {
		if len(set) == 0 { // a root that nothing begins at still has its place
			t.sets = append(t.sets, nil)
			for c := range l.stride {
				t.next[uint32(len(t.sets)-1)*l.stride+c].Store(special)
			}
			continue
		}
		n := uint32(len(t.sets))
		t.sets = append(t.sets, slices.Clone(set))
		t.byKey[string(t.keyOf(set))] = n
		t.kept += 2 * len(t.key)
	}
	t.roots = len(t.sets)
	return t
}

func (t *table) keyOf(set []uint64) []byte {
	t.key = t.key[:0]
	for _, x := range set {
		t.key = binary.LittleEndian.AppendUint64(t.key, x)
	}
	return t.key
}

// state returns the number of the state that is set, made if it is new; false
// where the table is full.
func (t *table) state(set []uint64, stride uint32) (uint32, bool) {
	if len(set) == 0 {
		return 0, true
	}
	key := t.keyOf(set)
	if n, ok := t.byKey[string(key)]; ok {
		return n, true
	}
	n := uint32(len(t.sets))
	if (n+1)*stride > uint32(len(t.next)) || t.kept >= t.room && len(t.sets) > t.roots { // for one there is always room
		return 0, false
	}
	t.sets = append(t.sets, slices.Clone(set))
	t.byKey[string(key)] = n
	t.kept += 2 * len(key)
	return n, true
}

// outNumber returns the number of the output; false where there is no room.
func (t *table) outNumber(out []uint16, needs []uint64) (uint32, bool) {
	t.key = t.key[:0]
	for _, x := range out {
		t.key = binary.LittleEndian.AppendUint16(t.key, x)
	}
	if n, ok := t.outKeys[string(t.key)]; ok {
		return n, true
	}
	n := uint32(len(t.outKeys))
	if n >= uint32(len(t.outs)) || t.kept >= t.room {
		return 0, false
	}
	t.outs[n] = newOutcome(out, needs)
	t.outKeys[string(t.key)] = n
	t.kept += 2 * len(t.key)
	return n, true
}

func newOutcome(list []uint16, needs []uint64) outcome {
	o := outcome{list: slices.Clone(list)}
	for _, n := range list {
		if needs != nil {
			o.needs |= needs[n]
		}
	}
	return o
}

// full reports whether t has no room for one more state or output.
func (t *table) full(stride uint32) bool {
	return uint32(len(t.sets)+1)*stride > uint32(len(t.next)) || len(t.outKeys) >= len(t.outs) || t.kept >= t.room
}

// find makes the transition of class c from the state at offset from of t. It
// returns the table in which to go on, the transition, its output, and what finding it
// cost, in bytes of proof.
func (l *lazy) find(t *table, from, c uint32) (in *table, e uint32, out *outcome, cost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := from + c
	if e := t.next[at].Load(); e != 0 { // another was faster
		if e&output != 0 {
			out = t.told(e)
		}
		return t, e, out, 1
	}
	set := t.sets[from/l.stride]
	next, list := l.step(set, l.rep[c])
	cost = 16 + len(set) + len(next)
	n, ok := t.state(next, l.stride)
	e = transition(n * l.stride)
	if ok && len(list) > 0 {
		var k uint32
		if k, ok = t.outNumber(list, l.needs); ok {
			e = telling(n*l.stride, k)
			out = t.told(e)
		}
	}
	if ok {
		t.next[at].Store(e)
		return t, e, out, cost
	}
	// Full. Walk on in the next table, in which this transition has no place.
	if t = l.cur.Load(); t.full(l.stride) {
		t = l.newTable(min(4*uint32(len(t.next)), l.most))
		l.cur.Store(t)
		cost += minEntries + t.kept
	}
	n, _ = t.state(next, l.stride)
	e = transition(n * l.stride)
	if len(list) > 0 {
		e = telling(n*l.stride, 0)
		o := newOutcome(list, l.needs)
		out = &o
	}
	return t, e, out, cost
}
