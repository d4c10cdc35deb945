package scanner

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"
)

// text is a sliding stretch of a part's normalised text with the way back to
// the offsets of the text as it came. Offsets into normalised text are counted
// from the part's start.
type text struct {
	norm []byte
	base int64  // offset of norm[0]
	segs []seg  // by n; the first begins at or before base
	raw  int64  // offset, before normalisation, of the next byte to come
	held []byte // what came behind raw and waits for what comes next

	even  bool  // each byte stands for one as it came, shift bytes further on
	shift int64 // with even

	framed int64 // offset just after the last digit in a frame that was read as one
}

// seg is a run of normalised text: width 0, bytes that came as they are; else
// one byte that stands for width bytes.
type seg struct {
	n, raw int64
	width  int32
}

func (t *text) reset() {
	*t = text{norm: t.norm[:0], segs: t.segs[:0], held: t.held[:0]}
}

// end is the offset just after what is there.
func (t *text) end() int64 { return t.base + int64(len(t.norm)) }

// slide forgets what lies before offset from.
func (t *text) slide(from int64) {
	k := min(int(from-t.base), len(t.norm))
	if k <= 0 {
		return
	}
	t.norm = t.norm[:copy(t.norm, t.norm[k:])]
	t.base += int64(k)
	i := t.segAt(t.base)
	if i > 0 {
		t.segs = t.segs[:copy(t.segs, t.segs[i:])]
		t.level()
	}
}

// level notes whether all that is there came as it is.
func (t *text) level() {
	if t.even = len(t.segs) == 1 && t.segs[0].width == 0; t.even {
		t.shift = t.segs[0].raw - t.segs[0].n
	}
}

// segAt returns the index of the seg that holds offset n.
func (t *text) segAt(n int64) int {
	if len(t.segs) <= 1 {
		return 0
	}
	i, found := slices.BinarySearchFunc(t.segs, n, func(s seg, n int64) int { return int(s.n - n) })
	if !found {
		i--
	}
	return max(i, 0)
}

// rawStart returns the offset before normalisation of the byte at n.
func (t *text) rawStart(n int64) int64 {
	if t.even {
		return n + t.shift
	}
	return t.segStart(n)
}

func (t *text) segStart(n int64) int64 {
	if len(t.segs) == 0 {
		return n
	}
	s := t.segs[t.segAt(n)]
	if s.width > 0 {
		return s.raw
	}
	return s.raw + n - s.n
}

// rawEnd returns the offset before normalisation just after the byte that
// ends at n, so that what normalisation dropped behind it stays outside.
func (t *text) rawEnd(n int64) int64 {
	if t.even && n > 0 {
		return n + t.shift
	}
	return t.segEnd(n)
}

func (t *text) segEnd(n int64) int64 {
	if len(t.segs) == 0 || n == 0 {
		return n
	}
	s := t.segs[t.segAt(n-1)]
	if s.width > 0 {
		return s.raw + int64(s.width)
	}
	return s.raw + n - s.n
}

// add normalises b, the next bytes of the part, to the end. Its last bytes may
// have to wait for what comes behind them.
func (t *text) add(b []byte) { t.normalise(b, false) }

// flush normalises what waits: nothing comes behind it.
func (t *text) flush() {
	if len(t.held) > 0 {
		t.normalise(nil, true)
	}
}

// asMatched is s as it is matched.
func asMatched(s string) []byte {
	var t text
	t.add([]byte(s))
	t.flush()
	return t.norm
}

// came is the offset, before normalisation, just after what add was given.
func (t *text) came() int64 { return t.raw + int64(len(t.held)) }

