// Package buffer keeps a document's bytes while it is judged: in memory up to
// a bound, past it in an unlinked file sealed under a key that lives only in
// memory.
//
// It promises that no plaintext reaches a disk, that nothing is left behind
// when the process dies, and that memory and disk stay within the bounds of
// the Pool, whatever the number of documents.
package buffer

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Config bounds a Pool.
type Config struct {
	MemoryEach int64  // bytes a Buffer keeps in memory before it moves to a file, rounded up to 64 KiB
	MemoryAll  int64  // bytes all Buffers keep in memory; past it they move to files, which half of it stands in for where the disk takes none
	DiskAll    int64  // bytes all files may take, seals included; 0 allows none
	Dir        string // folder of the unlinked files, created 0700; must not be empty unless DiskAll is 0
}

// Default returns bounds that let a hundred messages of 50 MiB be judged at
// once in 128 MiB of memory. Dir is left to the caller.
func Default() Config {
	return Config{MemoryEach: 1 << 20, MemoryAll: 128 << 20, DiskAll: 8 << 30}
}

// Pool makes Buffers and holds them, taken together, to the bounds of its
// Config. It is safe for any number of goroutines.
type Pool struct {
	cfg    Config
	chunks sync.Pool // of *chunk, cleared

	mu     sync.Mutex // guards memory and disk
	memory int64      // bytes in chunks held by Buffers
	disk   int64      // bytes in files
}

// NewPool checks cfg, makes the folder and tries a file in it, so that a
// folder that cannot be written is found at start.
func NewPool(cfg Config) (*Pool, error) {
	if cfg.MemoryEach < 0 || cfg.MemoryAll < 0 || cfg.DiskAll < 0 {
		return nil, errors.New("buffer: bounds must not be negative")
	}
	if cfg.DiskAll > 0 {
		if cfg.Dir == "" {
			return nil, errors.New("buffer: a folder is needed for what passes memory")
		}
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("buffer: folder: %w", err)
		}
		f, err := unlinkedFile(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("buffer: folder: %w", err)
		}
		f.Close() // nothing was written to it
	}
	return &Pool{cfg: cfg, chunks: sync.Pool{New: func() any { return new(chunk) }}}, nil
}

// New returns an empty Buffer. The caller closes it.
func (p *Pool) New() *Buffer { return &Buffer{pool: p} }

// Usage says how much a Pool holds, in bytes.
type Usage struct{ Memory, Disk int64 }

// Usage returns what the Pool's Buffers hold now. What readers have open (64
// KiB each at most) is not counted.
func (p *Pool) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Usage{Memory: p.memory, Disk: p.disk}
}

func (p *Pool) reserveMemory(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.memory+n > p.cfg.MemoryAll {
		return false
	}
	p.memory += n
	return true
}

// reserveSpare is reserveMemory within the first half of MemoryAll.
func (p *Pool) reserveSpare(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.memory+n > p.cfg.MemoryAll/2 {
		return false
	}
	p.memory += n
	return true
}

func (p *Pool) addMemory(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memory += n
}

func (p *Pool) reserveDisk(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.disk+n > p.cfg.DiskAll {
		return false
	}
	p.disk += n
	return true
}

func (p *Pool) release(memory, disk int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memory -= memory
	p.disk -= disk
}

func (p *Pool) getChunk() *chunk {
	c := p.chunks.Get().(*chunk)
	c.n = 0
	return c
}

// putChunk takes c back, wiped: a freed chunk holds nothing of a document.
func (p *Pool) putChunk(c *chunk) {
	clear(c.b[:c.used])
	c.used = 0
	p.chunks.Put(c)
}

// unlinkedFile opens a file in dir that has no name: the kernel frees it when
// the process ends, however it ends. O_EXCL forbids naming it later, open(2).
func unlinkedFile(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), "unlinked"), nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return nil, err
	}
	// Some file systems (overlay on old kernels, NFS) have no O_TMPFILE.
	f, err := os.CreateTemp(dir, "unlinked-*") // 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close() // the removal's error is the one to tell
		return nil, err
	}
	return f, nil
}
