package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// delayTold is how long a message may wait before its sender is told that it
// does. Sendmail and Exchange wait as long.
const delayTold = 4 * time.Hour

// reports gathers what a sender is to be told about the recipients of one
// message.
type reports struct{ failed, delayed, relayed []notify.RcptStatus }

// any reports whether there is something to report.
func (rs *reports) any() bool { return len(rs.failed)+len(rs.delayed)+len(rs.relayed) > 0 }

// fail notes a recipient who will not get it; said is the last reply about them.
// RFC 3461 4.1: without NOTIFY the sender is told.
func (rs *reports) fail(r dlp.Address, p dlp.RcptParams, status string, said dlp.Reply) {
	if p.Notify == "" || asked(p, "FAILURE") {
		rs.failed = append(rs.failed, notify.RcptStatus{Rcpt: r, ORcpt: p.ORcpt, Status: status, Code: said.Code, Enhanced: said.Enhanced})
	}
}

// delay notes a recipient who still waits.
func (rs *reports) delay(r dlp.Address, p dlp.RcptParams, said dlp.Reply) {
	if p.Notify == "" || asked(p, "DELAY") {
		rs.delayed = append(rs.delayed, notify.RcptStatus{Rcpt: r, ORcpt: p.ORcpt, Status: "4.4.7", Code: said.Code, Enhanced: said.Enhanced})
	}
}

// relay notes a recipient whom a next hop took over that will not report on it.
// RFC 3461 5.2.2.
func (rs *reports) relay(r dlp.Address, p dlp.RcptParams) {
	if asked(p, "SUCCESS") {
		rs.relayed = append(rs.relayed, notify.RcptStatus{Rcpt: r, ORcpt: p.ORcpt, Status: "2.0.0"})
	}
}

// asked reports whether NOTIFY names word.
func asked(p dlp.RcptParams, word string) bool {
	return slices.Contains(strings.Split(p.Notify, ","), word)
}

// sealReports makes the notifications; d says which message they are about. What
// of its envelope is not clean they do not repeat.
func (g *Gateway) sealReports(ctx context.Context, d notify.DSN, rs reports) (out []spool.Entry, err error) {
	for _, k := range []struct {
		kind  notify.DSNKind
		rcpts []notify.RcptStatus
	}{{notify.Failed, rs.failed}, {notify.Delayed, rs.delayed}, {notify.Relayed, rs.relayed}} {
		if len(k.rcpts) == 0 {
			continue
		}
		d.Kind, d.Rcpts = k.kind, k.rcpts
		e, ok, err := g.sealDSN(ctx, g.discreet(ctx, d))
		if err != nil {
			g.discard(ctx, store.Change{Out: out}, err)
			return nil, err
		}
		if ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// sealDSN seals d, unless it would go to the null reverse-path.
func (g *Gateway) sealDSN(ctx context.Context, d notify.DSN) (spool.Entry, bool, error) {
	if d.To.IsNull() {
		return spool.Entry{}, false, nil
	}
	e, err := g.sealOwn(ctx, spool.DSN, d.ID, d.To, g.cfg.Notices.DSN(d))
	g.Metrics.DSN()
	return e, err == nil, err
}

// sealRefusal makes the DSN that tells the sender which recipients a split
// message was refused for; none to the null reverse-path, nor for recipients
// about whom the sender does not want to hear.
//
// Source: RFC 3464; RFC 5321 6.1.
func (m *mail) sealRefusal(ctx context.Context, rejected []dlp.Address) ([]spool.Entry, error) {
	var rs reports
	of := m.doc.ParamsOf()
	for _, a := range rejected {
		rs.fail(a, of(a), "5.7.1", dlp.Reply{Code: 550, Enhanced: "5.7.1"})
	}
	d := m.aboutMail()
	refused, _ := m.j.verdict.Of(dlp.Reject)
	d.Types, d.Causes, d.Coaching = typesOf(m.j, dlp.Reject), refused.Causes, m.j.coaching(dlp.Reject)
	return m.sealReports(ctx, d, rs)
}

func (m *mail) aboutMail() notify.DSN {
	return notify.DSN{ID: m.doc.ID, Hostname: m.cfg.Hostname, To: m.doc.Sender, EnvID: m.doc.Params.EnvID, Arrived: m.doc.Received, When: m.Now()}
}

// relayed tells the sender that the message went on, where they asked to be
// told of success and the next hop will not do it. The message has left: what
// goes wrong here is told and changes nothing.
func (m *mail) relayed(ctx context.Context) {
	p, ok := m.onward.(interface{ PassesDSN() bool })
	if !ok || p.PassesDSN() {
		return
	}
	var rs reports
	for i, rp := range m.doc.RcptParams {
		rs.relay(m.doc.Rcpts[i], rp)
	}
	if len(rs.relayed) == 0 {
		return
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	out, err := m.sealReports(ctx, m.aboutMail(), rs)
	if err == nil && len(out) > 0 {
		if err = m.commit(ctx, store.Change{Out: out}); err != nil {
			m.discard(ctx, store.Change{Out: out}, err)
		}
	}
	if err != nil {
		m.warn(ctx, "sender not told that a message went on", m.doc.ID, err)
	}
}
