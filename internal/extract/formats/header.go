package formats

import (
	"bytes"
	"encoding/hex"
	"slices"
	"sort"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Bounds of a header.
const (
	maxParams   = 1000 // parameters of one field, RFC 2231 pieces included
	maxBoundary = 1000 // bytes of a boundary; RFC 2046 5.1.1 allows 70
)

// field is one header field: its name as written, its value unfolded.
type field struct {
	name  string
	value []byte
}

func (f *field) is(name string) bool { return strings.EqualFold(f.name, name) }

func isFieldName(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return true
}

// nextLine cuts the first line off b: LF, CRLF and CR alone end one.
func nextLine(b []byte) (line, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return b, nil
	}
	if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
		return b[:i], b[i+2:]
	}
	return b[:i], b[i+1:]
}

// splitHeader cuts an entity into its fields and its body. A line that cannot
// be part of a header begins the body, as most programs have it.
func splitHeader(b []byte) (fields []field, body []byte) {
	for len(b) > 0 {
		line, rest := nextLine(b)
		if len(line) == 0 {
			return fields, rest
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(fields) == 0 {
				if len(bytes.TrimSpace(line)) == 0 {
					b = rest
					continue
				}
				return fields, b
			}
			f := &fields[len(fields)-1]
			f.value = append(f.value, ' ')
			f.value = append(f.value, bytes.TrimLeft(line, " \t")...)
			b = rest
			continue
		}
		name, value, ok := cutField(line)
		if !ok {
			if len(fields) == 0 && isPostmark(line) {
				b = rest
				continue
			}
			return fields, b
		}
		fields = append(fields, field{name: name, value: bytes.Clone(bytes.Trim(value, " \t"))})
		b = rest
	}
	return fields, nil
}

// cutField takes the first line of a field apart.
func cutField(line []byte) (name string, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i > 0 {
		name = strings.TrimRight(strings.ReplaceAll(string(line[:min(i, 300)]), "\x00", ""), " \t")
	}
	if !isFieldName(name) {
		return "", nil, false
	}
	return name, line[i+1:], true
}

// isPostmark reports a line that mailboxes have before a message.
//
// Source: RFC 4155.
func isPostmark(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// postmarks returns the lines before the first field that splitHeader passes over:
// no mail program shows them, and whoever opens the file reads them.
func postmarks(b []byte) (lines []byte) {
	for len(b) > 0 {
		line, rest := nextLine(b)
		if _, _, ok := cutField(line); ok || len(line) == 0 {
			break
		}
		if isPostmark(line) {
			lines = append(append(lines, line...), '\n')
		} else if len(bytes.TrimSpace(line)) > 0 {
			break
		}
		b = rest
	}
	return lines
}

// param is one parameter of a structured field.
type param struct{ name, value string }

// parseParams reads "token; name=value…" as tolerantly as mail programs do:
// comments, blanks around the sign, quotes or none, names twice, RFC 2231
// pieces, encoded-words inside. All values of a name are kept, in order.
func parseParams(v []byte) (token string, params []param) {
	parts := splitSemicolons(stripComments(v))
	token = strings.ToLower(strings.TrimSpace(strings.Trim(strings.TrimSpace(string(parts[0])), `"`)))
	if f := strings.Fields(token); len(f) > 1 {
		token = f[0]
	}
	pieces := map[string][]piece{}
	var order []string
	for _, p := range parts[1:] {
		k, val, ok := bytes.Cut(p, []byte("="))
		if !ok {
			continue
		}
		name := strings.ToLower(strings.TrimSpace(string(k)))
		value := unquote(bytes.TrimSpace(val))
		base, star, extended := strings.Cut(name, "*")
		if !extended {
			params = append(params, param{name, decodeWords([]byte(value))})
			continue
		}
		pc := piece{value: value, pct: star == "" || strings.HasSuffix(star, "*")}
		pc.n, _ = strconv.Atoi(strings.TrimSuffix(star, "*")) // "name*" alone is piece 0
		if pieces[base] == nil {
			order = append(order, base)
		}
		pieces[base] = append(pieces[base], pc)
	}
	for _, name := range order {
		params = append(params, param{name, joinPieces(pieces[name])})
	}
	return token, params
}

// piece is a part of a parameter's value. RFC 2231 3, 4.
type piece struct {
	n     int
	value string
	pct   bool
}

func joinPieces(ps []piece) string {
	sort.SliceStable(ps, func(i, k int) bool { return ps[i].n < ps[k].n })
	var b []byte
	charset, plain := "", true
	for i, p := range ps {
		v := p.value
		plain = plain && !p.pct
		if i == 0 && p.pct {
			if c, rest, ok := strings.Cut(v, "'"); ok {
				if _, text, ok := strings.Cut(rest, "'"); ok {
					charset, v = c, text
				}
			}
		}
		if p.pct {
			b = append(b, percentDecode(v)...)
		} else {
			b = append(b, v...)
		}
	}
	if plain { // programs cut encoded-words into pieces, too
		return decodeWords(b)
	}
	return decodeText(b, declaredEncoding(charset))
}

func percentDecode(s string) []byte {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if d, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, d[0])
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}

