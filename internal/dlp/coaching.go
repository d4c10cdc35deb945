package dlp

// Coaching is what a site tells senders of data that a rule finds: how it may be
// sent, and where more is said. It stands in a rule file and holds nothing of
// any mail.
type Coaching struct {
	Text string // one line
	URL  string // https; "" for none
}
