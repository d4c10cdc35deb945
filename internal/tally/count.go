package tally

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// event is what is counted of a line.
type event struct {
	Time            time.Time  `json:"time"`
	Kind            audit.Kind `json:"kind"`
	Doc             dlp.ID     `json:"doc"`
	Channel         string     `json:"channel"`
	Action          string     `json:"action"`
	Monitored       string     `json:"monitored"`
	MonitoredPolicy string     `json:"monitored_policy"`
	MonitoredRules  []string   `json:"monitored_rules"`
	Rules           []string   `json:"rules"`
	Causes          []string   `json:"causes"`
	Ways            []string   `json:"ways"`
	Sender          string     `json:"sender"`
	Department      string     `json:"department"`
	Reason          string     `json:"reason"`
	Actor           string     `json:"actor"`
	Result          string     `json:"result"`
}

// byReviewer reports a decision of somebody who looked: not of a sender, by their
// link, nor of time, which has no actor.
func (e *event) byReviewer() bool { return e.Actor != "" && e.Actor != SenderActor }

type key struct {
	day      int
	what, of string
}

// counter counts lines until they are committed.
type counter struct {
	store Store
	ctx   context.Context // of one call of some
	skip  func(dlp.ID) bool
	of    map[key]*store.Count
	err   error
}

// counted are the kinds of events that are counted, as a line has them: the
// others, half of all lines, need not be taken apart.
var counted = [][]byte{[]byte(`"kind":"decision"`), []byte(`"kind":"release"`), []byte(`"kind":"reject"`), []byte(`"kind":"review"`)}

func (c *counter) line(b []byte) error {
	if !slices.ContainsFunc(counted, func(k []byte) bool { return bytes.Contains(b, k) }) {
		return nil
	}
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("tally: a line of the audit log is no event")
	}
	if c.skip(e.Doc) {
		return nil
	}
	switch e.Kind {
	case audit.Decision:
		c.decision(&e)
	case audit.Release:
		return c.decided(&e, Released)
	case audit.Reject:
		return c.decided(&e, Refused)
	case audit.Review:
		return c.review(&e)
	}
	return nil
}

func (c *counter) add(e *event, what string, of ...string) {
	c.addOn(Day(e.Time), e, what, of...)
}

func (c *counter) addOn(day int, e *event, what string, of ...string) {
	for _, o := range of {
		if o == "" {
			continue
		}
		k := key{day, what, o}
		n := c.of[k]
		if n == nil {
			n = &store.Count{Day: k.day, What: what, Of: o}
			c.of[k] = n
		}
		n.N++
		n.Doc = e.Doc
	}
}

func (c *counter) decision(e *event) {
	if acts(e.Monitored) {
		c.add(e, Watched, e.Monitored)
		c.add(e, RuleWatched, e.MonitoredRules...)
		c.add(e, PolicyWatched, e.MonitoredPolicy)
		for _, r := range e.MonitoredRules {
			c.add(e, WatchedBy, e.MonitoredPolicy+" "+r+" "+e.Sender)
		}
	}
	c.department(e)
	var what, rule string
	switch e.Action {
	case dlp.Allow.String(), dlp.AddTag.String():
		c.add(e, Passed, e.Channel)
		return
	case dlp.Encrypt.String():
		what, rule = Encrypted, RuleEncrypted
		c.add(e, Way, e.Ways...)
	case dlp.Reject.String():
		what, rule = Rejected, RuleRejected
	default:
		what, rule = Held, RuleHeld
		c.add(e, SenderHeld, e.Sender)
	}
	c.add(e, what, e.Channel)
	c.add(e, rule, e.Rules...)
	c.add(e, Unread, e.Causes...)
}

// department counts a decision about mail for the department of its sender.
func (c *counter) department(e *event) {
	if e.Department == "" || len(e.Sender) < 2 {
		return
	}
	c.add(e, Department, e.Department)
	c.addOn(store.Block(Day(e.Time)), e, DepartmentSeen, e.Department+" "+e.Sender[:2])
	if !holds(e.Action) {
		return
	}
	c.add(e, DepartmentHeld, e.Department)
	c.add(e, DepartmentSender, e.Department+" "+e.Sender)
	for _, r := range e.Rules {
		c.add(e, DepartmentRule, e.Department+" "+r)
	}
}

// holds reports an action that counts as held: also one that is not known.
func holds(action string) bool {
	switch action {
	case dlp.Allow.String(), dlp.AddTag.String(), dlp.Encrypt.String(), dlp.Reject.String():
		return false
	}
	return true
}

// acts reports an action that keeps something from going on as it came.
func acts(action string) bool {
	return action == dlp.Hold.String() || action == dlp.Encrypt.String() || action == dlp.Reject.String()
}

// decided counts what ended a hold, and how long the document waited for a
// reviewer's decision.
func (c *counter) decided(e *event, what string) error {
	row, ok, err := c.hold(e.Doc)
	if err != nil || !ok {
		return err
	}
	c.add(e, what, row.Channel.String())
	if !e.byReviewer() {
		return nil
	}
	c.add(e, Waited, WaitBucket(e.Time.Sub(row.Received)))
	return nil
}

// review counts whether each rule was right, as the reviewer's reason says.
func (c *counter) review(e *event) error {
	if !e.byReviewer() || e.Result == audit.ResultHeld { // nobody said what it was, or the first of two, who alone decides nothing
		return nil
	}
	row, ok, err := c.hold(e.Doc)
	if err != nil || !ok {
		return err
	}
	what := PHI
	if e.Reason == NotPHICode {
		what = NotPHI
	}
	for _, r := range row.Rules {
		c.add(e, what, string(r))
	}
	return nil
}

// hold reads what was held; ok is false for what the vault does not know.
func (c *counter) hold(id dlp.ID) (row vault.Row, ok bool, err error) {
	row, err = c.store.Hold(c.ctx, id)
	if errors.Is(err, vault.ErrNotFound) {
		return row, false, nil
	}
	if err != nil {
		return row, false, fmt.Errorf("tally: %w", err)
	}
	return row, true, nil
}

func (c *counter) counts() []store.Count {
	out := make([]store.Count, 0, len(c.of))
	for _, n := range c.of {
		out = append(out, *n)
	}
	return out
}
