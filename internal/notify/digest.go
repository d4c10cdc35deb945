package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// AtOnceTimes is how often officers are told at once within Interval.
const AtOnceTimes = 20

// AtOnceSeverity is the least severity that officers are told of at once; false
// for none.
func (c Config) AtOnceSeverity() (dlp.Severity, bool) {
	var s dlp.Severity
	return s, c.AtOnce != "" && s.UnmarshalText([]byte(c.AtOnce)) == nil
}

// clockForm is a time of day in Digest.
const clockForm = "15:04"

// DigestDue is the latest moment at or before now at which a digest is due, in
// the zone of now. Without any it is the zero time.
func (c Config) DigestDue(now time.Time) (due time.Time) {
	for _, s := range c.Digest {
		at, err := time.Parse(clockForm, s)
		if err != nil {
			continue // Validate has read it
		}
		t := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
		if t.After(now) {
			t = time.Date(now.Year(), now.Month(), now.Day()-1, at.Hour(), at.Minute(), 0, 0, now.Location())
		}
		if t.After(due) {
			due = t
		}
	}
	return due
}

// AtOnceNotice tells an officer that something severe is held. Of n it uses ID,
// Hostname, To, Types, Parts, Causes and When.
func (c Config) AtOnceNotice(n Notice, channel dlp.Channel) []byte {
	what := "A message"
	if channel == dlp.File {
		what = "A file"
	}
	text := paragraphs(
		what+" is held by "+n.Hostname+" and waits for a decision: "+reason(n),
		where(n.Parts),
		"Look at it: the console, or stanch quarantine show "+string(n.ID),
		fmt.Sprintf("At most %d such notices are sent within an hour.", AtOnceTimes),
		"This notice was written by a program. It repeats nothing of any message.",
	)
	return message.Entity{Fields: c.officerHead("at-once", what+" is held and waits for you", n.Hostname, n.ID, n.To, n.When), Text: text}.Compose()
}

// DigestNotice tells an officer what is held.
type DigestNotice struct {
	ID       dlp.ID
	Hostname string      // of the gateway
	To       dlp.Address // the reader
	Held     int         // all that is
	New      int         // of these, since Since
	Asked    int         // of these, whose sender asks for their release
	Unread   int         // of these, in which something could not be read
	Oldest   time.Time
	Rules    []RuleCount // the most frequent first
	Since    time.Time
	When     time.Time
}

// RuleCount is how much is held by a rule.
type RuleCount struct {
	Rule dlp.RuleID
	Held int
}

// maxDigestRules is how many rules a digest names.
const maxDigestRules = 10

// DigestOf returns the notice as a complete message with CRLF line ends.
func (c Config) DigestOf(n DigestNotice) []byte {
	const form = "2006-01-02 15:04 MST"
	var rules strings.Builder
	for i, r := range n.Rules {
		if i == maxDigestRules {
			fmt.Fprintf(&rules, "\n%d more rules", len(n.Rules)-i)
			break
		}
		fmt.Fprintf(&rules, "\n%s: %d", r.Rule, r.Held)
	}
	byRule := ""
	if rules.Len() > 0 {
		byRule = "By rule:" + rules.String()
	}
	text := paragraphs(
		fmt.Sprintf("Held by %s: %d. Since %s: %d.", n.Hostname, n.Held, n.Since.Format(form), n.New),
		fmt.Sprintf("Senders ask for the release of: %d\nWith something that could not be read: %d\nThe oldest came: %s", n.Asked, n.Unread, n.Oldest.In(n.When.Location()).Format(form)),
		byRule,
		"Look at them: the console, or stanch quarantine list",
		"This notice was written by a program. It repeats nothing of any message.",
	)
	return message.Entity{Fields: c.officerHead("digest", fmt.Sprintf("%d held and waiting for a decision", n.Held), n.Hostname, n.ID, n.To, n.When), Text: text}.Compose()
}
