package policy

import (
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Senders is a list of sender patterns, as `where` has them.
type Senders struct{ m matcher }

// ParseSenders reads a list of patterns. Its error is a constant of ours.
func ParseSenders(list []string) (Senders, error) {
	for _, s := range list {
		if s == nullSender {
			continue
		}
		if _, err := parsePattern(s); err != nil {
			return Senders{}, err
		}
	}
	where := Match{Senders: slices.Clone(list)}
	return Senders{where.compile()}, nil
}

// First returns the place of the first pattern that means a, -1 for none. The null
// sender's is none of them.
func (s Senders) First(a dlp.Address) int {
	if a.IsNull() {
		return -1
	}
	folded := dlp.Address{Local: dlp.FoldAddress(a.Local), Domain: dlp.FoldAddress(a.Domain)}
	return slices.IndexFunc(s.m.senders, func(p pattern) bool { return p.matchFolded(folded) })
}

// Match reports whether one of the patterns means a. None does where there are
// none.
func (s Senders) Match(a dlp.Address) bool { return s.m.namesSenders() && s.m.sender(a) }
