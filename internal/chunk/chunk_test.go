package chunk_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stanch-dlp/stanch/internal/chunk"
)

// TestRead: io.EOF itself ends a source, and no other error does.
func TestRead(t *testing.T) {
	cut := errors.New("cut")
	failing := func(err error) io.Reader { return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(err)) }
	for name, c := range map[string]struct {
		src   io.Reader
		n     int
		ended bool
		fails bool
	}{
		"more than fits":      {strings.NewReader("abcdef"), 5, false, false},
		"as much as fits":     {strings.NewReader("abcde"), 5, false, false},
		"less":                {strings.NewReader("abc"), 3, true, false},
		"nothing":             {strings.NewReader(""), 0, true, false},
		"a byte at a time":    {iotest.OneByteReader(strings.NewReader("abcd")), 4, true, false},
		"its end with bytes":  {iotest.DataErrReader(strings.NewReader("abc")), 3, true, false},
		"cut":                 {failing(cut), 3, false, true},
		"cut, and says so":    {failing(io.ErrUnexpectedEOF), 3, false, true},
		"cut, and wraps EOF":  {failing(fmt.Errorf("read: %w", io.EOF)), 3, false, true},
		"cut before anything": {iotest.ErrReader(io.ErrUnexpectedEOF), 0, false, true},
	} {
		buf := make([]byte, 5)
		n, ended, err := chunk.Read(buf, c.src)
		if n != c.n || ended != c.ended || (err != nil) != c.fails || string(buf[:n]) != "abcde"[:n] {
			t.Errorf("%s: %d bytes %q, ended %t, %v", name, n, buf[:n], ended, err)
		}
	}
}
