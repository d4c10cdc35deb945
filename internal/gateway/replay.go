package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Side is rules that a replay reads by.
type Side struct {
	Detect func() Masking // one for each Document
	// Decide is the verdict; it asks no server of anything.
	Decide  func(doc *dlp.Document, found []dlp.Finding, gaps []dlp.Gap) dlp.Verdict
	Knows   func(text string) bool // as Rules.Knows
	RuleSet string                 // digest
}

// Masking is a Detection that also tells what it found, masked.
type Masking interface {
	Detection
	// Masked returns the values of found, which Finish has returned, masked.
	Masked(found []dlp.Finding) []string
}

// ReplayQuery says what is replayed.
type ReplayQuery struct {
	Since  time.Time
	Limit  int           // documents, the newest; 0: MaxReplay
	Within time.Duration // what is not read by then is not read; 0: all is
	// Keys returns what opens a document that the server cannot; nil: nobody has any.
	Keys  func(ctx context.Context, id dlp.ID) (vault.Opened, error)
	Codes map[dlp.ID]string // reasons of reviewers' decisions, by document
	// Progress is called before each document, and at the end; nil: nobody asks.
	Progress func(done, of int)
}

// MaxReplay is the most documents that one replay reads.
const MaxReplay = 100_000

// Bounds on what a replay tells.
const (
	maxReplayChanges  = 5000
	maxReplayFindings = 20 // of one document
	maxReplayUnread   = 1000
)

// What a change comes to.
const (
	NewlyHeld  = "newly_held"     // the rules in force let it pass
	NoMoreHeld = "no_longer_held" // the edited rules let it pass
	Otherwise  = "otherwise"      // what is done about it is another, yet it passes, or is held, by both

	// ContraReleased and ContraRejected say that the edited rules do other than a
	// reviewer decided: they hold what was released as not_phi, or let pass what was rejected.
	ContraReleased = "contradicts_release"
	ContraRejected = "contradicts_reject"
)

// Replayed is what edited rules do otherwise, as `rules replay --format json` prints
// it (docs/contract.md). It has no content but masked values.
type Replayed struct {
	Since   time.Time `json:"since"`
	RuleSet string    `json:"ruleset"`         // digest of the rules in force
	Edited  string    `json:"edited"`          // and of the edited ones
	Read    int       `json:"read"`            // documents that both read
	Sampled int       `json:"sampled"`         // of these, messages of the sample of what passed
	Decided int       `json:"decided"`         // of these, those that a reviewer had decided about
	Same    int       `json:"same"`            // of these, those read whole with the same verdict and the same findings
	Found   int       `json:"found_otherwise"` // read whole, with the same verdict and other findings
	Unread  int       `json:"not_whole"`       // of these, those of which a part was not read: what is in it counts on neither side
	Gone    int       `json:"gone"`            // documents whose content is not kept any more
	Locked  int       `json:"locked"`          // that the server cannot open, and no key was given for
	Failed  int       `json:"failed"`          // that could not be read
	Cut     bool      `json:"cut"`             // older ones were not read
	// Changes are documents with another verdict, or one that a reviewer's decision
	// contradicts, the newest first; Untold is how many more there are.
	Changes []ReplayChange `json:"changes"`
	Untold  int            `json:"untold"`
	// Parts are the newest of Unread, at most 1000.
	Parts []ReplayUnread `json:"not_read"`
	// Rules counts findings of medium confidence or above, of rules that differ.
	Rules []ReplayRule `json:"rules"`
}

// ReplayChange is one document that edited rules treat otherwise.
type ReplayChange struct {
	ID       dlp.ID          `json:"id"`
	Channel  string          `json:"channel"`
	State    string          `json:"state"`
	Received time.Time       `json:"received"`
	What     []string        `json:"what"` // constants above
	Before   string          `json:"before"`
	After    string          `json:"after"`
	Reason   string          `json:"reason,omitempty"` // code of the reviewer's decision
	RulesOff []dlp.RuleID    `json:"rules_before"`     // that the verdict counted
	RulesOn  []dlp.RuleID    `json:"rules_after"`
	Findings []ReplayFinding `json:"findings"` // that differ, at most 20
	Untold   int             `json:"untold"`
}

// ReplayUnread is one document of which a part was not read.
type ReplayUnread struct {
	ID       dlp.ID    `json:"id"`
	Channel  string    `json:"channel"`
	State    string    `json:"state"`
	Received time.Time `json:"received"`
	After    string    `json:"after"` // what the edited rules do about it
	Parts    int       `json:"parts"`
	Causes   []string  `json:"causes"`
	// Typed are those of Parts that a password had opened which a reviewer typed: it is
	// kept nowhere.
	Typed int `json:"typed,omitempty"`
}

