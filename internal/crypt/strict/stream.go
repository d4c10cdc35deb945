package strict

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
)

// Of a sealed content: its first line, how many bytes of plaintext a chunk has,
// what sealing adds to each (nonce and tag), and how long its key and the
// envelope of that are at most.
const (
	magic       = "stanch-strict/1\n"
	chunkBytes  = 64 << 10
	overhead    = 12 + 16
	keyBytes    = 32
	maxEnvelope = 4096
)

// ErrTampered says that a content is not what was sealed: altered, cut short, or
// another's. It is cms's.
var ErrTampered = cms.ErrTampered

// chunks seals or opens the chunks of one content.
type chunks struct {
	aead cipher.AEAD // with a nonce drawn for each chunk, which is all that the module of FIPS 140 approves
	ad   []byte      // whose, then the number and whether it is the last
	bind int
	n    uint64
}

func newChunks(key []byte, bind string) (*chunks, error) {
	if len(key) != keyBytes {
		return nil, ErrTampered
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("strict: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("strict: %w", err)
	}
	return &chunks{aead: aead, ad: append([]byte(magic+bind), make([]byte, 9)...), bind: len(magic) + len(bind)}, nil
}

// next is what the next chunk is bound to.
func (c *chunks) next(last bool) []byte {
	binary.BigEndian.PutUint64(c.ad[c.bind:], c.n)
	c.ad[c.bind+8] = 0
	if last {
		c.ad[c.bind+8] = 1
	}
	return c.ad
}

// Seal returns a writer that seals what is written to it onto dst, to recipient
// and bound to what bind says. Close ends it, and does not close dst.
func Seal(dst io.Writer, recipient, bind string) (io.WriteCloser, error) {
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails: crypto/rand.Read ends the program instead
	envelope, err := SealKey(key, recipient)
	if err != nil {
		return nil, err
	}
	c, err := newChunks(key, bind)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint16([]byte(magic), uint16(len(envelope))) //nolint:gosec // 300 bytes
	if _, err := dst.Write(append(head, envelope...)); err != nil {
		return nil, fmt.Errorf("strict: seal: %w", err)
	}
	return &sealWriter{dst: dst, c: c, plain: make([]byte, 0, chunkBytes), sealed: make([]byte, 0, chunkBytes+overhead)}, nil
}

type sealWriter struct {
	dst           io.Writer
	c             *chunks
	plain, sealed []byte
	err           error // the first failure, or that it is closed
}

func (w *sealWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && w.err == nil {
		if len(w.plain) == chunkBytes { // more follows: it is not the last
			w.flush(false)
			continue
		}
		m := min(len(p)-n, chunkBytes-len(w.plain))
		w.plain = append(w.plain, p[n:n+m]...)
		n += m
	}
	return n, w.err
}

func (w *sealWriter) flush(last bool) {
	sealed := w.c.aead.Seal(w.sealed, nil, w.plain, w.c.next(last))
	w.c.n++
	w.plain = w.plain[:0]
	if _, err := w.dst.Write(sealed); err != nil {
		w.err = fmt.Errorf("strict: seal: %w", err)
	}
}

func (w *sealWriter) Close() error {
	if w.err != nil {
		return w.err
	}
	w.flush(true)
	err := w.err
	if err == nil {
		w.err = io.ErrClosedPipe
	}
	return err
}

// Header reads the envelope of a content's key. ErrTampered.
func Header(src io.Reader) ([]byte, error) {
	head := make([]byte, len(magic)+2)
	if _, err := io.ReadFull(src, head); err != nil || string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("strict: header: %w", ErrTampered)
	}
	n := binary.BigEndian.Uint16(head[len(magic):])
	if n == 0 || n > maxEnvelope {
		return nil, fmt.Errorf("strict: header: %w", ErrTampered)
	}
	envelope := make([]byte, n)
	if _, err := io.ReadFull(src, envelope); err != nil {
		return nil, fmt.Errorf("strict: header: cut short: %w", ErrTampered)
	}
	return envelope, nil
}

// Open returns what was sealed for the same bind. key is the content's own, or
// nil: then with opens its envelope. cms.ErrWrongKey and ErrTampered come from here
// or, where it is altered or cut short later on, from the reader in place of io.EOF.
func Open(src io.Reader, bind string, with []cms.Secret, key []byte) (io.Reader, error) {
	r := bufio.NewReaderSize(src, chunkBytes+overhead)
	envelope, err := Header(r)
	if err != nil {
		return nil, err
	}
	if key == nil {
		if key, err = OpenKey(envelope, with); err != nil {
			return nil, fmt.Errorf("strict: open: %w", err)
		}
	}
	c, err := newChunks(key, bind)
	if err != nil {
		return nil, err
	}
	o := &openReader{src: r, c: c, buf: make([]byte, chunkBytes+overhead)}
	if o.fill(); o.err != nil && !errors.Is(o.err, io.EOF) { // whose it is shows at once
		return nil, o.err
	}
	return o, nil
}

type openReader struct {
	src   *bufio.Reader
	c     *chunks
	buf   []byte
	plain []byte // opened and not yet read
	err   error  // what comes after it
}

// fill opens the next chunk.
func (o *openReader) fill() {
	n, err := io.ReadFull(o.src, o.buf)
	last := err != nil
	if err == nil {
		_, err := o.src.Peek(1)
		last = errors.Is(err, io.EOF)
	} else if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		o.err = fmt.Errorf("strict: open: %w", err)
		return
	}
	plain, err := o.c.aead.Open(o.buf[:0], nil, o.buf[:n], o.c.next(last))
	if err != nil {
		o.err = fmt.Errorf("strict: open: %w", ErrTampered)
		return
	}
	o.c.n++
	o.plain = plain
	if last {
		o.err = io.EOF
	}
}

func (o *openReader) Read(p []byte) (int, error) {
	for len(o.plain) == 0 {
		if o.err != nil {
			return 0, o.err
		}
		o.fill()
	}
	n := copy(p, o.plain)
	o.plain = o.plain[n:]
	return n, nil
}
