package message

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxFirstPiece is how much of a header line is looked at to tell its name. No
// field that is left out has a name near that long.
const maxFirstPiece = 4 << 10

// RepeatDigest returns the SHA-256 of the message at r without its Received,
// Return-Path and X-Stanch-* fields, folded lines included. All else counts
// byte for byte. Two tries at sending one message, by whatever relays, have
// the same digest.
//
// It reads r to the end in bounded memory; an error is r's own.
//
// Source: RFC 5321 4.4 (trace fields); docs/contract.md, SMTP replies (repeats).
func RepeatDigest(r io.Reader) ([32]byte, error) {
	h := sha256.New()
	br := bufio.NewReaderSize(r, maxFirstPiece)
	var (
		leaveOut bool // the field that the line belongs to
		begun    bool // a field was seen
		inLine   bool // the piece continues a line longer than maxFirstPiece
	)
	for {
		piece, err := br.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return [32]byte{}, fmt.Errorf("message: digest: %w", err)
		}
		body := false
		if !inLine && !(begun && folded(piece)) {
			name := fieldName(piece)
			leaveOut = name != nil && leftOut(name)
			body = name == nil && (begun || !strange(piece)) // the empty line too
			begun = true
		}
		if !leaveOut {
			h.Write(piece) // a Hash never returns an error
		}
		if errors.Is(err, io.EOF) {
			break
		}
		inLine = long
		if body {
			if _, err := io.Copy(h, br); err != nil {
				return [32]byte{}, fmt.Errorf("message: digest: %w", err)
			}
			break
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

// leftOut reports the fields that a repeat may have different.
func leftOut(name []byte) bool {
	const ours = "X-Stanch-"
	return bytes.EqualFold(name, []byte("Received")) || bytes.EqualFold(name, []byte("Return-Path")) ||
		len(name) >= len(ours) && strings.EqualFold(string(name[:len(ours)]), ours)
}
