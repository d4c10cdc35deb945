package tables

import (
	"bufio"
	"bytes"
	"crypto/sha256"
)

// Hooks of the tests.

// ReadPart is ReadOrder of a part of a plain order file.
func ReadPart(text []byte) (*Table, error) {
	o := order{file: "part.txt", next: 1, lines: map[uint64]int{}}
	if err := o.read(bufio.NewReader(bytes.NewReader(text))); err != nil {
		return nil, err
	}
	return newTable(About{Name: ICD10CM, Version: "2027"}, o.entries)
}

// Encode is the table as it lies on disk.
func Encode(t *Table) []byte {
	b, err := t.encode()
	if err != nil {
		panic(err)
	}
	return b
}

// Decode reads it.
func Decode(b []byte) (*Table, error) { return decode(b) }

// Sum returns body with its checksum.
func Sum(body []byte) []byte {
	s := sha256.Sum256(body)
	return append(bytes.Clone(body), s[:]...)
}
