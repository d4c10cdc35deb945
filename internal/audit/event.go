package audit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Kind is what an Event tells of. The set is closed.
type Kind string

// The kinds.
const (
	Decision     Kind = "decision"  // what is to be done with a document; an Outcome follows
	Outcome      Kind = "outcome"   // what became of the event Ref
	Repeat       Kind = "repeat"    // a repeat was absorbed by the hold Of
	Release      Kind = "release"   // a person lets held content go; an Outcome follows
	Reject       Kind = "reject"    // a person refuses held content; an Outcome follows
	Export       Kind = "export"    // held content was written out
	Look         Kind = "look"      // a case, or fields of held mail, were read
	Deliver      Kind = "deliver"   // the outbox came to an end with recipients
	QueueRetry   Kind = "queue_try" // a person had the outbox try again
	QueueDrop    Kind = "queue_drop"
	RulesChanged Kind = "rules"     // the rule set or the policies changed
	Tables       Kind = "tables"    // a person changes the code tables, as Reason says; Digest is of the file that is taken in
	RuleFile     Kind = "rule_file" // a person saves a version of the rules that the console has, as Reason says; Digest is of its text
	ScanOff      Kind = "scan_off"
	BypassOn     Kind = "bypass_on"  // a person lets mail pass unread until Until; Doc is the bypass
	BypassOff    Kind = "bypass_off" // that ended, as Reason says
	Call         Kind = "call"       // officers were called to the held document Doc; Reason is "level_N"
	Probe        Kind = "probe"      // a mail or file about an invented patient tries the route Reason
	VaultKey     Kind = "vault_key"  // of the vault's keys, as Reason says; Doc is the period's
	Backup       Kind = "backup"     // a person has a copy of everything made
	Pickup       Kind = "pickup"     // of a message that somebody opens in a browser, as Reason says; Doc is the parcel, Of the document
	Restored     Kind = "restored"   // the data folder is a copy that was brought back
	Review       Kind = "review"     // a reviewer's reason for the Release or Reject that follows
	Ask          Kind = "ask"        // the sender of Doc, which is held, asks for its release
	Propose      Kind = "propose"    // a person's release, as Reason says, is the first decision of two
	Claim        Kind = "claim"      // a reviewer takes Doc in hand, or lets go of it, as Reason says
	Login        Kind = "login"      // a sign-in at the console held or did not, as Result says, or Reason "signed_out"
	Account      Kind = "account"    // an account of the console is changed: Reason is what and whose, "add:dana"
	LegalHold    Kind = "legal_hold" // a person has Doc kept whatever its time, or no longer, as Reason says
	Dossier      Kind = "dossier"    // a person saves a version of the dossier Doc, or takes it away, as Reason says
	Verified     Kind = "verify"     // a person has the whole log verified; and again with what came of it
	Rollout      Kind = "rollout"    // a person has Policy watched or enforced from now on, as Reason says
	Drill        Kind = "drill"      // of the drill Of, and of its message Doc, as Reason says
	Start        Kind = "start"
	Stop         Kind = "stop"
	TailKept     Kind = "tail_kept" // after a crash: the events from Ref on stand, though the head had not told of them
	TailCut      Kind = "tail_cut"  // after a crash: bytes that were no whole event were cut off before Ref
)

var kinds = []Kind{
	Decision, Outcome, Repeat, Release, Reject, Export, Look, Deliver, QueueRetry, QueueDrop, RulesChanged, Tables, RuleFile, ScanOff,
	BypassOn, BypassOff, Call, Probe, VaultKey, Backup, Pickup, Restored, Review, Propose, Ask, Claim, Login, Account, LegalHold, Dossier, Rollout, Drill, Verified, Start, Stop, TailKept, TailCut,
}

// awaits reports the kinds that an Outcome must follow.
func (k Kind) awaits() bool { return k == Decision || k == Release || k == Reject }

// Results of an Outcome, a Deliver or a Probe.
const (
	ResultPassed      = "passed"      // the next hop took it
	ResultRefused     = "refused"     // the next hop refused it
	ResultUnreached   = "unreached"   // no answer was had, and the next hop does not have it
	ResultUnknown     = "unknown"     // no answer was had; the next hop may have it
	ResultHeld        = "held"        // it is in the vault
	ResultSplit       = "split"       // all of it is ours, for recipients with different verdicts
	ResultSpooled     = "spooled"     // it is in the spool: to be read on, or to be delivered
	ResultRejected    = "rejected"    // it was refused
	ResultReported    = "reported"    // a file was left where it is
	ResultEncrypted   = "encrypted"   // an encrypted file stands in its place
	ResultChanged     = "changed"     // a file changed while it was judged
	ResultReleased    = "released"    // it is in the outbox or back in its place
	ResultRecovered   = "recovered"   // found after a restart, and ours
	ResultFailed      = "failed"      // it was not done
	ResultDelivered   = "delivered"   // every recipient's copy was taken
	ResultUndelivered = "undelivered" // some recipient's was not
	ResultTurned      = "turned"      // no server proved to be a recipient's: it is judged once more, as Of, and goes another way or is held
	ResultSent        = "sent"        // a probe is on its way
	ResultCaught      = "caught"      // it was held, refused or encrypted
	ResultMissed      = "missed"      // nobody saw it in time
	ResultOpened      = "opened"      // the password that a reviewer typed opened something of it
	ResultDone        = "done"        // it was done
	ResultVerified    = "verified"    // the log is as it was signed
	ResultBroken      = "broken"      // it is not
)