func (t *text) normalise(b []byte, last bool) {
	if len(t.held) > 0 {
		b = slices.Concat(t.held, b)
		t.held = t.held[:0]
	}
	if allPlain(b) {
		t.addPlain(b)
		t.level()
		return
	}
	split := mayBeSplit(b)
	for len(b) > 0 {
		n := plain(b)
		if n > 0 {
			if !split {
				t.addPlain(b[:n])
			} else if !t.addSplit(b, n, last) {
				break
			}
			b = b[n:]
			continue
		}
		if r, size := utf8.DecodeRune(b); r == turn {
			if n, known := turned(b[size:], last); !known {
				t.held = append(t.held[:0], b...)
				break
			} else if n > 0 {
				t.raw += int64(size)
				t.addTurned(b[size : size+n])
				b = b[size+n:]
				continue
			}
		}
		size, known := t.addRune(b, last)
		if !known {
			t.held = append(t.held[:0], b...)
			break
		}
		b = b[size:]
	}
	t.level()
}

// addRune adds the first character of b and returns how many bytes it has. known is
// false where it takes more of b to tell how it is read; last says that there is none.
func (t *text) addRune(b []byte, last bool) (size int, known bool) {
	r, size := utf8.DecodeRune(b)
	to := fold(r)
	switch latin, framed := latinOf(r), enclosedDigit(r); {
	case framed != 0:
		amid, known := t.amidEnclosed(b[size:], last)
		if !known {
			return 0, false
		}
		if amid {
			to, t.framed = int(framed), t.end()+1
		}
	case latin != 0:
		amid, known := t.amidLatin(b[size:], last)
		if !known {
			return 0, false
		}
		if amid {
			to = int(latin)
		}
	case r < utf8.RuneSelf && !unseen(byte(r)):
		to = keep
	}
	switch to {
	case keep:
		t.addPlain(b[:size])
		return size, true
	case drop:
	default:
		t.segs = append(t.segs, seg{n: t.end(), raw: t.raw, width: int32(size)})
		t.norm = append(t.norm, byte(to))
	}
	t.raw += int64(size)
	return size, true
}

// addPlain adds b, which is read as it came.
func (t *text) addPlain(b []byte) {
	if len(b) == 0 {
		return
	}
	t.linear()
	t.norm = append(t.norm, b...)
	t.raw += int64(len(b))
}

// linear sees to it that bytes added now go to a seg of bytes as they came.
func (t *text) linear() {
	if k := len(t.segs); k > 0 {
		if s := t.segs[k-1]; s.width == 0 && s.raw+t.end()-s.n == t.raw {
			return
		}
	}
	t.segs = append(t.segs, seg{n: t.end(), raw: t.raw})
}

// allPlain reports that b is ASCII that is read as it came and has no control that
// may split a number, where one look tells: most texts are so.
func allPlain(b []byte) bool {
	if !vectors {
		return false
	}
	var m marks
	for len(b) > 0 {
		piece := b[:min(len(b), chunkBytes)]
		splitMarker.mark(&m, piece)
		for _, found := range m[:(len(piece)+63)/64] {
			if found != 0 {
				return false
			}
		}
		b = b[len(piece):]
	}
	return true
}

// plain returns how many bytes at the start of b are ASCII that is read as it
// came.
func plain(b []byte) int {
	i := 0
	for vectors && len(b)-i >= 64 {
		var m marks
		words := min((len(b)-i)/64, len(m))
		oddMarker.mark(&m, b[i:i+64*words])
		for w, found := range m[:words] {
			if found != 0 {
				return i + 64*w + bits.TrailingZeros64(found)
			}
		}
		i += 64 * words
	}
	for ; i+32 <= len(b); i += 32 {
		w := b[i : i+32]
		if oddBytes(binary.LittleEndian.Uint64(w))|oddBytes(binary.LittleEndian.Uint64(w[8:]))|
			oddBytes(binary.LittleEndian.Uint64(w[16:]))|oddBytes(binary.LittleEndian.Uint64(w[24:])) != 0 {
			break
		}
	}
	return i + asCame(b[i:])
}

// oddBytes sets the high bit of each byte of x that is not ASCII or unseen.
// Adding carries into the high bit: 0x77 of a byte from '\t' on, 0x72 from 0x0e
// on, 0x64 from 0x1c on, 1 of 0x7f. A carry out of a byte that is not ASCII may
// make its neighbour odd, or not so, but not x as a whole.
func oddBytes(x uint64) uint64 {
	return (x | ^(x + 0x77*ones) | (x+0x72*ones)&^(x+0x64*ones) | (x + ones)) & high
}

