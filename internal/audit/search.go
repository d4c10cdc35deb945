package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Line is an event as it stands in the log.
type Line struct {
	Seq             uint64       `json:"seq"`
	Time            time.Time    `json:"time"`
	Kind            Kind         `json:"kind"`
	Doc             dlp.ID       `json:"doc"`
	Of              dlp.ID       `json:"of"`
	Channel         string       `json:"channel"`
	Action          string       `json:"action"`
	Monitored       string       `json:"monitored"`
	MonitoredPolicy string       `json:"monitored_policy"`
	Policy          string       `json:"policy"`
	Rules           []dlp.RuleID `json:"rules"`
	Causes          []string     `json:"causes"`
	Ways            []string     `json:"ways"`
	Findings        int          `json:"findings"`
	Gaps            int          `json:"gaps"`
	Rcpts           int          `json:"rcpts"`
	Sender          string       `json:"sender"`
	RcptKeys        []string     `json:"rcpt_keys"`
	Actor           string       `json:"actor"`
	For             string       `json:"for"` // in whose place
	Reason          string       `json:"reason"`
	Result          string       `json:"result"`
	Until           time.Time    `json:"until"`
	Ref             uint64       `json:"ref"`
}

// Query says which lines are looked for: those for which all of it holds.
type Query struct {
	Doc     dlp.ID    // named as Doc or Of
	Persons []string  // one of these keyed pseudonyms sent it or gets it
	Actor   string    // who did it, or in whose place it was done
	Kinds   []Kind    // one of these; none: any
	Since   time.Time // not before; zero: any
	Until   time.Time // before; zero: any
	// MaxBytes bounds how much of the log one Search reads; 0: maxSearched.
	MaxBytes int64
}

// maxSearched bounds how much of the log one Search reads, in bytes.
const maxSearched = 64 << 20

// disorder bounds how far a line may stand behind one that tells of a later
// time: lines are written in groups, each as it was handed over.
const disorder = time.Minute

// ErrPlace says that a search was to go on from where no line ends.
var ErrPlace = errors.New("audit: no line ends there")

// Search returns at most limit lines that q asks for, the newest first, of those
// that end at the byte before or earlier; 0 begins at the end. more is where
// to go on, 0 where nothing is left. It reads a bounded part of the log, so
// that it may return fewer lines, and more.
func (l *Log) Search(ctx context.Context, q Query, before int64, limit int) (found []Line, more int64, err error) {
	l.state.Lock()
	size := l.size
	l.state.Unlock()
	f, err := os.Open(filepath.Join(l.opt.Dir, logName))
	if err != nil {
		return nil, 0, failed("read", err)
	}
	defer f.Close() // read only
	if before == 0 {
		if before, err = placeOf(f, size, q.Until); err != nil {
			return nil, 0, err
		}
	} else if ok, err := endsAt(f, before, size); err != nil || !ok {
		return nil, 0, errors.Join(err, ErrPlace)
	}
	floor := int64(0) // no line before it is of Since or later
	if !q.Since.IsZero() {
		if floor, _, err = around(f, size, q.Since.Add(-2*disorder)); err != nil {
			return nil, 0, err
		}
	}
	least := before - cmp.Or(q.MaxBytes, maxSearched)
	goesOn := func(start int64) bool {
		if more = start; start <= floor {
			more = 0
		}
		return more > max(0, least)
	}
	err = backwards(ctx, f, before, func(start int64, b []byte) (bool, error) {
		if !q.mayMatch(b) {
			return goesOn(start), nil
		}
		var x Line
		if err := json.Unmarshal(b, &x); err != nil {
			return false, broken(-1, "a line is no event")
		}
		if !q.Since.IsZero() && x.Time.Before(q.Since.Add(-disorder)) {
			more = 0
			return false, nil
		}
		if q.matches(&x) {
			found = append(found, x)
		}
		return goesOn(start) && len(found) < limit, nil
	})
	return found, more, err
}

