package formats

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/transform"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of the XML reader.
const (
	maxTag     = 1 << 20  // bytes of one tag with its attributes
	textChunk  = 16 << 10 // bytes of text handed on at a time
	maxXMLAttr = 1000     // attributes of one tag that are kept
)

// xmlHandler takes what an XML file holds. Names are local ones, without
// prefix. Text comes in pieces of valid UTF-8, entities resolved.
type xmlHandler interface {
	start(name string, attr attrs)
	end(name string)
	text(b []byte)
}

// attrs are the attributes of a tag.
type attrs []attr

type attr struct{ name, value string }

// get returns the attribute with that local name, "" when there is none.
func (a attrs) get(name string) string {
	for i := range a {
		if a[i].name == name {
			return a[i].value
		}
	}
	return ""
}

// scanXML reads XML token by token in bounded memory, without following
// external or declared entities, and without minding whether tags match: the
// programs that show a document mind neither, or are not fooled.
//
// Source: XML 1.0 (5th ed.) 2.3 to 2.10.
func scanXML(r io.Reader, h xmlHandler) error { return new(xmlScanner).scan(r, h) }

// scan is scanXML with the buffers of x, which it does not use for two at a time.
func (x *xmlScanner) scan(r io.Reader, h xmlHandler) error {
	if x.in {
		return scanXML(r, h)
	}
	x.in, x.h = true, h
	defer func() { x.in, x.h = false, nil }()
	if x.own == nil {
		x.own = bufio.NewReaderSize(nil, 64<<10)
	}
	x.own.Reset(r)
	defer x.own.Reset(nil) // what was read may be large
	br := x.own
	head, err := br.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	enc := textEncoding(head, "")
	if e := declaredEncoding(xmlEncoding(head)); enc == encUTF8 && e != "" && e != encUTF16LE && e != encUTF16BE {
		enc = e
	}
	if enc == "" {
		return gapOf(dlp.Corrupt, "xml")
	}
	if enc != encUTF8 {
		br = bufio.NewReaderSize(transform.NewReader(br, decoder(enc)), 64<<10)
	}
	x.r = br
	for {
		err := x.token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// xmlScanner is a reading of XML, and its buffers, which serve one after another.
type xmlScanner struct {
	own   *bufio.Reader
	r     *bufio.Reader // own, or what decodes it
	h     xmlHandler
	in    bool // a reading goes on
	buf   []byte
	atr   attrs
	names [256]string // that were seen, by a sum of theirs
}

// token handles the next run of text or the next tag.
func (x *xmlScanner) token() error {
	x.buf = x.buf[:0]
	for {
		b, err := x.r.ReadSlice('<')
		if err == nil && len(x.buf) == 0 {
			x.flushText(b[:len(b)-1])
			return x.markup()
		}
		x.buf = append(x.buf, b...)
		if err == nil {
			x.flushText(x.buf[:len(x.buf)-1])
			return x.markup()
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			x.flushText(x.buf)
			return err
		}
		if len(x.buf) >= textChunk { // keep what may be a cut entity or rune
			keep := 0
			if i := bytes.LastIndexByte(x.buf, '&'); i >= 0 && len(x.buf)-i < 12 {
				keep = len(x.buf) - i
			} else {
				keep = len(x.buf) - len(cutRune(x.buf))
			}
			x.flushText(x.buf[:len(x.buf)-keep])
			x.buf = append(x.buf[:0], x.buf[len(x.buf)-keep:]...)
		}
	}
}

func (x *xmlScanner) flushText(b []byte) {
	if len(b) == 0 {
		return
	}
	if bytes.IndexByte(b, '&') >= 0 {
		b = resolve(b)
	}
	if !utf8.Valid(b) {
		b = []byte(decodeText(b, ""))
	}
	x.h.text(b)
}

// resolve replaces character references and the five entities of XML; those
// that a document declares stay as they are written.
func resolve(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			return append(out, b...)
		}
		out = append(out, b[:i]...)
		b = b[i:]
		k := bytes.IndexByte(b[:min(len(b), 12)], ';')
		if k < 0 {
			out, b = append(out, '&'), b[1:]
			continue
		}
		out = append(out, html.UnescapeString(string(b[:k+1]))...)
		b = b[k+1:]
	}
}

