package formats

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"

	"github.com/stanch-dlp/stanch/internal/message"
)

func newBytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// Names of encodings that are found, not declared. All others are names of a
// registry.
const (
	encUTF8    = "utf-8"    // and windows-1252 for each byte that is not
	encUTF16LE = "utf-16le" // with or without mark
	encUTF16BE = "utf-16be"
	encUTF32LE = "utf-32le"
	encUTF32BE = "utf-32be"
	encUTF7    = "utf-7"
)

// textEncoding finds in what encoding head is text; "" when it is none. A mark
// comes before what is declared, and that before a guess.
func textEncoding(head []byte, declared string) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")):
		return encUTF32LE
	case bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")):
		return encUTF32BE
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return encUTF16LE
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return encUTF16BE
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return encUTF8
	}
	if enc := declaredEncoding(declared); enc != "" && enc != encUTF8 {
		return enc
	}
	if enc := guessWide(head); enc != "" {
		return enc
	}
	if plain(head) {
		return encUTF8
	}
	control := 0
	for _, c := range head {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b && c != '\b' && c != '\v' && c != 0x1c && c != 0x1d && c != 0x1e || c == 0x7f {
			control++
		}
	}
	if control > 1 && control*20 > len(head) { // 5 %, and one in a short line is no sign: text with a stray NUL is text
		return unlikeASCII(head)
	}
	if control > 0 || !utf8.Valid(cutRune(head)) {
		high := 0
		for _, c := range head {
			if c >= 0x80 {
				high++
			}
		}
		if !utf8.Valid(cutRune(head)) && control*100 > len(head) && high*4 > len(head) { // compressed bytes are 11 % control, 50 % high
			return unlikeASCII(head)
		}
	}
	return encUTF8
}

