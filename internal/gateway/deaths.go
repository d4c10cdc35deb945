package gateway

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// maxDeaths is how often in a row the process may die while it delivers a
// message, before the message is set aside.
const maxDeaths = 3

// apart is how long after one message that an earlier process had in hand the
// next is tried, so that one that ends the process takes few of them with it.
const apart = time.Second

// countDeaths puts on record, before anything is delivered, what was in hand
// when an earlier process died. It tries until that is done, or ctx ends: then
// it returns false.
func (g *Gateway) countDeaths(ctx context.Context) bool {
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		err := g.countOnce(ctx)
		if err == nil {
			return true
		}
		g.warn(ctx, "what was being delivered when the last process died is not on record", "", err)
		if !g.pause(ctx, pause) {
			return false
		}
	}
}

func (g *Gateway) countOnce(ctx context.Context) error {
	var ch store.Change
	var aside []spool.Message
	next := g.Now()
	for _, id := range g.Hand.Left() {
		m, err := g.Spool.Find(ctx, id)
		if errors.Is(err, spool.ErrNotFound) || err == nil && (m.State != spool.Queued || m.Damaged) {
			continue // it has ended; a damaged one is set aside when it is due
		}
		if err != nil {
			return err
		}
		m = g.shifted(m)
		m.Deaths++
		m.Next = next
		next = next.Add(apart)
		if m.Deaths >= maxDeaths {
			m.State, m.Why = spool.Poison, spool.WhyBroke
			aside = append(aside, m)
		}
		up, err := g.Spool.Progress(m)
		if err != nil {
			return err
		}
		ch.Progress = append(ch.Progress, up)
	}
	if len(ch.Progress) > 0 {
		if err := g.commit(ctx, ch); err != nil {
			return err
		}
	}
	for _, m := range aside {
		g.asideTold(ctx, m)
	}
	return g.Hand.Forget()
}

// asideTold says that a message is set aside.
func (g *Gateway) asideTold(ctx context.Context, m spool.Message) {
	g.Log.LogAttrs(ctx, slog.LevelError, "a message of the spool is set aside; see stanch queue list",
		slog.String("doc", string(m.Doc)), slog.String("id", string(m.ID)), slog.String("cause", string(m.Why)))
	g.Metrics.SetAside(string(m.Why))
}