// ReplayFinding is a finding that only one side has, or with another confidence.
type ReplayFinding struct {
	Rule   dlp.RuleID `json:"rule"`
	Type   dlp.Type   `json:"type"`
	Part   string     `json:"part"`
	Line   int        `json:"line"`
	Before string     `json:"before"` // confidence, "" for not found
	After  string     `json:"after"`
	Masked string     `json:"masked"`
}

// ReplayRule is how much a rule finds.
type ReplayRule struct {
	Rule   dlp.RuleID `json:"rule"`
	Before int        `json:"before"`
	After  int        `json:"after"`
}

// ErrReplaying says that a replay is under way.
var ErrReplaying = errors.New("another replay is under way: wait for its end, or stop it")

// Replay reads what is held and was held since then, as far as it is still kept, and
// the sample of what passed, once and judges it by the rules in force and by edited ones. That somebody has it read
// is on record, with how many documents, before the first is opened.
func (g *Gateway) Replay(ctx context.Context, q ReplayQuery, now, edited Side, actor string) (Replayed, error) {
	if !g.replaying.TryLock() {
		return Replayed{}, ErrReplaying
	}
	defer g.replaying.Unlock()
	if g.Extract == nil {
		return Replayed{}, errNotRead
	}
	r := &replay{Gateway: g, now: now, edited: edited, keys: q.Keys, codes: q.Codes, counts: map[dlp.RuleID]*ReplayRule{},
		out: Replayed{Since: q.Since, RuleSet: now.RuleSet, Edited: edited.RuleSet, Changes: []ReplayChange{}, Parts: []ReplayUnread{}, Rules: []ReplayRule{}}}
	es, err := r.subjects(ctx, q.Since, cmp.Or(q.Limit, MaxReplay))
	if err != nil {
		return Replayed{}, err
	}
	e := audit.Event{Kind: audit.Look, Actor: actor, Reason: audit.ReasonReplay, Findings: len(es), RuleSet: edited.RuleSet}
	if err := g.Note(ctx, e); err != nil {
		return Replayed{}, err
	}
	if q.Progress == nil {
		q.Progress = func(int, int) {}
	}
	if r.keys == nil {
		r.keys = func(context.Context, dlp.ID) (vault.Opened, error) { return vault.Opened{}, nil }
	}
	timed, stop := ctx, func() {}
	if q.Within > 0 {
		timed, stop = context.WithTimeout(ctx, q.Within)
	}
	defer stop()
	for i := range es {
		q.Progress(i, len(es))
		r.one(timed, &es[i])
		if ctx.Err() != nil {
			return Replayed{}, ctx.Err()
		}
		if timed.Err() != nil {
			r.out.Cut = true
			break
		}
	}
	q.Progress(len(es), len(es))
	for _, c := range r.counts {
		if c.Before != c.After {
			r.out.Rules = append(r.out.Rules, *c)
		}
	}
	slices.SortFunc(r.out.Rules, func(a, b ReplayRule) int { return strings.Compare(string(a.Rule), string(b.Rule)) })
	return r.out, nil
}

// replay is one of them under way.
type replay struct {
	*Gateway
	now, edited Side
	keys        func(context.Context, dlp.ID) (vault.Opened, error)
	codes       map[dlp.ID]string
	counts      map[dlp.RuleID]*ReplayRule
	out         Replayed
}

// since lists what came since t, the newest first.
func (r *replay) since(ctx context.Context, t time.Time, limit int) (es []vault.Entry, err error) {
	f := vault.Filter{All: true, Newest: true}
	for {
		page, err := r.Vault.List(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("gateway: list what is replayed: %w", err)
		}
		for _, e := range page {
			switch {
			case e.Received.Before(t):
				return es, nil
			case len(es) == limit:
				r.out.Cut = true
				return es, nil
			}
			if !r.isDrill(e.ID) { // what people decide about it says nothing of rules
				es = append(es, e)
			}
		}
		if len(page) < vault.MaxList {
			return es, nil
		}
		f.After = page[len(page)-1].ID
	}
}

// subject is a document that is replayed: held, or one of the sample of what passed.
type subject struct {
	vault.Entry
	passed *sample.Entry // nil for what was held
}

// StatePassed is the State of a message of the sample.
const StatePassed = "passed"

