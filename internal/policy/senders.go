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

// Match reports whether one of the patterns means a. None does where there are
// none.
func (s Senders) Match(a dlp.Address) bool { return s.m.namesSenders() && s.m.sender(a) }
