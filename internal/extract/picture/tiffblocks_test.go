package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/stanch-dlp/stanch/internal/extract/picture"
)

// TestTIFFPrograms decodes what libtiff's tiffcp makes of a dark field on white:
// strips and tiles, by every way of packing that it has.
func TestTIFFPrograms(t *testing.T) {
	copier, err := exec.LookPath("tiffcp")
	if err != nil {
		t.Skip("no tiffcp here: Debian's libtiff-tools has it")
	}
	dir := t.TempDir()
	colours, fax := filepath.Join(dir, "colours.tif"), filepath.Join(dir, "fax.tif")
	m := image.NewRGBA(image.Rect(0, 0, 400, 120))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	for y := 32; y < 80; y++ {
		for x := 96; x < 192; x++ {
			m.SetRGBA(x, y, color.RGBA{R: 20, B: 40, A: 255})
		}
	}
	to, err := os.Create(colours)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tiff.Encode(to, m, nil), to.Close()); err != nil {
		t.Fatal(err)
	}
	noFax := exec.Command("convert", colours, "-alpha", "off", "-threshold", "50%", "-type", "bilevel", "-depth", "1", "-compress", "none", fax).Run()
	opaque := filepath.Join(dir, "opaque.tif")
	if exec.Command("convert", colours, "-alpha", "off", "-type", "truecolor", "-depth", "8", "-compress", "none", opaque).Run() != nil {
		t.Skip("no ImageMagick here")
	}
	for name, c := range map[string]struct {
		fax     bool
		options []string
	}{
		"as it is":                  {false, []string{"-c", "none"}},
		"LZW":                       {false, []string{"-c", "lzw:2"}},
		"deflate":                   {false, []string{"-c", "zip:2"}},
		"PackBits, strips":          {false, []string{"-c", "packbits", "-r", "8"}},
		"LZW, tiles":                {false, []string{"-c", "lzw", "-t", "-w", "64", "-l", "64"}},
		"JPEG":                      {false, []string{"-c", "jpeg", "-r", "128"}},
		"JPEG as colours":           {false, []string{"-c", "jpeg:r", "-r", "128"}},
		"JPEG, strips":              {false, []string{"-c", "jpeg", "-r", "16"}},
		"JPEG, tiles":               {false, []string{"-c", "jpeg", "-t", "-w", "64", "-l", "64"}},
		"JPEG, the other end first": {false, []string{"-B", "-c", "jpeg", "-r", "16"}},
		"Group 3":                   {true, []string{"-c", "g3:1d"}},
		"Group 3, filled to bytes":  {true, []string{"-c", "g3:1d:fill"}},
		"Group 3, last bit first":   {true, []string{"-f", "lsb2msb", "-c", "g3:1d"}},
		"Group 4":                   {true, []string{"-c", "g4", "-r", "32"}},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := opaque, filepath.Join(t.TempDir(), "a.tif")
			if c.fax {
				if from = fax; noFax != nil {
					t.Skip("no ImageMagick here")
				}
			}
			if out, err := exec.Command(copier, append(c.options, from, to)...).CombinedOutput(); err != nil {
				t.Fatalf("tiffcp: %v %s", err, out)
			}
			b, err := os.ReadFile(to)
			if err != nil {
				t.Fatal(err)
			}
			sizes, dark, err := pages(t, b, "image/tiff")
			if err != nil || len(sizes) != 1 || sizes[0] != image.Pt(400, 120) || dark < 4608-150 || dark > 4608+150 { // JPEG rounds edges off
				t.Errorf("got %v, %d dark pixels, %v", sizes, dark, err)
			}
			if _, _, err := pages(t, b[:len(b)/2], "image/tiff"); err == nil {
				t.Error("cut: no error")
			}
		})
	}
}

// TestTIFFNotRead: the pages of a TIFF that are not decoded are an error, never a page
// of another look or none.
func TestTIFFNotRead(t *testing.T) {
	copier, err := exec.LookPath("tiffcp")
	if err != nil {
		t.Skip("no tiffcp here: Debian's libtiff-tools has it")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, args := range map[string][]string{"rgb.tif": {"-type", "truecolor", "-depth", "8", "-compress", "none"}, "cmyk.tif": {"-colorspace", "CMYK", "-depth", "8", "-compress", "none"},
		"fax.tif": {"-threshold", "50%", "-type", "bilevel", "-depth", "1", "-compress", "none"}} {
		if exec.CommandContext(t.Context(), "convert", append(append([]string{"-size", "200x80", "gradient:"}, args...), in(name))...).Run() != nil {
			t.Skip("no ImageMagick here")
		}
	}
	for name, c := range map[string][]string{"BigTIFF": {"-8", in("rgb.tif")}, "planes apart": {"-p", "separate", in("rgb.tif")},
		"two-dimensional Group 3": {"-c", "g3:2d", in("fax.tif")}, "CMYK": {"-c", "lzw", in("cmyk.tif")}} {
		out := in("out.tif")
		if msg, err := exec.CommandContext(t.Context(), copier, append(c, out)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", name, err, msg)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		pages := 0
		err = picture.Pages(b, "image/tiff", picture.Bounds{Pixels: 1 << 20, Pages: 9}, func(*image.Gray) error { pages++; return nil })
		if err == nil || pages > 0 {
			t.Errorf("%s: %d pages, error %v", name, pages, err)
		}
	}
}

// TestTIFFOldJPEG holds that JPEG as TIFF had it before 1995 is told as not read: its
// header has the pieces of the JPEG stream by tags of their own.
//
// Source: TIFF 6.0, 22.
func TestTIFFOldJPEG(t *testing.T) {
	var stream bytes.Buffer
	if err := jpeg.Encode(&stream, image.NewGray(image.Rect(0, 0, 64, 16)), nil); err != nil {
		t.Fatal(err)
	}
	file := func(compression uint16) []byte {
		tags := [][3]uint32{{256, 4, 64}, {257, 4, 16}, {258, 3, 8}, {259, 3, uint32(compression)}, {262, 3, 1}, {273, 4, 200}, {277, 3, 1}, {278, 4, 16},
			{279, 4, uint32(stream.Len())}, {512, 3, 1}, {513, 4, 200}, {514, 4, uint32(stream.Len())}}
		b := binary.LittleEndian.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), uint16(len(tags)))
		for _, g := range tags {
			b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, uint16(g[0])), uint16(g[1]))
			b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, 1), g[2])
		}
		return append(append(b, make([]byte, 200-len(b))...), stream.Bytes()...)
	}
	for compression, want := range map[uint16]int{6: 0, 7: 1} { // 7 is the JPEG of 1995
		pages := 0
		err := picture.Pages(file(compression), "image/tiff", picture.Bounds{Pixels: 1 << 20, Pages: 9}, func(*image.Gray) error { pages++; return nil })
		if pages != want || (err == nil) != (want > 0) {
			t.Errorf("compression %d: %d pages, error %v", compression, pages, err)
		}
	}
}