func asCame(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf || unseen(c) {
			return i
		}
	}
	return len(b)
}

// unseen reports control characters that are neither space nor, as some formats
// have it, separators: no reader shows them, and servers take them away.
func unseen(c byte) bool {
	return c < '\t' || c > '\r' && c < 0x1c || c == 0x7f
}

// What fold says of a rune that no ASCII byte stands for.
const (
	keep = -1
	drop = -2
)

// fold returns the ASCII byte that r is read as, keep or drop. It folds what
// a reader takes for ASCII: digits of all scripts, full-width forms, spaces,
// dashes, quotation marks and the dots between groups; it drops what a reader
// does not see, and marks that combine with what stands before them.
//
// Source: Unicode 15, general categories Nd, Zs, Pd, Cc, Cf, Mn; Default_Ignorable_Code_Point;
// the block of half-width and full-width forms.
func fold(r rune) int {
	switch {
	case r < utf8.RuneSelf: // an ASCII byte that plain stops at
		return drop
	case r >= 0xff01 && r <= 0xff5e: // full-width ASCII
		return int(r - 0xff01 + '!')
	case r >= 0x2010 && r <= 0x2015, r == 0x2212, r == 0x2043, r == 0x2500, r == 0x2501, r == 0x2796, r == 0x30fc, r == 0xff70:
		return '-'
	case r == 0xa0, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000, r == 0x1680, r == 0x2800: // the last is a braille pattern without dots
		return ' '
	case r == 0x2018 || r == 0x2019 || r == 0x201b || r == 0x2032:
		return '\''
	case r == 0x201c || r == 0x201d || r == 0x201e || r == 0x2033 || r == 0xab || r == 0xbb:
		return '"'
	case r == 0x2024 || r == 0xb7 || r == 0x2027 || r == 0x2219 || r == 0x22c5 || r == 0x30fb || r == 0xff65:
		return '.'
	case r == 0x2022 || r == 0x2023 || r == 0x25cf:
		return '*'
	case r == 0x2044 || r == 0x2215 || r == 0x29f8:
		return '/'
	case r == 0x17f: // folds to s, as regexp's (?i) has it
		return 's'
	case r == 0x212a: // the kelvin sign folds to k
		return 'K'
	}
	return foldRest(r)
}

// foldRest is fold for what is left: letters, digits and the unseen.
func foldRest(r rune) int {
	switch {
	case r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f,
		r == 0xfeff, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r >= 0x180b && r <= 0x180f, r == 0x3164, r == 0xffa0, r >= 0xfe00 && r <= 0xfe0f,
		r >= 0x300 && r <= 0x36f, r >= 0x20d0 && r <= 0x20ff, r >= 0xe0000 && r <= 0xe0fff:
		return drop
	case r < 0x58a: // no dashes and no digits beyond ASCII below
		return keep
	case unicode.Is(unicode.Pd, r):
		return '-'
	case unicode.Is(unicode.Nd, r):
		return '0' + digit(r)
	case r >= 0x1d400 && r <= 0x1d6a3: // mathematical letters: 26 capitals, 26 small, and again
		i := int(r-0x1d400) % 52
		if i < 26 {
			return 'A' + i
		}
		return 'a' + i - 26
	}
	return keep
}

// digit returns the value of r, which is in Nd: digits stand in runs of ten.
func digit(r rune) int {
	for _, g := range unicode.Nd.R16 {
		if r >= rune(g.Lo) && r <= rune(g.Hi) {
			return int(r-rune(g.Lo)) % 10
		}
	}
	for _, g := range unicode.Nd.R32 {
		if r >= rune(g.Lo) && r <= rune(g.Hi) {
			return int(r-rune(g.Lo)) % 10
		}
	}
	return 0
}
