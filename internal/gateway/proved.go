package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// provedTo are the copies that go by dlp.VerifiedTLS, one for each destination:
// what is proved is proved of one.
func (g *Gateway) provedTo(from dlp.Address, rcpts []dlp.Address) (out []cipher) {
	at := map[int64]int{}
	for i, dest := range g.destsOf(from, rcpts) {
		j, known := at[dest]
		if !known {
			j = len(out)
			at[dest] = j
			out = append(out, cipher{way: dlp.VerifiedTLS})
		}
		out[j].rcpts = append(out[j].rcpts, rcpts[i])
	}
	return out
}

// sealProved seals the message as it came, for servers alone that prove to be its
// recipients'. What goes in front of it lies beside it, so that it can be judged
// once more where none does.
func (m *mail) sealProved(ctx context.Context, c cipher) (spool.Entry, error) {
	front, err := m.front(ctx, "", c.rcpts)
	if err != nil {
		return spool.Entry{}, err
	}
	open := func() (io.ReadCloser, error) { return m.doc.Open() }
	if c.content != nil {
		open = func() (io.ReadCloser, error) { return c.content.Open() }
	}
	body, err := open()
	if err != nil {
		return spool.Entry{}, err
	}
	defer body.Close()
	out := m.ours(spool.Proved, c.rcpts)
	out.Trace, out.Front = m.doc.Trace, front
	return m.Spool.Seal(ctx, out, body)
}

// unproved reports whether a recipient's server did not prove to be theirs.
func unproved(results []dlp.Delivery) bool {
	return slices.ContainsFunc(results, func(d dlp.Delivery) bool { return errors.Is(d.Err, dlp.ErrNotProved) })
}

// proofEnough reports whether a proved connection is enough for all of rcpts by the
// rules as they are now: somebody may have been excepted since the message was taken.
// While none are loaded what was decided stands.
func (g *Gateway) proofEnough(rcpts []spool.Rcpt) bool {
	rules := g.rules.Load()
	return rules == nil || rules.Ways != nil && !slices.ContainsFunc(rcpts, func(r spool.Rcpt) bool { return !rules.Ways.Proof(r.Addr) })
}

// turn gives a message to the readers for which no server proved to be its
// recipients': they judge it once more, for those who do not have it yet, and it
// goes another way encrypted, or is held. Nothing of it is delivered as it is any
// more.
func (g *Gateway) turn(ctx context.Context, m spool.Message) {
	e := audit.Event{Time: g.Now(), Kind: audit.Deliver, Doc: m.Doc, Of: m.ID, Channel: dlp.Mail, Ref: m.Seq, Reason: string(m.Kind), Result: audit.ResultTurned}
	rctx, cancel := lasting(ctx)
	defer cancel()
	if _, err := g.Audit.Append(rctx, e); err != nil {
		g.warn(ctx, "turn to another way not recorded; it is tried again", m.Doc, err)
		return
	}
	g.OnStep("turn")
	m.State, m.Tries, m.Next = spool.ToRead, 0, g.Now()
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		err := g.progress(ctx, m)
		if err == nil {
			break
		}
		g.warn(ctx, "message not turned to another way", m.Doc, err)
		if !g.pause(ctx, pause) {
			return // it is tried again, and turned then
		}
	}
	g.OnStep("turned")
	g.Metrics.NotProved()
	g.Log.LogAttrs(ctx, slog.LevelWarn, "no server proved to be a recipient's, or that is not enough any more: the message goes another way, or is held", slog.String("doc", string(m.Doc)))
	poke(g.unread.wake)
}

// neverClear has nobody get a message as it is for which no server proved to be
// its recipients', whatever rules, a bypass or a switch say by now.
func (g *Gateway) neverClear(ctx context.Context, doc *dlp.Document, j judgement) judgement {
	if !doc.Unproved {
		return j
	}
	rules := g.rules.Load()
	if j.rules != nil {
		rules = j.rules
	}
	j.verdict.Rcpts = slices.Clone(j.verdict.Rcpts)
	for i := range j.verdict.Rcpts {
		if r := &j.verdict.Rcpts[i]; r.Action == dlp.Allow || r.Action == dlp.AddTag {
			r.Action, r.Way = dlp.Encrypt, ""
		}
	}
	if rules != nil {
		j.rules, j.request, j.ways = rules, rules.Request, rules.Ways
	}
	j.verdict = rules.withWays(ctx, doc, j.verdict)
	return j
}
