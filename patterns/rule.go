package patterns

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

var (
	idForm  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`) })
	tagForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9:._-]{0,63}$`) })
)

// rule reads one [[rules]].
func (f *file) rule(t *table) *draft {
	d := &draft{path: t.path}
	d.File, d.Line = f.name, f.line(t.path)
	f.head(t, d)
	d.Coaching = f.coaching(t)
	inherit := Pattern{File: f.name}
	inherit.Validator, inherit.Dictionary = f.checks(t)
	inherit.Index = f.lookup(t, nil)
	if d.Extends == "" {
		if formats, ok := t.choice("formats", []string{siteMRN}); ok && formats == siteMRN {
			f.checkLookup(t, inherit.Index)
			for _, p := range f.siteDefault(t) {
				p.Index = inherit.Index
				d.Patterns = append(d.Patterns, p)
			}
		}
	} else {
		f.forbid(t, "validator", "dictionary", "formats", "index", "with", "proximity")
	}
	ps := t.tables("patterns")
	for _, p := range ps {
		d.Patterns = append(d.Patterns, f.pattern(p, inherit)...)
	}
	if d.Extends == "" && len(ps) == 0 && !t.has("formats") {
		f.errorf(t.path, "at least one [[rules.patterns]]")
	}
	for _, w := range t.tables("demote") {
		if words := f.words(w); words != nil {
			d.Demote = append(d.Demote, *words)
		}
	}
	for _, a := range t.tables("allowlists") {
		d.Allowlists = append(d.Allowlists, f.allowlist(a))
	}
	if tests, ok := t.table("tests"); ok {
		d.Tests = append(f.tests(tests, "match", true), f.tests(tests, "no_match", false)...)
		tests.done()
	}
	t.done()
	return d
}

// head reads what a rule says of itself.
func (f *file) head(t *table, d *draft) {
	extends, isExtension := t.str("extends")
	d.Extends, d.at = extends, f.line(t.key("extends"))
	if isExtension {
		if extends == "" {
			f.errorf(t.key("extends"), "the id of a rule")
			t.seen = append(t.seen, "id", "type", "description", "tags", "severity", "boundary", "count") // the rest is not to be judged
			return
		}
		f.forbid(t, "id", "type", "description", "tags", "severity", "boundary", "count")
		return
	}
	id, ok := t.str("id")
	if !idForm().MatchString(id) && (ok || !t.has("id")) {
		f.errorf(t.key("id"), "an id of a-z, 0-9, dot, hyphen and underscore, at most 64 long")
	}
	d.ID = dlp.RuleID(id)
	typ, ok := t.str("type")
	d.Type = dlp.Type(typ)
	if !dlp.KnownType(d.Type) && (ok || !t.has("type")) {
		var names []string
		for _, n := range dlp.Types() {
			names = append(names, string(n))
		}
		f.errorf(t.key("type"), "%s", oneOf(names))
	}
	d.Description, _ = t.str("description")
	tags, _ := t.strings("tags")
	for i, tag := range tags {
		if !tagForm().MatchString(tag) {
			f.errorf(t.key("tags")+"["+itoa(i)+"]", "a tag of a-z, 0-9, colon, dot, hyphen and underscore")
		}
		d.Tags = append(d.Tags, dlp.Tag(tag))
	}
	if s, ok := t.choice("severity", []string{"high", "medium", "low"}); ok {
		_ = d.Severity.UnmarshalText([]byte(s)) // one of the three, so it cannot fail
	}
	d.Boundary = BoundaryWord
	if s, ok := t.choice("boundary", []string{"number", "alone", "word", "none"}); ok {
		d.Boundary = Boundary(s)
	}
	if s, ok := t.choice("count", []string{"unique", "all"}); ok {
		d.CountAll = s == "all"
	}
}

// forbid reports keys that an extension cannot have.
func (f *file) forbid(t *table, keys ...string) {
	for _, k := range keys {
		t.seen = append(t.seen, k)
		if t.has(k) {
			f.errorf(t.key(k), "no such key beside extends, which adds patterns, demotions, allowlists and tests, and words to senders only")
		}
	}
}

// checks reads validator and dictionary.
func (f *file) checks(t *table) (validator, dictionary string) {
	validator, _ = t.choice("validator", append(Validators(), "none"))
	dictionary, _ = t.choice("dictionary", append(Dictionaries(), "none"))
	return validator, dictionary
}

// siteMRN is the name of the site's record numbers for formats.
const siteMRN = "site.mrn"

