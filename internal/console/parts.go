package console

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// findingKey finds a finding again.
type findingKey struct {
	rule       dlp.RuleID
	part       string
	start, end int64
}

// partsOf are the parts that a case has noted.
func partsOf(noted []vault.ShownPart) (out []Part) {
	for _, p := range noted {
		out = append(out, Part{Path: p.Path, MediaType: p.MediaType, Name: p.Ending})
	}
	return out
}

// withMasks fills in from a second reading what a case did not note.
func withMasks(found []gateway.Position, again []survey.Finding) []gateway.Position {
	read := map[findingKey]*survey.Finding{}
	for i := range again {
		f := &again[i]
		read[findingKey{f.Rule, f.Part, f.Start, f.End}] = f
	}
	for i := range found {
		f := &found[i]
		m := read[findingKey{f.Rule, f.Part, f.Start, f.End}]
		if m == nil || f.Masked != "" {
			continue
		}
		f.Masked = m.Masked
		if m.Why != nil {
			f.Before, f.After = m.Why.Before, m.Why.After
			for _, s := range m.Why.Steps {
				f.Steps = append(f.Steps, vault.ShownStep(s))
			}
		}
	}
	return found
}

// parts joins the parts that were read with what was found in them. hidden is how
// many findings are not shown.
func (c *Console) parts(found []gateway.Position, read []Part) (out []*partView, hidden int) {
	ruleNames := map[dlp.RuleID]string{}
	for _, r := range c.Rules() {
		ruleNames[r.ID] = r.Name
	}
	at := map[string]*partView{}
	add := func(path, kind, end string) *partView {
		p := at[path]
		if p == nil {
			p = &partView{N: len(out), Path: path, Label: partLabel(path) + end, Kind: kind}
			at[path] = p
			out = append(out, p)
		}
		return p
	}
	for _, p := range read {
		end := Ending(p.Name)
		if end != "" {
			end = ", a file …" + end
		}
		add(p.Path, p.MediaType, end)
	}
	shown := 0
	for i := range found {
		f := &found[i]
		p := add(f.Part, "", "")
		p.Count++
		if shown == maxShown {
			hidden++
			continue
		}
		shown++
		v := findingView{Name: ruleNames[f.Rule], Rule: string(f.Rule), Type: string(f.Type), Confidence: f.Confidence, Line: f.Line, Start: f.Start, End: f.End,
			Masked: f.Masked, Before: veiled(f.Before), After: veiled(f.After), Evidence: evidenceOf(f.Steps)}
		if v.Name == "" {
			v.Name = upper(notify.TypeWords(f.Type))
		}
		p.Findings = append(p.Findings, v)
	}
	return out, hidden
}

// foundFirst puts the parts in which something was found before the others.
func foundFirst(parts []*partView) []*partView {
	return slices.SortedStableFunc(slices.Values(parts), func(a, b *partView) int {
		return cmp.Compare(min(b.Count, 1), min(a.Count, 1))
	})
}

// tree puts each part in the one it is of: "2.1/3" is in "2.1", and where that is
// not there, in "2".
func tree(parts []*partView) (roots []*partView) {
	at := map[string]*partView{}
	for _, p := range parts {
		at[p.Path] = p
	}
	for _, p := range parts {
		within := p.Path
		for {
			cut := strings.LastIndexAny(within, "./")
			if cut < 0 {
				roots = append(roots, p)
				break
			}
			within = within[:cut]
			if of := at[within]; of != nil {
				of.Within = append(of.Within, p)
				break
			}
		}
	}
	return roots
}

// speaksFor are the steps of a proof that speak for a finding where they hold; the others
// merely are not in its way.
var speaksFor = []string{"evidence", "header", "validator", "table", "field"}

func evidenceOf(steps []vault.ShownStep) []evidence {
	var out []evidence
	for _, s := range steps {
		class := "same"
		switch {
		case s.Outcome == "raises", s.Outcome == "ok" && slices.Contains(speaksFor, s.Step):
			class = "up"
		case s.Outcome == "lowers":
			class = "down"
		}
		out = append(out, evidence{class, codeWords(s.Step) + ": " + quoted.ReplaceAllString(s.Why, "“$1”")})
	}
	return out
}

// quoted is a word as explanations quote it in a terminal.
var quoted = regexp.MustCompile("`([^`]*)`")
