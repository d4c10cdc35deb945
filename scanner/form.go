package scanner

import (
	"math/bits"
	"slices"

	"github.com/stanch-dlp/stanch/patterns"
)

// lengths is how many lengths of a run of digits are told apart.
const lengths = 32

// forms tells of a run of digits, by what stands around it, whether a match may
// have it as its first digits: most numbers of a text are told off by it.
type forms struct {
	class  [256]uint8  // of the byte after a run
	second [256]uint8  // class of the byte after that
	shift  int         // of the length of a run, beside the class of the byte after it
	rows   []uint16    // by kind of the byte before and length of the run: number of the row of index
	index  []uint16    // by row and class of the byte after the run: number of the form
	list   []shortForm // by number
}

// form is what may be found at a run of digits.
type form struct {
	straight, back numberSet
}

// numberSet tells of matches that begin with a run, or before it.
type numberSet struct {
	second byteSet // the second bytes after the run with which there may be one
	needs  uint64  // group.needs of all of them together
}

// shortForm is a form whose bytes are told by class.
type shortForm struct {
	straight, back uint64 // bits for the classes of the second byte
	straightNeeds  uint64
	backNeeds      uint64
}

func (s *numberSet) add(second *byteSet, needs uint64) {
	if *second != (byteSet{}) {
		s.second.add(second)
		s.needs |= needs
	}
}

func (s *numberSet) merge(o *numberSet) {
	s.second.add(&o.second)
	s.needs |= o.needs
}

// Kinds of what stands before a run of digits.
const (
	beforeOther   = iota
	beforeSpace   // a blank
	beforeBracket // (
	beforeDash    // -
	beforeSlash   // /
	beforeBar     // |
	beforeDot     // . after a letter or a dot
	beforeColon   // : = #
	beforeSign    // + $ %: of an amount
	beforeNumber  // . or - after a digit, or after nothing: of one number
	beforeLetter  // a small letter or an underscore
	beforeCapital // a capital
	beforeForeign // a byte that is not ASCII
	beforeEnd     // how many there are
)

// kindBefore is the kind of each byte, one of one number aside.
var kindBefore = func() (t [256]uint8) {
	for c := range 256 {
		switch c := byte(c); {
		case c >= 0x80:
			t[c] = beforeForeign
		case c >= 'A' && c <= 'Z':
			t[c] = beforeCapital
		case isWord(c):
			t[c] = beforeLetter
		}
	}
	t[' '], t['('], t['-'], t['/'], t['|'], t['.'] = beforeSpace, beforeBracket, beforeDash, beforeSlash, beforeBar, beforeDot
	t[':'], t['='], t['#'] = beforeColon, beforeColon, beforeColon
	t['+'], t['$'], t['%'] = beforeSign, beforeSign, beforeSign
	return t
}()

// Kinds of the second byte before a run, as far as they tell of one number.
const (
	secondOther = iota
	secondDigit
	secondWord // of a word, and no digit
	secondDot
)

// kindSecond is the kind of each byte as the second one before a run.
var kindSecond = func() (t [256]uint8) {
	for c := range 256 {
		switch c := byte(c); {
		case isDigit(c):
			t[c] = secondDigit
		case isWord(c):
			t[c] = secondWord
		case c == '.':
			t[c] = secondDot
		}
	}
	return t
}()

// kinds is the kind of what stands before a run, by the kinds of the bytes.
var kinds = func() (t [16][4]uint8) {
	for k := range t {
		for second := range t[k] {
			t[k][second] = uint8(k)
			if k == beforeDot && second == secondOther || (k == beforeDot || k == beforeDash) && second == secondDigit { // as numberBefore has it
				t[k][second] = beforeNumber
			}
		}
	}
	return t
}()

// at returns the form of the run of digits text[at:end], around which there are
// two bytes on each side.
func (f *forms) at(text []byte, at, end int) *shortForm {
	kind := kinds[kindBefore[text[at-1]]&15][kindSecond[text[at-2]]&3]
	row := int(kind)*lengths + min(end-at, lengths-1)
	return &f.list[f.index[int(f.rows[row])<<f.shift|int(f.class[text[end]])]]
}

// follower works out what may follow a run of digits.
type follower struct {
	g     *group
	rep   []int               // by class of the byte after: one of its bytes
	known map[uint32]*follows // by instruction that is gone on from
	bytes map[uint32]*takes   // by instruction
}

