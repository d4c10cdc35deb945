package scanner

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// patient says what the patient index knows of m.
func (x *Explainer) patient(m *match, p *pattern, field *dlp.Span, in bool, say func(step, outcome, format string, args ...any)) {
	_, ok, err := x.own.lookUp(p.Index, m.start, m.end, field, in)
	switch {
	case err != nil:
		say("index", stepStops, "the patient index cannot be read")
	case ok && len(p.Index.With) == 0:
		say("index", stepOK, "a patient's")
	case ok:
		say("index", stepOK, "a patient's, and a second field of the same row stands beside it")
	case len(p.Index.With) == 0:
		say("index", stepStops, "no patient's")
	default:
		say("index", stepStops, "no patient's, or no second field of the same row (%s) beside it", strings.Join(p.Index.With, ", "))
	}
}
