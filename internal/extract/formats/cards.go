package formats

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/mac"
)

// maxCard is the most bytes of a card, calendar or LDIF that are looked through
// for files; one in a mail of any size is.
const maxCard = 64 << 20

var ldifStart = expression(`(?i)\A(?:\x{feff}|[\r\n]|#[^\n]*\n|version:[ 0-9]*\r?\n)*dn::? `)

// holdsFiles reports a text that begins as one in whose lines files are written:
// vCard, iCalendar, LDIF.
func holdsFiles(head []byte) bool {
	h := bytes.ToUpper(bytes.TrimLeft(head[:min(len(head), 64)], "\ufeff \t\r\n"))
	return bytes.HasPrefix(h, []byte("BEGIN:VCARD")) || bytes.HasPrefix(h, []byte("BEGIN:VCALENDAR")) || isLDIF(head)
}

// withoutFiles returns a card, calendar or LDIF without the files in its lines,
// nil where there are none. All else is as it stands.
func withoutFiles(b []byte) []byte {
	if !holdsFiles(b[:min(len(b), headSize)]) {
		return nil
	}
	ldif := isLDIF(b)
	var out []byte
	some, within := false, false // within a value that is left out
	for raw := range bytes.Lines(b) {
		folded := raw[0] == ' ' || raw[0] == '\t'
		if within && (folded || !ldif && len(bytes.TrimSpace(raw)) > 0 && bytes.IndexByte(raw, ':') < 0) {
			continue
		}
		within = false
		name, value, ok := bytes.Cut(raw, []byte(":"))
		if ok && !folded && (isEncoded(name) || ldif && bytes.HasPrefix(value, []byte(":")) || bytes.Contains(value[:min(len(value), 64)], []byte(";base64,"))) {
			some, within = true, true
			out = append(append(out, name...), ":\n"...)
			continue
		}
		out = append(out, raw...)
	}
	if !some {
		return nil
	}
	return out
}

func isLDIF(head []byte) bool {
	if len(head) == 0 || strings.IndexByte("\xef\r\n#vVdD", head[0]) < 0 { // most text
		return false
	}
	return ldifStart().Match(head[:min(len(head), 4096)])
}

// written reads the files that are written into a text as BinHex, or into the
// lines of a card, a calendar or LDIF. It returns the place from which further
// readings are numbered.
func (j *job) written(at place, k kind, b []byte) place {
	if k.media != "text/plain" && k.media != "text/csv" || at.unfolded || len(b) > maxCard {
		return at
	}
	n := maxInline // those have the numbers before
	if mac.IsBinHex(b) {
		n++
		j.binHex(at.inside(itoa(n)), b)
	}
	if holdsFiles(b[:min(len(b), headSize)]) {
		j.cards(&at, b, n)
	}
	return at
}

// cards reads the files in a card, a calendar or LDIF as members numbered behind
// n, and LDIF once more with its words decoded.
//
// Source: RFC 6350 6.2.4; RFC 2426 4; RFC 5545 3.8.1.1; vCard 2.1; RFC 2849.
func (j *job) cards(at *place, b []byte, n int) {
	ldif := isLDIF(b)
	var shown []byte
	for line := range contentLines(b, ldif) {
		name, value, data, ok := inlineValue(line, ldif)
		if ldif && (!ok || readable(data)) {
			if ok {
				value = data
			}
			shown = append(append(append(append(shown, name...), ": "...), value...), '\n')
			continue
		}
		if !ok || len(data) == 0 {
			continue
		}
		n++
		in := at.inside(itoa(n))
		in.name = paramValue(name, "FILENAME")
		j.leaf(in, memory(data))
		if j.full || j.out.err != nil {
			return
		}
	}
	if len(shown) > 0 {
		q := at.again()
		at.readings++
		q.unfolded, q.media, q.charset = true, "text/plain", encUTF8
		if err := j.spend(len(shown)); err != nil {
			j.gap(q, dlp.TooLarge, "ldif", 0)
			return
		}
		j.leaf(q, memory(shown))
	}
}

// readable reports bytes that are words: an LDIF writes names in base64 where
// they are not ASCII.
func readable(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f })
}

// contentLines gives the lines of a text, folded ones joined. In a vCard 2.1 a
// value in base64 goes on up to an empty line.
func contentLines(b []byte, ldif bool) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		var line []byte
		encoded := false
		for raw := range bytes.Lines(b) {
			text := bytes.TrimRight(raw, "\r\n")
			switch {
			case len(text) > 0 && (text[0] == ' ' || text[0] == '\t'):
				line = append(line, text[1:]...)
				continue
			case encoded && len(text) > 0 && bytes.IndexByte(text, ':') < 0:
				line = append(line, text...)
				continue
			case ldif && len(text) > 0 && text[0] == '#':
				continue
			}
			if len(line) > 0 && !yield(line) {
				return
			}
			line = append([]byte(nil), text...)
			name, _, _ := bytes.Cut(text, []byte(":"))
			encoded = !ldif && isEncoded(name)
		}
		if len(line) > 0 {
			yield(line)
		}
	}
}

// isEncoded reports a property whose value is in base64.
func isEncoded(name []byte) bool {
	for i, p := range bytes.Split(name, []byte(";")) {
		switch s := strings.ToUpper(string(bytes.TrimSpace(p))); {
		case i == 0:
		case s == "BASE64", s == "ENCODING=BASE64", s == "ENCODING=B", s == `ENCODING="B"`, s == `ENCODING="BASE64"`:
			return true
		}
	}
	return false
}

// inlineValue cuts a line into name and value and decodes the file that the
// value is; false: it is none.
func inlineValue(line []byte, ldif bool) (name, value, data []byte, ok bool) {
	name, value, ok = bytes.Cut(line, []byte(":"))
	switch {
	case !ok:
		return line, nil, nil, false
	case ldif && bytes.HasPrefix(value, []byte(":")):
		data, _ = decodeBase64(value[1:])
		return name, value, data, true
	case ldif:
		return name, bytes.TrimPrefix(value, []byte(" ")), nil, false
	case isEncoded(name):
		data, _ = decodeBase64(value)
		return name, value, data, true
	}
	_, uri, found := bytes.Cut(line, []byte("data:"))
	if head, body, has := bytes.Cut(uri, []byte(",")); found && has && bytes.HasSuffix(bytes.ToLower(head), []byte(";base64")) {
		data, _ = decodeBase64(bytes.TrimRight(body, `"`))
		return name, value, data, true
	}
	return name, value, nil, false
}

// paramValue returns a parameter of a property, "" where it has none of a name
// that ends so.
func paramValue(name []byte, param string) string {
	for p := range bytes.SplitSeq(name, []byte(";")) {
		if k, v, ok := bytes.Cut(p, []byte("=")); ok && strings.HasSuffix(strings.ToUpper(string(k)), param) {
			return decodeText(bytes.Trim(v, `"`), "")
		}
	}
	return ""
}