var results = []string{
	ResultPassed, ResultRefused, ResultUnreached, ResultUnknown, ResultHeld, ResultSplit, ResultSpooled, ResultRejected,
	ResultReported,
	ResultEncrypted, ResultChanged, ResultReleased, ResultRecovered, ResultFailed, ResultDelivered, ResultUndelivered,
	ResultSent, ResultCaught, ResultMissed, ResultTurned, ResultOpened,
	ResultDone, ResultVerified, ResultBroken,
}

// Reasons of a Look; those of a Decision are dlp's.
const (
	ReasonCase   = "case"   // the case record of one document
	ReasonHeader = "header" // a header field of held mail
	ReasonProof  = "proof"  // what is signed of the log, and that an event stands in it
	ReasonReplay = "replay" // so many documents as Findings says, by the rules in force and by those of RuleSet

	ReasonDossier  = "dossier"  // the dossier Doc, or for the dossier Of the case of the document Doc
	ReasonDossiers = "dossiers" // the list of all
	ReasonDrill    = "drill"    // the report of the drill Doc
	ReasonDrills   = "drills"   // the list of all
	ReasonPassword = "password" // it is read again with a password that a reviewer typed; an outcome follows
)

// Reasons of a Release of mail that was to be encrypted; of other releases it is "".
const (
	ReasonEncrypted   = "encrypted"   // it goes encrypted to all who were to have it so
	ReasonUnencrypted = "unencrypted" // to one of them at least it goes as it came, in the clear
)

// ReasonCancelled is of a Reject by the sender, who takes the mail back.
const ReasonCancelled = "cancelled"

// Reasons of a LegalHold.
const (
	ReasonPlaced = "placed"
	ReasonLifted = "lifted"
)

// Reasons of a VaultKey.
const (
	ReasonKeyKept      = "kept"      // its time is over and a legal hold keeps it: all else sealed to it goes
	ReasonKeyBegun     = "begun"     // a period begins
	ReasonKeyDestroyed = "destroyed" // a period's key is destroyed, and with it all that was sealed to it
	ReasonKeyResealed  = "resealed"  // it was sealed anew, to others than before
)

// Reasons of a Pickup.
const (
	ReasonCodeSent  = "code_sent"  // somebody with the link asked for a code
	ReasonCodeWrong = "code_wrong" // a code that did not match
	ReasonOpened    = "opened"     // the code matched: the content was handed out
	ReasonReplied   = "replied"    // an answer, which is judged as the document that follows
	ReasonExpired   = "expired"    // its time was over: the content is gone
	ReasonRevoked   = "revoked"    // a person took it back: the content is gone

	ReasonPasskeySet     = "passkey_set"     // who opened it has a passkey from now on
	ReasonPasskeyWrong   = "passkey_wrong"   // what was said for a passkey did not hold
	ReasonPasskeyOpened  = "passkey_opened"  // a passkey matched: the content was handed out
	ReasonPasskeyRemoved = "passkey_removed" // by its reader, Doc being the parcel they opened, or a person, Doc being the passkey
	ReasonPasskeyExpired = "passkey_expired" // it was not used for long; Doc is the passkey

	ReasonUndelivered = "undelivered" // its notice could not be delivered: the content is gone
)

