package message

import (
	"bytes"
	"fmt"
	"io"
)

// Head is what stands in front of the first empty line of a message, whether or
// not all of it are fields. The zero Head is that of an empty message, not read
// to its end.
type Head struct {
	b     []byte
	whole bool // the header ends within b
}

// headRoom is what most headers fit into.
const headRoom = 4 << 10

// ReadHead reads the message at r up to its first empty line, max bytes at most.
// It may read past the header; an error is r's own.
func ReadHead(r io.Reader, max int64) (Head, error) {
	r = io.LimitReader(r, max+1)
	b := make([]byte, 0, headRoom)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		from := len(b) - len("\n\r\n") + 1 // an end may begin in what was there
		b = b[:len(b)+n]
		if i := emptyLine(b, from); i >= 0 {
			return Head{b[:i], true}, nil
		}
		switch {
		case err == io.EOF && int64(len(b)) > max:
			return Head{b: b[:max]}, nil
		case err == io.EOF:
			return Head{b, true}, nil
		case err != nil:
			return Head{}, fmt.Errorf("message: header: %w", err)
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// maxValue is the longest field that Pick keeps, folded lines included.
const maxValue = 4 << 10

// Pick returns for each name, in any case, the values of its fields in their
// order, unfolded. Fields longer than 4 KiB are left out. The fields end where
// ReadHeader sees them end.
func (h Head) Pick(names ...string) [][]string {
	out := make([][]string, len(names))
	open, start := -1, 0 // open: the name whose field begins at start
	end := func(at int) {
		if open >= 0 && at-start <= maxValue {
			out[open] = append(out[open], Field{Raw: h.b[start:at]}.Value())
		}
		open = -1
	}
	for at := 0; at < len(h.b); {
		line := h.b[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		if at == 0 || !folded(line) {
			end(at)
			name := fieldName(line[:min(len(line), maxFirstPiece)])
			if name == nil && (at > 0 || !strange(line)) { // the empty line too
				return out
			}
			for i, n := range names {
				if bytes.EqualFold(name, []byte(n)) {
					open, start = i, at
				}
			}
		}
		at += len(line)
	}
	end(len(h.b))
	return out
}

// Pick is Head.Pick of the message at r, of the header of which max bytes at
// most are read.
func Pick(r io.Reader, max int64, names ...string) ([][]string, error) {
	h, err := ReadHead(r, max)
	return h.Pick(names...), err
}
