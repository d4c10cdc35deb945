package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
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

// RunOutbox delivers what is due until ctx ends. It begins no delivery then, and
// returns when those under way have ended and are recorded; Config.StopWithin
// later they are cut.
func (g *Gateway) RunOutbox(ctx context.Context) error {
	g.outages.began(g.Outages, g.Now())
	defer func() { g.outages.ended(g.Now()) }()
	if !g.countDeaths(ctx) {
		return nil
	}
	dests := newDestinations(g.cfg.PerDestination)
	stopping := func() bool { return ctx.Err() != nil }
	return g.drain(ctx, &lane{state: spool.Queued, slots: make(chan struct{}, max(1, g.cfg.DeliveryWorkers)), wake: g.wake, dests: dests, grace: g.cfg.StopWithin,
		work:   func(ctx context.Context, m spool.Message, sent func()) { g.try(ctx, m, dests, stopping, sent) },
		broken: func(ctx context.Context, m spool.Message) { g.setAside(ctx, m, spool.WhyBroke) }})
}

// try makes one delivery of a message, to one destination after the other, and
// records what became of the recipients at one before the next is tried. It
// calls sent when nothing more is sent: what is then still to be recorded keeps
// no other from its destination, and shares its sync with others. Once stopping,
// no further destination is tried.
func (g *Gateway) try(ctx context.Context, m spool.Message, dests *destinations, stopping func() bool, sent func()) {
	if m.Kind != spool.Notice && g.isDrill(m.Doc) {
		g.refuseDrill(ctx, m)
		return
	}
	m = g.shifted(m)
	m.Tries++
	legs := g.legs(m)
	for i, l := range legs {
		if stopping() {
			return
		}
		if m.Kind == spool.Proved && !g.proofEnough(l.rcpts) {
			g.turn(ctx, m)
			return
		}
		tried := m
		tried.Rcpts = l.rcpts
		content := &watched{open: g.opener(ctx, m), take: func() func() { return g.Hand.Take(m.ID) }}
		dctx, cancel := context.WithTimeout(ctx, g.cfg.DeliverTimeout)
		g.OnStep("deliver")
		results := g.Deliver.Deliver(dctx, tried, content.reader)
		g.OnStep("delivered")
		cancel()
		failed := allFailed(results)
		if ctx.Err() != nil && failed && !unproved(results) { // cut: the try is not counted
			return
		}
		broken := content.failed() && failed
		if broken && m.Tries >= maxReads {
			g.setAside(ctx, m, spool.WhyContent)
			return
		}
		if !broken {
			dests.heard(l.dest, !failed)
		}
		if i == len(legs)-1 {
			sent()
		}
		var ok bool
		if m, ok = g.keepSettling(ctx, m, l.rcpts, results, i == len(legs)-1); !ok {
			return
		}
		if m.Kind == spool.Proved && unproved(results) {
			g.turn(ctx, m)
			return
		}
	}
}

// opener opens the content of m. A small one, which a delivery opens twice, is
// looked up and unsealed once.
func (g *Gateway) opener(ctx context.Context, m spool.Message) func() (io.ReadCloser, error) {
	open := g.contentOpener(ctx, m)
	if len(m.Front) == 0 {
		return open
	}
	return func() (io.ReadCloser, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(m.Front), r), r}, nil
	}
}

func (g *Gateway) contentOpener(ctx context.Context, m spool.Message) func() (io.ReadCloser, error) {
	if m.Size > spool.InlineMax {
		return func() (io.ReadCloser, error) { return g.Spool.Open(ctx, m.ID) }
	}
	var content []byte
	return func() (io.ReadCloser, error) {
		if content == nil {
			r, err := g.Spool.Open(ctx, m.ID)
			if err != nil {
				return nil, err
			}
			defer r.Close()
			if content, err = io.ReadAll(r); err != nil {
				content = nil
				return nil, err
			}
		}
		return io.NopCloser(bytes.NewReader(content)), nil
	}
}

// watched passes a content on and remembers whether it could be read. The
// message is in hand while it is: not while its next hop is waited for, which
// may take minutes and is no fault of the message.
type watched struct {
	open func() (io.ReadCloser, error)
	take func() (done func()) // notes that the message is in hand
	bad  atomic.Bool
}

func (w *watched) reader() (io.ReadCloser, error) {
	done := sync.OnceFunc(w.take())
	r, err := w.open()
	if err != nil {
		done()
		w.note(err)
		return nil, err
	}
	return &watchedReader{r, w, done}, nil
}

// note remembers an error of the content itself; that of a disk may pass.
func (w *watched) note(err error) {
	if !errors.Is(err, store.ErrNoRoom) && !errors.Is(err, context.Canceled) {
		w.bad.Store(true)
	}
}

func (w *watched) failed() bool { return w.bad.Load() }

type watchedReader struct {
	io.ReadCloser
	of   *watched
	done func()
}

// Read reads on.
func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil {
		r.done()
		if err != io.EOF {
			r.of.note(err)
		}
	}
	return n, err
}

// Close ends the reading.
func (r *watchedReader) Close() error {
	r.done()
	return r.ReadCloser.Close()
}

