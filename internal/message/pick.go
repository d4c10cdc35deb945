package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxValue is the longest field that Pick keeps, folded lines included.
const maxValue = 4 << 10

// Pick reads the header of the message at r, max bytes of it at most, and
// returns for each name, in any case, the values of its fields in their order,
// unfolded. Fields longer than 4 KiB are left out. It keeps nothing else, and
// may read past the header; an error is r's own.
func Pick(r io.Reader, max int64, names ...string) ([][]string, error) {
	out := make([][]string, len(names))
	br := bufio.NewReaderSize(io.LimitReader(r, max), maxFirstPiece)
	var value []byte
	open, begun, inLine := -1, false, false // open: the name whose field is being read
	end := func() {
		if open >= 0 && len(value) <= maxValue {
			out[open] = append(out[open], Field{Raw: value}.Value())
		}
		value, open = value[:0], -1
	}
	for {
		piece, err := br.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return out, fmt.Errorf("message: header: %w", err)
		}
		if !inLine && !(begun && folded(piece)) {
			end()
			name := fieldName(piece)
			if name == nil && (begun || !strange(piece)) { // the empty line too
				return out, nil
			}
			for i, n := range names {
				if bytes.EqualFold(name, []byte(n)) {
					open = i
				}
			}
			begun = true
		}
		if open >= 0 && len(value) <= maxValue {
			value = append(value, piece...)
		}
		if errors.Is(err, io.EOF) {
			end()
			return out, nil
		}
		inLine = long
	}
}
