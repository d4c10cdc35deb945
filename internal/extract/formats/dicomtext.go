package formats

import (
	"bytes"
	"strings"
)

// dicomCharsets are the encodings behind the defined terms of (0008,0005).
//
// Source: DICOM PS3.3 C.12.1.1.2, tables C.12-2 to C.12-5.
var dicomCharsets = map[string]string{
	"6": encUTF8, "100": "iso-8859-1", "101": "iso-8859-2", "109": "iso-8859-3", "110": "iso-8859-4", "144": "iso-8859-5", "127": "iso-8859-6",
	"126": "iso-8859-7", "138": "iso-8859-8", "148": "windows-1254", "203": "iso-8859-15", "13": "shift_jis", "166": "windows-874",
	"192": encUTF8, "GB18030": "gb18030", "GBK": "gbk",
}

// dicomCharset names the encoding of text before the first escape sequence.
// Undeclared bytes above ASCII are read as UTF-8, else windows-1252.
func dicomCharset(value string) string {
	first, _, _ := strings.Cut(value, `\`)
	first = strings.TrimSpace(first)
	for _, prefix := range []string{"ISO_IR ", "ISO-IR ", "ISO IR ", "ISO 2022 IR "} {
		first = strings.TrimPrefix(first, prefix)
	}
	return dicomCharsets[first]
}

// dicomShifts are the escape sequences. multi says that what follows is double
// bytes in the left half.
//
// Source: DICOM PS3.3, tables C.12-3 and C.12-4; ISO/IEC 2022.
var dicomShifts = []struct {
	sequence, enc string
	multi         bool
}{
	{"(B", "", false}, {"(J", "", false}, {")I", "shift_jis", false}, {"$B", "euc-jp", true}, {"$@", "euc-jp", true}, {"$(D", "jis0212", true},
	{"$)C", "euc-kr", false}, {"$)A", "gbk", false}, {"-A", "iso-8859-1", false}, {"-B", "iso-8859-2", false}, {"-C", "iso-8859-3", false},
	{"-D", "iso-8859-4", false}, {"-L", "iso-8859-5", false}, {"-G", "iso-8859-6", false}, {"-F", "iso-8859-7", false}, {"-H", "iso-8859-8", false},
	{"-M", "windows-1254", false}, {"-b", "iso-8859-15", false}, {"-T", "windows-874", false},
}

// dicomText decodes a value whose text before the first escape sequence is in
// enc. What is switched to lasts to the next delimiter.
//
// Source: DICOM PS3.5 6.1.2.5.3.
func dicomText(b []byte, enc string) string {
	var out strings.Builder
	right, multi := enc, ""
	for len(b) > 0 {
		if b[0] == 0x1b {
			if n, to, left := dicomShift(b[1:]); n > 0 {
				switch {
				case left:
					multi = to
				case to == "":
					multi = ""
				default:
					right = to
				}
				b = b[1+n:]
				continue
			}
		}
		n := 1 + bytes.IndexByte(b[1:], 0x1b)
		if n == 0 {
			n = len(b)
		}
		if multi != "" {
			out.WriteString(leftHalf(b[:n], multi))
			b = b[n:]
			continue
		}
		if right != enc {
			if k := bytes.IndexAny(b[:n], "\\^=\r\n\t\f"); k >= 0 {
				out.WriteString(decodeText(b[:k+1], right))
				right, b = enc, b[k+1:]
				continue
			}
		}
		out.WriteString(decodeText(b[:n], right))
		b = b[n:]
	}
	return out.String()
}

// dicomShift finds the escape sequence that b goes on with: its length, what it
// switches to, and whether in the left half. The length is 0 for none.
func dicomShift(b []byte) (n int, enc string, left bool) {
	for _, s := range dicomShifts {
		if bytes.HasPrefix(b, []byte(s.sequence)) {
			return len(s.sequence), s.enc, s.multi
		}
	}
	return 0, "", false
}

// leftHalf decodes double bytes of JIS X 0208 or 0212 as EUC-JP has them.
func leftHalf(b []byte, set string) string {
	euc := make([]byte, 0, len(b)*3/2)
	for len(b) > 0 {
		if b[0] <= ' ' || b[0] >= 0x7f || len(b) < 2 {
			euc, b = append(euc, b[0]), b[1:]
			continue
		}
		if set == "jis0212" {
			euc = append(euc, 0x8f)
		}
		euc, b = append(euc, b[0]|0x80, b[1]|0x80), b[2:]
	}
	return decodeText(euc, "euc-jp")
}

// printable returns the words of ASCII in data that is mostly that and zeros,
// "" for other data.
func printable(b []byte) string {
	const least = 4 // characters of a word
	words, from, plain := []byte{}, 0, 0
	for i := 0; i <= len(b); i++ {
		if i < len(b) && b[i] >= ' ' && b[i] < 0x7f {
			plain++
			continue
		}
		if i < len(b) && (b[i] == 0 || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
			plain++
		}
		if i-from >= least {
			words = append(append(words, b[from:i]...), ' ')
		}
		from = i + 1
	}
	if plain*4 < len(b)*3 {
		return ""
	}
	return string(words)
}