// stripComments takes RFC 5322 comments out, outside quotes.
func stripComments(v []byte) []byte {
	if bytes.IndexByte(v, '(') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	depth, quoted := 0, false
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '\\' && i+1 < len(v):
			if depth == 0 {
				out = append(out, c, v[i+1])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && !quoted && depth > 0:
			depth--
			continue
		}
		if depth == 0 {
			out = append(out, c)
		}
	}
	if depth > 0 { // a parenthesis that never closes is no comment
		return v
	}
	return out
}

// splitSemicolons cuts at semicolons outside quotes.
func splitSemicolons(v []byte) [][]byte {
	var parts [][]byte
	from, quoted := 0, false
	for i := 0; i < len(v) && len(parts) < maxParams; i++ {
		switch v[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				parts = append(parts, v[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, v[from:])
}

func unquote(b []byte) string {
	if len(b) == 0 || b[0] != '"' {
		return string(b)
	}
	b = b[1:]
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		} else if b[i] == '"' {
			break
		}
		out = append(out, b[i])
	}
	return string(out)
}

// decodeWords decodes the encoded-words of a header value. Adjacent words in
// one charset are joined before decoding, since programs cut characters in
// two. What is no encoded-word passes as text.
//
// Source: RFC 2047 2, 6.2; RFC 2231 5 for the language.
func decodeWords(v []byte) string {
	if !bytes.Contains(v, []byte("=?")) {
		return decodeText(v, "")
	}
	var out strings.Builder
	var pending []encoded // adjacent, in one charset
	flush := func() {
		if len(pending) > 0 {
			writeWords(&out, pending)
			pending = pending[:0]
		}
	}
	afterWord := false
	for len(v) > 0 {
		i := bytes.Index(v, []byte("=?"))
		if i < 0 {
			break
		}
		word, rest, ok := encodedWord(v[i:])
		if !ok {
			flush()
			out.WriteString(decodeText(v[:i+2], ""))
			v, afterWord = v[i+2:], false
			continue
		}
		if between := v[:i]; !afterWord || len(bytes.TrimSpace(between)) > 0 {
			flush()
			out.WriteString(decodeText(between, ""))
		}
		if len(pending) > 0 && word.charset != pending[0].charset {
			flush()
		}
		pending = append(pending, word)
		v, afterWord = rest, true
	}
	flush()
	out.WriteString(decodeText(v, ""))
	return out.String()
}

// encoded is an encoded-word, still encoded.
type encoded struct {
	charset string
	base64  bool
	text    []byte
}

func (w *encoded) decode() []byte {
	if w.base64 {
		b, _ := decodeBase64(w.text)
		return b
	}
	return decodeQP(bytes.ReplaceAll(w.text, []byte("_"), []byte(" ")))
}

// writeWords writes adjacent encoded-words in one charset: each decoded, and behind
// them, where programs that join them first read another text, that.
func writeWords(out *strings.Builder, words []encoded) {
	var each []byte
	whole := encoded{charset: words[0].charset, base64: words[0].base64}
	for i := range words {
		each = append(each, words[i].decode()...)
		whole.text = append(whole.text, words[i].text...)
	}
	enc := declaredEncoding(whole.charset)
	out.WriteString(decodeText(each, enc))
	if len(words) == 1 || slices.ContainsFunc(words, func(w encoded) bool { return w.base64 != whole.base64 }) {
		return
	}
	if b := whole.decode(); !bytes.Equal(b, each) && !slices.ContainsFunc(b, func(c byte) bool { return c < ' ' && c != '\t' }) {
		out.WriteByte(' ')
		out.WriteString(decodeText(b, enc))
	}
}

// encodedWord cuts off the encoded-word that v begins with.
func encodedWord(v []byte) (word encoded, rest []byte, ok bool) {
	b := v[2:]
	i := bytes.IndexByte(b[:min(len(b), 80)], '?')
	if i < 0 || i+2 >= len(b) || b[i+2] != '?' {
		return encoded{}, nil, false
	}
	charset, _, _ := strings.Cut(string(b[:i]), "*")
	enc := b[i+1]
	b = b[i+3:]
	end := bytes.Index(b[:min(len(b), 64<<10)], []byte("?="))
	if end < 0 {
		return encoded{}, nil, false
	}
	text := b[:end]
	if enc == 'q' || enc == 'Q' { // "?=" may begin an encoded byte: =?x?Q?a?=3D?=
		for isHexPair(b[end+2:]) {
			k := bytes.Index(b[end+2:min(len(b), 64<<10)], []byte("?="))
			if k < 0 {
				break
			}
			end += 2 + k
			text = b[:end]
		}
	}
	if !strings.ContainsRune("bBqQ", rune(enc)) {
		return encoded{}, nil, false
	}
	return encoded{strings.ToLower(charset), enc|0x20 == 'b', text}, b[end+2:], true
}

func isHexPair(b []byte) bool { return len(b) >= 4 && hexValue(b[0]) >= 0 && hexValue(b[1]) >= 0 }
