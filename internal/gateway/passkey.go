package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/store"
)

// PickupPasskeys returns the passkeys that open the parcel id in place of a code, and
// how authenticators know its mailbox. pickup.ErrEnded.
func (g *Gateway) PickupPasskeys(ctx context.Context, id dlp.ID) (keys []pickup.Passkey, user []byte, err error) {
	p, keys, err := g.parcelPasskeys(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return keys, g.Pickup.PasskeyUser(p.To), nil
}

func (g *Gateway) parcelPasskeys(ctx context.Context, id dlp.ID) (p pickup.Parcel, keys []pickup.Passkey, err error) {
	if p, err = g.PickupOf(ctx, id); err == nil {
		keys, err = g.passkeysOf(ctx, p.To)
	}
	return p, keys, err
}

func (g *Gateway) passkeysOf(ctx context.Context, a dlp.Address) ([]pickup.Passkey, error) {
	last := g.cfg.Portal.PasskeyExpiry.D()
	if last == 0 {
		return nil, nil
	}
	keys, err := g.Pickup.PasskeysOf(ctx, a, g.Now().Add(-last))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return keys, nil
}

// SetPasskey keeps a passkey for the mailbox of the parcel id, whose reader has
// opened it. pickup.ErrEnded, pickup.ErrManyPasskeys.
func (g *Gateway) SetPasskey(ctx context.Context, id dlp.ID, c pickup.Credential) error {
	g.setting.Lock() // of several at once each counts those before it
	defer g.setting.Unlock()
	p, keys, err := g.parcelPasskeys(ctx, id)
	if err != nil {
		return err
	}
	if len(keys) >= pickup.MaxPasskeys || g.cfg.Portal.PasskeyExpiry == 0 { // before anything is put on record
		return pickup.ErrManyPasskeys
	}
	now := g.Now()
	c.Of = p.To
	row, err := g.Pickup.Passkey(pickup.Passkey{ID: dlp.NewID(), Created: now, Used: now, Credential: c})
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if err := g.pickupEvent(ctx, p, audit.ReasonPasskeySet, ""); err != nil {
		return err
	}
	return g.commit(ctx, store.Change{KeySet: []pickup.PasskeyRow{row}})
}

// OpenByPasskey counts a try of a passkey of the parcel's mailbox, on stable storage,
// before it says whether it held. check is given those passkeys and returns the one
// that it was, as it is to be kept now, or pickup.ErrPasskey; it may be called more
// than once. left is how many tries there are. pickup.ErrEnded, pickup.ErrPasskey,
// pickup.ErrNoCode where no passkey is good any more, but a code is.
func (g *Gateway) OpenByPasskey(ctx context.Context, id dlp.ID, check func([]pickup.Passkey) (pickup.Passkey, error)) (left int, err error) {
	var said error
	p, err := g.changeParcel(ctx, id, func(p *pickup.Parcel) (ch store.Change, err error) {
		keys, err := g.passkeysOf(ctx, p.To)
		if err != nil {
			return ch, err
		}
		used, err := g.Pickup.TryPasskey(p, g.Now(), func() (pickup.Passkey, error) { return check(keys) })
		switch said = err; {
		case errors.Is(err, pickup.ErrPasskey):
			return ch, nil
		case err != nil:
			return ch, err
		}
		row, err := g.Pickup.Passkey(used)
		ch.KeyUsed = append(ch.KeyUsed, row)
		return ch, err
	})
	if err != nil {
		return 0, err
	}
	reason := audit.ReasonPasskeyOpened
	if said != nil {
		reason = audit.ReasonPasskeyWrong
	}
	if err := g.pickupEvent(ctx, p, reason, ""); err != nil {
		return 0, err
	}
	return pickup.MaxTries - p.KeyTries, said
}

// ForgetPasskey removes a passkey of the mailbox of the parcel id, whose reader has
// opened it and wants it gone. pickup.ErrEnded, pickup.ErrNoPasskey.
func (g *Gateway) ForgetPasskey(ctx context.Context, id, key dlp.ID) error {
	p, keys, err := g.parcelPasskeys(ctx, id)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k pickup.Passkey) bool { return k.ID == key }) {
		return pickup.ErrNoPasskey
	}
	if err := g.pickupEvent(ctx, p, audit.ReasonPasskeyRemoved, ""); err != nil {
		return err
	}
	return g.commit(ctx, store.Change{KeyGone: []dlp.ID{key}})
}

// ListedPasskey is one passkey as `portal passkeys` shows it.
type ListedPasskey struct {
	ID      dlp.ID    `json:"id"`
	Of      string    `json:"of"` // "" where its row is damaged
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
}

// ListPasskeys lists those of all mailboxes, the one that was used last first.
func (g *Gateway) ListPasskeys(ctx context.Context) ([]ListedPasskey, error) {
	if g.Pickup == nil {
		return nil, errNoPortal
	}
	keys, err := g.Pickup.Passkeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	out := make([]ListedPasskey, 0, len(keys))
	for _, k := range keys {
		out = append(out, ListedPasskey{ID: k.ID, Of: k.Of.String(), Created: k.Created, Used: k.Used})
	}
	return out, nil
}

// RemovePasskey has a passkey open nothing any more. pickup.ErrNoPasskey.
func (g *Gateway) RemovePasskey(ctx context.Context, id dlp.ID, actor string) error {
	if g.Pickup == nil {
		return errNoPortal
	}
	k, err := g.Pickup.GetPasskey(ctx, id)
	if err != nil && !errors.Is(err, pickup.ErrTampered) { // to remove one, whose it is need not be known
		return fmt.Errorf("gateway: %w", err)
	}
	return g.endPasskey(ctx, k, audit.ReasonPasskeyRemoved, actor)
}

func (g *Gateway) endPasskey(ctx context.Context, k pickup.Passkey, reason, actor string) error {
	if err := g.pickupEvent(ctx, pickup.Parcel{ID: k.ID, Known: pickup.Known{To: k.Of}}, reason, actor); err != nil {
		return err
	}
	return g.commit(ctx, store.Change{KeyGone: []dlp.ID{k.ID}})
}

// ExpirePasskeys removes every passkey that was not used for long. One that cannot be
// removed hinders no other.
func (g *Gateway) ExpirePasskeys(ctx context.Context) error {
	last := g.cfg.Portal.PasskeyExpiry.D()
	if last == 0 { // they open nothing; whether they will again is for who sets it
		return nil
	}
	for ctx.Err() == nil {
		over, err := g.Pickup.PasskeysOver(ctx, g.Now().Add(-last))
		if err != nil || len(over) == 0 {
			return err
		}
		var amiss error
		gone := 0
		for _, k := range over {
			switch err := g.endPasskey(ctx, k, audit.ReasonPasskeyExpired, ""); {
			case err == nil || errors.Is(err, pickup.ErrNoPasskey): // somebody removed it meanwhile
				gone++
			case amiss == nil:
				amiss = err
			}
		}
		if gone == 0 || amiss != nil && len(over) < pickup.MaxList {
			return amiss
		}
	}
	return ctx.Err()
}
