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
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// pickupEvery is how often it is looked whether a parcel's time is over.
const pickupEvery = time.Minute

// pack seals the message for one recipient to open in a browser, under a key
// that stands in the link of the notice alone.
func (m *mail) pack(c *cipher) error {
	if m.Pickup == nil || len(c.rcpts) != 1 {
		return errNoPortal
	}
	r, err := m.doc.Open()
	if err != nil {
		return err
	}
	messageID, _, err := identity(r)
	_ = r.Close() // read only
	if err != nil {
		return err
	}
	now, key := m.Now(), pickup.NewKey()
	c.parcel = pickup.Parcel{ID: dlp.NewID(), Doc: m.doc.ID, Created: now, Expires: now.Add(m.cfg.Portal.Expiry.D()),
		Known: pickup.Known{From: m.doc.Sender, To: c.rcpts[0], MessageID: messageID}}
	c.packed = m.Buffers.New()
	w, err := pickup.NewWriter(keeping{c.packed}, key, c.parcel.ID)
	if err != nil {
		return err
	}
	if err := pickup.Pack(w, m.untagged); err != nil {
		return fmt.Errorf("gateway: pack %s: %w", m.doc.ID, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("gateway: pack %s: %w", m.doc.ID, err)
	}
	if err := c.packed.Done(); err != nil {
		return fmt.Errorf("gateway: pack %s: %w: %w", m.doc.ID, errNotKept, err)
	}
	n := m.pickupNotice(c.parcel)
	n.Link = m.cfg.Portal.Link(c.parcel.ID, key)
	if _, err := (keeping{c.content}).Write(m.cfg.Notices.Pickup(n)); err != nil {
		return fmt.Errorf("gateway: pack %s: %w", m.doc.ID, err)
	}
	if err := c.content.Done(); err != nil {
		return fmt.Errorf("gateway: pack %s: %w: %w", m.doc.ID, errNotKept, err)
	}
	return nil
}

// errNoPortal is a fault of who made the gateway.
var errNoPortal = errors.New("gateway: no pickup pages")

func (g *Gateway) pickupNotice(p pickup.Parcel) notify.PickupNotice {
	return notify.PickupNotice{ID: p.ID, Hostname: g.cfg.Hostname, Site: g.cfg.Portal.Site, Contact: g.cfg.Portal.Contact, To: p.To,
		Until: p.Expires, When: g.Now()}
}

// PickupOf returns a parcel that can be opened. pickup.ErrEnded for any other,
// whether or not there ever was one.
func (g *Gateway) PickupOf(ctx context.Context, id dlp.ID) (pickup.Parcel, error) {
	if g.Pickup == nil {
		return pickup.Parcel{}, errNoPortal
	}
	p, err := g.Pickup.Get(ctx, id)
	if errors.Is(err, pickup.ErrNotFound) || err == nil && (p.State != pickup.Waiting || !g.Now().Before(p.Expires)) {
		return pickup.Parcel{}, pickup.ErrEnded
	}
	if err != nil {
		return pickup.Parcel{}, fmt.Errorf("gateway: parcel %s: %w", id, err)
	}
	return p, nil
}

// maxChanges is how often a change of a parcel is begun anew when others change
// it at the same time.
const maxChanges = 20

// changeParcel has f change the parcel id as it stands, and commits that with
// what f returns beside it. What f decides by is so never out of date.
func (g *Gateway) changeParcel(ctx context.Context, id dlp.ID, f func(*pickup.Parcel) (store.Change, error)) (pickup.Parcel, error) {
	for range maxChanges {
		p, err := g.PickupOf(ctx, id)
		if err != nil {
			return p, err
		}
		ch, err := f(&p)
		if err != nil {
			return p, err
		}
		u, err := g.Pickup.Update(p)
		if err == nil {
			ch.Picked = append(ch.Picked, u)
			err = g.commit(ctx, ch)
		}
		if err == nil {
			return p, nil
		}
		g.discard(ctx, ch, err)
		if !errors.Is(err, pickup.ErrState) {
			return p, fmt.Errorf("gateway: parcel %s: %w", id, err)
		}
	}
	return pickup.Parcel{}, fmt.Errorf("gateway: parcel %s: %w", id, ErrBusy)
}

// pickupEvent puts on record what happens to a parcel.
func (g *Gateway) pickupEvent(ctx context.Context, p pickup.Parcel, reason, actor string) error {
	if err := g.pickupResult(ctx, p, reason, "", actor); err != nil {
		return err
	}
	g.Metrics.Pickup(reason)
	return nil
}

// pickupResult is pickupEvent with what came of it.
func (g *Gateway) pickupResult(ctx context.Context, p pickup.Parcel, reason, result, actor string) error {
	e := audit.Event{Time: g.Now(), Kind: audit.Pickup, Doc: p.ID, Of: p.Doc, Channel: dlp.Mail, Reason: reason, Result: result, Actor: actor,
		RcptKeys: []string{g.pseudonym(p.To)}, Rcpts: 1}
	ctx, cancel := lasting(ctx)
	defer cancel()
	if _, err := g.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("gateway: record parcel %s: %w", p.ID, err)
	}
	return nil
}

