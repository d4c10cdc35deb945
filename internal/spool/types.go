package spool

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Kind says why a message is in the outbox.
type Kind string

// The kinds. A new one needs a new form of the database: an older program would
// not know what must not be done with it.
const (
	Release   Kind = "release"   // held mail that a person let go
	Copy      Kind = "copy"      // the part of a split message that may leave
	Encrypted Kind = "encrypted" // the message encrypted for some recipients
	Proved    Kind = "proved"    // the message as it came, for servers alone that prove to be its recipients'
	Notice    Kind = "notice"    // words of ours to a sender or an officer
	DSN       Kind = "dsn"       // a delivery status notification of ours
	Reading   Kind = "reading"   // a document as it came, which takes long to read: judged first, never delivered as it is
)

// Kinds are all of them, in the order they are told of.
func Kinds() []Kind { return []Kind{Release, Copy, Encrypted, Proved, Notice, DSN, Reading} }

// State is where a message stands.
type State string

// The states. Only Queued messages are delivered and only ToRead ones are read;
// a person may let one that is set aside be tried again. The others have ended
// and have no content.
const (
	Queued    State = "queued"
	ToRead    State = "reading"   // of Kind Reading: to be read and judged
	Poison    State = "poison"    // set aside: it broke what handled it, or cannot be opened
	Judged    State = "judged"    // of Kind Reading: judged, and what came of it committed together with this
	Delivered State = "delivered" // every recipient's next hop took it
	Failed    State = "failed"    // ended, and some recipient did not get it
	Dropped   State = "dropped"   // a person took it out
)

// The states of one recipient.
const (
	RcptPending   = "pending"
	RcptDelivered = "delivered"
	RcptFailed    = "failed"
)

// Errors a caller chooses by.
var (
	// ErrNotFound says that the outbox has no such message.
	ErrNotFound = errors.New("spool: no such message")
	// ErrState says that an Update came for a message that has ended.
	// The Change that held it did nothing.
	ErrState = errors.New("spool: message has ended")
	// ErrNoContent says that the message has ended and its content is gone.
	ErrNoContent = errors.New("spool: the content is gone")
)

// Rcpt is one recipient of a message. PHI.
type Rcpt struct {
	Addr     dlp.Address
	State    string // RcptPending, RcptDelivered or RcptFailed
	Code     int    // of the last reply, 0 before any
	Enhanced string // of the last reply
	At       string // the step at which the last try had no reply (dlp.StageError); "": there was one, or nobody knows
	Tries    int
	Params   dlp.RcptParams // given by the client, for the next hop and our own DSNs
}

// Message is one message of the outbox, opened. PHI.
type Message struct {
	ID        dlp.ID // of the message itself
	Doc       dlp.ID // of the document it comes from
	Kind      Kind
	From      dlp.Address // the reverse-path
	Params    dlp.MailParams
	Rcpts     []Rcpt
	Size      int64 // of the content, unsealed, in bytes; filled in by Seal
	Created   time.Time
	Next      time.Time // of the next try
	Expires   time.Time // no try after it
	Tries     int
	Deaths    int // in a row, of the process while it delivered this
	State     State
	Seq       uint64 // of the audit event that decided it
	Dest      int64  // keyed digest of where it goes next, for the scheduler alone; 0: not known
	Why       Why    // Poison: why it was set aside
	Trace     []byte // Reading, Proved: the trace fields that go in front of what is sent on. PHI
	Front     []byte // Proved: what goes in front of the content, Trace among it. PHI
	DelayTold bool   // the sender knows that it waits
	Damaged   bool   // List and Due: what is kept does not open; From and Rcpts are zero
}

// Ended reports whether s is an end: without content, and never changed again.
func (s State) Ended() bool { return s != Queued && s != ToRead && s != Poison }

// Why says why a message was set aside. The set is closed.
type Why string

// The reasons.
const (
	WhyDamaged Why = "damaged" // its recipients cannot be opened or read
	WhyContent Why = "content" // its content cannot be opened or read
	WhyBroke   Why = "broke"   // what delivered it broke
	// WhyRestored: it came back with a backup, and may have been delivered since
	// that was made.
	WhyRestored Why = "restored"
)

