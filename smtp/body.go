package smtp

import (
	"bytes"
	"errors"

	"github.com/stanch-dlp/stanch/internal/buffer"
)

const (
	maxBodyLine = 64 << 10 // bytes without the LF; RFC 5321 4.5.3.1.6 asks for 1000, longer ones are common and kept
	maxReceived = 100      // RFC 5321 6.3: at least 100 before a loop is assumed
)

// intake takes one message's body in. What makes it unacceptable is
// remembered; the rest is then read and dropped, so that the client can be
// told.
type intake struct {
	buf     *buffer.Buffer
	max     int64 // bytes
	size    int64 // bytes seen, also once refused
	line    int   // bytes since the last LF
	head    headerScan
	binary  bool  // it has no lines that could be too long
	refused error // the first reason, a *gosmtp.SMTPError
}

// add takes the next bytes, at most maxBodyLine of them.
func (in *intake) add(p []byte) {
	in.size += int64(len(p))
	if in.refused != nil || len(p) == 0 {
		return
	}
	switch {
	case in.size > in.max:
		in.refuse(errTooLarge)
		return
	case !in.binary && !in.lineFits(p):
		in.refuse(errLongLine)
		return
	}
	if in.head.add(p); in.head.received >= maxReceived {
		in.refuse(errLoop)
		return
	}
	if _, err := in.buf.Write(p); err != nil {
		in.fail(err)
	}
}

// lineFits keeps count of the open line. Lines inside p fit by p's own length.
func (in *intake) lineFits(p []byte) bool {
	first := bytes.IndexByte(p, '\n')
	if first < 0 {
		in.line += len(p)
		return in.line <= maxBodyLine
	}
	fits := in.line+first <= maxBodyLine
	in.line = len(p) - bytes.LastIndexByte(p, '\n') - 1
	return fits
}

// done ends the body: it is kept whole, or refused.
func (in *intake) done() error {
	if in.refused == nil {
		if err := in.buf.Done(); err != nil {
			in.fail(err)
		}
	}
	return in.refused
}

func (in *intake) fail(err error) {
	if errors.Is(err, buffer.ErrFull) {
		in.refuse(errNoRoom)
		return
	}
	in.refuse(errKeep)
}

func (in *intake) refuse(why error) {
	in.refused = why
	in.close()
}

// tooMuch reports that a refused body goes on for longer than is worth
// reading: as much again as a message may have.
func (in *intake) tooMuch() bool { return in.refused != nil && in.size > 2*in.max }

func (in *intake) close() {
	_ = in.buf.Close() // the file has no name, its space is free either way
}

// headerScan counts the Received fields of a header block, in constant memory.
// The block ends with the first empty line; lines end with LF or CRLF.
type headerScan struct {
	received int
	over     bool
	at       int  // bytes of the open line seen, up to len(receivedName)+1
	other    bool // the open line is some other field
	cr       bool // all of the open line is one CR
}

const receivedName = "received" // RFC 5321 4.4

func (h *headerScan) add(p []byte) {
	for len(p) > 0 && !h.over {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		p = rest
		if len(line) > 0 {
			h.cr = h.at == 0 && len(line) == 1 && line[0] == '\r'
			h.match(line)
		}
		if !whole {
			return
		}
		h.over = h.at == 0 || h.cr
		h.at, h.other, h.cr = 0, false, false
	}
}

// match compares the start of the open line with "Received:", in any case and
// with the blanks that old programs put before the colon.
func (h *headerScan) match(line []byte) {
	for _, c := range line {
		switch {
		case h.at > len(receivedName):
			return
		case h.other:
		case h.at == len(receivedName):
			if c == ':' || c == ' ' || c == '\t' {
				h.received++
			}
		case c|0x20 != receivedName[h.at]:
			h.other = true
		}
		h.at++
	}
}