// takes is what an instruction takes.
type takes struct {
	first, second byteSet // bytes of its character, and the bytes after those
}

func (w *follower) takes(pc uint32) *takes {
	t := w.bytes[pc]
	if t != nil {
		return t
	}
	p := w.g.prog
	t = &takes{first: p.bytesAt(pc)}
	if p.inst[pc].op == opTake {
		if p.sets[p.inst[pc].set].wide {
			t.second = byteSet{2: ^uint64(0), 3: ^uint64(0)} // a further byte of the same character
		}
		for _, to := range p.reachable(p.inst[pc].out) {
			b := p.bytesAt(to)
			if p.inst[to].op == opMatch {
				b = everyByte
			}
			t.second.add(&b)
		}
	}
	w.bytes[pc] = t
	return t
}

// follows is what an instruction leads to without a character.
type follows struct {
	outside, inside []uint32    // where a word ends or begins, and within one
	row             []numberSet // by class of the byte after, where the run of digits ends here
	ends            bool        // a match may end here although the run goes on
}

func (w *follower) from(pc uint32) *follows {
	f := w.known[pc]
	if f != nil {
		return f
	}
	p := w.g.prog
	f = &follows{outside: p.reachableAt(pc, edgeThere), inside: p.reachableAt(pc, edgeAbsent), row: make([]numberSet, len(w.rep))}
	for c, r := range w.rep {
		list := f.outside
		if isWord(byte(r)) {
			list = f.inside
		}
		for _, to := range list {
			second, needs := w.second(to, byte(r))
			f.row[c].add(&second, needs)
		}
	}
	for _, to := range f.inside {
		f.ends = f.ends || p.inst[to].op == opMatch && w.g.anywhere[p.inst[to].owner]
	}
	w.known[pc] = f
	return f
}

var everyByte = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

// newForms makes the forms of g, the group of digits.
func (g *group) newForms() *forms {
	f := &forms{}
	class, rep := classesOf(append(g.prog.columns(), func(c byte) uint32 {
		return uint32(wordTable[c])<<2 | uint32(bit(isOneOf(c, "%@\\$")))<<1 | uint32(bit(isOneOf(c, ".-")))
	}))
	f.class, f.shift = class, bits.Len(uint(len(rep)-1))
	w := &follower{g: g, rep: rep, known: map[uint32]*follows{}, bytes: map[uint32]*takes{}}
	before := g.leavesBefore()
	var list []form
	numbers := map[form]uint16{}
	straight := map[[2]bool][]numberSet{}
	for k := range uint8(beforeEnd) {
		at := [2]bool{k == beforeLetter || k == beforeCapital, k == beforeSign || k == beforeNumber}
		if straight[at] == nil {
			straight[at] = w.rows(w.begin(at[0], at[1]))
		}
		cells, back := straight[at], w.rows(before[k])
		for n := range lengths {
			row := make([]uint16, 1<<f.shift)
			for c := range rep {
				x := form{cells[n*len(rep)+c], back[n*len(rep)+c]}
				number, ok := numbers[x]
				if !ok {
					number = uint16(len(list))
					numbers[x] = number
					list = append(list, x)
				}
				row[c] = number
			}
			f.addRow(row)
		}
	}
	f.shorten(list)
	return f
}

// addRow adds the row of the next kind and length. Most are like another, so that all
// of index stays in the processor's nearest cache.
func (f *forms) addRow(row []uint16) {
	n := 0
	for n < len(f.index) && !slices.Equal(f.index[n:n+len(row)], row) {
		n += len(row)
	}
	if n == len(f.index) {
		f.index = append(f.index, row...)
	}
	f.rows = append(f.rows, uint16(n>>f.shift))
}

// mostSeconds is how many classes of second bytes are told apart: where there are
// more, the last is that of several, and forms say yes too often.
const mostSeconds = 64

