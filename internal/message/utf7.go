package message

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// base64Digits are the digits of base64 in their order. RFC 4648 4.
const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// UTF7 decodes UTF-7. Bytes that cannot be are passed as windows-1252.
//
// Source: RFC 2152.
type UTF7 struct {
	inside bool
	first  bool // just after '+'
	bits   uint32
	n      int
	high   rune // a high surrogate waiting for its low one
}

// Reset forgets the state.
func (u *UTF7) Reset() { *u = UTF7{} }

// Transform implements transform.Transformer.
func (u *UTF7) Transform(dst, src []byte, _ bool) (nd, ns int, err error) {
	for ; ns < len(src); ns++ {
		if nd+2*utf8.UTFMax > len(dst) {
			return nd, ns, transform.ErrShortDst
		}
		c := src[ns]
		if !u.inside {
			if c == '+' {
				u.inside, u.first = true, true
				continue
			}
			nd += utf8.EncodeRune(dst[nd:], charmap.Windows1252.DecodeByte(c))
			continue
		}
		v := strings.IndexByte(base64Digits, c)
		if v < 0 {
			if u.first && c == '-' { // "+-" is a plus sign
				dst[nd] = '+'
				nd++
			} else if c != '-' {
				nd += utf8.EncodeRune(dst[nd:], charmap.Windows1252.DecodeByte(c))
			}
			*u = UTF7{}
			continue
		}
		u.first = false
		u.bits, u.n = u.bits<<6|uint32(v), u.n+6
		if u.n < 16 {
			continue
		}
		u.n -= 16
		r := rune(u.bits >> u.n & 0xffff)
		u.bits &= 1<<u.n - 1
		switch {
		case utf16.IsSurrogate(r) && u.high == 0 && r < 0xdc00:
			u.high = r
			continue
		case u.high != 0:
			r = utf16.DecodeRune(u.high, r)
			u.high = 0
		}
		nd += utf8.EncodeRune(dst[nd:], r)
	}
	return nd, ns, nil
}
