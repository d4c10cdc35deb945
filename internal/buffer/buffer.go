package buffer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// chunkSize is how much is kept, sealed and read at a time. 64 KiB keeps the
// cost of a seal (16 bytes, one AES-GCM set-up) under a thousandth and lets a
// hundred readers run in 6.4 MiB.
const chunkSize = 64 << 10

// sealOverhead is the length of an AES-GCM tag, in bytes.
const sealOverhead = 16

var (
	// ErrFull says that the bytes could not be kept: the pool's bound on disk
	// would be passed, or the disk is full, and no memory is left in their stead.
	// Trying again later may succeed.
	ErrFull = errors.New("buffer: no room")
	// ErrClosed is what a reader gets once its Buffer was closed, and what
	// Open gets then.
	ErrClosed = errors.New("buffer: closed")
	// ErrState says that a call came out of order: a write after Done, or an
	// Open before it.
	ErrState = errors.New("buffer: call out of order")
)

// chunk has room for chunkSize bytes and for the tag, so that it is sealed and
// opened in place.
type chunk struct {
	b    [chunkSize + sealOverhead]byte
	n    int // bytes of plaintext
	used int // bytes that hold or held anything of a document
}

// Buffer keeps the bytes of one document. Write, Done and Close may be called
// from different goroutines, one after another; after Done any number of
// readers may run at once. The zero Buffer is not valid: see Pool.New.
type Buffer struct {
	pool *Pool

	mu     sync.RWMutex // guards all below; readers hold it shared while they copy
	done   bool
	closed bool
	failed error // the first failure; every later Write and Done returns it
	size   int64
	mem    []*chunk // the chunks that are not in the file: before Done one, more where the disk takes none
	file   *os.File // nil while in memory
	aead   cipher.AEAD
	sealed int64 // chunks in file
	onDisk int64 // bytes of file, counted in the pool
}

// Write adds p. It keeps all of p or returns an error: ErrFull (test with
// errors.Is) when there is no room for it, ErrState after Done. After an error
// the Buffer is of no use but to be closed.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.writable(); err != nil {
		return 0, err
	}
	n := 0
	for n < len(p) {
		t, err := b.tail()
		if err != nil {
			b.failed = err
			return n, err
		}
		k := copy(t.b[t.n:chunkSize], p[n:])
		t.n += k
		t.used = t.n
		b.size += int64(k)
		n += k
	}
	return n, nil
}

// Done ends the writing: if the bytes are in the file, the last of them are
// sealed into it, or stay in memory where the disk takes no more.
func (b *Buffer) Done() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.writable(); err != nil {
		return err
	}
	if b.file != nil {
		_ = b.flush() // what is left is in memory, and counted
	}
	b.done = true
	return nil
}

// Size returns how many bytes were written.
func (b *Buffer) Size() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.size
}

// Close frees memory and file. Readers that are still open get ErrClosed from
// then on. A second Close does nothing.
func (b *Buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	for _, c := range b.mem {
		b.pool.putChunk(c)
	}
	b.pool.release(int64(len(b.mem))*chunkSize, b.onDisk)
	b.mem, b.aead = nil, nil
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	if err != nil {
		return fmt.Errorf("buffer: close: %w", err)
	}
	return nil
}

func (b *Buffer) writable() error {
	switch {
	case b.closed:
		return ErrClosed
	case b.failed != nil:
		return b.failed
	case b.done:
		return ErrState
	}
	return nil
}

// tail returns a chunk with room for at least one byte.
func (b *Buffer) tail() (*chunk, error) {
	if n := len(b.mem); n > 0 && b.mem[n-1].n < chunkSize {
		return b.mem[n-1], nil
	}
	if b.file == nil {
		within := int64(len(b.mem))*chunkSize < b.pool.cfg.MemoryEach
		if within && b.pool.reserveMemory(chunkSize) {
			return b.grow(), nil
		}
		if err := b.spill(); err != nil {
			return b.instead(err)
		}
	} else if err := b.flush(); err != nil {
		return b.instead(err)
	}
	// A buffer in its file still needs one chunk to fill: it is counted, and
	// may pass MemoryAll by that much.
	b.pool.addMemory(chunkSize)
	return b.grow(), nil
}

// instead returns a chunk more in memory where the disk takes none, for as long
// as half of what all may have stays free for those that need no disk.
func (b *Buffer) instead(err error) (*chunk, error) {
	if !b.pool.reserveSpare(chunkSize) {
		return nil, err
	}
	return b.grow(), nil
}

func (b *Buffer) grow() *chunk {
	c := b.pool.getChunk()
	b.mem = append(b.mem, c)
	return c
}

// spill moves a buffer from memory to a file of its own, under a fresh key.
func (b *Buffer) spill() error {
	var key [32]byte
	rand.Read(key[:]) // never fails: it ends the program instead
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return fmt.Errorf("buffer: cipher: %w", err)
	}
	if b.aead, err = cipher.NewGCM(block); err != nil {
		return fmt.Errorf("buffer: cipher: %w", err)
	}
	file, err := unlinkedFile(b.pool.cfg.Dir)
	if err != nil {
		return full(err)
	}
	b.file = file
	return b.flush()
}

// flush seals every chunk of mem to the end of the file and frees it. A chunk
// that the file does not take stays in mem; it is not written to before it is
// sealed again, so that its nonce never sees another plaintext.
func (b *Buffer) flush() error {
	for len(b.mem) > 0 {
		c := b.mem[0]
		length := int64(c.n + sealOverhead)
		if !b.pool.reserveDisk(length) {
			return ErrFull
		}
		b.onDisk += length
		c.used = c.n + sealOverhead
		out := b.aead.Seal(c.b[:0], nonce(b.sealed), c.b[:c.n], nil)
		if _, err := b.file.WriteAt(out, b.sealed*(chunkSize+sealOverhead)); err != nil {
			b.onDisk -= length
			b.pool.release(0, length)
			if _, opened := b.aead.Open(c.b[:0], nonce(b.sealed), out, nil); opened != nil {
				return fmt.Errorf("buffer: open: %w", opened)
			}
			return full(err)
		}
		b.sealed++
		b.mem[0] = nil
		b.mem = b.mem[1:]
		b.pool.putChunk(c)
		b.pool.release(chunkSize, 0)
	}
	return nil
}

// nonce is the number of a chunk; a chunk is sealed once under its key.
func nonce(i int64) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], uint64(i))
	return n[:]
}

// full turns the errors of a disk without room into ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return ErrFull
	}
	return fmt.Errorf("buffer: file: %w", err)
}

// Open returns a new reader at byte 0. Readers are independent; one of them is
// for one goroutine at a time. ErrState before Done, ErrClosed after Close.
func (b *Buffer) Open() (io.ReadSeekCloser, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.closed:
		return nil, ErrClosed
	case !b.done:
		return nil, ErrState
	}
	return &reader{b: b, at: -1}, nil
}
