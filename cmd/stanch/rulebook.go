package main

import (
	"context"
	"errors"
	"slices"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/rulelint"
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

// Try explains what the rules in force, or a draft, make of t.
func (b rulebook) Try(ctx context.Context, t console.Trial) (console.Tried, error) {
	j := b.s.inForce()
	if j == nil {
		return console.Tried{}, errNotRead
	}
	if t.Draft != nil {
		var wrong []console.RuleProblem
		var err error
		if j, wrong, err = b.draft(ctx, *t.Draft); err != nil {
			return console.Tried{}, err
		} else if len(wrong) > 0 {
			return console.Tried{}, &console.DraftError{Problems: wrong}
		}
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

// ownFile tells of the console's file what is wrong with rules.
func ownFile(path string, err error) (out []console.RuleProblem) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			out = append(out, ownFile(path, e)...)
		}
		return out
	}
	if e, ok := errors.AsType[*patterns.Error](err); ok && e.File == path {
		return []console.RuleProblem{{Line: e.Line, Text: e.Key + ": " + e.Want}}
	}
	return []console.RuleProblem{{Text: err.Error()}}
}

// draft loads text in place of the console's file, by the configuration in force.
// An error that is not about rules is returned as it is.
func (b rulebook) draft(ctx context.Context, text string) (*judges, []console.RuleProblem, error) {
	now := b.s.inForce()
	if now == nil {
		return nil, nil, errNotRead
	}
	j, err := b.s.judge(ctx, now.cfg, &text)
	if err == nil || ctx.Err() != nil {
		return j, nil, errors.Join(err, ctx.Err())
	}
	return nil, ownFile(rulefile.Path(now.cfg.DataDir), err), nil
}

// Check says what is wrong with text, and what its author may not mean.
func (b rulebook) Check(ctx context.Context, text string) ([]console.RuleProblem, error) {
	j, wrong, err := b.draft(ctx, text)
	if err != nil || len(wrong) > 0 {
		return wrong, err
	}
	path := rulefile.Path(j.cfg.DataDir)
	of := ruleSet{Set: j.set, cfg: j.cfg, named: []string{path}}
	if !slices.ContainsFunc(j.set.Rules(), func(r *patterns.Rule) bool { return r.File == path }) && len(of.Rules()) == len(j.set.Rules()) {
		return nil, nil // it has no pattern and no test
	}
	problems, err := rulelint.Lint(ctx, j.set, rulelint.Options{Rules: of.Rules(), CSV: csvReader(b.s.extract)})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(problems, graver)
	for i := range problems {
		if p := &problems[i]; p.File == path {
			wrong = append(wrong, console.RuleProblem{Line: p.Line, Text: p.Key + ": " + p.Want, Warning: !p.Wrong})
		}
	}
	for _, w := range patterns.Lint(j.set) {
		if w.File == path {
			wrong = append(wrong, console.RuleProblem{Line: w.Line, Text: w.Key + ": " + w.Want, Warning: true})
		}
	}
	return wrong, nil
}

// Save makes v a version and puts it in force.
func (b rulebook) Save(ctx context.Context, base string, v rulefile.Version, between func(n int) error) (int, []console.RuleProblem, error) {
	b.s.changing.Lock()
	defer b.s.changing.Unlock()
	j, wrong, err := b.draft(ctx, v.Text)
	if err != nil || len(wrong) > 0 {
		return 0, wrong, err
	}
	n, err := b.s.ruleFile.Save(base, v, between)
	if err != nil {
		return 0, nil, err
	}
	return n, nil, b.s.putInForce(ctx, j, v.By)
}
