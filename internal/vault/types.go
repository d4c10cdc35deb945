package vault

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// State is where an item stands. The words are those of `quarantine list`.
type State string

// The states. An item is Held first; Expired is the end and has no content.
const (
	Held     State = "held"
	Released State = "released"
	Rejected State = "rejected"
	Expired  State = "expired"
)

// Errors a caller chooses by.
var (
	// ErrNotFound says that the vault has no such item or case.
	ErrNotFound = errors.New("vault: no such item")
	// ErrState says that the item was not, or cannot have been, in the state
	// that a Transition starts from. The Change that held it did nothing.
	ErrState = errors.New("vault: item is not in that state")
	// ErrNoContent says that the item has ended and its content is gone.
	ErrNoContent = errors.New("vault: the content is gone")
	// ErrChanged says that what was sealed is not what was judged.
	ErrChanged = errors.New("vault: the content is not what was judged")
	// ErrTampered says that what is kept is not what was sealed: altered, cut
	// short, or moved here from another item.
	ErrTampered = errors.New("vault: what is kept is not what was sealed")
)

// Envelope is whose a held document is and where it was to go. PHI: it is kept
// sealed under the index key.
type Envelope struct {
	Sender     dlp.Address   // mail: the reverse-path
	Rcpts      []dlp.Address // mail: those it is held for
	AllRcpts   []dlp.Address // mail: all it was meant for, in order
	Params     dlp.MailParams
	RcptParams []dlp.RcptParams // parallel to Rcpts; nil: none were given
	Root       string           // file: the watched root
	Path       string           // file: path relative to Root
	File       *dlp.FileMeta    // file: what a release must bring back
	Trace      []byte           // mail: the trace header fields that go in front when it is released
	Released   []dlp.Address    // mail: whom it was released to while it stayed held for Rcpts
	Tell       bool             // mail: its header lets the sender be told what becomes of it (RFC 3834 2)
}

// Case is why a document was decided upon as it was. PHI: it is kept sealed to
// the reviewers' key, and outlives the content.
type Case struct {
	Envelope Envelope
	Channel  dlp.Channel
	Verdict  dlp.Verdict
	Findings []dlp.Finding // the first MaxFindings; the first of every rule always
	Gaps     []dlp.Gap     // the first MaxGaps
	Decided  time.Time
	SHA256   [32]byte // of the content; Seal fills in a zero one and verifies any other
	Size     int64    // of the content in bytes; filled in by Seal
	// FindingsTotal and GapsTotal are how many there were when more were found
	// than a case keeps; filled in when the case is sealed.
	FindingsTotal, GapsTotal int
	Shown                    Shown // of what is held
}

// Bounds on what one case keeps.
const (
	MaxFindings = 5000
	MaxGaps     = 1000
)

// InlineMax is the most sealed bytes that are kept in the database itself;
// larger contents are files of their own.
const InlineMax = 256 << 10

// Record is a case, sealed and ready for a commit.
type Record struct {
	ID      dlp.ID
	Channel dlp.Channel
	Decided time.Time
	Sealed  []byte // the Case, sealed to the key of Period
	Period  dlp.ID // "": the release key, as before there were periods
}

// Item is a held document, sealed, staged and ready for a commit. It must end
// in a commit or in Discard.
type Item struct {
	ID       dlp.ID
	Channel  dlp.Channel
	Received time.Time
	Policy   string       // id of the policy that decided
	Rules    []dlp.RuleID // that it counted
	Size     int64        // of the content, unsealed, in bytes
	Sealed   []byte       // Envelope and digest, sealed under the index key
	Inline   []byte       // the sealed content where it is small; nil where Contents has it
	Period   dlp.ID       // whose key the content is sealed to
	Terms    []Term       // that it is found by
	Case     Record
}

// Transition moves one item from one state to another. Vault.Transition makes
// it; it takes effect with the commit it is part of.
type Transition struct {
	ID       dlp.ID
	From, To State
	At       time.Time
	Note     []byte // who and why, sealed under the index key
}

// Row is an Item as a Store gives it back.
type Row struct {
	ID       dlp.ID
	Channel  dlp.Channel
	State    State
	Received time.Time
	Policy   string
	Rules    []dlp.RuleID
	Size     int64
	Sealed   []byte
	Decided  time.Time // of the last Transition; zero while Held
	Note     []byte    // of the last Transition
	Period   dlp.ID    // whose key the content is sealed to; "": the release key, as before there were periods
}

