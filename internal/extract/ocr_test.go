package extract

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// ocrPool is a locked Pool that reads the words in pictures.
func ocrPool(t testing.TB, change func(*Config)) *Pool {
	t.Helper()
	if _, err := exec.LookPath("tesseract"); err != nil {
		t.Skip("tesseract is not installed")
	}
	return lockedPool(t, func(c *Config) {
		c.OCR.Enabled = OCROn
		if change != nil {
			change(c)
		}
	})
}

// drawn is a picture that ImageMagick makes of a patient's line.
func drawn(t testing.TB, name string, options ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("convert"); err != nil {
		t.Skip("ImageMagick is not installed")
	}
	to := filepath.Join(t.TempDir(), name)
	args := append([]string{"-size", "1600x400", "xc:white", "-font", "DejaVu-Sans", "-pointsize", "36", "-fill", "black",
		"-annotate", "+40+120", "Patient: Jane Roe\nSSN: 536-22-8145"}, options...)
	if out, err := exec.Command("convert", append(args, to)...).CombinedOutput(); err != nil {
		t.Fatalf("convert: %v: %s", err, out)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func file(b []byte) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Received: time.Unix(0, 0), Size: int64(len(b)),
		Open: func() (io.ReadSeekCloser, error) { return nopClose{strings.NewReader(string(b))}, nil }}
}

// TestWordsInPictures reads pictures of an independent program.
func TestWordsInPictures(t *testing.T) {
	p := ocrPool(t, nil)
	for name, c := range map[string]struct {
		file    string
		options []string
		times   int
	}{
		"PNG":                {"a.png", nil, 1},
		"JPEG":               {"a.jpg", []string{"-quality", "60"}, 1},
		"TIFF of a G4 fax":   {"a.tif", []string{"-threshold", "50%", "-compress", "Group4"}, 1},
		"TIFF of two pages":  {"a.tif", []string{"(", "+clone", "-rotate", "180", "-rotate", "180", "-bordercolor", "white", "-border", "10", ")", "-alpha", "off"}, 2},
		"BMP":                {"a.bmp", nil, 1},
		"GIF":                {"a.gif", nil, 1},
		"half the size, PNG": {"a.png", []string{"-resize", "50%"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &discard{}
			if err := p.Extract(t.Context(), file(drawn(t, c.file, c.options...)), d); err != nil {
				t.Fatal(err)
			}
			if strings.Count(d.text, "536-22-8145") != c.times || d.gaps != 0 {
				t.Errorf("got %q and %d gaps, the last %v; want the number %d times", d.text, d.gaps, d.last, c.times)
			}
		})
	}
}

// scannedPDF is a PDF whose page is a JPEG.
func scannedPDF(jpg []byte) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 100]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>endobj\n" +
		"4 0 obj<</Length 30>>stream\nq 400 0 0 100 0 0 cm /I Do Q  \nendstream endobj\n" +
		"5 0 obj<</Type/XObject/Subtype/Image/Width 1600/Height 400/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode/Length " + strconv.Itoa(len(jpg)) + ">>stream\n")
	b.Write(jpg)
	b.WriteString("\nendstream endobj\ntrailer<</Root 1 0 R>>\n")
	return b.Bytes()
}

// TestWordsInScannedPDF reads a page that is a picture, in a PDF alone and in a
// mail between other parts, each once.
func TestWordsInScannedPDF(t *testing.T) {
	p := ocrPool(t, nil)
	pdf := scannedPDF(drawn(t, "a.jpg", "-colorspace", "Gray"))
	mail := "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbefore it\r\n--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
		string(pdf) + "\r\n--b\r\n\r\nbehind it\r\n--b--\r\n"
	for name, doc := range map[string]*dlp.Document{"alone": file(pdf), "in a mail": document(mail)} {
		t.Run(name, func(t *testing.T) {
			d := &discard{}
			if err := p.Extract(t.Context(), doc, d); err != nil {
				t.Fatal(err)
			}
			if strings.Count(d.text, "536-22-8145") != 1 || d.gaps != 0 {
				t.Errorf("got %q and %d gaps, the last %v", d.text, d.gaps, d.last)
			}
			if name != "alone" && (strings.Count(d.text, "before it") != 1 || strings.Count(d.text, "behind it") != 1) {
				t.Errorf("got %q", d.text)
			}
		})
	}
}

type plainSink struct {
	discard
	big bool
}

func (s *plainSink) seen() *discard { return &s.discard }

// withoutSink is a Sink whose document is to be read without that reader.
type withoutSink struct{ discard }

func (s *withoutSink) seen() *discard { return &s.discard }

