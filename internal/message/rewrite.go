package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"mime"
	"strings"
)

// maxHead is how much of a text is looked at to find where its reader begins
// to see it, in bytes: a page's style sheet stands before.
const maxHead = 256 << 10

// maxSafe is the longest line of text that passes everywhere, in bytes without
// its line end. RFC 5322 2.1.1.
const maxSafe = 998

// part says what becomes of a part of the message. The zero value leaves it as
// it is.
type part struct {
	coding  string // the content transfer encoding it gets; "" keeps its own
	display bool   // a legacy display stands in it
	charset string // the charset it gets; "" keeps its own
	at      int    // where put goes, in the body as it is written
	drop    int    // how many bytes it replaces
	put     []byte
}

// survey looks at a message and decides what becomes of each part.
type survey struct {
	show []Named // for the legacy display
	plan []part
	leaf leaf
}

// leaf is what is seen of a body.
type leaf struct {
	entity
	head      []byte
	cut       bool // there is more than head
	unsafe    bool // not lines of seven-bit text, RFC 2045 2.7
	eight     bool
	lineBytes int
	last      byte
}

func (s *survey) structure([]byte) error { return nil }

func (s *survey) part(e entity) (func([]byte) error, error) {
	s.plan = append(s.plan, part{})
	s.leaf = leaf{entity: e, head: s.leaf.head[:0]}
	return s.look, nil
}

func (s *survey) look(p []byte) error {
	l := &s.leaf
	if l.frozen {
		return nil
	}
	if l.coding != "quoted-printable" && l.coding != "base64" {
		l.check(p)
	}
	if len(s.show) > 0 && l.main && (l.kind == "text/plain" || l.kind == "text/html") {
		n := min(len(p), maxHead-len(l.head))
		l.head = append(l.head, p[:n]...)
		l.cut = l.cut || n < len(p)
	}
	return nil
}

// check looks for what is not seven-bit text in lines of at most 998 bytes that
// CRLF ends. RFC 2045 2.7, RFC 5322 2.1.1.
func (l *leaf) check(p []byte) {
	for _, c := range p {
		switch {
		case c == '\n':
			l.unsafe = l.unsafe || l.last != '\r'
			l.lineBytes = 0
		case l.last == '\r', c == 0:
			l.unsafe = true
			l.lineBytes++
		case c >= 0x80:
			l.unsafe, l.eight = true, true
			l.lineBytes++
		case c != '\r':
			l.lineBytes++
		}
		l.unsafe = l.unsafe || l.lineBytes > maxSafe
		l.last = c
	}
}

func (s *survey) end() error {
	l := &s.leaf
	if l.frozen {
		return nil
	}
	l.unsafe = l.unsafe || l.last == '\r'
	p := &s.plan[len(s.plan)-1]
	if len(s.show) > 0 && l.main {
		l.display(s.show, p)
	}
	if l.unsafe {
		p.coding = "base64"
		if strings.HasPrefix(l.kind, "text/") {
			p.coding = "quoted-printable"
		}
	}
	return nil
}

// header returns header with what the part changes in it, lines ended with
// CRLF, without the empty line. hp is the parameter of a payload's root, or "".
func (p part) header(header Fields, hp string) ([]byte, error) {
	var b bytes.Buffer
	typed, coded := false, false
	for _, f := range header {
		switch {
		case f.Is("Content-Type"):
			typed = true
			field, err := p.contentType(f, hp)
			if err != nil {
				return nil, err
			}
			b.Write(field)
		case f.Is("Content-Transfer-Encoding") && p.coding != "":
			coded = true
			b.WriteString("Content-Transfer-Encoding: " + p.coding + "\r\n")
		case f.Is("Content-Length"): // mail has none, and it would be wrong
		case f.Is("Content-MD5") && p.put != nil: // of the text without its display
		default:
			b.Write(crlf(f.Raw))
		}
	}
	if !typed && (hp != "" || p.display) { // RFC 2045 5.2: what a body without a type is
		field, err := p.contentType(Field{Raw: []byte("Content-Type: text/plain")}, hp)
		if err != nil {
			return nil, err
		}
		b.Write(field)
	}
	if !coded && p.coding != "" {
		b.WriteString("Content-Transfer-Encoding: " + p.coding + "\r\n")
	}
	return b.Bytes(), nil
}

