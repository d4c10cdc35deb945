package extract

import (
	"bytes"
	"context"
	"debug/elf"
	_ "embed" // the page of the self-test
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// OCR says whether and how the words in pictures are read, by the tesseract
// program. Where it is not installed, pictures are gaps.
type OCR struct {
	// Enabled reads the words in pictures and scanned pages. A mail with one is taken
	// into the spool and read in the background. "auto": where the program and its
	// languages are installed, and it reads a page of ours under its locks; else
	// pictures are gaps, which the start warns of. true: so too, and without it
	// nothing starts.
	Enabled OCRMode `toml:"enabled" default:"\"auto\""`
	// Program is the tesseract program. "": the one in /usr/bin or /usr/local/bin.
	Program string `toml:"program"`
	// Languages are those that pages are written in, as tesseract calls them; each
	// needs its trained data.
	Languages []string `toml:"languages"`
	// Workers is how many documents with pictures are read at the same time, one
	// page of each. A page takes one processor for seconds.
	Workers int `toml:"workers"`
	// PageTimeout is how long the program may take over one page.
	PageTimeout dlp.Duration `toml:"page_timeout"`
	// DocumentTimeout is how long it may take over all pages of one document; past
	// it the rest of them are gaps. A mail has `scan.background_timeout` for all.
	DocumentTimeout dlp.Duration `toml:"document_timeout"`
	// MaxPages is how many pages and pictures of one document are read.
	MaxPages int `toml:"max_pages"`
	// MaxPixels is how many pixels a picture may have that is decoded.
	MaxPixels int `toml:"max_pixels"`
	// MaxMemory is how much resident memory the program may use, and so may the
	// child that decodes pictures for it.
	MaxMemory dlp.Size `toml:"max_memory"`
	// Logos reads also the pictures up to 64 KiB that the HTML body of a mail shows
	// by cid:. Such stand below most mail, which would then all be read in the
	// background; `defaults.on_image` says what becomes of them unread.
	Logos bool `toml:"logos"`
}

// OCRMode says whether the words in pictures are read.
type OCRMode uint8

// The modes.
const (
	OCRAuto OCRMode = iota // where they can be
	OCROn                  // and nothing starts where they cannot
	OCROff
)

// UnmarshalTOML takes "auto", true or false.
func (m *OCRMode) UnmarshalTOML(v any) error {
	switch v {
	case "auto":
		*m = OCRAuto
	case true:
		*m = OCROn
	case false:
		*m = OCROff
	default:
		return errors.New(`want "auto", true or false`)
	}
	return nil
}

// MarshalTOML is the reverse.
func (m OCRMode) MarshalTOML() ([]byte, error) {
	return []byte([...]string{OCRAuto: `"auto"`, OCROn: "true", OCROff: "false"}[m]), nil
}

func defaultOCR() OCR {
	return OCR{Languages: []string{"eng"}, Workers: 1, PageTimeout: dlp.Duration(time.Minute),
		DocumentTimeout: dlp.Duration(10 * time.Minute), MaxPages: 200, MaxPixels: 40_000_000, MaxMemory: 1 << 30}
}

// expression compiles an expression when it is first used: a reader is this program
// too, and compiles none as it starts.
func expression(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

var languageName = expression(`^[A-Za-z][A-Za-z0-9_]{1,31}(/[A-Za-z][A-Za-z0-9_]{1,31})?$`)

// validate reports the first key that cannot be used, as a *dlp.KeyError.
func (o *OCR) validate() error {
	for _, k := range []struct {
		key  string
		ok   bool
		want string
	}{
		{"program", o.Program == "" || filepath.IsAbs(o.Program), "an absolute path"},
		{"languages", len(o.Languages) > 0 && len(o.Languages) <= 16 && !slices.ContainsFunc(o.Languages, func(l string) bool { return !languageName().MatchString(l) }),
			`names such as ["eng", "spa"]`},
		{"workers", o.Workers >= 1 && o.Workers <= 64, "a number from 1 to 64"},
		{"page_timeout", o.PageTimeout > 0, `a duration such as "1m"`},
		{"document_timeout", o.DocumentTimeout > 0, `a duration such as "10m"`},
		{"max_pages", o.MaxPages >= 1 && o.MaxPages <= 100000, "a number from 1 to 100000"},
		{"max_pixels", o.MaxPixels >= 1<<20 && o.MaxPixels <= 200_000_000, "a number from 1048576 to 200000000"},
		{"max_memory", o.MaxMemory >= 128<<20, "a size of at least 128MiB"},
	} {
		if o.Enabled != OCROff && !k.ok {
			return &dlp.KeyError{Key: "extract.ocr." + k.key, Want: k.want}
		}
	}
	return nil
}

// findPrograms is where tesseract is looked for.
var findPrograms = []string{"/usr/bin/tesseract", "/usr/local/bin/tesseract"}

// program is tesseract as it is installed.
type program struct {
	wire.Program
	version string // "5.3.0"
	lacks   string // why it cannot be used, "" when it can: constant words and names of ours
}

// askTimeout is how long the program may take to say what it is.
const askTimeout = 20 * time.Second

// findOCR finds out what the program is and needs. It runs it, and its loader,
// with no document.
func findOCR(o OCR) program {
	var p program
	if o.Enabled == OCROff {
		p.lacks = "switched off"
		return p
	}
	for _, path := range findPrograms {
		if o.Program != "" {
			path = o.Program
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			p.Path = real
			break
		}
	}
	if p.Path == "" {
		p.lacks = "the program is not installed"
		return p
	}
	if err := p.ask(o.Languages); err != nil {
		p.lacks = err.Error()
	}
	return p
}

var (
	versionLine  = expression(`(?m)^tesseract v?([0-9A-Za-z.+~-]{1,32})`)
	dataLine     = expression(`(?m)^List of available languages in "([^"\n]+)"`)
	languageLine = expression(`(?m)^[A-Za-z][A-Za-z0-9_/]*$`)
	libraryLine  = expression(`(?m)^\t(?:\S+ => )?(/\S+) \(0x`)
)

// ask fills in what the program and its loader say.
func (p *program) ask(languages []string) error {
	said, err := says(p.Path, "--version")
	m := versionLine().FindStringSubmatch(said)
	if err != nil || m == nil {
		return errors.New("the program does not run, or is not tesseract")
	}
	p.version = m[1]
	said, err = says(p.Path, "--list-langs")
	m = dataLine().FindStringSubmatch(said)
	if err != nil || m == nil {
		return errors.New("the program does not tell where its trained data is")
	}
	data, have := m[1], languageLine().FindAllString(said, -1)
	for _, l := range languages {
		if !slices.Contains(have, l) {
			return fmt.Errorf("the trained data of language %q is not installed", l)
		}
		p.Read = append(p.Read, filepath.Join(data, l+".traineddata"))
	}
	loader, err := loaderOf(p.Path)
	if err != nil {
		return errors.New("the program cannot be looked into")
	}
	p.Run = []string{p.Path}
	if loader != "" {
		p.Run = append(p.Run, loader)
		said, err := says(loader, "--list", p.Path)
		libs := libraryLine().FindAllStringSubmatch(said, -1)
		if err != nil || len(libs) == 0 {
			return errors.New("the program's libraries cannot be listed")
		}
		p.Read = append(p.Read, "/etc/ld.so.cache")
		for _, lib := range libs {
			p.Read = append(p.Read, lib[1])
		}
	}
	p.Args = []string{"stdin", "stdout", "-l", strings.Join(languages, "+"), "--psm", "3", "-c", "page_separator="}
	// One thread: its own take turns at more cost than they save, and the filter
	// lets it make none.
	p.Env = []string{"OMP_THREAD_LIMIT=1", "TESSDATA_PREFIX=" + data, "LC_ALL=C", "TZ=UTC"}
	return nil
}

// testTimeout is how long it may take over the page of its test, which takes a
// machine that is not busy less than a second.
const testTimeout = time.Minute

// says returns what a program of the system says.
func says(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = []string{"LC_ALL=C", "OMP_THREAD_LIMIT=1"}, "/"
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// loaderOf is the loader that a program names, "" for one that needs none.
func loaderOf(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, seg := range f.Progs {
		if seg.Type == elf.PT_INTERP {
			b, err := io.ReadAll(io.LimitReader(seg.Open(), 4096))
			return strings.TrimRight(string(b), "\x00"), err
		}
	}
	return "", nil
}

// OCR says how the words in pictures are read: the program's version, or why they
// are not, in words for an operator. The first call looks for the program and
// tests it, which takes seconds.
func (p *Pool) OCR() (version, lacks string) {
	f := p.ocr()
	return f.version, f.lacks
}

// ocr is the program. It is looked for and tested once.
func (p *Pool) ocr() *program {
	p.ocrOnce.Do(func() {
		f := findOCR(p.cfg.OCR)
		if f.lacks == "" {
			if err := p.testOCR(&f); err != nil {
				f.lacks = err.Error()
			}
		}
		p.ocrFound.Store(&f)
	})
	return p.ocrFound.Load()
}

// ocrThere reports a program that may be able to: whether it is, is found out
// when a picture comes, if it was not before.
func (p *Pool) ocrThere() bool {
	if f := p.ocrFound.Load(); f != nil {
		return f.lacks == ""
	}
	return p.cfg.OCR.Installed()
}

// Installed reports that the words in pictures are to be read and that a program
// for it is there. Whether it can, says Pool.OCR.
func (o *OCR) Installed() bool {
	if o.Enabled == OCROff {
		return false
	}
	if o.Program != "" {
		_, err := os.Stat(o.Program)
		return err == nil
	}
	return slices.ContainsFunc(findPrograms, func(path string) bool { _, err := os.Stat(path); return err == nil })
}

// testPage is a line of numbers, as anybody prints them.
//
//go:embed selftest.png
var testPage []byte

// testWords stand on testPage.
const testWords = "4711 2068 35"

// testOCR has the program try what its locks must refuse, and read a page. The
// error says what it cannot, in words for an operator.
func (p *Pool) testOCR(f *program) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*testTimeout)
	defer cancel()
	if p.cfg.Sandbox == SandboxOff && p.cfg.OCR.Enabled == OCRAuto {
		return errors.New("the sandbox is switched off")
	}
	c, err := p.spawnOCR(f)
	if err != nil {
		return errors.New("it does not start under its locks")
	}
	ready := c.ready
	c.kill()
	switch {
	case ready.Landlock > 0 && ready.Seccomp: // what may read files has both locks, or one of them has a hole
		k := p.programKind(f, sandbox.All)
		k.Refuse = true
		if _, err := p.tryAll(ctx, k, ready.Landlock); err != nil {
			return errors.New("its locks do not hold")
		}
	case p.cfg.OCR.Enabled == OCRAuto && !sandbox.TestBuild:
		return errors.New("it cannot be locked in whole")
	}
	m, err := png.Decode(bytes.NewReader(testPage))
	if err != nil {
		return fmt.Errorf("the page of its test: %w", err)
	}
	size := m.Bounds().Size()
	g := image.NewGray(image.Rectangle{Max: size})
	draw.Draw(g, g.Rect, m, m.Bounds().Min, draw.Src)
	w := p.readWith(ctx, f, wire.Page{Width: size.X, Height: size.Y}, g.Pix, testTimeout)
	switch {
	case !w.Read:
		return fmt.Errorf("it does not read a page under its locks (%s)", w.Cause)
	case !bytes.Contains(w.Text, []byte(testWords)):
		return errors.New("it misreads a plain line of numbers")
	}
	return nil
}

// spawnOCR starts a child that becomes the program, locked in as configured.
func (p *Pool) spawnOCR(f *program) (*child, error) {
	layers := sandbox.All
	if p.cfg.Sandbox == SandboxOff {
		layers = 0
	}
	c, err := p.start(p.programKind(f, layers))
	if err != nil {
		return nil, err
	}
	if err := p.demand(c.ready); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

func (p *Pool) programKind(f *program, layers sandbox.Layers) kind {
	k := p.kind(wire.Plain, layers)
	k.Data = 2*int64(p.cfg.OCR.MaxMemory) + 64<<20
	k.Program = &f.Program
	return k
}

// pageBusy is a page on its way through the program.
type pageBusy struct {
	c     *child
	cause dlp.Cause // why it was killed
	kills bool
}

// readPage has the program read one page, for no longer than most. The page
// is sent row by row under a head of ours: what was in a document reaches the program
// as grey dots alone.
func (p *Pool) readPage(ctx context.Context, page wire.Page, pixels []byte, most time.Duration) wire.Words {
	return p.readWith(ctx, p.ocr(), page, pixels, most)
}

func (p *Pool) readWith(ctx context.Context, f *program, page wire.Page, pixels []byte, most time.Duration) wire.Words {
	c, err := p.spawnOCR(f)
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelError, "picture reader does not start")
		return wire.Words{Cause: dlp.Crashed}
	}
	defer c.kill()
	if err := c.tell(wire.OpRun, nil); err != nil {
		return wire.Words{Cause: dlp.Crashed}
	}
	sent := make(chan struct{})
	go func() { // it ends with the child, at the latest
		defer close(sent)
		if _, err := fmt.Fprintf(c.in, "P5\n%d %d\n255\n", page.Width, page.Height); err == nil {
			_, _ = c.in.Write(pixels) // who reads the words sees what came of it
		}
		_ = c.in.Close()
	}()
	stop, watched := make(chan struct{}), make(chan struct{})
	busy := pageBusy{c: c}
	go func() {
		defer close(watched)
		busy.watch(ctx, stop, time.Now().Add(most), int64(p.cfg.OCR.MaxMemory))
	}()
	text, err := io.ReadAll(io.LimitReader(c.buf, wire.MaxWords+1))
	if err != nil || len(text) > wire.MaxWords {
		_ = c.proc.Kill()
	}
	<-c.gone
	close(stop)
	<-watched
	<-sent
	switch {
	case busy.kills:
		p.met.ExtractKill(busy.cause)
		return wire.Words{Cause: busy.cause}
	case len(text) > wire.MaxWords:
		return wire.Words{Cause: dlp.TooLarge}
	case err != nil || !c.state.Success():
		p.met.ExtractKill(dlp.Crashed)
		return wire.Words{Cause: dlp.Crashed}
	}
	return wire.Words{Read: true, Text: text}
}

