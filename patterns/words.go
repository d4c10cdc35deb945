package patterns

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// builtInWords reads the embedded files of terms: each is a built-in list by
// its own name without the ending.
func builtInWords() map[string][]string {
	lists := map[string][]string{}
	names, _ := fs.Glob(packs, "packs/words/*.txt") // fails for a bad pattern only
	for _, name := range names {
		src, err := packs.ReadFile(name)
		if err != nil {
			panic("patterns: embedded words cannot be read")
		}
		list := strings.TrimSuffix(filepath.Base(name), ".txt")
		f := &file{name: builtInPrefix + "words/" + list + ".txt"}
		if lists[list] = f.termLines(string(src)); len(f.errs) > 0 {
			panic("patterns: embedded words: " + f.errs[0].Error())
		}
	}
	return lists
}

// termLines reads a file of terms: one a line; empty lines, and lines that
// begin with #, say nothing. It returns them as a list is kept.
func (f *file) termLines(src string) []string {
	var out []string
	n := 0
	for line := range strings.Lines(src) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if want := wrongKeyword(line); want != "" {
			f.errs = append(f.errs, &Error{File: f.name, Line: n, Key: "words", Want: want})
			continue
		}
		out = append(out, canonicalWord(line))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Plural returns the plural of a term's last word as English makes it, "" where
// it ends as plurals do, or in no letter: "fracture", "fractures"; "biopsy",
// "biopsies"; "stenosis", "stenoses"; "abscess", "abscesses"; "diabetes", "".
func Plural(term string) string {
	n := len(term)
	if n < 2 || !isLetter(term[n-1]) {
		return ""
	}
	switch last, before := term[n-1], term[n-2]; {
	case last == 's' && before == 'i' && n > 3:
		return term[:n-2] + "es"
	case last == 's' && before != 's':
		return ""
	case last == 's' || last == 'x' || last == 'z' || last == 'h' && (before == 'c' || before == 's'):
		return term + "es"
	case last == 'y' && isLetter(before) && !strings.ContainsRune("aeiou", rune(before)):
		return term[:n-1] + "ies"
	}
	return term + "s"
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' }
