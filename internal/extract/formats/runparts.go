package formats

import (
	"bytes"
	"encoding/binary"
)

// Bounds of base64 and hexadecimal that stand in pieces.
const (
	maxBetween = 24      // bytes between two pieces
	piecesTry  = 64      // letters by which it is decided
	maxPiece   = 4 << 10 // letters of one
	maxPieces  = 1 << 16 // passages of a document that begin well and are followed
)

// pieces are base64 and hexadecimal of which something parts the letters: the strings
// of an array, quotes and plus signs of a program, blanks, the signs of a comment, cells.
// It belongs to runs, which find what stands in one piece or in the lines of a mail:
// where twelve letters are promising, it is looked whether others follow that go on
// with them. What runs find is found all the same.
type pieces struct {
	tail  []byte // the end of the last piece of text, while something is open
	joint []byte
	end   int64 // where in the part's text what was looked at ends
	floor int64 // up to where in it pieces were taken
	begun int   // passages of the document that began well
	spent bool  // they were too many, which was told

	open    bool // tail begins with letters that are still to be looked at
	on      bool // pieces are at hand
	hex     bool
	text    bool   // they decode to text, and end where they do not
	between []byte // what stands between two of them
	width   int    // letters of a piece of hexadecimal
	letters []byte
	checked int // letters that were seen to be text
}

// goOn takes the next piece of the text where the last one left something open.
func (f *runs) goOn(b []byte, last bool) {
	p := &f.pieces
	begin := p.end
	p.end += int64(len(b))
	if !p.on && !p.open {
		return
	}
	p.joint = append(append(p.joint[:0], p.tail...), b...)
	begin -= int64(len(p.tail))
	p.tail = p.tail[:0]
	if p.open {
		p.open = false
		f.tryPieces(p.joint, 0, begin, last)
		return
	}
	f.keep(p.joint, f.gather(p.joint, 0, last), begin)
}

// tryPieces looks whether the twelve promising letters from b[i] on go on in pieces.
// b[0] stands at begin in the text.
func (f *runs) tryPieces(b []byte, i int, begin int64, last bool) {
	p := &f.pieces
	if p.on || p.open || p.spent || begin+int64(i) < p.floor {
		return
	}
	s := i
	if s >= 2 && b[s-1]|0x20 == 'x' && b[s-2] == '0' {
		s -= 2
	}
	e := pieceEnd(b, i)
	n, end := nextPiece(b, e)
	if n == e && n < len(b) || n-e > maxBetween {
		return
	}
	if end == len(b) && !last && end-i < maxPiece {
		p.open, p.tail = true, append(p.tail[:0], b[s:]...)
		return
	}
	between := b[e:n]
	hex := hexPiece(b[s:e]) != nil && promisingHex(b, s, between)
	if !hex && (end-n > e-i || bytes.ContainsAny(between, "\\&%=") || !promisingBase64(b, i, between)) { // an escape is no end of a piece
		return
	}
	if !hex {
		s = i
	}
	f.keep(b, f.followPieces(b, s, between, hex, last), begin)
}

// keep notes where the pieces end, and what of b goes on in the next piece of text.
func (f *runs) keep(b []byte, to int, begin int64) {
	p := &f.pieces
	p.floor = max(p.floor, begin+int64(to))
	if p.on {
		p.tail = append(p.tail[:0], b[to:]...)
	}
}

func ofPiece(c byte) bool { return runClass[c] == 1 || runClass[c] == 2 }

func pieceEnd(b []byte, at int) int {
	for most := min(len(b), at+maxPiece); at < most && ofPiece(b[at]); at++ {
	}
	return at
}

// nextPiece returns the piece that follows on one that ends at b[e]. Signs of a
// program or a comment that base64 has as well, alone, are none.
func nextPiece(b []byte, e int) (s, end int) {
	for s = e; s < len(b) && s-e <= maxBetween; s++ {
		if !ofPiece(b[s]) {
			continue
		}
		k := s
		for k < len(b) && k < s+3 && runClass[b[k]] == 2 {
			k++
		}
		if k == s || k < len(b) && ofPiece(b[k]) {
			break
		}
		s = max(s, k-1)
	}
	return s, pieceEnd(b, s)
}

// sameBetween compares what stands between pieces but for blanks and line ends.
func sameBetween(a, b []byte) bool {
	i, k := 0, 0
	blank := func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
	for {
		for i < len(a) && blank(a[i]) {
			i++
		}
		for k < len(b) && blank(b[k]) {
			k++
		}
		switch {
		case i == len(a) || k == len(b):
			return i == len(a) && k == len(b)
		case a[i] != b[k]:
			return false
		}
		i, k = i+1, k+1
	}
}

// hexPiece returns the digits of a piece without 0x or x, nil where it is none.
func hexPiece(b []byte) []byte {
	switch {
	case len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x':
		b = b[2:]
	case len(b) > 1 && b[0]|0x20 == 'x':
		b = b[1:]
	}
	if len(b) == 0 || len(b)%2 != 0 || len(b) > piecesTry {
		return nil
	}
	for _, c := range b {
		if hexTable[c] < 0 {
			return nil
		}
	}
	return b
}

