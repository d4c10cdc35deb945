package formats

import (
	"bytes"
	"errors"
	"io"
	"regexp"
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
	enc := textEncoding(head, at.charset)
	if enc == encUTF8 && k.media == "application/xml" {
		if e := declaredEncoding(xmlEncoding(head)); e != "" && e != encUTF16LE && e != encUTF16BE { // it was read as bytes, so it is not wide
			enc = e
		}
	}
	j.part(at, k.media)
	var write func([]byte)
	var table *csvTable
	if k.format == fCSV {
		table = newCSVTable(j.out, k.delim, k.header)
		write = table.write
	} else {
		write = j.out.write
	}
	var armour armourFinder
	err = j.copyText(s.reader(), enc, func(b []byte) {
		armour.look(b)
		write(b)
	})
	if table != nil {
		table.end()
	}
	if armour.found != "" {
		j.gap(at, dlp.Encrypted, armour.found, 0)
	}
	if err != nil {
		return err
	}
	if s.r == nil {
		j.otherReadings(at, k, s.mem)
	}
	return nil
}

// copyText decodes r and hands it on in pieces of valid UTF-8.
func (j *job) copyText(r io.Reader, enc string, write func([]byte)) error {
	t := transform.NewReader(r, decoder(enc))
	buf := make([]byte, 64<<10)
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

var xmlDecl = regexp.MustCompile(`^\s*<\?xml[^>]{0,200}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']`)

// xmlEncoding returns what an XML declaration says; "" when it says nothing.
func xmlEncoding(head []byte) string {
	if m := xmlDecl.FindSubmatch(head[:min(len(head), 512)]); m != nil {
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

// Bounds of what is tried as another reading of a text.
const (
	minEncoded = 12      // characters of base64 that are worth a try
	maxEncoded = 1 << 20 // a text longer than this is an ordinary text or declared properly
)

var (
	vcardQP  = regexp.MustCompile(`(?i)^[A-Z0-9.;=-]*;(?:ENCODING=)?QUOTED-PRINTABLE[;:]`)
	uuBegin  = regexp.MustCompile(`(?m)^begin(?:-base64)? [0-7]{3,4} [^\r\n]{1,255}\r?$`)
	yencLine = regexp.MustCompile(`(?m)^=ybegin [^\r\n]{1,512}\r?$`)
)

// otherReadings reads what a mail program would make of a text that hides more:
// an undeclared encoding, a file written into it.
func (j *job) otherReadings(at place, k kind, b []byte) {
	if k.media != "text/plain" && k.media != "text/csv" {
		return
	}
	if uuBegin.Match(b) || yencLine.Match(b) {
		for i, f := range inlineFiles(b) {
			j.leaf(at.inside(itoa(i+1)), memory(f))
		}
	}
	if at.mail && len(b) <= maxEncoded && looksBase64(b) {
		if d, _ := decodeBase64(b); worthReading(d) {
			j.leaf(at.again(), memory(d))
		}
		return
	}
	if bytes.HasPrefix(bytes.ToUpper(b[:min(len(b), 16)]), []byte("BEGIN:VCARD")) || at.media == "text/vcard" || at.media == "text/x-vcard" {
		for line := range bytes.Lines(b) {
			if vcardQP.Match(line) {
				j.leaf(at.again(), memory(decodeQP(b)))
				return
			}
		}
	}
}

// looksBase64 reports text that is nothing but base64 of some length.
func looksBase64(b []byte) bool {
	b = bytes.TrimSpace(b)
	if len(b) < minEncoded {
		return false
	}
	letters, upper, lower, digit, spaces := 0, 0, 0, 0, 0
	for _, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9' || c == '+' || c == '/':
			digit++
		case c == '=':
		case c == '\r' || c == '\n':
			spaces++
			continue
		default:
			return false
		}
		letters++
	}
	return letters >= minEncoded && upper > 0 && lower > 0 && (digit > 0 || b[len(b)-1] == '=')
}

// worthReading reports decoded bytes that are text or of a known kind: one
// word of letters decodes to noise.
func worthReading(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	if _, ok := signature(b); ok {
		return true
	}
	if bytes.HasPrefix(b, []byte("%PDF-")) || guessWide(b) != "" {
		return true
	}
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
