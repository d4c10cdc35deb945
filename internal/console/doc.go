// Package console is the reviewer's pages: who may see them, and what they show
// and do. It decides nothing itself: every act is the gateway's, on record
// before it is done.
//
// A page is one file that returns its routes (see routes.go) and one template
// in pages/. Nothing of a document's content is on any page but a revealed part:
// subjects, file names and matched text are PHI.
package console

import (
	"context"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Desk does what reviewers decide. It is satisfied by gateway.Gateway.
type Desk interface {
	// FindHeld returns items that s asks for, the newest first, others perhaps among
	// them, and the item behind which to look on, "" where all was looked through.
	FindHeld(ctx context.Context, s vault.Query) (hs []gateway.Held, next dlp.ID, err error)
	// CountHeld counts what FindHeld would return for q, up to q.Limit; whole is false
	// where there may be more.
	CountHeld(ctx context.Context, q vault.Query) (n int, whole bool, err error)
	// EndingBy returns when what ends by then if nobody decides had come; false: nothing
	// ends by itself.
	EndingBy(then time.Time) (received time.Time, ends bool)
	Listed(ctx context.Context, id dlp.ID) (gateway.Held, error)
	ShowHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor string) (gateway.HeldDetail, error)
	// HeldFrom returns what was held of mail from the sender of id, the newest
	// first, but not id itself: at most limit, and how many there are.
	HeldFrom(ctx context.Context, id dlp.ID, since time.Time, limit int) (gateway.From, error)
	ReadHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor, reason string, do func(*dlp.Document) error) error
	// WaysTo are the ways on which each recipient of a held mail would get it
	// encrypted, "" for none; nil where that is not known.
	WaysTo(ctx context.Context, id dlp.ID) (map[string]dlp.Way, error)
	// OpenEncrypted reads id again with a password; what it opens joins the case.
	OpenEncrypted(ctx context.Context, id dlp.ID, keys vault.Opened, actor, password string) (gateway.Opened, error)
	Export(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, w io.Writer) error
	ReleaseFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) (gateway.Released, error)
	RejectFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) error
	Note(ctx context.Context, e audit.Event) error
}

// Part is one part of a document as it was read again.
type Part struct {
	Path      string
	MediaType string
	Name      string // declared; PHI: only its ending is shown
}

// Reader reads a document once more, in the sandbox.
type Reader interface {
	// Masked returns what the rules in force find, every value and every
	// surrounding word that is none of theirs masked, and the parts.
	Masked(ctx context.Context, doc *dlp.Document) (survey.Document, []Part, error)
	// Text returns the text of one part, at most limit bytes of it, and whether
	// that is all.
	Text(ctx context.Context, doc *dlp.Document, part string, limit int) (text string, whole bool, err error)
}

// Rule is what pages say of a rule.
type Rule struct {
	ID   dlp.RuleID
	Type dlp.Type
	Name string // its description

	Severity dlp.Severity
}
