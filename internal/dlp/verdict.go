package dlp

import (
	"cmp"
	"slices"
)

// Action is what is to be done with a Document for one recipient. The zero
// Action is Hold, so that a Verdict nobody filled in keeps it inside.
type Action uint8

// The actions. For files Allow is written "report" in a policy and "allow" in
// a verdict.
const (
	Hold    Action = iota // "quarantine": keep in the vault until someone decides
	Allow                 // pass on unchanged
	AddTag                // "tag": pass on with X-Stanch-Tag in front; still proxied
	Encrypt               // pass on encrypted for this recipient, else hold
	Reject                // refuse, and say why in general terms
)

var actionNames = [...]string{"quarantine", "allow", "tag", "encrypt", "reject"}

// String returns the action's name in output and configuration.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return actionNames[Hold]
}

// ParseAction is the inverse of String; "report" is Allow.
func ParseAction(s string) (Action, bool) {
	if s == "report" {
		return Allow, true
	}
	for i, n := range actionNames {
		if n == s {
			return Action(i), true
		}
	}
	return Hold, false
}

// Strictness orders actions: allow < tag < encrypt < quarantine < reject
// (docs/policy.md, How it decides). An unknown Action is as strict as Hold.
func (a Action) Strictness() int {
	switch a {
	case Allow:
		return 0
	case AddTag:
		return 1
	case Encrypt:
		return 2
	case Reject:
		return 4
	}
	return 3
}

// Reasons are constants that explain a Verdict beyond its policy and rules.
const (
	ReasonNoWay       = "no_way"       // encrypt was asked for and no way exists
	ReasonHardLink    = "hard_link"    // encrypt was asked for and the file has other names, under which it would stay in the clear
	ReasonGap         = "gap"          // something could not be read
	ReasonTimeout     = "timeout"      // reading took longer than scan_timeout
	ReasonJudgeFailed = "judge_failed" // extraction or detection broke as a whole
	ReasonReleased    = "released"     // a person released this content for the same reasons before
	ReasonNotScanned  = "not_scanned"  // [scan] enabled = false
	ReasonLoop        = "loop"         // the message has passed as often as it may
	ReasonBypass      = "bypass"       // a person let mail pass unread for a while
	ReasonReading     = "reading"      // taken into the spool past scan_timeout; the verdict follows
	ReasonAsked       = "asked"        // the sender asked for encryption
)

// RcptVerdict is the decision for one recipient. For a file there is exactly
// one, with the zero Rcpt.
type RcptVerdict struct {
	Rcpt     Address
	Action   Action
	Way      Way      // Encrypt of a mail: how it goes; "" for files, and where no way is chosen yet
	Policy   string   // id of the policy that decided; "" where none applies
	Policies []string // ids of all enforced policies that matched, in file order
	Rules    []RuleID // rules whose findings the deciding policy counted, sorted, no two equal
	Causes   []Cause  // causes of the gaps that decided, sorted, no two equal
	Reason   string   // a Reason constant, or ""
	Notify   []string // "sender": from the deciding policy
	// MayEncrypt says of a Hold that its sender may have the mail go encrypted
	// instead: all that holds it allows that.
	MayEncrypt bool
	Monitored  Action // what a policy in monitor mode would have done; Allow when none
	// MonitoredPolicy is that policy's id, "" when none.
	MonitoredPolicy string
	MonitoredRules  []RuleID // the rules that it would have acted for, sorted, no two equal
}

// Verdict is the decision on one Document.
type Verdict struct {
	Rcpts   []RcptVerdict
	RuleSet string // digest of the rule set, lower-case hex
	Policy  string // digest of the policies, lower-case hex
	Reader  string // version of the extractor
}

// Strictest returns the strictest RcptVerdict, the first of equals, with the Rules
// and Causes of all of them. A Verdict without any is a Hold.
func (v *Verdict) Strictest() RcptVerdict {
	if len(v.Rcpts) == 0 {
		return RcptVerdict{}
	}
	worst := v.Rcpts[0].Action
	for _, r := range v.Rcpts[1:] {
		if r.Action.Strictness() > worst.Strictness() {
			worst = r.Action
		}
	}
	r, _ := v.Of(worst)
	return r
}

