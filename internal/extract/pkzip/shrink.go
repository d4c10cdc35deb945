package pkzip

import "math/bits"

// Of shrinking: LZW with codes of 9 to 13 bits.
const (
	firstBits = 9
	mostBits  = 13
	control   = 256 // what follows it is an order
	none      = 0xffff
)

// shrunk is the table of shrinking.
type shrunk struct {
	z      *Reader
	bits   uint
	prev   int // last code, negative before the first
	first  byte
	prefix [1 << mostBits]uint16 // none: the code is free
	suffix [1 << mostBits]byte
	string [1 << mostBits]byte // the last byte first

	free    [1 << mostBits / 64]uint64 // a bit for each free code
	word    int                        // of free, before which all are taken
	begun   [1 << mostBits]uint16      // how many codes begin with this one
	perhaps []uint16                   // codes with which none may begin
}

func newShrunk(z *Reader) *shrunk {
	s := &shrunk{z: z, bits: firstBits, prev: -1}
	for i := range s.prefix {
		s.prefix[i] = none
		if i > control {
			s.free[i/64] |= 1 << (i % 64)
		}
	}
	return s
}

// step decodes a code.
func (s *shrunk) step() error {
	c, err := s.z.take(s.bits)
	if err != nil {
		return err
	}
	if c == control {
		return s.order()
	}
	own := s.add()
	n := 0
	for at := c; ; at = int(s.prefix[at]) {
		switch {
		case n == len(s.string): // strings that begin with one another
			return ErrDamaged
		case at < control:
			s.first = byte(at)
			s.string[n] = s.first
		case s.prefix[at] == none || at == control:
			return ErrDamaged
		default:
			s.string[n] = s.suffix[at]
			n++
			continue
		}
		break
	}
	if own >= 0 {
		s.suffix[own] = s.first
		if c == own { // the string that this code itself makes
			s.string[0] = s.first
		}
	}
	for ; n >= 0; n-- {
		s.z.put(s.string[n])
	}
	s.prev = c
	return nil
}

// add makes the code of the last string and a byte that is not known yet, and
// returns it; negative where none is free. A code that a clearing freed while it
// was the last one, and that is the next to be made, begins with itself: it is no
// string.
func (s *shrunk) add() int {
	if s.prev < 0 {
		return -1
	}
	for s.word < len(s.free) && s.free[s.word] == 0 {
		s.word++
	}
	if s.word == len(s.free) {
		return -1
	}
	own := s.word*64 + bits.TrailingZeros64(s.free[s.word])
	s.free[s.word] &= s.free[s.word] - 1
	s.prefix[own] = uint16(s.prev)
	s.begun[s.prev]++
	s.perhaps = append(s.perhaps, uint16(own))
	return own
}

// clear frees the codes that no other begins with. What it takes is what was added
// and freed, however often it is ordered.
func (s *shrunk) clear() {
	var ends, perhaps []uint16
	for _, c := range s.perhaps {
		if s.begun[c] == 0 {
			ends = append(ends, c)
		}
	}
	for _, c := range ends {
		p := s.prefix[c]
		s.prefix[c] = none
		s.free[c/64] |= 1 << (c % 64)
		if s.begun[p]--; s.begun[p] == 0 && p > control && s.prefix[p] != none {
			perhaps = append(perhaps, p)
		}
	}
	s.perhaps, s.word = perhaps, 0
}

// order carries out what follows the control code: 1 widens codes, 2 frees those
// that no other begins with.
func (s *shrunk) order() error {
	v, err := s.z.take(s.bits)
	switch {
	case err != nil:
		return err
	case v == 1 && s.bits < mostBits:
		s.bits++
	case v == 2:
		s.clear()
	default:
		return ErrDamaged
	}
	return nil
}
