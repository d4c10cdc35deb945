package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Message leads one mail down the road while its client waits. onward is the
// client's own transaction with the next hop; when Message returns it has been
// sent or reset.
func (g *Gateway) Message(ctx context.Context, doc *dlp.Document, onward dlp.Onward) (out dlp.Outcome) {
	m := &mail{Gateway: g, doc: doc, onward: onward}
	defer func() {
		if p := recover(); p != nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "handling a message broke; the sender is to try again",
				slog.String("doc", string(doc.ID)), slog.String("stack", string(debug.Stack())))
			out = dlp.Outcome{Kind: dlp.TryAgain, ID: doc.ID}
		}
		m.reset(ctx)
		if out.Kind == dlp.Spooled { // its end, and a document's count, are still to come
			g.Metrics.ReadOn()
			return
		}
		g.Metrics.Document("mail", m.counted(out.Kind))
	}()
	if err := doc.Validate(); err != nil {
		g.warn(ctx, "door made a bad document", doc.ID, err)
		return dlp.Outcome{ID: doc.ID}
	}
	looped, err := m.looped()
	if err != nil {
		g.warn(ctx, "header not read", doc.ID, err)
		return dlp.Outcome{ID: doc.ID}
	}
	if looped {
		return m.refuseLoop(ctx)
	}
	if out, done := m.repeated(ctx); done {
		return out
	}
	return m.lead(ctx)
}

// lead judges the message and acts.
func (m *mail) lead(ctx context.Context) dlp.Outcome {
	j, err := m.judge(ctx, m.doc, m.header, m.read)
	if errors.Is(err, errSlow) {
		return m.readOn(ctx)
	}
	if err != nil {
		return dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	}
	m.j = j
	out := m.act(ctx)
	out.Verdict = m.j.verdict
	if s, ok := m.sighted(m.doc); ok {
		m.probed(ctx, s, m.doc, m.j.verdict, out)
	}
	return out
}

// mail is one message on its way through the gateway.
type mail struct {
	*Gateway
	doc    *dlp.Document
	onward dlp.Onward
	ended  bool          // onward was sent or reset
	apart  []dlp.Address // recipients that an earlier offer of this message is held for; doc is without them
	j      judgement
	seq    uint64 // of the decision

	ciphers []cipher // the message encrypted, for those it is encrypted to
	sealed  bool     // it went encrypted to all

	head       *message.Head // nil before header has read it
	identified bool          // messageID was read
	messageID  string        // as the header has it, or ""
}

func (m *mail) reset(ctx context.Context) {
	if m.ended {
		return
	}
	m.ended = true
	ctx, cancel := lasting(ctx)
	defer cancel()
	_ = m.onward.Reset(ctx) // the door drops a connection that it could not reset
}

// act carries out the verdict: in the client's own transaction when it is the
// same for every recipient and lets the message pass, else as ours: also where
// one answer cannot stand for all recipients.
func (m *mail) act(ctx context.Context) dlp.Outcome {
	if err := m.encrypt(ctx); err != nil {
		m.warn(ctx, "message not encrypted; the sender is to try again", m.doc.ID, err)
		return dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	}
	defer m.forgetCiphers()
	first := m.j.verdict.Rcpts[0]
	equal := !slices.ContainsFunc(m.j.verdict.Rcpts, func(r dlp.RcptVerdict) bool {
		return r.Action != first.Action || tagOf(r) != tagOf(first)
	})
	passes := equal && !m.doc.Scattered && (first.Action == dlp.Allow || first.Action == dlp.AddTag)
	if passes && (len(m.apart) == 0 || m.keeps(nil)) {
		return m.pass(ctx, first)
	}
	if equal && first.Action == dlp.Reject && len(m.apart) == 0 {
		return m.reject(ctx)
	}
	if groups := m.groups(); len(groups.copies) == 1 && len(groups.rejected)+len(groups.ciphers) == 0 && m.keeps(groups.held) {
		return m.part(ctx, groups)
	}
	return m.own(ctx)
}

// tagOf is the X-Stanch-Tag that r puts in front of a copy, or "".
func tagOf(r dlp.RcptVerdict) string {
	if r.Action != dlp.AddTag {
		return ""
	}
	return r.Policy
}

// front is what stanch writes above the message for rcpts: signature, tag,
// trace fields and loop mark.
func (m *mail) front(ctx context.Context, tag string, rcpts []dlp.Address) ([]byte, error) {
	if _, err := m.identify(); err != nil {
		return nil, err
	}
	mark, err := m.mark(m.messageID, rcpts)
	if err != nil {
		return nil, err
	}
	if tag != "" {
		tag = "X-Stanch-Tag: " + tag + "\r\n"
	}
	return slices.Concat(m.signTagged(ctx, tag), []byte(tag), m.doc.Trace, mark), nil
}

