package smtp

import (
	"bytes"
	"io"
)

const (
	// maxCommand is the longest command line, CRLF included. RFC 5321
	// 4.5.3.1.4 asks for 512, to which SIZE and BODY add 43 (RFC 1870 3,
	// RFC 6152 2); a quoted local part of 64 bytes may be twice as long.
	maxCommand = 2048
	// smallBuffer serves commands; an idle connection holds no more.
	smallBuffer = 4 << 10
	// largeBuffer serves bodies. It is not longer than maxBodyLine, so that a
	// line inside it is short enough by itself.
	largeBuffer = 64 << 10
)

// reader hands out a connection's bytes in windows, without copying. One
// goroutine uses it.
type reader struct {
	src  io.Reader
	wait func() error // called before each read from src: answers out, deadline set
	buf  []byte
	r, w int // buf[r:w] was read and not yet taken
	top  int // bytes of buf that were written to
}

// window returns what was read and not taken. It is valid until fill.
func (r *reader) window() []byte { return r.buf[r.r:r.w] }

func (r *reader) buffered() int { return r.w - r.r }

func (r *reader) take(n int) { r.r += n }

// fill reads at least one more byte into the window. It fails with
// io.ErrShortBuffer when there is no room for one.
func (r *reader) fill() error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if r.w == len(r.buf) {
		if r.r == 0 {
			return io.ErrShortBuffer
		}
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	had := r.w
	if err := r.wait(); err != nil {
		return err
	}
	if r.w > had { // by look
		return nil
	}
	for range 100 { // as bufio: a Reader that returns nothing for ever is broken
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		r.top = max(r.top, r.w)
		if n > 0 {
			return nil // an error that came with bytes comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// look reads once from src, which is not to block. The window must be empty.
func (r *reader) look() (int, error) {
	n, err := r.src.Read(r.buf)
	r.r, r.w = 0, n
	r.top = max(r.top, n)
	return n, err
}

// swap moves the window into buf, which must have room for it, and returns the
// buffer used until now, wiped.
func (r *reader) swap(buf []byte) []byte {
	old := r.buf
	r.w = copy(buf, r.window())
	r.r = 0
	r.buf = buf
	clear(old[:r.top]) // it held mail
	r.top = r.w
	return old
}

// line takes the next command line and returns it without its CRLF. A bare CR
// or LF is errBareLine, a line past maxCommand errLongCmd, whichever comes first
// and however the line arrives in pieces; after either the place in the stream
// is not to be trusted. RFC 5321 2.3.8, 4.5.3.1.4.
func (r *reader) line() (string, error) {
	seen := 0
	for {
		win := r.window()
		in := win[seen:min(len(win), maxCommand)]
		lf := bytes.IndexByte(in, '\n')
		if lf >= 0 {
			in = in[:lf+1]
		}
		cr := bytes.IndexByte(in, '\r')
		switch {
		case lf >= 0 && cr >= 0 && cr == lf-1:
			r.take(seen + lf + 1)
			return string(win[:seen+cr]), nil
		case lf >= 0, cr >= 0 && cr < len(in)-1:
			return "", errBareLine
		case len(win) >= maxCommand:
			return "", errLongCmd
		}
		// A CR that ends the window may be the first half of a CRLF: look at
		// it again with its neighbour.
		seen = max(0, len(win)-1)
		if err := r.fill(); err != nil {
			return "", err
		}
	}
}
