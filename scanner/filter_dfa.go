package scanner

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

const (
	filterSize = 64   // patterns of one filter
	maxStates  = 4096 // of one filter; what would come after is not looked at by it
	maxWork    = 4e6  // steps of its building; what is left then is not looked at either
)

// filter is an automaton that says which patterns a match may begin of at an
// offset. It reads at most depth bytes, and errs on the side of more. State 0
// is the end of every hope.
type filter struct {
	class    [256]uint8 // bytes that no pattern tells apart have one number
	classes  int
	next     []uint16 // by state and class
	match    []uint64 // by state: a bit for each pattern that has a match ending there
	alive    []uint64 // by state: a bit for each pattern that may go on
	start    [2]uint16
	patterns []int // numbers of the patterns, by bit
}

// filtered is a pattern on its way into a filter.
type filtered struct {
	pattern  int
	prog     *syntax.Prog
	anywhere bool // may begin inside a word
}

func (f *filter) step(state uint16, c byte) uint16 {
	return f.next[int(state)*f.classes+int(f.class[c])]
}

// candidates returns a bit for each pattern of which a match may begin at
// text[i].
func (f *filter) candidates(text []byte, i int, state uint16) uint64 {
	var m uint64
	end := min(i+depth, len(text))
	for _, c := range text[i:end] {
		if state = f.step(state, c); state == 0 {
			return m
		}
		m |= f.match[state]
	}
	if end == i+depth {
		m |= f.alive[state]
	}
	return m
}

// open stands for a program counter of which nothing is known: a character of
// several bytes has been taken.
const open = 0xffff

// anything stands for every pattern at once.
const anything = 0xffff_ffff

// builder makes a filter by the subset construction, breadth first.
type builder struct {
	f     *filter
	in    []filtered
	after [][][]uint32 // by pattern and instruction: its closure, packed, once taken
	taken []map[uint32]byteSet
	sets  map[string]uint16
	queue [][]uint32 // by state: its packed program counters
	dist  []int
	work  int // program counters followed so far
}

func pack(pattern int, pc uint32) uint32 { return uint32(pattern)<<16 | pc }

// newFilter builds the filter of at most filterSize patterns.
func newFilter(in []filtered) *filter {
	b := &builder{f: &filter{}, in: slices.Clone(in), sets: map[string]uint16{}}
	for i := range in {
		b.f.patterns = append(b.f.patterns, in[i].pattern)
		b.after = append(b.after, make([][]uint32, len(in[i].prog.Inst)))
		b.taken = append(b.taken, map[uint32]byteSet{})
		for pc := range in[i].prog.Inst {
			if set := bytesOf(&in[i].prog.Inst[pc]); set.len() > 0 {
				b.taken[i][uint32(pc)] = set
			}
		}
	}
	b.classify()
	b.state(nil, 0)                // the dead one
	b.state([]uint32{anything}, 0) // the one that hopes for all, should the numbers of states run out
	var starts [2][]uint32
	for i := range in {
		for _, pc := range closure(in[i].prog, uint32(in[i].prog.Start)) {
			starts[0] = append(starts[0], pack(i, pc))
			if in[i].anywhere {
				starts[1] = append(starts[1], pack(i, pc))
			}
		}
	}
	for k := range starts {
		b.f.start[k] = b.state(starts[k], 0)
	}
	for state := 2; state < len(b.queue); state++ {
		switch {
		case b.dist[state] >= depth:
		case b.work > maxWork:
			b.f.match[state] |= b.f.alive[state]
		default:
			b.expand(uint16(state))
		}
	}
	return b.f
}

// classify numbers the classes of bytes.
func (b *builder) classify() {
	distinct := map[byteSet]bool{}
	for _, t := range b.taken {
		for _, set := range t {
			distinct[set] = true
		}
	}
	b.f.classes = 1
	for set := range distinct {
		var renumber [256]int // of the bytes in set, by their class so far
		for c := range 256 {
			if !set.has(byte(c)) {
				continue
			}
			old := b.f.class[c]
			if renumber[old] == 0 {
				if !b.splits(old, &set) {
					renumber[old] = int(old) + 1
				} else {
					renumber[old] = b.f.classes + 1
					b.f.classes++
				}
			}
			b.f.class[c] = uint8(renumber[old] - 1)
		}
	}
}

// splits reports whether some byte of class lies outside set.
func (b *builder) splits(class uint8, set *byteSet) bool {
	for c := range 256 {
		if b.f.class[c] == class && !set.has(byte(c)) {
			return true
		}
	}
	return false
}

// state returns the number of the state that is the set pcs, made if it is
// new. Past maxStates a new set has no way on, and counts as a match of all
// its patterns.
func (b *builder) state(pcs []uint32, dist int) uint16 {
	slices.Sort(pcs)
	pcs = slices.Compact(pcs)
	key := make([]byte, 0, 4*len(pcs))
	for _, pc := range pcs {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if n, ok := b.sets[string(key)]; ok {
		return n
	}
	if len(b.queue) == 1<<16-1 {
		return 1
	}
	n := uint16(len(b.queue))
	b.sets[string(key)] = n
	var match, alive uint64
	for _, p := range pcs {
		bit := uint64(1) << (p >> 16)
		switch pc := p & 0xffff; {
		case p == anything:
			match = ^uint64(0) >> (64 - len(b.in))
		case pc == open || b.in[p>>16].prog.Inst[pc].Op == syntax.InstMatch:
			match |= bit
		default:
			alive |= bit
		}
	}
	if len(b.queue) >= maxStates {
		match, dist = match|alive, depth
	}
	b.queue = append(b.queue, pcs)
	b.dist = append(b.dist, dist)
	b.f.match = append(b.f.match, match)
	b.f.alive = append(b.f.alive, alive)
	b.f.next = append(b.f.next, make([]uint16, b.f.classes)...)
	return n
}

// expand fills in where state goes.
func (b *builder) expand(state uint16) {
	var done [256]bool
	for c := range 256 {
		class := b.f.class[c]
		if done[class] {
			continue
		}
		done[class] = true
		var to []uint32
		for _, p := range b.queue[state] {
			to = append(to, b.take(int(p>>16), p&0xffff, byte(c))...)
		}
		b.work += len(b.queue[state]) + len(to)
		if len(to) > 0 {
			b.f.next[int(state)*b.f.classes+int(class)] = b.state(to, b.dist[state]+1)
		}
	}
}

// take returns where pattern goes from pc by byte c.
func (b *builder) take(pattern int, pc uint32, c byte) []uint32 {
	if pc == open {
		return nil
	}
	set, ok := b.taken[pattern][pc]
	if !ok || !set.has(c) {
		return nil
	}
	if c >= 0x80 {
		return []uint32{pack(pattern, open)}
	}
	if b.after[pattern][pc] == nil {
		for _, next := range closure(b.in[pattern].prog, b.in[pattern].prog.Inst[pc].Out) {
			b.after[pattern][pc] = append(b.after[pattern][pc], pack(pattern, next))
		}
	}
	return b.after[pattern][pc]
}