// pass sends the message on; the client's reply is the next hop's own.
func (m *mail) pass(ctx context.Context, r dlp.RcptVerdict) dlp.Outcome {
	out := dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	var wg sync.WaitGroup
	if m.remarkable() {
		wg.Go(func() { m.keepCase(ctx) })
	}
	seq, err := m.decide(ctx, m.doc, m.j)
	wg.Wait()
	if err != nil {
		m.warn(ctx, "decision not recorded", m.doc.ID, err)
		return out
	}
	var body io.ReadCloser
	head, err := m.front(ctx, tagOf(r), m.doc.Rcpts)
	if err == nil {
		body, err = m.doc.Open()
	}
	if err != nil {
		m.warn(ctx, "message not read back", m.doc.ID, err)
		m.outcome(ctx, m.doc, seq, audit.ResultFailed)
		return out
	}
	defer body.Close()
	m.OnStep("send")
	m.ended = true
	var reply dlp.Reply
	if k, ok := m.onward.(dlp.Keeper); ok {
		reply, err = k.Keep(ctx, head, m.apart)
	} else {
		reply, err = m.onward.Send(ctx, head, body)
	}
	m.OnStep("sent")
	if err != nil {
		result := audit.ResultUnreached
		if se, ok := errors.AsType[*dlp.SendError](err); ok && se.AfterDot {
			result = audit.ResultUnknown
		}
		m.outcome(ctx, m.doc, seq, result)
		return dlp.Outcome{Kind: dlp.Unreached, ID: m.doc.ID}
	}
	result := audit.ResultPassed
	if !reply.Positive() {
		result = audit.ResultRefused
	}
	m.outcome(ctx, m.doc, seq, result)
	if reply.Positive() {
		m.relayed(ctx)
		if m.j.rules != nil && m.j.bypass == "" { // what passed unread says nothing of rules
			m.Sample.Offer(m.doc)
		}
	}
	return dlp.Outcome{Kind: dlp.Passed, ID: m.doc.ID, Reply: reply}
}

// remarkable reports whether a case is kept of the message: something was
// found or not read, or it may not pass as it is.
func (m *mail) remarkable() bool {
	return len(m.j.found) > 0 || len(m.j.gaps) > 0 || m.j.verdict.Strictest().Action != dlp.Allow
}

// keepCase seals what was found in a message that passes. Clean mail must flow
// when the vault has no room, so its failure is told and stops nothing: the
// decision itself stands in the audit log.
func (m *mail) keepCase(ctx context.Context) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	m.Gateway.keepCase(ctx, m.doc.ID, m.caseOf(m.envelope(nil)))
}

// reject refuses the message for everybody.
func (m *mail) reject(ctx context.Context) dlp.Outcome {
	out := dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	seq, err := m.decide(ctx, m.doc, m.j)
	if err != nil {
		m.warn(ctx, "decision not recorded", m.doc.ID, err)
		return out
	}
	m.reset(ctx)
	m.keepCase(ctx)
	notice, mark := m.notice(ctx, dlp.Reject)
	if notice != nil {
		if err := m.commit(ctx, store.Change{Out: notice, Notices: mark}); err != nil {
			m.warn(ctx, "sender not told of a refusal", m.doc.ID, err)
		}
	}
	m.outcome(ctx, m.doc, seq, audit.ResultRejected)
	return dlp.Outcome{Kind: dlp.Rejected, ID: m.doc.ID, Types: typesOf(m.j, dlp.Reject)}
}

// own takes the message over: what is held, and the copies for recipients who
// may have theirs, become ours in one durable transaction, or not at all.
func (m *mail) own(ctx context.Context) dlp.Outcome {
	return m.takeOver(ctx, func(rep store.Repeat) (dlp.OutcomeKind, string, error) {
		return m.take(ctx, store.Change{Repeats: []store.Repeat{rep}}, m.groups())
	})
}

// takeOver records the decision, gives the next hop's transaction up and has
// take make the message ours: what it commits holds the repeat that it is
// given. Of the same message at the same time only one is taken.
func (m *mail) takeOver(ctx context.Context, take func(store.Repeat) (dlp.OutcomeKind, string, error)) dlp.Outcome {
	out := dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	key, err := m.repeatKey(m.doc)
	if err != nil {
		m.warn(ctx, "repeat not looked up", m.doc.ID, err)
		return out
	}
	if x, found, err := m.claim(ctx, key); err != nil {
		return out
	} else if found {
		return m.absorb(ctx, x)
	}
	rep := store.Repeat{Key: key, ID: m.doc.ID, At: m.Now()}
	fate := errNotMade
	defer func() { m.repeats.end(rep, fate) }()

	m.seq, err = m.decide(ctx, m.doc, m.j)
	if err != nil {
		m.warn(ctx, "decision not recorded", m.doc.ID, err)
		return out
	}
	m.reset(ctx)
	kind, result, err := take(rep)
	if fate = err; err != nil {
		return m.notTaken(ctx, err)
	}
	m.outcome(ctx, m.doc, m.seq, result)
	return dlp.Outcome{Kind: kind, ID: m.doc.ID, Acknowledge: true}
}

