package message

import (
	"encoding/base64"
	"io"
)

// Base64 writes base64 in lines of 76, each ended with CRLF. Close writes what is
// left.
//
// Source: RFC 2045 6.8.
type Base64 struct {
	w   io.Writer
	in  [lineIn]byte
	n   int
	out []byte
	err error
}

const lineIn = 57 // bytes that make a line of 76

// NewBase64 returns a Base64 on w.
func NewBase64(w io.Writer) *Base64 { return &Base64{w: w} }

// Write encodes p.
func (b *Base64) Write(p []byte) (int, error) {
	n := 0
	if b.n > 0 {
		n = copy(b.in[b.n:], p)
		if b.n += n; b.n < lineIn {
			return n, b.err
		}
		b.line(b.in[:])
		b.n = 0
	}
	for len(p)-n >= lineIn {
		b.line(p[n : n+lineIn])
		n += lineIn
	}
	b.flush()
	b.n = copy(b.in[:], p[n:])
	return len(p), b.err
}

// line adds a line to what is to be written.
func (b *Base64) line(p []byte) {
	b.out = base64.StdEncoding.AppendEncode(b.out, p)
	b.out = append(b.out, '\r', '\n')
	if len(b.out) >= 16<<10 {
		b.flush()
	}
}

func (b *Base64) flush() {
	if b.err == nil && len(b.out) > 0 {
		_, b.err = b.w.Write(b.out)
	}
	b.out = b.out[:0]
}

// Close ends the last line. The Writer below stays open.
func (b *Base64) Close() error {
	if b.n > 0 {
		b.line(b.in[:b.n])
		b.n = 0
	}
	b.flush()
	return b.err
}
