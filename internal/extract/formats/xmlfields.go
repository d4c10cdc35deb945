package formats

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Bounds of XML whose elements are marked.
const (
	maxMarkedTag = 8 << 10  // bytes of a tag that is read; a longer one is passed on unread
	maxNames     = 256      // of open elements that are remembered
	xmlFlush     = 16 << 10 // bytes after which what is at hand is passed on, between two elements that belong together
)

// xmlFields passes XML on unchanged and has a vocabulary mark what its elements
// say. It checks nothing: what is no XML is text all the same.
//
// Source: XML 1.0 (5th ed.) 2.3 to 2.7, 3.1.
type xmlFields struct {
	out   *emitter
	words vocabulary
	buf   []byte // not yet passed on
	spans []dlp.Span
	names []string // of the open elements
	group uint32

	in   markup
	tag  int     // where the tag at hand begins in buf
	long bool    // it has been passed on, but for its end
	q    byte    // the quote that is open in it
	last [2]byte // before the byte at hand, in a comment, CDATA or instruction
	text int     // where the text at hand begins in buf; -1: it has been passed on in part
}

// vocabulary says what the elements of one kind of XML mean. It marks with
// xmlFields.mark.
type vocabulary interface {
	// open takes the tag at hand, which opens name. Its parents are x.name(0), x.name(1) …
	open(x *xmlFields, name string)
	// content takes buf[from:to], the text of x.name(0) up to the next tag, without the space around it.
	content(x *xmlFields, from, to int)
	// shut takes the end of the innermost element, of that name.
	shut(x *xmlFields, name string)
	// together reports spans whose meaning is still to come.
	together() bool
	// flushed says that the spans are gone.
	flushed()
}

// vocabularyOf returns the vocabulary of XML that begins with head, nil where
// it is of none that tells of patients.
func vocabularyOf(head string) vocabulary {
	switch t := strings.TrimLeft(head, " \t\r\n\ufeff"); {
	case !strings.HasPrefix(t, "<"):
	case looksCDA(t):
		return cda{}
	case looksFHIR(t):
		return &fhirXML{}
	case looksSCRIPT(t):
		return &scriptXML{}
	}
	return nil
}

// markup is what the byte at hand stands in.
type markup uint8

const (
	inText markup = iota
	inTag
	inQuestion // an instruction
	inComment
	inCDATA
)

// write takes the next piece of the document.
func (x *xmlFields) write(b []byte) {
	for _, c := range b {
		if x.in == inText && c == '<' {
			x.endText()
			x.in, x.tag, x.long, x.q = inTag, len(x.buf), false, 0
			x.buf = append(x.buf, c)
			continue
		}
		x.buf = append(x.buf, c)
		if x.in != inText {
			x.inside(c)
		}
		if len(x.buf) > maxRow {
			x.flush()
		}
	}
}

// end takes the end of the document.
func (x *xmlFields) end() {
	if x.in == inText {
		x.endText()
	}
	x.flush()
}

// inside takes a byte of markup, which is the last one of buf.
func (x *xmlFields) inside(c byte) {
	ends := false
	switch x.in {
	case inQuestion:
		ends = c == '>' && x.last[1] == '?'
	case inComment:
		ends = c == '>' && x.last == [2]byte{'-', '-'}
	case inCDATA:
		ends = c == '>' && x.last == [2]byte{']', ']'}
	default:
		x.inTag(c)
		return
	}
	x.last = [2]byte{x.last[1], c}
	if ends {
		x.leave()
	}
}

// inTag takes a byte of a tag.
func (x *xmlFields) inTag(c byte) {
	switch t := x.buf[x.tag:]; {
	case x.long:
	case string(t) == "<?":
		x.in, x.last = inQuestion, [2]byte{}
		return
	case string(t) == "<!--":
		x.in, x.last = inComment, [2]byte{}
		return
	case string(t) == "<![CDATA[":
		x.in, x.last = inCDATA, [2]byte{}
		return
	case len(t) > maxMarkedTag:
		x.long = true
	}
	switch {
	case x.q != 0 && c == x.q:
		x.q = 0
	case x.q != 0 && !x.long: // a quote that never ends hides no more than one tag
	case c == '"' || c == '\'':
		x.q = c
	case c == '>':
		if !x.long {
			x.endTag()
		}
		x.leave()
	}
}

// leave ends markup.
func (x *xmlFields) leave() {
	if len(x.buf) > xmlFlush && !x.words.together() || len(x.spans) >= wire.MaxSpans/2 {
		x.flush()
	}
	x.in, x.text = inText, len(x.buf)
}

// endText takes the end of a run of text.
func (x *xmlFields) endText() {
	if x.text < 0 || x.text >= len(x.buf) || len(x.names) == 0 {
		return
	}
	t := x.buf[x.text:]
	value := bytes.TrimSpace(t)
	if len(value) == 0 {
		return
	}
	from := x.text + len(t) - len(bytes.TrimLeft(t, " \t\r\n"))
	x.words.content(x, from, from+len(value))
}

