package xlsb

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode"
	"unicode/utf16"
)

// Numbers past the end of a record are zero.

func u16(b []byte, at int) uint16 {
	if at+2 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint16(b[at:])
}

func u32(b []byte, at int) uint32 {
	if at+4 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint32(b[at:])
}

func f64(b []byte, at int) float64 {
	if at+8 > len(b) {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b[at:]))
}

func from(b []byte, at int) []byte { return b[min(at, len(b)):] }

// wide reads a counted text, and what comes behind it. Where less is there than it
// says, that and ErrCorrupt.
//
// Source: [MS-XLSB] 2.5.168, XLWideString; 2.5.166, XLNullableWideString.
func wide(b []byte) (text string, rest []byte, err error) {
	if len(b) < 4 {
		return "", nil, ErrCorrupt
	}
	n := u32(b, 0)
	b = b[4:]
	if n == math.MaxUint32 {
		return "", b, nil
	}
	if uint64(n)*2 > uint64(len(b)) {
		n, err = uint32(len(b)/2), ErrCorrupt
	}
	return letters(b[:2*n]), b[2*n:], err
}

// rich reads a text with formats: a byte of flags before it. What comes behind it
// says how it looks, or is said.
//
// Source: [MS-XLSB] 2.5.121, RichStr.
func rich(b []byte) (text string, rest []byte, err error) {
	if len(b) < 1 {
		return "", nil, ErrCorrupt
	}
	return wide(b[1:])
}

func letters(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// rk reads a number in four bytes. [MS-XLSB] 2.5.122.
func rk(v uint32) float64 {
	var x float64
	if v&2 != 0 {
		x = float64(int32(v) >> 2)
	} else {
		x = math.Float64frombits(uint64(v&^3) << 32)
	}
	if v&1 != 0 {
		x /= 100
	}
	return x
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// date reads a day and time of a pivot table's. [MS-XLSB] 2.5.107, PCDIDateTime.
func date(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	s := fmt.Sprintf("%04d-%02d-%02d", u16(b, 0), u16(b, 2), b[4])
	if b[5]|b[6]|b[7] != 0 {
		s += fmt.Sprintf(" %02d:%02d:%02d", b[5], b[6], b[7])
	}
	return s
}

// minWords is how many letters the texts have that are found without knowing
// their record.
const minWords = 2

// words tells the counted texts of a record, wherever they stand in it: those of
// comments, links, headers, names, tables and connections have theirs behind flags
// and references of many forms.
func words(b []byte, tell func(string) error) error {
	for i := 0; i+4+2*minWords <= len(b); {
		n := uint64(u32(b, i))
		if n < minWords || 2*n > uint64(len(b)-i-4) {
			i++
			continue
		}
		text := b[i+4 : i+4+int(2*n)]
		if !readable(text) {
			i++
			continue
		}
		if err := tell(letters(text)); err != nil {
			return err
		}
		i += 4 + int(2*n)
	}
	return nil
}

// readable reports letters that are for reading, not numbers that look like some: no
// control characters but those that part lines, and none that are no letters at all.
// It looks no further than the first that is not, so that looking from every byte of
// a record is not many times its length: what may be a count is no letter.
func readable(b []byte) bool {
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(u16(b, i))
		if utf16.IsSurrogate(r) {
			r = utf16.DecodeRune(r, rune(u16(b, i+2)))
			i += 2
		}
		switch {
		case r >= '\t' && r <= '\r':
		case r < ' ', r == unicode.ReplacementChar, r == 0xfffe, r == 0xffff:
			return false
		}
	}
	return true
}

// ptgStr begins a text in a formula: how many letters, in two bytes, and they.
//
// Source: [MS-XLSB] 2.5.97.83.
const ptgStr = 0x17

// literals tells the texts that a formula holds itself.
func literals(b []byte, tell func(string) error) error {
	for i := 0; i+3+2*minWords <= len(b); {
		n := int(u16(b, i+1))
		if b[i] != ptgStr || n < minWords || n > 255 || i+3+2*n > len(b) || !readable(b[i+3:i+3+2*n]) {
			i++
			continue
		}
		if err := tell(letters(b[i+3 : i+3+2*n])); err != nil {
			return err
		}
		i += 3 + 2*n
	}
	return nil
}
