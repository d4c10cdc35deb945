package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// commit makes ch durable, whether or not its client is still there.
func (g *Gateway) commit(ctx context.Context, ch store.Change) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	g.OnStep("commit")
	if err := g.Store.Commit(ctx, ch); err != nil {
		return err
	}
	g.OnStep("committed")
	g.kickIf(len(ch.Out) > 0)
	return nil
}

// standing returns err, that of a commit. Where that is no answer, it is nil if
// the commit stands after all, errNotStanding if it does not, and err only when
// ctx ended before that was known. stands looks, by what is on record: what shows
// there is on stable storage. What does not show is nowhere once stable storage
// has come to all that was handed to it before: a later commit, of nothing, that
// fails says nothing of that, whatever its error, so it is made until ctx ends.
func (g *Gateway) standing(ctx context.Context, err error, stands func(context.Context) (bool, error)) error {
	if !errors.Is(err, store.ErrUnknown) {
		return err
	}
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		before := g.Store.Commit(ctx, store.Change{})
		yes, lerr := stands(ctx)
		switch {
		case lerr == nil && yes:
			g.kickIf(true)
			poke(g.calls)
			return nil
		case lerr == nil && before == nil:
			return errNotStanding
		case !g.pause(ctx, pause):
			return err
		}
	}
}

// errNotStanding says that stable storage gave no answer, and that nothing stands.
var errNotStanding = errors.New("gateway: no answer from stable storage, and nothing was changed")

// discard removes what was staged for a Change that was not committed because
// of err. A Change whose fate is not known keeps what was staged: it may yet
// stand. What discard misses, the store's sweep at the next start removes.
func (g *Gateway) discard(ctx context.Context, ch store.Change, err error) {
	if errors.Is(err, store.ErrUnknown) {
		return
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	for _, it := range ch.Hold {
		_ = g.Vault.Discard(ctx, it)
	}
	for _, e := range ch.Out {
		_ = g.Spool.Discard(ctx, e)
	}
	for _, it := range ch.Parcels {
		_ = g.Pickup.Discard(ctx, it)
	}
	for _, n := range ch.Notices {
		g.notices.giveBack(n.Key)
	}
}

// outgoing is a new outbox message of ours that is due at once.
func (g *Gateway) outgoing(kind spool.Kind, doc dlp.ID, from dlp.Address, rcpts []dlp.Address, seq uint64) spool.Message {
	now := g.Now()
	m := spool.Message{ID: dlp.NewID(), Doc: doc, Kind: kind, From: from, Created: now, Next: now,
		Expires: now.Add(g.cfg.OutboxExpiry), State: spool.Queued, Seq: seq}
	for _, r := range rcpts {
		m.Rcpts = append(m.Rcpts, spool.Rcpt{Addr: r, State: spool.RcptPending})
		m.Params.UTF8 = m.Params.UTF8 || !r.IsASCII()
	}
	if len(rcpts) > 0 {
		m.Dest = g.destsOf(from, rcpts[:1])[0]
	}
	return m
}

// keepCase seals and commits why a document whose content is not kept was
// decided upon as it was. Its failure is told and stops nothing: the decision
// itself stands in the audit log.
func (g *Gateway) keepCase(ctx context.Context, id dlp.ID, c vault.Case) {
	rec, err := g.Vault.SealCase(ctx, id, c)
	if err == nil {
		err = g.Store.Commit(ctx, store.Change{Cases: []vault.Record{rec}})
	}
	if err != nil {
		g.warn(ctx, "case record not kept", id, err)
	}
}

func caseOf(doc *dlp.Document, j judgement, env vault.Envelope, now time.Time) vault.Case {
	return vault.Case{Envelope: env, Channel: doc.Channel, Verdict: j.verdict, Findings: j.found, Gaps: j.gaps,
		Decided: now, Size: doc.Size}
}

// typesOf lists the kinds of data that made recipients come to action, sorted.
func typesOf(j judgement, action dlp.Action) []dlp.Type {
	var types []dlp.Type
	for _, f := range j.found {
		for _, r := range j.verdict.Rcpts {
			if r.Action == action && slices.Contains(r.Rules, f.Rule) {
				types = append(types, f.Type)
				break
			}
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// partsOf lists the parts in which that data, or what could not be read, lies.
func partsOf(j judgement, action dlp.Action) []string {
	var parts []string
	add := func(p string) {
		if !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	for _, r := range j.verdict.Rcpts {
		if r.Action != action {
			continue
		}
		for _, f := range j.found {
			if slices.Contains(r.Rules, f.Rule) {
				add(f.Path)
			}
		}
		for _, gap := range j.gaps {
			if slices.Contains(r.Causes, gap.Cause) {
				add(gap.Path)
			}
		}
	}
	return parts
}
