package report

import (
	"io"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/survey"
)

// What a page writes out; it counts the rest. They bound its memory, since its
// summary stands on top and documents wait for it, and what a browser is given.
const (
	MaxPageDocuments = 1000
	MaxPageFindings  = 5000
	MaxPageEach      = 100 // findings of a document, and gaps, and recipients
)

// page is one HTML file that needs nothing else and runs nothing.
type page struct {
	w     io.Writer
	o     Options
	rules map[dlp.RuleID]Rule

	docs      []survey.Document // written out, cut to size
	cut       map[int]cut       // by index into docs
	findings  int               // in docs
	gaps      int               // in docs
	unwritten int               // documents with something to see beyond docs
	sum       summary
}

type cut struct{ Findings, Gaps, Recipients int }

// summary counts all documents, written out or not.
type summary struct {
	Documents, WithFindings, NotWhole, Failed, Clean, Findings, Gaps int

	verdicts map[string]int
	types    map[dlp.Type]*typeCount
	causes   map[string]int
}

type typeCount struct {
	Type                         dlp.Type
	High, Medium, Low, Documents int
}

// All is the findings of the type.
func (t *typeCount) All() int { return t.High + t.Medium + t.Low }

func newPage(w io.Writer, o Options) *page {
	p := &page{w: w, o: o, rules: map[dlp.RuleID]Rule{}, cut: map[int]cut{},
		sum: summary{verdicts: map[string]int{}, types: map[dlp.Type]*typeCount{}, causes: map[string]int{}}}
	for _, r := range o.Rules {
		p.rules[r.ID] = r
	}
	return p
}

func (p *page) Document(d survey.Document) error {
	p.sum.add(&d)
	if d.Error == "" && len(d.Findings)+len(d.Gaps) == 0 && d.Verdict == dlp.Allow.String() {
		return nil // nothing to see
	}
	if len(p.docs) == MaxPageDocuments {
		p.unwritten++
		return nil
	}
	found := min(len(d.Findings), MaxPageEach, MaxPageFindings-p.findings)
	gaps := min(len(d.Gaps), MaxPageEach, MaxPageFindings-p.gaps)
	rcpts := min(len(d.Verdicts), MaxPageEach)
	if c := (cut{len(d.Findings) - found, len(d.Gaps) - gaps, len(d.Verdicts) - rcpts}); c != (cut{}) {
		p.cut[len(p.docs)] = c
		// copied, so that what is cut off is not kept
		d.Findings, d.Gaps, d.Verdicts = slices.Clone(d.Findings[:found]), slices.Clone(d.Gaps[:gaps]), slices.Clone(d.Verdicts[:rcpts])
	}
	p.findings += found
	p.gaps += gaps
	p.docs = append(p.docs, d)
	return nil
}

func (s *summary) add(d *survey.Document) {
	s.Documents++
	s.Findings += len(d.Findings)
	s.Gaps += len(d.Gaps)
	s.verdicts[d.Verdict]++
	switch {
	case d.Error != "":
		s.Failed++
	case len(d.Gaps) > 0:
		s.NotWhole++
	case len(d.Findings) == 0:
		s.Clean++
	}
	if len(d.Findings) > 0 {
		s.WithFindings++
	}
	seen := map[dlp.Type]bool{}
	for i := range d.Findings {
		f := &d.Findings[i]
		t := s.types[f.Type]
		if t == nil {
			t = &typeCount{Type: f.Type}
			s.types[f.Type] = t
		}
		if !seen[f.Type] {
			seen[f.Type] = true
			t.Documents++
		}
		switch f.Confidence.String() {
		case "high":
			t.High++
		case "medium":
			t.Medium++
		default:
			t.Low++
		}
	}
	for _, g := range d.Gaps {
		s.causes[g.Cause]++
	}
}
