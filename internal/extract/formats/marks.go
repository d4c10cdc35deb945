package formats

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/transform"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// What a text behind the mark of a wide encoding holds at least of pairs of
// printable ASCII bytes before it is read as bytes too.
const (
	pairsDeclared = 3 // anywhere, where a mail or its charset says otherwise than the mark
	pairsInRow    = 6 // anywhere else: a Chinese text has pairs, few in a row
	pairsOfDigits = 3 // in a row, each with a digit: no script's characters are many such
)

// byteOrder checks a text that begins with a byte order mark, or is taken for
// UTF-16 or UTF-32, for another reading: programs that follow the declared
// charset, or know of bytes only, pass over the mark. Bytes are written to it as
// they are read.
type byteOrder struct {
	without []byte // what takes the mark's place in the other reading
	mark    int    // length of the mark, 0 where there is none
	enc     string // what the text is taken for
	width   int    // bytes of a unit, 1 for UTF-8
	strict  bool   // a few pairs are enough
	doubt   bool   // there is another reading

	seen   int // bytes of the mark
	unit   [4]byte
	n      int  // bytes in unit
	high   bool // a low surrogate must follow
	pairs  int
	inRow  int
	digits int
}

// newByteOrder returns the check for a text at a place that begins with head and
// is taken for enc; nil where it has no mark and is read as bytes, or in a charset in
// which ASCII is ASCII.
func newByteOrder(at place, head []byte, enc string) *byteOrder {
	m := &byteOrder{strict: at.mail || at.charset != ""}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")):
		m.enc, m.mark, m.width, m.without = encUTF32LE, 4, 4, []byte("\xff\xfe")
	case bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")):
		m.enc, m.mark, m.width, m.without = encUTF32BE, 4, 4, []byte("\xfe\xff")
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		m.enc, m.mark, m.width = encUTF16LE, 2, 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		m.enc, m.mark, m.width = encUTF16BE, 2, 2
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		m.enc, m.mark, m.width = encUTF8, 3, 1
	case enc == encUTF16LE || enc == encUTF16BE:
		m.enc, m.width = enc, 2
	case enc == encUTF32LE || enc == encUTF32BE:
		m.enc, m.width = enc, 4
	case enc == encUTF7 || !digitsAsASCII(enc):
		m.enc, m.width = enc, 1
	default:
		return nil
	}
	switch enc := declaredEncoding(at.charset); {
	case enc == "":
	case enc == m.enc || eitherOrder(at.charset, m.enc):
		m.strict = false
	default:
		m.doubt = !likeASCII(enc) // what it holds does not show in its bytes
	}
	return m
}

// eitherOrder reports a declared charset that leaves the order of bytes to the mark.
func eitherOrder(declared, mark string) bool {
	switch declaredEncoding(declared) {
	case encUTF16LE:
		return mark == encUTF16BE && !namesOrder(declared)
	case encUTF32LE:
		return mark == encUTF32BE && !namesOrder(declared)
	}
	return false
}

func namesOrder(declared string) bool { return strings.Contains(strings.ToLower(declared), "le") }

// likeASCII reports an encoding in which each ASCII byte is what it is in ASCII.
func likeASCII(enc string) bool {
	const probe = "A0+ADU-~{VP~}\x1b$B4A\x1b(B"
	b, _, err := transform.Bytes(decoder(enc), []byte(probe))
	return err == nil && string(b) == probe
}

// digitsAsASCII reports an encoding in which digits, hyphens and tags are what they
// are in ASCII: no EBCDIC.
func digitsAsASCII(enc string) bool {
	const probe = "<?0123456789->"
	b, _, err := transform.Bytes(decoder(enc), []byte(probe))
	return enc == encUTF8 || err == nil && string(b) == probe
}

// Write looks at the next bytes of the text. It returns no error.
func (m *byteOrder) Write(p []byte) (int, error) {
	if m.width == 1 {
		if m.mark == 0 {
			m.bytes(p)
		}
		return len(p), nil
	}
	for _, c := range p {
		if m.doubt {
			break
		}
		if m.seen < m.mark {
			m.seen++
			continue
		}
		m.unit[m.n] = c
		if m.n++; m.n == m.width {
			m.n = 0
			m.look()
		}
	}
	return len(p), nil
}

// bytes looks for digits in ASCII where a charset is declared in which they are
// something else: programs that do not know it show them.
func (m *byteOrder) bytes(p []byte) {
	for _, c := range p {
		switch {
		case c == '+': // of UTF-7: what follows is coded
			m.pairs++
			m.digits = 0
		case isDigit(c) || c == '-':
			m.digits++
			m.inRow = max(m.inRow, m.digits)
		default:
			m.digits = 0
		}
	}
	m.doubt = m.inRow >= pairsOfDigits && (m.enc != encUTF7 || m.pairs > 0)
}

// look takes in a whole unit.
func (m *byteOrder) look() {
	u := m.unit
	switch m.enc { // to the order of UTF-32BE
	case encUTF16LE:
		u = [4]byte{0, 0, u[1], u[0]}
	case encUTF16BE:
		u = [4]byte{0, 0, u[0], u[1]}
	case encUTF32LE:
		u = [4]byte{u[3], u[2], u[1], u[0]}
	}
	r := rune(u[2])<<8 | rune(u[3])
	surrogate := u[1] == 0 && utf16.IsSurrogate(r)
	low := surrogate && r >= 0xdc00
	switch {
	case u[0] != 0 || u[1] > 0x10, m.width == 4 && surrogate, low != m.high:
		m.doubt = true // no text in that encoding
		return
	}
	m.high = surrogate && !low
	if !visible(u[2]) || !visible(u[3]) || !alnum(u[2]) && !alnum(u[3]) {
		m.inRow, m.digits = 0, 0
		return
	}
	m.pairs++
	m.inRow++
	if isDigit(u[2]) || isDigit(u[3]) {
		m.digits++
	} else {
		m.digits = 0
	}
	m.doubt = m.strict && m.pairs >= pairsDeclared || m.inRow >= pairsInRow || m.digits >= pairsOfDigits
}

func visible(c byte) bool { return c > ' ' && c < 0x7f }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func alnum(c byte) bool   { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

// end takes in what is left of a unit: a line end or NUL that a program added is no doubt.
func (m *byteOrder) end() {
	cut := m.n > 0 && (m.n > 1 || m.unit[0] != '\n' && m.unit[0] != 0)
	m.doubt = m.doubt || cut || m.high
}

// follow returns r, and has what is read of it looked at.
func (m *byteOrder) follow(r io.Reader) io.Reader {
	if m == nil {
		return r
	}
	return io.TeeReader(r, m)
}

// asBytes returns the encoding of the text at a place that was found to be in
// enc: another where the place is the reading as bytes.
func asBytes(at place, enc string) string {
	if at.narrow && (enc == encUTF7 || !digitsAsASCII(enc)) {
		return encUTF8
	}
	return enc
}

// otherOrder reads a text at a place without its mark, where that is another
// reading. It returns the place with that reading counted.
func (j *job) otherOrder(at place, m *byteOrder, s *stream) place {
	if m == nil {
		return at
	}
	m.end()
	if !m.doubt {
		return at
	}
	if s.r != nil {
		j.gap(at, dlp.Ambiguous, "byte order mark", 0)
		return at
	}
	rest := s.mem[m.mark:]
	if len(m.without) > 0 {
		rest = append(bytes.Clone(m.without), rest...)
	}
	if len(rest) > len(m.without) {
		q := at.again()
		q.narrow = m.mark == 0
		j.leaf(q, memory(rest))
		at.readings++
	}
	return at
}