// promisingHex reports pieces of hexadecimal from b[s] on whose digits write text or
// the beginning of a known kind.
func promisingHex(b []byte, s int, between []byte) bool {
	var room [piecesTry]byte
	letters, width := room[:0], 0
	e := pieceEnd(b, s)
	for len(letters) < piecesTry {
		t := hexPiece(b[s:e])
		if t == nil || width != 0 && len(t) > width {
			break
		}
		width = max(width, len(t))
		letters = append(letters, t[:min(len(t), piecesTry-len(letters))]...)
		n, next := nextPiece(b, e)
		if n >= len(b) || n == e || n-e > maxBetween || !sameBetween(b[e:n], between) || len(t) < width { // only the last is shorter
			break
		}
		s, e = n, next
	}
	if len(letters) <= width || len(letters) < minRun {
		return false
	}
	var d [piecesTry / 2]byte
	c := d[:unhex(d[:], letters)]
	return worthTelling(c, letters) > 0 || knownStart.has(binary.BigEndian.Uint16(c))
}

// promisingBase64 reports pieces of base64 from b[s] on whose first letters decode
// to text or to the beginning of a known kind.
func promisingBase64(b []byte, s int, between []byte) bool {
	var room [piecesTry]byte
	letters, count := room[:0], 0
	for e := pieceEnd(b, s); len(letters) < piecesTry; count++ {
		t := b[s:e]
		if count == 0 && len(t) >= minFold && len(t)%4 == 0 && sameBetween(between, nil) {
			return false // the lines of a mail
		}
		had := len(letters)
		letters = append(letters, t[:min(len(t), piecesTry-len(letters))]...)
		if had < minRun && len(letters) >= minRun && !promising(letters) {
			return false
		}
		n, next := nextPiece(b, e)
		if n >= len(b) || n == e || n-e > maxBetween || !sameBetween(b[e:n], between) {
			count++
			break
		}
		s, e = n, next
	}
	if count < 2 || len(letters) < minRun {
		return false
	}
	d, _ := decodeBase64(letters)
	return worthTelling(d, nil) > 0 || knownStart.has(binary.BigEndian.Uint16(d))
}

// followPieces follows the pieces that begin at b[s] and returns where they end, as
// gather does. Past what is followed of a document it tells that there are more.
func (f *runs) followPieces(b []byte, s int, between []byte, hex, last bool) int {
	p := &f.pieces
	if p.begun++; p.begun > maxPieces {
		p.spent = true
		f.found = append(f.found, buried{part: f.part, depth: f.depth, over: true})
		return len(b)
	}
	p.on, p.hex, p.text, p.width, p.checked = true, hex, false, 0, 0
	p.between = append(p.between[:0], between...)
	p.letters = p.letters[:0]
	return f.gather(b, s, last)
}

// gather takes the pieces from b[i] on, which begins one or stands behind one, and
// returns where they end; they are still at hand where they may go on behind b.
func (f *runs) gather(b []byte, i int, last bool) int {
	p := &f.pieces
	for {
		var end int
		n := i
		if len(p.letters) > 0 {
			if n, end = nextPiece(b, i); n-i > maxBetween || n == i && n < len(b) || n < len(b) && !sameBetween(b[i:n], p.between) {
				break
			}
		} else {
			end = pieceEnd(b, i)
		}
		if end == len(b) && !last && len(b)-i < maxPiece {
			return i
		}
		t := b[n:end]
		if p.hex {
			if t = hexPiece(t); t == nil || p.width != 0 && len(t) > p.width {
				break
			}
			p.width = max(p.width, len(t))
		}
		if len(t) == 0 {
			break
		}
		if int64(len(p.letters)+len(t)) > f.room {
			f.found = append(f.found, buried{part: f.part, depth: f.depth, over: true})
			p.on, p.letters = false, nil
			return end
		}
		p.letters = append(p.letters, t...)
		i = end
		if !p.goesOn() || end < len(b) && b[end] == '=' || p.hex && len(t) < p.width { // only the last is shorter
			break
		}
	}
	f.endPieces()
	return i
}

// goesOn reports whether the last letters of the pieces at hand are such as the first.
func (p *pieces) goesOn() bool {
	const step = 4 * piecesTry
	for len(p.letters)-p.checked >= step {
		d := p.decode(p.letters[p.checked : p.checked+step])
		if p.checked == 0 {
			p.text = !strongKind(d) && guessWide(d) == ""
		}
		if p.checked += step; p.text && textual(d) < len(d)-3 {
			return false
		}
	}
	return true
}

func (p *pieces) decode(letters []byte) []byte {
	if !p.hex {
		d, _ := decodeBase64(letters)
		return d
	}
	d := make([]byte, len(letters)/2)
	return d[:unhex(d, letters)]
}

// endPieces hands on what the pieces at hand decode to.
func (f *runs) endPieces() {
	p := &f.pieces
	p.on = false
	d := p.decode(p.letters)
	var hex []byte
	if p.hex {
		hex = p.letters
	}
	if n := worthTelling(d, hex); n > 0 {
		f.hand(bytes.Clone(d[:n]))
	}
	if cap(p.letters) > maxPiece {
		p.letters = nil
	}
}

// firstPiece reports that of what was found the one at i is the first piece of a
// compressed file that was also put together whole. What the file begins with is
// read with it, and told where it is damaged: read alone, the piece is only one
// that ends too early. The two are found near one another.
func firstPiece(found []buried, i int) bool {
	const near = 4
	b := found[i]
	if b.over || len(b.data) == 0 || !compressedKind(sniff(b.data[:min(len(b.data), headSize)], place{}).format) {
		return false
	}
	for k := max(0, i-near); k < min(len(found), i+near+1); k++ {
		if o := found[k]; !o.over && o.part == b.part && len(o.data) > len(b.data) && bytes.HasPrefix(o.data, b.data) {
			return true
		}
	}
	return false
}
