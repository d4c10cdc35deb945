// Package chunk reads a source piece by piece.
//
// It promises that a source that was cut short is not taken for one that ended:
// io.EOF itself says that it has, and no error that wraps it or is like it.
package chunk

import "io"

// Read reads until buf is full or src has ended or fails, and returns how many
// bytes it read. io.ReadFull makes io.ErrUnexpectedEOF of an end within buf, which
// is also what a source says that was cut short.
func Read(buf []byte, src io.Reader) (n int, ended bool, err error) {
	for n < len(buf) {
		m, err := src.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
