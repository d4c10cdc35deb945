package seen

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Messages calls do with each message that r holds: one, or where it begins with a
// "From " line those of a mailbox. What is longer than MaxMessage is cut one byte
// behind that, so that Read says so. The bytes are do's for the call alone.
func Messages(r io.Reader, do func(raw []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(5) // what cannot be read is told below
	box := string(head) == "From "
	var b []byte
	begun, starts, empty := !box, true, true // in a message; at the start of a line; the line before was empty
	for {
		piece, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		switch {
		case box && starts && empty && bytes.HasPrefix(piece, []byte("From ")):
			if begun {
				if err := do(withoutLast(b)); err != nil {
					return err
				}
			}
			b, begun = b[:0], true
		default:
			line := piece
			if quoted := bytes.TrimLeft(line, ">"); box && starts && len(quoted) < len(line) && bytes.HasPrefix(quoted, []byte("From ")) {
				line = line[1:]
			}
			b = append(b, line[:min(len(line), max(0, MaxMessage+1-len(b)))]...)
		}
		empty = starts && len(bytes.TrimRight(piece, "\r\n")) == 0
		starts = bytes.HasSuffix(piece, []byte("\n"))
		if errors.Is(err, io.EOF) {
			if box {
				b = withoutLast(b)
			}
			if len(b) == 0 {
				return nil
			}
			return do(b)
		}
	}
}

// withoutLast takes away the empty line that a mailbox has behind each message.
func withoutLast(b []byte) []byte {
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if bytes.HasSuffix(b, []byte(end)) {
			return b[:len(b)-len(end)/2]
		}
	}
	return b
}