// IsDue reports whether the message is to be tried at now. A message set
// further ahead than any schedule of ours sets one is due too: the clock was
// put back.
func (m Message) IsDue(now time.Time) bool {
	return (m.State == Queued || m.State == ToRead) && (!m.Next.After(now) || m.Next.After(now.Add(MaxBackoff)))
}

// Entry is a message sealed, staged and ready for a commit. It must end in a
// commit or in Discard.
type Entry struct {
	ID, Doc                dlp.ID
	Kind                   Kind
	Created, Next, Expires time.Time
	State                  State
	Size                   int64
	Seq                    uint64
	Dest                   int64
	Sealed                 []byte // sender, recipients and their state, sealed under the index key
	Inline                 []byte // the sealed content where it is small; nil where Contents has it
}

// Update is what became of a message by a try or by a person's word, ready for
// a commit. Spool.Progress makes it. The commit of an Update whose State is an
// end deletes the content.
type Update struct {
	ID            dlp.ID
	State         State
	Next, Expires time.Time
	Tries         int
	Dest          int64
	Why           Why
	Sealed        []byte // nil: as it is
}

// Row is a message as a Store gives it back.
type Row struct {
	ID, Doc                dlp.ID
	Kind                   Kind
	State                  State
	Created, Next, Expires time.Time
	Size                   int64
	Seq                    uint64
	Tries                  int
	Dest                   int64
	Why                    Why
	Sealed                 []byte
}

// DueFilter says which messages are asked for.
type DueFilter struct {
	State   State     // Queued or ToRead
	Now     time.Time // those whose Next is not after it
	Horizon time.Time // or whose Next is after this
	Except  []int64   // none that goes to one of these
	Limit   int
}

// Filter narrows a list.
type Filter struct {
	All   bool   // ended ones too, while they are kept
	After dlp.ID // only what was queued after this message; "" for the first page
	Doc   dlp.ID // only of this document; "": of any
	Limit int    // at most MaxList; 0 means MaxList
}

// MaxList is the most messages that one list or Due returns.
const MaxList = 1000

// InlineMax is the most sealed bytes that are kept in the database itself;
// larger contents are files of their own.
const InlineMax = 256 << 10

// KeptFor is how long an ended message's row, without content, is kept.
const KeptFor = 7 * 24 * time.Hour

// Store keeps what is committed. It is satisfied by store/sqlite, and every
// Store passes spooltest.Run.
type Store interface {
	// Queue returns the rows f asks for, in the order they were queued.
	Queue(ctx context.Context, f Filter) ([]Row, error)
	// QueueDue returns at most f.Limit rows that f asks for, the oldest Next
	// first. With f.Except they are a choice of what is due, in which each
	// destination has its turn; what it costs does not depend on how many rows
	// go to f.Except.
	QueueDue(ctx context.Context, f DueFilter) ([]Row, error)
	// QueueNext returns the earliest Next of a row in state s, false for none.
	QueueNext(ctx context.Context, s State) (time.Time, bool, error)
	// QueueSize returns how many rows are in state s and how many bytes their
	// contents have.
	QueueSize(ctx context.Context, s State) (n int, bytes int64, err error)
	// QueueOf returns the rows that come of the document doc, at most MaxList.
	QueueOf(ctx context.Context, doc dlp.ID) ([]Row, error)
	// Queued returns one row in any state, or ErrNotFound.
	Queued(ctx context.Context, id dlp.ID) (Row, error)
	// QueueContent returns the sealed content kept in the database, or nil
	// where Contents has it. ErrNotFound, ErrNoContent.
	QueueContent(ctx context.Context, id dlp.ID) ([]byte, error)
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
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// Sealer seals contents to the work key, bound to kind and id. It is satisfied
// by crypt/age.Sealer.
type Sealer interface {
	// Seal returns a writer whose Close ends the sealed stream on dst.
	Seal(dst io.Writer, kind string, id dlp.ID) (io.WriteCloser, error)
	// Open returns the plaintext; an altered or foreign stream is an error, at
	// the latest instead of io.EOF.
	Open(src io.Reader, kind string, id dlp.ID) (io.Reader, error)
}
