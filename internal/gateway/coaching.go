package gateway

import (
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
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
	var ids []dlp.RuleID
	for _, r := range j.verdict.Rcpts {
		if r.Action == action {
			ids = append(ids, r.Rules...)
		}
	}
	return j.rules.coaching(ids)
}
