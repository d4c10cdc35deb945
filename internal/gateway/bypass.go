package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// Bypassed is a bypass as `stanch bypass` shows it. The reason is in a person's
// words: it goes to the officer and nowhere else.
type Bypassed struct {
	ID      dlp.ID     `json:"id"`
	Active  bool       `json:"active"`
	Actor   string     `json:"actor"`
	Reason  string     `json:"reason"`
	Began   time.Time  `json:"began"`
	Ends    time.Time  `json:"ends"`
	Passed  int64      `json:"passed"` // messages passed unread
	Ended   *time.Time `json:"ended,omitempty"`
	How     string     `json:"how,omitempty"`
	EndedBy string     `json:"ended_by,omitempty"`
}

func bypassed(b bypass.Bypass) Bypassed {
	out := Bypassed{ID: b.ID, Active: b.Ended.IsZero(), Actor: b.Actor, Reason: b.Reason, Began: b.Began, Ends: b.Ends, Passed: b.Passed,
		How: b.How, EndedBy: b.By}
	if !b.Ended.IsZero() {
		out.Ended = &b.Ended
	}
	return out
}

// bypassAlarm is how often a bypass in force is warned of and written down.
const bypassAlarm = time.Minute

// underBypass judges doc where mail passes unread now, and reports whether it
// does. What is held or refused all the same, since its sender asks for what cannot
// be had, has not passed: it is neither counted nor noted as such.
func (g *Gateway) underBypass(ctx context.Context, doc *dlp.Document, head header, rules *Rules) (j judgement, on bool, err error) {
	if g.Bypass == nil || doc.Channel != dlp.Mail {
		return judgement{}, false, nil
	}
	id, passed, on := g.Bypass.Pass()
	if !on {
		return judgement{}, false, nil
	}
	j, err = g.passUnread(ctx, doc, head, rules, dlp.ReasonBypass)
	leaves := func(r dlp.RcptVerdict) bool { return r.Action != dlp.Hold && r.Action != dlp.Reject }
	if err == nil && slices.ContainsFunc(j.verdict.Rcpts, leaves) {
		j.bypass = id
		passed()
		g.Metrics.BypassPassed()
	}
	return j, true, err
}

// passUnread is the judgement on what passes unread for reason. Nothing is read
// but the header, by this process itself: neither children nor rules are needed,
// unless its sender asks for encryption. Then the policies say for whom, and while
// there are none it is held. The error is errNotRead.
func (g *Gateway) passUnread(ctx context.Context, doc *dlp.Document, head header, rules *Rules, reason string) (judgement, error) {
	request := g.cfg.Request
	if rules != nil {
		request = rules.Request
	}
	asked, err := request.asked(doc, head)
	switch {
	case err != nil:
		g.warn(ctx, "header not read", doc.ID, err)
		return judgement{}, errNotRead
	case !asked.Asked:
		return judgement{verdict: forAll(doc, dlp.RcptVerdict{Action: dlp.Allow, Reason: reason})}, nil
	case rules == nil: // who is outside, and how to reach them, is not known
		return judgement{verdict: held(doc, dlp.ReasonNoWay)}, nil
	}
	v := rules.Policy.Unread(asked, reason)
	v = rules.withWays(ctx, doc, v)
	return judgement{verdict: v, rules: rules, request: rules.Request, ways: rules.Ways}, nil
}

// BeginBypass lets mail pass unread for d. It is on the audit log before the
// first message passes. Officers are told; that they could not be stops nothing.
func (g *Gateway) BeginBypass(ctx context.Context, d time.Duration, reason, actor string) (Bypassed, error) {
	if g.Bypass == nil {
		return Bypassed{}, fmt.Errorf("gateway: bypass: %w", bypass.ErrOff)
	}
	b, err := g.Bypass.Begin(d, reason, actor, func(b bypass.Bypass) error {
		return g.recordBypass(ctx, audit.Event{Kind: audit.BypassOn, Doc: b.ID, Actor: b.Actor, Until: b.Ends})
	})
	if err != nil {
		return Bypassed{}, fmt.Errorf("gateway: bypass: %w", err)
	}
	g.alarmBypass(ctx, b)
	g.tellOfBypass(ctx, b)
	select {
	case g.begun <- struct{}{}:
	default:
	}
	return bypassed(b), nil
}

// EndBypass has mail read again, from this moment on.
func (g *Gateway) EndBypass(ctx context.Context, actor string) (Bypassed, error) {
	if g.Bypass == nil {
		return Bypassed{}, fmt.Errorf("gateway: bypass: %w", bypass.ErrNone)
	}
	b, err := g.Bypass.End(actor, func(b bypass.Bypass) error { return g.endedBypass(ctx, b) })
	if err != nil && b.ID == "" {
		return Bypassed{}, fmt.Errorf("gateway: bypass: %w", err)
	}
	if err != nil { // mail is read again all the same; the tick has it recorded
		g.warn(ctx, "end of a bypass not recorded yet", b.ID, err)
	}
	return bypassed(b), nil
}