// markup handles what follows a '<'.
func (x *xmlScanner) markup() error {
	c, err := x.r.Peek(1)
	if err != nil {
		return err
	}
	switch c[0] {
	case '?', '!':
		if _, err := x.r.Discard(1); err != nil {
			return err
		}
		if c[0] == '?' {
			return x.skipTo("?>")
		}
		return x.declaration()
	}
	x.buf = x.buf[:0]
	var quote byte
	for at := 0; ; {
		b, err := x.r.ReadSlice('>')
		if err == nil && len(x.buf) == 0 && unquoted(b) {
			x.tag(b[:len(b)-1])
			return nil
		}
		x.buf = append(x.buf, b...)
		if len(x.buf) > maxTag {
			return gapOf(dlp.TooLarge, "xml tag")
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF {
				return gapOf(dlp.Corrupt, "xml")
			}
			return err
		}
		for ; at < len(x.buf); at++ {
			switch d := x.buf[at]; {
			case quote != 0:
				if d == quote {
					quote = 0
				}
			case d == '"' || d == '\'':
				quote = d
			case d == '>':
				x.tag(x.buf[:at])
				return nil
			}
		}
	}
}

// unquoted reports a tag at whose end no quotation mark is open, as far as a look
// at both kinds tells.
func unquoted(b []byte) bool {
	return bytes.Count(b, []byte{'"'})%2 == 0 && bytes.IndexByte(b, '\'') < 0
}

// tag takes a tag apart: what stood between the brackets. Its values share one
// string.
func (x *xmlScanner) tag(b []byte) {
	if len(b) > 0 && b[0] == '/' {
		x.h.end(x.name(bytes.TrimSpace(b[1:])))
		return
	}
	empty := len(b) > 0 && b[len(b)-1] == '/'
	if empty {
		b = b[:len(b)-1]
	}
	i := blank(b)
	name := x.name(b[:i])
	x.atr = x.atr[:0]
	if i < len(b) {
		x.attributes(decodeText(b[i:], ""))
	}
	x.h.start(name, x.atr)
	if empty {
		x.h.end(name)
	}
}

// attributes takes the attributes of a tag apart.
func (x *xmlScanner) attributes(s string) {
	for len(x.atr) < maxXMLAttr {
		s = trimBlanks(s)
		k := strings.IndexByte(s, '=')
		if k < 0 {
			return
		}
		rest := trimBlanks(s[k+1:])
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			return
		}
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return
		}
		v := rest[1 : 1+end]
		if strings.IndexByte(v, '&') >= 0 {
			v = validString(string(resolve([]byte(v))))
		}
		x.atr = append(x.atr, attr{bareName(strings.TrimSpace(s[:k])), v})
		s = rest[end+2:]
	}
}

// blank is where the first blank stands, else the end.
func blank(b []byte) int {
	for i, c := range b {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			return i
		}
	}
	return len(b)
}

func trimBlanks(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		s = s[1:]
	}
	return s
}

// name returns the local name of an element, made once for many.
func (x *xmlScanner) name(b []byte) string {
	if i := bytes.LastIndexByte(b, ':'); i >= 0 {
		b = b[i+1:]
	}
	if len(b) == 0 || len(b) > 64 {
		return string(b)
	}
	sum := byte(len(b))<<5 ^ b[0]*7 ^ b[len(b)-1]*31 ^ b[len(b)/2]
	if x.names[sum] != string(b) {
		x.names[sum] = string(b)
	}
	return x.names[sum]
}

func bareName(s string) string { return s[strings.LastIndexByte(s, ':')+1:] }

// declaration handles "<!": comments and document types are passed over, CDATA
// is text. A document type that declares something of its own is a gap: text
// can hide in its entities, and no office program writes one.
//
// Source: ECMA-376-2 9.1.3 forbids them in a package.
func (x *xmlScanner) declaration() error {
	b, err := x.r.Peek(7)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case bytes.HasPrefix(b, []byte("--")):
		return x.skipTo("-->")
	case string(b) == "[CDATA[":
		if _, err := x.r.Discard(7); err != nil {
			return err
		}
		return x.cdata()
	}
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			return err
		}
		switch c {
		case '[':
			return gapOf(dlp.Unsupported, "xml document type")
		case '>':
			return nil
		}
	}
}

func (x *xmlScanner) cdata() error {
	x.buf = x.buf[:0]
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			x.emit(x.buf)
			return err
		}
		x.buf = append(x.buf, c)
		if c == '>' && bytes.HasSuffix(x.buf, []byte("]]>")) {
			x.emit(x.buf[:len(x.buf)-3])
			return nil
		}
		if len(x.buf) >= textChunk && c < utf8.RuneSelf && c != ']' && c != '>' {
			x.emit(x.buf)
			x.buf = x.buf[:0]
		}
		if len(x.buf) > maxTag {
			return gapOf(dlp.TooLarge, "xml text")
		}
	}
}

// emit hands on text that has no entities.
func (x *xmlScanner) emit(b []byte) {
	if len(b) > 0 {
		x.h.text([]byte(decodeText(b, "")))
	}
}

// skipTo passes over everything up to end, which is at most 4 bytes.
func (x *xmlScanner) skipTo(end string) error {
	var last [4]byte
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			return err
		}
		copy(last[:], last[1:])
		last[3] = c
		if string(last[4-len(end):]) == end {
			return nil
		}
	}
}
