package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

func (g *Gateway) kickIf(any bool) {
	if any {
		poke(g.wake)
	}
}

// RunOutbox delivers what is due until ctx ends, and returns when the tries
// under way have ended too.
func (g *Gateway) RunOutbox(ctx context.Context) error {
	return g.drain(ctx, &lane{state: spool.Queued, slots: make(chan struct{}, max(1, g.cfg.DeliveryWorkers)), wake: g.wake, work: g.try,
		broken: func(ctx context.Context, m spool.Message) { g.setAside(ctx, m, spool.WhyBroke) }})
}

// try makes one delivery of a message and records what became of each
// recipient before anything else happens to it.
func (g *Gateway) try(ctx context.Context, m spool.Message) {
	tried := m
	tried.Rcpts = nil
	for _, r := range m.Rcpts {
		if r.State == spool.RcptPending {
			tried.Rcpts = append(tried.Rcpts, r)
		}
	}
	dctx, cancel := context.WithTimeout(ctx, g.cfg.DeliverTimeout)
	defer cancel()
	g.OnStep("deliver")
	results := g.Deliver.Deliver(dctx, tried, func() (io.ReadCloser, error) { return g.Spool.Open(ctx, m.ID) })
	g.OnStep("delivered")
	if ctx.Err() != nil && allFailed(results) { // stopping: the try is not counted
		return
	}
	g.keepSettling(ctx, m, results)
}

// keepSettling records results until that is done. Until then the message
// keeps its place among those being delivered: what the next hop took is not
// sent again because a disk is full.
func (g *Gateway) keepSettling(ctx context.Context, m spool.Message, results []dlp.Delivery) {
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		err := g.settle(ctx, m, results)
		if err == nil {
			return
		}
		g.warn(ctx, "delivery not recorded", m.Doc, err)
		if errors.Is(err, store.ErrState) { // an earlier try was recorded after all
			return
		}
		if !g.pause(ctx, pause) {
			return
		}
	}
}

// Pauses between tries to record a delivery.
const (
	settleFirst = time.Second
	settleMost  = 30 * time.Second
)

func allFailed(ds []dlp.Delivery) bool {
	for _, d := range ds {
		if d.Err == nil {
			return false
		}
	}
	return true
}

// settle works the results of one try into m and makes them durable, together
// with the DSN they may lead to.
func (g *Gateway) settle(ctx context.Context, m spool.Message, results []dlp.Delivery) error {
	now := g.Now()
	m.Rcpts = slices.Clone(m.Rcpts) // the caller's stay as they were before this try
	m.Tries++
	expired := !now.Before(m.Expires)
	var rs reports
	byAddr := make(map[dlp.Address]dlp.Delivery, len(results))
	for _, r := range results {
		byAddr[r.Rcpt] = r
	}
	late := !m.DelayTold && !now.Before(m.Created.Add(delayTold))
	pending, delivered, failed := 0, 0, 0
	for i := range m.Rcpts {
		r := &m.Rcpts[i]
		if r.State != spool.RcptPending {
			continue
		}
		res, ok := byAddr[r.Addr]
		r.Tries++
		r.Code, r.Enhanced = res.Reply.Code, res.Reply.Enhanced
		switch {
		case ok && res.Err == nil && res.Reply.Positive():
			r.State = spool.RcptDelivered
			delivered++
			if res.Relayed {
				rs.relay(r.Addr, r.Params)
			}
		case ok && res.Err == nil && res.Reply.Permanent():
			r.State = spool.RcptFailed
			failed++
			rs.fail(r.Addr, r.Params, statusOf(res.Reply), res.Reply.Code)
		case expired:
			r.State = spool.RcptFailed
			failed++
			rs.fail(r.Addr, r.Params, "4.4.7", res.Reply.Code)
		default:
			pending++
			if late {
				rs.delay(r.Addr, r.Params, res.Reply.Code)
			}
		}
	}
	m.DelayTold = m.DelayTold || late
	m.Next = now.Add(spool.Backoff(m.Tries, rand.Float64()))
	if pending == 0 {
		m.State = spool.Delivered
		if failed > 0 {
			m.State = spool.Failed
		}
	}
	up, err := g.Spool.Progress(m)
	if err != nil {
		return fmt.Errorf("gateway: seal progress of %s: %w", m.Doc, err)
	}
	ch := store.Change{Progress: []spool.Update{up}}
	if m.Kind != spool.Notice && m.Kind != spool.DSN {
		d := notify.DSN{ID: m.Doc, Hostname: g.cfg.Hostname, To: m.From, EnvID: m.Params.EnvID, Arrived: m.Created, When: now, Until: m.Expires}
		if ch.Out, err = g.sealReports(ctx, d, rs); err != nil {
			return fmt.Errorf("gateway: seal report on %s: %w", m.Doc, err)
		}
	}
	if err := g.commit(ctx, ch); err != nil {
		return fmt.Errorf("gateway: record delivery of %s: %w", m.Doc, err)
	}
	if delivered > 0 || failed > 0 {
		g.recordDelivery(ctx, m, delivered, failed)
	}
	return nil
}

func (g *Gateway) recordDelivery(ctx context.Context, m spool.Message, delivered, failed int) {
	g.Metrics.Delivered(delivered)
	g.Metrics.Undelivered(failed)
	e := audit.Event{Time: g.Now(), Kind: audit.Deliver, Doc: m.Doc, Channel: dlp.Mail, Ref: m.Seq,
		Reason: string(m.Kind), Rcpts: delivered + failed, Result: audit.ResultDelivered}
	if failed > 0 {
		e.Result = audit.ResultUndelivered
	}
	rctx, cancel := lasting(ctx)
	defer cancel()
	if err := g.Audit.Note(rctx, e); err != nil {
		g.warn(ctx, "delivery not on the audit log", m.Doc, err)
	}
	g.Log.LogAttrs(ctx, slog.LevelInfo, "outbox delivery", slog.String("doc", string(m.Doc)),
		slog.String("kind", string(m.Kind)), slog.Int("delivered", delivered), slog.Int("failed", failed))
}

// statusOf is the RFC 3463 status of a refusal; without one given, the class's
// "other" status.
func statusOf(r dlp.Reply) string {
	if r.Enhanced != "" {
		return r.Enhanced
	}
	return fmt.Sprintf("%d.0.0", r.Code/100)
}
