package patterns

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

//go:embed packs/*.toml packs/words/*.txt
var packs embed.FS

// builtInPrefix begins the file names of the embedded packs.
const builtInPrefix = "built-in/"

// BuiltIn reports whether file, of a Rule or what is in it, is an embedded pack.
func BuiltIn(file string) bool { return strings.HasPrefix(file, builtInPrefix) }

// Source says where rules come from.
type Source struct {
	Paths   []string          // rule files, or folders whose *.toml are read in the order of their names
	Instead map[string]string // by path of Paths: the text that is read in place of what lies there, which is then a file
	Site    Site              // the site's own forms
	BuiltIn bool              // the built-in packs, before Paths
	Only    []dlp.RuleID      // if any, just these
	Tested  bool              // the built-in packs' own tests have held, as those of a build have: not run again for rules that are as built
	Tables  map[string]Table  // imported code tables by name: "icd10cm"; none: rules ask the built-in structure

	Patients Patients // the site's patients; nil for none

	// Digest is the site's keyed digest of a canonical value, 32 lower-case hex
	// digits, or "" where the key cannot be read; nil: there is none. Then what
	// allowlists name by digest is reported.
	Digest func(canonical []byte) string
}

// Load reads the rules of src, merges them by id, and runs every rule's own
// tests through t (with a nil t none are run). The errors are *Error, all of
// them, joined; a Set is returned only without any. An error of ctx ends it.
func Load(ctx context.Context, src Source, t Tester) (*Set, error) {
	m := &merger{byID: map[dlp.RuleID]*Rule{}}
	if err := src.Site.Validate(); err != nil {
		e := &Error{File: "stanch.toml", Key: "site", Want: err.Error()}
		if ke, ok := errors.AsType[*dlp.KeyError](err); ok {
			e.Key, e.Want = "site."+ke.Key, ke.Want
		}
		return nil, e
	}
	var lists map[string][]string
	if src.BuiltIn {
		var inner []*file
		inner, lists = builtIn(src.Site)
		for _, f := range inner {
			m.add(f)
		}
	} else {
		lists = builtInLists()
	}
	for _, p := range src.Paths {
		if text, ok := src.Instead[p]; ok {
			m.add(parse(p, []byte(text), lists, src.Site))
			continue
		}
		for _, f := range m.read(p, lists, src.Site) {
			m.add(f)
		}
	}
	m.extend()
	m.patients(src)
	if n := m.patterns(); n > maxPatterns {
		m.errs = append(m.errs, &Error{File: "rules", Key: "rules", Want: fmt.Sprintf("at most %d patterns in all, not %d", maxPatterns, n)})
	} else if n > maxInstructions/MaxProgram { // fewer cannot have as many
		if k := m.instructions(); k > maxInstructions {
			m.errs = append(m.errs, &Error{File: "rules", Key: "rules", Want: fmt.Sprintf("expressions of at most %d instructions in all, not %d: fewer patterns, fewer or smaller repeats", maxInstructions, k)})
		}
	}
	if n := m.terms(); n > maxTerms {
		m.errs = append(m.errs, &Error{File: "rules", Key: "rules", Want: fmt.Sprintf("at most %d words as patterns in all, not %d", maxTerms, n)})
	}
	set := m.set(src)
	if len(m.errs) > 0 {
		return nil, errors.Join(m.errs...)
	}
	if t == nil {
		return set, nil
	}
	if err := set.test(ctx, t, src); err != nil {
		return nil, err
	}
	return set, nil
}

// builtInLists is the word lists of the embedded packs by name, for sets that take
// nothing else of them. They are the same for every site, and only read.
var builtInLists = sync.OnceValue(func() map[string][]string {
	_, lists := builtIn(Site{})
	return lists
})

// builtIn parses the embedded packs; lists is all their word lists by name.
func builtIn(site Site) (files []*file, lists map[string][]string) {
	lists = builtInWords()
	names, _ := fs.Glob(packs, "packs/*.toml") // fails for a bad pattern only
	for _, name := range names {
		src, err := packs.ReadFile(name)
		if err != nil {
			panic("patterns: embedded pack cannot be read")
		}
		f := parse(builtInPrefix+filepath.Base(name), src, lists, site)
		files = append(files, f)
		maps.Copy(lists, f.lists)
	}
	return files, lists
}

// merger puts files together.
type merger struct {
	byID     map[dlp.RuleID]*Rule
	extends  []*draft
	errs     []error
	warnings []*Error
}

