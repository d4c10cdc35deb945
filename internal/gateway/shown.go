package gateway

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// shownWithin is how long a hold waits for what reviewers are to see of it. Past
// it the document is held without.
const shownWithin = 5 * time.Second

// shown reads doc, which is to be held, once more for what reviewers see of it
// without opening it. Whatever goes wrong, the document is held, without. Words in
// pictures are not read a second time.
func (g *Gateway) shown(ctx context.Context, doc *dlp.Document, j judgement) (s vault.Shown) {
	if j.rules == nil || j.rules.Show == nil || timedOut(j.gaps) || g.Extract == nil {
		return s
	}
	defer func() {
		if p := recover(); p != nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "showing broke; the document is held without",
				slog.String("doc", string(doc.ID)), slog.String("stack", string(debug.Stack())))
			s = vault.Shown{}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	turn, err := g.firstTurn(ctx, g.classOf(doc))
	if err != nil {
		return s
	}
	defer func() { turn.done() }()
	show := j.rules.Show(j.found)
	slow := slowSink{show, func(ctx context.Context, r dlp.SlowReader) error {
		if r == dlp.OCRReader {
			return dlp.ErrWithout
		}
		return turn.move(ctx, g.turnsOf(r))
	}}
	var sink dlp.Sink = slow
	if g.Passwords != nil && doc.Channel == dlp.Mail {
		sink = pairSink{slow, g.Passwords, doc}
	}
	if err := g.Extract.Extract(ctx, doc, sink); err != nil {
		g.warn(ctx, "a held document was not read once more for its reviewers", doc.ID, err)
		return s
	}
	return show.Finish()
}

type place struct {
	rule       dlp.RuleID
	part       string
	start, end int64
}

func placeOf(f *dlp.Finding) place { return place{f.Rule, f.Path, f.Start, f.End} }

// positions are the findings of c with what is shown of them.
func positions(c vault.Case) []Position {
	shown := make(map[place]*vault.ShownFinding, len(c.Shown.Findings))
	for i := range c.Shown.Findings {
		f := &c.Shown.Findings[i]
		shown[place{f.Rule, f.Part, f.Start, f.End}] = f
	}
	out := make([]Position, 0, len(c.Findings))
	for _, f := range c.Findings {
		p := Position{Rule: f.Rule, Type: f.Type, Confidence: f.Confidence.String(), Part: f.Path, Start: f.Start, End: f.End, Line: f.Line}
		if s := shown[placeOf(&f)]; s != nil {
			p.Masked, p.Before, p.After, p.Steps = s.Masked, s.Before, s.After, s.Steps
		}
		out = append(out, p)
	}
	return out
}
