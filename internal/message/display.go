package message

import (
	"bytes"
	"encoding/base64"
	"html"
	"strconv"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// display plans the legacy display of fields in the leaf, where it can stand in
// it: mail programs that do not know RFC 9788 show them so.
//
// Source: RFC 9788 5.2.2 (text/plain), 5.2.3 (text/html).
func (l *leaf) display(fields []Named, p *part) {
	charset := strings.ToLower(l.params["charset"])
	if l.kind != "text/plain" && l.kind != "text/html" || !asciiBased(charset) {
		return
	}
	head, offset, ok := l.decode()
	if !ok {
		return
	}
	var text []byte
	at := 0
	if bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")) { // a mark stays first
		at = 3
	}
	if l.kind == "text/html" {
		text = htmlDisplay(fields)
		if at, ok = bodyStart(head, l.cut); !ok {
			return
		}
	} else {
		text = l.plainDisplay(fields, charset, p)
	}
	switch l.coding {
	case "base64":
		l.putBase64(text, at, p)
	case "quoted-printable":
		var b bytes.Buffer
		q := &qpWriter{w: &b}
		q.Write(text) // a bytes.Buffer takes everything
		q.Close()     // likewise
		p.at, p.put = offset(at), b.Bytes()
		if p.at > 0 {
			p.put = append([]byte("=\r\n"), p.put...)
		}
		if !bytes.HasSuffix(p.put, []byte("\n")) {
			p.put = append(p.put, "=\r\n"...)
		}
	default:
		if l.kind == "text/html" { // on a line of its own, so that none grows too long
			text = bytes.Join([][]byte{nil, text, nil}, []byte("\r\n"))
		}
		for line := range bytes.Lines(text) {
			l.unsafe = l.unsafe || len(line) > maxSafe || !ascii(line)
		}
		p.at, p.put = at, text
	}
	p.display = p.put != nil
	if !p.display {
		p.charset = ""
	}
}

// asciiBased reports charsets in which ASCII bytes mean ASCII at a text's
// start.
func asciiBased(charset string) bool {
	if charset == "" || charset == "us-ascii" || charset == "ascii" {
		return true
	}
	e, err := htmlindex.Get(charset)
	if err != nil || e == encoding.Replacement {
		return false
	}
	b, err := e.NewEncoder().String("Subject:\r\n")
	return err == nil && b == "Subject:\r\n"
}

// plainDisplay returns the lines in the leaf's charset.
func (l *leaf) plainDisplay(fields []Named, charset string, p *part) []byte {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	text := b.String()
	if ascii([]byte(text)) || charset == "utf-8" {
		return []byte(text)
	}
	if charset == "" || charset == "us-ascii" || charset == "ascii" {
		if !l.eight && l.coding != "base64" && l.coding != "quoted-printable" {
			p.charset = "utf-8" // ASCII is UTF-8
			return []byte(text)
		}
		charset = "windows-1252" // what programs take such a text for
	}
	e, err := htmlindex.Get(charset)
	if err != nil { // asciiBased knew it
		return []byte(strings.Map(func(r rune) rune { return min(r, '~') }, text))
	}
	coded, err := encoding.ReplaceUnsupported(e.NewEncoder()).Bytes([]byte(text))
	if err != nil {
		coded = []byte(strings.Map(func(r rune) rune { return min(r, '~') }, text))
	}
	return bytes.ReplaceAll(coded, []byte{0x1a}, []byte("?"))
}

// htmlDisplay returns the element, all ASCII.
func htmlDisplay(fields []Named) []byte {
	var b strings.Builder
	b.WriteString(`<div class="header-protection-legacy-display"><pre>`)
	for i, f := range fields {
		if i > 0 {
			b.WriteString("\r\n")
		}
		for _, r := range html.EscapeString(f.Name + ": " + f.Value) {
			if r < 0x80 {
				b.WriteRune(r)
				continue
			}
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		}
	}
	b.WriteString("</pre></div>")
	return []byte(b.String())
}

