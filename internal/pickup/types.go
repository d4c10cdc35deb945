package pickup

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// State is where a parcel stands.
type State string

// The states. Only a waiting parcel has a content.
const (
	Waiting State = "waiting"
	Expired State = "expired"
	Revoked State = "revoked"
	// Undelivered says that its notice reached nobody.
	Undelivered State = "undelivered"
)

// Errors a caller chooses by.
var (
	// ErrNotFound says that there is no such parcel, or none any more.
	ErrNotFound = errors.New("pickup: no such message")
	// ErrEnded says that the parcel cannot be opened any more.
	ErrEnded = errors.New("pickup: the message cannot be opened any more")
	// ErrState says that an Update came from a version that is no longer.
	// The Change that held it did nothing.
	ErrState = errors.New("pickup: changed meanwhile")
)

// Parcel is one message that waits for one recipient. PHI.
type Parcel struct {
	ID, Doc          dlp.ID
	State            State
	Created, Expires time.Time
	Size             int64 // of the content, sealed, in bytes
	Version          int64 // of the row
	Known
}

// Known is what is sealed of a parcel under the index key.
type Known struct {
	From, To  dlp.Address
	MessageID string      // of the message, for the reply's threading
	Code      []byte      // MAC of the code that is good, nil for none
	CodeUntil time.Time   // when it ends
	Tries     int         // of that code
	Asked     []time.Time // when codes were asked for
	Opened    time.Time   // first; zero: never
	Replies   int
	KeyTries  int // of passkeys, since one or a code matched
}

// Item is a parcel sealed, staged and ready for a commit. It must end in a
// commit or in Discard.
type Item struct {
	ID, Doc          dlp.ID
	Created, Expires time.Time
	Size             int64
	Sealed           []byte // Known, under the index key
	Inline           []byte // the content where it is small; nil where Contents has it
}

// Update is what became of a parcel, ready for a commit. That of an ended one
// deletes the content.
type Update struct {
	ID      dlp.ID
	State   State
	Version int64 // from which it starts
	Sealed  []byte
}

// Row is a parcel as a Store gives it back.
type Row struct {
	ID, Doc          dlp.ID
	State            State
	Created, Expires time.Time
	Size, Version    int64
	Sealed           []byte
}

// MaxList is the most parcels that one list returns.
const MaxList = 1000

// KeptFor is how long an ended parcel's row, without content, is kept.
const KeptFor = 30 * 24 * time.Hour

// InlineMax is the most sealed bytes that are kept in the database itself.
const InlineMax = 256 << 10

// Store keeps what is committed. It is satisfied by store/sqlite.
type Store interface {
	PasskeyStore
	// Parcel returns one row in any state, or ErrNotFound.
	Parcel(ctx context.Context, id dlp.ID) (Row, error)
	// Parcels returns at most MaxList rows, the newest first; ended ones with all.
	Parcels(ctx context.Context, all bool) ([]Row, error)
	// ParcelsOver returns at most MaxList waiting rows that expired at or before now.
	ParcelsOver(ctx context.Context, now time.Time) ([]Row, error)
	// ParcelsOf returns at most MaxList rows of one document, in any state.
	ParcelsOf(ctx context.Context, doc dlp.ID) ([]Row, error)
	// ParcelContent returns the sealed content kept in the database, or nil where
	// Contents has it. ErrNotFound, also for a parcel that has ended.
	ParcelContent(ctx context.Context, id dlp.ID) ([]byte, error)
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

// Keys seals small fields under the index key, and keys digests. It is
// satisfied by crypt.Ring.
type Keys interface {
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
	MAC(kind string, parts ...[]byte) [32]byte
}
