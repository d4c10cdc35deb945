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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// brokenMail has a part of that name between two good ones.
func brokenMail(names ...string) []byte {
	lines := []string{"From: a@clinic.example", "Subject: three parts", "Content-Type: multipart/mixed; boundary=b", "",
		"--b", "", "first part"}
	for _, n := range names {
		lines = append(lines, "--b", `Content-Disposition: attachment; filename="`+n+`.txt"`, "", "never seen")
	}
	return mail(append(lines, "--b", "", "last part", "--b--", "")...)
}

// TestEndingIsTold holds that the log says how a child ended.
func TestEndingIsTold(t *testing.T) {
	for file, want := range map[string]string{"break-by-exit": "result=exit_3", "break-by-garbage": "result=sigkill"} {
		var log bytes.Buffer
		cfg := extract.Default()
		cfg.OCR.Enabled = extract.OCROff
		p, err := extract.NewPool(cfg, extract.Deps{CacheDir: cacheDir(t), Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		get(t, p, dlp.Mail, brokenMail(file))
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "cause=crashed "+want+"\n") {
			t.Errorf("%s: the log is %q, want %q in it", file, log.String(), want)
		}
	}
}

func TestBrokenPart(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want string
	}{
		"crash":   {"break-by-exit", "2 crashed"},
		"hang":    {"break-by-hanging", "2 timeout"},
		"swell":   {"break-by-swelling", "2 too_large"},
		"garbage": {"break-by-garbage", "2 crashed"},
		"forbid":  {"break-by-reading-a-file", "2 crashed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, func(cfg *extract.Config) {
				cfg.MaxMemory = 96 << 20
				cfg.PartTimeout = dlp.Duration(time.Minute) // however busy the machine is, the clock must not be first
				if name == "hang" {
					cfg.PartTimeout = dlp.Duration(2 * time.Second)
				}
			})
			r := get(t, p, dlp.Mail, brokenMail(c.file))
			if got, want := r.told(), []string{c.want}; !slices.Equal(got, want) {
				t.Errorf("gaps: got %q, want %q", got, want)
			}
			if r.gaps[0].Name != c.file+".txt" {
				t.Errorf("name of the gap: got %q", r.gaps[0].Name)
			}
			for path, want := range map[string]string{"1": "first part", "3": "last part"} {
				if got := r.text(path); got != want {
					t.Errorf("part %s: got %q, want %q", path, got, want)
				}
			}
			if got := r.text("HEADER"); strings.Count(got, "three parts") != 1 {
				t.Errorf("header: got %q, want it once", got)
			}
			if again := get(t, p, dlp.Mail, mail("Subject: x", "", "after it")); again.text("1") != "after it" {
				t.Errorf("the next document: got %q", again.all())
			}
		})
	}
}

