package formats

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// pixels finds pictures that can look like text: their heads are letters or hardly
// anything, and what follows may be white, which is no control character.
//
// Source: netpbm's pbm(5), pgm(5), ppm(5), pam(5); Truevision TGA 2.0, appendix A.
func pixels(head []byte) (kind, bool) {
	switch {
	case isNetpbm(head):
		return binaryKind("image/x-portable-anymap", "netpbm"), true
	case bytes.HasPrefix(head, []byte("/* XPM */")):
		return binaryKind("image/x-xpixmap", "xpm"), true
	case bytes.HasPrefix(head, []byte("#define ")) && bytes.Contains(head, []byte("_width ")) && bytes.Contains(head, []byte("_bits[]")):
		return binaryKind("image/x-xbitmap", "xbm"), true
	case len(head) >= 128 && head[0] == '\n' && head[1] <= 5 && head[2] <= 1 && bytes.IndexByte([]byte{1, 2, 4, 8}, head[3]) >= 0:
		return binaryKind("image/vnd.zbrush.pcx", "pcx"), true // ZSoft's technical reference, header
	case isTarga(head):
		return binaryKind("image/x-tga", "tga"), true
	case len(head) >= 64 && bytes.Count(head, []byte{0xff})*2 > len(head):
		return binaryKind("application/octet-stream", "binary"), true // no text in any charset
	}
	return kind{}, false
}

// isNetpbm reports a head with its sizes; of those whose pixels are written in
// digits, that there is nothing else.
func isNetpbm(head []byte) bool {
	if bytes.HasPrefix(head, []byte("P7\nWIDTH ")) {
		return true
	}
	if len(head) < 8 || head[0] != 'P' || head[1] < '1' || head[1] > '6' {
		return false
	}
	numbers := 3 // width, height, brightest
	if head[1] == '1' || head[1] == '4' {
		numbers = 2
	}
	b := head[2:]
	for range numbers {
		rest := bytes.TrimLeft(b, " \t\r\n")
		for len(rest) > 0 && rest[0] == '#' {
			_, after, _ := bytes.Cut(rest, []byte{'\n'})
			rest = bytes.TrimLeft(after, " \t\r\n")
		}
		b = bytes.TrimLeft(rest, "0123456789")
		if n := len(rest) - len(b); n == 0 || n > 5 || len(b) == 0 || bytes.IndexByte([]byte(" \t\r\n"), b[0]) < 0 {
			return false
		}
	}
	return head[1] >= '4' || len(bytes.Trim(b, " \t\r\n0123456789")) == 0
}

// isTarga reports the head of a picture without a map of colours, or with one of at
// most 256.
func isTarga(head []byte) bool {
	if len(head) < 18 {
		return false
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(head[i:])) }
	if at(12) == 0 || at(14) == 0 || at(12) > 1<<14 || at(14) > 1<<14 || head[17]&0xc0 != 0 {
		return false
	}
	depth := int(head[16])
	switch head[2] {
	case 1, 9:
		return head[1] == 1 && depth == 8 && at(5) > 0 && at(5) <= 256 && slices.Contains([]byte{15, 16, 24, 32}, head[7])
	case 2, 10:
		return head[1] == 0 && at(3) == 0 && at(5) == 0 && head[7] == 0 && slices.Contains([]int{15, 16, 24, 32}, depth)
	case 3, 11:
		return head[1] == 0 && at(3) == 0 && at(5) == 0 && head[7] == 0 && (depth == 8 || depth == 16)
	}
	return false
}