// bodyStart returns where the first element of the page's body belongs. It is
// not known where the page is cut before.
func bodyStart(page []byte, cut bool) (int, bool) {
	z := nethtml.NewTokenizer(bytes.NewReader(page))
	at, end := 0, -1 // end: of the head
	hidden := false  // inside of what the head holds as text
	for {
		t := z.Next()
		if t == nethtml.ErrorToken {
			break
		}
		start := at
		at += len(z.Raw())
		name, _ := z.TagName()
		switch tag := string(name); {
		case t == nethtml.StartTagToken && tag == "body":
			return at, true
		case t == nethtml.EndTagToken && tag == "head":
			end = at
		case t == nethtml.StartTagToken && (tag == "title" || tag == "style" || tag == "script"):
			hidden = true
		case t == nethtml.EndTagToken:
			hidden = false
		case t == nethtml.TextToken && (hidden || len(bytes.TrimSpace(page[start:at])) == 0), t == nethtml.CommentToken, t == nethtml.DoctypeToken:
		case tag == "html" || tag == "head" || tag == "meta" || tag == "link" || tag == "base" || tag == "noscript":
		default: // content without a body around it
			if end >= 0 {
				return end, true
			}
			return start, true
		}
	}
	return max(end, 0), !cut
}

// decode returns the start of the leaf's text, and a function that tells where
// in the body each of its bytes stands.
func (l *leaf) decode() ([]byte, func(int) int, bool) {
	switch l.coding {
	case "base64":
		text, _, ok := l.quanta()
		return text, nil, ok
	case "quoted-printable":
		text, at := decodeQP(l.head)
		return text, func(i int) int { return at[i] }, true
	}
	return l.head, nil, true
}

// decodeQP reads quoted-printable leniently. at has the offset of each byte,
// and that of the end.
func decodeQP(b []byte) (text []byte, at []int) {
	for i := 0; i < len(b); {
		start, c := i, b[i]
		i++
		if c == '=' {
			rest := b[i:]
			if n := len(rest); n == 0 {
				break
			}
			soft := bytes.TrimLeft(rest[:min(len(rest), 100)], " \t")
			switch {
			case bytes.HasPrefix(soft, []byte("\r\n")):
				i += bytes.IndexByte(rest, '\n') + 1
				continue
			case bytes.HasPrefix(soft, []byte("\n")):
				i += bytes.IndexByte(rest, '\n') + 1
				continue
			case len(rest) >= 2:
				if v, err := strconv.ParseUint(string(rest[:2]), 16, 8); err == nil {
					c, i = byte(v), i+2
				}
			}
		}
		text, at = append(text, c), append(at, start)
	}
	return text, append(at, len(b))
}

// quanta reads the base64 of the head. at has the offset of each group of four
// digits, and that of the end.
func (l *leaf) quanta() (text []byte, at []int, ok bool) {
	var group [4]byte
	n := 0
	for i, c := range l.head {
		if c == '\r' || c == '\n' || c == ' ' || c == '\t' {
			continue
		}
		if n == 0 {
			at = append(at, i)
		}
		group[n] = c
		if n++; n < 4 {
			continue
		}
		n = 0
		b, err := base64.StdEncoding.DecodeString(string(group[:]))
		if err != nil {
			return nil, nil, false
		}
		text = append(text, b...)
		if len(b) < 3 { // the last group
			return text, append(at, i+1), len(bytes.TrimSpace(l.head[i+1:])) == 0 && !l.cut
		}
	}
	if n > 0 { // cut within a group
		if !l.cut {
			return nil, nil, false
		}
		return text, at, true
	}
	return text, append(at, len(l.head)), true
}

// putBase64 plans text at that byte of the decoded body: the group of three
// bytes that the place is in is written anew. Spaces that show nowhere fill the
// last group.
func (l *leaf) putBase64(text []byte, at int, p *part) {
	all, offsets, _ := l.quanta()
	groups := len(offsets) - 1
	if groups <= 0 {
		if len(bytes.TrimSpace(l.head)) == 0 {
			p.put = []byte(base64.StdEncoding.EncodeToString(text))
		}
		return
	}
	g := min(at/3, groups-1)
	from, to := 3*g, min(3*g+3, len(all))
	if at > to {
		return
	}
	if to-from == 3 && (g < groups-1 || l.cut) {
		if fill := (3 - len(text)%3) % 3; fill > 0 {
			i := 0 // before the element, or after "Subject:"
			if l.kind == "text/plain" {
				i = bytes.IndexByte(text, ':') + 1
			}
			text = bytes.Join([][]byte{text[:i], []byte("  ")[:fill], text[i:]}, nil)
		}
	}
	whole := bytes.Join([][]byte{all[from:at], text, all[at:to]}, nil)
	var b bytes.Buffer
	w := base64.NewEncoder(base64.StdEncoding, &lines{w: &b})
	w.Write(whole) // a bytes.Buffer takes everything
	w.Close()      // likewise
	p.at, p.drop = offsets[g], offsets[g+1]-offsets[g]
	p.put = append(b.Bytes(), '\r', '\n')
	if p.at > 0 {
		p.put = append([]byte("\r\n"), p.put...)
	}
}
