package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// A mail server that keeps its message while it asks (dlp.Keeper) can go on
// with it for some recipients, while the vault has it for the others. The vault
// comes first: a server that then dies, or cannot queue the message, has not
// answered its client, which sends again. The repeat finds those recipients
// served, and takes the road for the rest alone.

// keeps reports whether the other side can go on with the message by itself,
// without drop and without the recipients that were served before.
func (m *mail) keeps(drop []dlp.Address) bool {
	k, ok := m.onward.(dlp.Keeper)
	return ok && k.CanDrop(slices.Concat(m.apart, drop))
}

// repeated looks for what is ours of this message already. All of it: the
// message is answered, and done. Some recipients' copies: doc is narrowed to
// the others.
func (m *mail) repeated(ctx context.Context) (out dlp.Outcome, done bool) {
	again := dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	for m.repeats.any() {
		key, err := m.repeatKey(m.doc)
		if err != nil {
			m.warn(ctx, "repeat not looked up", m.doc.ID, err)
			return again, true
		}
		if x, ok, err := m.sought(ctx, key); err != nil {
			m.warn(ctx, "repeat not looked up", m.doc.ID, err)
			return again, true
		} else if ok {
			return m.absorb(ctx, x), true
		}
		if _, ok := m.onward.(dlp.Keeper); !ok {
			break
		}
		if key, err = m.partKey(m.doc); err != nil {
			m.warn(ctx, "repeat not looked up", m.doc.ID, err)
			return again, true
		}
		x, ok, err := m.sought(ctx, key)
		if err != nil {
			m.warn(ctx, "repeat not looked up", m.doc.ID, err)
			return again, true
		}
		if !ok {
			break
		}
		if narrowed, err := m.narrow(ctx, x); err != nil {
			m.warn(ctx, "repeated hold not looked up", m.doc.ID, err)
			return again, true
		} else if !narrowed {
			break
		}
	}
	return again, false
}

// narrow takes the recipients that x is held for off the message, and reports
// whether there were any. What was decided about x since does not matter: it
// was made for this very message.
func (m *mail) narrow(ctx context.Context, x store.Repeat) (bool, error) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	item, err := m.Vault.Get(ctx, x.ID)
	if errors.Is(err, vault.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rest := *m.doc
	rest.Rcpts, rest.RcptParams = nil, nil
	of := m.doc.ParamsOf()
	var served []dlp.Address
	for _, r := range m.doc.Rcpts {
		if slices.Contains(item.Envelope.Rcpts, r) {
			served = append(served, r)
			continue
		}
		rest.Rcpts = append(rest.Rcpts, r)
		if m.doc.RcptParams != nil {
			rest.RcptParams = append(rest.RcptParams, of(r))
		}
	}
	if len(served) == 0 || len(rest.Rcpts) == 0 { // no hold in part was made so
		return false, nil
	}
	e := m.event(audit.Repeat, m.doc)
	e.Of = x.ID
	if _, err := m.Audit.Append(ctx, e); err != nil {
		return false, err
	}
	m.doc, m.apart = &rest, append(m.apart, served...)
	return true, nil
}

// part holds the message for some recipients, and then has the other side go on
// with it for the rest. The hold is never acknowledged by a command: that the
// other side has our answer does not say that it could keep its part.
func (m *mail) part(ctx context.Context, groups acts) dlp.Outcome {
	out := dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	key, err := m.partKey(m.doc)
	if err != nil {
		m.warn(ctx, "repeat not looked up", m.doc.ID, err)
		return out
	}
	if x, found, err := m.claim(ctx, key); err != nil {
		return out
	} else if found { // made since this one was judged
		if narrowed, err := m.narrow(ctx, x); err != nil || !narrowed {
			return out
		}
		return m.lead(ctx)
	}
	copy := groups.copies[0]
	head, err := m.front(ctx, copy.tag, copy.rcpts)
	rep := store.Repeat{Key: key, ID: m.doc.ID, At: m.Now()}
	fate := errNotMade
	end := func() { m.repeats.end(rep, fate) }
	defer func() { end() }()

	if err == nil {
		m.seq, err = m.decide(ctx, m.doc, m.j)
	}
	if err != nil {
		m.warn(ctx, "decision not recorded", m.doc.ID, err)
		return out
	}
	if _, _, fate = m.take(ctx, store.Change{Repeats: []store.Repeat{rep}}, acts{held: groups.held}); fate != nil {
		return m.notTaken(ctx, fate)
	}
	end()
	end = func() {}

	m.OnStep("send")
	m.ended = true
	reply, err := m.onward.(dlp.Keeper).Keep(ctx, head, slices.Concat(m.apart, groups.held))
	m.OnStep("sent")
	if err != nil || !reply.Positive() {
		m.outcome(ctx, m.doc, m.seq, audit.ResultUnknown)
		return dlp.Outcome{Kind: dlp.Unreached, ID: m.doc.ID}
	}
	m.outcome(ctx, m.doc, m.seq, audit.ResultSplit)
	return dlp.Outcome{Kind: dlp.Split, ID: m.doc.ID, Reply: reply}
}