// read parses the file or folder at path.
func (m *merger) read(path string, lists map[string][]string, site Site) []*file {
	names := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			m.errs = append(m.errs, &Error{File: path, Key: "file", Want: "a folder that can be read: " + bare(err)})
		}
		names = nil
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".toml") || strings.HasPrefix(e.Name(), ".") || e.IsDir() {
				continue
			}
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	var out []*file
	for _, name := range names {
		src, err := readFile(name)
		if err != nil {
			m.errs = append(m.errs, &Error{File: name, Key: "file", Want: err.Error()})
			continue
		}
		out = append(out, parse(name, src, lists, site))
	}
	return out
}

// readFile reads a rule file within bounds. The error says what was expected.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // nobody who writes a pipe is waited for
	if err != nil {
		return nil, errors.New("a file that can be read: " + bare(err))
	}
	defer f.Close() // read only: nothing to lose
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("a file, or a link to one")
	}
	src, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, errors.New("a file that can be read: " + bare(err))
	}
	if len(src) > MaxFileBytes {
		return nil, fmt.Errorf("at most %d bytes", MaxFileBytes)
	}
	return src, nil
}

// bare is what the system said, without the path: an Error names the file.
func bare(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return err.Error()
}

// add takes in the rules of f. The same id in a later file replaces the whole
// rule.
func (m *merger) add(f *file) {
	for _, e := range f.errs {
		m.errs = append(m.errs, e)
	}
	own := map[dlp.RuleID]bool{}
	for _, d := range f.rules {
		if d.Extends != "" {
			m.extends = append(m.extends, d)
			continue
		}
		if d.ID == "" {
			continue // reported already
		}
		if own[d.ID] {
			m.errs = append(m.errs, &Error{File: f.name, Line: f.line(d.path + ".id"), Key: d.path + ".id", Want: "an id that no other rule of this file has"})
		}
		own[d.ID] = true
		if old := m.byID[d.ID]; old != nil && !strings.HasPrefix(old.File, builtInPrefix) {
			m.warnings = append(m.warnings, &Error{File: f.name, Line: d.Line, Key: d.path + ".id",
				Want: fmt.Sprintf("one rule %q: it replaces the one in %s, line %d", d.ID, old.File, old.Line)})
		}
		m.byID[d.ID] = &d.Rule
	}
}

// extend adds each extension to its rule, whichever file either is in.
func (m *merger) extend() {
	for _, d := range m.extends {
		base := m.byID[dlp.RuleID(d.Extends)]
		if base == nil {
			m.errs = append(m.errs, &Error{File: d.File, Line: d.at, Key: d.path + ".extends", Want: fmt.Sprintf("the id of a rule: there is no %q", d.Extends)})
			continue
		}
		base.Patterns = append(base.Patterns, d.Patterns...)
		for _, w := range d.Demote {
			w.added = true
			base.Demote = append(base.Demote, w)
		}
		for _, a := range d.Allowlists {
			a.added = true
			base.Allowlists = append(base.Allowlists, a)
		}
		if d.Coaching.Text != "" {
			base.Coaching = d.Coaching
		}
		for _, t := range d.Tests {
			t.added = true
			base.Tests = append(base.Tests, t)
		}
		base.extended = append(base.extended, d)
	}
}

func (m *merger) patterns() int {
	n := 0
	for _, r := range m.byID {
		n += len(r.Patterns)
	}
	return n
}

// terms is how many words all patterns have that are words themselves.
func (m *merger) terms() int {
	n := 0
	for _, r := range m.byID {
		for i := range r.Patterns {
			n += len(r.Patterns[i].Terms)
		}
	}
	return n
}

// instructions is how many the programs of all patterns have.
func (m *merger) instructions() int {
	n := 0
	for _, r := range m.byID {
		for i := range r.Patterns {
			if r.Patterns[i].Terms == nil {
				n += programSize(r.Patterns[i].Regex)
			}
		}
	}
	return n
}