// shorten makes what is looked up of list.
func (f *forms) shorten(list []form) {
	var columns []func(c byte) uint32
	seen := map[byteSet]bool{}
	for i := range list {
		for _, set := range [2]byteSet{list[i].straight.second, list[i].back.second} {
			if !seen[set] {
				seen[set] = true
				columns = append(columns, func(c byte) uint32 { return uint32(bit(set.has(c))) })
			}
		}
	}
	f.second, _ = classesOf(columns)
	for c, class := range f.second {
		f.second[c] = min(class, mostSeconds-1)
	}
	of := func(set *byteSet) (classes uint64) {
		for c, class := range f.second {
			if set.has(byte(c)) {
				classes |= 1 << class
			}
		}
		return classes
	}
	for i := range list {
		x := &list[i]
		f.list = append(f.list, shortForm{of(&x.straight.second), of(&x.back.second), x.straight.needs, x.back.needs})
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// begin returns the instructions that may take a match's first byte where that is
// a digit, within a word or outside, and with figure after what makes it a part
// of a number or an amount.
func (w *follower) begin(word, figure bool) (pcs []uint32) {
	for n, start := range w.g.prog.start {
		b := w.g.bounds[n]
		if word && b != patterns.BoundaryNone || figure && (b == patterns.BoundaryNumber || b == patterns.BoundaryAlone) {
			continue
		}
		from := w.from(start)
		if word {
			pcs = append(pcs, from.inside...)
		} else {
			pcs = append(pcs, from.outside...)
		}
	}
	return pcs
}

// leavesBefore returns, by kind of the byte before, the instructions that may
// take the first digit of a match that begins before it.
func (g *group) leavesBefore() (leaves [beforeEnd][]uint32) {
	for n := range g.patterns {
		pre, _ := g.prog.anchored(n, &g.anchor)
		for _, pc := range pre.leaves {
			var takes byteSet
			for _, b := range pre.before[pc] {
				set := g.prog.bytesAt(b)
				takes.add(&set)
				if g.prog.sets[g.prog.inst[b].set].wide {
					takes.add(&byteSet{2: ^uint64(0), 3: ^uint64(0)})
				}
			}
			var kinds [beforeEnd]bool
			for c := range 256 {
				if takes.has(byte(c)) && !isDigit(byte(c)) {
					kinds[kindBefore[c]] = true
				}
			}
			kinds[beforeNumber] = kinds[beforeDot] || kinds[beforeDash]
			for k, there := range kinds {
				if there {
					leaves[k] = append(leaves[k], pc)
				}
			}
		}
	}
	return leaves
}

// rows tells, by length of a run of digits whose first one the instructions in
// level take and by class of the byte after it, what may follow.
func (w *follower) rows(level []uint32) []numberSet {
	p, stride := w.g.prog, len(w.rep)
	rows := make([]numberSet, lengths*stride)
	for n := 1; n < lengths; n++ {
		row := rows[n*stride : (n+1)*stride]
		var next []uint32
		longer := lengths // from this length on whatever follows
		for _, pc := range level {
			if !w.takes(pc).first.meets(&digits) {
				continue
			}
			after := w.from(p.inst[pc].out)
			for c := range row {
				row[c].merge(&after.row[c])
			}
			if after.ends {
				longer = n + 1
			}
			if n == lengths-1 {
				longer = n
			}
			next = append(next, after.inside...)
		}
		if longer < lengths {
			for i := longer * stride; i < len(rows); i++ {
				rows[i] = numberSet{everyByte, unasked}
			}
			break
		}
		slices.Sort(next)
		level = slices.Compact(next)
	}
	return rows
}

// second returns the second bytes with which the instruction at pc may go on
// where a run of digits ends and r follows, and what that needs.
func (w *follower) second(pc uint32, r byte) (set byteSet, needs uint64) {
	i := &w.g.prog.inst[pc]
	if i.op == opMatch {
		return secondAfter(w.g.bounds[i.owner], r), w.g.needs[i.owner]
	}
	t := w.takes(pc)
	if !t.first.has(r) || isDigit(r) {
		return set, 0
	}
	return t.second, w.g.needs[i.owner]
}

// secondAfter returns the bytes that may stand after r where r follows a match
// with boundary b that ends in a digit: see wordAfter and numberAfter.
func secondAfter(b patterns.Boundary, r byte) byteSet {
	number := b == patterns.BoundaryNumber || b == patterns.BoundaryAlone
	switch {
	case b == patterns.BoundaryNone:
	case isWord(r), number && isOneOf(r, "%@\\$"):
		return byteSet{}
	case number && isOneOf(r, ".-"):
		set := everyByte
		for i := range set {
			set[i] &^= digits[i]
		}
		return set
	}
	return everyByte
}
