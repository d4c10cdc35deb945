package siem

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// maxListed bounds each list of an event: a syslog receiver need not take more
// than 8192 bytes (RFC 5425 4.3.1).
const maxListed = 20

// event is what is sent: of a line of the audit log the fields that are listed
// here, and no others. The names are those of docs/audit.md.
type event struct {
	ID         string     `json:"id"`      // SEQ-MAC; the same whenever it is sent
	Version    int        `json:"version"` // of this form
	Host       string     `json:"host"`
	Severity   int        `json:"severity"` // 0 to 10
	Name       string     `json:"name"`     // what happened, a constant
	Seq        uint64     `json:"seq,omitempty"`
	Time       time.Time  `json:"time"`
	Kind       audit.Kind `json:"kind"`
	Doc        string     `json:"doc,omitempty"`
	Of         string     `json:"of,omitempty"`
	Channel    string     `json:"channel,omitempty"`
	Action     string     `json:"action,omitempty"`
	Policy     string     `json:"policy,omitempty"`
	Rules      []string   `json:"rules,omitempty"`
	Causes     []string   `json:"causes,omitempty"`
	Ways       []string   `json:"ways,omitempty"`
	Findings   int        `json:"findings,omitempty"`
	Gaps       int        `json:"gaps,omitempty"`
	Rcpts      int        `json:"rcpts,omitempty"`
	Sender     string     `json:"sender,omitempty"` // keyed pseudonym
	Actor      string     `json:"actor,omitempty"`
	For        string     `json:"for,omitempty"` // in whose place
	Reason     string     `json:"reason,omitempty"`
	Until      string     `json:"until,omitempty"`
	Result     string     `json:"result,omitempty"`
	Ref        uint64     `json:"ref,omitempty"`
	Checkpoint string     `json:"checkpoint,omitempty"` // a signed note, docs/audit.md

	after audit.Place // of the line it was made of
}

const formVersion = 1

// kindCheckpoint is the kind of the one event that is no line of the log.
const kindCheckpoint audit.Kind = "checkpoint"

// The lines that most mail makes, and that are never sent: told by their bytes,
// so that they need not be taken apart.
var (
	passedDecision = [][]byte{[]byte(`"kind":"decision"`), []byte(`"action":"allow"`)}
	plainOutcome   = [][]byte{[]byte(`"kind":"outcome"`)}
	failedResult   = []byte(`"result":"failed"`)
)

// wanted makes an event of a line of the audit log; ok is false for one that is
// not sent.
func wanted(line []byte, host string) (e event, ok bool) {
	has := func(parts [][]byte) bool {
		for _, p := range parts {
			if !bytes.Contains(line, p) {
				return false
			}
		}
		return true
	}
	if has(passedDecision) || has(plainOutcome) && !bytes.Contains(line, failedResult) {
		return e, false
	}
	var l struct {
		event
		MAC string `json:"mac"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return e, false // Follow has read it as a line of the log
	}
	e = l.event
	e.Severity, e.Name = e.weigh()
	if e.Name == "" {
		return e, false
	}
	e.Version, e.Host, e.Checkpoint = formVersion, host, ""
	e.ID = strconv.FormatUint(e.Seq, 10) + "-" + l.MAC
	for _, list := range []*[]string{&e.Rules, &e.Causes, &e.Ways} {
		*list = (*list)[:min(len(*list), maxListed)]
	}
	return e, true
}

// weigh says how bad an event is, 0 to 10, and what it is called; "" for what
// is not sent.
func (e *event) weigh() (severity int, name string) {
	switch e.Kind {
	case audit.Decision:
		switch e.Action {
		case dlp.Hold.String():
			return 6, "Held for review"
		case dlp.Reject.String():
			return 6, "Refused"
		case dlp.Encrypt.String():
			return 3, "Encrypted"
		}
	case audit.Release:
		if e.Reason == audit.ReasonUnencrypted {
			return 7, "Released unencrypted"
		}
		if e.Actor == "sender" {
			return 3, "Sent encrypted by its sender's choice"
		}
		return 5, "Released"
	case audit.Ask:
		return 3, "Its sender asks for its release"
	case audit.Pickup:
		return e.weighPickup()
	case audit.Reject:
		if e.Reason == audit.ReasonCancelled {
			return 2, "Cancelled by its sender"
		}
		return 4, "Refused by a reviewer"
	case audit.Export:
		return 6, "Held content exported"
	case audit.BypassOn:
		return 8, "Mail passes unread: bypass begun"
	case audit.BypassOff:
		return 4, "Bypass ended"
	case audit.ScanOff:
		return 9, "Detection is switched off"
	case audit.Call:
		return 7, "Officers called to urgent held mail"
	case audit.LegalHold:
		switch {
		case e.Result == audit.ResultDone && e.Reason == audit.ReasonPlaced:
			return 3, "Legal hold placed"
		case e.Result == audit.ResultDone && e.Reason == audit.ReasonLifted:
			return 4, "Legal hold lifted"
		}
	case audit.Verified:
		if e.Result == audit.ResultBroken {
			return 10, "Audit log is not as it was signed"
		}
	case audit.Drill:
		switch {
		case e.Doc != "":
		case strings.HasPrefix(e.Reason, "start:"):
			return 2, "Drill begun"
		default:
			return 2, "Drill ended"
		}
	case audit.Restored:
		return 6, "Data brought back from a backup"
	case audit.TailCut:
		return 7, "Audit log cut after a crash"
	case audit.Outcome:
		if e.Result == audit.ResultFailed {
			return 7, "Decision not carried out"
		}
	case audit.Deliver:
		if e.Result == audit.ResultUndelivered {
			return 5, "Not delivered"
		}
	case audit.Probe:
		switch e.Result {
		case audit.ResultMissed, audit.ResultPassed:
			return 9, "Probe with invented patient data not caught"
		case audit.ResultFailed:
			return 6, "Probe not sent"
		}
	}
	return 0, ""
}

// alarm reports what somebody should look at.
func (e *event) alarm() bool { return e.Severity >= 6 }

// checkpoint is the event that carries a checkpoint.
func checkpoint(note []byte, host string, at time.Time) event {
	sum := sha256.Sum256(note)
	return event{ID: "checkpoint-" + hex.EncodeToString(sum[:8]), Version: formVersion, Host: host, Name: "Checkpoint of the audit log",
		Time: at.UTC().Truncate(time.Microsecond), Kind: kindCheckpoint, Checkpoint: string(note)}
}

// weighPickup is weigh for what happens to a message that waits for its reader's
// browser.
func (e *event) weighPickup() (severity int, name string) {
	switch e.Reason {
	case audit.ReasonCodeSent:
		return 1, "Pickup: code sent"
	case audit.ReasonCodeWrong:
		return 4, "Pickup: wrong code"
	case audit.ReasonOpened:
		return 2, "Pickup: opened"
	case audit.ReasonReplied:
		return 2, "Pickup: answered"
	case audit.ReasonExpired:
		return 2, "Pickup: expired"
	case audit.ReasonRevoked:
		return 4, "Pickup: taken back"
	case audit.ReasonUndelivered:
		return 5, "Pickup: notice not delivered"
	case audit.ReasonPasskeySet:
		return 3, "Pickup: passkey set"
	case audit.ReasonPasskeyWrong:
		return 4, "Pickup: wrong passkey"
	case audit.ReasonPasskeyOpened:
		return 2, "Pickup: opened by passkey"
	case audit.ReasonPasskeyRemoved:
		return 3, "Pickup: passkey removed"
	case audit.ReasonPasskeyExpired:
		return 2, "Pickup: passkey expired"
	}
	return 0, ""
}
