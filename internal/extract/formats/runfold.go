package formats

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// escapes are how texts write a line end, or a sign of base64 that means
// something to them. c is 0 for a line end.
var escapes = []struct {
	text string // lower case
	c    byte
}{
	{`\/`, '/'}, {`\u002b`, '+'}, {`\u002f`, '/'}, {`\u003d`, '='}, {`\n`, 0}, {`\r`, 0}, {`\u000a`, 0}, {`\u000d`, 0}, // JSON, RFC 8259 7
	{`\.br\`, 0}, {`\x0a\`, 0}, {`\x0d\`, 0}, {`\x0d0a\`, 0}, // HL7 v2.5.1 2.7
	{"&#10;", 0}, {"&#13;", 0}, {"&#xa;", 0}, {"&#xd;", 0}, {"&#x0a;", 0}, {"&#x0d;", 0}, // XML 1.0 4.1
	{"&#43;", '+'}, {"&#47;", '/'}, {"&#61;", '='}, {"&#x2b;", '+'}, {"&#x2f;", '/'}, {"&#x3d;", '='},
	{"%2b", '+'}, {"%2f", '/'}, {"%3d", '='}, {"%0a", 0}, {"%0d", 0}, // RFC 3986 2.1
}

const longestEscape = 7

// escape returns the length of the escape that b begins with and what it
// stands for; more: it may go on behind b.
func escape(b []byte, last bool) (n int, c byte, more bool) {
	if len(b) < longestEscape && !last {
		return 0, 0, true
	}
	for _, e := range escapes {
		if len(b) >= len(e.text) && b[0] == e.text[0] && string(bytes.ToLower(b[:len(e.text)])) == e.text {
			return len(e.text), e.c, false
		}
	}
	return 0, 0, false
}

// fold returns the length of what stands at b between two letters of the run
// at hand, 0 where nothing does, and the letter that it stands for, 0 for none.
// more: it may go on behind b.
func (f *runs) fold(b []byte, last bool) (n int, c byte, more bool) {
	if len(b) == 0 {
		return 0, 0, !last
	}
	if f.mode == runDropped {
		return 0, 0, false
	}
	ends := false // a line
	switch b[0] {
	case '=':
		return f.equals(b, 1, last)
	case '\\', '&', '%':
		for n < len(b) {
			k, c, more := 0, byte(0), false
			if b[n] == '\\' || b[n] == '&' || b[n] == '%' {
				k, c, more = escape(b[n:], last)
			}
			switch {
			case more:
				return 0, 0, true
			case k > 0 && c == '=' && n == 0:
				return f.equals(b, k, last)
			case k > 0 && c != 0 && n == 0:
				return k, c, false
			case k == 0 || c != 0 || n > 4*longestEscape:
				return f.newLine(b, n, last)
			}
			n += k
		}
		if !last {
			return 0, 0, true
		}
		return f.newLine(b, n, last)
	case '\r', '\n':
		ends = true
	case ' ':
	default:
		return 0, 0, false
	}
	const most = 80
	lfs := 0
	for n < len(b) && n < most && bytes.IndexByte([]byte("\r\n\t >"), b[n]) >= 0 {
		if b[n] == '\n' {
			lfs++
		}
		n++
	}
	if n == len(b) && n < most && !last {
		return 0, 0, true
	}
	if lfs > 1 || !ends && lfs == 0 && n > 1 {
		return 0, 0, false
	}
	return f.newLine(b, n, last)
}

// newLine ends a line of the run behind n bytes of b, where it may go on.
func (f *runs) newLine(b []byte, n int, last bool) (int, byte, bool) {
	if n == 0 || n == len(b) && last {
		return 0, 0, false
	}
	if n == len(b) {
		return 0, 0, true
	}
	if runClass[b[n]] == 0 || f.line < minFold || f.line > maxFold || f.line%4 != 0 || f.width != 0 && f.line != f.width {
		return 0, 0, false
	}
	if f.width == 0 {
		f.width = f.line
		f.lines = append(f.lines, 0)
	}
	if f.mode == runUndecided {
		f.lines = append(f.lines, len(f.raw))
	}
	f.line = 0
	return n, 0, false
}

// equals takes padding of which each sign is k bytes long: it ends a run,
// unless a file goes on behind it.
func (f *runs) equals(b []byte, k int, last bool) (int, byte, bool) {
	if f.mode != runBase64 || f.over {
		return 0, 0, false
	}
	if len(b) < 2*k+2 && !last {
		return 0, 0, true
	}
	f.pad()
	n := k
	if len(b) >= 2*k && bytes.EqualFold(b[k:2*k], b[:k]) {
		n = 2 * k
	}
	return n, 0, false
}

// knownStart holds the first two bytes of what is worth a look.
var knownStart = func() *startSet {
	t := &startSet{}
	for i := range signatures {
		if s := &signatures[i]; s.off == 0 {
			t.add(s.magic)
		}
	}
	for _, b := range []string{"%P", "RI", "\x00\x00", "\x01\x00", "\x08\x00", "0\x80", "0\x82", "0\x83", "0\x84", "\xff\xfe", "\xfe\xff", "\xef\xbb",
		"x\x01", "x\x5e", "x\x9c", "x\xda"} {
		t.add(b) // PDF, pictures, DICOM, CMS, marks, zlib
	}
	return t
}()

// startSet is a set of two bytes each, and of the first of them.
type startSet struct {
	two [1 << 16 / 64]uint64
	one [256]bool
}

func (t *startSet) add(magic string) {
	i := uint16(magic[0])<<8 | uint16(magic[1])
	t.two[i/64] |= 1 << (i % 64)
	t.one[magic[0]] = true
}

func (t *startSet) has(i uint16) bool { return t.two[i/64]>>(i%64)&1 != 0 }

// Kinds whose first bytes noise has as well: they are believed where more fits.
var weakMagic = map[string]bool{"MZ": true, "\x1f\x9d": true, "\x5d\x00\x00": true, "ID3": true, "BZh": false}

// strongKind reports bytes of a kind that is known by more than chance: noise
// is looked at a million times a day.
func strongKind(d []byte) bool {
	const least = 64 // bytes that a file of any of them has
	if bytes.HasPrefix(d, []byte("%PDF-")) || isCMS(d) || len(d) >= 20 && isGzip(d) || len(d) >= 16 && d[0] == 'x' && isZlib(d, true) {
		return true
	}
	if len(d) < least {
		return false
	}
	if looksDICOM(d[:min(len(d), headSize)]) || isTar(d) {
		return true
	}
	for _, s := range signatures {
		if len(d) < s.off+len(s.magic) || string(d[s.off:s.off+len(s.magic)]) != s.magic || weakMagic[s.magic] {
			continue
		}
		switch {
		case s.magic == "\xff\xd8\xff":
			return d[3] >= 0xc0
		case s.magic == "\x1f\x8b\x08":
			return isGzip(d)
		case s.magic == "\x00\x00\x01\x00":
			return d[4] > 0 && d[4] < 32 && d[5] == 0 && d[9] == 0 && len(d) > 22 && d[10] <= 1 && d[11] == 0
		case s.off == 40:
			return d[0] == 1 && d[1]|d[2]|d[3] == 0
		case s.off == 4 && s.magic == "ftyp":
			return d[0]|d[1]|d[2] == 0
		case len(s.magic) >= 4 || s.magic == "BZh":
			k, ok := signature(d)
			return ok && k.media == s.kind.media
		}
	}
	return len(d) >= 64 && d[0] == 'M' && d[1] == 'Z' && peHeader(d) || d[0] == 'B' && d[1] == 'M' && isBitmap(d)
}

// isGzip reports a gzip member: the bits that must be 0 are. RFC 1952 2.3.
func isGzip(d []byte) bool {
	return len(d) >= 10 && d[0] == 0x1f && d[1] == 0x8b && d[2] == 8 && d[3]&0xe0 == 0 && (d[8] == 0 || d[8] == 2 || d[8] == 4) && (d[9] <= 13 || d[9] == 255)
}

// peHeader reports a program of Windows by where its new header stands.
func peHeader(d []byte) bool {
	at := int64(binary.LittleEndian.Uint32(d[60:]))
	return at+4 > int64(len(d)) && at < 4096 || at+4 <= int64(len(d)) && string(d[at:at+4]) == "PE\x00\x00"
}

// isBitmap reports a bitmap whose header has one of the sizes that exist.
func isBitmap(d []byte) bool {
	n := binary.LittleEndian.Uint32(d[14:])
	return binary.LittleEndian.Uint32(d[6:]) == 0 && (n == 12 || n == 40 || n == 52 || n == 56 || n == 108 || n == 124)
}

// worthTelling returns how many of the bytes that a run decodes to are worth
// reading: all of a known kind, the text that they begin with, or none. hex are
// the letters where the run is hexadecimal: a number with many digits is none.
func worthTelling(d, hex []byte) int {
	if strongKind(d) || len(d) >= 16 && guessWide(d) != "" {
		return len(d)
	}
	n := textual(d)
	if n == 0 {
		return 0
	}
	digits, words := 0, 0
	for _, c := range d[:n] {
		switch {
		case isDigit(c):
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == ' ', c == '-', c == ',', c == '.', c == '\'', c == '/', c == ':':
			words++
		}
	}
	switch {
	case hex != nil && !bytes.ContainsAny(hex, "abcdefABCDEF"): // also a decimal number
		if digits == n && n >= 9 {
			return n
		}
		return 0
	case n >= 16, n >= 12 && digits+words == n, n >= 9 && digits >= 4 && digits+words == n:
		return n
	}
	return 0
}

// textual returns how many of the first bytes of d are text: printable ASCII
// and UTF-8, or, where there is enough to tell, another encoding like ASCII.
func textual(d []byte) int {
	if i := len(d); i > 0 && textBytes(d) == i {
		if whole := cutRune(d); utf8.Valid(whole) {
			return i
		}
		high, spaces := 0, 0
		for _, c := range d {
			switch {
			case c >= 0x80:
				high++
			case c == ' ' || c == '\n':
				spaces++
			}
		}
		if len(d) >= 48 && high*4 < len(d) && spaces*25 > len(d) { // words; a picture's bytes may be letters
			return i
		}
	}
	n := 0
	for n < len(d) {
		r, size := utf8.DecodeRune(d[n:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' || r == 0x7f {
			break
		}
		n += size
	}
	return n
}

// textBytes returns how many of the first bytes of d are no control characters.
func textBytes(d []byte) int {
	for i, c := range d {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' || c == 0x7f {
			return i
		}
	}
	return len(d)
}

// plainShort reports a text that loses nothing where it is told together with
// others: no page, message or file that is read in a way of its own.
func plainShort(d []byte) bool {
	if strongKind(d) || !utf8.Valid(d) || bytes.IndexByte(d, 0) >= 0 { // UTF-16 has zeros
		return false
	}
	switch k := sniff(d, place{}); {
	case k.media == "text/plain", k.media == mediaJSON, k.format == fCSV, k.media == "application/xml":
		return true
	}
	return false
}
