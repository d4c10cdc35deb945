package wire

import (
	"encoding/binary"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a page and of what is read of it.
const (
	MaxSide   = 16 << 10 // pixels
	MaxPixels = 16 << 20 // of a page: A3 at 300 a inch fits
	MaxWords  = 1 << 20  // bytes of text read of a page
	MaxChunk  = 1 << 20  // pixels in one OpPixels frame
)

// Page is the head of a picture that a child wants read: Width × Height bytes
// follow in OpPixels frames, row by row, 0 black to 255 white.
type Page struct{ Width, Height int }

// AppendPage appends the encoding of p to b.
func AppendPage(b []byte, p Page) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(max(p.Width, 0))), uint64(max(p.Height, 0)))
}

// DecodePage is the inverse of AppendPage. It refuses a page that passes a bound.
func DecodePage(b []byte) (Page, error) {
	d := decoder{b: b}
	p := Page{Width: int(d.int()), Height: int(d.int())}
	if p.Width < 1 || p.Height < 1 || p.Width > MaxSide || p.Height > MaxSide || p.Width*p.Height > MaxPixels {
		d.bad = true
	}
	return p, d.end("page")
}

// Words is what was read of a page.
type Words struct {
	Read  bool      // it was read, to its end
	Cause dlp.Cause // why not
	Text  []byte    // at most MaxWords, as the program wrote it
}

// AppendWords appends the encoding of w to b.
func AppendWords(b []byte, w Words) []byte {
	return append(append(b, flag(w.Read), byte(w.Cause)), w.Text...)
}

// DecodeWords is the inverse of AppendWords. Text is part of b.
func DecodeWords(b []byte) (Words, error) {
	d := decoder{b: b}
	w := Words{Read: d.byte() == 1, Cause: dlp.Cause(d.byte())}
	if int(w.Cause) >= len(dlp.Causes()) {
		d.bad = true
	}
	w.Text, d.b = d.b, nil
	return w, d.end("words")
}
