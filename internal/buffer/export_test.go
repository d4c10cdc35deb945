package buffer

import "sync"

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
