package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Place is a place between two lines of a log.
type Place struct {
	Seq    uint64 `json:"seq"`    // of the line behind it
	Offset int64  `json:"offset"` // of that line in the file
	MAC    string `json:"mac"`    // of the line before it: says that this is the log the place was taken in
}

// End returns the place behind the last line on stable storage.
func (l *Log) End() (Place, error) {
	l.state.Lock()
	size := l.size
	l.state.Unlock()
	f, err := os.Open(filepath.Join(l.opt.Dir, logName))
	if err != nil {
		return Place{}, failed("read", err)
	}
	defer f.Close() // read only
	return endAt(f, size)
}

// endAt returns the place at the byte size of f, where a line ends.
func endAt(f *os.File, size int64) (Place, error) {
	from := max(0, size-maxLine)
	b := make([]byte, size-from)
	if _, err := f.ReadAt(b, from); err != nil {
		return Place{}, failed("read", err)
	}
	line := lastLine(b)
	var p parsed
	if err := json.Unmarshal(line, &p); err != nil || p.V != formatVersion {
		return Place{}, broken(-1, "it ends in no event of this log")
	}
	return Place{Seq: p.Seq + 1, Offset: size, MAC: macOf(line)}, nil
}

// Follow calls use with each line on stable storage behind from, without its
// LF, and the place behind that line, until use returns false or they end. It
// returns the place before the first line that was not used. line is valid
// during the call only.
//
// ok is false where from is no place of this log: it was taken in one that a
// restore has replaced.
func (l *Log) Follow(ctx context.Context, from Place, use func(line []byte, after Place) bool) (at Place, ok bool, err error) {
	l.state.Lock()
	size := l.size
	l.state.Unlock()
	return follow(ctx, l.opt.Dir, from, size, use)
}

// FollowDir is Follow of the log in dir, whether or not a process has it open.
func FollowDir(ctx context.Context, dir string, from Place, use func(line []byte, after Place) bool) (at Place, ok bool, err error) {
	info, err := os.Stat(filepath.Join(dir, logName))
	if err != nil {
		return from, false, failed("read", err)
	}
	return follow(ctx, dir, from, info.Size(), use)
}

func follow(ctx context.Context, dir string, from Place, size int64, use func([]byte, Place) bool) (Place, bool, error) {
	if from.Offset > size || from.Offset < 0 {
		return from, false, nil
	}
	f, err := os.Open(filepath.Join(dir, logName))
	if err != nil {
		return from, false, failed("read", err)
	}
	defer f.Close() // read only
	if from.Offset > 0 {
		if at, err := endAt(f, from.Offset); err != nil || at != from {
			return from, false, nil // what stands there is another log's
		}
	}
	at, bad := from, false
	_, err = eachLine(ctx, f, from.Offset, size, func(start int64, line []byte) bool {
		if _, ok := parseLine(line, at.Seq); !ok {
			bad = true
			return false
		}
		after := Place{Seq: at.Seq + 1, Offset: start + int64(len(line)), MAC: macOf(line)}
		if !use(line[:len(line)-1], after) {
			return false
		}
		at = after
		return true
	})
	if err == nil && bad {
		err = broken(int64(at.Seq), "it is no event of this log")
	}
	return at, true, err
}

// Since returns the place before the first line that tells of a time after t.
func (l *Log) Since(ctx context.Context, t time.Time) (Place, error) {
	at, _, err := l.Follow(ctx, Place{}, func(line []byte, _ Place) bool {
		var p parsed
		return json.Unmarshal(line, &p) == nil && !p.Time.After(t)
	})
	return at, err
}

// PlaceBefore returns a place in the log in dir before which no line tells of a time
// at or after t. It reads a few lines, however long the log is.
func PlaceBefore(dir string, t time.Time) (Place, error) {
	f, err := os.Open(filepath.Join(dir, logName))
	if err != nil {
		return Place{}, failed("read", err)
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return Place{}, failed("read", err)
	}
	low, _, err := around(f, info.Size(), t.Add(-2*disorder))
	if err != nil || low == 0 {
		return Place{}, err
	}
	return endAt(f, low)
}

// Checkpoint returns the newest signed head, for those outside: a signed note.
func (l *Log) Checkpoint() ([]byte, error) {
	b, err := os.ReadFile(l.opt.AnchorPath)
	if err != nil {
		return nil, failed("checkpoint", err)
	}
	var (
		newest head
		text   []byte
	)
	for slot := range slices.Chunk(b, slotSize) { // one may be written at this moment
		note := bytes.TrimRight(slot, "\x00")
		if h, err := decodeHead(note, l.c.keys); err == nil && (text == nil || h.gen > newest.gen) {
			newest, text = h, note
		}
	}
	if text == nil {
		return nil, failed("checkpoint", errHead)
	}
	return text, nil
}

// macOf is the MAC at the end of a line with its LF; "" where it is too short.
func macOf(line []byte) string {
	if len(line) < macLength {
		return ""
	}
	return string(line[len(line)-len(`0123456789abcdef"}`+"\n"):][:16])
}
