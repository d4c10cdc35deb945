package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Errors of a drill that cannot be begun.
var (
	ErrNoDrills    = errors.New("a drill takes a running serve whose rules are loaded: start `stanch serve`")
	ErrDrillNoLink = errors.New("a drill of senders takes the pages behind their links: [sender] listen")
)

const (
	drillPoll  = time.Minute
	drillAgain = 30 * time.Second // after what could not be done
)

// isDrill reports whether id is that of a document of a drill: it must never leave.
func (g *Gateway) isDrill(id dlp.ID) bool { return drill.Is(g.Names, id) }

// IsDrill reports whether id is that of a document of a drill.
func (g *Gateway) IsDrill(id dlp.ID) bool { return g.isDrill(id) }

// wasDrill reports a document of a drill about which nothing is to be decided any
// more: until then nobody is told.
func (g *Gateway) wasDrill(e *vault.Entry) bool { return e.State != vault.Held && g.isDrill(e.ID) }

// inside reports an address of the site.
func (g *Gateway) inside(a dlp.Address) bool { return policy.Internal(g.cfg.InternalDomains, a) }

// StartDrill begins a drill; RunDrills does what it takes. ErrNoDrills,
// ErrDrillNoLink and the errors of drill.Book.Begin.
func (g *Gateway) StartDrill(ctx context.Context, p drill.Plan, actor string) (drill.Drill, error) {
	if g.Deps.Drills == nil || g.rules.Load() == nil {
		return drill.Drill{}, ErrNoDrills
	}
	if p.Kind == drill.Senders && !g.cfg.Sender.On() {
		return drill.Drill{}, ErrDrillNoLink
	}
	if most := g.cfg.Review.Expires.D(); most > 0 && p.Kind == drill.Officers {
		p.For = min(p.For, most)
	}
	if p.Kind == drill.Officers && g.People != nil {
		all, err := g.People.Deciding()
		if err != nil {
			return drill.Drill{}, fmt.Errorf("gateway: begin drill: %w", err)
		}
		p.Asked = slices.DeleteFunc(all, func(a string) bool { return a == actor })
	}
	d, err := g.Deps.Drills.Begin(p, actor, g.Now(), g.inside, func(d *drill.Drill) error {
		g.OnStep("drill")
		return g.noteDrill(ctx, d.ID, "", drill.StepStart+":"+string(d.Kind), actor)
	})
	if err != nil {
		return d, fmt.Errorf("gateway: begin drill: %w", err)
	}
	poke(g.drilling)
	return d, nil
}

// noteDrill records a step of a drill.
func (g *Gateway) noteDrill(ctx context.Context, of, item dlp.ID, step, actor string) error {
	e := audit.Event{Kind: audit.Drill, Doc: item, Of: of, Actor: actor, Reason: step}
	if item != "" {
		e.Channel = dlp.Mail
	}
	return g.Note(ctx, e)
}

// DrillPlan reads what somebody typed. drill.ErrForm.
func DrillPlan(name string, k drill.Kind, senders []string, to string, d time.Duration) (drill.Plan, error) {
	for _, a := range append([]string{to}, senders...) {
		if !notify.ValidAddress(a) {
			return drill.Plan{}, drill.ErrForm
		}
	}
	return drill.Plan{Name: strings.TrimSpace(name), Kind: k, Senders: notify.Addresses(senders), To: notify.Addresses([]string{to})[0], For: d}, nil
}

// Drills lists all drills, the newest first. It is a look: they name people.
func (g *Gateway) Drills(ctx context.Context, actor string) ([]drill.Drill, error) {
	if err := g.Note(ctx, audit.Event{Kind: audit.Look, Actor: actor, Reason: audit.ReasonDrills}); err != nil || g.Deps.Drills == nil {
		return []drill.Drill{}, err
	}
	return g.Deps.Drills.List(), nil
}

// Drill returns one drill, which is a look. drill.ErrNotFound.
func (g *Gateway) Drill(ctx context.Context, id dlp.ID, actor string) (drill.Drill, error) {
	if g.Deps.Drills == nil {
		return drill.Drill{}, drill.ErrNotFound
	}
	d, err := g.Deps.Drills.Get(id)
	if err != nil {
		return d, err
	}
	return d, g.Note(ctx, audit.Event{Kind: audit.Look, Doc: id, Actor: actor, Reason: audit.ReasonDrill})
}