// Slow implements dlp.SlowSink.
func (s *withoutSink) Slow(_ context.Context, r dlp.SlowReader) error {
	if r == dlp.OCRReader {
		return dlp.ErrWithout
	}
	return nil
}

// TestPicturesNotRead: without the program, with a program that is none, without
// its language, past a bound or when its reader is not to be had, a picture is a
// gap that says why.
func TestPicturesNotRead(t *testing.T) {
	png := drawn(t, "a.png")
	for name, c := range map[string]struct {
		change func(*Config)
		sink   interface {
			dlp.Sink
			seen() *discard
		}
		want dlp.Cause
	}{
		"switched off":             {func(c *Config) { c.OCR.Enabled = OCROff }, &plainSink{}, dlp.Image},
		"no program":               {func(c *Config) { c.OCR.Program = "/nowhere/tesseract" }, &plainSink{}, dlp.Image},
		"another program":          {func(c *Config) { c.OCR.Program = "/bin/true" }, &plainSink{}, dlp.Image},
		"a language not there":     {func(c *Config) { c.OCR.Languages = []string{"xyz"} }, &plainSink{}, dlp.Image},
		"no locks, by itself":      {func(c *Config) { c.Sandbox = SandboxOff; c.OCR.Enabled = OCRAuto }, &plainSink{}, dlp.Image},
		"its time is up":           {func(c *Config) { c.OCR.PageTimeout = 1 }, &plainSink{}, dlp.Timeout},
		"more pixels than may be":  {func(c *Config) { c.OCR.MaxPixels = 1 << 20 }, &plainSink{big: true}, dlp.Image},
		"its reader not to be had": {nil, &withoutSink{}, dlp.Image},
	} {
		t.Run(name, func(t *testing.T) {
			p := ocrPool(t, c.change)
			b := png
			if s, ok := c.sink.(*plainSink); ok && s.big {
				b = drawn(t, "a.png", "-resize", "2400x600")
			}
			if err := p.Extract(t.Context(), file(b), c.sink); err != nil {
				t.Fatal(err)
			}
			if d := c.sink.seen(); d.gaps != 1 || d.last.Cause != c.want || strings.Contains(d.text, "536") {
				t.Errorf("got %d gaps, the last %v, text %q; want one gap %v", d.gaps, d.last, d.text, c.want)
			}
		})
	}
}

// TestForbiddenToProgram tries in a child that is about to become the program
// all that none may do.
func TestForbiddenToProgram(t *testing.T) {
	p := ocrPool(t, nil)
	for _, trial := range sandbox.Trials() {
		t.Run(trial.Name, func(t *testing.T) {
			c, err := p.spawnOCR(p.ocr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.kill()
			if got := c.try(trial.Name); got != refused && got != died {
				t.Errorf("got %q, want %q or %q", got, refused, died)
			}
		})
	}
}

// TestProgramKilled: a program that is killed costs its page.
func TestProgramKilled(t *testing.T) {
	p := ocrPool(t, nil)
	c, err := p.spawnOCR(p.ocr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.tell(wire.OpRun, nil); err != nil {
		t.Fatal(err)
	}
	c.end()
	if c.state.Success() {
		t.Error("a killed program ended well")
	}
	c.free()
	ctx := t.Context()
	if w := p.readPage(ctx, wire.Page{Width: 20, Height: 20}, make([]byte, 400), time.Nanosecond); w.Read || w.Cause != dlp.Timeout {
		t.Errorf("got %+v", w)
	}
}

// TestOCRSelfTest: a program that cannot read a page under its locks is not used,
// which is found out before there is a picture.
func TestOCRSelfTest(t *testing.T) {
	p := ocrPool(t, func(c *Config) { c.OCR.Enabled = OCRAuto })
	if version, lacks := p.OCR(); version == "" || lacks != "" || !strings.Contains(p.Version(), "+tesseract."+version) {
		t.Errorf("got version %q, lacks %q, Version %q", version, lacks, p.Version())
	}
	p = ocrPool(t, func(c *Config) { c.OCR.Enabled = OCRAuto })
	p.without = "pread64" // its loader reads libraries so
	if _, lacks := p.OCR(); !strings.Contains(lacks, "under its locks") {
		t.Errorf("lacks %q", lacks)
	}
	d := &discard{}
	if err := p.Extract(t.Context(), file(drawn(t, "a.png")), d); err != nil || d.gaps != 1 || d.last.Cause != dlp.Image {
		t.Errorf("got %v and %d gaps, the last %v; want a picture", err, d.gaps, d.last)
	}
}
