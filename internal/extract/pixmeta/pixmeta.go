// Package pixmeta reads the words that pictures carry beside their pixels: EXIF
// and the other tags of TIFF, IPTC-IIM, XMP packets, comments and text chunks.
//
// It holds no more than a copy of the picture and 16 MiB. Damage ends the
// structure that is damaged and nothing else: what is in reach is read. Colour
// profiles, C2PA manifests and the layers of Photoshop are passed over.
package pixmeta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Errors of Read beside those of its Sink.
var (
	ErrTooLarge = errors.New("pixmeta: more than is read")
	ErrTooDeep  = errors.New("pixmeta: too deep")
)

// Sink takes what is found. After an error no more comes.
type Sink interface {
	// Line takes the words of one property, which are not empty, in UTF-8 that
	// may be invalid, and the property's name.
	Line(name, text string) error
	// XMP takes an XML file: a packet of XMP, or a JPEG 2000 box of XML.
	XMP(packet []byte) error
}

const (
	maxDepth  = 8        // pictures and blocks of properties within one another
	leastWork = 64 << 20 // bytes looked at, whatever the picture's size
	timesWork = 8        // and so many times its size
	leastRun  = 8        // letters of words that stand in bytes of no known form
)

// Known reports a media type whose pictures Read knows.
func Known(media string) bool {
	switch media {
	case "image/jpeg", "image/png", "image/gif", "image/tiff", "image/webp", "image/heic", "image/heif", "image/avif", "image/jp2", "image/j2c",
		"image/vnd.adobe.photoshop":
		return true
	}
	return false
}

// Read gives out what the picture b says in words. Its error is out's, or that a
// bound was passed.
func Read(b []byte, out Sink) error {
	r := &reader{out: out, left: leastWork + timesWork*len(b)}
	return r.picture(b)
}

type reader struct {
	out      Sink
	left     int // bytes that may still be looked at
	inflated int
	depth    int
}

// spend counts what is looked at: values may overlap.
func (r *reader) spend(n int) error {
	if r.left -= n + 16; r.left < 0 {
		return ErrTooLarge
	}
	return nil
}

// picture reads a picture of any kind, and one within another.
func (r *reader) picture(b []byte) error {
	if r.depth++; r.depth > maxDepth {
		return ErrTooDeep
	}
	defer func() { r.depth-- }()
	if err := r.spend(len(b)); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		return r.jpeg(b)
	case bytes.HasPrefix(b, []byte("\xff\x4f\xff\x51")):
		return r.codestream(b)
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return r.png(b[8:])
	case bytes.HasPrefix(b, []byte("GIF8")):
		return r.gif(b)
	case bytes.HasPrefix(b, []byte("8BPS")):
		return r.photoshop(b)
	case len(b) >= 12 && string(b[8:12]) == "WEBP":
		return r.riff(b[12:])
	case len(b) >= 12 && (string(b[4:8]) == "ftyp" || string(b[4:8]) == "jP  "):
		return r.boxes(b, b)
	}
	return r.tiff(b)
}

// block reads properties that stand by themselves, by what they begin with:
// EXIF, XMP, Photoshop's resources, IPTC-IIM.
func (r *reader) block(b []byte) error {
	if r.depth++; r.depth > maxDepth {
		return ErrTooDeep
	}
	defer func() { r.depth-- }()
	if err := r.spend(len(b)); err != nil {
		return err
	}
	b = bytes.TrimPrefix(b, []byte("Exif\x00\x00"))
	b = bytes.TrimPrefix(b, []byte(xmpSegment))
	b = bytes.TrimPrefix(b, []byte(irbSegment))
	switch {
	case bytes.HasPrefix(b, []byte("8BIM")):
		return r.resources(b)
	case bytes.HasPrefix(b, []byte{0x1c}):
		return r.iptc(b)
	case isTIFF(b):
		return r.tiff(b)
	case isXML(b):
		return r.xmp(b)
	}
	return nil
}

func (r *reader) xmp(b []byte) error {
	if b = bytes.Trim(b, "\x00"); len(b) == 0 {
		return nil
	}
	return r.out.XMP(b)
}

// isXML reports what begins as XML, in UTF-8 or UTF-16.
func isXML(b []byte) bool {
	b = bytes.TrimLeft(b[:min(len(b), 64)], " \t\r\n\x00\xef\xbb\xbf\xff\xfe")
	return len(b) > 0 && b[0] == '<'
}

// line gives out a value in one of the encodings that are told by no mark:
// UTF-8, or else windows-1252.
func (r *reader) line(name string, b []byte) error {
	return r.words(name, codepage.Decode(codepage.Latin1, b))
}

func (r *reader) words(name, s string) error {
	if s = strings.Trim(s, " \t\r\n\x00"); s == "" {
		return nil
	}
	return r.out.Line(name, s)
}

// strings gives out values that are parted by zeros. Exif 2.32 4.6.2 (ASCII), and
// 4.6.4 (Copyright, which holds two).
func (r *reader) strings(name string, b []byte) error {
	for len(b) > 0 {
		one, rest, _ := bytes.Cut(b, []byte{0})
		if err := r.line(name, one); err != nil {
			return err
		}
		b = bytes.TrimLeft(rest, "\x00")
	}
	return nil
}

// runs gives out the stretches of printable ASCII in bytes of no known form.
func (r *reader) runs(name string, b []byte) error {
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] >= ' ' && b[n] < 0x7f {
			n++
		}
		if n >= leastRun {
			if err := r.words(name, string(b[:n])); err != nil {
				return err
			}
		}
		b = b[min(n+1, len(b)):]
	}
	return nil
}

// isText reports bytes that are nothing but text in UTF-8.
func isText(b []byte) bool {
	b = bytes.TrimRight(b, "\x00")
	if len(b) < 4 || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return true
}

// decode16 decodes UTF-16: in the order of its mark, else in that in which most
// of it is Latin, else in the one given, since programs differ.
func decode16(b []byte, order binary.ByteOrder) string {
	big := order == binary.BigEndian
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		big, b = false, b[2:]
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		big, b = true, b[2:]
	default:
		zeros := [2]int{}
		for i, c := range b {
			if c == 0 {
				zeros[i&1]++
			}
		}
		if zeros[0] != zeros[1] {
			big = zeros[0] > zeros[1]
		}
	}
	if big {
		turned := make([]byte, len(b)&^1)
		for i := range turned {
			turned[i] = b[i^1]
		}
		b = turned
	}
	return codepage.Decode16(b)
}
