package formats

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// Bounds of what is tried as another reading of a text.
const (
	minEncoded = 12      // characters of base64 that are worth a try
	maxEncoded = 1 << 20 // a text longer than this is an ordinary text or declared properly
)

var (
	vcardQP  = expression(`(?i)^[A-Z0-9.;=-]*;(?:ENCODING=)?QUOTED-PRINTABLE[;:]`)
	uuBegin  = expression(`(?m)^begin(?:-base64)? [0-7]{3,4} [^\r\n]{1,255}\r?$`)
	yencLine = expression(`(?m)^=ybegin [^\r\n]{1,512}\r?$`)
	// a digit, or a sign that stands between digits, written as a number
	xmlEscape  = expression(`&#0*(?:4[5-7]|5[0-7]);|&#[xX]0*(?:2[dDeEfF]|3[0-9]);`)
	jsonEscape = expression(`\\u00(?:2[dDeEfF]|3[0-9])|[0-9]\\/[0-9]`)
)

// otherReadings reads what a program would make of a text that hides more: an
// undeclared encoding, a file written into it, characters written as numbers.
func (j *job) otherReadings(at place, k kind, enc string, b []byte) {
	if k.media == "application/xml" {
		at = j.declared(at, b)
	}
	switch {
	case k.media == "application/xml" && flatOffice(b):
		j.flatOffice(at.again(), b)
	case k.media == "application/xml" && xmlEscape().Match(b):
		j.leaf(at.again(), memory(resolve(b)))
	case k.media == "application/json" && jsonEscape().Match(b):
		j.leaf(at.again(), memory(unescapeJSON(b)))
	case k.media == mediaHL7 || k.media == mediaX12:
		if t := asUsual(k.media, enc, b); t != nil {
			in := at.again()
			if enc != encUTF8 {
				in.decoded, in.charset = true, encUTF8
			}
			j.leaf(in, memory(t))
		}
	case k.media == "text/plain" || k.media == "text/csv":
		if t := parted(b); !controlsMean(enc) && !bytes.Equal(t, b) {
			j.leaf(at.again(), memory(t))
			return
		}
		j.otherText(at, b)
	}
}

// controlsMean reports encodings in which control characters are parts of others
// or shift between sets.
func controlsMean(enc string) bool {
	return enc == encUTF16LE || enc == encUTF16BE || enc == encUTF32LE || enc == encUTF32BE || strings.HasPrefix(enc, "iso-2022") || strings.HasPrefix(enc, "hz")
}

func (j *job) otherText(at place, b []byte) {
	if lineBegins(b, "begin", uuBegin) || lineBegins(b, "=ybegin ", yencLine) {
		for i, f := range inlineFiles(b) {
			j.leaf(at.inside(itoa(i+1)), memory(f))
		}
	}
	if d := wholeBase64(b); d != nil {
		in := at.again()
		in.searched = false
		j.leaf(in, memory(d))
		return
	}
	if at.joined {
		if t := unflow(b); !bytes.Equal(t, b) {
			j.leaf(at.again(), memory(t))
		}
		return
	}
	if at.unfolded { // what was joined says the same of itself
		return
	}
	if t := uncard(at.media, b); !bytes.Equal(t, b) {
		j.unfolded(&at, t)
		return
	}
	if t := unescapeDigits(b); t != nil {
		j.unfolded(&at, t)
	}
	if t := joinedDigits(b); t != nil {
		j.unfolded(&at, t)
	}
}

// unfolded reads t as a further reading of the text at a place.
func (j *job) unfolded(at *place, t []byte) {
	q := at.again()
	q.unfolded = true
	j.leaf(q, memory(t))
	at.readings++
}

var (
	// three digits or hyphens in a row that are written as numbers: nothing does
	// that to them without a reason
	qpDigits  = expression(`(?:=(?:3[0-9]|2[dD])(?:=\r?\n)?){3}`)
	pctDigits = expression(`(?:%(?:3[0-9]|2[dD])){3}`)
	// a number that goes on in the next line behind its hyphen, or stands with one
	// digit on each line
	cutNumber = expression(`[0-9]-[ \t]*\r?\n[> \t]*[0-9]|(?:\b[0-9][ \t]*\r?\n[> \t]*){8}[0-9]\b`)
	lineEnd   = expression(`[ \t]*\r?\n[> \t]*`)
)

