package formats

import (
	"bytes"
	"strings"
)

// base64Value is the value of each letter, -1 for what is none, and 64 for
// '='. The URL alphabet counts too.
var base64Value = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = int8(i)
	}
	t['-'], t['_'] = 62, 63
	t['='] = 64
	return t
}()

// decodeBase64 decodes as the most forgiving mail program does: what is not
// of the alphabet is passed over, padding may lack or stand in the middle.
// junk counts letters that are neither of the alphabet nor white space.
//
// Source: RFC 2045 6.8.
func decodeBase64(b []byte) (out []byte, junk int) {
	out = make([]byte, 0, len(b)/4*3+3)
	var acc uint32
	n := 0
	for _, c := range b {
		v := base64Value[c]
		switch {
		case v == 64:
			out = endQuantum(out, acc, n)
			acc, n = 0, 0
		case v < 0:
			if c > ' ' {
				junk++
			}
		default:
			acc = acc<<6 | uint32(v)
			if n++; n == 4 {
				out = append(out, byte(acc>>16), byte(acc>>8), byte(acc))
				acc, n = 0, 0
			}
		}
	}
	return endQuantum(out, acc, n), junk
}

func endQuantum(out []byte, acc uint32, n int) []byte {
	switch n {
	case 2:
		return append(out, byte(acc>>4))
	case 3:
		return append(out, byte(acc>>10), byte(acc>>2))
	}
	return out
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// decodeQP decodes quoted-printable: lower-case digits, blanks after a soft
// break and stray signs are let pass.
//
// Source: RFC 2045 6.7.
func decodeQP(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '=' {
			out = append(out, c)
			continue
		}
		if i+2 < len(b) && hexValue(b[i+1]) >= 0 && hexValue(b[i+2]) >= 0 {
			out = append(out, byte(hexValue(b[i+1])<<4|hexValue(b[i+2])))
			i += 2
			continue
		}
		k := i + 1
		for k < len(b) && (b[k] == ' ' || b[k] == '\t') {
			k++
		}
		switch {
		case k == len(b):
			i = k
		case b[k] == '\r' && k+1 < len(b) && b[k+1] == '\n':
			i = k + 1
		case b[k] == '\r' || b[k] == '\n':
			i = k
		default:
			out = append(out, c)
		}
	}
	return out
}

// maxInline is the most files that are decoded out of one text.
const maxInline = 100

// inlineFiles decodes the files written into a text: uuencode and yEnc.
func inlineFiles(b []byte) (files [][]byte) {
	for len(b) > 0 && len(files) < maxInline {
		line, rest := nextLine(b)
		switch {
		case uuBegin().Match(line) && bytes.HasPrefix(line, []byte("begin ")):
			f, after := decodeUU(rest)
			files, b = append(files, f), after
			continue
		case uuBegin().Match(line):
			end := bytes.Index(rest, []byte("===="))
			if end < 0 {
				end = len(rest)
			}
			f, _ := decodeBase64(rest[:end])
			files, b = append(files, f), rest[end:]
			continue
		case yencLine().Match(line):
			f, after := decodeYEnc(rest)
			files, b = append(files, f), after
			continue
		}
		b = rest
	}
	return files
}

// xxAlphabet is what xxencode writes in place of uuencode's signs.
const xxAlphabet = "+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// fromXX returns a line of xxencode as uuencode writes it; false: it is of
// another length than its first letter says, or may be uuencode as well and is
// the first.
func fromXX(line []byte, first bool) ([]byte, bool) {
	if line = bytes.TrimRight(line, " \t"); len(line) == 0 {
		return nil, false
	}
	n := strings.IndexByte(xxAlphabet, line[0])
	if n < 0 || (n+2)/3*4 != len(line)-1 || first && (int(line[0]-' ')&0x3f+2)/3*4 == len(line)-1 {
		return nil, false
	}
	out := make([]byte, len(line))
	for i, c := range line {
		v := strings.IndexByte(xxAlphabet, c)
		if v < 0 {
			return nil, false
		}
		out[i] = byte(v) + ' '
	}
	return out, true
}

// decodeUU decodes uuencoded or xxencoded lines up to "end". POSIX uuencode.
func decodeUU(b []byte) (out, rest []byte) {
	xx := false
	for len(b) > 0 {
		line, after := nextLine(b)
		if string(bytes.TrimSpace(line)) == "end" {
			return out, after
		}
		b = after
		if len(line) == 0 {
			continue
		}
		if u, ok := fromXX(line, !xx); ok {
			line, xx = u, true
		}
		n := int(line[0]-' ') & 0x3f
		line = line[1:]
		for n > 0 {
			var q [4]byte
			for i := range q {
				if i < len(line) {
					q[i] = (line[i] - ' ') & 0x3f
				}
			}
			group := [3]byte{q[0]<<2 | q[1]>>4, q[1]<<4 | q[2]>>2, q[2]<<6 | q[3]}
			out = append(out, group[:min(n, 3)]...)
			n -= 3
			line = line[min(4, len(line)):]
		}
	}
	return out, nil
}

// decodeYEnc decodes lines up to "=yend". yEnc 1.3.
func decodeYEnc(b []byte) (out, rest []byte) {
	for len(b) > 0 {
		line, after := nextLine(b)
		b = after
		if bytes.HasPrefix(line, []byte("=yend")) {
			return out, b
		}
		if bytes.HasPrefix(line, []byte("=ypart")) {
			continue
		}
		for i := 0; i < len(line); i++ {
			c := line[i]
			if c == '=' && i+1 < len(line) {
				i++
				c = line[i] - 64
			}
			out = append(out, c-42)
		}
	}
	return out, nil
}
