package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Bounds on a replay that a page waits for.
const (
	ReplayDays   = 30
	ReplayLimit  = 500              // documents, the newest
	ReplayWithin = 25 * time.Second // what is not read by then is not read
	replayWaits  = 90 * time.Second // and loading the draft
	replayShown  = 200              // documents that a page tells of
)

// replayView is what a draft would do otherwise, as the editor shows it.
type replayView struct {
	gateway.Replayed
	Days                        int
	Unlocked                    bool // the session has a reviewer's key open
	Held, Passed, Other, Contra int
	Rows                        []replayRow
	More                        int // rows that are not shown
	NotRead                     []replayUnread
}

// replayUnread is a document of which a part was not read.
type replayUnread struct {
	gateway.ReplayUnread
	Passed bool // as in replayRow
	Why    string
}

type replayRow struct {
	ID            dlp.ID
	Passed        bool // it was not held, and is one of the sample
	Received      time.Time
	What          string
	Before, After string
	Contra        bool
	Findings      []replayFinding
	Untold        int
}

type replayFinding struct {
	gateway.ReplayFinding
	Label string
}

// whatReplayed are a page's words for a change.
var whatReplayed = map[string]string{gateway.NewlyHeld: "newly held", gateway.NoMoreHeld: "no longer held", gateway.Otherwise: "otherwise",
	gateway.ContraReleased: "a reviewer released it as not PHI, and it would be held", gateway.ContraRejected: "a reviewer rejected it, and it would pass"}

func replayOf(r *gateway.Replayed) *replayView {
	v := &replayView{Replayed: *r, Days: ReplayDays}
	for i := range r.Changes {
		c := &r.Changes[i]
		row := replayRow{ID: c.ID, Passed: c.State == gateway.StatePassed, Received: c.Received, Before: codeWords(c.Before), After: codeWords(c.After), Untold: c.Untold}
		var what []string
		for _, w := range c.What {
			what = append(what, whatReplayed[w])
			switch w {
			case gateway.NewlyHeld:
				v.Held++
			case gateway.NoMoreHeld:
				v.Passed++
			case gateway.Otherwise:
				v.Other++
			default:
				v.Contra++
				row.Contra = true
			}
		}
		if len(v.Rows) == replayShown {
			v.More++
			continue
		}
		row.What = strings.Join(what, "; ")
		for _, f := range c.Findings {
			row.Findings = append(row.Findings, replayFinding{f, partLabel(f.Part)})
		}
		v.Rows = append(v.Rows, row)
	}
	for _, u := range r.Parts[:min(len(r.Parts), replayShown)] {
		u.After = codeWords(u.After)
		v.NotRead = append(v.NotRead, replayUnread{u, u.State == gateway.StatePassed, listed(mapWords(u.Causes))})
	}
	return v
}

// replayDraft runs the draft beside the rules in force over what was held; that is
// on record before anything is read.
func (c *Console) replayDraft(r *http.Request, u User, p *editPage) {
	p.Replayed, p.Problems, p.Amiss = c.replay(r, u, p.Draft)
}

// replay runs text as the site's own file beside the rules in force. What the server
// cannot open the session's key opens. amiss says why it was not done.
func (c *Console) replay(r *http.Request, u User, text string) (v *replayView, wrong []RuleProblem, amiss string) {
	ctx, cancel := context.WithTimeout(r.Context(), replayWaits)
	defer cancel()
	keys := func(_ context.Context, id dlp.ID) (vault.Opened, error) { return c.opened(r, u, id) }
	out, err := c.Editor.Replay(ctx, text, keys, u.Actor())
	problems, broken := errors.AsType[*DraftError](err)
	switch {
	case broken:
		return nil, problems.Problems, "The draft does not load, so it was not replayed."
	case errors.Is(err, gateway.ErrReplaying):
		return nil, nil, "Another replay is under way. Try again when it has ended."
	case err != nil: // its text may quote what was read
		return nil, nil, "It could not be replayed just now. Nothing was changed."
	}
	v = replayOf(&out)
	v.Unlocked = c.unlocked(r)
	return v, nil, ""
}
