package pixmeta

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"
)

// Bounds of compressed text.
const (
	maxInflated = 16 << 20 // bytes of one chunk
	allInflated = 64 << 20 // bytes of all
)

// png reads the chunks that hold text, wherever they stand; what follows IEND
// too.
//
// Source: PNG (third edition) 11.3.3 (text), 11.3.4.6 (eXIf).
func (r *reader) png(b []byte) error {
	for len(b) >= 8 {
		n, kind := int64(binary.BigEndian.Uint32(b)), string(b[4:8])
		b = b[8:]
		v := b[:min(n, int64(len(b)))]
		b = b[min(n+4, int64(len(b))):]
		if err := r.chunk(kind, v); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) chunk(kind string, v []byte) error {
	if kind == "eXIf" {
		return r.block(v)
	}
	if kind != "tEXt" && kind != "zTXt" && kind != "iTXt" {
		return nil
	}
	key, text, ok := bytes.Cut(v, []byte{0})
	if !ok {
		return r.line("Text", v)
	}
	packed := false
	switch {
	case kind == "zTXt" && len(text) > 0:
		packed, text = true, text[1:]
	case kind == "iTXt" && len(text) >= 2:
		packed = text[0] != 0
		_, rest, _ := bytes.Cut(text[2:], []byte{0}) // language
		translated, rest, _ := bytes.Cut(rest, []byte{0})
		if err := r.line("Keyword", translated); err != nil {
			return err
		}
		text = rest
	}
	if packed {
		var err error
		if text, err = r.inflate(text); err != nil {
			return err
		}
	}
	if err := r.spend(len(text)); err != nil {
		return err
	}
	name := strings.ToValidUTF8(string(key), "\ufffd")
	switch {
	case name == "XML:com.adobe.xmp":
		return r.xmp(text)
	case strings.HasPrefix(name, "Raw profile type "):
		return r.block(rawProfile(text))
	}
	return r.line(name, text)
}

// inflate unpacks what can be unpacked.
func (r *reader) inflate(b []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil // no stream: nobody can read it
	}
	out, err := io.ReadAll(io.LimitReader(z, maxInflated+1)) // what came before damage counts
	_ = z.Close()                                            // it was only read
	r.inflated += len(out)
	if err == nil && (len(out) > maxInflated || r.inflated > allInflated) {
		return nil, ErrTooLarge
	}
	return out, nil
}

// rawProfile decodes what ImageMagick and exiftool write into a text: a name, a
// length and hexadecimal digits, on lines of their own.
func rawProfile(b []byte) []byte {
	b = bytes.TrimLeft(b, "\n")
	for range 2 {
		_, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return nil
		}
		b = rest
	}
	out := make([]byte, 0, len(b)/2)
	high, half := byte(0), false
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			continue
		}
		if half {
			out = append(out, high<<4|c)
		}
		high, half = c, !half
	}
	return out
}

// riff reads the chunks of a WebP file. RFC 9649 2.7.
func (r *reader) riff(b []byte) error {
	for len(b) >= 8 {
		kind, n := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		v := b[:min(n, int64(len(b)))]
		b = b[min(n+n&1, int64(len(b))):]
		var err error
		switch kind {
		case "EXIF":
			err = r.block(v)
		case "XMP ":
			err = r.xmp(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gif reads comments, text that is drawn, and what applications keep.
//
// Source: GIF89a 19 to 26; XMP part 3, 1.1.2.
func (r *reader) gif(b []byte) error {
	if len(b) < 13 {
		return nil
	}
	table := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	at := 13 + table(b[10])
	for at+1 < len(b) {
		switch b[at] {
		case 0x2c: // a picture
			if at+10 >= len(b) {
				return nil
			}
			at += 10 + table(b[at+9]) + 1
			_, at = blocks(b, at, false)
		case 0x21:
			label := b[at+1]
			at += 2
			keep := label == 0xfe || label == 0x01 || label == 0xff
			app := ""
			if label != 0xfe && at < len(b) { // a first block of fixed form
				n := int(b[at])
				app = string(b[min(at+1, len(b)):min(at+1+n, len(b))])
				at += 1 + n
			}
			from := min(at, len(b))
			var data []byte
			data, at = blocks(b, at, keep)
			if err := r.extension(label, app, data, b[from:min(at, len(b))]); err != nil {
				return err
			}
		default:
			return nil // the trailer, or damage
		}
	}
	return nil
}

// blocks passes over the sub-blocks at b[at:] and returns where they end, and
// what stands in them where that is asked for.
func blocks(b []byte, at int, keep bool) (data []byte, end int) {
	for at < len(b) {
		n := int(b[at])
		at++
		if n == 0 {
			break
		}
		if keep {
			data = append(data, b[min(at, len(b)):min(at+n, len(b))]...)
		}
		at += n
	}
	return data, at
}

// extension reads an extension of a GIF. raw is data with the lengths in it.
func (r *reader) extension(label byte, app string, data, raw []byte) error {
	switch {
	case label == 0xfe:
		return r.strings("Comment", data)
	case label == 0x01:
		return r.strings("Text", data)
	case app == "XMP DataXMP": // it is written without lengths: its letters are taken for them
		if i := bytes.LastIndexByte(raw, '>'); i >= 0 {
			raw = raw[:i+1]
		}
		return r.xmp(raw)
	case strings.HasPrefix(app, "NETSCAPE"), strings.HasPrefix(app, "ANIMEXTS"), strings.HasPrefix(app, "ICCRGBG1"):
		return nil
	case label == 0xff && (bytes.HasPrefix(data, []byte("8BIM")) || bytes.HasPrefix(data, []byte{0x1c}) || isTIFF(data) || isXML(data)):
		return r.block(data)
	}
	return r.runs("Application", data)
}
