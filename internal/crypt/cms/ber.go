package cms

import (
	"encoding/asn1"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Tags of what is written by hand. X.690 8.1.2.
const (
	tagSequence    = 0x30
	tagSet         = 0x31
	tagOctets      = 0x04
	tagContext0    = 0xa0 // [0], constructed
	tagContext0Raw = 0x80 // [0], primitive
)

// indefinite is the length of what ends with endOfContents. X.690 8.1.3.6.
const indefinite = 0x80

// endOfContents ends what has an indefinite length. X.690 8.1.5.
var endOfContents = []byte{0, 0}

// chunkBytes is how much content one piece of a constructed octet string has;
// a multiple of AES's block.
const chunkBytes = 16 << 10

// tlv returns the tag and definite length of n bytes. X.690 8.1.3.
func tlv(tag byte, n int) []byte {
	switch {
	case n < 0x80:
		return []byte{tag, byte(n)}
	case n < 1<<8:
		return []byte{tag, 0x81, byte(n)}
	case n < 1<<16:
		return []byte{tag, 0x82, byte(n >> 8), byte(n)}
	case n < 1<<24:
		return []byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}
	}
	return []byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// algorithm adds an AlgorithmIdentifier; params are its parameters' DER, nil
// for absent ones.
func algorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, params []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddBytes(params)
	})
}

// null is the DER of NULL.
var null = []byte{0x05, 0x00}

// der returns what build builds. What it builds is ours, so that an error is a
// broken invariant.
func der(build func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	build(&b)
	return b.BytesOrPanic()
}

// writeAll writes pieces one after another.
func writeAll(w io.Writer, pieces ...[]byte) error {
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}