// StopDrill ends a drill before its time. drill.ErrNotFound, drill.ErrEnded.
func (g *Gateway) StopDrill(ctx context.Context, id dlp.ID, actor string) error {
	if g.Deps.Drills == nil {
		return drill.ErrNotFound
	}
	d, err := g.Deps.Drills.Get(id)
	if err != nil {
		return err
	}
	return g.endDrill(context.WithoutCancel(ctx), d, drill.StepStop, actor)
}

// RunDrills offers what drills are made of and ends them, until ctx ends.
func (g *Gateway) RunDrills(ctx context.Context) error {
	if g.Deps.Drills == nil {
		return nil
	}
	for rest(ctx, max(g.stepDrills(ctx), 10*time.Millisecond), g.drilling) {
	}
	return nil
}

// stepDrills does what is due, and returns when there may be more.
func (g *Gateway) stepDrills(ctx context.Context) (wait time.Duration) {
	wait = drillPoll
	for _, d := range g.Deps.Drills.List() {
		if !d.Running() {
			continue
		}
		left := d.Ends.Sub(g.Now())
		if left > 0 {
			wait = min(wait, left)
			for i := range d.Items {
				if d.Items[i].State != drill.Waiting || ctx.Err() != nil {
					continue
				}
				if err := g.offerDrill(ctx, &d, &d.Items[i]); err != nil && ctx.Err() == nil {
					g.warn(ctx, "an item of a drill was not offered; it is tried again", d.Items[i].ID, err)
					wait = min(wait, drillAgain)
				}
			}
			now, err := g.Deps.Drills.Get(d.ID)
			if err != nil || !now.Settled() {
				continue
			}
			d = now
		}
		if err := g.endDrill(ctx, d, drill.StepEnd, ""); err != nil && ctx.Err() == nil && !errors.Is(err, drill.ErrEnded) {
			g.warn(ctx, "a drill was not ended; it is tried again", d.ID, err)
			wait = min(wait, drillAgain)
		}
	}
	return wait
}

// endDrill ends a drill and what is left of it: what is in the queue goes out of
// it, links choose nothing any more. Done again after a crash it does the rest.
func (g *Gateway) endDrill(ctx context.Context, d drill.Drill, step, actor string) error {
	if !d.Running() {
		return drill.ErrEnded
	}
	if err := g.noteDrill(ctx, d.ID, "", step, actor); err != nil {
		return err
	}
	g.OnStep("drill ends")
	for i := range d.Items {
		if err := g.endDrillItem(ctx, &d, d.Items[i].ID); err != nil {
			return err
		}
	}
	return g.Deps.Drills.End(d.ID, actor, g.Now(), func(*drill.Drill) error { return nil })
}

func (g *Gateway) endDrillItem(ctx context.Context, d *drill.Drill, id dlp.ID) error {
	done, err := g.alone(id)
	if err != nil {
		return err
	}
	defer done()
	e, err := g.Vault.Get(ctx, id)
	held := err == nil && e.State == vault.Held
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return fmt.Errorf("gateway: end %s: %w", id, err)
	}
	if held {
		if err := g.noteDrill(ctx, d.ID, id, drill.StepTimeOver, ""); err != nil {
			return err
		}
		if err := g.move(ctx, store.Change{}, id, vault.Expired, "", "the drill ended"); err != nil {
			return fmt.Errorf("gateway: end %s: %w", id, err)
		}
	}
	return g.Deps.Drills.Change(id, func(it *drill.Item) {
		if it.State.Open() {
			it.State = drill.TimeOver
		}
	})
}

// offerDrill has one message of a drill judged, by the rules in force and as any
// other is, and holds it or tells its sender. It is given to no door and no next
// hop: whatever the verdict, it goes nowhere.
func (g *Gateway) offerDrill(ctx context.Context, d *drill.Drill, it *drill.Item) error {
	from, to := notify.Addresses([]string{it.From}), notify.Addresses([]string{d.To})
	if len(from) != 1 || len(to) != 1 {
		return drill.ErrForm
	}
	if e, err := g.Vault.Get(ctx, it.ID); err == nil { // by a run that died before it noted that
		return g.setDrill(it.ID, drill.Held, func(x *drill.Item) { x.At, x.Rules = e.Received, e.Rules })
	} else if !errors.Is(err, vault.ErrNotFound) {
		return fmt.Errorf("gateway: drill: %w", err)
	}
	now := g.Now()
	text := probe.Letter(from[0], to[0], now)
	doc := &dlp.Document{ID: it.ID, Channel: dlp.Mail, Sender: from[0], Rcpts: to, Received: now, Size: int64(len(text)), Open: dlp.OpenBytes(text)}
	j, err := g.judge(ctx, doc, headOf(doc), g.readAlone)
	if err != nil {
		return err
	}
	m := &mail{Gateway: g, doc: doc, j: j, ended: true} // there is no onward transaction
	if j.verdict.Rcpts[0].Action != dlp.Hold {
		return g.overDrill(ctx, d, it, drill.StepNotHeld, drill.NotHeld)
	}
	if d.Kind == drill.Senders {
		return m.tellDrill(ctx, d, it)
	}
	return m.holdDrill(ctx, d)
}

