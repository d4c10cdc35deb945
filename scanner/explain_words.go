package scanner

import (
	"fmt"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Became says in a few words what became of a candidate.
func (c *Candidate) Became() string {
	switch c.Outcome {
	case Found:
		if c.Confidence < dlp.Medium {
			return "found, low: scan prints medium and above, and policies act on these unless they say otherwise"
		}
		return "found, " + c.Confidence.String()
	case Overlapped:
		if c.Winner == c.Rule.ID {
			return fmt.Sprintf("would be %s: another finding of the rule has its place", c.Confidence)
		}
		return fmt.Sprintf("would be %s: a finding of %s has its place", c.Confidence, c.Winner)
	case Repeated:
		return fmt.Sprintf("would be %s: a term is reported once in a part and once in a row, and this one was before", c.Confidence)
	case Unseen:
		return fmt.Sprintf("would be %s: the scan had stopped at a bound before", c.Confidence)
	}
	i := slices.IndexFunc(c.Steps, func(s StepReport) bool { return s.Outcome == stepStops })
	if i < 0 {
		return "not found"
	}
	if c.PartFound {
		return "not found as a whole, stopped by its " + c.Steps[i].Step + ": a part of it is, see there"
	}
	return "not found, stopped by its " + c.Steps[i].Step
}