func TestTooManyBrokenParts(t *testing.T) {
	p := newPool(t, func(c *extract.Config) { c.MaxRestarts = 2 })
	r := get(t, p, dlp.Mail, brokenMail("break-by-exit-1", "break-by-exit-2", "break-by-exit-3", "break-by-exit-4"))
	want := []string{"2 crashed", "3 crashed", "4 crashed", "crashed rest of the document"}
	if got := r.told(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := r.text("1"); got != "first part" {
		t.Errorf("what came before: got %q", got)
	}
}

func TestDocumentDeadline(t *testing.T) {
	p := newPool(t, func(c *extract.Config) { c.DocumentTimeout = dlp.Duration(500 * time.Millisecond) })
	r := get(t, p, dlp.Mail, brokenMail("break-by-hanging"))
	if got, want := r.told(), []string{"2 timeout", "timeout rest of the document"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSinkError(t *testing.T) {
	p := newPool(t, nil)
	r := newRead()
	r.err = errors.New("sink is full")
	if err := p.Extract(t.Context(), document(dlp.File, []byte("some text")), r); !errors.Is(err, r.err) {
		t.Errorf("got %v, want the sink's error", err)
	}
	if got := get(t, p, dlp.File, []byte("next")).text(""); got != "next" {
		t.Errorf("the next document: got %q", got)
	}
}

// slowReader never comes to an end.
type slowReader struct{ ctx context.Context }

func (s slowReader) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (slowReader) Close() error               { return nil }
func (slowReader) Seek(int64, int) (int64, error) {
	return 0, errors.ErrUnsupported
}

func TestContextEnds(t *testing.T) {
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	doc := document(dlp.File, nil)
	doc.Size = 100
	opened := make(chan struct{})
	doc.Open = func() (io.ReadSeekCloser, error) {
		close(opened)
		return slowReader{ctx}, nil
	}
	go func() { <-opened; cancel() }()
	if err := p.Extract(ctx, doc, newRead()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestContextEndedBefore: a document is not begun once nobody waits for it,
// however quickly it would have been read.
func TestContextEndedBefore(t *testing.T) {
	p := newPool(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // a free child and an ended context are both there to be chosen
		doc := document(dlp.Mail, []byte("Subject: short\r\n\r\nA word.\r\n"))
		if err := p.Extract(ctx, doc, newRead()); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
	}
}

func TestDocumentCannotBeRead(t *testing.T) {
	p := newPool(t, nil)
	want := errors.New("medium error")
	doc := document(dlp.File, nil)
	doc.Open = func() (io.ReadSeekCloser, error) { return nil, want }
	if err := p.Extract(t.Context(), doc, newRead()); !errors.Is(err, want) {
		t.Errorf("open: got %v, want %v", err, want)
	}
	for _, want := range []error{want, io.ErrUnexpectedEOF, fmt.Errorf("read: %w", io.EOF)} { // its end is io.EOF alone
		doc.Size = 100
		doc.Open = func() (io.ReadSeekCloser, error) { return cutReader{want}, nil }
		if err := p.Extract(t.Context(), doc, newRead()); !errors.Is(err, want) {
			t.Errorf("read: got %v, want %v", err, want)
		}
	}
}

// cutReader cannot be read.
type cutReader struct{ err error }

func (c cutReader) Read([]byte) (int, error)     { return 0, c.err }
func (cutReader) Close() error                   { return nil }
func (cutReader) Seek(int64, int) (int64, error) { return 0, errors.ErrUnsupported }

func TestClosed(t *testing.T) {
	p := newPool(t, nil)
	get(t, p, dlp.File, []byte("x"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Extract(t.Context(), document(dlp.File, []byte("x")), newRead()); !errors.Is(err, extract.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestBusy(t *testing.T) {
	p := newPool(t, func(c *extract.Config) { c.Workers, c.Queue = 1, 1 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opened := make(chan struct{}, 2)
	slow := func() *dlp.Document {
		d := document(dlp.File, nil)
		d.Size = 100
		d.Open = func() (io.ReadSeekCloser, error) { opened <- struct{}{}; return slowReader{ctx}, nil }
		return d
	}
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	wg.Go(func() { errs <- p.Extract(ctx, slow(), newRead()) })
	<-opened // it has the child
	for range 3 {
		wg.Go(func() { errs <- p.Extract(ctx, slow(), newRead()) })
	}
	if err := <-errs; !errors.Is(err, extract.ErrBusy) { // of three, at most two may wait
		t.Errorf("got %v, want ErrBusy", err)
	}
	cancel()
	wg.Wait()
}

// slowRead is a read that is told of slow readers.
type slowRead struct {
	*read
	slow func() error
}

func (s slowRead) Slow(context.Context, dlp.SlowReader) error { return s.slow() }

// TestReaderIsFreeForOthers: a document that waits for a reader of PDF has given
// back the one it had: the only one there is reads another meanwhile.
func TestReaderIsFreeForOthers(t *testing.T) {
	p := newPool(t, func(c *extract.Config) { c.Workers = 1 })
	r := slowRead{read: newRead()}
	asked := 0
	r.slow = func() error {
		asked++
		if got := get(t, p, dlp.File, []byte("plain text")).text(""); got != "plain text" {
			t.Errorf("read meanwhile: %q", got)
		}
		return nil
	}
	doc := document(dlp.Mail, mail("Subject: two", "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "before", "--b",
		"Content-Type: application/pdf", "", onePage, "--b", "Content-Type: application/pdf", "", onePage, "--b", "", "after", "--b--", ""))
	if err := p.Extract(t.Context(), doc, r); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	if got := r.all(); strings.Count(got, "before") != 1 || strings.Count(got, "MRN 0123456") != 2 || strings.Count(got, "after") != 1 {
		t.Errorf("read %q, want each part once", got)
	}
	want := errors.New("no turn")
	r.read, r.slow = newRead(), func() error { return want }
	if err := p.Extract(t.Context(), doc, r); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestRecycle reads more documents than a child may, from many goroutines.
func TestRecycle(t *testing.T) {
	p := newPool(t, func(c *extract.Config) { c.RecycleDocuments = 3 })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				r := newRead()
				if err := p.Extract(t.Context(), document(dlp.File, []byte("plain text\n")), r); err != nil || r.text("") != "plain text\n" {
					t.Errorf("got %q %v", r.all(), err)
				}
			}
		})
	}
	wg.Wait()
}

// TestLargeText holds that plain text is read whole, unchanged, past what a
// child may hold.
func TestLargeText(t *testing.T) {
	p := newPool(t, func(c *extract.Config) { c.MaxMemory, c.MaxHeld, c.MaxUnpacked = 96<<20, 1<<20, 1<<20 })
	b := append([]byte("\ufeff"), bytes.Repeat([]byte("Zeile mit ümläuten und 12 Zahlen\r\n"), 2<<20)...)
	r := newRead()
	if err := p.Extract(t.Context(), document(dlp.File, b), r); err != nil {
		t.Fatal(err)
	}
	if got := r.text(""); got != string(b) {
		t.Errorf("got %d bytes, want %d unchanged", len(got), len(b))
	}
	if len(r.gaps) > 0 {
		t.Errorf("gaps: %v", r.told())
	}
}

// TestDamagedCache holds that a damaged cache is made anew.
func TestDamagedCache(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling pdfium takes half a minute")
	}
	dir := t.TempDir()
	for _, step := range []string{"empty", "damaged"} {
		p, err := extract.NewPool(extract.Default(), extract.Deps{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Warm(t.Context()); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		r := newRead()
		if err := p.Extract(t.Context(), document(dlp.File, []byte(onePage)), r); err != nil || !strings.Contains(r.text(""), "MRN 0123456") {
			t.Errorf("%s: got %q %v %v", step, r.all(), r.told(), err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		fi, err := os.Stat(filepath.Join(dir, "pdfium"))
		if err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("cache folder: got %v %v, want mode 0700", fi.Mode(), err)
		}
		files := 0
		err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			return os.WriteFile(path, []byte("damage"), 0o600)
		})
		if err != nil || files == 0 {
			t.Errorf("cache files: %d, %v", files, err)
		}
	}
}

const onePage = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n" +
	"4 0 obj<</Length 44>>stream\nBT /F1 12 Tf 10 100 Td (MRN 0123456) Tj ET \nendstream endobj\ntrailer<</Root 1 0 R>>\n"

func TestVersion(t *testing.T) {
	if v := newPool(t, nil).Version(); !strings.Contains(v, "+pdfium.") || strings.ContainsAny(v, " \n") {
		t.Errorf("got %q", v)
	}
}

func TestValidate(t *testing.T) {
	c := extract.Default()
	if err := c.Validate(); err != nil {
		t.Errorf("default: %v", err)
	}
	c.MaxRatio = 0
	var ke *dlp.KeyError
	if err := c.Validate(); !errors.As(err, &ke) || ke.Key != "extract.max_ratio" {
		t.Errorf("got %v, want a KeyError for extract.max_ratio", err)
	}
}
