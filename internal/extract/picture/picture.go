// Package picture decodes pictures into grey pixels for a program that reads
// the words in them: PNG, JPEG, GIF, BMP, WebP and TIFF with all its pages, those
// of a fax too.
//
// How large a picture is, is looked at before its pixels are made. It holds the
// pixels of one page at a time, in the picture's own colours and in grey.
package picture

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// Errors of Pages and Look, beside those of damage, whose text may quote the
// picture.
var (
	ErrUnknown  = errors.New("picture: no form that is decoded here")
	ErrTooLarge = errors.New("picture: more pixels than may be decoded")
	ErrTooMany  = errors.New("picture: more pages than may be read")
	ErrTooSmall = errors.New("picture: too small for a word")
)

// least is what a line of text is high, and a word wide, in pixels.
const least = 8

// Bounds is how much is decoded.
type Bounds struct {
	Pixels int // of one page
	Pages  int // of one picture
}

// format decodes one picture. Its functions are those of the image packages.
type format struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

func formatOf(media string) (format, bool) {
	switch media {
	case "image/png":
		return format{png.DecodeConfig, png.Decode}, true
	case "image/jpeg":
		return format{jpeg.DecodeConfig, jpeg.Decode}, true
	case "image/bmp":
		return format{bmp.DecodeConfig, bmp.Decode}, true
	case "image/webp":
		return format{webp.DecodeConfig, webp.Decode}, true
	}
	return format{}, false
}

// Look reports why Pages would give nothing out of b: nil when its first page
// is there, of a size that is decoded.
func Look(b []byte, media string, most Bounds) error {
	switch media {
	case "image/tiff":
		return lookTIFF(b, most)
	case "image/gif":
		c, err := gif.DecodeConfig(bytes.NewReader(b))
		return check(c, most, err)
	}
	f, ok := formatOf(media)
	if !ok {
		return ErrUnknown
	}
	c, err := f.config(bytes.NewReader(b))
	return check(c, most, err)
}

func check(c image.Config, most Bounds, err error) error {
	switch {
	case err != nil:
		return err
	case c.Width < least || c.Height < least:
		return ErrTooSmall
	case c.Width > most.Pixels/c.Height:
		return ErrTooLarge
	}
	return nil
}

// Pages gives out each page of the picture b in grey, until page returns an
// error, which Pages returns. A page may keep its picture.
func Pages(b []byte, media string, most Bounds, page func(*image.Gray) error) error {
	if err := Look(b, media, most); err != nil {
		return err
	}
	switch media {
	case "image/tiff":
		return pagesTIFF(b, most, page)
	case "image/gif":
		return pagesGIF(b, most, page)
	}
	f, _ := formatOf(media) // Look has seen that there is one
	m, err := f.decode(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return page(Gray(m))
}

// pagesGIF gives out each frame, as what it draws by itself.
func pagesGIF(b []byte, most Bounds, page func(*image.Gray) error) error {
	c, err := gif.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	if frames := bytes.Count(b, []byte{0x2c}); frames*c.Width*c.Height > 4*most.Pixels { // at most so many: the mark of one
		m, err := gif.Decode(bytes.NewReader(b)) // the first
		if err != nil {
			return err
		}
		if err := page(Gray(m)); err != nil {
			return err
		}
		return oneGIF(b)
	}
	all, err := gif.DecodeAll(bytes.NewReader(b))
	if err != nil {
		return err
	}
	for i, m := range all.Image {
		if i == most.Pages {
			return ErrTooMany
		}
		if m.Rect.Dx() < least || m.Rect.Dy() < least {
			continue // the part of an animation that changes
		}
		if err := page(Gray(m)); err != nil {
			return err
		}
	}
	return nil
}

// oneGIF reports a GIF that may have further frames: ErrTooLarge, unless its
// first ends it.
func oneGIF(b []byte) error {
	if n := len(b); n > 2 && b[n-1] == ';' && bytes.Count(b, []byte{0, 0x2c}) == 0 && bytes.Count(b, []byte{0, '!'}) == 0 {
		return nil
	}
	return ErrTooLarge
}
