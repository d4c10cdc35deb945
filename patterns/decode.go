package patterns

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/tomlpos"
)

// file is one rule file being read. It gathers errors instead of ending at the
// first.
type file struct {
	name  string
	pos   *tomlpos.Positions
	errs  []*Error
	lists map[string][]string // its own [keywords], resolved
	outer map[string][]string // the built-in lists
	site  Site
	rules []*draft

	unlisted bool  // its [keywords] could not be read
	broken   []int // lines with wrong escapes, told already
}

// draft is a Rule, or with Extends what is to be added to one.
type draft struct {
	Rule
	Extends string
	path    string // of the table in the file: "rules[0]"
	at      int    // the line of extends
}

// errorf notes that key wants something else.
func (f *file) errorf(key, format string, args ...any) {
	line := f.line(key)
	if slices.Contains(f.broken, line) {
		return // what stands there is not what its author wrote
	}
	f.errs = append(f.errs, &Error{File: f.name, Line: line, Key: key, Want: fmt.Sprintf(format, args...)})
}

func (f *file) line(key string) int { return f.pos.Line(tomlpos.Parse(key)...) }

// parse reads src, and returns what could be made of it with all errors.
func parse(name string, src []byte, outer map[string][]string, site Site) *file {
	f := &file{name: name, lists: map[string][]string{}, outer: outer, site: site}
	defer func() { slices.SortStableFunc(f.errs, func(a, b *Error) int { return a.Line - b.Line }) }()
	root, ok := f.decode(src)
	if !ok {
		return f
	}
	t := &table{f: f, m: root}
	if !f.schema(t) {
		return f
	}
	f.keywords(t)
	rules := t.tables("rules")
	if len(rules) > maxRules {
		f.errorf("rules", "at most %d rules in one file, not %d", maxRules, len(rules))
		return f
	}
	for _, r := range rules {
		f.rules = append(f.rules, f.rule(r))
	}
	t.done()
	return f
}

// maxEscapes is how many lines with wrong escapes are told of one file.
const maxEscapes = 32

// decode reads src as TOML; ok is false where it is none. An escape that TOML does
// not know, as in an expression between simple quotation marks, is told and passed
// over: it hides no other mistake.
func (f *file) decode(src []byte) (root map[string]any, ok bool) {
	for {
		root = map[string]any{}
		pos := tomlpos.Index(src)
		if line := pos.Deep(); line > 0 {
			f.errs = append(f.errs, &Error{File: f.name, Line: line, Key: "toml", Want: fmt.Sprintf("tables and arrays that nest at most %d deep", tomlpos.MaxDepth)})
			return nil, false
		}
		_, err := toml.Decode(string(src), &root)
		if err == nil {
			f.pos = pos
			return root, true
		}
		e := &Error{File: f.name, Line: 1, Key: "toml", Want: "a TOML file"}
		pe, isParse := errors.AsType[toml.ParseError](err)
		if isParse {
			e.Line = max(pe.Position.Line, 1)
			e.Key = "syntax"
			if pe.LastKey != "" {
				e.Key = pe.LastKey
			}
			e.Want = "TOML: " + pe.Message
		}
		f.errs = append(f.errs, e)
		if !isParse || len(f.broken) == maxEscapes {
			return nil, false
		}
		passed, wrong := withoutEscapes(src, e.Line)
		if !wrong {
			return nil, false
		}
		e.Want += "; between ''' and ''' a backslash stands for itself"
		src, f.broken = passed, append(f.broken, e.Line)
	}
}

// withoutEscapes is src with another character for each backslash of the line that
// begins no escape of TOML, in a string of simple quotation marks; wrong is false
// where there is none.
func withoutEscapes(src []byte, line int) (passed []byte, wrong bool) {
	from := 0
	for n := 1; n < line; n++ {
		k := bytes.IndexByte(src[from:], '\n')
		if k < 0 {
			return src, false
		}
		from += k + 1
	}
	passed = slices.Clone(src)
	for i := from; i+1 < len(passed) && passed[i] != '\n'; i++ {
		if passed[i] != '\\' {
			continue
		}
		if strings.IndexByte("btnfre\"\\uUx \t\r\n", passed[i+1]) < 0 {
			passed[i], wrong = '/', true
		} else {
			i++
		}
	}
	return passed, wrong
}

// schema reports whether the file is in a language that can be judged.
func (f *file) schema(t *table) bool {
	before := len(f.errs)
	n, ok := t.integer("schema")
	switch {
	case ok && n > Schema:
		f.errorf("schema", "at most %d: this file is for a newer stanch", Schema)
	case ok && n < 1:
		f.errorf("schema", "%d", Schema)
	case !ok && t.m["schema"] == nil:
		f.errorf("schema", "schema = %d at the top: the file does not say which rule language it is written in", Schema)
	}
	return len(f.errs) == before
}

// keywords reads the file's own word lists. A list may take in others of the
// same file that stand anywhere in it, and the built-in ones.
func (f *file) keywords(t *table) {
	sub, ok := t.table("keywords")
	if !ok {
		f.unlisted = t.has("keywords")
		return
	}
	raw := map[string][]string{}
	for name := range sub.m {
		words, _ := sub.strings(name)
		raw[name] = append([]string{}, words...) // there, though it may be wrong: who uses it is not
	}
	names := sub.names()
	for _, name := range names {
		f.lists[name] = f.resolve(sub.key(name), raw[name], raw, []string{name})
	}
}