// Bypasses lists the bypass in force and, with all, those that were before it.
func (g *Gateway) Bypasses(ctx context.Context, all bool) ([]Bypassed, error) {
	out := []Bypassed{}
	if g.Bypass == nil {
		return out, nil
	}
	if !all {
		if b, on := g.Bypass.Status(); on {
			out = append(out, bypassed(b))
		}
		return out, nil
	}
	bs, err := g.Bypass.List()
	if err != nil {
		g.warn(ctx, "some records of bypasses could not be read", "", err)
	}
	for _, b := range bs {
		out = append(out, bypassed(b))
	}
	return out, nil
}

// RunBypass ends a bypass when its time is over, puts that on record, and warns
// each minute while one is in force, until ctx ends.
func (g *Gateway) RunBypass(ctx context.Context) error {
	if g.Bypass == nil {
		return nil
	}
	for {
		if err := g.Bypass.Tick(func(b bypass.Bypass) error { return g.endedBypass(ctx, b) }); err != nil && ctx.Err() == nil {
			g.warn(ctx, "bypass not written down", "", err)
		}
		wait := bypassAlarm
		b, on := g.Bypass.Status()
		if on {
			g.alarmBypass(ctx, b)
			if left, ok := g.Bypass.Left(); ok {
				wait = min(wait, left+time.Millisecond)
			}
		} else {
			g.Metrics.BypassActive(false)
		}
		if !rest(ctx, wait, g.begun) {
			// What passed since the last minute is noted for the next start.
			if err := g.Bypass.Tick(func(b bypass.Bypass) error { return g.endedBypass(ctx, b) }); err != nil {
				g.warn(ctx, "bypass not written down", "", err)
			}
			return nil
		}
	}
}

func (g *Gateway) alarmBypass(ctx context.Context, b bypass.Bypass) {
	g.Metrics.BypassActive(true)
	g.Log.LogAttrs(ctx, slog.LevelWarn, "a bypass is in force: mail passes unread", slog.String("id", string(b.ID)),
		slog.Time("until", b.Ends), slog.Int64("messages", b.Passed))
}

// endedBypass puts the end of a bypass on record, and tells officers.
func (g *Gateway) endedBypass(ctx context.Context, b bypass.Bypass) error {
	e := audit.Event{Kind: audit.BypassOff, Doc: b.ID, Actor: b.By, Reason: b.How}
	if err := g.recordBypass(ctx, e); err != nil {
		return err
	}
	g.Metrics.BypassActive(false)
	g.Log.LogAttrs(ctx, slog.LevelWarn, "a bypass has ended", slog.String("id", string(b.ID)),
		slog.String("reason", b.How), slog.Int64("messages", b.Passed))
	if b.How != bypass.NotBegun {
		g.tellOfBypass(ctx, b)
	}
	return nil
}

// BypassPast reads what the audit log has of the bypass id: the lines that
// BeginBypass, its end, and each message that passed under it have left.
func BypassPast(ctx context.Context, log *audit.Log, id dlp.ID) (p bypass.Past, err error) {
	err = log.About(ctx, id, func(m audit.Mention) bool {
		switch {
		case m.Kind == audit.BypassOff && m.Doc == id && p.Ended.IsZero():
			p.Ended, p.How, p.By = m.Time, m.Reason, m.Actor
		case m.Kind == audit.Decision && m.Of == id:
			p.Passed++
		case m.Kind == audit.BypassOn && m.Doc == id:
			p.Begun = true
			return false // there is nothing of it before
		}
		return true
	})
	return p, err
}

func (g *Gateway) recordBypass(ctx context.Context, e audit.Event) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	e.Time, e.Channel = g.Now(), dlp.Mail
	if _, err := g.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("gateway: record bypass: %w", err)
	}
	return nil
}

// tellOfBypass writes to the officers that mail passes unread, or is read
// again. The reason stays here.
func (g *Gateway) tellOfBypass(ctx context.Context, b bypass.Bypass) {
	n := notify.BypassNotice{ID: b.ID, Hostname: g.cfg.Hostname, Ends: b.Ends, Over: !b.Ended.IsZero(), Passed: b.Passed, When: g.Now()}
	out := g.toOfficers(ctx, b.ID, g.cfg.Notices.OfficerAddresses(), func(to dlp.Address) []byte {
		n.To = to
		return g.cfg.Notices.Bypass(n)
	})
	if len(out) == 0 {
		return
	}
	if err := g.commit(ctx, store.Change{Out: out}); err != nil {
		g.warn(ctx, "officers not told of a bypass", b.ID, err)
	}
}

// toOfficers seals one notice for each officer, and for who is now their deputy.
// One that cannot be sealed is told of and left out.
func (g *Gateway) toOfficers(ctx context.Context, id dlp.ID, officers []dlp.Address, text func(to dlp.Address) []byte) []spool.Entry {
	ctx, cancel := lasting(ctx)
	defer cancel()
	if g.People != nil {
		if all, err := g.People.WithDeputies(officers); err != nil {
			g.warn(ctx, "deputies of officers are not known; they are not told", id, err)
		} else {
			officers = all
		}
	}
	var out []spool.Entry
	for _, to := range officers {
		e, err := g.sealOwn(ctx, spool.Notice, id, to, text(to))
		if err != nil {
			g.warn(ctx, "notice to an officer not sealed", id, err)
			continue
		}
		g.Metrics.Notice()
		out = append(out, e)
	}
	return out
}
