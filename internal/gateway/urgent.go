package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// UrgentConfig is the section [urgent].
type UrgentConfig struct {
	// Senders are patterns of the senders whose mail is urgent, as in `where` of a policy: `*@lab.clinic.example`. Their mail is judged first, and when it is held an officer is called at once and again until somebody has decided. Nothing is released by time alone.
	Senders []string `toml:"senders"`
	// AnswerWithin is how long a call waits for a decision before the next level is called.
	AnswerWithin dlp.Duration `toml:"answer_within"`
	// Escalate are the addresses that are called next, one level each, when nobody has decided in time; the last one is called again and again. Those called before are written to again as well. First `notify.officers` are called.
	Escalate []string `toml:"escalate"`
	// Command is a program with its arguments that is run at each call, with what it is about in its environment and no PHI: `STANCH_EVENT` (urgent_held), `STANCH_ID`, `STANCH_LEVEL` (from 0), `STANCH_ANSWER_BY`. It makes a pager ring where a mail does not.
	Command []string `toml:"command"`
}

// DefaultUrgent returns the defaults: nobody is urgent.
func DefaultUrgent() UrgentConfig { return UrgentConfig{AnswerWithin: dlp.Duration(30 * time.Minute)} }

// Validate reports the first bad value as a *dlp.KeyError. officers says
// whether there are any to call.
func (c *UrgentConfig) Validate(officers bool) error {
	for i, s := range c.Senders {
		if _, err := policy.ParseSenders([]string{s}); err != nil {
			return &dlp.KeyError{Key: fmt.Sprintf("urgent.senders[%d]", i), Want: "a pattern such as ed@clinic.example or *@lab.clinic.example: " + err.Error()}
		}
	}
	for i, a := range c.Escalate {
		if !notify.ValidAddress(a) {
			return &dlp.KeyError{Key: fmt.Sprintf("urgent.escalate[%d]", i), Want: "an address such as chief@clinic.example, without a name"}
		}
	}
	switch {
	case c.AnswerWithin.D() < time.Minute || c.AnswerWithin.D() > 7*24*time.Hour:
		return &dlp.KeyError{Key: "urgent.answer_within", Want: "between 1m and 7d"}
	case len(c.Command) > 0 && !filepath.IsAbs(c.Command[0]):
		return &dlp.KeyError{Key: "urgent.command[0]", Want: "the absolute path of a program"}
	case len(c.Senders) > 0 && !officers && len(c.Command) == 0:
		return &dlp.KeyError{Key: "urgent.senders", Want: "somebody to call: notify.officers, or urgent.command"}
	}
	return nil
}

// Caller is told beside the mail to officers that urgent mail is held. It must
// return once that is under way.
type Caller interface {
	Call(ctx context.Context, env map[string]string) error
}

// classOf is whose turn doc takes.
func (g *Gateway) classOf(doc *dlp.Document) class {
	switch {
	case doc.Channel == dlp.File:
		return file
	case g.isUrgent(doc):
		return urgent
	}
	return ordinary
}

func (g *Gateway) isUrgent(doc *dlp.Document) bool {
	return doc.Channel == dlp.Mail && g.urgent.Match(doc.Sender)
}

// callsOf is the call that the hold of an urgent message begins with, due at
// once.
func (g *Gateway) callsOf(doc *dlp.Document, held []vault.Item) []store.Call {
	if len(held) == 0 || !g.isUrgent(doc) {
		return nil
	}
	now := g.Now()
	return []store.Call{{ID: doc.ID, Since: now, Due: now}}
}

// callAgain is how long a call waits that could not be made.
const callAgain = 30 * time.Second

// RunCalls calls officers about urgent mail that is held, each time further up
// when nobody has decided in time, until ctx ends. What was called, and when
// the next call is due, is on stable storage. It decides nothing.
func (g *Gateway) RunCalls(ctx context.Context) error {
	for {
		n, err := g.Store.CountCalls(ctx)
		if err == nil {
			g.Metrics.UrgentHeld(n)
			g.waiting.Store(int64(n))
		}
		wait := lanePoll
		if err == nil {
			wait, err = g.callAll(ctx)
		}
		if err != nil && ctx.Err() == nil {
			g.warn(ctx, "calls not read", "", err)
			wait = min(wait, callAgain)
		}
		if !rest(ctx, max(wait, time.Second), g.calls) {
			return nil
		}
	}
}

