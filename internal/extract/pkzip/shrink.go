package pkzip

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
	next   int                   // codes from here on may be free
	prefix [1 << mostBits]uint16 // none: the code is free
	suffix [1 << mostBits]byte
	string [1 << mostBits]byte // the last byte first
}

func newShrunk(z *Reader) *shrunk {
	s := &shrunk{z: z, bits: firstBits, prev: -1, next: control + 1}
	for i := range s.prefix {
		s.prefix[i] = none
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
	for s.next < len(s.prefix) && s.prefix[s.next] != none {
		s.next++
	}
	if s.next == len(s.prefix) {
		return -1
	}
	own := s.next
	s.next++
	s.prefix[own] = uint16(s.prev)
	return own
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
		var begins [1 << mostBits]bool
		for _, p := range s.prefix {
			if p != none {
				begins[p] = true
			}
		}
		for c := control + 1; c < len(s.prefix); c++ {
			if !begins[c] {
				s.prefix[c] = none
			}
		}
		s.next = control + 1
	default:
		return ErrDamaged
	}
	return nil
}