// setDrill notes where an item stands.
func (g *Gateway) setDrill(id dlp.ID, s drill.State, more func(*drill.Item)) error {
	return g.Deps.Drills.Change(id, func(it *drill.Item) {
		if !it.State.Open() { // somebody was faster
			return
		}
		it.State = s
		more(it)
	})
}

func (g *Gateway) overDrill(ctx context.Context, d *drill.Drill, it *drill.Item, step string, s drill.State) error {
	if err := g.noteDrill(ctx, d.ID, it.ID, step, ""); err != nil {
		return err
	}
	return g.setDrill(it.ID, s, func(x *drill.Item) { x.At = g.Now() })
}

// holdDrill puts the message into the queue.
func (m *mail) holdDrill(ctx context.Context, d *drill.Drill) (err error) {
	if err := m.noteDrill(ctx, d.ID, m.doc.ID, drill.StepOffer, ""); err != nil {
		return err
	}
	if m.seq, err = m.decide(ctx, m.doc, m.j); err != nil {
		return err
	}
	m.OnStep("drill held")
	_, _, err = m.take(ctx, store.Change{}, acts{held: m.doc.Rcpts})
	err = m.standing(ctx, err, func(ctx context.Context) (bool, error) {
		_, err := m.Vault.Get(ctx, m.doc.ID)
		if errors.Is(err, vault.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	switch {
	case errors.Is(err, store.ErrUnknown):
		m.outcome(ctx, m.doc, m.seq, audit.ResultUnknown)
		return err
	case err != nil:
		m.outcome(ctx, m.doc, m.seq, audit.ResultFailed)
		return err
	}
	m.outcome(ctx, m.doc, m.seq, audit.ResultHeld)
	m.OnStep("drill noted")
	rules, _ := m.j.verdict.Of(dlp.Hold)
	return m.setDrill(m.doc.ID, drill.Held, func(x *drill.Item) { x.At, x.Rules = m.doc.Received, rules.Rules })
}

// tellDrill tells the sender that the message is held, as they would be told of one
// of theirs; it is kept nowhere. What the link shows is on stable storage before.
func (m *mail) tellDrill(ctx context.Context, d *drill.Drill, it *drill.Item) error {
	n, text, ok := m.noticeOf(ctx, dlp.Hold, d.Ends)
	if !ok || n.Choices == nil {
		return m.overDrill(ctx, d, it, drill.StepNotTold, drill.NotTold)
	}
	key := m.Names.MAC("drill notice", []byte(it.ID))
	_, told, err := m.Store.LastNotice(ctx, key)
	if err != nil {
		return err
	}
	if !told {
		if err := m.noteDrill(ctx, d.ID, it.ID, drill.StepTell, ""); err != nil {
			return err
		}
		why, _ := m.j.verdict.Of(dlp.Hold)
		err := m.Deps.Drills.Change(it.ID, func(x *drill.Item) { x.At, x.Rules, x.Encrypt = m.doc.Received, why.Rules, n.Choices.Encrypt })
		if err != nil {
			return err
		}
		e, err := m.sealOwn(ctx, spool.Notice, it.ID, n.To, text)
		if err != nil {
			return err
		}
		ch := store.Change{Out: []spool.Entry{e}, Notices: []store.NoticeMark{{Key: key, At: m.Now()}}}
		if err := m.commit(ctx, ch); err != nil {
			m.discard(ctx, store.Change{Out: ch.Out}, err)
			return err
		}
	}
	m.OnStep("drill told")
	return m.setDrill(it.ID, drill.Told, func(*drill.Item) {})
}

// decideDrill ends an item of a drill as somebody decided: it goes nowhere and
// nobody is written to. The caller has it alone.
func (g *Gateway) decideDrill(ctx context.Context, id dlp.ID, did string, to vault.State, actor, words string) error {
	e, err := g.Vault.Get(ctx, id)
	if err == nil && e.State != vault.Held {
		err = ErrNotHeld
	}
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", id, err)
	}
	if err := g.noteDrill(ctx, g.drillOf(id), id, did, actor); err != nil {
		return err
	}
	g.OnStep("release")
	if err := g.move(ctx, store.Change{}, id, to, actor, words); err != nil {
		return fmt.Errorf("gateway: %s: %w", id, err)
	}
	poke(g.drilling)
	return nil
}

// drillOf is the drill of an item, "" where the book has it not any more.
func (g *Gateway) drillOf(id dlp.ID) dlp.ID {
	if g.Deps.Drills == nil {
		return ""
	}
	d, _, err := g.Deps.Drills.Of(id)
	if err != nil {
		return ""
	}
	return d.ID
}

// drillMail is what the sender of a message of a drill is shown by their link, and
// what they chose.
func (g *Gateway) drillMail(c choice) (HeldMail, error) {
	if g.Deps.Drills == nil {
		return HeldMail{}, ErrNoChoice
	}
	d, it, err := g.Deps.Drills.Of(c.id)
	if err != nil || d.Kind != drill.Senders {
		return HeldMail{}, ErrNoChoice
	}
	_, domain, _ := strings.Cut(d.To, "@")
	m := HeldMail{Received: it.At, Rules: it.Rules, Rcpts: 1, Domains: []string{strings.ToLower(domain)}, Until: c.until, Encrypt: c.encrypt && it.Encrypt,
		Coaching: g.rules.Load().coaching(it.Rules)}
	switch r, ended := it.Ended(); {
	case ended:
		m.Chosen, m.At, m.Drill = map[string]Chosen{drill.ChoseCancel: ChosenCancel, drill.ChoseEncrypt: ChosenEncrypted, drill.ChoseAsk: ChosenAsk}[r.Did], r.At, true
	case !it.State.Open() || !d.Running():
		m.Chosen, m.At, m.Drill = ChosenExpired, d.Ended, true
	}
	return m, nil
}

// chooseDrill notes what the sender of a message of a drill chose.
func (g *Gateway) chooseDrill(ctx context.Context, id dlp.ID, did string) error {
	g.OnStep("choice")
	if err := g.noteDrill(ctx, g.drillOf(id), id, did, bySender); err != nil {
		return err
	}
	poke(g.drilling)
	return nil
}

// telling is the audit log; what somebody does about an item of a drill is noted
// in its book too, before they hear that it is done.
type telling struct {
	Recorder
	g *Gateway
}

// Append records e.
func (t telling) Append(ctx context.Context, e audit.Event) (uint64, error) {
	seq, err := t.Recorder.Append(ctx, e)
	if err == nil {
		err = t.g.reacted(e)
	}
	return seq, err
}

// Note records e.
func (t telling) Note(ctx context.Context, e audit.Event) error {
	err := t.Recorder.Note(ctx, e)
	if err == nil {
		err = t.g.reacted(e)
	}
	return err
}

// reacted notes that somebody did what e tells of.
func (g *Gateway) reacted(e audit.Event) error {
	if e.Actor == "" || e.Doc == "" || g.Deps.Drills == nil || !g.isDrill(e.Doc) {
		return nil
	}
	var err error
	if e.Kind == audit.Review {
		err = g.Deps.Drills.Change(e.Doc, func(it *drill.Item) { it.Code = e.Reason })
	} else {
		err = g.Deps.Drills.React(e.Doc, drill.Reaction{At: g.Now(), By: e.Actor, Did: didOf(e)})
	}
	if errors.Is(err, drill.ErrNotFound) { // it was forgotten, or does not open
		return nil
	}
	if err != nil {
		return fmt.Errorf("gateway: note a reaction to %s: %w", e.Doc, err)
	}
	return nil
}

// didOf is what e tells of, in the words of a drill's report.
func didOf(e audit.Event) string {
	switch e.Kind {
	case audit.Drill:
		return e.Reason
	case audit.Look:
		if strings.HasPrefix(e.Reason, "reveal:") {
			return drill.Revealed
		}
		return drill.Opened
	case audit.Claim:
		if e.Reason == "let_go" {
			return drill.LetGo
		}
		return drill.Claimed
	case audit.Export:
		return drill.Downloaded
	case audit.Propose:
		return drill.FirstOfTwo
	case audit.RuleFile:
		return drill.ProposedChange
	}
	return drill.Other
}

// refuseDrill takes a message of a drill that came into the outbox after all out of
// it. It is the last thing before a connection.
func (g *Gateway) refuseDrill(ctx context.Context, m spool.Message) {
	g.Log.LogAttrs(ctx, slog.LevelError, "a message of a drill was in the outbox; it is dropped", slog.String("doc", string(m.Doc)))
	m.State = spool.Dropped
	if err := g.progress(ctx, m); err != nil {
		g.warn(ctx, "a message of a drill not dropped; it is not sent either", m.Doc, err)
	}
}
