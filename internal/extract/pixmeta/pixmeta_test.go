package pixmeta_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/pixmeta"
)

// list gathers lines and packets, and ends after so many.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) Line(name, text string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(name + ": " + text + "\n")
	return nil
}

func (l *list) XMP(b []byte) error { return l.Line("XMP", string(b)) }

// run runs a program that writes test files.
func run(t *testing.T, name, of string, args ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("the programs take some ten seconds")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here: Debian's %s has it", name, of)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Skipf("%s does not do this here: %v %s", name, err, out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := &list{left: 10_000}
	if err := pixmeta.Read(b, out); err != nil {
		t.Errorf("got %v", err)
	}
	return out.String()
}

// TestWritten reads what exiftool writes into pictures that ImageMagick makes.
func TestWritten(t *testing.T) {
	exif := []string{"-EXIF:ImageDescription=Ada Example MRN E1234567", "-EXIF:Artist=Zoë Example", "-EXIF:UserComment=SSN 536-22-8145 東京",
		"-EXIF:XPComment=comment of Zoë 東京", "-EXIF:GPSLatitude=40.5", "-EXIF:GPSLatitudeRef=N", "-EXIF:GPSLongitude=79.25", "-EXIF:GPSLongitudeRef=W",
		"-EXIF:OwnerName=Dr. Owner"}
	exifWant := []string{"ImageDescription: Ada Example MRN E1234567\n", "Artist: Zoë Example\n", "UserComment: SSN 536-22-8145 東京\n",
		"XPComment: comment of Zoë 東京\n", "GPSPosition: 40.500000, -79.250000\n", "CameraOwnerName: Dr. Owner\n"}
	iptc := []string{"-IPTC:Caption-Abstract=caption MRN E7654321", "-IPTC:By-line=Zoë Byline", "-IPTC:CodedCharacterSet=UTF8"}
	iptcWant := []string{"Caption-Abstract: caption MRN E7654321\n", "By-line: Zoë Byline\n"}
	xmp := []string{"-XMP-dc:Title=title of Ada", "-XMP-iptcExt:PersonInImage=Person Example"}
	xmpWant := []string{"XMP: <", "title of Ada", "Person Example"}
	for _, c := range []struct {
		ext  string
		args [][]string
		want [][]string
	}{
		{"jpg", [][]string{exif, iptc, xmp, {"-Comment=a comment"}}, [][]string{exifWant, iptcWant, xmpWant, {"Comment: a comment\n"}}},
		{"png", [][]string{exif, xmp, {"-PNG:Description=a png text", "-PNG:Title=Zoë 東京"}}, [][]string{exifWant, xmpWant, {"Description: a png text\n", "Title: Zoë 東京\n"}}},
		{"png", [][]string{{"-z"}, xmp, iptc, {"-PNG:Description=a png text that is packed " + strings.Repeat("and long ", 40)}}, [][]string{iptcWant, xmpWant, {"Description: a png text that is packed"}}},
		{"tif", [][]string{exif, iptc, xmp, {"-DocumentName=the document"}}, [][]string{exifWant, iptcWant, xmpWant, {"DocumentName: the document\n"}}},
		{"gif", [][]string{xmp, {"-Comment=a comment"}}, [][]string{xmpWant, {"Comment: a comment\n"}}},
		{"webp", [][]string{exif, xmp}, [][]string{exifWant, xmpWant}},
		{"heic", [][]string{exif, xmp}, [][]string{exifWant, xmpWant}},
		{"avif", [][]string{exif, xmp}, [][]string{exifWant, xmpWant}},
		{"jp2", [][]string{exif, xmp, iptc}, [][]string{exifWant, xmpWant, iptcWant}},
		{"psd", [][]string{exif, xmp, iptc}, [][]string{exifWant, xmpWant, iptcWant}},
	} {
		t.Run(c.ext, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a."+c.ext)
			run(t, "convert", "imagemagick", "-size", "16x16", "xc:white", file)
			args := []string{"-q", "-m", "-charset", "UTF8", "-overwrite_original"}
			for _, a := range c.args {
				args = append(args, a...)
			}
			run(t, "exiftool", "libimage-exiftool-perl", append(args, file)...)
			got := read(t, file)
			for _, want := range c.want {
				for _, w := range want {
					if !strings.Contains(got, w) {
						t.Errorf("want %q in\n%s", w, got)
					}
				}
			}
		})
	}
}

