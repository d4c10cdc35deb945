package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the page's template and style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/survey"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
)

// pageView is what page.html is given.
type pageView struct {
	Style                            template.CSS
	Security                         string // the content security policy
	Made, Version, RuleSet, Minimum  string
	Reveal, Whole                    bool
	Sentence                         string
	Sum                              *summary
	Verdicts, Causes                 []countView
	Types                            []*typeCount
	Docs                             []docView
	Unwritten, MaxDocs, MaxAll, Each int
}

type countView struct {
	Words, Code, Means string
	N                  int
}

type docView struct {
	ID, Path     string
	D            *survey.Document
	State, Class string
	Monitored    string
	Findings     []findingView
	Gaps         []gapView
	Recipients   []recipientView
	Cut          cut
	FindingsN    int // written out or not
	GapsN        int
}

type recipientView struct{ Recipient, State, Policy string }

type findingView struct {
	What, Type, Rule, Where       string
	Sure                          string
	Medium, High                  bool // which bars stand
	Before, Masked, After         string
	Explained                     bool
	Value                         string
	Revealed                      bool
	Severity, Tags, Start, Length string
	Evidence                      []evidenceView
}

type evidenceView struct{ Class, Said, Text string }

type gapView struct{ Where, Short, Code, Means, Detail string }

func (p *page) Close(whole bool) error {
	v := pageView{Style: template.CSS(pageCSS), Whole: whole, Reveal: p.o.Reveal, Version: p.o.Version, RuleSet: p.o.RuleSet,
		Minimum: p.o.MinConfidence.String(), Made: p.o.Now.UTC().Format("2 January 2006, 15:04 UTC"), Sum: &p.sum, Sentence: p.sum.sentence(whole),
		Unwritten: p.unwritten, MaxDocs: MaxPageDocuments, MaxAll: MaxPageFindings, Each: MaxPageEach}
	hash := sha256.Sum256([]byte(pageCSS))
	v.Security = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'"
	for _, code := range []string{"reject", "quarantine", "encrypt", "tag", "allow"} {
		if n := p.sum.verdicts[code]; n > 0 {
			v.Verdicts = append(v.Verdicts, countView{Words: verdictWords(code), Code: code, N: n})
		}
	}
	for _, c := range dlp.Causes() {
		if n := p.sum.causes[c.String()]; n > 0 {
			w := causeWords(c.String())
			v.Causes = append(v.Causes, countView{w.Short, c.String(), w.Means, n})
		}
	}
	for _, t := range p.sum.types {
		v.Types = append(v.Types, t)
	}
	slices.SortFunc(v.Types, func(a, b *typeCount) int { return cmp.Or(cmp.Compare(b.All(), a.All()), cmp.Compare(a.Type, b.Type)) })
	for i := range p.docs {
		v.Docs = append(v.Docs, p.view(&p.docs[i], p.cut[i]))
	}
	slices.SortStableFunc(v.Docs, func(a, b docView) int { return cmp.Compare(a.D.Path, b.D.Path) })
	for i := range v.Docs {
		v.Docs[i].ID = fmt.Sprint("d", i+1)
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(p.w, &v)
}

// sentence says what a hurried reader has to know.
func (s *summary) sentence(whole bool) string {
	var parts []string
	if s.WithFindings > 0 {
		parts = append(parts, Count(s.Findings, "finding")+" in "+Count(s.WithFindings, "document"))
	} else {
		parts = append(parts, "No finding")
	}
	if s.NotWhole > 0 {
		parts = append(parts, Count(s.NotWhole, "document")+" not wholly read")
	}
	if s.Failed > 0 {
		parts = append(parts, Count(s.Failed, "document")+" not read at all")
	}
	if !whole {
		parts = append(parts, "the run was cut short")
	}
	return strings.Join(parts, ", ") + "."
}

func (p *page) view(d *survey.Document, c cut) docView {
	v := docView{Path: shownPath(d.Path), D: d, State: verdictWords(d.Verdict), Class: "is-" + d.Verdict, Cut: c,
		FindingsN: len(d.Findings) + c.Findings, GapsN: len(d.Gaps) + c.Gaps}
	if d.Error != "" {
		v.State, v.Class = "Not read", "is-gap"
	}
	if d.Monitored != "" {
		v.Monitored = verdictWords(d.Monitored)
	}
	for i := range d.Findings {
		v.Findings = append(v.Findings, p.finding(&d.Findings[i]))
	}
	for _, g := range d.Gaps {
		w := causeWords(g.Cause)
		v.Gaps = append(v.Gaps, gapView{Where: cmp.Or(partWords(g.Part, g.Name), "the document"), Short: w.Short, Code: g.Cause, Means: w.Means, Detail: Plain(g.Detail)})
	}
	for _, r := range d.Verdicts {
		v.Recipients = append(v.Recipients, recipientView{Plain(r.Recipient), verdictWords(r.Verdict), r.Policy})
	}
	return v
}

func shownPath(path string) string {
	if path == "-" {
		return "standard input"
	}
	return Plain(path)
}

func (p *page) finding(f *survey.Finding) findingView {
	v := findingView{What: string(f.Type), Type: string(f.Type), Rule: string(f.Rule), Sure: f.Confidence.String(), Masked: Plain(f.Masked),
		Medium: f.Confidence >= dlp.Medium, High: f.Confidence >= dlp.High, Severity: f.Severity.String(),
		Start: fmt.Sprint(f.Start), Length: fmt.Sprint(f.End - f.Start)}
	if r, ok := p.rules[f.Rule]; ok && r.Description != "" {
		v.What = Plain(r.Description)
	}
	where := []string{}
	if part := partWords(f.Part, f.Name); part != "" {
		where = append(where, part)
	}
	v.Where = strings.Join(append(where, fmt.Sprint("line ", f.Line)), ", ")
	v.Tags = tagList(f.Tags, ", ")
	if f.Value != nil {
		v.Value, v.Revealed = Plain(*f.Value), true
	}
	if f.Why == nil {
		return v
	}
	v.Explained, v.Before, v.After = true, Plain(f.Why.Before), Plain(f.Why.After)
	for _, s := range f.Why.Steps {
		e := evidenceView{Class: "same", Said: "passes", Text: Plain(s.Step + ": " + s.Why)}
		switch s.Outcome {
		case "raises":
			e.Class, e.Said = "up", "raises"
		case "lowers":
			e.Class, e.Said = "down", "lowers"
		}
		v.Evidence = append(v.Evidence, e)
	}
	return v
}

// partWords says which part; "" for a plain file.
func partWords(part, name string) string {
	switch {
	case part == "":
		return Plain(name)
	case name == "":
		return "part " + part
	}
	return "part " + part + ", " + Plain(name)
}
