package dlp

import "fmt"

// RuleID names a rule in the loaded Set, such as "us-ssn".
type RuleID string

// Tag groups rules for policy. The reserved ones are below; a rule may carry
// others.
type Tag string

// Tags that policies build on (docs/contract.md, Tags).
const (
	TagIdentifier Tag = "identifier" // points at one patient
	TagContact    Tag = "contact"    // reaches one
	TagHealth     Tag = "health"     // tells of care
	TagFinancial  Tag = "financial"
	TagSecret     Tag = "secret"
)

// Confidence is how sure a rule is of a Finding. The zero value is Low.
type Confidence uint8

// The levels of confidence.
const (
	Low Confidence = iota
	Medium
	High
)

var confidenceNames = [...]string{"low", "medium", "high"}

// String returns "low", "medium" or "high".
func (c Confidence) String() string {
	if int(c) < len(confidenceNames) {
		return confidenceNames[c]
	}
	return confidenceNames[Low]
}

// UnmarshalText reads "low", "medium" or "high".
func (c *Confidence) UnmarshalText(b []byte) error {
	for i, n := range confidenceNames {
		if n == string(b) {
			*c = Confidence(i)
			return nil
		}
	}
	return fmt.Errorf("want %q, %q or %q", "low", "medium", "high")
}

// MarshalText is the inverse of UnmarshalText.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Severity is how bad it is when a Finding leaves. The zero value is SeverityHigh.
type Severity uint8

// The severities.
const (
	SeverityHigh Severity = iota
	SeverityMedium
	SeverityLow
)

var severityNames = [...]string{"high", "medium", "low"}

// String returns "low", "medium" or "high".
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[SeverityHigh]
}

// UnmarshalText reads "low", "medium" or "high".
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("want %q, %q or %q", "low", "medium", "high")
}

// MarshalText is the inverse of UnmarshalText.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ValueKey stands for a matched value without telling it: AES-CMAC over the
// rule's type and the normalised value, under a random key that lives only as
// long as the judgement of one Document. Equal keys within a Document mean equal
// values.
type ValueKey [16]byte

// Finding says where a rule matched. It carries no matched text on purpose: it
// can be logged, stored and shown without spreading what it found.
type Finding struct {
	Rule       RuleID
	Type       Type
	Tags       []Tag // shared with the rule; not to be changed
	Path       string
	Start, End int64 // byte offsets into the part's text, before normalisation; End exclusive; the value without its label
	Line       int   // from 1, of Start
	Confidence Confidence
	Severity   Severity
	ValueKey   ValueKey
	Group      uint32 // of the Span it lies in; 0 for none
}

// HasTag reports whether f carries t.
func (f *Finding) HasTag(t Tag) bool {
	for _, x := range f.Tags {
		if x == t {
			return true
		}
	}
	return false
}
