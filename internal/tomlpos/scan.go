package tomlpos

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner walks a file once, from left to right. Each method leaves it behind
// what it read and reports whether the file made sense so far.
type scanner struct {
	src    []byte
	at     int
	line   int // of at, from 1
	pos    *Positions
	arrays map[string]int // elements so far of each array of tables, by its path
}

// file reads the whole file: table headers, and keys with their values.
func (s *scanner) file() {
	s.src = bytes.TrimPrefix(s.src, []byte("\xef\xbb\xbf"))
	var table []any
	for s.blank(true); s.at < len(s.src); s.blank(true) {
		ok := false
		if s.peek("[") {
			table, ok = s.header()
		} else {
			ok = s.pair(table)
		}
		if !ok {
			return
		}
	}
}

// header reads [a.b] or [[a.b]] and returns the path that the keys after it
// belong to.
func (s *scanner) header() ([]any, bool) {
	line := s.line
	array := s.take("[[")
	if !array {
		s.take("[")
	}
	names, ok := s.key()
	if !ok {
		return nil, false
	}
	var path []any
	for i, name := range names {
		path = append(path, name)
		last := i == len(names)-1
		n, isArray := s.arrays[join(path)]
		switch {
		case last && array:
			s.pos.add(path, line)
			s.arrays[join(path)] = n + 1
			path = append(path, n)
		case !last && isArray:
			path = append(path, n-1) // TOML 1.0, Array of Tables: the most recently defined element
		}
		s.pos.add(path, line)
	}
	if array {
		return path, s.take("]]")
	}
	return path, s.take("]")
}

// pair reads KEY = VALUE inside the table at path.
func (s *scanner) pair(path []any) bool {
	line := s.line
	names, ok := s.key()
	if !ok || !s.take("=") {
		return false
	}
	path = slices.Clone(path)
	for _, name := range names {
		path = append(path, name)
		s.pos.add(path, line)
	}
	s.blank(false)
	return s.value(path)
}

// key reads a dotted key.
func (s *scanner) key() ([]string, bool) {
	var names []string
	for {
		s.blank(false)
		name, ok := s.simpleKey()
		if !ok {
			return nil, false
		}
		names = append(names, name)
		s.blank(false)
		if len(names) > MaxDepth {
			s.pos.deep = s.line
			return nil, false
		}
		if !s.take(".") {
			return names, true
		}
	}
}

// simpleKey reads one bare or quoted key.
func (s *scanner) simpleKey() (string, bool) {
	if s.peek(`"`) || s.peek(`'`) {
		return s.text()
	}
	start := s.at
	for s.at < len(s.src) && bare(s.src[s.at]) {
		s.at++
	}
	return string(s.src[start:s.at]), s.at > start
}

// bare reports a byte of a bare key. Bytes past ASCII are taken too: decoders
// differ about them, and nothing else can begin there.
func bare(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= utf8.RuneSelf
}

// value reads a value; what stands in tables and arrays is indexed below path.
func (s *scanner) value(path []any) bool {
	if len(path) > MaxDepth {
		s.pos.deep = s.line
		return false
	}
	if s.at >= len(s.src) {
		return false
	}
	switch s.src[s.at] {
	case '"', '\'':
		_, ok := s.text()
		return ok
	case '{':
		return s.inlineTable(path)
	case '[':
		return s.array(path)
	}
	start := s.at // a number, a boolean or a date
	for s.at < len(s.src) && !strings.ContainsRune(",]}#\r\n", rune(s.src[s.at])) {
		s.at++
	}
	return s.at > start
}

// inlineTable reads { a = 1, b = 2 }. Line ends and a comma after the last
// pair, which TOML 1.1 allows, are taken.
func (s *scanner) inlineTable(path []any) bool {
	s.take("{")
	for {
		s.blank(true)
		if s.take("}") {
			return true
		}
		if !s.pair(path) {
			return false
		}
		s.blank(true)
		if !s.take(",") {
			return s.take("}")
		}
	}
}

// array reads [ a, b ] over as many lines as it takes.
func (s *scanner) array(path []any) bool {
	s.take("[")
	for i := 0; ; i++ {
		s.blank(true)
		if s.take("]") {
			return true
		}
		element := append(slices.Clone(path), i)
		s.pos.add(element, s.line)
		if !s.value(element) {
			return false
		}
		s.blank(true)
		if !s.take(",") {
			return s.take("]")
		}
	}
}

// text reads a string of any of the four kinds and returns it unescaped.
// Only strings on one line can be keys, so only these are unescaped.
func (s *scanner) text() (string, bool) {
	for _, quote := range []string{`"""`, `'''`} {
		if !s.peek(quote) {
			continue
		}
		rest := s.src[s.at+3:]
		end := closing(rest, quote)
		if end < 0 {
			return "", false
		}
		s.line += bytes.Count(rest[:end], []byte{'\n'})
		s.at += 3 + end
		return "", true
	}
	quote := s.src[s.at]
	for i := s.at + 1; i < len(s.src) && s.src[i] != '\n'; i++ {
		switch {
		case s.src[i] == '\\' && quote == '"':
			i++
			if i < len(s.src) && s.src[i] == '\n' {
				return "", false
			}
		case s.src[i] == quote:
			raw := string(s.src[s.at+1 : i])
			s.at = i + 1
			if quote == '"' {
				raw = unescape(raw)
			}
			return raw, true
		}
	}
	return "", false
}

// closing returns the offset just behind the end of a multi-line string, -1
// where it has none. Up to two quotes may stand directly before the closing
// three (TOML 1.0, String).
func closing(b []byte, quote string) int {
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && quote == `"""`:
			i++
		case bytes.HasPrefix(b[i:], []byte(quote)):
			end := i + 3
			for n := 0; n < 2 && end < len(b) && b[end] == quote[0]; n++ {
				end++
			}
			return end
		}
	}
	return -1
}

// unescape resolves the escapes of a basic string (TOML 1.0, String).
func unescape(raw string) string {
	if !strings.Contains(raw, `\`) {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			b.WriteByte(raw[i])
			continue
		}
		i++
		digits := 0
		switch raw[i] {
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			b.WriteByte(escaped(raw[i]))
			continue
		}
		hex := raw[i+1:][:min(digits, len(raw)-i-1)]
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			b.WriteRune(rune(n))
		}
		i += len(hex)
	}
	return b.String()
}

// escaped returns the byte that a one-letter escape stands for.
func escaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'f':
		return '\f'
	case 'r':
		return '\r'
	case 'e':
		return 0x1b
	}
	return c
}

// blank passes spaces, and with lines also line ends and comments.
func (s *scanner) blank(lines bool) {
	for ; s.at < len(s.src); s.at++ {
		switch c := s.src[s.at]; {
		case c == ' ' || c == '\t':
		case c == '\r' && lines:
		case c == '\n' && lines:
			s.line++
		case c == '#' && lines:
			end := bytes.IndexByte(s.src[s.at:], '\n')
			if end < 0 {
				s.at = len(s.src)
				return
			}
			s.at += end - 1
		default:
			return
		}
	}
}

// peek reports whether word comes next.
func (s *scanner) peek(word string) bool { return bytes.HasPrefix(s.src[s.at:], []byte(word)) }

// take passes word if it comes next, and reports whether it did.
func (s *scanner) take(word string) bool {
	if !s.peek(word) {
		return false
	}
	s.at += len(word)
	return true
}
