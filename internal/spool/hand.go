package spool

import (
	"bytes"
	"os"
	"slices"
	"sync"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Hand tells the next process which messages were being delivered when this
// one died. Its file is written without a sync: what it says outlives the
// process, not the machine. A nil Hand notes nothing.
//
// The file has a place of 27 bytes for each message in hand: its ID and a line
// feed; a free place begins with a hyphen.
type Hand struct {
	left []dlp.ID // what an earlier process had in hand

	mu   sync.Mutex // guards all below
	f    *os.File
	held []bool // places that are taken
}

const handPlace = 27 // bytes: an ID is 26 characters

// OpenHand opens the file at path, or makes it, and reads what it says. The
// caller holds the data folder's lock.
func OpenHand(path string) (*Hand, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, safefile.Classify("open", err)
	}
	h := &Hand{f: f}
	buf := make([]byte, maxHand*handPlace)
	n, _ := f.ReadAt(buf, 0) // what cannot be read says nothing, and is written over
	for line := range bytes.Lines(buf[:n]) {
		id, err := dlp.ParseID(string(bytes.TrimSuffix(line, []byte{'\n'})))
		if err == nil && !slices.Contains(h.left, id) {
			h.left = append(h.left, id)
		}
	}
	return h, nil
}

// maxHand is the most messages that are noted at once. One beyond it is
// delivered without a note.
const maxHand = 1024

// Left returns what an earlier process had in hand when it died.
func (h *Hand) Left() []dlp.ID {
	if h == nil {
		return nil
	}
	return h.left
}

// Forget takes away what an earlier process left. It is called once what Left
// says is on record, and before the first Take.
func (h *Hand) Forget() error {
	if h == nil {
		return nil
	}
	h.left = nil
	return safefile.Classify("truncate", h.f.Truncate(0))
}

// Take notes that id is in hand until done is called. A note that cannot be
// written is left out: a full disk must not keep the outbox from emptying.
func (h *Hand) Take(id dlp.ID) (done func()) {
	if h == nil {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.held, false)
	switch {
	case i >= 0:
		h.held[i] = true
	case len(h.held) < maxHand:
		i = len(h.held)
		h.held = append(h.held, true)
	default:
		return func() {}
	}
	h.write(i, string(id))
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held[i] = false
		h.write(i, "-")
	}
}

// write fills a place. The caller holds mu.
func (h *Hand) write(i int, what string) {
	line := append(bytes.Repeat([]byte{'-'}, handPlace-1), '\n')
	copy(line, what)
	_, _ = h.f.WriteAt(line, int64(i)*handPlace) // see Take
}

// Close ends with what is still in hand noted.
func (h *Hand) Close() error {
	if h == nil {
		return nil
	}
	return safefile.Classify("close", h.f.Close())
}
