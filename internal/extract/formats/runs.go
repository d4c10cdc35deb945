package formats

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// Bounds of what is looked for in a text as base64 or hexadecimal.
const (
	minRun     = 12       // letters: nine digits in base64
	minFold    = 40       // letters of a line that may go on in the next one
	maxFold    = 1000     // RFC 5322 2.1.1: no line of a mail is longer
	decideRun  = 1 << 10  // letters after which a run is known for what it is: a tar has its magic by then
	shortRun   = 2 << 10  // bytes of a text that is told together with others
	maxShort   = 16 << 20 // bytes of those texts in one part
	maxSeenRun = 1 << 16  // texts of a part that are remembered, so that each is told once
)

// runClass tells the letters of base64: 1 of every alphabet, 2 and 3 where the
// standard one and that of URLs differ.
var runClass = func() (t [256]uint8) {
	for c, v := range base64Value {
		switch {
		case v < 0 || v == 64:
		case c == '+' || c == '/':
			t[c] = 2
		case c == '-' || c == '_':
			t[c] = 3
		default:
			t[c] = 1
		}
	}
	return t
}()

// runs looks through the text of a part for stretches of base64 (either alphabet)
// and of hexadecimal that hold a file of a known kind or a text, on one line or
// folded as mail, JSON, XML, YAML and HL7 fold it. What decodes to neither, as
// hashes and keys do, is nothing.
//
// It costs little on an ordinary text: where no twelve letters follow one
// another it looks at one byte of three or so.
//
// Source: RFC 4648 4, 5, 8; RFC 2045 6.8.
type runs struct {
	found []buried
	room  int64 // bytes that may be held
	off   bool  // the open part is decoded otherwise
	part  string
	depth int // of the unit that opened the part

	short []byte // short texts of the open part, a line each
	seen  map[uint64]struct{}
	carry []byte // the end of the last piece, which is still to be looked at
	joint []byte
	mid   bool // the last piece ended within a stretch that was given up

	on    bool // a run is at hand
	mode  runMode
	alpha uint8  // which alphabet it was seen to be of, 0 while both fit
	raw   []byte // its letters while it is undecided
	lines []int  // where its lines begin in raw
	line  int    // letters on the line at hand
	width int    // letters of its first line, 0 while that is open
	data  []byte // what it holds
	over  bool   // that is more than may be held
	acc   uint32 // letters of which the byte is not complete
	n     int

	pieces pieces
}

// buried is what a run holds, on its way to be read as a member of its part.
type buried struct {
	part  string
	depth int
	data  []byte
	over  bool // it was too large to hold
}

// runMode is what a run was found to be.
type runMode uint8

const (
	runUndecided runMode = iota
	runBase64
	runHex
	runDropped // nothing, or told already
)

var runSeed = maphash.MakeSeed()

// open begins a part, which a unit at that depth opens.
func (f *runs) open(part string, depth int) {
	f.part, f.depth, f.off = part, depth, false
}

// close ends the open part's text.
func (f *runs) close() {
	f.goOn(nil, true)
	if len(f.carry) > 0 || f.on {
		f.look(nil, true)
	}
	f.pieces.end, f.pieces.floor, f.pieces.open, f.pieces.on = 0, 0, false, false
	f.mid = false
	if len(f.short) > 0 {
		f.found = append(f.found, buried{part: f.part, depth: f.depth, data: bytes.Clone(f.short)})
		f.short = f.short[:0]
	}
	clear(f.seen)
}

// look takes the next piece of the text.
func (f *runs) look(b []byte, last bool) {
	if f.off {
		return
	}
	if !last || len(b) > 0 {
		f.goOn(b, last)
	}
	if len(f.carry) > 0 {
		f.joint = append(append(f.joint[:0], f.carry...), b...)
		b, f.carry = f.joint, f.carry[:0]
	}
	i := 0
	if f.on {
		if i = f.resume(b, 0, last); f.on {
			return
		}
	}
	if f.mid {
		f.mid = false
		i = f.pass(b, i)
	}
	for i < len(b) {
		var end int
		if i, end = dense(b, i); end-i < minRun { // behind it nothing is
			break
		}
		for i+minRun <= end {
			if i = f.candidate(b, i, end, last); f.on {
				return
			}
		}
		if end == len(b) { // the last bytes may begin a run that goes on
			break
		}
		i = max(i, end)
	}
	if !last && i < len(b) {
		f.carry = append(f.carry, b[i:]...)
	}
}

// dense returns the next stretch, at i or behind it, of at least minRun bytes that
// are no control characters, blanks, quotes or parentheses: every run lies within
// one. Where there is none, it is the stretch that may go on behind b. It looks at
// eight bytes at a time, since all text goes through here.
func dense(b []byte, i int) (from, to int) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	least := uint64('+' * ones)
	cur := 0 // bytes of the stretch that ends at i
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		none := (^((w | high) - least) | w) & high // the top bit of each byte that is below '+' or not ASCII
		if n := cur + bits.TrailingZeros64(none)/8; n >= minRun {
			return i - cur, stretchEnd(b, i)
		}
		if none == 0 {
			cur += 8
		} else {
			cur = bits.LeadingZeros64(none) / 8
		}
	}
	from = i - cur
	for from < len(b) {
		if to = stretchEnd(b, from); to-from >= minRun || to == len(b) {
			return from, to
		}
		from = to + 1
	}
	return len(b), len(b)
}

