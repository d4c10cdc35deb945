package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Submitter hands a probe in, as the people of the site hand in their mail, or
// leaves its file where they leave theirs.
type Submitter interface {
	Submit(ctx context.Context, p probe.Post) error
	// Clear takes away what a probe left in a watched folder.
	Clear(path string)
}

const (
	// submitWithin bounds handing a probe in.
	submitWithin = time.Minute
	// probeActor is who ends the hold of a probe, as the audit log names them.
	probeActor = "probe"
	// probeLooks bounds how many held documents are opened to find a probe.
	probeLooks = 1000
	// maxProbe is the largest document that is looked at for being a probe.
	maxProbe = 64 << 10
	// probePoll is the longest that probes wait for anything.
	probePoll = time.Minute
)

// brokenProbe keeps a fault in what only looks at documents away from them.
func (g *Gateway) brokenProbe(ctx context.Context, id dlp.ID) {
	if p := recover(); p != nil {
		g.Log.LogAttrs(ctx, slog.LevelError, "looking for a probe broke; the document is none the worse", slog.String("doc", string(id)),
			slog.String("stack", string(debug.Stack())))
	}
}

// sighted reports whether doc is one of the site's own probes. What it says is
// used only after the act: a probe is judged as everything is.
func (g *Gateway) sighted(doc *dlp.Document) (s probe.Sight, ok bool) {
	defer g.brokenProbe(context.Background(), doc.ID)
	if g.Probes == nil || len(g.Probes.Names()) == 0 || doc.Size > maxProbe {
		return s, false
	}
	r, err := doc.Open()
	if err != nil {
		return s, false
	}
	defer r.Close()
	return g.Probes.Recognise(r, doc.Channel, doc.Rcpts)
}

// left reports whether a recipient, or the file's readers, have the document.
func left(v dlp.Verdict, kind dlp.OutcomeKind) bool {
	switch kind {
	case dlp.Passed, dlp.Reported:
		return true
	case dlp.Split:
		return slices.ContainsFunc(v.Rcpts, func(r dlp.RcptVerdict) bool { return r.Action == dlp.Allow || r.Action == dlp.AddTag })
	}
	return false
}

// probed notes what became of a document that is a probe, when something did.
// The caller has acted.
func (g *Gateway) probed(ctx context.Context, s probe.Sight, doc *dlp.Document, v dlp.Verdict, out dlp.Outcome) {
	defer g.brokenProbe(ctx, doc.ID)
	ctx, cancel := lasting(ctx)
	defer cancel()
	if !s.OnItsWay {
		g.quoted(ctx, s, doc.ID)
		return
	}
	switch {
	case out.Kind == dlp.Passed && !out.Reply.Positive():
		return // the next hop refused it; its server tries again or gives up
	case left(v, out.Kind):
		g.settleProbe(ctx, s.Probe, probe.Passed, doc.ID)
	case out.Kind == dlp.Held:
		g.caught(ctx, s, doc.ID)
	case out.Kind == dlp.Rejected, out.Kind == dlp.Split, out.Kind == dlp.Sealed:
		g.settleProbe(ctx, s.Probe, probe.Caught, doc.ID)
	}
}

// quoted notes a document that has a probe's token and is not the probe: what
// became of it says nothing of the route.
func (g *Gateway) quoted(ctx context.Context, s probe.Sight, id dlp.ID) {
	g.Log.LogAttrs(ctx, slog.LevelWarn, "the token of a probe stands in a document that is no probe; it is treated like any other",
		slog.String("doc", string(id)), slog.String("route", s.Probe.Route))
}

// caught notes a probe that is held, and ends the hold: it is no work for an
// officer. One that is not what was sent stays held: somebody may have written
// something else under a probe's token.
func (g *Gateway) caught(ctx context.Context, s probe.Sight, id dlp.ID) {
	g.settleProbe(ctx, s.Probe, probe.Caught, id)
	if !s.Same {
		g.Log.LogAttrs(ctx, slog.LevelWarn, "a probe was held that is not as it was sent; it stays held",
			slog.String("doc", string(id)), slog.String("route", s.Probe.Route))
		return
	}
	if err := g.endProbe(ctx, id, s); err != nil {
		g.warn(ctx, "hold of a probe not ended", id, err)
		return
	}
	if path := g.Probes.FilePath(s.Probe); path != "" && g.Submit != nil {
		g.Submit.Clear(path)
	}
}

