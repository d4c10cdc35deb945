package buffer

import (
	"errors"
	"fmt"
	"io"
)

// reader walks over a finished Buffer. It opens one chunk at a time.
type reader struct {
	b      *Buffer
	pos    int64
	open   *chunk // the opened chunk, when the bytes are in the file
	at     int64  // its number; -1 for none
	closed bool
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	r.b.mu.RLock()
	defer r.b.mu.RUnlock()
	if r.closed || r.b.closed {
		return 0, ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	for n < len(p) && r.pos < r.b.size {
		c, err := r.chunk(r.pos / chunkSize)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], c.b[r.pos%chunkSize:c.n])
		n += k
		r.pos += int64(k)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// chunk returns chunk i in the clear. The caller holds b.mu.
func (r *reader) chunk(i int64) (*chunk, error) {
	if i >= r.b.sealed {
		return r.b.mem[i-r.b.sealed], nil
	}
	if r.at == i {
		return r.open, nil
	}
	if r.open == nil {
		r.open = r.b.pool.getChunk()
	}
	r.at = -1
	length := min(chunkSize, r.b.size-i*chunkSize) + sealOverhead
	r.open.used = max(r.open.used, int(length))
	if _, err := r.b.file.ReadAt(r.open.b[:length], i*(chunkSize+sealOverhead)); err != nil {
		if errors.Is(err, io.EOF) { // the file's end, not that of what it holds
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("buffer: read: %w", err)
	}
	plain, err := r.b.aead.Open(r.open.b[:0], nonce(i), r.open.b[:length], nil)
	if err != nil {
		return nil, errors.New("buffer: read: the file was changed")
	}
	r.open.n, r.at = len(plain), i
	return r.open, nil
}

// Seek implements io.Seeker. A place past the end is legal; reading there is io.EOF.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	r.b.mu.RLock()
	defer r.b.mu.RUnlock()
	if r.closed || r.b.closed {
		return 0, ErrClosed
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.b.size
	default:
		return 0, errors.New("buffer: seek: unknown whence")
	}
	if offset < 0 {
		return 0, errors.New("buffer: seek: before the start")
	}
	r.pos = offset
	return offset, nil
}

// Close gives the reader's memory back. A second Close does nothing.
func (r *reader) Close() error {
	r.closed = true
	if r.open != nil {
		r.b.pool.putChunk(r.open)
		r.open, r.at = nil, -1
	}
	return nil
}
