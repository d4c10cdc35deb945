package buffer

import (
	"fmt"
	"os"
	"sync"
)

// Chunks returns all that p has lent, from now on.
func (p *Pool) Chunks() func() [][]byte {
	var mu sync.Mutex
	var all [][]byte
	p.chunks.New = func() any {
		mu.Lock()
		defer mu.Unlock()
		c := new(chunk)
		all = append(all, c.b[:])
		return c
	}
	return func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// BreakFile makes the file that b moved to refuse every write.
func (b *Buffer) BreakFile() { b.reopen(os.O_RDONLY) }

// MendFile takes BreakFile back.
func (b *Buffer) MendFile() { b.reopen(os.O_RDWR) }

func (b *Buffer) reopen(flag int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", b.file.Fd()), flag, 0)
	if err != nil {
		panic(err)
	}
	b.file.Close()
	b.file = f
}
