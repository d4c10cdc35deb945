package pickup

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Key opens one parcel. It stands in the link alone.
type Key [32]byte

// NewKey returns a random key.
func NewKey() (k Key) {
	rand.Read(k[:]) // never fails: crypto/rand.Read ends the program instead
	return k
}

// String is the key in base64url without padding: 43 characters. RFC 4648 5.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// chunkSize is how much plaintext each chunk but the last has, in bytes.
const chunkSize = 64 << 10

// ErrTampered says that a sealed content does not open: altered, cut short, of
// another parcel or under another key.
var ErrTampered = errors.New("pickup: content does not open")

// chunks seals or opens the chunks of one parcel's content, in order.
//
// The form (docs/portal.md): chunks of 64 KiB of plaintext, the last one
// shorter or as long, each AES-256-GCM with its tag of 16 bytes behind it. The
// nonce is the chunk's number, 11 bytes big-endian, and a byte that is 1 for
// the last chunk and else 0. The additional data is "stanch pickup v1 ID". A key
// seals one content once, so no nonce comes twice. That is the STREAM
// construction of Hoang, Reyhanitabar, Rogaway and Vizár (2015), as age has it.
type chunks struct {
	aead cipher.AEAD
	ad   []byte
	n    uint64
}

func newChunks(key Key, id dlp.ID) (*chunks, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("pickup: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("pickup: %w", err)
	}
	return &chunks{aead: aead, ad: []byte("stanch pickup v1 " + string(id))}, nil
}

func (c *chunks) nonce(last bool) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint64(b[3:11], c.n)
	if last {
		b[11] = 1
	}
	c.n++
	return b
}

// Writer seals what is written to it. Close ends the content; without it
// nothing that was written opens.
type Writer struct {
	dst io.Writer
	c   *chunks
	buf []byte
}

// NewWriter returns a Writer for the one content that key seals.
func NewWriter(dst io.Writer, key Key, id dlp.ID) (*Writer, error) {
	c, err := newChunks(key, id)
	if err != nil {
		return nil, err
	}
	return &Writer{dst: dst, c: c, buf: make([]byte, 0, chunkSize+c.aead.Overhead())}, nil
}

// Write seals p.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(w.buf) == chunkSize {
			if err := w.flush(false); err != nil {
				return 0, err
			}
		}
		k := min(len(p), chunkSize-len(w.buf))
		w.buf, p = append(w.buf, p[:k]...), p[k:]
	}
	return n, nil
}

func (w *Writer) flush(last bool) error {
	_, err := w.dst.Write(w.c.aead.Seal(w.buf[:0], w.c.nonce(last), w.buf, w.c.ad))
	w.buf = w.buf[:0]
	return err
}

// Close seals the last chunk.
func (w *Writer) Close() error { return w.flush(true) }

// Decrypt opens a whole content, as a browser does. ErrTampered.
func Decrypt(sealed []byte, key Key, id dlp.ID) ([]byte, error) {
	c, err := newChunks(key, id)
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		n := min(len(sealed), chunkSize+c.aead.Overhead())
		last := n == len(sealed)
		if out, err = c.aead.Open(out, c.nonce(last), sealed[:n], c.ad); err != nil {
			return nil, ErrTampered
		}
		if last {
			return out, nil
		}
		sealed = sealed[n:]
	}
}