// endProbe ends the hold of a probe without a word to anybody, once what is
// held has been read back from the vault and found to be what was sent. Where the
// server has no key to read it, what was seen while it was judged decides: seen.
func (g *Gateway) endProbe(ctx context.Context, id dlp.ID, seen probe.Sight) error {
	done, err := g.alone(id)
	if err != nil {
		return err
	}
	defer done()
	e, err := g.Vault.Get(ctx, id)
	if err != nil || e.State != vault.Held {
		return err
	}
	s, ok, err := g.heldProbe(ctx, e)
	if errors.Is(err, vault.ErrLocked) {
		s, ok = seen, true
	}
	if !ok || !s.Same {
		return fmt.Errorf("gateway: %s is held, and is no probe", id)
	}
	e, seq, err := g.open(ctx, id, audit.Reject, "", probeActor, nil)
	if err != nil {
		return err
	}
	if err := g.move(ctx, store.Change{}, id, vault.Rejected, probeActor, ""); err != nil {
		g.notMoved(ctx, store.Change{}, e, seq, err)
		return err
	}
	g.done(ctx, e, seq, audit.ResultRejected)
	return nil
}

// heldProbe reports whether the held document e is a probe.
func (g *Gateway) heldProbe(ctx context.Context, e vault.Entry) (s probe.Sight, ok bool, err error) {
	r, err := g.Vault.Open(ctx, e.ID, nil)
	if err != nil {
		return s, false, err
	}
	defer r.Close()
	s, ok = g.Probes.Recognise(r, e.Channel, e.Envelope.Rcpts)
	return s, ok, nil
}

// sweepProbes looks among what is held for probes that this process has not
// seen being held: it died in between, or another part held them.
func (g *Gateway) sweepProbes(ctx context.Context) {
	oldest, any := g.Probes.Oldest()
	if !any {
		return
	}
	f, looks := vault.Filter{}, 0
	for {
		page, err := g.Vault.List(ctx, f)
		if err != nil {
			g.warn(ctx, "held documents not looked at for probes", "", err)
			return
		}
		if len(page) == 0 {
			return
		}
		for _, e := range page {
			if e.Received.Before(oldest.Add(-time.Minute)) || e.Size > maxProbe || e.Damaged {
				continue
			}
			if looks++; looks > probeLooks || ctx.Err() != nil {
				return
			}
			if s, ok, _ := g.heldProbe(ctx, e); ok && s.OnItsWay {
				g.caught(ctx, s, e.ID)
			}
		}
		f.After = page[len(page)-1].ID
	}
}

// settleProbe puts what became of a probe on record, and raises the alarm where
// it was not caught.
func (g *Gateway) settleProbe(ctx context.Context, p probe.Probe, result probe.Result, doc dlp.ID) {
	news, tell, err := g.Probes.Settle(p.ID, result, doc)
	if err != nil {
		g.warn(ctx, "fate of a probe not written down", doc, err) // RunProbes comes back to it
		return
	}
	if !news {
		return
	}
	e := audit.Event{Time: g.Now(), Kind: audit.Probe, Doc: doc, Reason: p.Route, Result: probeResult(result)}
	if _, err := g.Audit.Append(ctx, e); err != nil {
		g.warn(ctx, "fate of a probe not on the audit log", doc, err)
	}
	g.Metrics.Probe(p.Route, string(result))
	g.countRoutes()
	if !result.Alarm() {
		g.Log.LogAttrs(ctx, slog.LevelInfo, "a probe was caught", slog.String("doc", string(doc)), slog.String("route", p.Route))
		return
	}
	g.Log.LogAttrs(ctx, slog.LevelError, "a probe with invented patient data was not caught: a way out is open, or not known to be guarded",
		slog.String("doc", string(doc)), slog.String("route", p.Route), slog.String("result", string(result)))
	if path := g.Probes.FilePath(p); path != "" && g.Submit != nil {
		g.Submit.Clear(path)
	}
	if !tell {
		return
	}
	n := notify.ProbeNotice{ID: dlp.NewID(), Hostname: g.cfg.Hostname, Route: p.Route, Left: result == probe.Passed,
		NotSent: result == probe.NotSent, Sent: p.Sent, When: g.Now()}
	out := g.toOfficers(ctx, n.ID, g.cfg.Notices.OfficerAddresses(), func(to dlp.Address) []byte {
		n.To = to
		return g.cfg.Notices.Probe(n)
	})
	if len(out) == 0 {
		return
	}
	if err := g.commit(ctx, store.Change{Out: out}); err != nil {
		g.warn(ctx, "officers not told of an open way out", doc, err)
	}
}

