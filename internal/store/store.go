// Package store says what one durable transaction may hold.
//
// It promises nothing by itself: a Store does, and its promise is that a
// Change happens wholly or not at all, and is on stable storage when Commit
// returns nil.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Errors a caller chooses by, with errors.Is.
var (
	// ErrNoRoom says that stable storage could not take it: full, over quota,
	// read-only, failing, or too slow to come to it. Nothing of the Change
	// happened; a later one may succeed without a restart. It says nothing of a
	// Change to which the answer was ErrUnknown before. Staging a content returns
	// it too.
	ErrNoRoom = safefile.ErrNoRoom
	// ErrState says that a Transition or an Update did not start from the state
	// the item or message is in. Nothing of the Change happened.
	ErrState = vault.ErrState
	// ErrUnknown says that a Change was handed over and stable storage gave no
	// answer in time: it may yet become durable. What was staged for it must not
	// be discarded; if it does not become durable, the next start sweeps it.
	ErrUnknown = errors.New("store: no answer from stable storage")
)

// Change is what is to become durable together.
type Change struct {
	Hold        []vault.Item       // documents that the vault takes
	Cases       []vault.Record     // cases of documents whose content is not kept
	Decide      []vault.Transition // moves of items
	Ask         []vault.Ask        // of senders, about held items; ErrState where one is not held, or was asked about before
	Amend       []vault.Amendment  // of items that stay held
	Out         []spool.Entry      // messages that the outbox takes
	Progress    []spool.Update     // of messages in the outbox
	Repeats     []Repeat           // holds and splits not yet acknowledged
	Acknowledge []dlp.ID           // documents whose repeats are to be forgotten: the client has our answer
	Notices     []NoticeMark
	Call        []Call              // of officers, about documents of Hold
	Recall      []Call              // what is to become of calls; ErrState where the document is decided about
	Forget      []dlp.ID            // periods whose key is to be destroyed: their cases are deleted
	Legal       []LegalHold         // documents that are to be kept whatever their time
	Lift        []LiftedHold        // and those no longer; ErrState where one is not
	Parcels     []pickup.Item       // messages that wait for somebody to open them in a browser
	Picked      []pickup.Update     // what became of them; pickup.ErrState where one changed meanwhile
	KeySet      []pickup.PasskeyRow // passkeys of their readers; pickup.ErrManyPasskeys
	KeyUsed     []pickup.PasskeyRow // of which one was used; pickup.ErrState where one changed meanwhile or is gone
	KeyGone     []dlp.ID            // passkeys that open nothing any more; pickup.ErrNoPasskey where one is gone already
}

// Call says when somebody is called next about a held document that cannot
// wait. It ends with the decision: a Transition of the document takes it away.
type Call struct {
	ID    dlp.ID    // of the document
	Since time.Time // it is held
	Level int       // how many calls were made
	Due   time.Time // of the next
}

// LegalHold has a document kept, and its case, whatever their time.
type LegalHold struct {
	ID    dlp.ID
	Since time.Time
	Note  []byte // who and why, sealed
}

// LiftedHold is a LegalHold that stands no more. It is kept for good, as the audit
// log is.
type LiftedHold struct {
	LegalHold           // of a Change the ID alone
	Lifted    time.Time // when it ended
	LiftNote  []byte    // who ended it and why, sealed
}

// Count is how often something happened on one day. It holds no PHI.
type Count struct {
	Day  int    // since 1970-01-01, UTC
	What string // a constant of internal/tally
	Of   string // what it is counted by: a rule, a channel, a keyed pseudonym
	N    int64
	Doc  dlp.ID // the document that was counted last
}

// BlockDays are the days whose counts are kept together too, beside those of each
// day, so that a long period costs little more than a short one.
const BlockDays = 30

// Block is the first day of the block in which day lies.
func Block(day int) int { return day - ((day%BlockDays)+BlockDays)%BlockDays }

// Repeats is of one group how often its members are counted.
type Repeats struct {
	Of      string // the group
	Members int
	Twice   int     // members that are counted more than once
	Most    []Count // some of these, the one counted most first; Of is without the group
}

// Repeat is a hold or split that absorbs a repetition of the same mail while
// the client may not have had our answer (docs/contract.md, SMTP replies).
type Repeat struct {
	Key [32]byte // keyed digest of reverse-path, recipients and content
	ID  dlp.ID
	At  time.Time
}

// RepeatKept is how long a Repeat is kept at most.
const RepeatKept = 5 * 24 * time.Hour // RFC 5321 4.5.4.1: a client gives up after four to five days

// NoticeMark says when a notice went out for a sender and policy.
type NoticeMark struct {
	Key [32]byte // keyed digest of sender and policy
	At  time.Time
}

// NoticeKept is how long a NoticeMark is kept at least.
const NoticeKept = 24 * time.Hour

// Store makes changes durable. It is satisfied by store/sqlite.
type Store interface {
	// Commit makes c durable, wholly or not at all; nil is returned only once
	// it is on stable storage. It waits for the outcome even if ctx ends
	// meanwhile, since a Change that was handed over runs; the wait is bounded
	// by the store. ErrNoRoom, ErrState, ErrUnknown.
	Commit(ctx context.Context, c Change) error
	// Unacknowledged returns the repeats made at or after since, oldest first.
	Unacknowledged(ctx context.Context, since time.Time) ([]Repeat, error)
	// LastNotice returns the latest mark under key, false for none.
	LastNotice(ctx context.Context, key [32]byte) (time.Time, bool, error)
	// LegalHolds returns the newest limit legal holds, the newest first; 0: all.
	LegalHolds(ctx context.Context, limit int) ([]LegalHold, error)
	// LiftedHolds returns the limit that were lifted last, the last first.
	LiftedHolds(ctx context.Context, limit int) ([]LiftedHold, error)
	// LegalHoldOn returns the legal hold on id, false for none.
	LegalHoldOn(ctx context.Context, id dlp.ID) (LegalHold, bool, error)
	// Undecided reports whether anything that is sealed to period's key, content or
	// case, is held and waits for a decision.
	Undecided(ctx context.Context, period dlp.ID) (bool, error)
	// LegallyHeld reports whether anything that is sealed to period's key, content
	// or case, is under a legal hold.
	LegallyHeld(ctx context.Context, period dlp.ID) (bool, error)
	// Calls returns up to limit calls about documents that nobody has decided
	// about, the one that is due first before the others, from behind after: the
	// zero Call for the first page.
	Calls(ctx context.Context, after Call, limit int) ([]Call, error)
	// CallsOf returns those about documents of ids, in no order.
	CallsOf(ctx context.Context, ids []dlp.ID) ([]Call, error)
	// CountCalls returns how many there are.
	CountCalls(ctx context.Context) (int, error)
}
