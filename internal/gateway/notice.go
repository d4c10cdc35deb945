package gateway

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// maxHeader bounds what is read of a header block to see whether its sender
// may be written to.
const maxHeader = 1 << 20

// throttle remembers who was told of what lately, so that messages handled at
// the same moment do not each tell. The store remembers it for good.
type throttle struct {
	mu   sync.Mutex
	last map[[32]byte]time.Time // guarded by mu
}

// lately reports whether at is within an hour of now, either way: what is said to
// have been told later than that was told by a clock that was ahead.
func lately(at, now time.Time) bool { return now.Sub(at).Abs() < notify.Interval }

// take claims the right to tell key now.
func (t *throttle) take(key [32]byte, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.last[key]; ok && lately(at, now) {
		return false
	}
	for k, at := range t.last { // entries live for an hour, so the map is as large as an hour's senders
		if !lately(at, now) {
			delete(t.last, k)
		}
	}
	if t.last == nil {
		t.last = map[[32]byte]time.Time{}
	}
	t.last[key] = now
	return true
}

// giveBack undoes take: nobody was told.
func (t *throttle) giveBack(key [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.last, key)
}

// notice makes the message that tells the sender that action was taken, when
// the deciding policy wants it, the sender may be written to, and they have
// not been told within the hour. A notice that cannot be made stops nothing.
func (m *mail) notice(ctx context.Context, action dlp.Action) ([]spool.Entry, []store.NoticeMark) {
	n, text, ok := m.noticeOf(ctx, action, time.Time{})
	if !ok {
		return nil, nil
	}
	return m.tell(ctx, n, text)
}

// noticeOf writes that notice, whose link is good until then at the latest; ok is
// false where the policy wants none, or none is proper.
func (m *mail) noticeOf(ctx context.Context, action dlp.Action, until time.Time) (n notify.Notice, text []byte, ok bool) {
	i := slices.IndexFunc(m.j.verdict.Rcpts, func(r dlp.RcptVerdict) bool {
		return r.Action == action && slices.Contains(r.Notify, "sender")
	})
	if i < 0 || !m.mayTell() {
		return n, nil, false
	}
	all, _ := m.j.verdict.Of(action)
	n = notify.Notice{ID: m.doc.ID, Hostname: m.cfg.Hostname, To: m.doc.Sender, Hidden: m.hides(ctx, m.doc.Sender), Types: typesOf(m.j, action),
		Coaching: m.j.coaching(action), Parts: partsOf(m.j, action), Causes: all.Causes, Policy: m.j.verdict.Rcpts[i].Policy, When: m.Now()}
	compose := m.cfg.Notices.Held
	if action == dlp.Reject {
		compose = m.cfg.Notices.Rejected
	} else {
		n.Choices = m.choices(ctx, until)
	}
	return n, compose(n), true
}

// tell seals a notice, unless its reader was told of the same policy as often
// as may be within the hour.
func (g *Gateway) tell(ctx context.Context, n notify.Notice, text []byte) ([]spool.Entry, []store.NoticeMark) {
	now := g.Now()
	key, ok := g.mayTellAgain(ctx, n, now)
	if !ok {
		return nil, nil
	}
	e, err := g.sealOwn(ctx, spool.Notice, n.ID, n.To, text)
	if err != nil {
		g.warn(ctx, "notice not sealed", n.ID, err)
		return nil, nil
	}
	g.Metrics.Notice()
	return []spool.Entry{e}, []store.NoticeMark{{Key: key, At: now}}
}

// mayTellAgain claims one of the times that a reader may be told within the
// hour, and returns its key.
func (g *Gateway) mayTellAgain(ctx context.Context, n notify.Notice, now time.Time) (key [32]byte, ok bool) {
	return g.firstUntold(ctx, n.Times(), now, func(i int) [32]byte {
		policy := n.Policy
		if i > 0 {
			policy += "\x00" + strconv.Itoa(i)
		}
		return notify.Key(g.Names.MAC, n.To, policy)
	})
}

// firstUntold claims the first of some keys under which nothing was told within
// the hour.
func (g *Gateway) firstUntold(ctx context.Context, times int, now time.Time, key func(i int) [32]byte) ([32]byte, bool) {
	for i := range times {
		k := key(i)
		at, told, err := g.Store.LastNotice(ctx, k)
		if err != nil {
			return k, false
		}
		if (!told || !lately(at, now)) && g.notices.take(k, now) {
			return k, true
		}
	}
	return [32]byte{}, false
}

// mayTell reports whether an automatic answer to this message is proper.
//
// Source: RFC 3834 2.
func (m *mail) mayTell() bool {
	r, err := m.doc.Open()
	if err != nil {
		return false
	}
	defer r.Close()
	head, err := message.ReadHeader(r, maxHeader)
	if err != nil {
		return false
	}
	return notify.Wanted(head, m.doc.Sender)
}