// unescapeDigits decodes quoted-printable or percent signs that nothing declares
// where they write digits; nil where they do not.
//
// Source: RFC 2045 6.7; RFC 3986 2.1.
func unescapeDigits(b []byte) []byte {
	switch {
	case (bytes.Contains(b, []byte("=3")) || bytes.Contains(b, []byte("=2"))) && qpDigits().Match(b):
		return decodeQP(b)
	case (bytes.Contains(b, []byte("%3")) || bytes.Contains(b, []byte("%2"))) && pctDigits().Match(b):
		return percentDecode(string(b))
	}
	return nil
}

// joinedDigits returns the passages of b in which a number is cut over lines, each
// with what stands before it and with the lines of the number joined; nil where
// there is none.
func joinedDigits(b []byte) []byte {
	const before, most = 120, 1000
	if !cutsNumbers(b) {
		return nil
	}
	var out []byte
	from := 0
	for range most {
		m := cutNumber().FindIndex(b[from:])
		if m == nil {
			break
		}
		start, end := from+m[0], from+m[1]
		for end < len(b) && end-start < 200 { // the next pieces
			k := cutNumber().FindIndex(b[end-1 : min(len(b), end+40)])
			if k == nil || k[0] > 12 || bytes.IndexByte(b[end-1:end-1+k[0]], '\n') >= 0 {
				break
			}
			end += k[1] - 1
		}
		for end < len(b) && (isDigit(b[end]) || b[end] == '-') {
			end++
		}
		for start > from && (isDigit(b[start-1]) || b[start-1] == '-') {
			start--
		}
		out = append(out, bytes.ToValidUTF8(b[max(from, start-before):start], nil)...)
		out = append(append(out, lineEnd().ReplaceAll(b[start:end], nil)...), '\n')
		from = end
	}
	return out
}

// cutsNumbers reports a line of b that ends in a digit and a hyphen, or nine lines
// of one digit each: what the expression would look for at greater cost.
func cutsNumbers(b []byte) bool {
	alone := 0 // lines
	for i := 0; i < len(b); {
		end := len(b)
		if k := bytes.IndexByte(b[i:], '\n'); k >= 0 {
			end = i + k
		}
		e := end
		for e > i && (b[e-1] == '\r' || b[e-1] == ' ' || b[e-1] == '\t') {
			e--
		}
		switch {
		case e-i > 1 && b[e-1] == '-' && isDigit(b[e-2]):
			return true
		case e-i <= 8 && e > i && isDigit(b[e-1]) && len(bytes.Trim(b[i:e-1], "> \t")) == 0:
			if alone++; alone == 9 {
				return true
			}
		default:
			alone = 0
		}
		i = end + 1
	}
	return false
}

// uncard returns a calendar or card as a program shows it: without the files in
// it, quoted-printable decoded, folded lines joined, the escapes of its text taken off; b itself where
// it is none.
//
// Source: RFC 5545 3.1, 3.3.11; RFC 6350 3.2, 3.4; vCard 2.1.
func uncard(media string, b []byte) []byte {
	head := bytes.ToUpper(bytes.TrimLeft(b[:min(len(b), 32)], "\ufeff \t\r\n"))
	switch {
	case bytes.HasPrefix(head, []byte("BEGIN:VCARD")), bytes.HasPrefix(head, []byte("BEGIN:VCALENDAR")):
	case media == "text/vcard", media == "text/x-vcard", media == "text/calendar":
	default:
		return b
	}
	if t := withoutFiles(b); t != nil {
		b = t
	}
	for line := range bytes.Lines(b) {
		if vcardQP().Match(line) {
			b = decodeQP(b)
			break
		}
	}
	return cardText().ReplaceAllFunc(b, func(m []byte) []byte {
		switch {
		case m[0] != '\\':
			return nil
		case m[1] == 'n' || m[1] == 'N':
			return []byte{'\n'}
		}
		return m[1:]
	})
}

// cardText matches a fold, and an escape.
var cardText = expression(`\r?\n[ \t]|\\[nN,;\\]`)