// notTaken tells of a commit that failed, or that nobody knows of.
func (m *mail) notTaken(ctx context.Context, err error) dlp.Outcome {
	m.warn(ctx, "message not taken", m.doc.ID, err)
	result := audit.ResultFailed
	if errors.Is(err, store.ErrUnknown) {
		result = audit.ResultUnknown
	}
	m.outcome(ctx, m.doc, m.seq, result)
	return dlp.Outcome{Kind: dlp.NoRoom, ID: m.doc.ID}
}

// take seals everything of groups, which becomes ours, and commits it together
// with ch.
func (m *mail) take(ctx context.Context, ch store.Change, groups acts) (kind dlp.OutcomeKind, result string, err error) {
	defer func() {
		if err != nil {
			m.discard(ctx, ch, err)
		}
	}()
	if len(groups.held) > 0 {
		env := m.envelope(groups.held)
		env.Tell = m.mayTell() // who decides may have no key to see
		c := m.caseOf(env)
		c.Shown = m.shown(ctx, m.doc, m.j)
		item, err := m.Vault.Seal(ctx, m.doc, c)
		if err != nil {
			return 0, "", fmt.Errorf("gateway: seal %s: %w", m.doc.ID, err)
		}
		ch.Hold = append(ch.Hold, item)
	} else if m.remarkable() {
		rec, err := m.Vault.SealCase(ctx, m.doc.ID, m.caseOf(m.envelope(nil)))
		if err != nil {
			return 0, "", fmt.Errorf("gateway: seal case %s: %w", m.doc.ID, err)
		}
		ch.Cases = append(ch.Cases, rec)
	}
	for _, c := range groups.copies {
		e, err := m.sealCopy(ctx, c)
		if err != nil {
			return 0, "", fmt.Errorf("gateway: seal copy of %s: %w", m.doc.ID, err)
		}
		ch.Out = append(ch.Out, e)
	}
	for _, c := range groups.ciphers {
		if err := m.addCipher(ctx, c, &ch); err != nil {
			return 0, "", fmt.Errorf("gateway: seal encrypted copy of %s: %w", m.doc.ID, err)
		}
	}
	if len(groups.rejected) > 0 {
		es, err := m.sealRefusal(ctx, groups.rejected)
		if err != nil {
			return 0, "", err
		}
		ch.Out = append(ch.Out, es...)
	}
	told := dlp.Hold
	if len(groups.held) == 0 {
		told = dlp.Reject
	}
	isDrill := m.isDrill(m.doc.ID) // of which neither its sender is told here, nor anybody called
	if !isDrill {
		notice, mark := m.notice(ctx, told)
		ch.Out, ch.Notices = append(ch.Out, notice...), append(ch.Notices, mark...)
	}
	if m.tellsSenders() && m.mayTell() {
		why, _ := m.j.verdict.Of(dlp.Encrypt)
		n := notify.Notice{ID: m.doc.ID, Types: typesOf(m.j, dlp.Encrypt), Causes: why.Causes, Coaching: m.j.coaching(dlp.Encrypt)}
		notice, mark := m.waitingNotice(ctx, n, m.doc.Sender, groups.ciphers)
		ch.Out, ch.Notices = append(ch.Out, notice...), append(ch.Notices, mark...)
	}
	if len(groups.held) > 0 {
		severe, mark := m.atOnce(ctx, m.doc, m.j)
		ch.Out, ch.Notices = append(ch.Out, severe...), append(ch.Notices, mark...)
	}
	if !isDrill {
		ch.Call = m.callsOf(m.doc, ch.Hold)
	}
	if err := m.commit(ctx, ch); err != nil {
		return 0, "", err
	}
	if len(ch.Call) > 0 {
		poke(m.calls)
	}
	for _, c := range groups.ciphers {
		m.Metrics.Encrypted(string(c.way), len(c.rcpts))
	}
	kind, result = groups.outcome()
	m.sealed = len(groups.ciphers) > 0 && len(groups.held)+len(groups.rejected)+len(groups.copies)+len(m.apart) == 0
	return kind, result, nil
}

// counted is kind as metrics count the message: encrypted where all of it is.
func (m *mail) counted(kind dlp.OutcomeKind) string {
	if kind == dlp.Split && m.sealed {
		kind = dlp.Sealed
	}
	return kind.String()
}

