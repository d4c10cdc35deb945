package formats

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/transform"

	"github.com/stanch-dlp/stanch/internal/message"
)

// Of text in a charset that nothing declares.
const (
	detectSample = 32 << 10 // bytes that are looked at
	detectLeast  = 8        // bytes past ASCII that are enough to tell a charset by
)

// detected returns what text says in a charset that nothing declares; nil where
// it is UTF-8 or ASCII, or no charset fits well. What it returns is a further
// reading, so that a wrong guess costs nothing: the bytes are read as they stand
// as well.
func detected(b []byte) []byte {
	if len(b) > maxEncoded {
		return nil
	}
	if !utf8.Valid(b) {
		if e := detectHigh(b); e != nil {
			return decodedBy(e, b)
		}
		return nil
	}
	if bytes.IndexByte(b, 0x1b) >= 0 {
		return decodeISO2022(b)
	}
	if bytes.IndexByte(b, '+') >= 0 && holdsUTF7(b) {
		out, _, err := transform.Bytes(&message.UTF7{}, b)
		if err != nil {
			return nil
		}
		return out
	}
	return nil
}

func decodedBy(e encoding.Encoding, b []byte) []byte {
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(bytes.ToValidUTF8(out, []byte("\ufffd")), []byte("\u0085"), []byte("\n")) // EBCDIC's line end
}

// detectHigh finds the charset of bytes that are no UTF-8; nil where they may
// as well be Western European.
func detectHigh(b []byte) encoding.Encoding {
	b = b[:min(len(b), detectSample)]
	if isEBCDICText(b) {
		return charmap.CodePage037
	}
	if e := detectPairs(b); e != nil {
		return e
	}
	return detectLetters(b)
}

// unlikeASCII returns the encoding of bytes that have too many controls for text
// like ASCII: "" where they are no text by any other either.
func unlikeASCII(head []byte) string {
	switch {
	case isEBCDICText(head):
		return "cp037"
	case bytes.Contains(head, []byte("\x1b$)")) && bytes.IndexFunc(head, func(r rune) bool { return r == 0 || r >= 0x80 }) < 0:
		return encUTF8 // it shifts between sets, which detected decodes
	}
	return ""
}

// isEBCDICText reports bytes that are nearly all letters, digits, blanks and
// stops of EBCDIC, which stand at the same places in all of its code pages.
//
// Source: IBM, code page 037.
func isEBCDICText(b []byte) bool {
	b = b[:min(len(b), detectSample)]
	common, stops, blanks := 0, 0, 0
	for _, c := range b {
		switch low := c & 0x0f; {
		case c >= 0xf0 && c <= 0xf9, c >= 0x81 && low >= 1 && low <= 9 && (c>>4 == 8 || c>>4 == 9 || c>>4 == 0xc || c>>4 == 0xd), (c>>4 == 0xa || c>>4 == 0xe) && low >= 2 && low <= 9:
			common++
		case c == 0x40:
			common++
			blanks++
		case bytes.IndexByte([]byte("\x15\x25\x0d\x05\x4b\x4d\x5d\x6b\x60\x61\x7a\x7d\x7e\x7f\x50\x5c\x5e\x6d\x6f"), c) >= 0:
			stops++
		}
	}
	return len(b) >= 2*detectLeast && blanks*25 >= len(b) && common*100 >= 75*len(b) && (common+stops)*100 >= 97*len(b)
}

// detectPairs finds the charsets of East Asia, which write a character in two
// bytes: all pairs are valid, and most are of the commonest characters.
//
// Source: JIS X 0208, rows 4 and 5 (kana); KS X 1001, rows 16 to 40 (Hangul);
// GB 2312, rows 16 to 55, and Big5, A4 to C6 (common characters).
func detectPairs(b []byte) encoding.Encoding {
	var euc, sjis, big5 pairs
	for _, p := range []struct {
		count *pairs
		trail func(lead, c byte) bool
	}{
		{&euc, func(_, c byte) bool { return c >= 0xa1 && c != 0xff }},
		{&sjis, func(_, c byte) bool { return c >= 0x40 && c != 0x7f && c <= 0xfc }},
		{&big5, func(_, c byte) bool { return c >= 0x40 && c < 0x7f || c >= 0xa1 && c != 0xff }},
	} {
		p.count.valid = true
		for i := 0; i < len(b); i++ {
			lead := b[i]
			if lead < 0x80 || p.count == &sjis && lead >= 0xa1 && lead <= 0xdf { // a half-width kana is one byte
				continue
			}
			if i+1 == len(b) {
				break // the end of the sample may cut a pair
			}
			if lead == 0x80 || lead == 0xff || !p.trail(lead, b[i+1]) {
				p.count.valid = false
				break
			}
			i++
			p.count.add(lead, b[i])
		}
	}
	switch {
	case euc.fits(euc.kana, 20):
		return japanese.EUCJP
	case sjis.fits(sjis.sjisKana, 20):
		return japanese.ShiftJIS
	case euc.fits(euc.hangul, 95):
		return korean.EUCKR
	case big5.fits(big5.big5, 80) && big5.lowTrail*100 >= 15*big5.all:
		return traditionalchinese.Big5
	case euc.fits(euc.hanzi, 75):
		return simplifiedchinese.GB18030
	}
	return nil
}

// pairs counts characters of two bytes.
type pairs struct {
	valid                                              bool
	all, kana, sjisKana, hangul, hanzi, big5, lowTrail int
}

