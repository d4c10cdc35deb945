package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// judgement is what is known about a Document and what it comes to.
type judgement struct {
	verdict dlp.Verdict
	found   []dlp.Finding
	gaps    []dlp.Gap
	bypass  dlp.ID // under which it leaves unread, for some at least; "" for none
	rules   *Rules // that judged it; nil: none did
	request Request
	ways    Ways // what the ways of the verdict were chosen from; nil: none was
}

// errNotRead says that nothing at all is known about a Document; the sender is
// to try again, and a file is to stay.
var errNotRead = errors.New("gateway: document could not be read at all")

// errSlow says that reading takes longer than its client is to wait, and that
// it may go on without.
var errSlow = errors.New("gateway: reading takes longer than a client waits")

// reader reads and detects one Document.
type reader func(ctx context.Context, doc *dlp.Document, rules *Rules) ([]dlp.Finding, []dlp.Gap, error)

// judge reads, detects and decides. Its error means that there is no verdict
// and nothing may be done: errNotRead, errSlow, or the caller's context is over.
func (g *Gateway) judge(ctx context.Context, doc *dlp.Document, head header, read reader) (j judgement, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "judging broke; the document is held",
				slog.String("doc", string(doc.ID)), slog.String("stack", string(debug.Stack())))
			j = judgement{verdict: held(doc, dlp.ReasonJudgeFailed)}
			err = nil
		}
	}()
	rules := g.rules.Load()
	if j, on, err := g.underBypass(ctx, doc, head, rules); on {
		return j, err
	}
	if rules == nil {
		return judgement{}, errNotRead
	}
	if !g.cfg.ScanEnabled {
		g.Metrics.NotScanned(doc.Channel.String())
		return g.passUnread(ctx, doc, head, rules, dlp.ReasonNotScanned)
	}
	if doc, err = rules.Request.asked(doc, head); err != nil {
		g.warn(ctx, "header not read", doc.ID, err)
		return judgement{}, errNotRead
	}
	start := g.Now()
	found, gaps, err := read(ctx, doc, rules)
	if err != nil {
		return judgement{}, err
	}
	v := rules.Policy.Decide(doc, found, gaps)
	v = rules.withWays(ctx, doc, v)
	if severalNames(doc) {
		for i := range v.Rcpts {
			if r := &v.Rcpts[i]; r.Reason == dlp.ReasonNoWay {
				r.Reason = dlp.ReasonHardLink
			}
		}
	}
	g.known(doc, &v, found)
	g.Metrics.Judged(doc.Channel.String(), v.Strictest().Action.String(), g.Now().Sub(start))
	if s := v.Monitors(); s.MonitoredPolicy != "" {
		g.Metrics.Monitored(doc.Channel.String(), s.Monitored.String())
	}
	for _, f := range found {
		g.Metrics.Finding(string(f.Rule))
	}
	inline := 0
	for _, gap := range gaps {
		g.Metrics.Gap(gap.Cause.String())
		if gap.Inline && gap.Cause == dlp.Image && v.Strictest().Action == dlp.Allow {
			inline++
		}
	}
	g.Metrics.InlineImages(inline)
	return judgement{verdict: v, found: found, gaps: gaps, rules: rules, request: rules.Request, ways: rules.Ways}, nil
}

// read extracts and detects while a client waits, a message under the scan
// time-out. No client waits for a file: the bounds of extraction are its bounds.
func (g *Gateway) read(ctx context.Context, doc *dlp.Document, rules *Rules) ([]dlp.Finding, []dlp.Gap, error) {
	turn, err := g.firstTurn(ctx, g.classOf(doc))
	if err != nil {
		return nil, nil, err
	}
	defer func() { turn.done() }()
	// From its first PDF on a document is in the way of others with a PDF alone.
	// And from its first picture whose words are read, of others with one; a client
	// never waits for that.
	slow := func(ctx context.Context, r dlp.SlowReader) error {
		if r == dlp.OCRReader && doc.Channel == dlp.Mail {
			return g.later()
		}
		return turn.move(ctx, g.turnsOf(r))
	}
	if doc.Channel == dlp.File {
		return g.readWithin(ctx, 0, doc, rules, slow)
	}
	found, gaps, err := g.readWithin(ctx, g.cfg.ScanTimeout, doc, rules, slow)
	if g.cfg.Background.Queue > 0 && timedOut(gaps) {
		return nil, nil, errSlow
	}
	return found, gaps, err
}

