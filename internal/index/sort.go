package index

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// runEntries is how many entries are sorted in memory at once: 64 MiB.
const runEntries = 4 << 20

// sorter sorts entries in memory that is bounded, by runs in files. The files
// have no name, so that they are gone however the process ends; they hold tokens
// only.
type sorter struct {
	dir  string
	max  int // entries of a run
	buf  []entry
	runs []*os.File
	n    uint64
}

// add takes an entry.
func (s *sorter) add(e entry) error {
	if len(s.buf) == s.max {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buf = append(s.buf, e)
	s.n++
	return nil
}

// spill writes the run in memory to a file.
func (s *sorter) spill() error {
	slices.SortFunc(s.buf, entry.compare)
	f, err := os.CreateTemp(s.dir, ".stanch-tmp-*")
	if err != nil {
		return fmt.Errorf("index: sort: %w", safefile.Classify("create", err))
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("index: sort: %w", safefile.Classify("remove", err))
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var rec [recSize]byte
	for _, e := range s.buf {
		binary.BigEndian.PutUint64(rec[:], e.hi)
		binary.BigEndian.PutUint32(rec[8:], e.lo)
		binary.BigEndian.PutUint32(rec[12:], e.ref)
		if _, err := w.Write(rec[:]); err != nil {
			return fmt.Errorf("index: sort: %w", safefile.Classify("write", err))
		}
	}
	s.buf = s.buf[:0]
	err = w.Flush()
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("index: sort: %w", safefile.Classify("write", err))
	}
	return nil
}

// each hands all entries to take, ascending. The sorter is empty then.
func (s *sorter) each(take func(entry)) error {
	if len(s.runs) == 0 {
		slices.SortFunc(s.buf, entry.compare)
		for _, e := range s.buf {
			take(e)
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.buf = nil
	var h runHeap
	for _, f := range s.runs {
		r := &run{r: bufio.NewReaderSize(f, 256<<10)}
		more, err := r.next()
		if err != nil {
			return err
		}
		if more {
			h = append(h, r)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		take(h[0].e)
		more, err := h[0].next()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return nil
}

// close gives the files back.
func (s *sorter) close() {
	for _, f := range s.runs {
		_ = f.Close() // it has no name: nothing is lost
	}
}

// run is a sorted file that is being read.
type run struct {
	r *bufio.Reader
	e entry
}

func (r *run) next() (more bool, err error) {
	var rec [recSize]byte
	if _, err := io.ReadFull(r.r, rec[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, fmt.Errorf("index: sort: %w", safefile.Classify("read", err))
	}
	r.e = entry{token{binary.BigEndian.Uint64(rec[:]), binary.BigEndian.Uint32(rec[8:])}, binary.BigEndian.Uint32(rec[12:])}
	return true, nil
}

type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].e.compare(h[j].e) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