// subjects lists what came since t, held or sampled, the newest first.
func (r *replay) subjects(ctx context.Context, t time.Time, limit int) ([]subject, error) {
	held, err := r.since(ctx, t, limit)
	if err != nil {
		return nil, err
	}
	kept, err := r.Sample.List(t)
	if err != nil {
		return nil, fmt.Errorf("gateway: list the sample: %w", err)
	}
	all := make([]subject, 0, len(held)+len(kept))
	for i := range held {
		all = append(all, subject{Entry: held[i]})
	}
	for i := range kept {
		e := vault.Entry{ID: kept[i].ID, Channel: dlp.Mail, State: StatePassed, Received: kept[i].Received}
		all = append(all, subject{e, &kept[i]})
	}
	slices.SortStableFunc(all, func(a, b subject) int { return b.Received.Compare(a.Received) })
	if len(all) > limit {
		all, r.out.Cut = all[:limit], true
	}
	return all, nil
}

// document opens s with its keys, and a look at whether it opens at all.
func (r *replay) document(ctx context.Context, s *subject, keys vault.Opened) (*dlp.Document, error) {
	if s.passed != nil {
		return r.Sample.Document(s.passed, keys.Content)
	}
	doc := r.heldDoc(ctx, s.Entry, keys)
	rc, err := doc.Open()
	if err == nil {
		_ = rc.Close() // only read from
	}
	return doc, err
}

// one replays one document. Whatever goes wrong with it, the others follow.
func (r *replay) one(ctx context.Context, e *subject) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.LogAttrs(ctx, slog.LevelError, "replaying broke", slog.String("doc", string(e.ID)), slog.String("stack", string(debug.Stack())))
			r.out.Failed++
		}
	}()
	if e.Damaged {
		r.out.Failed++
		return
	}
	keys, err := r.keys(ctx, e.ID)
	var doc *dlp.Document
	if err == nil {
		doc, err = r.document(ctx, e, keys)
	}
	if err == nil {
		err = r.read(ctx, doc, e, keys)
	}
	switch {
	case err == nil:
	case errors.Is(err, vault.ErrNoContent), errors.Is(err, vault.ErrNotFound):
		r.out.Gone++
	case errors.Is(err, vault.ErrLocked):
		r.out.Locked++
	case ctx.Err() != nil:
	default:
		r.warn(ctx, "a document was not replayed", e.ID, err)
		r.out.Failed++
	}
}

// read reads doc by both sides.
func (r *replay) read(ctx context.Context, doc *dlp.Document, e *subject, keys vault.Opened) error {
	a, b := r.now.Detect(), r.edited.Detect()
	err := r.extractAfterOthers(ctx, doc, bothSink{a, b})
	if err == nil {
		err = errors.Join(readEnvelope(doc, &Rules{Knows: r.now.Knows}, a), readEnvelope(doc, &Rules{Knows: r.edited.Knows}, b))
	}
	was, gaps := a.Finish()
	is, newGaps := b.Finish()
	if err != nil {
		return err
	}
	c := ReplayChange{ID: e.ID, Channel: e.Channel.String(), State: string(e.State), Received: e.Received, Reason: r.codes[e.ID]}
	v, w := r.now.Decide(doc, was, gaps), r.edited.Decide(doc, is, newGaps)
	before, after := v.Strictest(), w.Strictest()
	c.Before, c.After, c.RulesOff, c.RulesOn = before.Action.String(), after.Action.String(), orEmpty(before.Rules), orEmpty(after.Rules)
	c.Findings, c.Untold = differing(was, is, a, b)
	r.count(was, is)
	r.out.Read++
	if e.passed != nil {
		r.out.Sampled++
	}
	decided := e.State == vault.Released || e.State == vault.Rejected
	decided = decided && byReviewer(e.DecidedBy)
	if decided {
		r.out.Decided++
	}
	switch {
	case !stops(before) && stops(after):
		c.What = append(c.What, NewlyHeld)
	case stops(before) && !stops(after):
		c.What = append(c.What, NoMoreHeld)
	case before.Action != after.Action:
		c.What = append(c.What, Otherwise)
	}
	switch {
	case decided && e.State == vault.Released && c.Reason == notPHI && stops(after):
		c.What = append(c.What, ContraReleased)
	case decided && e.State == vault.Rejected && !stops(after):
		c.What = append(c.What, ContraRejected)
	}
	whole := r.whole(ctx, &c, e, keys, slices.Concat(gaps, newGaps))
	switch {
	case len(c.What) > 0 && len(r.out.Changes) < maxReplayChanges:
		r.out.Changes = append(r.out.Changes, c)
	case len(c.What) > 0:
		r.out.Untold++
	case !whole: // nobody can say that it is as before
	case len(c.Findings) > 0:
		r.out.Found++
	default:
		r.out.Same++
	}
	return nil
}

