// Package drill keeps the drills of a site: messages about invented patients that
// somebody has held, or says to be held, to see who reacts how.
//
// It promises that whoever has the site's index key, and nobody else, makes an id
// that it takes for a drill's, so that the id alone says that a document must never
// leave; and that what was noted of a drill is on stable storage, sealed. It sends
// nothing and decides nothing.
package drill

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Digester makes keyed digests. It is satisfied by crypt.Ring.
type Digester interface {
	MAC(kind string, parts ...[]byte) [32]byte
}

// half of an id is random, and the other the keyed digest of that: of 2^64 ids of
// other documents one would be taken for a drill's.
const half = 8

func mark(k Digester, random []byte) []byte {
	sum := k.MAC("drill", random)
	return sum[:half]
}

// NewID is the id of a document of a drill. It looks like any other.
func NewID(k Digester) dlp.ID {
	var b [2 * half]byte
	rand.Read(b[:half]) // never fails: crypto/rand.Read ends the program instead
	copy(b[half:], mark(k, b[:half]))
	return dlp.IDOf(b)
}

// Is reports whether id is that of a document of a drill.
func Is(k Digester, id dlp.ID) bool {
	b, ok := id.Bytes()
	return ok && hmac.Equal(b[half:], mark(k, b[:half]))
}

// Kind is whom a drill is for.
type Kind string

// The kinds.
const (
	Officers Kind = "officers" // a message is held in the queue
	Senders  Kind = "senders"  // people are told that a message of theirs is held
)

// Bounds.
const (
	MaxRunning   = 4                   // drills at the same time
	MaxItems     = 10                  // that one of Officers holds
	MaxPeople    = 100                 // who are told by one of Senders
	MaxName      = 80                  // bytes of a name
	MaxFor       = 14 * 24 * time.Hour // that one takes
	MinFor       = time.Minute
	maxReactions = 200 // that are kept of one item; and of one person's of a kind the first
	maxKept      = 200 // drills; of those that have ended the oldest is forgotten
)

// Errors that a caller chooses by.
var (
	ErrNotFound = errors.New("drill: there is no such drill; see `stanch drill list`")
	ErrEnded    = errors.New("drill: it has ended already")
	ErrForm     = errors.New("drill: want a name of 1 to 80 bytes, 1m to 14d, one outside recipient, and senders of smtp.internal_domains, each once: 1 to 10 for officers, 1 to 100 for senders")
	ErrMany     = errors.New("drill: as many run as may at the same time; stop one first")
	ErrDamaged  = errors.New("drill: what was kept of a drill does not open")
)

// State is where one item of a drill stands.
type State string

// The states.
const (
	Waiting  State = "waiting"   // it is not offered yet
	Held     State = "held"      // in the queue
	Told     State = "told"      // its sender was told of it
	NotHeld  State = "not_held"  // no policy holds such mail of this sender: it would have gone, and did not
	NotTold  State = "not_told"  // it would be held, and no policy tells its sender
	Decided  State = "decided"   // somebody decided, or chose
	TimeOver State = "time_over" // the drill ended before
)

// Open reports a state in which somebody may still react.
func (s State) Open() bool { return s == Waiting || s == Held || s == Told }

// What people do about an item.
const (
	Opened         = "opened"
	Claimed        = "claimed"
	LetGo          = "let_go"
	Revealed       = "revealed"
	Downloaded     = "downloaded"
	ProposedChange = "not_phi"      // of the rules
	FirstOfTwo     = "first_of_two" // of the decisions that its release takes
	Other          = "other"        // anything else that is on record
)

// What ends an item: what an officer decides, or a sender chooses.
const (
	WouldRelease = "would_release"
	WouldEncrypt = "would_release_encrypted"
	WouldReject  = "would_reject"
	ChoseCancel  = "chose_cancel"
	ChoseEncrypt = "chose_encrypt"
	ChoseAsk     = "chose_ask"
)

// What the gateway does, as the audit log has it.
const (
	StepStart    = "start"
	StepOffer    = "offer" // an item is about to be judged, and held
	StepTell     = "tell"  // its sender is about to be told
	StepNotHeld  = "not_held"
	StepNotTold  = "not_told"
	StepTimeOver = "time_over" // an item ends with its drill
	StepEnd      = "end"       // a drill's time is over, or nobody is left to react
	StepStop     = "stop"      // a person ends it
)

// Ends reports what ends an item.
func Ends(did string) bool {
	switch did {
	case WouldRelease, WouldEncrypt, WouldReject, ChoseCancel, ChoseEncrypt, ChoseAsk:
		return true
	}
	return false
}

// Reaction is what somebody did about an item, for the first time.
type Reaction struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"` // an actor
	Did  string    `json:"did"`
	Code string    `json:"code,omitempty"` // the reviewer's reason
}

// Item is one message of a drill.
type Item struct {
	ID        dlp.ID       `json:"id"`
	From      string       `json:"from"` // whose message it is said to be
	State     State        `json:"state"`
	At        time.Time    `json:"at,omitzero"` // it was held, or its sender told
	Rules     []dlp.RuleID `json:"rules,omitempty"`
	Encrypt   bool         `json:"encrypt,omitempty"` // its sender is offered to have it encrypted
	Code      string       `json:"code,omitempty"`    // of the decision that is under way
	Reactions []Reaction   `json:"reactions,omitempty"`
}

// Ended returns what ended the item: of several the last, since those before were
// not carried out.
func (it *Item) Ended() (last Reaction, ok bool) {
	for _, r := range it.Reactions {
		if Ends(r.Did) {
			last, ok = r, true
		}
	}
	return last, ok
}

// Drill is one drill. It names people of the site.
type Drill struct {
	V       int       `json:"v"`
	ID      dlp.ID    `json:"id"`
	Name    string    `json:"name"`
	Kind    Kind      `json:"kind"`
	By      string    `json:"by"` // an actor
	Begun   time.Time `json:"begun"`
	Ends    time.Time `json:"ends"`
	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"` // "": its time was over, or everybody had reacted
	To      string    `json:"to"`                 // where its messages are said to go
	Asked   []string  `json:"asked,omitempty"`    // of Officers: actors who could decide when it began, but who began it
	Items   []Item    `json:"items"`
}

// Running reports whether the drill has not ended.
func (d *Drill) Running() bool { return d.Ended.IsZero() }

// Settled reports whether nothing of the drill waits for anybody any more.
func (d *Drill) Settled() bool {
	for i := range d.Items {
		if d.Items[i].State.Open() {
			return false
		}
	}
	return true
}
