package extract_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/extract/formats"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// TestMain lets the test binary be the child that its pools start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == extract.ChildArg {
		c, err := formats.Process()
		c.OnBegin = breaks
		if err != nil || c.Serve() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// read is what a test sink was given: texts and media types by path, in order.
type read struct {
	paths []string
	parts map[string]dlp.PartInfo
	texts map[string]*strings.Builder
	spans map[string][]dlp.Span
	gaps  []dlp.Gap
	open  string
	err   error // to return from Text
	bad   []string
}

func newRead() *read {
	return &read{parts: map[string]dlp.PartInfo{}, texts: map[string]*strings.Builder{}, spans: map[string][]dlp.Span{}}
}

func (r *read) Part(p dlp.PartInfo) error {
	if _, twice := r.parts[p.Path]; twice {
		r.bad = append(r.bad, "part "+p.Path+" twice")
	}
	r.paths = append(r.paths, p.Path)
	r.parts[p.Path], r.texts[p.Path], r.open = p, &strings.Builder{}, p.Path
	return nil
}

func (r *read) Text(w dlp.Window) error {
	b := r.texts[r.open]
	if int64(b.Len()) != w.Offset {
		r.bad = append(r.bad, fmt.Sprintf("part %s: window at %d, want %d", r.open, w.Offset, b.Len()))
	}
	b.Write(w.Text)
	r.spans[r.open] = append(r.spans[r.open], w.Spans...)
	return r.err
}

func (r *read) Gap(g dlp.Gap) error {
	r.gaps = append(r.gaps, g)
	return nil
}

func (r *read) text(path string) string {
	if b := r.texts[path]; b != nil {
		return b.String()
	}
	return "(no part)"
}

// all joins the texts of all parts.
func (r *read) all() string {
	var b strings.Builder
	for _, p := range r.paths {
		b.WriteString(r.texts[p].String())
		b.WriteByte('\n')
	}
	return b.String()
}

// told lists gaps as "path cause detail".
func (r *read) told() []string {
	s := make([]string, 0, len(r.gaps))
	for _, g := range r.gaps {
		s = append(s, strings.TrimSpace(g.Path+" "+g.Cause.String()+" "+g.Detail))
	}
	return s
}

func newPool(t testing.TB, change func(*extract.Config)) *extract.Pool {
	t.Helper()
	cfg := extract.Default()
	cfg.Workers = 2
	cfg.OCR.Enabled = extract.OCROff // pictures have tests of their own
	if change != nil {
		change(&cfg)
	}
	p, err := extract.NewPool(cfg, extract.Deps{CacheDir: cacheDir(t), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// cacheDir is where compiled pdfium is kept from one test to the next.
func cacheDir(t testing.TB) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "stanch")
}

type bytesFile struct{ *bytes.Reader }

func (bytesFile) Close() error { return nil }

func document(ch dlp.Channel, b []byte) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: ch, Received: time.Unix(0, 0), Size: int64(len(b)),
		Open: func() (io.ReadSeekCloser, error) { return bytesFile{bytes.NewReader(b)}, nil }}
}

func get(t testing.TB, p *extract.Pool, ch dlp.Channel, b []byte) *read {
	t.Helper()
	r := newRead()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("test takes too long"))
	defer cancel()
	if err := p.Extract(ctx, document(ch, b), r); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.bad {
		t.Error(s)
	}
	return r
}

// mail writes a message with LF turned into CRLF.
func mail(lines ...string) []byte {
	return []byte(strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\r\n"))
}

// breaks breaks the child at a file whose name says how.
func breaks(u wire.Unit) {
	switch {
	case strings.HasPrefix(u.Name, "break-by-exit"):
		os.Exit(3)
	case strings.HasPrefix(u.Name, "break-by-hanging"):
		time.Sleep(time.Hour) // until it is killed
	case strings.HasPrefix(u.Name, "break-by-reading-a-file"):
		_, _ = os.ReadFile("/etc/passwd") // whatever comes of it, the child is to end here
	case strings.HasPrefix(u.Name, "strain"):
		strain()
	case strings.HasPrefix(u.Name, "break-by-swelling"):
		var kept [][]byte
		for len(kept) < 1<<20 {
			b := make([]byte, 8<<20)
			for i := 0; i < len(b); i += 512 {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	case strings.HasPrefix(u.Name, "break-by-garbage"):
		_, _ = os.Stdout.Write(bytes.Repeat([]byte{0xff}, 64))
		time.Sleep(time.Hour)
	}
}