// endTag takes the end of the tag at hand.
func (x *xmlFields) endTag() {
	t := x.buf[x.tag:]
	switch {
	case len(t) < 3 || t[1] == '!':
	case t[1] == '/':
		x.shut(localName(t[2:]))
	default:
		name := localName(t[1:])
		x.nameSpaces()
		x.words.open(x, name)
		if len(x.names) >= maxNames {
			return
		}
		x.names = append(x.names, name)
		if bytes.HasSuffix(t, []byte("/>")) {
			x.shut(name)
		}
	}
}

// shut ends the innermost element of that name and all within it.
func (x *xmlFields) shut(name string) {
	for i := len(x.names) - 1; i >= 0; i-- {
		if x.names[i] != name {
			continue
		}
		for k := len(x.names) - 1; k >= i; k-- {
			last := x.names[k]
			x.names = x.names[:k]
			x.words.shut(x, last)
		}
		return
	}
}

// name returns the n-th open element from within, "" for none.
func (x *xmlFields) name(n int) string {
	if n >= len(x.names) {
		return ""
	}
	return x.names[len(x.names)-1-n]
}

// within reports an open element of that name.
func (x *xmlFields) within(name string) bool { return slices.Contains(x.names, name) }

// mark marks buf[from:to] and returns the number of its span, from 1; 0 where
// there is nothing to mark.
func (x *xmlFields) mark(from, to int, label string, typ dlp.Type) int {
	if from >= to {
		return 0
	}
	x.spans = append(x.spans, dlp.Span{Start: int64(from), End: int64(to), Label: label, Type: typ, Group: x.group})
	return len(x.spans)
}

// attribute returns where the value of an attribute of the tag at hand stands
// in buf; both are 0 without one.
func (x *xmlFields) attribute(name string) (from, to int) {
	t := x.buf[x.tag:]
	for i := 0; ; {
		k := bytes.Index(t[i:], []byte(name))
		if k < 0 {
			return 0, 0
		}
		k += i
		i = k + len(name)
		if t[k-1] > ' ' { // within another name
			continue
		}
		rest := bytes.TrimLeft(t[i:], " \t\r\n")
		if len(rest) < 2 || rest[0] != '=' {
			continue
		}
		rest = bytes.TrimLeft(rest[1:], " \t\r\n")
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			continue
		}
		from = len(t) - len(rest) + 1
		n := bytes.IndexByte(t[from:], rest[0])
		if n < 0 {
			return 0, 0
		}
		return x.tag + from, x.tag + from + n
	}
}

// nameSpaces marks what the tag at hand declares of name spaces and schemas.
//
// Source: Namespaces in XML 1.0 (3rd ed.) 3; XML Schema 1.0, 2.6.3.
func (x *xmlFields) nameSpaces() {
	t := x.buf[x.tag:]
	for i := 0; ; {
		k := bytes.IndexByte(t[i:], '=')
		if k < 0 {
			return
		}
		at := i + k // of the equals sign
		name := bytes.TrimRight(t[i:at], " \t\r\n")
		name = name[bytes.LastIndexAny(name, " \t\r\n")+1:]
		value := bytes.TrimLeft(t[at+1:], " \t\r\n")
		if len(value) == 0 || value[0] != '"' && value[0] != '\'' {
			return
		}
		from := len(t) - len(value) + 1
		n := bytes.IndexByte(t[from:], value[0])
		if n < 0 {
			return
		}
		if _, prefixed := bytes.CutPrefix(name, []byte("xmlns:")); prefixed || string(name) == "xmlns" || bytes.HasSuffix(name, []byte(":schemaLocation")) {
			x.mark(x.tag+from, x.tag+from+n, string(name[:min(len(name), wire.MaxLabel)]), dlp.Definition)
		}
		i = from + n + 1
	}
}

// value returns buf[from:to], or its beginning where it is long.
func (x *xmlFields) value(from, to int) string {
	return string(x.buf[from:min(to, from+wire.MaxLabel)])
}

// flush passes on what is at hand. A tag or text of which it holds the
// beginning is not read.
func (x *xmlFields) flush() {
	slices.SortStableFunc(x.spans, func(a, b dlp.Span) int { return int(a.Start - b.Start) })
	x.out.row(x.buf, x.spans)
	x.buf, x.spans = x.buf[:0], x.spans[:0]
	x.text, x.tag, x.long = -1, 0, true
	x.words.flushed()
}

// localName is the name that b begins with, without its prefix.
func localName(b []byte) string {
	n := bytes.IndexAny(b, " \t\r\n/>")
	if n < 0 {
		n = len(b)
	}
	name := string(b[:n])
	return name[strings.LastIndexByte(name, ':')+1:]
}