// unflow joins the lines of a text with format=flowed and DelSp=yes as a mail
// program shows them.
//
// Source: RFC 3676 4.
func unflow(b []byte) []byte {
	out := make([]byte, 0, len(b))
	goesOn := false
	for line := range bytes.Lines(b) {
		text := bytes.TrimRight(line, "\r\n")
		end := line[len(text):]
		if goesOn {
			text = bytes.TrimPrefix(bytes.TrimLeft(text, ">"), []byte(" "))
		}
		if goesOn = len(end) > 0 && bytes.HasSuffix(text, []byte(" ")) && string(text) != "-- "; goesOn {
			out = append(out, text[:len(text)-1]...)
			continue
		}
		out = append(append(out, text...), end...)
	}
	return out
}

// unseen matches a control character inside a word or number, where no program
// shows it; what separates fields (tab, line ends, FS to US) is none.
var unseen = expression(`[^\s\x00-\x1f\x7f][\x00-\x08\x0e-\x1b\x7f]+[^\s\x00-\x1f\x7f]`)

// parted returns b with a space for each control character, b itself where none
// stands inside a word. The scanner passes over them, as programs that show a
// text do; where they part two numbers, that makes one of them.
func parted(b []byte) []byte {
	if plain(b) || !holdsUnseen(b) || !unseen().Match(b) {
		return b
	}
	t := bytes.Clone(b)
	for i, c := range t {
		if isUnseen(c) {
			t[i] = ' '
		}
	}
	return t
}

// holdsUnseen is a loop of its own: every text goes through it.
func holdsUnseen(b []byte) bool {
	for _, c := range b {
		if isUnseen(c) {
			return true
		}
	}
	return false
}

func isUnseen(c byte) bool { return c <= 0x08 || c >= 0x0e && c <= 0x1b || c == 0x7f }

// lineBegins reports a line of b that begins with word and matches line. The
// expression looks at lines with the word only: over all of an ordinary text it
// takes longer than everything else that is done with it.
func lineBegins(b []byte, word string, line func() *regexp.Regexp) bool {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(word))
		if i < 0 {
			return false
		}
		i += from
		from = i + len(word)
		if i > 0 && b[i-1] != '\n' {
			continue
		}
		end := len(b)
		if k := bytes.IndexByte(b[i:], '\n'); k >= 0 {
			end = i + k
		}
		if line().Match(b[i:end]) {
			return true
		}
	}
}

// spreadsheet2003 is the namespace of Excel's XML of 2003.
const spreadsheet2003 = "urn:schemas-microsoft-com:office:spreadsheet"

// flatOffice reports an office document that is one XML file, whose words are
// cut into runs.
func flatOffice(b []byte) bool {
	head := b[:min(len(b), 4096)]
	return bytes.Contains(head, []byte("schemas.microsoft.com/office/")) || bytes.Contains(head, []byte("urn:oasis:names:tc:opendocument")) ||
		bytes.Contains(head, []byte(spreadsheet2003))
}

func (j *job) flatOffice(at place, b []byte) {
	if !j.admit(at) {
		return
	}
	j.unit(at, wire.Normal, func() error {
		j.part(at, "text/plain")
		w := &wordText{d: &officeDoc{j: j, at: at}, odf: bytes.Contains(b[:min(len(b), 4096)], []byte("opendocument"))}
		if w.odf {
			w.marks = newODFLists(nil)
		}
		w.grid = bytes.Contains(b[:min(len(b), 4096)], []byte(spreadsheet2003))
		err := scanXML(bytes.NewReader(b), w)
		w.newline()
		w.finish()
		return err
	})
}

// unescapeJSON replaces the escapes of characters that stand in numbers and
// dates. What it returns is text to look at, not JSON.
//
// Source: RFC 8259 7.
func unescapeJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		if m := jsonEscape().Find(b[i:min(len(b), i+6)]); len(m) == 6 {
			out = append(out, byte(hexValue(m[4])<<4|hexValue(m[5])))
			i += 5
			continue
		}
		if b[i+1] != '/' {
			out = append(out, b[i])
		}
		out = append(out, b[i+1]) // so that the second of two is no escape's beginning
		i++
	}
	return out
}

// wholeBase64 returns what a text that is nothing but base64 holds, nil where it
// is another or holds noise.
func wholeBase64(b []byte) []byte {
	if len(b) > maxEncoded || !looksBase64(b) {
		return nil
	}
	if d, _ := decodeBase64(b); worthReading(d) {
		return d
	}
	return nil
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