func (p *pairs) add(lead, trail byte) {
	p.all++
	switch {
	case lead == 0xa4 || lead == 0xa5:
		p.kana++
	case lead == 0x82 && trail >= 0x9f && trail <= 0xf1 || lead == 0x83 && trail <= 0x96:
		p.sjisKana++
	}
	switch {
	case lead < 0xb0 && lead >= 0xa1 && lead <= 0xa3: // stops, and letters of full width: of all
		p.hangul++
		p.hanzi++
	case lead >= 0xb0 && lead <= 0xc8:
		p.hangul++
		p.hanzi++
	case lead >= 0xb0 && lead <= 0xd7:
		p.hanzi++
	}
	if lead >= 0xa1 && lead <= 0xc6 {
		p.big5++
	}
	if trail < 0x80 {
		p.lowTrail++
	}
}

// fits reports pairs that are valid and of which a share (in percent) is common.
func (p *pairs) fits(common, percent int) bool {
	return p.valid && p.all*2 >= detectLeast && common*100 >= percent*p.all
}

// scripts are the charsets of one byte, each with the commonest letters of what is
// written in it.
var scripts = []struct {
	page    *charmap.Charmap
	letters string
}{
	{charmap.Windows1251, "оеаинтсрвлкмдпу"},
	{charmap.KOI8R, "оеаинтсрвлкмдпу"},
	{charmap.Windows1253, "αοιετσνηυρπκςμλόίά"},
	{charmap.Windows1255, "יוהלאתרשבמנעםדקח"},
	{charmap.Windows1256, "اليمونترهبةدعسكأف"},
}

// detectLetters finds the charsets of scripts whose letters all stand past ASCII,
// so that words are made of them, where an accent of the West stands alone.
func detectLetters(b []byte) encoding.Encoding {
	high, joined := 0, 0
	for i, c := range b {
		if c >= 0x80 {
			high++
			if i > 0 && b[i-1] >= 0x80 || i+1 < len(b) && b[i+1] >= 0x80 {
				joined++
			}
		}
	}
	if high < detectLeast || joined*100 < 75*high {
		return nil
	}
	var best encoding.Encoding
	most := 60 * high // hundredths: of a text's letters, about 80 are of the list
	for _, s := range scripts {
		score := 0
		for _, c := range b {
			if c < 0x80 {
				continue
			}
			switch r := s.page.DecodeByte(c); {
			case strings.ContainsRune(s.letters, r):
				score += 100
			case strings.ContainsRune(s.letters, unicode.ToLower(r)):
				score += 80
			case r == utf8.RuneError:
				score -= 100
			}
		}
		if score > most {
			best, most = s.page, score
		}
	}
	return best
}

// decodeISO2022 decodes text that shifts between sets by escapes; nil where it
// holds none that are known.
//
// Source: RFC 1468 (Japanese), RFC 1557 (Korean), RFC 1922 (Chinese, of which
// GB 2312 alone is read).
func decodeISO2022(b []byte) []byte {
	has := func(escape string) bool { return bytes.Contains(b, []byte(escape)) }
	switch {
	case has("\x1b$B"), has("\x1b$@"), has("\x1b(J"), has("\x1b(I"):
		return decodedBy(japanese.ISO2022JP, b)
	case has("\x1b$)C"):
		return decodedBy(korean.EUCKR, shifted(b, "\x1b$)C"))
	case has("\x1b$)A"):
		return decodedBy(simplifiedchinese.GBK, shifted(b, "\x1b$)A"))
	}
	return nil
}

// shifted returns text with the eighth bit set between SO and SI, and without
// those and the escape.
func shifted(b []byte, escape string) []byte {
	b = bytes.ReplaceAll(b, []byte(escape), nil)
	out := make([]byte, 0, len(b))
	set := byte(0)
	for _, c := range b {
		switch {
		case c == 0x0e:
			set = 0x80
		case c == 0x0f, c == '\n': // a line begins in ASCII
			set = 0
			if c == '\n' {
				out = append(out, c)
			}
		case c > ' ' && c < 0x7f:
			out = append(out, c|set)
		default:
			out = append(out, c)
		}
	}
	return out
}

// holdsUTF7 reports text with a run of UTF-7 that cannot well be anything else:
// whole characters, no bits left, and letters or signs that are printed.
//
// Source: RFC 2152.
func holdsUTF7(b []byte) bool {
	for tries := 0; tries < 1000; tries++ {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			return false
		}
		b = b[i+1:]
		n, letter := 0, false
		for n < len(b) && n < 4096 && (alnum(b[n]) || b[n] == '+' || b[n] == '/') {
			letter = letter || !isDigit(b[n])
			n++
		}
		ended := n < len(b) && b[n] == '-'
		if n >= 3 && letter && utf7Run(b[:n], ended) { // digits alone are a telephone number
			return true
		}
		b = b[n:]
	}
	return false
}

// utf7Run reports base64 that is UTF-16 of printed characters: of Europe's scripts,
// or of any where its end is marked.
func utf7Run(b []byte, ended bool) bool {
	bits, n := uint32(0), 0
	for _, c := range b {
		bits, n = bits<<6|uint32(base64Value[c]), n+6
		if n < 16 {
			continue
		}
		n -= 16
		r := rune(binary.BigEndian.Uint16([]byte{byte(bits >> n >> 8), byte(bits >> n)}))
		bits &= 1<<n - 1
		if r >= 0x600 && !ended || !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
	}
	return n < 6 && bits == 0
}