// later is the error that has a message read on without its client, or where
// none is, without what takes long.
func (g *Gateway) later() error {
	if g.cfg.Background.Queue > 0 {
		return errSlow
	}
	return dlp.ErrWithout
}

// timedOut reports the gap of a document that was not read in time.
func timedOut(gaps []dlp.Gap) bool {
	return slices.ContainsFunc(gaps, func(gap dlp.Gap) bool { return gap.Cause == dlp.Timeout && gap.Detail == policy.ScanTimeout })
}

// readWithin extracts and detects for no longer than limit, 0 being no limit.
// What was not read in time is a Gap of the whole, which holds whatever the
// policies say. slow waits for the turn of a slow reader, which is not timed;
// nil waits for none.
func (g *Gateway) readWithin(ctx context.Context, limit time.Duration, doc *dlp.Document, rules *Rules,
	slow func(context.Context, dlp.SlowReader) error) ([]dlp.Finding, []dlp.Gap, error) {
	timed, clock := newPatience(ctx, limit)
	defer clock.end()
	d := rules.Detect()
	turn := slowSink{d, func(ctx context.Context, r dlp.SlowReader) error {
		if slow == nil {
			return nil
		}
		clock.stop()
		defer clock.goOn()
		return slow(ctx, r)
	}}
	var sink dlp.Sink = turn
	if g.Passwords != nil && doc.Channel == dlp.Mail {
		sink = pairSink{turn, g.Passwords, doc}
	}
	err := g.Extract.Extract(timed, doc, sink)
	if err == nil {
		err = readEnvelope(doc, rules, d)
	}
	found, gaps := d.Finish()
	switch {
	case err == nil:
		return found, gaps, nil
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case errors.Is(err, errSlow):
		return nil, nil, errSlow
	case timed.Err() != nil:
		return found, append(gaps, dlp.Gap{Cause: dlp.Timeout, Detail: policy.ScanTimeout, Size: doc.Size}), nil
	}
	g.warn(ctx, "document not read", doc.ID, err)
	return nil, nil, fmt.Errorf("%w: %s", errNotRead, doc.ID)
}

// known lets pass what a person released before at this very place: the same
// content is not taken again unless a rule or a gap that was not among those
// released now counts.
func (g *Gateway) known(doc *dlp.Document, v *dlp.Verdict, found []dlp.Finding) {
	if doc.Known == nil || len(v.Rcpts) != 1 {
		return
	}
	r := &v.Rcpts[0]
	if r.Action == dlp.Allow || r.Reason == dlp.ReasonJudgeFailed || r.Reason == dlp.ReasonTimeout {
		return
	}
	for _, rule := range r.Rules {
		if !slices.Contains(doc.Known.Rules, rule) {
			return
		}
	}
	for _, c := range r.Causes {
		if !slices.Contains(doc.Known.Causes, c) {
			return
		}
	}
	r.Action, r.Reason = dlp.Allow, dlp.ReasonReleased
}

// held is the verdict on a Document of which nothing is known.
func held(doc *dlp.Document, reason string) dlp.Verdict {
	return forAll(doc, dlp.RcptVerdict{Action: dlp.Hold, Reason: reason})
}

func forAll(doc *dlp.Document, r dlp.RcptVerdict) dlp.Verdict {
	v := dlp.Verdict{}
	rcpts := doc.Rcpts
	if doc.Channel == dlp.File {
		rcpts = []dlp.Address{{}}
	}
	for _, a := range rcpts {
		r.Rcpt = a
		v.Rcpts = append(v.Rcpts, r)
	}
	return v
}

func (g *Gateway) warn(ctx context.Context, msg string, id dlp.ID, err error) {
	g.Log.LogAttrs(ctx, slog.LevelWarn, msg, slog.String("doc", string(id)), safelog.Err(err))
}
