package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
)

// What of the log an item's page reads for its history at a time, in bytes and events:
// who wants more looks further back.
const (
	historyBytes = 16 << 20
	historyLines = 200
)

// clocksApart is by how much an item's first event may be older than its receipt.
const clocksApart = 5 * time.Minute

// happening is one thing that was done with an item, or several alike in a row.
type happening struct {
	At    time.Time // the first time
	Who   string    // "" for the gateway
	What  string
	Seq   uint64
	Times int
	Last  time.Time
	Look  bool // somebody read what is held
}

// history is what the audit log says of one item, the oldest first.
type history struct {
	Rows   []happening
	Before string // query of a page with what happened earlier, "" where there is no more
	Cut    bool   // what happened later is not shown
}

// historyOf reads the log of what happened to p's item, before a place in it or up to
// now. That somebody looks is on record already: they opened the item.
func (c *Console) historyOf(ctx context.Context, r *http.Request, p *itemPage) (h history, err error) {
	before := int64(0)
	if s := r.URL.Query().Get("before"); s != "" {
		if before, err = strconv.ParseInt(s, 10, 64); err != nil || before <= 0 {
			return h, audit.ErrPlace
		}
	}
	lines, more, err := c.Trail.Search(ctx, audit.Query{Doc: p.ID, Since: p.It.Received.Add(-clocksApart), MaxBytes: historyBytes}, before, historyLines)
	if err != nil {
		return h, err
	}
	slices.Reverse(lines)
	for i := range lines {
		l := &lines[i]
		x := happening{At: l.Time, Last: l.Time, Who: whoDid(l), What: happened(l), Seq: l.Seq, Times: 1, Look: l.Kind == audit.Look || l.Kind == audit.Export}
		if x.What == "" {
			continue
		}
		if n := len(h.Rows); n > 0 && h.Rows[n-1].Who == x.Who && h.Rows[n-1].What == x.What {
			h.Rows[n-1].Times++
			h.Rows[n-1].Last = x.At
			continue
		}
		h.Rows = append(h.Rows, x)
	}
	h.Cut = before > 0
	if more > 0 {
		q, _ := url.ParseQuery(strings.TrimPrefix(p.At, "?")) // it is our own
		q.Set("before", strconv.FormatInt(more, 10))
		h.Before = "?" + q.Encode()
	}
	return h, nil
}

// noPlace answers who asks for what happened before what is no place in the log.
func (c *Console) noPlace(w http.ResponseWriter, r *http.Request, u User, err error) bool {
	if !errors.Is(err, audit.ErrPlace) {
		return false
	}
	c.say(w, r, u, http.StatusBadRequest, "There is no such place in the log.", "What happened earlier is reached by its link.")
	return true
}

func whoDid(l *audit.Line) string {
	if l.For != "" {
		return person(audit.InPlaceOf(l.Actor, l.For))
	}
	return person(l.Actor)
}

// happened says what l tells of an item, behind who did it or of the gateway; "" for
// what says nothing that another line does not, and for drills, of which reviewers are
// not told before they decide: nor of notices, which a drill's messages have none of.
func happened(l *audit.Line) string {
	switch l.Kind {
	case audit.Decision:
		return decidedWords(l)
	case audit.Outcome:
		return outcomes[l.Result]
	case audit.Repeat:
		return "The sender's server sent it once more, which was absorbed"
	case audit.Look:
		return lookWords(l)
	case audit.Review:
		return "gave the reason: " + codeWords(l.Reason)
	case audit.Release:
		return releaseWords(l)
	case audit.Reject:
		return rejectWords(l)
	case audit.Deliver:
		return deliveredWords(l)
	case audit.LegalHold:
		return legalWords[l.Reason+" "+l.Result]
	case audit.RuleFile:
		what, _, _ := strings.Cut(l.Reason, ":")
		return proposals[what]
	case audit.Pickup:
		return "Pickup message: " + codeWords(l.Reason)
	case audit.Call:
		return "Officers were called, level " + strings.TrimPrefix(l.Reason, "level_")
	}
	return acts[string(l.Kind)+" "+l.Reason]
}