// pattern reads one [[rules.patterns]]: one Pattern, or with formats one for
// each of the site's.
func (f *file) pattern(t *table, inherit Pattern) []Pattern {
	p := inherit
	p.Line = f.line(t.path)
	if s, ok := t.choice("confidence", []string{"high", "medium", "low"}); ok {
		_ = p.Confidence.UnmarshalText([]byte(s)) // one of the three, so it cannot fail
	} else if !t.has("confidence") {
		f.errorf(t.key("confidence"), `"high", "medium" or "low"`)
	}
	validator, dictionary := f.checks(t)
	p.Validator = override(p.Validator, validator)
	p.Dictionary = override(p.Dictionary, dictionary)
	p.Index = f.lookup(t, p.Index)
	f.checkLookup(t, p.Index)
	if sub, ok := t.table("supporting"); ok {
		p.Supporting = f.words(sub)
	}
	distinctive, _ := t.boolean("distinctive")
	expr, hasRegex := t.str("regex")
	formats, hasFormats := t.choice("formats", []string{siteMRN})
	p.Terms = f.terms(t)
	p.Plural, _ = t.boolean("plural")
	t.done()
	forms := 0
	for _, k := range []string{"regex", "words", "formats"} {
		if t.has(k) {
			forms++
		}
	}
	if forms != 1 {
		f.errorf(t.key("regex"), "one of regex, words or formats")
		return nil
	}
	if p.Plural && !t.has("words") {
		f.errorf(t.key("plural"), "no such key without words")
	}
	if distinctive && !t.has("formats") {
		f.errorf(t.key("distinctive"), "no such key without formats")
	}
	switch {
	case t.has("words"):
		return []Pattern{p}
	case hasFormats && formats == siteMRN:
		return f.sitePatterns(p, distinctive)
	}
	p.Regex = expr
	_, span, err := ParseRegex(expr)
	if err != nil && hasRegex {
		f.errorf(t.key("regex"), "%s", err)
	}
	p.MinBytes, p.MaxBytes = span.Min, span.Max
	return []Pattern{p}
}

// terms reads words, the terms that a pattern is instead of an expression.
func (f *file) terms(t *table) []string {
	list, ok := t.strings("words")
	if len(list) == 0 {
		if ok {
			f.errorf(t.key("words"), `an array of words or "@list" names`)
		}
		return nil
	}
	return f.resolve(t.key("words"), f.expand(list), nil, nil)
}

// override is the pattern's own check before the rule's; "none" takes it away.
func override(rule, own string) string {
	if own != "" {
		rule = own
	}
	if rule == "none" {
		return ""
	}
	return rule
}

// sitePatterns is p once for each of the site's formats, or only for those
// whose shape alone is worth something.
func (f *file) sitePatterns(p Pattern, distinctive bool) []Pattern {
	var out []Pattern
	for i := range f.site.MRN {
		m := &f.site.MRN[i]
		_, span, err := ParseRegex(m.Regex)
		if err != nil || distinctive && !m.Distinctive {
			continue // Load has reported a bad format already
		}
		q := p
		q.Regex, q.Site = m.Regex, m
		q.MinBytes, q.MaxBytes = span.Min, span.Max
		out = append(out, q)
	}
	return out
}

// siteDefault is what formats = "site.mrn" on a rule stands for: each format
// high with a word for a record number near by or above the column, and medium
// alone where the site calls it distinctive.
func (f *file) siteDefault(t *table) []Pattern {
	words := f.lists["mrn"]
	if words == nil {
		words = slices.Clone(f.outer["mrn"]) // shared by all loads
	}
	if words == nil {
		f.errorf(t.key("formats"), `a list "mrn" in [keywords] beside it`)
		return nil
	}
	p := Pattern{File: f.name, Line: f.line(t.key("formats")), Confidence: dlp.High,
		Supporting: &Words{Any: words, Proximity: 100, Header: true}}
	out := f.sitePatterns(p, false)
	p.Confidence, p.Supporting = dlp.Medium, nil
	return append(out, f.sitePatterns(p, true)...)
}