// acts are the recipients of a Verdict by what happens to them.
type acts struct {
	held, rejected []dlp.Address
	copies         []outCopy
	ciphers        []cipher
}

// outCopy is the message for those recipients who get it with the same tag.
type outCopy struct {
	tag   string
	rcpts []dlp.Address
}

// outcome is what a message that is ours came to.
func (a acts) outcome() (kind dlp.OutcomeKind, result string) {
	leaves := len(a.copies)+len(a.ciphers) > 0
	switch {
	case !leaves && len(a.rejected) == 0:
		return dlp.Held, audit.ResultHeld
	case len(a.held) == 0 && len(a.rejected) == 0:
		return dlp.Split, audit.ResultSpooled
	case len(a.held) == 0 && !leaves:
		return dlp.Split, audit.ResultRejected
	}
	return dlp.Split, audit.ResultSplit
}

func groupByAct(v dlp.Verdict) acts {
	var a acts
	for _, r := range v.Rcpts {
		switch r.Action {
		case dlp.Allow, dlp.AddTag:
			i := slices.IndexFunc(a.copies, func(c outCopy) bool { return c.tag == tagOf(r) })
			if i < 0 {
				i = len(a.copies)
				a.copies = append(a.copies, outCopy{tag: tagOf(r)})
			}
			a.copies[i].rcpts = append(a.copies[i].rcpts, r.Rcpt)
		case dlp.Reject:
			a.rejected = append(a.rejected, r.Rcpt)
		default: // Hold, Encrypt where nothing is encrypted yet, and whatever else there may be
			a.held = append(a.held, r.Rcpt)
		}
	}
	return a
}

func (m *mail) sealCopy(ctx context.Context, c outCopy) (spool.Entry, error) {
	body, err := m.doc.Open()
	if err != nil {
		return spool.Entry{}, err
	}
	defer body.Close()
	head, err := m.front(ctx, c.tag, c.rcpts)
	if err != nil {
		return spool.Entry{}, err
	}
	return m.Spool.Seal(ctx, m.ours(spool.Copy, c.rcpts), io.MultiReader(bytes.NewReader(head), body))
}

// ours is a new message of the outbox that stands for m and goes to rcpts.
func (m *mail) ours(kind spool.Kind, rcpts []dlp.Address) spool.Message {
	out := m.outgoing(kind, m.doc.ID, m.doc.Sender, rcpts, m.seq)
	out.Params = m.doc.Params
	of := m.doc.ParamsOf()
	for i := range out.Rcpts {
		out.Rcpts[i].Params = of(out.Rcpts[i].Addr)
	}
	return out
}

// envelope is what is sealed about the message; held are the recipients it is
// held for.
func (m *mail) envelope(held []dlp.Address) vault.Envelope {
	env := vault.Envelope{Sender: m.doc.Sender, Rcpts: held, AllRcpts: m.doc.Rcpts, Params: m.doc.Params, Trace: m.doc.Trace}
	if m.doc.RcptParams != nil {
		of := m.doc.ParamsOf()
		for _, r := range held {
			env.RcptParams = append(env.RcptParams, of(r))
		}
	}
	return env
}

func (m *mail) caseOf(env vault.Envelope) vault.Case { return caseOf(m.doc, m.j, env, m.Now()) }

// absorb answers a repeat with the id of the hold it repeats.
func (m *mail) absorb(ctx context.Context, x store.Repeat) dlp.Outcome {
	e := m.event(audit.Repeat, m.doc)
	e.Of = x.ID
	rctx, cancel := lasting(ctx)
	defer cancel()
	if _, err := m.Audit.Append(rctx, e); err != nil {
		m.warn(ctx, "repeat not recorded", m.doc.ID, err)
		return dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	}
	m.reset(ctx)
	kind, err := m.kindOf(rctx, x.ID)
	if err != nil {
		m.warn(ctx, "repeated hold not looked up", m.doc.ID, err)
		return dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	}
	return dlp.Outcome{Kind: kind, ID: x.ID, Acknowledge: true}
}

// kindOf says what became of a message that is ours: it waits to be read, is
// held, or nothing of it was held.
func (g *Gateway) kindOf(ctx context.Context, id dlp.ID) (dlp.OutcomeKind, error) {
	ms, err := g.Spool.Of(ctx, id)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(ms, func(m spool.Message) bool { return m.Kind == spool.Reading && !m.State.Ended() }) {
		return dlp.Spooled, nil
	}
	_, err = g.Vault.Get(ctx, id)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return dlp.Split, nil
	case err != nil:
		return 0, err
	}
	return dlp.Held, nil
}