// watch kills the program when its time or memory is used up, or its client has
// gone.
func (b *pageBusy) watch(ctx context.Context, stop <-chan struct{}, end time.Time, limit int64) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			b.kills, b.cause = true, dlp.Timeout
		case <-tick.C:
			switch {
			case b.c.resident() > limit:
				b.kills, b.cause = true, dlp.TooLarge
			case time.Now().After(end):
				b.kills, b.cause = true, dlp.Timeout
			default:
				continue
			}
		}
		_ = b.c.proc.Kill() // it may be gone already
		return
	}
}

// page reads the page that the child tells of and answers it. The child's clock
// stands still while the program has the page.
func (t *try) page(ctx context.Context, b []byte) error {
	page, err := wire.DecodePage(b)
	if err != nil || t.skill < wire.OCR || len(t.stack) == 0 {
		return errBroken
	}
	pixels := make([]byte, 0, page.Width*page.Height)
	for len(pixels) < cap(pixels) {
		op, b, err := t.c.r.Next()
		if err != nil || op != wire.OpPixels || len(b) == 0 || len(b) > cap(pixels)-len(pixels) {
			return errBroken
		}
		pixels = append(pixels, b...)
	}
	t.watch.pause()
	words := t.words(ctx, page, pixels)
	clear(pixels)
	t.watch.resume()
	t.restartClock()
	return wire.Write(t.c.answers, wire.OpWords, wire.AppendWords(nil, words))
}

// words has the program read a page within what the document may still have.
func (t *try) words(ctx context.Context, page wire.Page, pixels []byte) wire.Words {
	o, r := t.p.cfg.OCR, t.run
	left := o.DocumentTimeout.D() - r.reading
	switch {
	case r.pages >= o.MaxPages:
		return wire.Words{Cause: dlp.TooMany}
	case left <= 0:
		return wire.Words{Cause: dlp.Timeout}
	}
	r.pages++
	start := time.Now()
	w := t.p.readPage(ctx, page, pixels, min(left, o.PageTimeout.D()))
	r.reading += time.Since(start)
	return w
}

// newAnswers makes the pipe on which a child that asks for words gets them.
func newAnswers() (r, w *os.File, err error) {
	r, w, err = os.Pipe()
	if err == nil {
		setPipeSize(w)
	}
	return r, w, err
}
