package formats

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"image"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/picture"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Of a page that is read.
const (
	// smallPage is up to how many pixels a page is enlarged: letters on a screen
	// are 8 to 12 pixels high, and the program wants twice as many.
	smallPage = 3 << 20
	// logoSize is how large a logo is at most, in bytes: what `on_image` of the
	// policy lets pass.
	logoSize = 64 << 10
	// maxKnownPages is how many pages' words are kept while a document is read.
	maxKnownPages = 1000
)

// ocr is the way to the parent, which has pages read by a program; nil in a child
// that has none.
type ocr struct {
	answers *wire.Reader
}

// legible reports a picture whose words can be read, here or by another child.
// A logo is left to the policy: one stands below most mail. b is the picture where
// it is.
func (j *job) legible(at place, k kind, s *stream) (b []byte, ok bool) {
	if j.most < wire.OCR || !j.logos && j.scope != nil && at.cid != "" && s.size > 0 && s.size <= logoSize && j.scope.shown[at.cid] {
		return nil, false
	}
	b, err := j.load(s)
	if err != nil {
		*s = stream{r: failing(err), size: s.size} // who reads it next is told the same
		return nil, false
	}
	return b, picture.Look(b, k.media, j.pageBounds()) == nil
}

func (j *job) pageBounds() picture.Bounds {
	return picture.Bounds{Pixels: int(j.lim.Pixels), Pages: j.lim.Pages}
}

// picture opens the part of a legible picture: the words of its metadata and,
// below, those that stand in it.
func (j *job) picture(at place, k kind, b []byte) error {
	if err := j.pictureWords(at, k, memory(b)); err != nil {
		j.guarded(at, func() error { return err })
	}
	err := picture.Pages(b, k.media, j.pageBounds(), func(g *image.Gray) error { return j.readPage(g) })
	switch {
	case err == nil || j.out.err != nil:
		return nil
	case errors.Is(err, picture.ErrTooMany):
		return gapOf(dlp.TooMany, "pages of a picture")
	}
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	inline := j.scope != nil && at.cid != "" && j.scope.shown[at.cid]
	j.out.gap(dlp.Gap{Path: at.path, Name: at.name, Cause: dlp.Image, Detail: k.media, Inline: inline, Size: int64(len(b))})
	return nil
}

// readPage writes the words of a page into the open part.
func (j *job) readPage(g *image.Gray) error {
	g = sized(g)
	key := sha256.Sum256(g.Pix)
	text, known := j.known[key]
	if !known {
		w, err := j.ask(g)
		if err != nil {
			if j.out.err == nil {
				j.out.err = err // the parent is gone, or says what it never does
			}
			return err
		}
		if !w.Read {
			return gapOf(w.Cause, "words in a picture")
		}
		text = bytes.TrimSpace(bytes.ToValidUTF8(bytes.ReplaceAll(w.Text, []byte("\f"), nil), []byte("\ufffd")))
		text = append(bytes.Clone(text), '\n')
		if j.known == nil {
			j.known = map[[sha256.Size]byte][]byte{}
		}
		if len(j.known) < maxKnownPages {
			j.known[key] = text
		}
	}
	if err := j.spend(len(text)); err != nil {
		return err
	}
	j.out.write(text)
	j.out.window()
	return j.out.err
}

// sized returns a page at the size at which its words are read best, within the
// bounds of wire.Page.
func sized(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	if w*h <= smallPage && 2*w <= wire.MaxSide && 2*h <= wire.MaxSide {
		return picture.Resize(g, 2*w, 2*h)
	}
	for w*h > wire.MaxPixels || w > wire.MaxSide || h > wire.MaxSide {
		w, h = max(w*7/8, 1), max(h*7/8, 1)
	}
	return picture.Resize(g, w, h)
}

// ask has the parent read a page, and waits.
func (j *job) ask(g *image.Gray) (wire.Words, error) {
	j.out.window()
	if j.out.err != nil {
		return wire.Words{}, j.out.err
	}
	page := wire.Page{Width: g.Rect.Dx(), Height: g.Rect.Dy()}
	if err := j.conn.w.Put(wire.OpPage, wire.AppendPage(nil, page)); err != nil {
		return wire.Words{}, err
	}
	for pix := g.Pix[:page.Width*page.Height]; len(pix) > 0; {
		n := min(len(pix), wire.MaxChunk)
		if err := j.conn.tell(wire.OpPixels, pix[:n]); err != nil {
			return wire.Words{}, err
		}
		pix = pix[n:]
	}
	op, b, err := j.ocr.answers.Next()
	if err != nil {
		return wire.Words{}, err
	}
	if op != wire.OpWords {
		return wire.Words{}, wire.ErrFrame
	}
	return wire.DecodeWords(b)
}
