package main

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/patterns"
)

// rulebook is the rules for the console's pages.
type rulebook struct{ s *server }

// InForce returns the rules in force.
func (b rulebook) InForce() *patterns.Set {
	if j := b.s.inForce(); j != nil {
		return j.set
	}
	return nil
}

// Try explains what the rules in force make of t.
func (b rulebook) Try(ctx context.Context, t console.Trial) (console.Tried, error) {
	j := b.s.inForce()
	if j == nil {
		return console.Tried{}, errNotRead
	}
	for _, id := range t.Explain.Rules {
		if j.set.Rule(id) == nil {
			return console.Tried{}, console.ErrNoRule
		}
	}
	x := j.scanner.Explain(t.Explain)
	texts := &console.Texts{Sink: x}
	if err := b.s.extract.Extract(ctx, document(t.Content), texts); err != nil {
		return console.Tried{}, errNotRead
	}
	return console.Tried{Explanation: x.Finish(), Parts: texts.Parts, Cut: texts.Cut}, nil
}