// plain reports whether b is printable ASCII, tabs and line ends: what most mail
// is, so it is told eight bytes at a time.
func plain(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		odd := ^(w + (0x80-' ')*ones) | (w + ones) // the top bit of each byte of ASCII that is below the space, or DEL
		if (w|odd)&high == 0 {
			continue
		}
		is := func(c uint64) uint64 { return ^((w ^ c*ones) + 0x7f*ones) }
		if w&high != 0 || odd&^(is('\n')|is('\r')|is('\t'))&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// cutRune drops a rune that the end of b cuts.
func cutRune(b []byte) []byte {
	for i := 1; i <= 3 && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= 0xc0 && !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// guessWide finds UTF-16 and UTF-32 without a mark by where the zero bytes of
// Latin letters and digits stand.
func guessWide(head []byte) string {
	b := head[:min(len(head), 4096)&^3]
	if len(b) < 4 {
		if len(head) >= 2 && head[1] == 0 && head[0] >= ' ' && len(head)%2 == 0 {
			return encUTF16LE
		}
		return ""
	}
	if bytes.IndexByte(b, 0) < 0 {
		return ""
	}
	var zero [4]int
	for i, c := range b {
		if c == 0 {
			zero[i%4]++
		}
	}
	n := len(b) / 4
	even, odd := zero[0]+zero[2], zero[1]+zero[3]
	switch {
	case zero[0] == 0 && zero[2] == n && zero[3] == n:
		return encUTF32LE
	case zero[3] == 0 && zero[0] == n && zero[1] == n:
		return encUTF32BE
	case odd*10 >= 2*n*7 && even*20 <= 2*n && plausible16(b, binary.LittleEndian):
		return encUTF16LE
	case even*10 >= 2*n*7 && odd*20 <= 2*n && plausible16(b, binary.BigEndian):
		return encUTF16BE
	}
	return ""
}

// plausible16 reports whether the code units of b are mostly printable.
func plausible16(b []byte, order binary.ByteOrder) bool {
	bad := 0
	for i := 0; i+1 < len(b); i += 2 {
		u := order.Uint16(b[i:])
		if u < ' ' && u != '\t' && u != '\n' && u != '\r' || u == 0xffff || u == 0xfffe || utf16.IsSurrogate(rune(u)) {
			bad++
		}
	}
	return bad*50 <= len(b)/2
}

// declaredEncoding turns a declared charset into the name of an encoding that
// decoder knows; "" for one that nobody knows.
func declaredEncoding(name string) string {
	name = strings.ToLower(strings.Trim(strings.TrimSpace(name), `"'`))
	switch name {
	case "":
		return ""
	case "utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8", "ansi_x3.4-1968", "iso646-us":
		return encUTF8
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return encUTF7
	case "utf-32", "utf-32le", "ucs-4":
		return encUTF32LE
	case "utf-32be":
		return encUTF32BE
	case "utf-16be", "unicodefffe":
		return encUTF16BE
	case "utf-16", "utf-16le", "ucs-2", "unicode":
		return encUTF16LE
	}
	if lookup(name) != nil {
		return name
	}
	return ""
}

// lookup finds a registered encoding; nil when there is none.
func lookup(name string) encoding.Encoding {
	switch name {
	case "cp037", "ibm037", "ebcdic-cp-us", "ebcdic-cp-ca", "037":
		return charmap.CodePage037
	case "cp1047", "ibm1047":
		return charmap.CodePage1047
	case "cp1140", "ibm01140":
		return charmap.CodePage1140
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	if isEBCDIC(name) {
		return charmap.CodePage037
	}
	if n, ok := strings.CutPrefix(name, "cp"); ok {
		if e, err := htmlindex.Get("windows-" + n); err == nil {
			return e
		}
	}
	return nil
}

// isEBCDIC reports the national code pages of EBCDIC. Letters, digits and the
// hyphen stand at the same places in all of them.
//
// Source: RFC 1345, names of IANA's character sets.
func isEBCDIC(name string) bool {
	if strings.HasPrefix(name, "ebcdic") {
		return true
	}
	for _, p := range []string{"cp", "ibm", "ibm-", "csibm"} {
		n, ok := strings.CutPrefix(name, p)
		if !ok {
			continue
		}
		switch strings.TrimLeft(n, "0") {
		case "273", "277", "278", "280", "284", "285", "290", "297", "420", "423", "424", "500", "870", "871", "875", "880",
			"905", "918", "924", "1026", "1141", "1142", "1143", "1144", "1145", "1146", "1147", "1148", "1149":
			return true
		}
	}
	return false
}

// decoder returns what turns bytes in the encoding named into UTF-8.
func decoder(enc string) transform.Transformer {
	switch enc {
	case encUTF8, "":
		return &utf8Or1252{}
	case encUTF7:
		return &message.UTF7{}
	case encUTF16LE:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()
	case encUTF16BE:
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder()
	case encUTF32LE:
		return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM).NewDecoder()
	case encUTF32BE:
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM).NewDecoder()
	}
	if e := lookup(enc); e != nil {
		return e.NewDecoder()
	}
	return &utf8Or1252{}
}

// sample returns the first part of head as UTF-8, for looking at while head stands:
// it may lie in it.
func sample(head []byte, enc string) string {
	head = head[:min(len(head), 16<<10)]
	if enc == encUTF8 && utf8.Valid(head) {
		return unsafe.String(unsafe.SliceData(head), len(head))
	}
	b, _, _ := transform.Bytes(decoder(enc), head) // what was decoded before an error will do
	return string(b)
}

// decodeText decodes a short text, such as a header's.
func decodeText(b []byte, enc string) string {
	if (enc == "" || enc == encUTF8) && utf8.Valid(b) {
		return string(b)
	}
	out, _, err := transform.Bytes(decoder(enc), b)
	if err != nil {
		out, _, _ = transform.Bytes(&utf8Or1252{}, b) // it has no errors
	}
	return validString(string(out))
}

// lookedAt is decodeText of what is only looked at while b stands: it may lie in it.
func lookedAt(b []byte, enc string) string {
	if (enc == "" || enc == encUTF8) && utf8.Valid(b) {
		return unsafe.String(unsafe.SliceData(b), len(b))
	}
	return decodeText(b, enc)
}

func validString(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// utf8Or1252 passes valid UTF-8 unchanged and reads each other byte as
// windows-1252, which is what most programs do with it.
type utf8Or1252 struct{ transform.NopResetter }

func (*utf8Or1252) Transform(dst, src []byte, atEOF bool) (nd, ns int, err error) {
	if n := min(len(src), len(dst)); n > 0 { // the common case: all of it is fine
		b := src[:n]
		if !atEOF || n < len(src) {
			b = cutRune(b)
		}
		if utf8.Valid(b) {
			nd = copy(dst, b)
			ns = nd
		}
	}
	for ns < len(src) {
		if src[ns] < utf8.RuneSelf {
			if nd == len(dst) {
				return nd, ns, transform.ErrShortDst
			}
			dst[nd] = src[ns]
			nd, ns = nd+1, ns+1
			continue
		}
		if !atEOF && !utf8.FullRune(src[ns:]) {
			return nd, ns, transform.ErrShortSrc
		}
		r, size := utf8.DecodeRune(src[ns:])
		if r == utf8.RuneError && size == 1 {
			r = charmap.Windows1252.DecodeByte(src[ns])
		}
		if nd+utf8.RuneLen(r) > len(dst) {
			return nd, ns, transform.ErrShortDst
		}
		nd += utf8.EncodeRune(dst[nd:], r)
		ns += size
	}
	return nd, ns, nil
}
