package console

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
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
	Held, Passed, Other, Contra int
	Rows                        []replayRow
	More                        int // rows that are not shown
}

type replayRow struct {
	ID            dlp.ID
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
		row := replayRow{ID: c.ID, Before: codeWords(c.Before), After: codeWords(c.After), Untold: c.Untold}
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
	return v
}

// replayDraft runs the draft beside the rules in force over what was held; that is
// on record before anything is read.
func (c *Console) replayDraft(ctx context.Context, u User, p *editPage) {
	ctx, cancel := context.WithTimeout(ctx, replayWaits)
	defer cancel()
	r, err := c.Editor.Replay(ctx, p.Draft, u.Actor())
	problems, wrong := errors.AsType[*DraftError](err)
	switch {
	case wrong:
		p.Problems, p.Amiss = problems.Problems, "The draft does not load, so it was not replayed."
	case errors.Is(err, gateway.ErrReplaying):
		p.Amiss = "Another replay is under way. Try again when it has ended."
	case err != nil: // its text may quote what was read
		p.Amiss = "It could not be replayed just now. Nothing was changed."
	default:
		p.Replayed = replayOf(&r)
	}
}