// keepSettling records what became of the recipients that were tried until
// that is done; ok is then true. Until then the message keeps its place among
// those being delivered: what the next hop took is not sent again because a
// disk is full.
func (g *Gateway) keepSettling(ctx context.Context, m spool.Message, tried []spool.Rcpt, results []dlp.Delivery, last bool) (now spool.Message, ok bool) {
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		now, err := g.settle(ctx, m, tried, results, last)
		if err == nil {
			return now, true
		}
		g.warn(ctx, "delivery not recorded", m.Doc, err)
		if errors.Is(err, store.ErrState) { // an earlier try was recorded after all
			return m, false
		}
		if !g.pause(ctx, pause) {
			return m, false
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

// errNoResult stands for a result that a Deliverer did not give.
var errNoResult = errors.New("gateway: no result of the delivery")

// answers gives every recipient that was tried its result.
func answers(tried []spool.Rcpt, results []dlp.Delivery) map[dlp.Address]dlp.Delivery {
	out := make(map[dlp.Address]dlp.Delivery, len(tried))
	for _, r := range tried {
		out[r.Addr] = dlp.Delivery{Rcpt: r.Addr, Err: errNoResult}
	}
	for _, d := range results {
		out[d.Rcpt] = d
	}
	return out
}

// settle works the results of one try of the recipients tried into m and makes
// them durable, together with the DSN they may lead to. last says that no
// other destination is tried after this one.
func (g *Gateway) settle(ctx context.Context, m spool.Message, tried []spool.Rcpt, results []dlp.Delivery, last bool) (spool.Message, error) {
	now := g.Now()
	m.Rcpts = slices.Clone(m.Rcpts) // the caller's stay as they were before this try
	m.Deaths = 0                    // the process lives
	expired := !now.Before(m.Expires)
	var rs reports
	byAddr := answers(tried, results)
	late := !m.DelayTold && !now.Before(m.Created.Add(delayTold))
	pending, delivered, failed := 0, 0, 0
	for i := range m.Rcpts {
		r := &m.Rcpts[i]
		if r.State != spool.RcptPending {
			continue
		}
		res, ok := byAddr[r.Addr]
		if !ok {
			pending++
			continue
		}
		r.Tries++
		r.Code, r.Enhanced, r.At = res.Reply.Code, res.Reply.Enhanced, stageOf(res.Err)
		switch {
		case res.Err == nil && res.Reply.Positive():
			r.State = spool.RcptDelivered
			delivered++
			if res.Relayed {
				rs.relay(r.Addr, r.Params)
			}
		case res.Err == nil && res.Reply.Permanent():
			r.State = spool.RcptFailed
			failed++
			rs.fail(r.Addr, r.Params, statusOf(res.Reply), res.Reply)
		case expired && !errors.Is(res.Err, dlp.ErrNotProved): // that goes another way
			r.State = spool.RcptFailed
			failed++
			rs.fail(r.Addr, r.Params, "4.4.7", res.Reply)
		default:
			pending++
			if late {
				rs.delay(r.Addr, r.Params, res.Reply)
			}
		}
	}
	m.DelayTold = m.DelayTold || late && last
	if last { // until then it is due: after a crash the others are tried at once
		m.Next = now.Add(spool.Backoff(m.Tries, rand.Float64()))
	}
	if pending == 0 {
		m.State = spool.Delivered
		if failed > 0 {
			m.State = spool.Failed
		}
	}
	if left := g.legs(m); len(left) > 0 {
		m.Dest = left[0].dest
	}
	up, err := g.Spool.Progress(m)
	if err != nil {
		return m, fmt.Errorf("gateway: seal progress of %s: %w", m.Doc, err)
	}
	ch := store.Change{Progress: []spool.Update{up}}
	if rs.any() && m.Kind != spool.Notice && m.Kind != spool.DSN {
		d := notify.DSN{ID: m.Doc, Hostname: g.cfg.Hostname, To: m.From, EnvID: m.Params.EnvID, Arrived: g.arrived(ctx, m), When: now, Until: m.Expires}
		if ch.Out, err = g.sealReports(ctx, d, rs); err != nil {
			return m, fmt.Errorf("gateway: seal report on %s: %w", m.Doc, err)
		}
	}
	err = g.standing(ctx, g.commit(ctx, ch), func(ctx context.Context) (bool, error) { // recorded once more, its reports would go out twice
		now, err := g.Spool.Get(ctx, m.ID)
		return slices.Equal(now.Rcpts, m.Rcpts), err
	})
	if err != nil {
		return m, fmt.Errorf("gateway: record delivery of %s: %w", m.Doc, err)
	}
	if delivered > 0 || failed > 0 {
		g.recordDelivery(ctx, m, delivered, failed)
	}
	return m, nil
}

// arrived is when the document of m came: what was held came before it was
// queued. RFC 3464 2.2.5.
func (g *Gateway) arrived(ctx context.Context, m spool.Message) time.Time {
	if held, err := g.Vault.Get(ctx, m.Doc); err == nil {
		return held.Received
	}
	return m.Created // it was never held, or nobody can tell now
}

// stageOf is the step at which the next hop failed; "" where err names none.
func stageOf(err error) string {
	if e, ok := errors.AsType[*dlp.StageError](err); ok {
		return e.At
	}
	return ""
}

// recordDelivery tells of what became of delivered and failed recipients of m, and
// ends what waits for those whom it did not reach.
func (g *Gateway) recordDelivery(ctx context.Context, m spool.Message, delivered, failed int) {
	if m.Kind == spool.Encrypted && failed > 0 {
		g.endUndelivered(ctx, m)
	}
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
