package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// head is what is signed of the log: how long it is, its root, and where its
// open decisions begin. docs/audit.md has the bytes.
type head struct {
	size      int64 // lines
	root      tlog.Hash
	gen       uint64 // each head written has one more
	bytes     int64  // of the log file, up to size
	lowSeq    int64  // no line before it awaits an outcome
	lowOffset int64  // where it begins in the log file
	closed    bool   // the log was closed whole: nothing may follow
}

const (
	stateOpen   = "open"
	stateClosed = "closed"
)

// slotSize is room for a signed head, which is 250 to 350 bytes long.
const slotSize = 1024

// encode returns the head as a signed note.
func (h *head) encode(k *keys) ([]byte, error) {
	state := stateOpen
	if h.closed {
		state = stateClosed
	}
	text := fmt.Sprintf("%s\n%d\n%s\nversion %d\ngen %d\nbytes %d\nlow %d %d\nstate %s\n",
		origin, h.size, h.root, formatVersion, h.gen, h.bytes, h.lowSeq, h.lowOffset, state)
	b, err := note.Sign(&note.Note{Text: text}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("audit: sign head: %w", err)
	}
	return b, nil
}

var errHead = errors.New("not a signed head")

// decodeHead reads a signed note and checks its signature.
func decodeHead(b []byte, k *keys) (head, error) {
	var h head
	n, err := note.Open(b, note.VerifierList(k.verifier))
	if err != nil {
		return h, errHead
	}
	lines := strings.Split(strings.TrimSuffix(n.Text, "\n"), "\n")
	if len(lines) != 8 || lines[0] != origin || lines[3] != "version "+strconv.Itoa(formatVersion) {
		return h, errHead
	}
	if h.root, err = tlog.ParseHash(lines[2]); err != nil {
		return h, errHead
	}
	var state string
	if _, err := fmt.Sscanf(lines[1], "%d", &h.size); err != nil {
		return h, errHead
	}
	if _, err := fmt.Sscanf(strings.Join(lines[4:], "\n"), "gen %d\nbytes %d\nlow %d %d\nstate %s",
		&h.gen, &h.bytes, &h.lowSeq, &h.lowOffset, &state); err != nil {
		return h, errHead
	}
	h.closed = state == stateClosed
	if h.size < 1 || h.bytes < 1 || h.lowSeq < 0 || h.lowOffset < 0 || h.lowOffset > h.bytes || h.lowSeq > h.size {
		return h, errHead
	}
	return h, nil
}

// anchorFile keeps the last two heads outside the log's folder, in two slots
// that are written in turn: a torn write costs one of them.
type anchorFile struct {
	f file
	k *keys
}

// write puts h, which carries a new gen, into its slot.
func (a anchorFile) write(h head) error {
	b, err := h.encode(a.k)
	if err != nil {
		return err
	}
	slot := make([]byte, slotSize)
	copy(slot, b)
	if _, err := a.f.WriteAt(slot, int64(h.gen%2)*slotSize); err != nil {
		return failed("write head", err)
	}
	return nil
}

// readAnchor returns the newest head. ok is false when the file is empty;
// errHead when it is not and no slot holds a head.
func readAnchor(f io.ReaderAt, k *keys) (newest head, ok bool, err error) {
	var b [2 * slotSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return head{}, false, failed("read head", err)
	}
	for i := range 2 {
		h, err := decodeHead(bytes.TrimRight(b[i*slotSize:(i+1)*slotSize], "\x00"), k)
		if err == nil && (!ok || h.gen > newest.gen) {
			newest, ok = h, true
		}
	}
	if !ok && len(bytes.Trim(b[:n], "\x00")) > 0 {
		return head{}, false, errHead
	}
	return newest, ok, nil
}
