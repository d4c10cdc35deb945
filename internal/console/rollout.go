package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/rollout"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// Rollout is how far policies are that are being brought in.
type Rollout interface {
	Policies() ([]policy.Policy, rollout.State, error)
	// Behind reports whether the steps that were taken are not what judges now: the
	// last could be written, and not be put in force.
	Behind(state rollout.State) (bool, error)
	// Take takes a step, on record before it is written. ErrNoRollout.
	Take(ctx context.Context, base int, x rollout.Step) error
}

// ErrNoRollout says that the configuration brings no such policy in.
var ErrNoRollout = errors.New("console: no policy of that id has mode rollout")

const (
	watchDays     = 14 // that a policy is watched, if nobody says
	precisionDays = 90 // from which the precision of rules is taken
)

func (c *Console) rolloutRoutes() []route {
	return []route{
		{"GET /rollout", see, c.rollout},
		{"POST /rollout", rollOut, c.takeStep},
	}
}

// watchedRow is what one rule would have kept from going on as it came.
type watchedRow struct {
	Rule      string
	N         int64
	Senders   int
	Precision *precisionRow // nil where nobody decided about what it found
}

// rollingOut is one policy that is being brought in.
type rollingOut struct {
	ID, Description, Action string
	Begun                   bool
	Enforced                bool
	Last                    rollout.Step
	Day                     int // of Last.Days, the first is 1
	Done                    bool
	Watched                 int64 // documents, since it was begun
	Rules                   []watchedRow
}

type rolloutPage struct {
	frame
	Policies []rollingOut
	Behind   bool           // what stands here is not in force
	Steps    []rollout.Step // the newest first
	Base     int
	Days     []int
}

func (c *Console) rollout(w http.ResponseWriter, r *http.Request, u User) {
	ps, state, err := c.Rollout.Policies()
	p := rolloutPage{Base: state.N(), Days: []int{7, watchDays, 30, 60, rollout.MaxDays}}
	var precise map[string]*precisionRow
	if err == nil {
		p.Behind, err = c.Rollout.Behind(state)
	}
	if err == nil {
		precise, err = c.precise(r.Context())
	}
	for i := 0; i < len(ps) && err == nil; i++ {
		var one rollingOut
		one, err = c.rollingOut(r.Context(), &ps[i], state, precise)
		p.Policies = append(p.Policies, one)
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	for i := len(state.Steps) - 1; i >= 0 && len(p.Steps) < 50; i-- {
		p.Steps = append(p.Steps, state.Steps[i])
	}
	p.frame = c.frame(r, u, "Roll-out")
	c.render(w, r, http.StatusOK, "rollout", p)
}

// precise is the precision of the rules that officers decided about, by rule.
func (c *Console) precise(ctx context.Context) (map[string]*precisionRow, error) {
	today := tally.Day(c.Now())
	all := counts{}
	for _, what := range []string{tally.PHI, tally.NotPHI} {
		cs, err := c.Figures.By(ctx, what, today-precisionDays, today)
		if err != nil {
			return nil, err
		}
		all[what] = map[string]int64{}
		for _, x := range cs {
			all[what][x.Of] += x.N
		}
	}
	known := map[string]*precisionRow{}
	for _, row := range precisionOf(all) {
		known[row.Rule] = &row
	}
	return known, nil
}

// rollingOut counts what p would have done since it was begun, or in the last days
// where nobody began.
func (c *Console) rollingOut(ctx context.Context, p *policy.Policy, state rollout.State, precise map[string]*precisionRow) (out rollingOut, err error) {
	out = rollingOut{ID: p.ID, Description: p.Description, Action: p.Action, Enforced: state.Enforced(p.ID)}
	today := tally.Day(c.Now())
	first := today - watchDays + 1
	if out.Last, out.Begun = state.Last(p.ID); out.Begun {
		first = tally.Day(out.Last.At)
		out.Day = today - first + 1
		out.Done = out.Day > out.Last.Days
	}
	if out.Enforced {
		return out, nil
	}
	cs, err := c.Figures.By(ctx, tally.PolicyWatched, first, today)
	if err != nil {
		return out, err
	}
	for _, x := range cs {
		if x.Of == p.ID {
			out.Watched += x.N
		}
	}
	if cs, err = c.Figures.By(ctx, tally.WatchedBy, first, today); err != nil {
		return out, err
	}
	count, senders := map[string]int64{}, map[string]int{}
	for _, x := range cs {
		of := strings.SplitN(x.Of, " ", 3)
		if len(of) != 3 || of[0] != p.ID {
			continue
		}
		count[of[1]] += x.N
		senders[of[1]]++
	}
	for _, rule := range most(count, len(count)) {
		out.Rules = append(out.Rules, watchedRow{rule, count[rule], senders[rule], precise[rule]})
	}
	return out, nil
}

// takeStep begins to watch, or enforces, once the policy's id was typed.
func (c *Console) takeStep(w http.ResponseWriter, r *http.Request, u User) {
	x := rollout.Step{At: c.Now(), By: u.Actor(), Policy: r.PostFormValue("policy"), Do: rollout.Do(r.PostFormValue("do")), Note: strings.TrimSpace(r.PostFormValue("note"))}
	base, err := strconv.Atoi(r.PostFormValue("base"))
	if err == nil && x.Do == rollout.Watch {
		x.Days, err = strconv.Atoi(r.PostFormValue("days"))
	}
	if err != nil {
		err = rollout.ErrStep
	}
	_, state, serr := c.Rollout.Policies()
	loosens := serr == nil && state.Enforced(x.Policy)
	if (x.Do == rollout.Enforce || loosens) && strings.TrimSpace(r.PostFormValue("confirm")) != x.Policy {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was changed.", "Type the id of the policy to say that you mean it.")
		return
	}
	if err = errors.Join(err, serr); err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
		defer cancel()
		err = c.Rollout.Take(ctx, base, x)
	}
	switch {
	case errors.Is(err, ErrNoRollout):
		c.say(w, r, u, http.StatusNotFound, "Nothing was changed: no such policy is being brought in.", `The configuration says which are, by mode = "rollout".`)
	case errors.Is(err, rollout.ErrChanged):
		c.say(w, r, u, http.StatusConflict, "Somebody else took a step meanwhile.", "Nothing was changed. Look again.")
	case errors.Is(err, rollout.ErrStep), errors.Is(err, rollout.ErrFull):
		c.say(w, r, u, http.StatusBadRequest, "Nothing was changed.", "A policy is watched for 1 to 90 days, or enforced once; a note has 500 bytes at most.")
	case err != nil:
		c.fail(w, r, u, err)
	default:
		said := "Policy " + x.Policy + " is watched from now on: what it speaks of leaves, and is counted."
		if x.Do == rollout.Enforce {
			said = "Policy " + x.Policy + " is enforced from now on."
		}
		c.sessions.say(r, said)
		http.Redirect(w, r, "/rollout", http.StatusSeeOther)
	}
}