// Event is one line of the log. Nothing in it comes from a mail or a file:
// what names a person is a keyed pseudonym, all else is a constant of the
// program, an id of the configuration, a number or a time.
type Event struct {
	Time      time.Time // zero: now
	Kind      Kind
	Doc       dlp.ID
	Of        dlp.ID // Repeat: the hold that absorbed it; Decision: the bypass that it passed under; Deliver: what a turned message is judged as; Look: the dossier for which a case is read
	Channel   dlp.Channel
	Action    string // dlp.Action.String
	Monitored string // what a policy in monitor mode would have done
	// MonitoredPolicy and MonitoredRules are that policy, and the rules that it would have acted for.
	MonitoredPolicy string
	MonitoredRules  []dlp.RuleID
	Policy          string
	Rules           []dlp.RuleID
	Causes          []string // dlp.Cause.String
	Ways            []string // Decision: dlp.Way, on which it goes encrypted to somebody
	Findings        int
	Gaps            int
	Rcpts           int
	Sender          string    // keyed pseudonym, lower-case hex
	Department      string    // Decision: keyed pseudonym of the sender's department, lower-case hex; "" where there are no departments
	RcptKeys        []string  // keyed pseudonyms, lower-case hex
	Actor           string    // who did it: "user:ID", "uid:0", "" for the gateway itself; or InPlaceOf
	For             string    // in whose place, as a deputy; of an Account "deputy:ID" whose deputy that is
	Reason          string    // a constant
	RuleSet         string    // digest, lower-case hex
	PolicyDigest    string    // digest, lower-case hex
	Digest          string    // of a file that is taken in, lower-case hex
	Until           time.Time // BypassOn: when it ends by itself
	Result          string    // a Result constant
	Ref             uint64    // the sequence number that an Outcome, a Deliver or a tail event speaks of
}

// inPlace stands between who did something and in whose place, where both are
// one text.
const inPlace = " for "

// InPlaceOf is actor as the deputy of another: an Event with it has both, as its
// Actor and its For.
func InPlaceOf(actor, of string) string { return actor + inPlace + of }

// Actors tells who did it, and in whose place, "" for their own.
func Actors(actor string) (by, of string) {
	by, of, _ = strings.Cut(actor, inPlace)
	return by, of
}

// maxListed bounds each list of an Event; the counts tell of all.
const maxListed = 200

// ErrNotOurs says that an Event holds something that may come from a mail or a
// file, and was not recorded.
var ErrNotOurs = errors.New("audit: event holds what is not ours")

// validate reports the first field that holds what it must not. Its error
// names the field, never the value.
func (e *Event) validate() error {
	notOurs := func(field string) error { return fmt.Errorf("%w: %s", ErrNotOurs, field) }
	for _, id := range []dlp.ID{e.Doc, e.Of} {
		if _, err := dlp.ParseID(string(id)); id != "" && err != nil {
			return notOurs("doc")
		}
	}
	for _, a := range []string{e.Action, e.Monitored} {
		if act, ok := dlp.ParseAction(a); a != "" && (!ok || act.String() != a) {
			return notOurs("action")
		}
	}
	switch {
	case !slices.Contains(kinds, e.Kind):
		return notOurs("kind")
	case e.Channel > dlp.File:
		return notOurs("channel")
	case e.Result != "" && !slices.Contains(results, e.Result):
		return notOurs("result")
	case !word(e.Policy) || !word(e.MonitoredPolicy):
		return notOurs("policy")
	case !word(e.Actor):
		return notOurs("actor")
	case !word(e.For):
		return notOurs("for")
	case !word(e.Reason):
		return notOurs("reason")
	case !hexadecimal(e.RuleSet) || !hexadecimal(e.PolicyDigest) || !hexadecimal(e.Digest):
		return notOurs("digest")
	case !hexadecimal(e.Sender) || !hexadecimal(e.Department) || !all(e.RcptKeys, pseudonym):
		return notOurs("pseudonym")
	case !all(e.Rules, ruleID) || !all(e.MonitoredRules, ruleID):
		return notOurs("rules")
	case !all(e.Causes, func(c string) bool { _, ok := dlp.ParseCause(c); return ok }):
		return notOurs("causes")
	case !all(e.Ways, func(w string) bool { return slices.Contains(dlp.Ways(), dlp.Way(w)) }):
		return notOurs("ways")
	case e.Findings < 0 || e.Gaps < 0 || e.Rcpts < 0:
		return notOurs("count")
	case e.Time.Year() < 0 || e.Time.Year() > 9999 || e.Until.Year() < 0 || e.Until.Year() > 9999:
		return notOurs("time")
	}
	return nil
}

func ruleID(r dlp.RuleID) bool { return r != "" && word(string(r)) }

func all[T any](list []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !ok(x) })
}

// word reports an id or constant of at most 64 letters, digits and - _ . :
// that begins with a letter and holds at most six digits, so that no number of
// a person fits; or nothing.
func word(s string) bool {
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && c >= '0' && c <= '9':
			digits++
		case i > 0 && strings.IndexByte("-_.:", c) >= 0:
		default:
			return false
		}
	}
	return len(s) <= 64 && digits <= 6
}

// hexadecimal reports lower-case hex of 8 to 32 bytes, or nothing.
func hexadecimal(s string) bool { return s == "" || pseudonym(s) }

func pseudonym(s string) bool {
	if len(s) < 16 || len(s) > 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// Kinds returns all kinds.
func Kinds() []Kind { return slices.Clone(kinds) }
