package formats

import (
	"bytes"
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/pixmeta"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// image reads the words that a picture carries and, where that can be, those
// that stand in it; else it tells of the picture. In a mail the telling waits until it is known which pictures the
// HTML shows.
func (j *job) image(at place, k kind, s *stream) {
	g := dlp.Gap{Path: at.path, Name: at.name, Cause: dlp.Image, Detail: k.media, Size: s.size}
	held := j.held
	if b, ok := j.legible(at, k, s); ok {
		if _, dealt := j.skip[at.path]; !dealt && j.ocr == nil {
			j.want(wire.OCR)
			return
		}
		j.unit(at, wire.Slow, func() error {
			j.guarded(at, func() error { return j.picture(at, k, b) })
			j.behind(&at, b)
			return nil
		})
		j.held = held
		return
	}
	j.held = held
	if k.media == mediaEMF || k.media == mediaWMF {
		if drawn := j.metafile(at, k, s); !drawn {
			return
		}
	}
	told := pixmeta.Known(k.media)
	if told {
		j.unit(at, wire.Normal, func() error {
			j.guarded(at, func() error { return j.pictureWords(at, k, s) })
			if s.r == nil {
				in := at
				j.behind(&in, s.mem)
			}
			return nil
		})
	}
	told = told || k.media == mediaEMF || k.media == mediaWMF
	switch {
	case j.scope != nil:
		j.scope.images = append(j.scope.images, shownPicture{at: at, gap: g, told: told})
	case told:
		j.out.gap(g)
	default:
		j.part(at, k.media)
		j.out.gap(g)
	}
}

// pictureWords opens a picture's part, whose text is the words of its metadata.
func (j *job) pictureWords(at place, k kind, s *stream) error {
	j.part(at, k.media)
	b, err := j.load(s)
	if err != nil {
		return err
	}
	j.hold(int64(len(b))) // properties that take several pieces are joined
	if !pixmeta.Known(k.media) {
		return nil
	}
	w := &pictureText{j: j, packed: int64(len(b))}
	err = pixmeta.Read(b, w)
	switch {
	case errors.Is(err, pixmeta.ErrTooDeep):
		return gapOf(dlp.TooDeep, "metadata of a picture")
	case errors.Is(err, pixmeta.ErrTooLarge):
		return gapOf(dlp.TooLarge, "metadata of a picture")
	}
	return err
}

// pictureText writes properties, a line each, under their names.
type pictureText struct {
	j      *job
	packed int64
	out    int64
}

// Line implements pixmeta.Sink.
func (w *pictureText) Line(name, text string) error {
	name = cutLabel(validString(name))
	w.j.out.writeString(name + ": ")
	w.j.out.field(validString(text), name, 0)
	w.j.out.writeString("\n")
	n := len(name) + len(text) + 3
	if w.out += int64(n); w.out > wire.RatioFree && w.out > w.packed*w.j.lim.Ratio {
		return gapOf(dlp.TooLarge, "unpacks beyond the ratio")
	}
	if err := w.j.spend(n); err != nil {
		return err
	}
	return w.j.out.err
}

// XMP implements pixmeta.Sink. What is no XML is read for the words in it.
func (w *pictureText) XMP(packet []byte) error {
	x := &xmpText{w: w}
	err := scanXML(bytes.NewReader(packet), x)
	x.flush()
	if x.err != nil {
		return x.err
	}
	if ge, ok := errors.AsType[*gapError](err); ok && ge.cause != dlp.Corrupt {
		return ge
	}
	if err != nil {
		for _, s := range words(packet) {
			if err := w.Line("XMP", s); err != nil {
				return err
			}
		}
	}
	return nil
}

const maxXMPNames = 64 // open elements whose names are kept

// xmpText writes the values of XMP: elements and attributes, under the name of
// the property that they belong to.
//
// Source: ISO 16684-1 7.
type xmpText struct {
	w     *pictureText
	names []string
	deep  int // open elements past those
	buf   []byte
	drop  bool // the text at hand is a picture
	err   error
}

func (x *xmpText) start(name string, a attrs) {
	x.flush()
	x.drop = false
	if len(x.names) < maxXMPNames {
		x.names = append(x.names, name)
	} else {
		x.deep++
	}
	for _, v := range a {
		switch {
		case v.name == "parseType", v.name == "lang", v.name == "xmptk", v.value == "":
		case v.value == "adobe:ns:meta/", strings.HasPrefix(v.value, "http") && strings.ContainsAny(v.value[len(v.value)-1:], "/#"): // a namespace
		default:
			x.line(v.name, v.value)
		}
	}
}

func (x *xmpText) end(string) {
	x.flush()
	x.drop = false
	if x.deep > 0 {
		x.deep--
	} else if len(x.names) > 0 {
		x.names = x.names[:len(x.names)-1]
	}
}

func (x *xmpText) text(b []byte) {
	if x.drop {
		return
	}
	if len(x.buf) == 0 {
		b = bytes.TrimLeft(b, " \t\r\n")
	}
	x.buf = append(x.buf, b...)
	if len(x.buf) >= textChunk {
		if x.drop = isPicture64(x.buf); x.drop {
			x.buf = x.buf[:0]
			return
		}
		x.flush()
	}
}

// isPicture64 reports a JPEG or PNG in base64: a smaller copy of the picture
// itself, which is a gap already.
func isPicture64(b []byte) bool {
	const least = 256
	return len(b) > least && (bytes.HasPrefix(b, []byte("/9j/")) || bytes.HasPrefix(b, []byte("iVBORw0KGgo")))
}

// flush writes the text at hand under the innermost name that says anything.
func (x *xmpText) flush() {
	s := strings.TrimSpace(string(x.buf))
	x.buf = x.buf[:0]
	if s == "" || isPicture64([]byte(s)) {
		return
	}
	name := "XMP"
	for i := len(x.names) - 1; i >= 0; i-- {
		switch x.names[i] {
		case "li", "Bag", "Seq", "Alt", "Description", "RDF", "value":
			continue
		}
		name = x.names[i]
		break
	}
	x.line(name, s)
}

func (x *xmpText) line(name, s string) {
	if x.err == nil {
		x.err = x.w.Line(name, s)
	}
}