// Of returns the first RcptVerdict as strict as a, with the Rules and Causes of all
// that are: policies may speak of one recipient and not of another. ok is false
// where none is.
func (v *Verdict) Of(a Action) (of RcptVerdict, ok bool) {
	for _, r := range v.Rcpts {
		switch {
		case r.Action.Strictness() != a.Strictness():
		case !ok:
			of, ok = r, true
		default:
			of.Rules, of.Causes = merged(of.Rules, r.Rules), merged(of.Causes, r.Causes)
		}
	}
	return of, ok
}

// merged returns what is in a or b, sorted, no two equal. It changes neither.
func merged[T cmp.Ordered](a, b []T) []T {
	if len(b) == 0 || slices.Equal(a, b) {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Monitors returns the RcptVerdict with the strictest Monitored, the first of
// equals; one without MonitoredPolicy says that none would have acted.
func (v *Verdict) Monitors() RcptVerdict {
	var best RcptVerdict
	for _, r := range v.Rcpts {
		if r.MonitoredPolicy != "" && (best.MonitoredPolicy == "" || r.Monitored.Strictness() > best.Monitored.Strictness()) {
			best = r
		}
	}
	return best
}

// OutcomeKind is what became of a Document. The zero kind is TryAgain.
type OutcomeKind uint8

// The kinds of Outcome. The door words the reply for each (docs/contract.md, SMTP
// replies).
const (
	TryAgain  OutcomeKind = iota // nothing was kept: the sender is to try again (451 4.3.0, or by Cause)
	Passed                       // the next hop answered: Outcome.Reply, whatever its code
	Held                         // in the vault, on stable storage
	Rejected                     // refused by policy for every recipient
	Split                        // unequal verdicts: all of it is ours, on stable storage
	NoRoom                       // vault or spool could not take it (452 4.3.1)
	Unreached                    // the next hop gave no answer (451 4.4.1)
	Reported                     // file: left where it is
	Sealed                       // file: NAME.age stands in its place
	Changed                      // file: it changed while being judged; read it again
	Spooled                      // mail: in the spool on stable storage, to be read on and then judged
	QueueFull                    // mail: takes long to read, and as many as may wait for that do (451 4.3.2)
	Looped                       // it goes round in circles: refused (554 5.4.6)
)

// OutcomeKinds returns all kinds, in order.
func OutcomeKinds() []OutcomeKind {
	kinds := make([]OutcomeKind, len(outcomeNames))
	for i := range kinds {
		kinds[i] = OutcomeKind(i)
	}
	return kinds
}

var outcomeNames = [...]string{"try_again", "passed", "held", "rejected", "split", "no_room", "unreached", "reported", "encrypted", "changed",
	"spooled", "queue_full", "looped"}

// String returns the kind as metrics name it.
func (k OutcomeKind) String() string {
	if int(k) < len(outcomeNames) {
		return outcomeNames[k]
	}
	return outcomeNames[TryAgain]
}

// Outcome is what was done in the end.
type Outcome struct {
	Kind    OutcomeKind
	ID      ID      // the document's, or for an absorbed repeat that of the hold it repeats
	Reply   Reply   // Passed: the next hop's
	Verdict Verdict // what was decided, when it came to a decision
	// Acknowledge is set where the door must call Handler.Acknowledge with ID
	// once it has read a later command on the same connection.
	Acknowledge bool
	Types       []Type // Rejected: kinds of data found, sorted, for the reply's words
}

// Way is how a mail goes to a recipient encrypted; "" is no way.
type Way string

// The ways (docs/encryption.md).
const (
	SMIME       Way = "smime"
	OpenPGP     Way = "openpgp"
	VerifiedTLS Way = "tls" // as it is, over a connection that proved to be the recipient's server
	Portal      Way = "portal"
	PDF         Way = "pdf"
)

// Ways returns all ways in their default order.
func Ways() []Way { return []Way{SMIME, OpenPGP, VerifiedTLS, Portal, PDF} }
