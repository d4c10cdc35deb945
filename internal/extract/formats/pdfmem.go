package formats

import (
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// pdfPages is the memory of a wasm module outside Go's heap: address space is
// reserved once, and opened for use as the module grows. Growing copies
// nothing, the collector never sees it, and the bound holds.
type pdfPages struct {
	b    []byte
	open uint64 // bytes from the start that may be used
}

// reserve makes the memory of a module that asks for at most most bytes.
func reserve(_, most uint64) experimental.LinearMemory {
	b, err := unix.Mmap(-1, 0, int(min(most, pdfMemory)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		panic("formats: no address space for pdfium") // nothing of the document is in it
	}
	return &pdfPages{b: b}
}

// Reallocate returns n usable bytes, nil past the bound.
func (m *pdfPages) Reallocate(n uint64) []byte {
	if n > uint64(len(m.b)) {
		return nil
	}
	if n > m.open {
		const page = 64 << 10
		to := min((n+page-1)&^(page-1), uint64(len(m.b)))
		if unix.Mprotect(m.b[m.open:to], unix.PROT_READ|unix.PROT_WRITE) != nil {
			return nil
		}
		m.open = to
	}
	return m.b[:n:len(m.b)]
}

// Free gives the memory back.
func (m *pdfPages) Free() {
	if m.b != nil {
		_ = unix.Munmap(m.b) // only a bad address fails, and then there is nothing to give back
		m.b = nil
	}
}
