package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/stanch-dlp/stanch/internal/extract/picture"
)

var most = picture.Bounds{Pixels: 1 << 20, Pages: 3}

func pages(t testing.TB, b []byte, media string) (sizes []image.Point, dark int, err error) {
	t.Helper()
	err = picture.Pages(b, media, most, func(g *image.Gray) error {
		sizes = append(sizes, g.Rect.Size())
		for _, v := range g.Pix {
			if v < 128 {
				dark++
			}
		}
		return nil
	})
	return sizes, dark, err
}

// TestConverted decodes what ImageMagick writes: a black field of 40 × 30 pixels on
// white.
func TestConverted(t *testing.T) {
	if _, err := exec.LookPath("convert"); err != nil {
		t.Skip("ImageMagick is not installed")
	}
	field := []string{"-size", "100x80", "xc:white", "-fill", "black", "-draw", "rectangle 10,10 49,39"}
	for name, c := range map[string]struct {
		file, media string
		options     []string
		pages       int
	}{
		"PNG":               {"a.png", "image/png", nil, 1},
		"PNG, transparent":  {"a.png", "image/png", []string{"-transparent", "white"}, 1},
		"JPEG":              {"a.jpg", "image/jpeg", []string{"-quality", "100"}, 1},
		"JPEG, progressive": {"a.jpg", "image/jpeg", []string{"-quality", "100", "-interlace", "JPEG"}, 1},
		"JPEG, CMYK":        {"a.jpg", "image/jpeg", []string{"-quality", "100", "-colorspace", "CMYK"}, 1},
		"GIF":               {"a.gif", "image/gif", nil, 1},
		"BMP":               {"a.bmp", "image/bmp", nil, 1},
		"WebP":              {"a.webp", "image/webp", []string{"-define", "webp:lossless=true"}, 1},
		"TIFF, LZW":         {"a.tif", "image/tiff", []string{"-alpha", "off", "-compress", "LZW"}, 1},
		"TIFF, Group 4":     {"a.tif", "image/tiff", []string{"-threshold", "50%", "-compress", "Group4"}, 1},
		"TIFF, two pages":   {"a.tif", "image/tiff", []string{"-alpha", "off", "-compress", "Zip", "(", "+clone", ")"}, 2},
		"TIFF, big endian":  {"a.tif", "image/tiff", []string{"-alpha", "off", "-endian", "MSB"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), c.file)
			if out, err := exec.Command("convert", append(append(append([]string{}, field...), c.options...), to)...).CombinedOutput(); err != nil {
				t.Skipf("convert writes none: %s", out)
			}
			b, err := os.ReadFile(to)
			if err != nil {
				t.Fatal(err)
			}
			sizes, dark, err := pages(t, b, c.media)
			if err != nil || len(sizes) != c.pages || sizes[0] != image.Pt(100, 80) || dark != c.pages*40*30 {
				t.Errorf("got %v, %d dark pixels, %v", sizes, dark, err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2000, 1000))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := pages(t, b.Bytes(), "image/png"); !errors.Is(err, picture.ErrTooLarge) {
		t.Errorf("large: got %v", err)
	}
	b.Reset()
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2000, 1))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := pages(t, b.Bytes(), "image/png"); !errors.Is(err, picture.ErrTooSmall) {
		t.Errorf("small: got %v", err)
	}
	forged := []byte("II*\x00\x08\x00\x00\x00\x07\x00")
	for _, e := range [][3]uint32{{256, 3, 64}, {257, 3, 64}, {259, 3, 7}, {322, 4, 60000}, {323, 4, 60000}, {324, 4, 8}, {325, 4, 64}} {
		forged = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(forged, uint16(e[0])), uint16(e[1]))
		forged = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(forged, 1), e[2])
	}
	if _, _, err := pages(t, append(forged, 0, 0, 0, 0), "image/tiff"); !errors.Is(err, picture.ErrTooLarge) {
		t.Errorf("a tile of 60,000 pixels a side: got %v", err)
	}
	if _, _, err := pages(t, nil, "image/heic"); !errors.Is(err, picture.ErrUnknown) {
		t.Errorf("unknown: got %v", err)
	}
}

func TestResize(t *testing.T) {
	g := image.NewGray(image.Rect(0, 0, 10, 10))
	for i := range g.Pix {
		g.Pix[i] = byte(100 + 50*(i%2))
	}
	for _, size := range []image.Point{{5, 5}, {20, 20}, {20, 10}, {3, 7}, {1, 1}} {
		r := picture.Resize(g, size.X, size.Y)
		sum := 0
		for _, v := range r.Pix {
			sum += int(v)
		}
		if mean := sum / len(r.Pix); r.Rect.Size() != size || mean < 100 || mean > 150 {
			t.Errorf("%v: got %v, mean %d", size, r.Rect, mean)
		}
	}
}

// FuzzPages holds that no bytes make it panic or give out more than it may.
func FuzzPages(f *testing.F) {
	m := image.NewPaletted(image.Rect(0, 0, 16, 16), color.Palette{color.Black, color.White})
	var p, t bytes.Buffer
	if png.Encode(&p, m) != nil || tiff.Encode(&t, m, nil) != nil {
		f.Fatal("no seeds")
	}
	f.Add(p.Bytes(), "image/png")
	f.Add(t.Bytes(), "image/tiff")
	f.Add([]byte("GIF89a\x10\x00\x10\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x10\x00\x10\x00\x00\x02\x01;"), "image/gif")
	f.Fuzz(func(t *testing.T, b []byte, media string) {
		n := 0
		_ = picture.Pages(b, media, most, func(g *image.Gray) error {
			if n++; n > most.Pages || len(g.Pix) > most.Pixels {
				t.Errorf("page %d of %v", n, g.Rect)
			}
			return nil
		})
	})
}