// Texts reports whether codes may go as text messages.
func (g *Gateway) Texts() bool { return g.Texter != nil }

// SendPickupCode sends the recipient of a parcel a new code, by mail or as a text
// message. pickup.ErrEnded, pickup.ErrTooManyCodes.
func (g *Gateway) SendPickupCode(ctx context.Context, id dlp.ID, text bool) (pickup.Parcel, error) {
	p, err := g.PickupOf(ctx, id)
	if err != nil {
		return p, err
	}
	if text = text && g.Texter != nil; !text && g.Spool == nil {
		return p, errNoPortal
	}
	if !pickup.MayAsk(p, g.Now()) { // before anything is put on record: who only asks fills no log
		return p, pickup.ErrTooManyCodes
	}
	if err := g.pickupEvent(ctx, p, audit.ReasonCodeSent, ""); err != nil {
		return p, err
	}
	var code string
	p, err = g.changeParcel(ctx, id, func(p *pickup.Parcel) (ch store.Change, err error) {
		if code, err = g.Pickup.NewCode(p, g.Now()); err != nil || text {
			return ch, err
		}
		e, err := g.sealOwn(ctx, spool.Notice, p.ID, p.To, g.cfg.Notices.PickupCode(g.pickupNotice(*p), code))
		if err != nil {
			return ch, fmt.Errorf("gateway: seal code of %s: %w", id, err)
		}
		ch.Out = append(ch.Out, e)
		return ch, nil
	})
	if err != nil || !text {
		return p, err
	}
	if err := g.Texter.Call(ctx, map[string]string{"STANCH_RCPT": p.To.String(), "STANCH_CODE": code, "STANCH_ID": string(id)}); err != nil {
		return p, fmt.Errorf("gateway: text message of %s: %w", id, err)
	}
	return p, nil
}

// OpenPickup counts a try of a code, on stable storage, before it says whether
// it was the one; that uses it up. left is how many tries the code has.
// pickup.ErrEnded, pickup.ErrCode, pickup.ErrNoCode.
func (g *Gateway) OpenPickup(ctx context.Context, id dlp.ID, code string) (p pickup.Parcel, left int, err error) {
	var said error
	p, err = g.changeParcel(ctx, id, func(p *pickup.Parcel) (store.Change, error) {
		if said = g.Pickup.Try(p, code, g.Now()); errors.Is(said, pickup.ErrNoCode) {
			return store.Change{}, said
		}
		return store.Change{}, nil
	})
	if err != nil {
		return p, 0, err
	}
	reason := audit.ReasonOpened
	if said != nil {
		reason = audit.ReasonCodeWrong
	}
	if err := g.pickupEvent(ctx, p, reason, ""); err != nil {
		return p, 0, err
	}
	return p, pickup.MaxTries - p.Tries, said
}