// maxCalls is how many calls are in memory at once.
const maxCalls = 200

// callAll makes the calls that are due, and returns how long none is.
func (g *Gateway) callAll(ctx context.Context) (time.Duration, error) {
	wait := lanePoll
	var last store.Call
	for {
		calls, err := g.Store.Calls(ctx, last, maxCalls)
		if err != nil || len(calls) == 0 {
			return wait, err
		}
		for _, c := range calls {
			if err := ctx.Err(); err != nil {
				return wait, err
			}
			// A call further ahead than any is set: the clock was put back.
			if left := c.Due.Sub(g.Now()); left > 0 && left <= g.cfg.Urgent.AnswerWithin.D() {
				wait = min(wait, left)
				continue
			}
			wait = min(wait, g.cfg.Urgent.AnswerWithin.D())
			if err := g.call(ctx, c); err != nil && ctx.Err() == nil {
				g.warn(ctx, "officer not called", c.ID, err)
				wait = min(wait, callAgain)
			}
		}
		last = calls[len(calls)-1]
	}
}

// UrgentHeld reports whether urgent mail waits for a decision.
func (g *Gateway) UrgentHeld() bool { return g.waiting.Load() > 0 }

// call makes one call: it is on record first; then the command is started,
// and the notices and the next deadline are committed together. After a crash in
// between it is made again. Where the document was decided about meanwhile, the
// store does not take the commit, and nobody is written to.
func (g *Gateway) call(ctx context.Context, c store.Call) error {
	now := g.Now()
	people := g.peopleFor(c.Level)
	record := audit.Event{Time: now, Kind: audit.Call, Doc: c.ID, Channel: dlp.Mail, Reason: "level_" + strconv.Itoa(c.Level), Rcpts: len(people)}
	actx, cancel := lasting(ctx)
	defer cancel()
	if _, err := g.Audit.Append(actx, record); err != nil {
		return fmt.Errorf("gateway: record call: %w", err)
	}
	g.Log.LogAttrs(ctx, slog.LevelWarn, "urgent mail is held: officers are called", slog.String("doc", string(c.ID)), slog.Int("level", c.Level))
	by := now.Add(g.cfg.Urgent.AnswerWithin.D())
	g.OnStep("call")
	if g.Caller != nil {
		env := map[string]string{"STANCH_EVENT": "urgent_held", "STANCH_ID": string(c.ID), "STANCH_LEVEL": strconv.Itoa(c.Level),
			"STANCH_ANSWER_BY": by.UTC().Format(time.RFC3339)}
		if err := g.Caller.Call(ctx, env); err != nil {
			g.warn(ctx, "command of a call not run", c.ID, err)
		}
	}
	n := notify.UrgentNotice{ID: c.ID, Hostname: g.cfg.Hostname, Since: c.Since, By: by, Level: c.Level, When: now}
	ch := store.Change{Out: g.toOfficers(ctx, c.ID, people, func(to dlp.Address) []byte {
		n.To = to
		return g.cfg.Notices.Urgent(n)
	})}
	ch.Recall = []store.Call{{ID: c.ID, Since: c.Since, Level: c.Level + 1, Due: by}}
	if err := g.commit(ctx, ch); err != nil {
		g.discard(ctx, store.Change{Out: ch.Out}, err)
		return err
	}
	g.Metrics.UrgentCall()
	return nil
}

// peopleFor are those who are written to at a level: the officers, and on each
// further level one more.
func (g *Gateway) peopleFor(level int) []dlp.Address {
	up := g.cfg.Urgent.Escalate
	return append(g.cfg.Notices.OfficerAddresses(), notify.Addresses(up[:min(level, len(up))])...)
}
