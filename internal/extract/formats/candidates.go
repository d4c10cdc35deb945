package formats

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Bounds of the look for passwords in a message.
const (
	maxLooked     = 1 << 20 // bytes of text
	maxLookedPart = 256 << 10
	maxLookedIn   = 64 // parts
	maxCandidates = 200
	maxCandidate  = 128 // bytes
	wordsAfter    = 8   // words that follow a keyword
)

// expression compiles an expression when it is first used: a child compiles none
// as it starts, and most documents need few.
func expression(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

// passwordWord matches what stands in front of a password.
var passwordWord = expression(`(?i)pass(?:wor[dt]|code|phrase)?s?\b|\bpass\b|\bpw\b|\bpwd\b|\bpin\b|kenn?wort|passwort|losung|zugangscode|schlüssel|` +
	`\bcode\b|\bkey\b|mot de passe|contrase(?:ñ|n)a|\bclave\b|\bsenha\b|wachtwoord|lösenord|hasło|heslo|jelszó|пароль|密码|密碼|パスワード|암호`)

var quotedWord = expression("\"([^\"\r\n]{3,128})\"|'([^'\r\n]{3,128})'|[“„«‹]([^“”„«»‹›\r\n]{3,128})[“”»›]|‘([^‘’\r\n]{3,128})’|`([^`\r\n]{3,128})`")

// passwordsIn looks for passwords in the texts of a message: its subject, what
// follows a word that announces one, what stands in quotes near it. The
// likeliest come first.
func passwordsIn(raw []byte) []string {
	f := &passwordFinder{left: maxLooked, parts: maxLookedIn}
	f.message(raw, 0)
	var all []string
	for _, group := range f.groups {
		for _, s := range group {
			if len(all) < maxCandidates && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

type passwordFinder struct {
	left, parts int
	groups      [4][]string // by how likely they are
}

func (f *passwordFinder) message(raw []byte, depth int) {
	fields, body := splitHeader(raw)
	for i := range fields {
		if fields[i].is("Subject") {
			f.text(decodeWords(fields[i].value))
		}
	}
	f.entity(fields, body, depth)
}

func (f *passwordFinder) entity(fields []field, body []byte, depth int) {
	const deepest = 8
	if f.parts--; f.parts < 0 || f.left <= 0 || depth > deepest {
		return
	}
	e := entityOf(fields)
	media := "text/plain"
	if len(e.types) > 0 {
		media = e.types[0]
	}
	switch {
	case len(e.boundaries) > 0:
		for _, raw := range splitMultipart(body, e.boundaries).parts {
			fields, inner := splitHeader(raw)
			f.entity(fields, inner, depth+1)
		}
	case isMessage(media):
		f.message(body, depth+1)
	case strings.HasPrefix(media, "text/"):
		body = body[:min(len(body), 2*maxLookedPart)]
		for _, enc := range e.encodings[:min(1, len(e.encodings))] {
			body = decodeTransfer(enc, body)
		}
		t := lookedAt(body[:min(len(body), maxLookedPart, f.left)], e.charset)
		f.left -= len(body)
		if media == "text/html" {
			t = html.UnescapeString(withoutTags(t))
		}
		f.text(t)
	}
}

// text looks at the lines with a word that announces a password, and at the two
// after each.
func (f *passwordFinder) text(t string) {
	linesNear(t, func(line string, at [][]int) {
		for _, m := range quotedWord().FindAllStringSubmatch(line, 16) {
			for _, s := range m[1:] {
				f.add(0, s)
			}
		}
		if len(at) == 0 {
			f.next(line)
			return
		}
		for _, i := range at {
			f.after(line[i[1]:])
		}
		for _, w := range strings.Fields(line[:at[0][0]]) { // "1234 is the code"
			f.word(3, w)
		}
	})
}

// linesNear calls look for each line with words that announce a password, which are
// at those places of it, and for the two after each that are not empty.
func linesNear(t string, look func(line string, at [][]int)) {
	near := 0 // lines that are still near such a word
	for len(t) > 0 {
		if near == 0 {
			i := announced(t)
			if i < 0 {
				return
			}
			t = t[strings.LastIndexByte(t[:i], '\n')+1:]
		}
		var line string
		line, t, _ = strings.Cut(t, "\n")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var at [][]int
		if announces(line) {
			at = passwordWord().FindAllStringIndex(line, 8)
		}
		switch {
		case len(at) > 0:
			near = 2
		case near > 0:
			near--
		default:
			continue
		}
		look(line, at)
	}
}

// after takes what follows the word on its line.
func (f *passwordFinder) after(rest string) {
	for _, sep := range []string{":", "=", " is ", " ist ", " lautet ", " est ", " es ", "→", "–"} {
		if _, v, ok := strings.Cut(rest, sep); ok && strings.TrimSpace(v) != "" {
			v = strings.TrimSpace(v)
			f.word(0, strings.Fields(v)[0])
			f.add(1, v)
		}
	}
	words := strings.Fields(rest)
	for _, w := range words[:min(len(words), wordsAfter)] {
		f.word(2, w)
	}
}

// next takes a line that follows: a password often stands alone on it.
func (f *passwordFinder) next(line string) {
	words := strings.Fields(line)
	group := 3
	if len(words) == 1 {
		group = 1
	}
	for _, w := range words[:min(len(words), wordsAfter)] {
		f.word(group, w)
	}
	if len(words) > 1 && len(words) <= 6 {
		f.add(3, line)
	}
}

const around = "\"'“”„‘’«»‹›`()[]<>{},;.!?:*_"

// word adds a word, and what is left of it without the marks around it.
func (f *passwordFinder) word(group int, w string) {
	bare := strings.Trim(w, around)
	if !looksSecret(bare) && group > 0 {
		group = 3
	}
	f.add(group, strings.TrimRight(w, ".,;:"))
	f.add(group, bare)
	f.add(group, w)
}

// looksSecret reports a word that no sentence has: with digits or signs inside, or
// with a capital that does not begin it.
func looksSecret(w string) bool {
	if len(w) < 4 {
		return false
	}
	for i, r := range w {
		if unicode.IsDigit(r) || unicode.IsPunct(r) || unicode.IsSymbol(r) || i > 0 && unicode.IsUpper(r) {
			return true
		}
	}
	return false
}

func (f *passwordFinder) add(group int, s string) {
	s = strings.TrimSpace(s)
	if len(s) < 3 || len(s) > maxCandidate || !utf8.ValidString(s) || len(f.groups[group]) >= maxCandidates {
		return
	}
	f.groups[group] = append(f.groups[group], strings.Clone(s)) // the text is the message itself
}
