package audit

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// Ends is what Peek saw.
type Ends struct {
	Events uint64    // under the signed head, and behind it
	Behind uint64    // of them, those behind the head
	Torn   int64     // bytes behind the last event
	Last   time.Time // of the last event; zero where there is none
	Closed bool      // the log was closed whole
}

// Peek checks a log's two ends and changes nothing: the signatures of
// checkpoint and head, the first line, the last line the head was signed for,
// and the seal of every line behind it. What lies between is Verify's to check.
// It takes the same time however long the log is.
//
// ErrBroken says what differs; any other error that it could not be looked at.
func Peek(ctx context.Context, dir, anchorPath, keyPath string) (Ends, error) {
	for try := 1; ; try++ {
		v := verifier{dir: dir}
		g, err := v.peek(ctx, anchorPath, keyPath)
		if err == nil || try == 3 || !v.moved(anchorPath) {
			return g, err
		}
	}
}

func (v *verifier) peek(ctx context.Context, anchorPath, keyPath string) (Ends, error) {
	if err := v.heads(anchorPath, keyPath); err != nil {
		return Ends{}, err
	}
	f, err := openOSRead(filepath.Join(v.dir, logName))
	if err != nil {
		return Ends{}, err
	}
	defer f.Close() // read only
	hf, err := openOSRead(filepath.Join(v.dir, hashesName))
	if err != nil {
		return Ends{}, err
	}
	defer hf.Close() // read only
	c := committer{log: osFile{f}, hashes: osFile{hf}}
	info, err := f.Stat()
	if err != nil {
		return Ends{}, failed("log", err)
	}
	if info.Size() < v.head.bytes {
		return Ends{}, broken(-1, "it has %d bytes, its head says %d", info.Size(), v.head.bytes)
	}
	if err := c.checkLast(v.head); err != nil {
		return Ends{}, err
	}
	g := Ends{Events: uint64(v.head.size - 1), Closed: v.head.closed}
	first := true
	if _, err := eachLine(ctx, f, 0, min(v.head.bytes, 2*maxLine), func(_ int64, line []byte) bool {
		_, first = parseLine(line, 0)
		return false
	}); err != nil {
		return Ends{}, err
	}
	if !first {
		return Ends{}, broken(0, "it does not begin a log of stanch")
	}
	seq := uint64(v.head.size)
	end, err := eachLine(ctx, f, v.head.bytes, info.Size(), func(_ int64, line []byte) bool {
		p, ok := parseLine(line, seq)
		if !ok || v.keys.line == nil || !checkMAC(v.keys.line, line) {
			return false
		}
		seq++
		g.Events, g.Behind, g.Last = g.Events+1, g.Behind+1, p.Time
		return true
	})
	if err != nil {
		return g, err
	}
	g.Torn = info.Size() - end
	if v.head.closed && g.Torn+int64(g.Behind) > 0 {
		return g, broken(v.head.size, "%d bytes follow the end of a log that was closed", info.Size()-v.head.bytes)
	}
	if g.Last.IsZero() && v.head.size > 1 {
		g.Last, err = lastTime(f, v.head)
	}
	return g, err
}

// lastTime is the time of the last line that the head covers.
func lastTime(f *os.File, h head) (time.Time, error) {
	from := max(0, h.bytes-maxLine)
	b := make([]byte, h.bytes-from)
	if _, err := f.ReadAt(b, from); err != nil {
		return time.Time{}, failed("read", err)
	}
	p, ok := parseLine(lastLine(b), uint64(h.size-1))
	if !ok {
		return time.Time{}, broken(h.size-1, "it is no event of this log")
	}
	return p.Time, nil
}

func openOSRead(path string) (*os.File, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, broken(-1, "%s is gone", filepath.Base(path))
	}
	return f, failed("open", err)
}