// whole reports a document of which everything was read, and tells of any other.
func (r *replay) whole(ctx context.Context, c *ReplayChange, e *subject, keys vault.Opened, gaps []dlp.Gap) bool {
	if len(gaps) == 0 {
		return true
	}
	r.out.Unread++
	if len(r.out.Parts) == maxReplayUnread {
		return false
	}
	u := ReplayUnread{ID: c.ID, Channel: c.Channel, State: c.State, Received: c.Received, After: c.After}
	paths, encrypted := map[string]bool{}, map[string]bool{}
	for _, gap := range gaps {
		paths[gap.Path] = true
		if cause := gap.Cause.String(); !slices.Contains(u.Causes, cause) {
			u.Causes = append(u.Causes, cause)
		}
		if gap.Cause == dlp.Encrypted {
			encrypted[gap.Path] = true
		}
	}
	u.Parts = len(paths)
	if len(encrypted) > 0 && e.passed == nil {
		if kept, err := r.Vault.Case(ctx, c.ID, keys.Case); err == nil { // else nobody can say
			for _, path := range kept.Shown.Typed {
				if encrypted[path] {
					u.Typed++
					delete(encrypted, path)
				}
			}
		}
	}
	r.out.Parts = append(r.out.Parts, u)
	return false
}

// notPHI is the reviewer's reason that says that the rules were wrong.
const notPHI = "not_phi"

// byReviewer reports a decision of somebody who looked: neither of a sender, by
// their link, nor of time.
func byReviewer(actor string) bool {
	return strings.HasPrefix(actor, "user:") || strings.HasPrefix(actor, "uid:")
}

func orEmpty(rs []dlp.RuleID) []dlp.RuleID {
	if rs == nil {
		return []dlp.RuleID{}
	}
	return rs
}

// stops reports whether the document does not leave by itself.
func stops(v dlp.RcptVerdict) bool { return v.Action == dlp.Hold || v.Action == dlp.Reject }

func (r *replay) count(was, is []dlp.Finding) {
	for i, fs := range [][]dlp.Finding{was, is} {
		for _, f := range fs {
			if f.Confidence < dlp.Medium {
				continue
			}
			c := r.counts[f.Rule]
			if c == nil {
				c = &ReplayRule{Rule: f.Rule}
				r.counts[f.Rule] = c
			}
			if i == 0 {
				c.Before++
			} else {
				c.After++
			}
		}
	}
}

// differing are the findings that was and is do not share.
func differing(was, is []dlp.Finding, a, b Masking) (out []ReplayFinding, more int) {
	out = []ReplayFinding{}
	before := make(map[place]dlp.Confidence, len(was))
	for i := range was {
		before[placeOf(&was[i])] = was[i].Confidence
	}
	add := func(f *dlp.Finding, masked, before, after string) {
		if len(out) == maxReplayFindings {
			more++
			return
		}
		out = append(out, ReplayFinding{f.Rule, f.Type, f.Path, f.Line, before, after, masked})
	}
	after := make(map[place]bool, len(is))
	masked := b.Masked(is)
	for i := range is {
		f := &is[i]
		after[placeOf(f)] = true
		if c, ok := before[placeOf(f)]; !ok {
			add(f, masked[i], "", f.Confidence.String())
		} else if c != f.Confidence {
			add(f, masked[i], c.String(), f.Confidence.String())
		}
	}
	masked = a.Masked(was)
	for i := range was {
		if f := &was[i]; !after[placeOf(f)] {
			add(f, masked[i], f.Confidence.String(), "")
		}
	}
	return out, more
}

// bothSink hands everything to two.
type bothSink struct{ a, b dlp.Sink }

// Part opens the next part.
func (s bothSink) Part(p dlp.PartInfo) error { return errors.Join(s.a.Part(p), s.b.Part(p)) }

// Text hands on text.
func (s bothSink) Text(w dlp.Window) error { return errors.Join(s.a.Text(w), s.b.Text(w)) }

// Gap hands on what was not read.
func (s bothSink) Gap(g dlp.Gap) error { return errors.Join(s.a.Gap(g), s.b.Gap(g)) }

// extractAfterOthers extracts doc while nobody waits: what comes in goes first.
func (g *Gateway) extractAfterOthers(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error {
	turn, err := g.firstTurn(ctx, file)
	if err != nil {
		return err
	}
	defer func() { turn.done() }()
	return g.Extract.Extract(ctx, doc, slowSink{sink, func(ctx context.Context, r dlp.SlowReader) error { return turn.move(ctx, g.turnsOf(r)) }})
}

// Sampled lists the sample of what passed since then, the newest first.
func (g *Gateway) Sampled(_ context.Context, since time.Time) ([]sample.Entry, error) {
	return g.Sample.List(since)
}