// acts are what has no words of its own, by kind and reason.
var acts = map[string]string{
	"claim taken":               "claimed it",
	"claim let_go":              "let go of it",
	"propose release":           "decided first: release as it came",
	"propose release_encrypted": "decided first: release encrypted",
	"propose open":              "agreed to opening it",
	"ask ":                      "asks for its release",
	"export ":                   "wrote out its content",
	"queue_try ":                "had its delivery tried again",
	"queue_drop ":               "dropped its delivery",
}

var outcomes = map[string]string{
	audit.ResultFailed:    "That was not done",
	audit.ResultRecovered: "That was found carried out after a restart",
	audit.ResultOpened:    "The password opened something of it",
}

// deliveredWords tells of what leaves by the outbox but for words of ours.
func deliveredWords(l *audit.Line) string {
	switch {
	case l.Reason == "notice" || l.Reason == "dsn":
		return ""
	case l.Result == audit.ResultTurned:
		return "No server proved to be a recipient's: it is judged once more"
	case l.Result == audit.ResultUndelivered:
		return "Not delivered to all of " + several(l.Rcpts, "recipient")
	}
	return "Delivered to " + several(l.Rcpts, "recipient")
}

// legalWords are by reason and result; that it is about to be done says nothing more.
var legalWords = map[string]string{
	"placed done": "placed a legal hold", "placed failed": "could not place a legal hold", "placed unknown": "placed a legal hold; whether the disk has it is not known",
	"lifted done": "lifted the legal hold", "lifted failed": "could not lift the legal hold", "lifted unknown": "lifted the legal hold; whether the disk has it is not known",
}

var proposals = map[string]string{
	"propose": "proposed a change of rules: not PHI", "accept": "accepted the change of rules", "decline": "declined the change of rules", "withdraw": "withdrew the change of rules",
}

func decidedWords(l *audit.Line) string {
	by := " by the policy " + l.Policy
	if l.Policy == "" {
		by = ""
	}
	for i, cause := range l.Causes {
		if i == 0 {
			by += "; not read: "
		} else {
			by += ", "
		}
		by += codeWords(cause)
	}
	if l.Action == "quarantine" {
		return "Read, and held" + by
	}
	return "Read, and decided to " + l.Action + by
}

func releaseWords(l *audit.Line) string {
	how := map[string]string{audit.ReasonEncrypted: " encrypted", audit.ReasonUnencrypted: " in the clear, though it was to be encrypted"}[l.Reason]
	if l.Actor == "sender" {
		return "had it sent" + how
	}
	return "released it" + how
}

func rejectWords(l *audit.Line) string {
	switch {
	case l.Reason == audit.ReasonCancelled:
		return "cancelled it"
	case l.Actor != "":
		return "rejected it"
	case l.Reason == "discarded":
		return "Its time was over: ended, and its content deleted"
	}
	return "Its time was over: ended"
}

// looks are what somebody looked at, by reason.
var looks = map[string]string{
	audit.ReasonCase: "opened it", audit.ReasonHeader: "read a field of its header", audit.ReasonPassword: "tried a password", "masked": "had it read again, masked", "not_phi": "named a value of it, as not PHI",
	"audit": "looked it up in the audit log", audit.ReasonProof: "looked at its proof", audit.ReasonDossier: "read its case for a dossier",
}

func lookWords(l *audit.Line) string {
	if why, ok := strings.CutPrefix(l.Reason, "reveal:"); ok {
		return "looked at the real text of a part. Reason: " + codeWords(why)
	}
	if what, ok := looks[l.Reason]; ok {
		return what
	}
	return "looked: " + codeWords(l.Reason)
}