// PickupContent opens what is kept of a parcel, as it is sealed. pickup.ErrEnded.
func (g *Gateway) PickupContent(ctx context.Context, id dlp.ID) (io.ReadCloser, int64, error) {
	p, err := g.PickupOf(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	r, err := g.Pickup.Content(ctx, id)
	if errors.Is(err, pickup.ErrNotFound) {
		return nil, 0, pickup.ErrEnded
	}
	return r, p.Size, err
}

// ErrNotSent says that a reply was refused, or could not be taken now.
var ErrNotSent = errors.New("gateway: the reply was not taken")

// ReplyPickup judges what the recipient of a parcel answers as a mail to its
// sender. When it returns nil, it is on stable storage: on its way, or held.
// pickup.ErrEnded, ErrNotSent.
func (g *Gateway) ReplyPickup(ctx context.Context, id dlp.ID, r pickup.Reply) error {
	p, err := g.PickupOf(ctx, id)
	if err != nil {
		return err
	}
	if p.From.IsNull() || g.Buffers == nil || p.Replies >= pickup.MaxReplies {
		return ErrNotSent
	}
	from := notify.Addresses([]string{g.cfg.Notices.Sender(g.cfg.Hostname)})
	if len(from) == 0 {
		return ErrNotSent
	}
	b := g.Buffers.New()
	defer b.Close()
	now, doc := g.Now(), dlp.NewID()
	head := pickup.ReplyHead{From: from[0].String(), Answers: p.To, To: p.From, InReplyTo: p.MessageID,
		MessageID: "reply." + string(doc) + "@" + g.cfg.Hostname, When: now}
	if err = r.Write(keeping{b}, head); err == nil {
		err = b.Done()
	}
	if err != nil {
		return fmt.Errorf("gateway: reply to %s: %w", id, err)
	}
	if _, err := g.changeParcel(ctx, id, func(p *pickup.Parcel) (store.Change, error) {
		if p.Replies >= pickup.MaxReplies {
			return store.Change{}, ErrNotSent
		}
		p.Replies++
		return store.Change{}, nil
	}); err != nil {
		return err
	}
	p.Doc = doc
	if err := g.pickupEvent(ctx, p, audit.ReasonReplied, ""); err != nil {
		return err
	}
	trace := fmt.Appendf(nil, "Received: by %s (pickup page) with HTTP id %s;\r\n\t%s\r\nX-Stanch-Id: %s\r\n", g.cfg.Hostname, doc, now.Format("Mon, 02 Jan 2006 15:04:05 -0700"), doc)
	out := g.Message(ctx, &dlp.Document{ID: doc, Channel: dlp.Mail, Sender: from[0], Rcpts: []dlp.Address{p.From}, Received: now, Size: b.Size(),
		Scattered: true, Params: dlp.MailParams{UTF8: head.UTF8()}, Trace: trace, Open: b.Open}, nowhere{})
	switch out.Kind {
	case dlp.Held, dlp.Split, dlp.Spooled:
		return g.Acknowledge(ctx, []dlp.ID{out.ID})
	}
	return ErrNotSent
}

// nowhere is the onward transaction of a mail that did not come by one: it is
// taken over, or nothing of it is.
type nowhere struct{}

// Send sends nothing: a Document that is Scattered is never sent so.
func (nowhere) Send(context.Context, []byte, io.Reader) (dlp.Reply, error) {
	return dlp.Reply{}, &dlp.SendError{Err: errNoPortal}
}

// Reset does nothing.
func (nowhere) Reset(context.Context) error { return nil }

// Picked is one parcel as `portal list` shows it.
type Picked struct {
	ID        dlp.ID    `json:"id"`
	Doc       dlp.ID    `json:"doc"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	Opened    time.Time `json:"opened,omitzero"`
	Replies   int       `json:"replies"`
	Size      int64     `json:"size"` // sealed, in bytes
	Sender    string    `json:"sender"`
	Recipient string    `json:"recipient"`
}

// ListPickups lists the newest parcels first: those that wait, or all of them.
func (g *Gateway) ListPickups(ctx context.Context, all bool) ([]Picked, error) {
	if g.Pickup == nil {
		return nil, errNoPortal
	}
	ps, err := g.Pickup.List(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	out := make([]Picked, 0, len(ps))
	for _, p := range ps {
		out = append(out, Picked{ID: p.ID, Doc: p.Doc, State: string(p.State), Created: p.Created, Expires: p.Expires, Opened: p.Opened,
			Replies: p.Replies, Size: p.Size, Sender: p.From.String(), Recipient: p.To.String()})
	}
	return out, nil
}

// RevokePickup takes a parcel back: it opens no more, its content is gone, and what
// the outbox has not sent of it yet stays here.
// pickup.ErrEnded.
func (g *Gateway) RevokePickup(ctx context.Context, id dlp.ID, actor string) error {
	p, err := g.PickupOf(ctx, id)
	if errors.Is(err, pickup.ErrTampered) { // who it is for cannot be read any more: to end it that is not needed
		if p, err = g.Pickup.Get(ctx, id); errors.Is(err, pickup.ErrTampered) && p.State == pickup.Waiting {
			p.Known, err = pickup.Known{}, nil
		}
	}
	if err != nil {
		return err
	}
	return g.endPickup(ctx, p, pickup.Revoked, audit.ReasonRevoked, actor)
}

// endPickup records that a parcel ends, and ends it; where it fails after that, that is
// on record too. Of one that was taken back nothing is sent any more.
func (g *Gateway) endPickup(ctx context.Context, p pickup.Parcel, to pickup.State, reason, actor string) error {
	if err := g.pickupEvent(ctx, p, reason, actor); err != nil {
		return err
	}
	g.OnStep("end parcel")
	err := g.commitEnd(ctx, p, to)
	if err != nil {
		err = errors.Join(err, g.pickupResult(ctx, p, reason, audit.ResultFailed, actor))
	}
	return err
}

func (g *Gateway) commitEnd(ctx context.Context, p pickup.Parcel, to pickup.State) error {
	for range maxChanges {
		var ch store.Change
		var err error
		if to == pickup.Revoked {
			ch.Progress, err = g.unsent(ctx, p)
		}
		if err != nil {
			return err
		}
		p.State, p.Code = to, nil
		u, err := g.Pickup.Update(p)
		if err == nil {
			ch.Picked = append(ch.Picked, u)
			err = g.commit(ctx, ch)
		}
		if !errors.Is(err, store.ErrState) { // the parcel, or what was to be sent, changed meanwhile
			return err
		}
		if p, err = g.Pickup.Get(ctx, p.ID); err != nil || p.State != pickup.Waiting {
			return err
		}
	}
	return fmt.Errorf("gateway: parcel %s: %w", p.ID, ErrBusy)
}

// unsent gives up what the outbox still has to send of a parcel: its notice, which is
// the one message encrypted for its recipient, and codes. Of one that cannot be read
// nobody knows which notice is its.
func (g *Gateway) unsent(ctx context.Context, p pickup.Parcel) (ups []spool.Update, err error) {
	if g.Spool == nil {
		return nil, nil
	}
	for _, doc := range []dlp.ID{p.Doc, p.ID} {
		ms, err := g.Spool.Of(ctx, doc)
		if err != nil {
			return nil, fmt.Errorf("gateway: outbox of parcel %s: %w", p.ID, err)
		}
		for _, m := range ms {
			notice := m.Kind == spool.Encrypted && len(m.Rcpts) == 1 && m.Rcpts[0].Addr == p.To
			if m.State.Ended() || !notice && doc != p.ID {
				continue
			}
			m.State = spool.Dropped
			up, err := g.Spool.Progress(m)
			if err != nil {
				return nil, fmt.Errorf("gateway: drop notice of parcel %s: %w", p.ID, err)
			}
			ups = append(ups, up)
		}
	}
	return ups, nil
}

// endUndelivered ends what waits for those whom the notice m has not reached:
// nobody has its key. Where it fails, the parcel is over at its time.
func (g *Gateway) endUndelivered(ctx context.Context, m spool.Message) {
	if g.Pickup == nil {
		return
	}
	ps, err := g.Pickup.Of(ctx, m.Doc)
	for _, p := range ps {
		gone := slices.ContainsFunc(m.Rcpts, func(r spool.Rcpt) bool { return r.Addr == p.To && r.State == spool.RcptFailed })
		if err == nil && gone && p.State == pickup.Waiting {
			err = g.endPickup(ctx, p, pickup.Undelivered, audit.ReasonUndelivered, "")
		}
	}
	if err != nil {
		g.warn(ctx, "a message of the portal whose notice came back still waits", m.Doc, err)
	}
}

// RunPickup ends parcels whose time is over, until ctx ends.
func (g *Gateway) RunPickup(ctx context.Context) error {
	if g.Pickup == nil {
		return nil
	}
	for {
		if err := g.ExpirePickups(ctx); err != nil && ctx.Err() == nil {
			g.warn(ctx, "messages of the portal whose time is over are still kept", "", err)
		}
		if err := g.ExpirePasskeys(ctx); err != nil && ctx.Err() == nil {
			g.warn(ctx, "passkeys of the portal whose time is over are still kept", "", err)
		}
		if !g.pause(ctx, pickupEvery) {
			return nil
		}
	}
}

// ExpirePickups ends every parcel whose time is over.
func (g *Gateway) ExpirePickups(ctx context.Context) error {
	for ctx.Err() == nil {
		over, err := g.Pickup.Over(ctx, g.Now())
		if err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
		if len(over) == 0 {
			return nil
		}
		for _, p := range over {
			if err := g.endPickup(ctx, p, pickup.Expired, audit.ReasonExpired, ""); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