// resolve replaces each "@name" in words by that list. within is the lists
// that are being resolved, so that a circle ends.
func (f *file) resolve(key string, words []string, raw map[string][]string, within []string) []string {
	var out []string
	for i, w := range words {
		at := key + "[" + itoa(i) + "]"
		name, isList := strings.CutPrefix(w, "@")
		switch {
		case !isList:
			if !f.keyword(at, w) {
				continue
			}
			out = append(out, canonicalWord(w))
		case slices.Contains(within, name):
			f.errorf(at, "a list that does not hold itself")
		case raw[name] != nil:
			out = append(out, f.resolve(key, raw[name], raw, append(slices.Clone(within), name))...)
		case f.outer[name] != nil:
			out = append(out, f.outer[name]...)
		case f.unlisted: // told already
		default:
			f.errorf(at, "a list in this file's [keywords] or built in: there is no %q", w)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if out == nil {
		out = []string{}
	}
	if len(out) > maxListLength {
		f.errorf(key, "at most %d words", maxListLength)
	}
	return out
}

// keyword reports whether w can be looked for.
func (f *file) keyword(at, w string) bool {
	want := wrongKeyword(w)
	if want != "" {
		f.errorf(at, "%s", want)
	}
	return want == ""
}

// wrongKeyword says what w would have to be to be looked for, "" if it can be.
func wrongKeyword(w string) string {
	c := canonicalWord(w)
	switch {
	case c == "":
		return "a word"
	case len(c) > MaxKeyword:
		return fmt.Sprintf("at most %d bytes", MaxKeyword)
	case !isWordByte(c[0]):
		return "a word that begins with a letter or digit"
	}
	return ""
}

// canonicalWord is how a keyword is kept: lower case, single spaces.
func canonicalWord(w string) string {
	return strings.Join(strings.Fields(strings.ToLower(w)), " ")
}

// isWordByte reports whether c belongs to a word: ASCII letter or digit, or
// any byte beyond ASCII.
func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// table is one TOML table, and which of its keys have been asked for.
type table struct {
	f    *file
	path string // "" for the file itself
	m    map[string]any
	seen []string
}

// key is the whole name of one of the table's keys.
func (t *table) key(k string) string {
	if t.path == "" {
		return k
	}
	return t.path + "." + k
}

func (t *table) names() []string {
	var names []string
	for k := range t.m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// done reports the keys that nobody asked for.
func (t *table) done() {
	slices.Sort(t.seen)
	known := slices.Compact(t.seen)
	for _, k := range t.names() {
		if !slices.Contains(known, k) {
			t.f.errorf(t.key(k), "a known key: %s", strings.Join(known, ", "))
		}
	}
}

// get returns the value of k as a T; ok is false where it is missing or, which
// is an error, something else.
func get[T any](t *table, k, want string) (v T, ok bool) {
	t.seen = append(t.seen, k)
	raw, found := t.m[k]
	if !found {
		return v, false
	}
	v, ok = raw.(T)
	if !ok {
		t.f.errorf(t.key(k), "%s", want)
	}
	return v, ok
}

func (t *table) str(k string) (string, bool)   { return get[string](t, k, "a string") }
func (t *table) boolean(k string) (bool, bool) { return get[bool](t, k, "true or false") }
func (t *table) integer(k string) (int, bool) {
	n, ok := get[int64](t, k, "a whole number")
	return int(n), ok
}

func (t *table) has(k string) bool { return t.m[k] != nil }

// choice is a string that must be one of names.
func (t *table) choice(k string, names []string) (string, bool) {
	s, ok := t.str(k)
	if ok && !slices.Contains(names, s) {
		t.f.errorf(t.key(k), "%s", oneOf(names))
		return "", false
	}
	return s, ok
}

func (t *table) strings(k string) ([]string, bool) {
	list, ok := get[[]any](t, k, "an array of strings")
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for i, v := range list {
		s, isString := v.(string)
		if !isString {
			t.f.errorf(t.key(k)+"["+itoa(i)+"]", "a string")
			ok = false
			continue
		}
		out = append(out, s)
	}
	return out, ok
}

func (t *table) table(k string) (*table, bool) {
	m, ok := get[map[string]any](t, k, "a table")
	return &table{f: t.f, path: t.key(k), m: m}, ok
}

// tables reads an array of tables, in either way TOML writes one.
func (t *table) tables(k string) []*table {
	t.seen = append(t.seen, k)
	var out []*table
	at := func(i int) string { return t.key(k) + "[" + itoa(i) + "]" }
	switch list := t.m[k].(type) {
	case nil:
	case []map[string]any:
		for i, m := range list {
			out = append(out, &table{f: t.f, path: at(i), m: m})
		}
	case []any:
		for i, v := range list {
			m, ok := v.(map[string]any)
			if !ok {
				t.f.errorf(at(i), "a table")
				continue
			}
			out = append(out, &table{f: t.f, path: at(i), m: m})
		}
	default:
		t.f.errorf(t.key(k), "tables written as [[%s]]", t.key(k))
	}
	return out
}