// TestPrograms reads what other programs write than exiftool.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	t.Run("comments of ImageMagick", func(t *testing.T) {
		for _, ext := range []string{"jpg", "gif", "png", "tif", "psd", "jp2"} {
			run(t, "convert", "imagemagick", "-size", "9x9", "xc:white", "-set", "comment", "MRN E1234567", "-set", "caption", "capt", at("c."+ext))
			if got := read(t, at("c."+ext)); ext != "psd" && !strings.Contains(got, "MRN E1234567") {
				t.Errorf("%s: got %q", ext, got)
			}
		}
	})
	t.Run("profiles that ImageMagick writes as text", func(t *testing.T) {
		run(t, "convert", "imagemagick", "-size", "9x9", "xc:white", at("p.jpg"))
		run(t, "exiftool", "libimage-exiftool-perl", "-q", "-overwrite_original", "-IPTC:Caption-Abstract=caption of Ada", "-EXIF:Artist=artist of Ada", "-XMP-dc:Title=title of Ada", at("p.jpg"))
		for _, ext := range []string{"png", "gif", "tif", "webp"} {
			run(t, "convert", "imagemagick", at("p.jpg"), at("p."+ext))
			got := read(t, at("p."+ext))
			if ext != "webp" && !strings.Contains(got, "caption of Ada") || (ext == "png" || ext == "webp") && !strings.Contains(got, "artist of Ada") {
				t.Errorf("%s: got %q", ext, got)
			}
		}
	})
	t.Run("pages of a TIFF", func(t *testing.T) {
		for i, big := range []string{"", "-8"} {
			args := []string{}
			for k := range 3 {
				f := at(fmt.Sprintf("%d-%d.tif", i, k))
				run(t, "convert", "imagemagick", "-size", "9x9", "xc:white", f)
				run(t, "tiffset", "libtiff-tools", "-s", "270", fmt.Sprintf("page %d of Ada", k), f)
				args = append(args, f)
			}
			if big != "" {
				args = append([]string{big}, args...)
			}
			run(t, "tiffcp", "libtiff-tools", append(args, at("pages.tif"))...)
			got := read(t, at("pages.tif"))
			for k := range 3 {
				if w := fmt.Sprintf("ImageDescription: page %d of Ada\n", k); !strings.Contains(got, w) {
					t.Errorf("%s: want %q in %q", big, w, got)
				}
			}
		}
	})
	t.Run("a thumbnail with words of its own", func(t *testing.T) {
		run(t, "convert", "imagemagick", "-size", "9x9", "xc:white", "-set", "comment", "in the thumbnail", at("thumb.jpg"))
		run(t, "convert", "imagemagick", "-size", "99x99", "xc:white", at("t.jpg"))
		run(t, "exiftool", "libimage-exiftool-perl", "-q", "-overwrite_original", "-EXIF:ThumbnailImage<="+at("thumb.jpg"), at("t.jpg"))
		if got := read(t, at("t.jpg")); strings.Count(got, "in the thumbnail") != 1 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("long XMP", func(t *testing.T) {
		run(t, "convert", "imagemagick", "-size", "9x9", "xc:white", at("l.jpg"))
		if err := os.WriteFile(at("long"), []byte(strings.Repeat("Ada Example, ", 20_000)+"at the end"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "exiftool", "libimage-exiftool-perl", "-q", "-overwrite_original", "-XMP-dc:Description<="+at("long"), at("l.jpg"))
		if got := read(t, at("l.jpg")); !strings.Contains(got, "at the end") {
			t.Errorf("the end is missing in %d bytes", len(got))
		}
	})
}

// tiffOf writes a little-endian TIFF of one directory: tag, type, value.
func tiffOf(entries ...any) []byte {
	b := []byte("II*\x00\x08\x00\x00\x00")
	n := len(entries) / 3
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	data := 8 + 2 + 12*n + 4
	var rest []byte
	for i := 0; i < len(entries); i += 3 {
		b = binary.LittleEndian.AppendUint16(b, uint16(entries[i].(int)))
		b = binary.LittleEndian.AppendUint16(b, uint16(entries[i+1].(int)))
		v := []byte(entries[i+2].(string))
		count := len(v)
		if entries[i+1].(int) == 4 {
			count /= 4
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(count))
		if len(v) <= 4 {
			b = append(b, append(v, make([]byte, 4-len(v))...)...)
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(data+len(rest)))
		rest = append(rest, v...)
	}
	return append(append(b, 0, 0, 0, 0), rest...)
}

func chunk(kind, data string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:])))
}

