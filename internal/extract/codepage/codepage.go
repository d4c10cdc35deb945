// Package codepage decodes text in the code pages that Microsoft's programs
// number.
package codepage

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// Code pages that have a meaning of their own.
const (
	Latin1 = 1252
	UTF16  = 1200
	UTF8   = 65001
)

// encodingOf returns a code page's encoding; nil for UTF-8, UTF-16 and what is
// not known. A page of the Macintosh that x/text lacks is read as its nearest
// of Windows: digits and Latin letters are the same.
//
// Source: Microsoft, Code Page Identifiers.
func encodingOf(page int) encoding.Encoding {
	switch page {
	case 37:
		return charmap.CodePage037
	case 437:
		return charmap.CodePage437
	case 850:
		return charmap.CodePage850
	case 852:
		return charmap.CodePage852
	case 855:
		return charmap.CodePage855
	case 858:
		return charmap.CodePage858
	case 860:
		return charmap.CodePage860
	case 862:
		return charmap.CodePage862
	case 863:
		return charmap.CodePage863
	case 865:
		return charmap.CodePage865
	case 866:
		return charmap.CodePage866
	case 874, 10021:
		return charmap.Windows874
	case 932, 10001:
		return japanese.ShiftJIS
	case 936, 10008, 20936:
		return simplifiedchinese.GBK
	case 949, 10003, 51949:
		return korean.EUCKR
	case 950, 10002:
		return traditionalchinese.Big5
	case 1047:
		return charmap.CodePage1047
	case 1140:
		return charmap.CodePage1140
	case 1250, 10029, 10010, 10082:
		return charmap.Windows1250
	case 1251:
		return charmap.Windows1251
	case 1253, 10006:
		return charmap.Windows1253
	case 1254, 10081:
		return charmap.Windows1254
	case 1255, 10005:
		return charmap.Windows1255
	case 1256, 10004:
		return charmap.Windows1256
	case 1257:
		return charmap.Windows1257
	case 1258:
		return charmap.Windows1258
	case 10000, 32768: // [MS-XLS] 2.4.52
		return charmap.Macintosh
	case 10007, 10017:
		return charmap.MacintoshCyrillic
	case 20866:
		return charmap.KOI8R
	case 21866:
		return charmap.KOI8U
	case 20932, 51932:
		return japanese.EUCJP
	case 50220, 50221, 50222:
		return japanese.ISO2022JP
	case 52936:
		return simplifiedchinese.HZGB2312
	case 54936:
		return simplifiedchinese.GB18030
	}
	if page >= 28591 && page <= 28606 {
		return latin[page-28591]
	}
	return nil
}

// latin holds the parts of ISO 8859 in order; nil for what there is none of.
var latin = [16]encoding.Encoding{charmap.ISO8859_1, charmap.ISO8859_2, charmap.ISO8859_3, charmap.ISO8859_4, charmap.ISO8859_5,
	charmap.ISO8859_6, charmap.ISO8859_7, charmap.ISO8859_8, charmap.ISO8859_9, charmap.ISO8859_10, nil, nil, charmap.ISO8859_13,
	charmap.ISO8859_14, charmap.ISO8859_15, charmap.ISO8859_16}

// Known reports a code page that Decode has an encoding for.
func Known(page int) bool { return page == UTF16 || page == UTF8 || encodingOf(page) != nil }

// Wide reports a code page in which a character may take two bytes, the second
// of which may look like ASCII.
func Wide(page int) bool {
	switch page {
	case 932, 10001, 936, 10008, 949, 10003, 950, 10002, 54936:
		return true
	}
	return false
}

// Decode returns text in the code page as valid UTF-8. A page that is not known
// is read as UTF-8 where it is that, else as windows-1252.
func Decode(page int, b []byte) string {
	if page == UTF16 {
		return Decode16(b)
	}
	if e := encodingOf(page); e != nil {
		if s, err := e.NewDecoder().Bytes(b); err == nil {
			return strings.ToValidUTF8(string(s), "\ufffd")
		}
	}
	if utf8.Valid(b) {
		return string(b)
	}
	s, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return string(s)
}

// Decode16 returns text in UTF-16, little endian and without a mark, as UTF-8;
// an odd byte at the end is dropped.
func Decode16(b []byte) string {
	var out []byte
	for ; len(b) >= 2; b = b[2:] {
		r := rune(b[0]) | rune(b[1])<<8
		if utf16.IsSurrogate(r) && len(b) >= 4 {
			if both := utf16.DecodeRune(r, rune(b[2])|rune(b[3])<<8); both != utf8.RuneError {
				r, b = both, b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

// OfLanguage returns the code page in which Windows writes a language.
//
// Source: [MS-LCID] 2.2.
func OfLanguage(lang uint16) int {
	switch lang & 0x3ff {
	case 0x01, 0x20, 0x29: // Arabic, Urdu, Persian
		return 1256
	case 0x02, 0x19, 0x22, 0x23, 0x2f: // Bulgarian, Russian, Ukrainian, Belarusian, Macedonian
		return 1251
	case 0x1a: // Serbian is written in both scripts
		if lang == 0x0c1a {
			return 1251
		}
		return 1250
	case 0x05, 0x0e, 0x15, 0x18, 0x1b, 0x1c, 0x24: // Czech, Hungarian, Polish, Romanian, Slovak, Albanian, Slovene
		return 1250
	case 0x08:
		return 1253
	case 0x0d:
		return 1255
	case 0x1f:
		return 1254
	case 0x25, 0x26, 0x27:
		return 1257
	case 0x1e:
		return 874
	case 0x2a:
		return 1258
	case 0x11:
		return 932
	case 0x12:
		return 949
	case 0x04: // Chinese
		if lang == 0x0804 || lang == 0x1004 {
			return 936
		}
		return 950
	}
	return 1252
}

// OfCharset returns the code page of a font's character set; 0 where the set is
// the system's own, or not known.
//
// Source: RTF 1.9.1, Font Table, \fcharset; [MS-WMF] 2.1.1.5.
func OfCharset(set int) int {
	switch set {
	case 0, 2:
		return Latin1
	case 77:
		return 10000
	case 78:
		return 10001
	case 79:
		return 10003
	case 80:
		return 10008
	case 81:
		return 10002
	case 83:
		return 10005
	case 84:
		return 10004
	case 85:
		return 10006
	case 86:
		return 10081
	case 87:
		return 10021
	case 88:
		return 10029
	case 89:
		return 10007
	case 128:
		return 932
	case 129, 130:
		return 949
	case 134:
		return 936
	case 136:
		return 950
	case 161:
		return 1253
	case 162:
		return 1254
	case 163:
		return 1258
	case 177, 181:
		return 1255
	case 178, 179, 180:
		return 1256
	case 186:
		return 1257
	case 204:
		return 1251
	case 222:
		return 874
	case 238:
		return 1250
	case 254:
		return 437
	case 255:
		return 850
	}
	return 0
}
