package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Review is a reviewer's reason for a decision. The zero Review gives none.
type Review struct {
	Code  string `json:"code,omitempty"`  // one of the site's reason codes: it stands in the audit log
	Words string `json:"words,omitempty"` // in the reviewer's words; sealed with the item
	Note  string `json:"note,omitempty"`  // for the sender of what is rejected; goes out in the notice

	// Encrypted releases to nobody unless to everybody encrypted. ErrNoWay.
	Encrypted bool `json:"encrypted,omitempty"`
	// Unencrypted releases as it came, in the clear, to whom it was to be encrypted for and
	// no way leads. Without it that is ErrUnencrypted.
	Unencrypted bool `json:"unencrypted,omitempty"`
	// Only are the recipients it is released to, as they are listed; none: all. It
	// stays held for the others. ErrNotFor.
	Only []string `json:"only,omitempty"`

	// Version is Held.Version of what the reviewer was shown; "": they decide whatever
	// became of it since. ErrChanged.
	Version string `json:"-"`
}

// ErrChanged says that more is known of the item, or something was done about it, since
// it was shown to who decides.
var ErrChanged = errors.New("it is not any more what it was when it was shown")

// asShown reports whether e is what the reviewer was shown.
func (rv *Review) asShown(e vault.Entry) error {
	if rv.Version != "" && e.State == vault.Held && rv.Version != e.Version {
		return ErrChanged
	}
	return nil
}

// ErrReason says that a reason is none of the site's.
var ErrReason = errors.New("want a reason of [console] reasons, such as not_phi")

// reviewed puts the reason of a decision on record before the decision; result is held
// of the first of two, which leaves it held.
func (g *Gateway) reviewed(ctx context.Context, id dlp.ID, rv Review, actor, result string) error {
	if rv.Code == "" {
		return nil
	}
	if actor != "" && len(g.cfg.Reasons) > 0 && !slices.Contains(g.cfg.Reasons, rv.Code) {
		return ErrReason
	}
	return g.Note(ctx, audit.Event{Kind: audit.Review, Doc: id, Actor: actor, Reason: rv.Code, Result: result})
}

// Note records what somebody did at a face: a sign-in, a claim, a change of an
// account.
func (g *Gateway) Note(ctx context.Context, e audit.Event) error {
	e.Time = g.Now()
	if _, err := g.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("gateway: record %s: %w", e.Kind, err)
	}
	return nil
}

// NoteAccount records a change of a console's account before it is made.
func (g *Gateway) NoteAccount(ctx context.Context, what, actor string) error {
	return g.Note(ctx, audit.Event{Kind: audit.Account, Actor: actor, Reason: what})
}

// FindHeld returns items that q asks for, the newest first, and where to look on;
// as vault.Vault.Find says, there may be others among them. Unlike ListHeld it
// puts nothing in front and asks the outbox nothing.
func (g *Gateway) FindHeld(ctx context.Context, q vault.Query) (hs []Held, next dlp.ID, err error) {
	es, next, err := g.Vault.Find(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("gateway: list: %w", err)
	}
	hs = make([]Held, 0, len(es))
	for _, e := range es {
		hs = append(hs, g.heldOf(e))
	}
	if err := g.markUrgent(ctx, hs); err != nil {
		return nil, "", err
	}
	return hs, next, g.asked(ctx, hs)
}

// CountHeld counts the items that FindHeld would find for q, up to q.Limit; whole is
// false where there may be more.
func (g *Gateway) CountHeld(ctx context.Context, q vault.Query) (n int, whole bool, err error) {
	if n, whole, err = g.Vault.Count(ctx, q); err != nil {
		return 0, false, fmt.Errorf("gateway: count: %w", err)
	}
	return n, whole, nil
}

// indexed is how many items are given their terms in one transaction.
const indexed = 200

// RunIndexing gives what an earlier version held the terms that it is found by,
// some at a time, until all have theirs or ctx ends. Lists are whole meanwhile,
// and slower where they are narrowed.
func (g *Gateway) RunIndexing(ctx context.Context) error {
	for wait := settleFirst; ; {
		n, err := g.Vault.IndexSome(ctx, indexed)
		switch {
		case ctx.Err() != nil || err == nil && n == 0:
			return nil
		case err == nil:
			wait = settleFirst
			continue
		}
		g.warn(ctx, "held documents were not indexed; it is tried again", "", err)
		if !g.pause(ctx, wait) {
			return nil
		}
		wait = min(2*wait, settleMost)
	}
}

// Listed is one line of FindHeld.
func (g *Gateway) Listed(ctx context.Context, id dlp.ID) (Held, error) {
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return Held{}, fmt.Errorf("gateway: list %s: %w", id, err)
	}
	return g.heldOf(e), nil
}

// ReadHeld hands the content of id to do as the Document that it came as. The
// look is on record, with reason, before anything of it is opened. keys are as
// for Release. What do returns comes back.
func (g *Gateway) ReadHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor, reason string, do func(*dlp.Document) error) error {
	if err := g.unlocked(ctx, id, keys); err != nil {
		return fmt.Errorf("gateway: read %s: %w", id, err)
	}
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("gateway: read %s: %w", id, err)
	}
	if err := g.Note(ctx, audit.Event{Kind: audit.Look, Doc: id, Channel: e.Channel, Actor: actor, Reason: reason}); err != nil {
		return err
	}
	return do(g.heldDoc(ctx, e, keys))
}

// heldDoc is the Document that e came as.
func (g *Gateway) heldDoc(ctx context.Context, e vault.Entry, keys vault.Opened) *dlp.Document {
	doc := &dlp.Document{ID: e.ID, Channel: e.Channel, Sender: e.Envelope.Sender, Rcpts: e.Envelope.Rcpts, Name: e.Envelope.Path, Received: e.Received, Size: e.Size}
	doc.Open = func() (io.ReadSeekCloser, error) {
		r := &rereader{open: func() (io.ReadCloser, error) { return g.Vault.Open(ctx, e.ID, keys.Content) }, size: e.Size}
		return r, r.rewind()
	}
	return doc
}

// DeputyChange is a deputy of an account of the console, named or ended.
type DeputyChange struct {
	Of     string    `json:"of"`
	By     string    `json:"by"`
	Until  time.Time `json:"until"`
	Ended  bool      `json:"ended,omitempty"`
	Failed bool      `json:"failed,omitempty"` // it was not done
}

// NoteDeputy records a change of a deputy before it is made.
func (g *Gateway) NoteDeputy(ctx context.Context, c DeputyChange, actor string) error {
	return g.Note(ctx, c.Event(actor))
}

// Event is c as the audit log has it.
func (c DeputyChange) Event(actor string) audit.Event {
	what := "deputy:"
	if c.Ended {
		what = "deputy_off:"
	}
	if c.Failed {
		what = "failed_" + what
	}
	return audit.Event{Kind: audit.Account, Actor: actor, For: "user:" + c.Of, Reason: what + c.By, Until: c.Until}
}