func stretchEnd(b []byte, i int) int {
	for i < len(b) && b[i] >= '+' && b[i] < 0x80 {
		i++
	}
	return i
}

// candidate looks for a run that begins in b[i:end] and returns where to look on.
func (f *runs) candidate(b []byte, i, end int, last bool) int {
	for i+minRun <= end {
		k := i + minRun - 1
		if runClass[b[k]] == 0 {
			i = k + 1
			continue
		}
		s := k
		for s > i && runClass[b[s-1]] != 0 {
			s--
		}
		switch {
		case s > i:
			i = s
		case promising(b[i : i+minRun]):
			f.tryPieces(b, i, f.pieces.end-int64(len(b)), last)
			f.begin()
			return f.resume(b, i, last)
		default:
			i = f.pass(b, i)
		}
	}
	return i
}

// pass returns the next place at which a run may begin after one at i that is
// none: behind a sign that may stand between a word and a run.
func (f *runs) pass(b []byte, i int) int {
	if i+1 < len(b) && b[i] == '0' && b[i+1]|0x20 == 'x' { // 0x25504446
		return i + 2
	}
	if i < len(b) && b[i]|0x20 == 'x' { // \x25504446, x25504446
		return i + 1
	}
	for ; i < len(b); i++ {
		if runClass[b[i]] != 1 {
			return i + 1
		}
	}
	f.mid = true
	return i
}

// promising reports letters that may begin a run: what they decode to is text
// or the first bytes of a known kind. One word in some hundreds does.
func promising(b []byte) bool {
	_ = b[minRun-1]
	hex := hexTable[b[0]]|hexTable[b[1]] >= 0
	if hex {
		var h [minRun / 2]byte
		if c := hexTable[b[0]]<<4 | hexTable[b[1]]; c >= 0x20 || c == 0 || knownStart.one[byte(c)] {
			hex = unhex(h[:], b) == len(h)
			if hex && (knownStart.has(binary.BigEndian.Uint16(h[:])) || textual(h[:]) == len(h)) {
				return true
			}
		}
	}
	var d [minRun / 4 * 3]byte
	controls, high := 0, 0
	for i := 0; i < minRun; i += 4 {
		v := uint32(base64Value[b[i]])<<18 | uint32(base64Value[b[i+1]])<<12 | uint32(base64Value[b[i+2]])<<6 | uint32(base64Value[b[i+3]])
		for k, c := range [3]byte{byte(v >> 16), byte(v >> 8), byte(v)} {
			d[i/4*3+k] = c
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
				controls++
			}
			if c >= 0x80 {
				high++
			}
		}
		if i == 0 && knownStart.has(binary.BigEndian.Uint16(d[:])) {
			return true
		}
		if i == 0 && d[0] >= 0x80 && (d[0] < 0xc2 || d[0] > 0xf4 || d[1]&0xc0 != 0x80) || controls > i/2+2 {
			return false // no rune
		}
	}
	switch {
	case d[1]|d[3]|d[5] == 0, d[0]|d[2]|d[4] == 0: // UTF-16
		return true
	case controls > 0:
		return false
	case high == 0:
		return true
	}
	return !hex && textual(d[:]) >= len(d)-2 // a rune may be cut
}

// hexTable is the value of each hexadecimal digit, -1 for what is none.
var hexTable = func() (t [256]int16) {
	for c := range t {
		t[c] = int16(hexValue(byte(c)))
	}
	return t
}()

// unhex decodes hexadecimal into dst and returns how many bytes came out before
// the first sign that is none.
func unhex(dst, src []byte) int {
	for i := range dst {
		if 2*i+1 >= len(src) {
			return i
		}
		v := hexTable[src[2*i]]<<4 | hexTable[src[2*i+1]]
		if v < 0 {
			return i
		}
		dst[i] = byte(v)
	}
	return len(dst)
}

func (f *runs) begin() {
	f.on, f.mode, f.alpha, f.raw, f.lines, f.line, f.width = true, runUndecided, 0, f.raw[:0], f.lines[:0], 0, 0
	f.data, f.over, f.acc, f.n = nil, false, 0, 0
}

// resume reads the run at hand on from b[i] and returns where it ends. It is
// still at hand where it may go on behind b.
func (f *runs) resume(b []byte, i int, last bool) int {
	for {
		e := f.stretch(b, i)
		f.feed(b[i:e])
		i = e
		n, c, more := f.fold(b[i:], last)
		switch {
		case more:
			f.carry = append(f.carry, b[i:]...)
			return len(b)
		case n == 0:
			f.end()
			return i
		}
		i += n
		if c != 0 {
			f.feed([]byte{c})
		}
	}
}