// mayMatch tells by its bytes lines that need not be taken apart.
func (q *Query) mayMatch(b []byte) bool {
	has := func(s string) bool { return bytes.Contains(b, []byte(s)) }
	switch {
	case q.Doc != "" && !has(string(q.Doc)), len(q.Persons) > 0 && !slices.ContainsFunc(q.Persons, has), q.Actor != "" && !has(q.Actor):
		return false
	}
	return true
}

func (q *Query) matches(x *Line) bool {
	switch {
	case x.Kind == "", // line 0
		q.Doc != "" && x.Doc != q.Doc && x.Of != q.Doc,
		len(q.Persons) > 0 && !slices.ContainsFunc(q.Persons, func(p string) bool { return x.Sender == p || slices.Contains(x.RcptKeys, p) }),
		q.Actor != "" && x.Actor != q.Actor && x.For != q.Actor,
		len(q.Kinds) > 0 && !slices.Contains(q.Kinds, x.Kind),
		!q.Since.IsZero() && x.Time.Before(q.Since),
		!q.Until.IsZero() && !x.Time.Before(q.Until):
		return false
	}
	return true
}

// endsAt reports whether a line ends at the byte at.
func endsAt(f *os.File, at, size int64) (bool, error) {
	if at <= 0 || at > size {
		return false, nil
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at-1); err != nil {
		return false, failed("read", err)
	}
	return b[0] == '\n', nil
}

// placeOf returns where a line ends behind which no line tells of a time before
// t; size for the zero time.
func placeOf(f *os.File, size int64, t time.Time) (int64, error) {
	if t.IsZero() {
		return size, nil
	}
	_, high, err := around(f, size, t)
	return high, err
}

// around narrows down where lines of the time t are: a line that begins at low tells
// of a time before t and disorder, or low is 0; one that begins at high does not.
// At most maxLine bytes lie between, but for the last lines of the log.
func around(f *os.File, size int64, t time.Time) (low, high int64, err error) {
	high = size
	buf := make([]byte, maxLine*2)
	for high-low > maxLine {
		mid := low + (high-low)/2
		b := buf[:min(int64(len(buf)), size-mid)]
		if _, err := f.ReadAt(b, mid); err != nil {
			return 0, 0, failed("read", err)
		}
		begin := bytes.IndexByte(b, '\n') + 1
		end := bytes.IndexByte(b[begin:], '\n')
		if begin == 0 || end < 0 || mid+int64(begin) >= high {
			break // the last lines: they are few
		}
		var p parsed
		if err := json.Unmarshal(b[begin:begin+end], &p); err != nil {
			return 0, 0, broken(-1, "a line is no event")
		}
		if p.Time.Before(t.Add(disorder)) {
			low = mid + int64(begin)
		} else {
			high = mid + int64(begin)
		}
	}
	return low, high, nil
}

// backwards calls use with each whole line that ends at to or before, the last
// first, and where it begins, until use returns false or an error.
func backwards(ctx context.Context, f *os.File, to int64, use func(start int64, line []byte) (bool, error)) error {
	buf := make([]byte, backBytes)
	for to > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := max(to-backBytes, 0)
		b := buf[:to-from]
		if _, err := f.ReadAt(b, from); err != nil {
			return failed("read", err)
		}
		whole := 0 // where the first whole line begins
		if from > 0 {
			whole = bytes.IndexByte(b, '\n') + 1
		}
		if whole == len(b) || from > 0 && whole == 0 {
			return broken(-1, "a line is longer than any")
		}
		for end := len(b); end > whole; {
			at := max(bytes.LastIndexByte(b[:end-1], '\n')+1, whole)
			if on, err := use(from+int64(at), b[at:end]); err != nil || !on {
				return err
			}
			end = at
		}
		to = from + int64(whole)
	}
	return nil
}
