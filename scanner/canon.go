package scanner

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/scanner/check"
)

// canon is how the values of a type are told apart: by what two ways of writing
// the same have in common.
type canon uint8

const (
	byCharacters canon = iota // letters, in either case, and digits
	byText                    // all of it, in either case
	byDate                    // the date; what is none by its characters
	byPhone                   // as byCharacters, without the country code 1
)

func canonOf(t dlp.Type) canon {
	switch t {
	case "EMAIL", "URL", "IP", "SECRET", "NAME", "ADDRESS":
		return byText
	case "DOB", "DATE":
		return byDate
	case "PHONE", "FAX":
		return byPhone
	}
	return byCharacters
}

// canonical appends to out the value as it counts.
func canonical(out []byte, t dlp.Type, value string) []byte { return canonOf(t).add(out, value) }

// add appends to out the value as it counts.
func (k canon) add(out []byte, value string) []byte {
	switch k {
	case byText:
		return addSmall(out, value)
	case byDate:
		y, m, d, ok := check.Date(value)
		if !ok {
			y, m, d, ok = check.DayNumber(value) // the cell that shows it has it beside it
		}
		if ok {
			for _, n := range [4]int{y / 100, y % 100, m, d} {
				out = append(out, byte('0'+n/10%10), byte('0'+n%10))
			}
			return out
		}
	}
	from := len(out)
	out = addCounted(out, value)
	if k == byPhone && len(out)-from == 11 && out[from] == '1' {
		out = append(out[:from], out[from+1:]...)
	}
	return out
}

// addCounted appends the letters and digits of value, small letters as capitals.
func addCounted(out []byte, value string) []byte {
	k := len(out)
	out = slices.Grow(out, len(value))[:k+len(value)]
	for i := range len(value) {
		c := counts[value[i]]
		out[k] = byte(c)
		k += int(c >> 8)
	}
	return out[:k]
}

// addSmall appends value in small letters.
func addSmall(out []byte, value string) []byte {
	k, all, whole := len(out), byte(0), value
	out = slices.Grow(out, len(value))[:k+len(value)]
	small := out[k:]
	for len(value) >= 8 && len(small) >= 8 {
		x := uint64(value[0]) | uint64(value[1])<<8 | uint64(value[2])<<16 | uint64(value[3])<<24 |
			uint64(value[4])<<32 | uint64(value[5])<<40 | uint64(value[6])<<48 | uint64(value[7])<<56
		binary.LittleEndian.PutUint64(small, smallEight(x))
		if x&high != 0 {
			all = utf8.RuneSelf
		}
		value, small = value[8:], small[8:]
	}
	for i := range small {
		c := value[i]
		all |= c
		small[i] = smalls[c]
	}
	if all >= utf8.RuneSelf {
		return append(out[:k], strings.ToLower(whole)...)
	}
	return out
}

// smallEight is eight bytes with the capitals of ASCII as small letters: adding
// carries into the high bit, 0x3f of a byte from 'A' on, 0x25 of one behind 'Z'.
func smallEight(x uint64) uint64 {
	low := x &^ high
	capitals := (low + 0x3f*ones) &^ (low + 0x25*ones) &^ x & high
	return x | capitals>>2
}

// smalls is each byte of ASCII in small letters.
var smalls = func() (t [256]byte) {
	for c := range 256 {
		if t[c] = byte(c); c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// counts is each byte as it counts in most values, with 1 above it; 0 for those that
// do not.
var counts = func() (t [256]uint16) {
	for c := range 256 {
		switch c := byte(c); {
		case c >= 'a' && c <= 'z':
			t[c] = 1<<8 | uint16(c-'a'+'A')
		case isDigit(c), c >= 'A' && c <= 'Z', c >= utf8.RuneSelf:
			t[c] = 1<<8 | uint16(c)
		}
	}
	return t
}()
