package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// eachLine calls use with each whole line of r in [from, to), LF included, and
// the place it begins at, until use returns false or a line is longer than
// maxLine or lacks its LF. It returns where the first line that was not used
// begins. line is valid during the call only.
func eachLine(ctx context.Context, r io.ReaderAt, from, to int64, use func(at int64, line []byte) bool) (int64, error) {
	br := bufio.NewReaderSize(io.NewSectionReader(r, from, to-from), maxLine)
	for i := 0; ; i++ {
		if i%4096 == 0 && ctx.Err() != nil {
			return from, ctx.Err()
		}
		line, err := br.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull), errors.Is(err, io.EOF):
			return from, nil
		case err != nil:
			return from, failed("read", err)
		}
		if !use(from, line) {
			return from, nil
		}
		from += int64(len(line))
	}
}

func countLines(ctx context.Context, r io.ReaderAt, to int64) (n int64, err error) {
	_, err = eachLine(ctx, r, 0, to, func(int64, []byte) bool { n++; return true })
	return n, err
}

// lastLine returns the last line of b with its LF, nil if b ends in none.
func lastLine(b []byte) []byte {
	rest, ok := bytes.CutSuffix(b, []byte{'\n'})
	if !ok {
		return nil
	}
	return b[bytes.LastIndexByte(rest, '\n')+1:]
}

// Export writes the lines with since <= time < until, as they stand in the
// log; a zero time sets no bound. It writes what was on stable storage when it
// began.
func (l *Log) Export(w io.Writer, since, until time.Time) error {
	l.state.Lock()
	size := l.size
	l.state.Unlock()
	return export(context.Background(), filepath.Join(l.opt.Dir, logName), size, w, since, until)
}

// ExportDir is Export of the log in dir, whether or not a process has it open:
// it writes the whole lines that stand in the file when it begins.
func ExportDir(ctx context.Context, dir string, w io.Writer, since, until time.Time) error {
	path := filepath.Join(dir, logName)
	info, err := os.Stat(path)
	if err != nil {
		return failed("export", err)
	}
	return export(ctx, path, info.Size(), w, since, until)
}

func export(ctx context.Context, path string, size int64, w io.Writer, since, until time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return failed("export", err)
	}
	defer f.Close() // read only
	out := bufio.NewWriter(w)
	var seq uint64
	bad := false
	_, err = eachLine(ctx, f, 0, size, func(_ int64, line []byte) bool {
		p, ok := parseLine(line, seq)
		if !ok {
			bad = true
			return false
		}
		seq++
		if p.Time.Before(since) || !until.IsZero() && !p.Time.Before(until) {
			return true
		}
		_, err := out.Write(line)
		return err == nil // Flush returns it again
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	if bad {
		return broken(int64(seq), "it is no event of this log")
	}
	return nil
}
