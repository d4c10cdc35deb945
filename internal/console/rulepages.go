package console

import (
	"cmp"
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// Rulebook is the rules in force, and a bench to try rules on.
type Rulebook interface {
	// InForce returns the rules in force, nil while nothing can be read.
	InForce() *patterns.Set
	// Try reads a text or a file in the sandbox, and explains what rules make of it.
	Try(ctx context.Context, t Trial) (Tried, error)
}

func (c *Console) ruleRoutes() []route {
	return []route{
		{"GET /rules", see, c.rules},
		{"GET /rules/of/{id}", see, c.rule},
		{"GET /rules/try", tryRules, c.askTry},
		{"POST /rules/try", tryRules, c.try},
	}
}

// packOf names the pack that a rule of file stands in: "us-identifiers" for a
// built-in one, the file's own name for one of the site's.
func packOf(file string) string {
	if patterns.BuiltIn(file) {
		return strings.TrimSuffix(filepath.Base(file), ".toml")
	}
	return filepath.Base(file)
}

type packLink struct {
	Name  string
	Rules int
	Here  bool
}

// listedRule is one rule in a list.
type listedRule struct {
	ID                          dlp.RuleID
	Type, Severity, Description string
	Patterns, Tests             int
	Extended                    bool // by the site
}

// rail is what stands beside every page of rules.
type rail struct {
	Site, Packs []packLink
	Try         bool // the page is that on which rules are tried
	Edit        bool // or one of the site's own file
	Proposals   bool // or one of proposals
}

// railOf lists the packs of rs; here is the one that is shown.
func railOf(rs []*patterns.Rule, here string) (out rail) {
	n, own := map[string]int{}, map[string]bool{}
	for _, r := range rs {
		p := packOf(r.File)
		n[p]++
		own[p] = !patterns.BuiltIn(r.File)
	}
	for p, k := range n {
		l := packLink{p, k, p == here}
		if own[p] {
			out.Site = append(out.Site, l)
		} else {
			out.Packs = append(out.Packs, l)
		}
	}
	byName := func(a, b packLink) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(out.Site, byName)
	slices.SortFunc(out.Packs, byName)
	return out
}

func (c *Console) inForce() []*patterns.Rule {
	if set := c.Book.InForce(); set != nil {
		return set.Rules()
	}
	return nil
}

type rulesPage struct {
	frame
	Rail rail
	Pack string // "" for all
	Rows []listedRule
}

// rules lists the rules in force, by pack.
func (c *Console) rules(w http.ResponseWriter, r *http.Request, u User) {
	rs := c.inForce()
	p := rulesPage{Pack: r.URL.Query().Get("pack")}
	for _, x := range rs {
		if p.Pack != "" && packOf(x.File) != p.Pack {
			continue
		}
		p.Rows = append(p.Rows, listedRule{x.ID, string(x.Type), x.Severity.String(), x.Description, len(x.Patterns), len(x.Tests), extended(x)})
	}
	if len(p.Rows) == 0 && p.Pack != "" {
		c.say(w, r, u, http.StatusNotFound, "There is no such pack.", "Or it has no rules of its own any more.")
		return
	}
	p.Rail = railOf(rs, p.Pack)
	p.frame = c.frame(r, u, "Rules")
	c.render(w, r, http.StatusOK, "rules", p)
}

// extended reports whether the site adds to a built-in rule.
func extended(r *patterns.Rule) bool {
	site := func(file string) bool { return !patterns.BuiltIn(file) }
	return patterns.BuiltIn(r.File) && (slices.ContainsFunc(r.Patterns, func(p patterns.Pattern) bool { return site(p.File) && p.Site == nil }) ||
		slices.ContainsFunc(r.Tests, func(t patterns.Test) bool { return site(t.File) }) || slices.ContainsFunc(r.Allowlists, patterns.Allowlist.Added))
}

// formView is one form of a rule's value.
type formView struct {
	Confidence, Regex string
	Words             int
	Terms             string // "" where they are not for this role
	Checks            []string
	Where             string
	Hidden            bool // the site's own, and not for this role
}

// wordsView is evidence for or against.
type wordsView struct{ Words, Where string } // no Words: the site's own, and not for this role

type listView struct {
	Description string
	Count       int // values
	Senders     int // or whose mail it is
	Expires     string
}

type testView struct {
	Text, As string
	Match    bool
}

type rulePage struct {
	frame
	Rail        rail
	Rule        *patterns.Rule
	Pack        string
	Tags        string
	Forms       []formView
	Demote      []wordsView
	Lists       []listView
	Tests       []testView
	HiddenTests int
	Whose       string // "built in", "this site's"
}

// maxTermsShown bounds the words of one form that a page shows.
const maxTermsShown = 400

// rule shows one rule as it is in force. What a site wrote down itself may hold
// PHI: its forms and tests are for those who see it anyway, its listed values for
// nobody.
func (c *Console) rule(w http.ResponseWriter, r *http.Request, u User) {
	rs := c.inForce()
	i := slices.IndexFunc(rs, func(x *patterns.Rule) bool { return string(x.ID) == r.PathValue("id") })
	if i < 0 {
		c.say(w, r, u, http.StatusNotFound, "There is no such rule in force.", "")
		return
	}
	x := rs[i]
	p := rulePage{Rule: x, Pack: packOf(x.File), Rail: railOf(rs, packOf(x.File)), Whose: "this site's"}
	if patterns.BuiltIn(x.File) {
		p.Whose = "built in"
	}
	for _, t := range x.Tags {
		p.Tags += ", " + string(t)
	}
	p.Tags = strings.TrimPrefix(p.Tags, ", ")
	for k := range x.Patterns {
		p.Forms = append(p.Forms, formOf(&x.Patterns[k], u))
	}
	for _, d := range x.Demote {
		v := wordsView{joinSome(d.Any), whereWords(&d)}
		if !u.may(tryRules) && (d.Added() || !patterns.BuiltIn(x.File)) {
			v.Words = ""
		}
		p.Demote = append(p.Demote, v)
	}
	for _, l := range x.Allowlists {
		v := listView{Description: l.Description, Count: len(l.Values) + len(l.Digests), Senders: len(l.Senders)}
		if !l.Expires.IsZero() {
			v.Expires = l.Expires.Format(dayForm)
		}
		p.Lists = append(p.Lists, v)
	}
	for _, t := range x.Tests {
		if patterns.BuiltIn(t.File) || u.may(tryRules) {
			p.Tests = append(p.Tests, testView{t.Text, t.As, t.Match})
		} else {
			p.HiddenTests++
		}
	}
	p.frame = c.frame(r, u, "Rules: "+string(x.ID))
	c.render(w, r, http.StatusOK, "rule", p)
}

func formOf(p *patterns.Pattern, u User) formView {
	v := formView{Confidence: p.Confidence.String(), Words: len(p.Terms), Hidden: !patterns.BuiltIn(p.File) && !u.may(tryRules)}
	if !v.Hidden {
		if v.Regex = p.Regex; p.Terms != nil {
			v.Regex, v.Terms = "", joinSome(p.Terms)
		}
	}
	if p.Validator != "" {
		v.Checks = append(v.Checks, "validator "+p.Validator)
	}
	if p.Dictionary != "" {
		v.Checks = append(v.Checks, "a code of "+p.Dictionary)
	}
	if p.Site != nil {
		v.Checks = append(v.Checks, "the site's own form")
	}
	if p.Index != nil {
		v.Checks = append(v.Checks, "one of the site's own patients has it, by "+p.Index.Field)
	}
	if s := p.Supporting; s != nil {
		if v.Where = whereWords(s); !v.Hidden {
			v.Where += ": " + joinSome(s.Any)
		}
	}
	return v
}

func joinSome(words []string) string {
	if len(words) > maxTermsShown {
		return strings.Join(words[:maxTermsShown], ", ") + " and " + grouped(int64(len(words)-maxTermsShown)) + " more"
	}
	return strings.Join(words, ", ")
}

// whereWords says where evidence counts.
func whereWords(w *patterns.Words) string {
	s := "within " + grouped(int64(w.Proximity)) + " bytes"
	if w.Before {
		s += " before it"
	}
	if w.Header {
		s += " or in the name of its column or field"
	}
	return s
}
