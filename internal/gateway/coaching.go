package gateway

import (
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxCoaching is how many advices somebody is given at once.
const maxCoaching = 3

// coaching is what senders are told of what these rules find, each once, in the
// order of the rules' ids. Without rules in force it is nothing.
func (r *Rules) coaching(ids []dlp.RuleID) (out []dlp.Coaching) {
	if r == nil {
		return nil
	}
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if c, ok := r.Coaching[id]; ok && !slices.Contains(out, c) && len(out) < maxCoaching {
			out = append(out, c)
		}
	}
	return out
}

// coaching is what is told of what made recipients come to action.
func (j judgement) coaching(action dlp.Action) []dlp.Coaching {
	r, _ := j.verdict.Of(action)
	return j.rules.coaching(r.Rules)
}

// about is a notice to the sender of what was held, of its rules and what could
// not be read of it: of the rest of its case nothing is at hand without a key.
func (g *Gateway) about(e *vault.Entry) notify.Notice {
	rules := g.rules.Load()
	return notify.Notice{ID: e.ID, Types: rules.types(e.Rules), Coaching: rules.coaching(e.Rules), Causes: e.Causes, When: g.Now()}
}

// types are the kinds of data that these rules find, sorted, each once. What a rule
// found that is not in force any more is not told.
func (r *Rules) types(ids []dlp.RuleID) (out []dlp.Type) {
	if r == nil {
		return nil
	}
	for _, id := range ids {
		if t := r.Types[id]; t != "" {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
