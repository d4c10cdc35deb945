package patterns

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of what senders are told by a rule, in bytes.
const (
	maxCoaching    = 500
	maxCoachingURL = 300
)

// coaching reads what senders of such data are told.
func (f *file) coaching(t *table) (c dlp.Coaching) {
	text, ok := t.str("coaching")
	if ok && (strings.TrimSpace(text) == "" || len(text) > maxCoaching || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })) {
		f.errorf(t.key("coaching"), "one line of at most %d bytes, without control characters", maxCoaching)
	}
	link, given := t.str("coaching_url")
	switch {
	case given && !isLink(link):
		f.errorf(t.key("coaching_url"), "an https:// address of at most %d bytes", maxCoachingURL)
	case given && !t.has("coaching"):
		f.errorf(t.key("coaching_url"), "coaching too: the words that the address belongs to")
	}
	return dlp.Coaching{Text: strings.TrimSpace(text), URL: link}
}

// isLink reports an address that may stand in a notice and on a page.
func isLink(s string) bool {
	if len(s) > maxCoachingURL || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsAny(s, `<>"\`) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
}

// Types returns the kind of data that each rule finds.
func (s *Set) Types() map[dlp.RuleID]dlp.Type {
	out := make(map[dlp.RuleID]dlp.Type, len(s.rules))
	for _, r := range s.rules {
		out[r.ID] = r.Type
	}
	return out
}

// Coaching returns what the rules tell senders of what they find, by rule.
func (s *Set) Coaching() map[dlp.RuleID]dlp.Coaching {
	out := map[dlp.RuleID]dlp.Coaching{}
	for _, r := range s.rules {
		if r.Coaching.Text != "" {
			out[r.ID] = r.Coaching
		}
	}
	return out
}
