package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Released is how a release went for the recipients who were to have the mail
// encrypted: how many get it so, and how many as it came, in the clear.
type Released struct {
	Encrypted   int `json:"encrypted,omitempty"`
	Unencrypted int `json:"unencrypted,omitempty"`
}

// reason is r as the audit log has it.
func (r Released) reason() string {
	switch {
	case r.Unencrypted > 0:
		return audit.ReasonUnencrypted
	case r.Encrypted > 0:
		return audit.ReasonEncrypted
	}
	return ""
}

// ErrNoRules says that it is not known how a mail is encrypted, since nothing is
// loaded that says so.
var ErrNoRules = errors.New("it was to be encrypted, and only a running serve whose rules are loaded can: start `stanch serve`, then release it")

// Release sends a held message on through the outbox, or puts a held file back.
// Who was to have the message encrypted gets it so; where no way leads to one of them,
// nobody gets it: ErrUnencrypted. All others get it byte for byte as it came behind its
// trace fields. When it returns nil that is on stable storage. keys are the item's,
// where the server has none of its own: vault.ErrLocked. ErrNoRules.
func (g *Gateway) Release(ctx context.Context, id dlp.ID, keys vault.Opened, actor string) (Released, error) {
	return g.ReleaseFor(ctx, id, keys, actor, Review{})
}

// ReleaseFor is Release with a reviewer's reason.
func (g *Gateway) ReleaseFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv Review) (Released, error) {
	done, err := g.alone(id)
	if err != nil {
		return Released{}, err
	}
	defer done()
	if err := g.unlocked(ctx, id, keys); err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	held, err := g.Vault.Get(ctx, id)
	if err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	if err := rv.asShown(held); err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	if err := g.notOwn(actor, held.Envelope.Sender); err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	rcpts, err := rv.selected(held)
	if err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	if err := g.second(ctx, id, keys, actor, &rv, rcpts); err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	m, how, err := g.encryptHeld(ctx, held, keys, rcpts, rv.Encrypted)
	if err != nil {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	defer m.forgetCiphers()
	if how.Unencrypted > 0 && !rv.Unencrypted {
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, ErrUnencrypted)
	}
	if err := g.reviewed(ctx, id, rv, actor, ""); err != nil {
		return Released{}, err
	}
	if g.isDrill(id) {
		did := drill.WouldRelease
		if how.Encrypted > 0 {
			did = drill.WouldEncrypt
		}
		return how, g.decideDrill(ctx, id, did, vault.Released, actor, rv.Words)
	}
	e, seq, err := g.open(ctx, id, audit.Release, how.reason(), actor, rcpts)
	if err != nil {
		return Released{}, err
	}
	rest := beside(e.Envelope.Rcpts, rcpts)
	var ch store.Change
	if e.Channel == dlp.File {
		err = g.releaseFile(ctx, e, keys)
	} else {
		m.seq = seq
		err = m.release(ctx, e, keys, rcpts, &ch)
	}
	g.OnStep("release")
	switch {
	case err != nil:
	case len(rest) > 0:
		err = g.narrow(ctx, ch, e, rest)
	default:
		err = g.move(ctx, ch, id, vault.Released, actor, rv.Words)
	}
	if err != nil {
		g.notMoved(ctx, ch, e, seq, err)
		return Released{}, fmt.Errorf("gateway: release %s: %w", id, err)
	}
	g.done(ctx, e, seq, audit.ResultReleased)
	return how, nil
}

// unlocked reports whether the content of id can be opened at all: a release
// that cannot begin is not recorded as one.
func (g *Gateway) unlocked(ctx context.Context, id dlp.ID, keys vault.Opened) error {
	r, err := g.Vault.Open(ctx, id, keys.Content)
	if errors.Is(err, vault.ErrLocked) || keys.Content != nil && err != nil {
		return err
	}
	if err == nil {
		return r.Close()
	}
	return nil // the release says what is wrong, and that is on record
}

// encryptHeld makes the encrypted messages of a held one, for those of rcpts who
// were to have it encrypted and whom no way led to then, and with all for each of
// rcpts, and none by what a server proves. It must end in forgetCiphers.
func (g *Gateway) encryptHeld(ctx context.Context, e vault.Entry, keys vault.Opened, rcpts []dlp.Address, all bool) (*mail, Released, error) {
	m := &mail{Gateway: g, ended: true}
	id := e.ID
	if e.Channel != dlp.Mail || e.State != vault.Held {
		return m, Released{}, nil
	}
	c, err := g.Vault.Case(ctx, id, keys.Case)
	if errors.Is(err, vault.ErrLocked) || all && err != nil {
		return m, Released{}, err
	}
	var v dlp.Verdict
	if err != nil { // a damaged record keeps no mail from its release, and says nothing of what was to be encrypted: all of it
		g.warn(ctx, "case not read; what is released goes encrypted where it can be", id, err)
		for _, a := range rcpts {
			v.Rcpts = append(v.Rcpts, dlp.RcptVerdict{Rcpt: a, Action: dlp.Encrypt})
		}
	}
	for _, r := range c.Verdict.Rcpts {
		if (all || r.Reason == dlp.ReasonNoWay) && slices.Contains(rcpts, r.Rcpt) {
			r.Action, r.Reason = dlp.Encrypt, ""
			v.Rcpts = append(v.Rcpts, r)
		}
	}
	if len(v.Rcpts) == 0 {
		return m, Released{}, ifAll(all, ErrNoWay)
	}
	rules := g.rules.Load()
	if rules == nil {
		return m, Released{}, ErrNoRules
	}
	env := e.Envelope
	m.doc = &dlp.Document{ID: id, Channel: dlp.Mail, Sender: env.Sender, Rcpts: env.Rcpts, RcptParams: env.RcptParams, Params: env.Params, Trace: env.Trace,
		Received: e.Received, Size: e.Size, Unproved: all}
	v = rules.withWays(ctx, m.doc, v)
	m.j = judgement{verdict: v, rules: rules, request: rules.Request, ways: rules.Ways}
	if slices.ContainsFunc(v.Rcpts, func(r dlp.RcptVerdict) bool { return r.Action == dlp.Encrypt }) {
		if err := m.encryptContent(ctx, keys.Content); err != nil {
			return m, Released{}, err
		}
	}
	if all {
		if err := m.allEncrypted(rcpts); err != nil {
			m.forgetCiphers()
			return m, Released{}, err
		}
	}
	how := Released{Unencrypted: len(v.Rcpts)}
	for _, c := range m.ciphers {
		how.Encrypted += len(c.rcpts)
		how.Unencrypted -= len(c.rcpts)
	}
	return m, how, nil
}