// words reads supporting or demote.
func (f *file) words(t *table) *Words {
	w := &Words{}
	list, ok := t.strings("any")
	if len(list) == 0 && (ok || !t.has("any")) {
		f.errorf(t.key("any"), `an array of words or "@list" names`)
	}
	w.Any = f.resolve(t.key("any"), f.expand(list), nil, nil)
	n, ok := t.integer("proximity")
	if !t.has("proximity") {
		n = defaultProximity
	} else if ok && (n < 0 || n > MaxProximity) {
		f.errorf(t.key("proximity"), "0 to %d bytes", MaxProximity)
	}
	w.Proximity = n
	w.Header, _ = t.boolean("header")
	side, _ := t.choice("side", []string{"any", "before"})
	w.Before = side == "before"
	t.done()
	return w
}

// defaultProximity is where evidence says nothing: about a line of prose.
const defaultProximity = 80

// expand replaces "@name" of the file's own lists, which are resolved already.
func (f *file) expand(words []string) []string {
	var out []string
	for _, w := range words {
		if name, isList := strings.CutPrefix(w, "@"); isList && f.lists[name] != nil {
			out = append(out, f.lists[name]...)
			continue
		}
		out = append(out, w)
	}
	return out
}

func (f *file) allowlist(t *table) Allowlist {
	a := Allowlist{file: f.name, line: f.line(t.key("values"))}
	a.Description, _ = t.str("description")
	if a.Description == "" {
		f.errorf(t.key("description"), "the reason why these are not reported")
	}
	a.Digests, _ = t.strings("digests")
	for i, d := range a.Digests {
		if !isDigest(d) {
			f.errorf(t.key("digests")+"["+itoa(i)+"]", "what `stanch rules digest` prints: 32 hex digits")
		}
	}
	if len(a.Digests) > 0 && !t.has("values") {
		a.line = f.line(t.key("digests"))
	}
	f.senders(t, &a)
	values, ok := t.strings("values")
	if len(values) == 0 && (ok || !t.has("values")) && (t.has("values") || len(a.Digests)+len(a.Senders) == 0) {
		f.errorf(t.key("values"), "an array of values")
	}
	for i, v := range values {
		if strings.TrimSpace(v) == "" {
			f.errorf(t.key("values")+"["+itoa(i)+"]", "a value, not nothing")
		} else if !strings.ContainsFunc(v, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			f.errorf(t.key("values")+"["+itoa(i)+"]", "a value: values are compared without separators, and of this nothing is left")
		}
	}
	a.Values = slices.Clone(values)
	if s, ok := t.m["expires"]; ok {
		a.Expires, a.line = f.day(t.key("expires"), s), f.line(t.key("expires"))
	}
	t.seen = append(t.seen, "expires")
	t.done()
	return a
}

// senders reads whose mail an allowlist is about, in place of values.
func (f *file) senders(t *table, a *Allowlist) {
	a.Senders, _ = t.strings("senders")
	for i, x := range a.Senders {
		if !isSender(x) {
			f.errorf(t.key("senders")+"["+itoa(i)+"]", "a whole address, or what `stanch rules digest --sender` prints of it: 32 hex digits")
		}
	}
	if len(a.Senders) == 0 {
		return
	}
	if t.has("values") || t.has("digests") {
		f.errorf(t.key("senders"), "values, digests or senders: an allowlist is of values, or of whose mail it is")
	}
	a.line = f.line(t.key("senders"))
}

// day reads a TOML date, or a string that holds one.
func (f *file) day(key string, v any) time.Time {
	switch v := v.(type) {
	case time.Time:
		return time.Date(v.Year(), v.Month(), v.Day(), 0, 0, 0, 0, time.UTC)
	case string:
		if d, err := time.Parse(time.DateOnly, v); err == nil {
			return d
		}
	}
	f.errorf(key, `a date such as "2027-06-30"`)
	return time.Time{}
}

// tests reads one of the two lists of examples.
func (f *file) tests(t *table, k string, match bool) []Test {
	list, _ := get[[]any](t, k, "an array of texts")
	var out []Test
	for i, v := range list {
		key := t.key(k) + "[" + itoa(i) + "]"
		test := Test{Match: match, File: f.name, Line: f.line(key), Key: key}
		switch v := v.(type) {
		case string:
			test.Text = v
		case map[string]any:
			sub := &table{f: f, path: key, m: v}
			test.Text, _ = sub.str("text")
			test.As, _ = sub.choice("as", []string{"csv"})
			sub.done()
		default:
			f.errorf(key, `a text or { text = "…", as = "csv" }`)
			continue
		}
		if test.Text == "" || len(test.Text) > maxTestBytes {
			f.errorf(key, "a text of 1 to %d bytes", maxTestBytes)
			continue
		}
		out = append(out, test)
	}
	return out
}
