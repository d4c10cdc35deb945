package notify

import (
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// ProbeNotice tells an officer that a way out is open: a probe about an
// invented patient was not caught.
type ProbeNotice struct {
	ID       dlp.ID
	Hostname string      // of the gateway
	To       dlp.Address // the reader
	Route    string      // a name of the configuration
	Left     bool        // it went through stanch and left; else nobody saw it
	NotSent  bool        // it could not be handed in
	Sent     time.Time
	When     time.Time
}

// Probe returns the notice as a complete message with CRLF line ends, to be
// sent from the null reverse-path.
func (c Config) Probe(n ProbeNotice) []byte {
	what := "nothing held it in time: mail on this way does not come through stanch, or waits in a queue before it."
	switch {
	case n.Left:
		what = "it went through stanch and left: no policy in force holds such a mail on this way."
	case n.NotSent:
		what = "it could not be handed in: whether this way is guarded is not known."
	}
	text := paragraphs(
		"Every so often stanch on "+n.Hostname+" sends a test about an invented patient out on the route "+n.Route+", and expects it to be held.",
		"The test of "+n.Sent.UTC().Format("2006-01-02 15:04 MST")+" was not: "+what,
		c.officerHelp(n.ID, "stanch doctor routes"),
	)
	return message.Entity{Fields: c.officerHead("probe", "A test with invented patient data was not held", n.Hostname, n.ID, n.To, n.When), Text: text}.Compose()
}