func packed(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

const png = "\x89PNG\r\n\x1a\n"

func TestRead(t *testing.T) {
	loop := tiffOf(0x8769, 4, "\x08\x00\x00\x00", 0x10e, 2, "hello there\x00") // the directory names itself
	for name, c := range map[string]struct {
		in   string
		want string
	}{
		"directory that names itself":    {string(loop), "ImageDescription: hello there\n"},
		"comment in UTF-16, little":      {string(tiffOf(0x9286, 7, "UNICODE\x00M\x00R\x00N\x00")), "UserComment: MRN\n"},
		"comment in UTF-16, big":         {string(tiffOf(0x9286, 7, "UNICODE\x00\x00M\x00R\x00N")), "UserComment: MRN\n"},
		"comment in JIS":                 {string(tiffOf(0x9286, 7, "JIS\x00\x00\x00\x00\x00\x1b$BEl5~\x1b(B")), "UserComment: 東京\n"},
		"comment in ASCII":               {string(tiffOf(0x9286, 7, "ASCII\x00\x00\x00MRN")), "UserComment: MRN\n"},
		"comment of no code":             {string(tiffOf(0x9286, 7, "\x00\x00\x00\x00\x00\x00\x00\x00MRN")), "UserComment: MRN\n"},
		"two holders":                    {string(tiffOf(0x8298, 2, "Ada\x00Zo\xeb\x00")), "Copyright: Ada\nCopyright: Zoë\n"},
		"text that is called bytes":      {string(tiffOf(0xfde8, 1, "MRN E1234567")), "0xfde8: MRN E1234567\n"},
		"UTF-16 that is called bytes":    {string(tiffOf(0xfde8, 1, "\x00M\x00R\x00N\x00 \x001\x002")), "0xfde8: MRN 12\n"},
		"maker's note":                   {string(tiffOf(0x927c, 7, "\x01\x02Owner: Ada\x00\x01abc")), "MakerNote: Owner: Ada\n"},
		"value that is cut":              {string(tiffOf(0x10e, 2, "hello there"))[:30], "ImageDescription: hell\n"},
		"packed text":                    {png + chunk("zTXt", "k\x00\x00"+packed("hello")), "k: hello\n"},
		"packed text that is cut":        {png + chunk("zTXt", "k\x00\x00"+packed(strings.Repeat("hello ", 9))[:20]), "k: hello"},
		"international text":             {png + chunk("iTXt", "k\x00\x01\x00de\x00Wort\x00"+packed("Zoë")), "Keyword: Wort\nk: Zoë\n"},
		"chunk behind the end":           {png + chunk("IEND", "") + chunk("tEXt", "k\x00hello"), "k: hello\n"},
		"segment in one more":            {"\xff\xd8\xff\xe1\x00\x14Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x0e\x01\xff\xe1\x00\x1bExif\x00\x00\x02\x00\x08\x00\x00\x00\x1a\x00\x00\x00\x00\x00\x00\x00Ad", "ImageDescription: Ad\n"},
		"comment behind a scan":          {"\xff\xd8\xff\xda\x00\x02ab\xff\x00cd\xff\xd0\xff\xfe\x00\x05abc\xff\xd9", "Comment: abc\n"},
		"picture behind the picture":     {"\xff\xd8\xff\xd9 \xff\xd8\xff\xfe\x00\x05abc\xff\xd9", "Comment: abc\n"},
		"segment of some program":        {"\xff\xd8\xff\xe5\x00\x0f\x01MRN E123456", "APP5: MRN E123456\n"},
		"save for web":                   {"\xff\xd8\xff\xec\x00\x17Ducky\x00\x02\x00\x0a\x00\x00\x00\x03\x00M\x00R\x00N\x00\x00", "Comment: MRN\n"},
		"text of a GIF":                  {"GIF89a\x01\x00\x01\x00\x00\x00\x00\x21\x01\x0cabcdefghijkl\x03MRN\x00;", "Text: MRN\n"},
		"IPTC with a length of lengths":  {"\xff\xd8\xff\xed\x00\x2bPhotoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x0c\x1c\x02\x78\x80\x04\x00\x00\x00\x03MRN\xff\xd9", "Caption-Abstract: MRN\n"},
		"comment of a JPEG 2000, bare":   {"\xff\x4f\xff\x51\x00\x02\xff\x64\x00\x07\x00\x01MRN\xff\x90", "Comment: MRN\n"},
		"comment of a JPEG 2000":         {"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x00jp2c\xff\x4f\xff\x64\x00\x07\x00\x01MRN\xff\x90", "Comment: MRN\n"},
		"neither":                        {"0123456789", ""},
		"nothing":                        {"", ""},
		"TIFF of four bytes":             {"II*\x00", ""},
		"GIF that is cut":                {"GIF89a\x01\x00\x01\x00\x00\x00\x00\x21", ""},
		"WebP with a chunk past its end": {"RIFF\x00\x00\x00\x00WEBPXMP \xff\xff\xff\xff<x/>", "XMP: <x/>\n"},
	} {
		out := &list{left: 100}
		if err := pixmeta.Read([]byte(c.in), out); err != nil || !strings.HasPrefix(out.String(), c.want) || c.want == "" && out.Len() > 0 {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	many := make([]any, 0, 3*60_000)
	for range 60_000 { // values that lie over one another
		many = append(many, 0x10e, 2, "")
	}
	wide := tiffOf(many...)
	for i := range 60_000 {
		binary.LittleEndian.PutUint32(wide[10+12*i+4:], uint32(len(wide)-8))
		binary.LittleEndian.PutUint32(wide[10+12*i+8:], 8)
	}
	deep := "hello there"
	for range 12 {
		deep = string(tiffOf(0x8649, 7, "8BIM\x04\x22\x00\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(deep))))+deep))
	}
	for name, c := range map[string]struct {
		in   string
		want error
		left int
	}{
		"values over one another": {string(wide), pixmeta.ErrTooLarge, 1 << 30},
		"blocks in blocks":        {deep, pixmeta.ErrTooDeep, 100},
		"packed too well":         {png + chunk("zTXt", "k\x00\x00"+packed(strings.Repeat("a", 17<<20))), pixmeta.ErrTooLarge, 100},
		"out's":                   {png + chunk("tEXt", "k\x00a") + chunk("tEXt", "k\x00b"), errFull, 1},
	} {
		out := &count{left: c.left}
		if err := pixmeta.Read([]byte(c.in), out); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// count takes lines without keeping them.
type count struct{ left int }

func (c *count) Line(string, string) error {
	if c.left--; c.left < 0 {
		return errFull
	}
	return nil
}

func (c *count) XMP([]byte) error { return c.Line("", "") }

func FuzzRead(f *testing.F) {
	f.Add(tiffOf(0x8769, 4, "\x08\x00\x00\x00", 0x10e, 2, "hello there\x00", 0x9286, 7, "UNICODE\x00M\x00", 0x8649, 7, "8BIM\x04\x04\x00\x00\x00\x00\x00\x08\x1c\x02\x78\x00\x03MRN"))
	f.Add([]byte(png + chunk("iTXt", "k\x00\x01\x00de\x00Wort\x00"+packed("Zoë")) + chunk("eXIf", string(tiffOf(0x10e, 2, "hello there")))))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x14Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\xff\xfe\x00\x05abc\xff\xd9"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00\x21\xff\x0bXMP DataXMP<x>\x00;"))
	f.Add([]byte("RIFF\x00\x00\x00\x00WEBPXMP \x04\x00\x00\x00<x/>"))
	f.Add([]byte("\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x00jp2c\xff\x4f\xff\x64\x00\x07\x00\x01MRN\xff\x90"))
	f.Add([]byte("\x00\x00\x00\x10ftypheic\x00\x00\x00\x00\x00\x00\x00\x4cmeta\x00\x00\x00\x00" +
		"\x00\x00\x00\x22iinf\x00\x00\x00\x00\x00\x01\x00\x00\x00\x14infe\x02\x00\x00\x00\x00\x01\x00\x00Exif\x00\x00\x00\x00\x1ciloc\x00\x00\x00\x00\x44\x00\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x10\x00\x00\x00\x08"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &count{left: 1000}
		if err := pixmeta.Read(b, out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
	})
}