func probeResult(r probe.Result) string {
	switch r {
	case probe.Caught:
		return audit.ResultCaught
	case probe.Passed:
		return audit.ResultPassed
	case probe.Missed:
		return audit.ResultMissed
	}
	return audit.ResultFailed
}

func (g *Gateway) countRoutes() {
	for _, s := range g.Probes.List() {
		g.Metrics.ProbeRoute(s.Route, s.Alarm, s.LastCaught)
	}
}

// RunProbes sends the probes that are due and raises the alarm for those that
// nobody saw in time, until ctx ends.
func (g *Gateway) RunProbes(ctx context.Context) error {
	if g.Probes == nil || g.Submit == nil || len(g.Probes.Names()) == 0 {
		return nil
	}
	g.countRoutes()
	g.sweepProbes(ctx) // held by a run that died before it saw that
	for {
		due, next := g.Probes.Due()
		if len(due) > 0 {
			g.sweepProbes(ctx) // what could not be ended when it was held
		}
		for _, name := range due {
			next = g.Now() // what is due next is known when these are sent
			if still, _ := g.Probes.Due(); !slices.Contains(still, name) {
				continue // it was tried on demand while another was handed in
			}
			if err := g.sendProbe(ctx, name, ""); err != nil && ctx.Err() == nil {
				g.warn(ctx, "probe not sent", "", err)
				next = time.Time{} // a disk that takes no record is not asked all the time
			}
		}
		if overdue := g.Probes.Overdue(); len(overdue) > 0 {
			g.sweepProbes(ctx)
			for _, p := range g.Probes.Overdue() {
				if ctx.Err() == nil {
					g.settleProbe(ctx, p, probe.Missed, "")
				}
			}
			if len(g.Probes.Overdue()) > 0 { // the disk takes nothing: it is not asked all the time
				next = g.Now().Add(settleMost)
			}
		}
		if !g.waitProbes(ctx, next) {
			return nil
		}
	}
}

// waitProbes waits until there may be something to do.
func (g *Gateway) waitProbes(ctx context.Context, next time.Time) bool {
	wait := probePoll
	if !next.IsZero() {
		wait = min(max(next.Sub(g.Now()), 10*time.Millisecond), probePoll)
	}
	return rest(ctx, wait, g.probing)
}

// sendProbe makes a probe, puts it on record, and hands it in; where one of that
// route is being handed in, that one will do.
func (g *Gateway) sendProbe(ctx context.Context, name, actor string) error {
	if _, on := g.handing.LoadOrStore(name, struct{}{}); on {
		return nil
	}
	defer g.handing.Delete(name)
	post, err := g.Probes.Make(name)
	if err != nil {
		return err
	}
	if _, err := g.Audit.Append(ctx, audit.Event{Time: g.Now(), Kind: audit.Probe, Reason: name, Result: audit.ResultSent, Actor: actor}); err != nil {
		return fmt.Errorf("gateway: record probe: %w", err)
	}
	g.Metrics.Probe(name, "sent")
	g.OnStep("probe")
	sctx, cancel := context.WithTimeout(ctx, submitWithin)
	defer cancel()
	err = g.Submit.Submit(sctx, post)
	g.OnStep("probe handed in")
	if err != nil && ctx.Err() == nil {
		g.warn(ctx, "probe not handed in", "", err)
		g.settleProbe(ctx, post.Probe, probe.NotSent, "")
	}
	return ctx.Err()
}

// Routes says where each configured route stands.
func (g *Gateway) Routes(context.Context) ([]probe.Status, error) {
	if g.Probes == nil {
		return []probe.Status{}, nil
	}
	return g.Probes.List(), nil
}

// SendProbes sends a probe on each of the named routes now, or on all.
func (g *Gateway) SendProbes(ctx context.Context, names []string, actor string) ([]probe.Status, error) {
	if g.Probes == nil || g.Submit == nil {
		return nil, ErrNoRoutes
	}
	known := g.Probes.Names()
	if len(known) == 0 {
		return nil, ErrNoRoutes
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("gateway: this serve has no route %q: `stanch doctor routes` lists them", n)
		}
	}
	if len(names) == 0 {
		names = known
	}
	for _, n := range names {
		if err := g.sendProbe(ctx, n, actor); err != nil {
			return nil, err
		}
	}
	poke(g.probing)
	return g.Probes.List(), nil
}
