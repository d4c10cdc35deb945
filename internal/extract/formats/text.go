package formats

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/transform"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// text reads text of any size as it is, window by window.
func (j *job) text(at place, k kind, s *stream) error {
	head, err := s.head()
	if err != nil {
		return err
	}
	enc := asBytes(at, textEncoding(head, at.charset))
	if enc == encUTF8 && k.media == "application/xml" {
		if e := declaredEncoding(xmlEncoding(head)); e != "" && digitsAsASCII(e) { // its declaration was read as ASCII, so it is like that
			enc = e
		}
	}
	marker := fieldMarker(j.out, k, enc, head) // head is good until the next read
	order := newByteOrder(at, head, enc)
	switch {
	case s.r == nil:
	case holdsFiles(head):
		s.keep(int(max(maxEncoded, min(maxCard, j.lim.Memory-j.held))))
		j.hold(int64(len(s.mem)))
	case asUsual(k.media, enc, head) != nil: // it is read so, too
		s.keep(int(max(maxEncoded, min(maxCard, (j.lim.Memory-j.held)/2))))
		j.hold(2 * int64(len(s.mem)))
	}
	declares := k.media == "application/xml" && bytes.Contains(head, []byte(entityMark))
	s.keep(maxEncoded)
	j.part(at, k.media)
	if declares && s.r != nil {
		j.tooManyEntities(at)
	}
	j.out.runs.off = s.r == nil && (wholeBase64(s.mem) != nil || !at.unfolded && withoutFiles(s.mem) != nil) // it is given as a reading
	write := j.out.write
	if marker != nil {
		write = marker.write
	}
	var armour armourFinder
	look := func(b []byte) {
		armour.look(b)
		write(b)
	}
	var watch *watcher
	if s.r == nil && enc == encUTF8 && utf8.Valid(s.mem) {
		j.passText(s.mem, look)
	} else {
		var r io.Reader
		r, watch = j.watch(s)
		err = j.copyText(order.follow(r), enc, look)
	}
	if marker != nil {
		marker.end()
	}
	if armour.found != "" {
		j.gap(at, dlp.Encrypted, armour.found, 0)
	}
	if s.r != nil {
		for _, what := range ambiguities(marker) {
			j.gap(at, dlp.Ambiguous, what, 0)
		}
	}
	j.watched(&at, watch, s)
	at = j.otherOrder(at, order, s)
	if err != nil {
		return err
	}
	if s.r == nil {
		at = j.written(at, k, s.mem)
		if t := undeclared(at, enc, s.mem); t != nil {
			q := at.again()
			q.decoded, q.charset = true, encUTF8
			j.leaf(q, memory(t))
			at.readings++
		}
		j.otherReadings(at, k, enc, s.mem)
	}
	return nil
}

// undeclared returns what a text taken for enc says in a charset that was found in
// its bytes; nil where that is the same.
func undeclared(at place, enc string, b []byte) []byte {
	if enc != encUTF8 || at.decoded || at.unfolded {
		return nil
	}
	return detected(b)
}

// marker passes text on unchanged, with its fields marked.
type marker interface {
	write(b []byte)
	end()
}

// fieldMarker returns the marker for a text of kind k that begins with head,
// nil where its fields have no names.
func fieldMarker(out *emitter, k kind, enc string, head []byte) marker {
	switch {
	case k.format == fCSV:
		return newCSVTable(out, k)
	case k.media == mediaHL7:
		return newHL7(out)
	case k.media == mediaX12 && enc == encUTF8:
		return newX12(out, strings.TrimLeft(string(head[:min(len(head), 1024)]), " \t\r\n\ufeff"))
	case k.media == mediaJSON:
		return &jsonFields{out: out}
	}
	if words := vocabularyOf(sample(head, enc)); words != nil {
		return &xmlFields{out: out, words: words}
	}
	if k.media == "text/plain" {
		return newTextTables(out)
	}
	return nil
}

// passText hands valid UTF-8 on as it is.
func (j *job) passText(b []byte, write func([]byte)) {
	for len(b) > 0 && j.out.err == nil {
		piece := cutRune(b[:min(len(b), 64<<10)])
		write(piece)
		b = b[len(piece):]
	}
}

// copyText decodes r and hands it on in pieces of valid UTF-8.
func (j *job) copyText(r io.Reader, enc string, write func([]byte)) error {
	t := transform.NewReader(r, decoder(enc))
	buf := j.conn.copied
	j.conn.copied = nil
	if buf == nil {
		buf = make([]byte, 64<<10)
	}
	defer func() { j.conn.copied = buf }()
	kept := 0
	for j.out.err == nil {
		n, err := t.Read(buf[kept:])
		b := buf[:kept+n]
		if err != nil {
			write(bytes.ToValidUTF8(b, []byte("\ufffd")))
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		whole := cutRune(b)
		if !utf8.Valid(whole) {
			write(bytes.ToValidUTF8(whole, []byte("\ufffd")))
		} else {
			write(whole)
		}
		kept = copy(buf, b[len(whole):])
	}
	return nil
}

var xmlDecl = expression(`^\s*<\?xml[^>]{0,200}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']`)

// xmlEncoding returns what an XML declaration says; "" when it says nothing.
func xmlEncoding(head []byte) string {
	if bytes.HasPrefix(head, []byte(`<?xml version="1.0" encoding="UTF-8"`)) { // what nearly all office programs write
		return "UTF-8"
	}
	if m := xmlDecl().FindSubmatch(head[:min(len(head), 512)]); m != nil {
		return string(m[1])
	}
	return ""
}

// armours are first lines of encrypted text inside text.
var armours = []struct{ line, detail string }{
	{"-----BEGIN PGP MESSAGE", "openpgp"},
	{"-----BEGIN AGE ENCRYPTED FILE", "age"},
	{"-----BEGIN PKCS7", "smime"},
	{"-----BEGIN CMS", "smime"},
}

// armourFinder looks for armours in text that comes in pieces.
type armourFinder struct {
	tail  []byte
	found string
}

func (a *armourFinder) look(b []byte) {
	const longest = 32
	if a.found != "" {
		return
	}
	join := append(a.tail, b[:min(len(b), longest)]...)
	for _, piece := range [][]byte{join, b} {
		i := bytes.Index(piece, []byte("-----BEGIN "))
		for _, m := range armours {
			if i >= 0 && bytes.Contains(piece[i:], []byte(m.line)) {
				a.found = m.detail
			}
		}
	}
	a.tail = append(a.tail[:0], b[max(0, len(b)-longest):]...)
}