// Entry is one item opened for a list. PHI.
type Entry struct {
	ID       dlp.ID
	Channel  dlp.Channel
	State    State
	Received time.Time
	Policy   string
	Rules    []dlp.RuleID
	Causes   []dlp.Cause // of the gaps that it was held for
	// Confidence is the highest of what was found, in dlp's word; "" where nothing
	// was, and of what was held before this was noted.
	Confidence string
	Size       int64
	SHA256     [32]byte
	Envelope   Envelope
	Decided    time.Time // when it left Held; zero while it has not
	DecidedBy  string
	Reason     string
	Period     dlp.ID    // whose key the content is sealed to
	Proposal   *Proposal // while Held: the first of two decisions
	Damaged    bool      // List only: what is kept does not open; Envelope, SHA256 and Causes are zero
	// Version is another after each Amendment: who decides by an older one has not seen
	// what became known, or was done, since.
	Version string
}

// Filter narrows a list.
type Filter struct {
	All   bool   // every state, not only Held
	After dlp.ID // only what came into the vault after this item; "" for the first page
	Limit int    // at most MaxList; 0 means MaxList
	// Period narrows it to what is sealed to that period's key; "": all.
	Period dlp.ID
	// Newest turns the order around: the newest first, and After is the last of
	// the page before.
	Newest bool
	// State narrows it to one state, whatever All says; "": as All says.
	State State
}

// MaxList is the most entries one list returns.
const MaxList = 1000

// Store keeps what is committed. It is satisfied by store/sqlite, and every
// Store passes vaulttest.Run.
type Store interface {
	// Holds returns the rows f asks for, in the order they came.
	Holds(ctx context.Context, f Filter) ([]Row, error)
	// Find returns rows that q asks for, the newest first, and where to look on, as
	// Vault.Find says. terms are those of q.All.
	Find(ctx context.Context, q Query, terms [][]Term) (rows []Row, next dlp.ID, err error)
	// Count counts the items that q asks for, up to q.Limit, as Vault.Count says.
	Count(ctx context.Context, q Query, terms [][]Term) (n int, whole bool, err error)
	// CountTerm counts the items that came at or after since and have t, up to most.
	CountTerm(ctx context.Context, t Term, since time.Time, most int) (int, error)
	// Unindexed returns at most so many rows that are kept without terms, the newest first.
	Unindexed(ctx context.Context, most int) ([]Row, error)
	// Index gives terms to items that are kept without. It is durable when it returns.
	Index(ctx context.Context, all []Terms) error
	// Hold returns one row, or ErrNotFound.
	Hold(ctx context.Context, id dlp.ID) (Row, error)
	// HoldContent returns the sealed content kept in the database, or nil where
	// Contents has it. ErrNotFound, ErrNoContent.
	HoldContent(ctx context.Context, id dlp.ID) ([]byte, error)
	// CaseRecord returns the record of id, or ErrNotFound.
	CaseRecord(ctx context.Context, id dlp.ID) (Record, error)
	// AskOf returns what the sender of id asked for, or ErrNotFound.
	AskOf(ctx context.Context, id dlp.ID) (Ask, error)
	// Wanted returns those of ids that there is an Ask about.
	Wanted(ctx context.Context, ids []dlp.ID) ([]dlp.ID, error)
}

// Contents keeps sealed contents that are too large for the database.
type Contents interface {
	// Put runs write once. What it writes comes back if it is no more than
	// inline bytes; else it is kept under id, on stable storage when Put
	// returns, and nil comes back. An error leaves nothing behind.
	Put(ctx context.Context, id dlp.ID, inline int, write func(io.Writer) error) ([]byte, error)
	// Open opens what Put kept.
	Open(ctx context.Context, id dlp.ID) (io.ReadCloser, error)
	// Remove deletes it; that it is not there is no error.
	Remove(ctx context.Context, id dlp.ID) error
}

// Keys seals small fields under the index key. ad binds the bytes to their
// place. It is satisfied by crypt.Ring.
type Keys interface {
	// MAC returns a keyed digest of parts; kind separates uses.
	MAC(kind string, parts ...[]byte) [32]byte
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// Sealer seals contents and cases to the key of the period that runs, bound to
// kind and id. It is satisfied by crypt/age.Periods.
type Sealer interface {
	// Seal returns a writer whose Close ends the sealed stream on dst, and whose
	// key it is sealed to.
	Seal(dst io.Writer, kind string, id dlp.ID) (w io.WriteCloser, period dlp.ID, err error)
	// Open returns the plaintext; an altered or foreign stream is an error, at
	// the latest instead of io.EOF. key is the stream's own, nil for what the
	// server can open by itself. ErrLocked, ErrNoContent where the period's key
	// was destroyed.
	Open(src io.Reader, period dlp.ID, kind string, id dlp.ID, key []byte) (io.Reader, error)
	// Lock returns what a reviewer needs to find the stream's key. ErrNoContent.
	Lock(src io.Reader, period dlp.ID) (Lock, error)
}
