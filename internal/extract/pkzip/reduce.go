package pkzip

import "math/bits"

const escape = 144 // begins a match of reducing

// reduced is the state of reducing: bytes are told by those that are likely to
// follow the one before, and are then literals and matches.
type reduced struct {
	z         *Reader
	factor    uint
	begun     bool
	followers [256][]byte
	last      byte // of the bytes that literals and matches are made of

	state  int // what the next byte is: 0 a literal or escape, 1 of the match, 2 more of its length, 3 of its distance
	v      int // the match's first byte
	length int
}

// begin reads the followers, those of the last byte first.
func (d *reduced) begin() error {
	for c := 255; c >= 0; c-- {
		n, err := d.z.take(6)
		if err != nil {
			return err
		}
		if n > 32 {
			return ErrDamaged
		}
		d.followers[c] = make([]byte, n)
		for i := range d.followers[c] {
			f, err := d.z.take(8)
			if err != nil {
				return err
			}
			d.followers[c][i] = byte(f)
		}
	}
	d.begun = true
	return nil
}

// next decodes a byte of literals and matches.
func (d *reduced) next() (int, error) {
	f := d.followers[d.last]
	literal := 1
	if len(f) > 0 {
		var err error
		if literal, err = d.z.take(1); err != nil {
			return 0, err
		}
	}
	n := uint(8)
	if literal == 0 {
		n = max(1, uint(bits.Len(uint(len(f)-1))))
	}
	v, err := d.z.take(n)
	if err != nil {
		return 0, err
	}
	if literal == 0 {
		if v >= len(f) {
			return 0, ErrDamaged
		}
		v = int(f[v])
	}
	d.last = byte(v)
	return v, nil
}

// step decodes one byte further.
func (d *reduced) step() error {
	if !d.begun {
		return d.begin()
	}
	c, err := d.next()
	if err != nil {
		return err
	}
	most := 1<<(8-d.factor) - 1 // what a match's first byte can say of its length
	switch d.state {
	case 0:
		if c == escape {
			d.state = 1
			return nil
		}
		d.z.put(byte(c))
	case 1:
		if c == 0 { // the escape as a literal
			d.z.put(escape)
			d.state = 0
			return nil
		}
		d.v, d.length, d.state = c, c&most, 3
		if d.length == most {
			d.state = 2
		}
	case 2:
		d.length += c
		d.state = 3
	default:
		d.z.repeat(d.length+3, d.v>>(8-d.factor)<<8+c+1)
		d.state = 0
	}
	return nil
}