// shownWays is how long a page waits for what the ways to encrypt a held message are.
const shownWays = 2 * time.Second

// WaysTo are the ways on which each recipient of a held mail would get it encrypted
// now, "" for none: what a release encrypted takes, so none by what a server proves.
// nil: that is not known, or it is no held mail.
func (g *Gateway) WaysTo(ctx context.Context, id dlp.ID) (map[string]dlp.Way, error) {
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("gateway: ways to the recipients of %s: %w", id, err)
	}
	rules := g.rules.Load()
	if rules == nil || e.Channel != dlp.Mail || e.State != vault.Held || e.Damaged {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, shownWays)
	defer cancel()
	doc := &dlp.Document{ID: id, Channel: dlp.Mail, Sender: e.Envelope.Sender, Unproved: true}
	ways := make(map[string]dlp.Way, len(e.Envelope.Rcpts))
	for _, a := range e.Envelope.Rcpts {
		ways[a.String()], _ = rules.way(ctx, doc, a)
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	return ways, nil
}

// encryptContent is encrypt for a message that lies in the vault.
func (m *mail) encryptContent(ctx context.Context, key []byte) error {
	if m.Buffers == nil {
		return errNotKept
	}
	content, err := m.Vault.Open(ctx, m.doc.ID, key)
	if err != nil {
		return err
	}
	defer content.Close()
	b := m.Buffers.New()
	defer b.Close()
	if _, err := io.Copy(keeping{b}, content); err != nil {
		return err
	}
	if err := b.Done(); err != nil {
		return err
	}
	m.doc.Open = b.Open
	defer func() { m.doc.Open = nil }()
	if _, err := m.identify(); err != nil {
		return err
	}
	if err := m.encrypt(ctx); err != nil {
		return err
	}
	for i := range m.ciphers {
		if c := &m.ciphers[i]; c.content == nil { // it stays as it is, and is sealed when b is gone
			if err := m.copyTo(c, b); err != nil {
				m.forgetCiphers()
				return err
			}
		}
	}
	return nil
}

// copyTo gives c a content of its own, which is that of b.
func (m *mail) copyTo(c *cipher, b *buffer.Buffer) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	c.content = m.Buffers.New()
	if _, err := io.Copy(keeping{c.content}, r); err != nil {
		return err
	}
	return c.content.Done()
}

func ifAll(all bool, err error) error {
	if all {
		return err
	}
	return nil
}

// release seals what becomes of a held message: the encrypted ones, and the
// message as it came for everybody else of to.
func (m *mail) release(ctx context.Context, e vault.Entry, keys vault.Opened, to []dlp.Address, ch *store.Change) error {
	env := e.Envelope
	for _, c := range m.ciphers {
		if err := m.addCipher(ctx, c, ch); err != nil {
			return err
		}
	}
	if m.tellsSenders() && len(m.ciphers) > 0 && (env.Tell || m.wanted(ctx, e, keys.Content)) {
		notice, mark := m.waitingNotice(ctx, m.about(&e), env.Sender, m.ciphers)
		ch.Out, ch.Notices = append(ch.Out, notice...), append(ch.Notices, mark...)
	}
	var rcpts []dlp.Address
	var params []dlp.RcptParams
	for i, r := range env.Rcpts {
		if !slices.Contains(to, r) || slices.ContainsFunc(m.ciphers, func(c cipher) bool { return slices.Contains(c.rcpts, r) }) {
			continue
		}
		rcpts = append(rcpts, r)
		if i < len(env.RcptParams) {
			params = append(params, env.RcptParams[i])
		}
	}
	if len(rcpts) == 0 && len(m.ciphers) > 0 {
		return nil
	}
	content, err := m.Vault.Open(ctx, e.ID, keys.Content)
	if err != nil {
		return err
	}
	defer content.Close()
	out := m.outgoing(spool.Release, e.ID, env.Sender, rcpts, m.seq)
	out.Params = env.Params
	for i, p := range params {
		out.Rcpts[i].Params = p
	}
	id, err := m.identityOf(ctx, e.ID, keys.Content)
	if err != nil {
		return err
	}
	mark, err := m.mark(id, rcpts)
	if err != nil {
		return err
	}
	sealed, err := m.Spool.Seal(ctx, out, io.MultiReader(bytes.NewReader(env.Trace), bytes.NewReader(mark), content))
	if err == nil {
		ch.Out = append(ch.Out, sealed)
	}
	return err
}
