package pkzip

import (
	"io"
	"math/bits"

	"github.com/stanch-dlp/stanch/internal/extract/prefix"
)

// imploded is the state of imploding: literals, and matches in a window of 4 or
// 8 KiB.
type imploded struct {
	z        *Reader
	begun    bool
	trees    bool // literals have a code
	low      uint // bits of a distance that have none
	shortest int

	literals, lengths, distances prefix.Code
}

func newImploded(z *Reader, flags uint16, early bool) *imploded {
	wide, trees := flags&2 != 0, flags&4 != 0
	d := &imploded{z: z, trees: trees, low: 6, shortest: 2}
	if wide {
		d.low = 7
	}
	if trees && !early || wide && early {
		d.shortest = 3
	}
	return d
}

// Ambiguous reports flags of an imploded member that early programs meant
// otherwise.
func Ambiguous(flags uint16) bool { return flags>>1&1 != flags>>2&1 }

// tree reads a code of n symbols: runs of symbols whose words are of one length.
func (d *imploded) tree(c *prefix.Code, n int) error {
	runs, err := d.z.take(8)
	if err != nil {
		return err
	}
	var lens []byte
	room := 1 << prefix.MaxLen
	for range runs + 1 {
		v, err := d.z.take(8)
		if err != nil {
			return err
		}
		for range v>>4 + 1 {
			lens = append(lens, byte(v&15+1))
			room -= 1 << (prefix.MaxLen - (v&15 + 1))
		}
	}
	if len(lens) != n || room != 0 {
		return ErrDamaged
	}
	return c.Build(lens)
}

func (d *imploded) begin() error {
	d.begun = true
	if d.trees {
		if err := d.tree(&d.literals, 256); err != nil {
			return err
		}
	}
	if err := d.tree(&d.lengths, 64); err != nil {
		return err
	}
	return d.tree(&d.distances, 64)
}

// symbol decodes a symbol: all bits of its word are turned round.
func (d *imploded) symbol(c *prefix.Code) (int, error) {
	if err := d.z.fill(prefix.MaxLen); err != nil && (err != io.EOF || d.z.have == 0) { //nolint:errorlint // a ByteReader's own
		return 0, err
	}
	s, n := c.Find(^bits.Reverse16(uint16(d.z.bits)))
	if s < 0 {
		return 0, ErrDamaged
	}
	if uint(n) > d.z.have {
		return 0, io.EOF
	}
	d.z.drop(uint(n))
	return s, nil
}

// step decodes a literal or a match.
func (d *imploded) step() error {
	if !d.begun {
		return d.begin()
	}
	literal, err := d.z.take(1)
	if err != nil {
		return err
	}
	if literal == 1 {
		return d.literal()
	}
	low, err := d.z.take(d.low)
	if err != nil {
		return err
	}
	high, err := d.symbol(&d.distances)
	if err != nil {
		return err
	}
	n, err := d.symbol(&d.lengths)
	if err != nil {
		return err
	}
	more := 0
	if n == 63 {
		if more, err = d.z.take(8); err != nil {
			return err
		}
	}
	d.z.repeat(n+more+d.shortest, high<<d.low+low+1)
	return nil
}

// literal decodes a byte.
func (d *imploded) literal() (err error) {
	var c int
	if d.trees {
		c, err = d.symbol(&d.literals)
	} else {
		c, err = d.z.take(8)
	}
	if err == nil {
		d.z.put(byte(c))
	}
	return err
}