// set makes the Set, narrowed to src.Only.
func (m *merger) set(src Source) *Set {
	s := &Set{byID: m.byID, site: src.Site, patients: src.Patients, warnings: m.warnings, value: src.Digest}
	s.warnKeyless()
	if len(src.Only) > 0 {
		s.byID = map[dlp.RuleID]*Rule{}
		for _, id := range src.Only {
			if r := m.byID[id]; r != nil {
				s.byID[id] = r
				continue
			}
			m.errs = append(m.errs, &Error{File: "rules", Key: "only", Want: fmt.Sprintf("the id of a rule: there is no %q", string(id))})
		}
		for _, id := range slices.Sorted(maps.Keys(m.byID)) {
			if r := m.byID[id]; s.byID[id] == nil && len(r.Allowlists) > 0 {
				s.aside = append(s.aside, r)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		r := s.byID[id]
		for i := range r.Patterns {
			r.Patterns[i].table = src.Tables[dictionaries[r.Patterns[i].Dictionary].table]
		}
		s.rules = append(s.rules, r)
	}
	s.digest = s.sum()
	return s
}

// warnKeyless warns of values that are named by digests nobody can compare.
func (s *Set) warnKeyless() {
	if s.ValueDigest(nil) != "" {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		for _, a := range s.byID[id].Allowlists {
			if len(a.Digests) > 0 || slices.ContainsFunc(a.Senders, isDigest) {
				s.warnings = append(s.warnings, &Error{File: a.file, Line: a.line, Key: "digests", Want: "the index key of the data folder, which cannot be read here: what these name is reported"})
			}
		}
	}
}

// digest hashes what bears on findings.
func digest(rules []*Rule) string {
	h := sha256.New()
	enc := json.NewEncoder(h) // a hash takes every write, and nothing here fails to encode
	for _, r := range rules {
		c := *r
		c.File, c.Line, c.Tests = "", 0, nil
		c.Patterns = slices.Clone(r.Patterns)
		for i := range c.Patterns {
			c.Patterns[i].File, c.Patterns[i].Line = "", 0
			if t := c.Patterns[i].table; t != nil {
				h.Write([]byte(t.Digest()))
			}
		}
		if err := enc.Encode(c); err != nil {
			panic("patterns: a rule that cannot be encoded")
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// test runs each rule's own tests with that rule alone. Tests of the built-in
// packs do not know the site's forms, so they run without, and those of a rule
// that is extended do not know which of its values are never reported here.
// With src.Tested they are run for rules that are extended alone.
func (s *Set) test(ctx context.Context, t Tester, src Source) error {
	var errs []error
	for _, r := range s.rules {
		if src.Tested && BuiltIn(r.File) && len(r.extended) == 0 {
			continue // without the site's forms it is as built, and so are all its tests
		}
		own := withoutAdded(r)
		all, alone, bare := one(r, s.site), one(own, s.site), one(withoutSite(own), Site{})
		for i := range r.Tests {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("patterns: test: %w", err)
			}
			set := alone
			switch {
			case r.Tests[i].added:
				set = all
			case BuiltIn(r.Tests[i].File):
				set = bare
			}
			if err := runTest(ctx, t, set, r, &r.Tests[i], src); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// withoutSite is r less the patterns that come from the site's configuration.
func withoutSite(r *Rule) *Rule {
	c := *r
	c.Patterns = slices.DeleteFunc(slices.Clone(r.Patterns), func(p Pattern) bool { return p.Site != nil })
	return &c
}

// withoutAdded is r less the allowlists that extensions add.
func withoutAdded(r *Rule) *Rule {
	c := *r
	c.Allowlists = slices.DeleteFunc(slices.Clone(r.Allowlists), func(a Allowlist) bool { return a.added })
	return &c
}

// maxSeen is how many findings seenIn names.
const maxSeen = 4

// seenIn says what a test found, each rule with its confidence and place, in
// bytes of the test's text. It quotes nothing of the text.
func seenIn(found []dlp.Finding) string {
	if len(found) == 0 {
		return "nothing"
	}
	var out []string
	for i, f := range found {
		if i == maxSeen {
			out = append(out, fmt.Sprintf("%d more", len(found)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s at %s in bytes %d to %d", f.Rule, f.Confidence, f.Start, f.End))
	}
	return strings.Join(out, ", ")
}

func runTest(ctx context.Context, t Tester, set *Set, r *Rule, test *Test, src Source) error {
	found, err := t.Test(ctx, set, test.Text, test.As)
	if errors.Is(err, ErrUntested) {
		return nil
	}
	fail := &Error{File: test.File, Line: test.Line, Key: test.Key}
	if err != nil {
		fail.Want = "a test that can be run: " + err.Error()
		return fail
	}
	var flags string
	if _, draft := src.Instead[test.File]; !draft && !BuiltIn(test.File) {
		flags = " --rules " + test.File
	}
	flags += " --rule " + string(r.ID)
	if test.As != "" {
		flags += " --as " + test.As
	}
	seen, hint := seenIn(found), fmt.Sprintf("`stanch rules explain%s --text TEXT` says why", flags)
	hit := slices.ContainsFunc(found, func(f dlp.Finding) bool { return f.Rule == r.ID && f.Confidence >= dlp.Medium })
	switch {
	case test.Match && !hit:
		fail.Want = fmt.Sprintf("a finding of %s at medium or above; seen: %s; %s", r.ID, seen, hint)
	case !test.Match && hit:
		fail.Want = fmt.Sprintf("no finding of %s at medium or above; seen: %s; %s", r.ID, seen, hint)
	default:
		return nil
	}
	if k := len(r.extended); k > 0 && !test.added {
		fail.Want += fmt.Sprintf("; %s, line %d, extends the rule, and what it extends must still hold", r.extended[k-1].File, r.extended[k-1].at)
	}
	return fail
}
