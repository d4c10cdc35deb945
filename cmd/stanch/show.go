package main

import (
	"slices"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/scanner"
)

// shownBytes is how much text of a held document is looked through for what its
// reviewers see; its client waits.
const shownBytes = 1 << 20

// shower notes what reviewers see of a held document.
type shower struct {
	explain *scanner.Explainer // nil: nothing was found
	found   map[survived]bool
	shown   vault.Shown
}

type survived struct {
	rule       dlp.RuleID
	part       string
	start, end int64
}

func newShower(s *scanner.Scanner, found []dlp.Finding) *shower {
	w := &shower{found: map[survived]bool{}}
	var rules []dlp.RuleID
	for _, f := range found {
		if len(w.found) == vault.MaxShown {
			break
		}
		w.found[survived{f.Rule, f.Path, f.Start, f.End}] = true
		if !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
	}
	if len(found) > 0 { // several patterns may prove one finding
		w.explain = s.Explain(scanner.ExplainOptions{Rules: rules, Max: 4 * vault.MaxShown, Proved: true, Bytes: shownBytes})
	}
	return w
}

// Part notes p. Of its name only the ending is kept.
func (w *shower) Part(p dlp.PartInfo) error {
	if len(w.shown.Parts) < vault.MaxShownParts {
		w.shown.Parts = append(w.shown.Parts, vault.ShownPart{Path: p.Path, MediaType: p.MediaType, Ending: console.Ending(p.Name)})
	}
	if w.explain == nil {
		return nil
	}
	return w.explain.Part(p)
}

// Text has the window explained.
func (w *shower) Text(x dlp.Window) error {
	if w.explain == nil {
		return nil
	}
	return w.explain.Text(x)
}

// Gap is in the case already.
func (w *shower) Gap(dlp.Gap) error { return nil }

// Finish returns what is shown.
func (w *shower) Finish() vault.Shown {
	if w.explain == nil {
		return w.shown
	}
	x := w.explain.Finish()
	for i := range x.Candidates {
		c := &x.Candidates[i]
		at := survived{c.Rule.ID, c.Part, c.Start, c.End}
		if c.Outcome != scanner.Found || !w.found[at] {
			continue
		}
		w.found[at] = false
		f := vault.ShownFinding{Rule: c.Rule.ID, Part: c.Part, Start: c.Start, End: c.End, Masked: c.Value, Before: c.Before, After: c.After}
		for _, s := range c.Steps {
			f.Steps = append(f.Steps, vault.ShownStep(s))
		}
		w.shown.Findings = append(w.shown.Findings, f)
	}
	return w.shown
}