// contentType returns the field with the parameters that header protection
// adds, its own as they were written wherever they can stay.
func (p part) contentType(f Field, hp string) ([]byte, error) {
	kind, params, err := mediaType(f)
	if err != nil {
		return nil, ErrAmbiguous
	}
	_, had := params["hp"]
	_, shown := params["hp-legacy-display"]
	if !had && !shown && hp == "" && !p.display {
		return crlf(f.Raw), nil
	}
	if !had && !shown && p.charset == "" {
		out := p.mark(bytes.TrimRight(f.Raw, " \t\r\n;"), hp)
		if _, now, err := mime.ParseMediaType(Field{Raw: out}.Value()); err == nil && now["hp"] == hp {
			return out, nil
		}
	}
	params = maps.Clone(params)
	delete(params, "hp")
	delete(params, "hp-legacy-display")
	if p.charset != "" {
		params["charset"] = p.charset
	}
	value := mime.FormatMediaType(kind, params)
	if value == "" {
		return nil, ErrAmbiguous
	}
	return p.mark([]byte("Content-Type: "+strings.ReplaceAll(value, "; ", ";\r\n ")), hp), nil
}

// mediaType reads a Content-Type. Comments in it, RFC 2045 5.1, are passed over
// where every reader takes them for one: after a blank, and without signs that
// mean something to one that knows no comments.
func mediaType(f Field) (kind string, params map[string]string, err error) {
	value := f.Value()
	var b strings.Builder
	quoted := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case quoted && c == '\\' && i+1 < len(value):
			b.WriteByte(c)
			i++
			c = value[i]
		case c == '"':
			quoted = !quoted
		case !quoted && c == '(' && i > 0 && strings.IndexByte(" \t;", value[i-1]) >= 0:
			n := strings.IndexByte(value[i:], ')')
			if n > 0 && !strings.ContainsAny(value[i+1:i+n], `(\";=`) && (i+n+1 == len(value) || strings.IndexByte(" \t;", value[i+n+1]) >= 0) {
				i += n
				continue
			}
		}
		b.WriteByte(c)
	}
	return mime.ParseMediaType(b.String())
}

// mark returns the field raw, which has no line end, with the parameters.
func (p part) mark(raw []byte, hp string) []byte {
	out := crlf(raw)
	out = out[:len(out)-2]
	if p.display {
		out = append(out, ";\r\n hp-legacy-display=\"1\""...)
	}
	if hp != "" {
		out = append(out, ";\r\n hp=\""+hp+"\""...)
	}
	return append(out, '\r', '\n')
}

// rewriter writes the message anew, by a plan.
type rewriter struct {
	w     io.Writer
	n     int64
	plan  []part
	root  []byte // the header of the first part
	next  int
	coder io.WriteCloser // of the open leaf, nil without one
}

func (r *rewriter) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	r.n += int64(n)
	return n, err
}

func (r *rewriter) structure(p []byte) error {
	_, err := r.Write(p)
	return err
}

func (r *rewriter) part(e entity) (func([]byte) error, error) {
	if r.next >= len(r.plan) { // not the message that was looked at
		return nil, ErrAmbiguous
	}
	p := r.plan[r.next]
	header := r.root
	if r.next++; r.next > 1 {
		var err error
		if header, err = p.partHeader(e); err != nil {
			return nil, err
		}
	}
	if err := r.structure(header); err != nil {
		return nil, err
	}
	out := io.Writer(r)
	switch p.coding {
	case "quoted-printable":
		r.coder = &qpWriter{w: r}
	case "base64":
		r.coder = base64.NewEncoder(base64.StdEncoding, &lines{w: r})
	}
	if r.coder != nil {
		out = r.coder
	}
	if p.put == nil {
		return func(b []byte) error {
			_, err := out.Write(b)
			return err
		}, nil
	}
	s := &splice{w: out, at: p.at, drop: p.drop, put: p.put}
	if p.at == 0 { // a body may be empty
		return s.write, s.insert()
	}
	return s.write, nil
}

// partHeader returns the header of a part that is not the root, with its empty
// line.
func (p part) partHeader(e entity) ([]byte, error) {
	if e.frozen || e.header == nil && p.coding == "" && !p.display {
		return e.raw, nil
	}
	b, err := p.header(e.header, "")
	return append(b, '\r', '\n'), err
}

func (r *rewriter) end() error {
	if r.coder == nil {
		return nil
	}
	err := r.coder.Close()
	r.coder = nil
	return err
}

// splice puts bytes into a stream in the place of others.
type splice struct {
	w        io.Writer
	at, drop int
	put      []byte
	seen     int
	done     bool
}

func (s *splice) insert() error {
	s.done = true
	_, err := s.w.Write(s.put)
	return err
}

func (s *splice) write(p []byte) error {
	if !s.done && s.seen+len(p) >= s.at {
		n := s.at - s.seen
		if _, err := s.w.Write(p[:n]); err != nil {
			return err
		}
		s.seen += n
		p = p[n:]
		if err := s.insert(); err != nil {
			return err
		}
	}
	if s.done && s.drop > 0 {
		n := min(s.drop, len(p))
		s.drop -= n
		p = p[n:]
	}
	s.seen += len(p)
	_, err := s.w.Write(p)
	return err
}
