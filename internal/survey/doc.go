// Package survey reads files and folders and says what scanning finds in them,
// changing nothing.
//
// It promises one Document for every file it was pointed at, as soon as that
// is known, whatever happens to the others: what could not be opened is
// Failed, what could not be read is a gap, and neither is ever left out.
package survey

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// The states of a Document (docs/contract.md, scan).
const (
	Scanned = "scanned" // all of it was read
	Partial = "partial" // some part has a gap
	Failed  = "failed"  // nothing could be read
)

// Document is one line of `scan --format jsonl` (docs/contract.md). It holds names
// and, when asked for, values: it is for the person at the terminal.
type Document struct {
	Path            string    `json:"path"`
	Type            string    `json:"type"`
	Size            int64     `json:"size"`
	SHA256          string    `json:"sha256"`
	Status          string    `json:"status"`
	Verdict         string    `json:"verdict"`
	Policy          string    `json:"policy"`
	Reason          string    `json:"reason,omitempty"`
	Monitored       string    `json:"monitored,omitempty"`
	MonitoredPolicy string    `json:"monitored_policy,omitempty"`
	Verdicts        []Verdict `json:"verdicts,omitempty"`
	RuleSet         string    `json:"ruleset"`
	Findings        []Finding `json:"findings"`
	Gaps            []Gap     `json:"gaps"`
	ElapsedMS       float64   `json:"elapsed_ms"`
	Error           string    `json:"error,omitempty"`
}

// Verdict is what would happen for one recipient of a mail.
type Verdict struct {
	Recipient string `json:"recipient"`
	Verdict   string `json:"verdict"`
	Policy    string `json:"policy"`
	Monitored string `json:"monitored,omitempty"`
}

// Finding is one place where a rule matched.
type Finding struct {
	Rule       dlp.RuleID     `json:"rule"`
	Type       dlp.Type       `json:"type"`
	Tags       []dlp.Tag      `json:"tags"`
	Confidence dlp.Confidence `json:"confidence"`
	Severity   dlp.Severity   `json:"severity"`
	Part       string         `json:"part"`
	Name       string         `json:"name,omitempty"`
	Start      int64          `json:"start"` // byte offset into the part's text as extract prints it
	End        int64          `json:"end"`   // exclusive
	Line       int            `json:"line"`
	Masked     string         `json:"masked"`
	Value      *string        `json:"value,omitempty"` // only with --reveal
	Place      *Place         `json:"-"`               // in the file, with Survey.Places where it has one
	Why        *Why           `json:"-"`               // with Survey.Explain where it was explained
}

// Place is where a Finding stands in a file whose text is its bytes. Lines end
// with LF; columns count characters. Both from 1, the end exclusive.
type Place struct {
	StartLine, StartColumn, EndLine, EndColumn int
}

// Why is what decided that a Finding is one.
type Why struct {
	Before, After string // what stands beside it, masked unless revealed
	Steps         []Step
}

// Step is the outcome of one check of a rule (docs/rules.md, explain).
type Step struct {
	Step, Outcome, Why string
}

// Explained is why one Finding was found.
type Explained struct {
	Rule       dlp.RuleID
	Part       string
	Start, End int64
	Why        Why
}

// Explainer reads a Document once more and says why what is found is found.
type Explainer interface {
	dlp.Sink
	Finish() []Explained
}

// Gap is one piece that was not read.
type Gap struct {
	Part   string `json:"part"`
	Name   string `json:"name,omitempty"`
	Cause  string `json:"cause"`
	Detail string `json:"detail,omitempty"`
}

// Extractor turns a Document into text.
type Extractor interface {
	Extract(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error
}

// Detection takes what extraction reads of one Document and says what it found.
type Detection interface {
	dlp.Sink
	Finish() ([]dlp.Finding, []dlp.Gap)
}

// Decider turns what is known about a Document into a Verdict.
type Decider interface {
	Decide(doc *dlp.Document, found []dlp.Finding, gaps []dlp.Gap) dlp.Verdict
}
