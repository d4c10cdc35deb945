package index

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/stanch-dlp/stanch/scanner/check"
)

// Bounds of a value, in bytes or digits.
const (
	minMRN      = 4 // shorter ones are anybody's
	maxMRN      = 24
	minMRNDigit = 3
	maxName     = 96
	maxRaw      = 256 // of a value before it is normalised
)

// appendMRN appends a record number as it counts: letters and digits, capitals,
// without what stands between. Leading zeros count for nothing in a number of
// digits alone, since spreadsheets lose them. ok is false for what is no record
// number.
func appendMRN(out, raw []byte) (_ []byte, ok bool) {
	from, digits := len(out), 0
	for _, c := range raw {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c >= 'A' && c <= 'Z':
		case c >= utf8.RuneSelf:
			return out[:from], false
		default:
			continue
		}
		if len(out)-from == maxMRN {
			return out[:from], false
		}
		out = append(out, c)
	}
	if n := len(out) - from; n == digits {
		for len(out)-from > 1 && out[from] == '0' {
			copy(out[from:], out[from+1:])
			out = out[:len(out)-1]
		}
	}
	if len(out)-from < minMRN || digits < minMRNDigit {
		return out[:from], false
	}
	return out, true
}

// appendDigits appends the digits of raw, at most limit of them.
func appendDigits(out, raw []byte, limit int) (_ []byte, ok bool) {
	from := len(out)
	for _, c := range raw {
		if c < '0' || c > '9' {
			continue
		}
		if len(out)-from == limit {
			return out[:from], false
		}
		out = append(out, c)
	}
	return out, true
}

// appendSSN appends nine digits. ok is false where the Social Security
// Administration gives no such number.
func appendSSN(out, raw []byte) (_ []byte, ok bool) {
	from := len(out)
	out, ok = appendDigits(out, raw, 9)
	if !ok || !validSSN(out[from:]) {
		return out[:from], false
	}
	return out, true
}

// validSSN is check.SSN of nine digits, without the string.
func validSSN(d []byte) bool {
	return len(d) == 9 && check.SSN(string(d)) // no longer than 32 bytes: it stays on the stack
}

// appendPhone appends a telephone number: ten digits for North America, else
// those after a plus. An extension does not count.
func appendPhone(out, raw []byte) (_ []byte, ok bool) {
	from := len(out)
	abroad := false
	for _, c := range raw {
		switch {
		case c >= '0' && c <= '9':
			if len(out)-from == 15 { // ITU-T E.164, 6.1
				return out[:from], false
			}
			out = append(out, c)
			continue
		case c == '+' && len(out) == from:
			abroad = true
		case (c|0x20 == 'x' || c|0x20 == 'e') && len(out)-from >= 7: // x12, ext. 12
			return finishPhone(out, from, abroad)
		}
	}
	return finishPhone(out, from, abroad)
}

func finishPhone(out []byte, from int, abroad bool) ([]byte, bool) {
	if len(out)-from == 11 && out[from] == '1' {
		out = out[:from+copy(out[from:], out[from+1:])]
		abroad = false
	}
	if n := len(out) - from; n == 10 && out[from] >= '2' || abroad && n >= 8 {
		return out, true
	}
	return out[:from], false
}

// appendDate appends a date as YYYYMMDD.
func appendDate(out, raw []byte) (_ []byte, ok bool) {
	if len(raw) > 40 {
		return out, false
	}
	y, m, d, ok := check.Date(string(raw))
	if !ok || y < 1880 || y > 2099 { // as check.Birth
		return out, false
	}
	for _, n := range [4]int{y / 100, y % 100, m, d} {
		out = append(out, byte('0'+n/10), byte('0'+n%10))
	}
	return out, true
}

// appendName appends the letters of a name, small and without their marks: what
// "O'Brien", "O’BRIEN" and "obrien", or "Müller" and "MULLER", have in common.
// spare is memory for taking characters apart, handed back as it grew.
func appendName(out, raw, spare []byte) (_, _ []byte, ok bool) {
	from := len(out)
	if len(raw) > maxRaw {
		return out, spare, false
	}
	i := 0
	for i < len(raw) && raw[i] < utf8.RuneSelf {
		if c := raw[i] | 0x20; c >= 'a' && c <= 'z' {
			out = append(out, c)
		}
		i++
	}
	if i < len(raw) {
		out = out[:from]
		spare = norm.NFKD.Append(spare[:0], raw...)
		for k := 0; k < len(spare); {
			r, size := utf8.DecodeRune(spare[k:])
			k += size
			out = appendLetter(out, r)
		}
	}
	if len(out) == from || len(out)-from > maxName {
		return out[:from], spare, false
	}
	return out, spare, true
}

// appendLetter appends r as it counts in a name.
func appendLetter(out []byte, r rune) []byte {
	switch r = unicode.ToLower(r); r {
	case 'ß':
		return append(out, "ss"...)
	case 'æ':
		return append(out, "ae"...)
	case 'œ':
		return append(out, "oe"...)
	case 'ø':
		return append(out, 'o')
	case 'đ', 'ð':
		return append(out, 'd')
	case 'þ':
		return append(out, "th"...)
	case 'ł':
		return append(out, 'l')
	case 'ı':
		return append(out, 'i')
	case utf8.RuneError:
		return out
	}
	if unicode.IsLetter(r) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// splitName takes a whole name apart: "Last, First M." as "First M. Last", titles
// and generations aside. A particle belongs to the family: "Maria de la Cruz".
func splitName(full string) (given, family string) {
	if last, first, comma := strings.Cut(full, ","); comma && len(nameWords(first)) > 0 {
		return firstWord(first), strings.Join(nameWords(last), " ")
	}
	words := nameWords(full)
	if len(words) < 2 {
		return "", ""
	}
	from := len(words) - 1
	for from > 1 && particle(words[from-1]) {
		from--
	}
	return words[0], strings.Join(words[from:], " ")
}

// nameWords returns the words of a name but titles and generations.
func nameWords(s string) []string {
	var out []string
	for _, w := range strings.Fields(strings.ReplaceAll(s, ",", " ")) {
		switch strings.ToLower(strings.Trim(w, ".()")) {
		case "", "jr", "sr", "ii", "iii", "iv", "mr", "mrs", "ms", "miss", "dr", "md", "phd", "esq":
		default:
			out = append(out, w)
		}
	}
	return out
}

func firstWord(s string) string {
	if w := nameWords(s); len(w) > 0 {
		return w[0]
	}
	return ""
}

func particle(w string) bool {
	switch strings.ToLower(w) {
	case "de", "del", "della", "di", "da", "do", "dos", "das", "du", "la", "le", "van", "von", "der", "den", "ter", "ten", "bin", "ibn", "al", "el", "st", "st.":
		return true
	}
	return false
}