// stretch returns where the letters that b[i] begins end.
func (f *runs) stretch(b []byte, i int) int {
	for ; i < len(b); i++ {
		c := runClass[b[i]]
		switch {
		case c == 1:
			continue
		case c == 0, f.alpha != 0 && f.alpha != c:
			return i
		case b[i] == '-' && bytes.HasPrefix(b[i:], []byte("-----")): // a PEM line
			return i
		}
		f.alpha = c
	}
	return i
}

// feed takes letters.
func (f *runs) feed(p []byte) {
	f.line += len(p)
	switch f.mode {
	case runUndecided:
		f.raw = append(f.raw, p...)
		if len(f.raw) >= decideRun {
			f.decide(false)
		}
	case runBase64, runHex:
		f.decode(p)
	}
}

// decode adds what p decodes to.
func (f *runs) decode(p []byte) {
	if f.over {
		return
	}
	if int64(len(f.data))+int64(len(p)) > f.room {
		f.over, f.data = true, nil
		return
	}
	for _, c := range p {
		if f.mode == runHex {
			v := hexValue(c)
			if v < 0 {
				f.mode = runDropped
				f.tell()
				return
			}
			f.acc, f.n = f.acc<<4|uint32(v), f.n+1
			if f.n == 2 {
				f.data, f.acc, f.n = append(f.data, byte(f.acc)), 0, 0
			}
			continue
		}
		f.acc, f.n = f.acc<<6|uint32(base64Value[c]&63), f.n+1
		if f.n == 4 {
			f.data, f.acc, f.n = append(f.data, byte(f.acc>>16), byte(f.acc>>8), byte(f.acc)), 0, 0
		}
	}
}

// decide finds what the run at hand is.
func (f *runs) decide(ended bool) {
	hex := make([]byte, len(f.raw)/2)
	if n := unhex(hex, f.raw); n == len(hex) && (!ended || len(f.raw)%2 == 0) && worthTelling(hex, f.raw) > 0 {
		f.take(runHex)
		return
	}
	d, _ := decodeBase64(f.raw)
	switch n := worthTelling(d, nil); {
	case n == len(d) && n > 0 || n > 0 && !ended && n >= len(d)-3: // a rune may be cut
		f.take(runBase64)
		return
	case n > 0:
		f.data = append(f.data[:0], d[:n]...)
		f.tell()
	default:
		for i, from := range f.lines { // of several lines each may be one of its own
			to := len(f.raw)
			if i+1 < len(f.lines) {
				to = f.lines[i+1]
			}
			if d, _ := decodeBase64(f.raw[from:to]); len(f.lines) > 1 {
				if n := worthTelling(d, nil); n > 0 && plainShort(d[:n]) {
					f.data = append(f.data[:0], d[:n]...)
					f.tell()
				}
			}
		}
	}
	f.mode = runDropped
}

// take decodes the run at hand from now on.
func (f *runs) take(mode runMode) {
	f.mode = mode
	f.decode(f.raw)
	f.raw = f.raw[:0]
}

// end ends the run at hand.
func (f *runs) end() {
	if f.mode == runUndecided {
		f.decide(true)
	}
	f.pad()
	f.tell()
	f.on = false
}

// pad ends a group of letters that is not complete.
func (f *runs) pad() {
	if f.mode == runBase64 && !f.over {
		f.data = endQuantum(f.data, f.acc, f.n)
	}
	f.acc, f.n = 0, 0
}

// tell hands on what a run held.
func (f *runs) tell() {
	d := f.data
	if f.over {
		f.found = append(f.found, buried{part: f.part, depth: f.depth, over: true})
	}
	f.data, f.over = nil, false
	f.hand(d)
}

// hand hands on d, once.
func (f *runs) hand(d []byte) {
	if len(d) == 0 {
		return
	}
	if !strongKind(d) && guessWide(d) == "" {
		n := textual(d)
		if _, ok := findPackage(d[max(0, n-8):], len(d), false); !ok {
			d = d[:n] // letters of what stands behind a run decode to noise
		}
	}
	if k := sniff(d[:min(len(d), headSize)], place{}); k.format == fEmpty || k.format == fBinary && k.detail == "binary" {
		return // it only looked like something
	}
	if f.seen == nil {
		f.seen = map[uint64]struct{}{}
	}
	h := maphash.Bytes(runSeed, d)
	if _, told := f.seen[h]; told {
		return
	}
	if len(f.seen) < maxSeenRun {
		f.seen[h] = struct{}{}
	}
	if len(d) <= shortRun && plainShort(d) && len(f.short)+len(d) < maxShort {
		f.short = append(append(f.short, d...), '\n')
		return
	}
	f.room -= int64(len(d))
	f.found = append(f.found, buried{part: f.part, depth: f.depth, data: d})
}
