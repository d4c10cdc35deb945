package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// VaultKeys keeps the keys of the vault's periods. It is satisfied by
// crypt/age.Periods.
type VaultKeys interface {
	// Stands tells how every key stands; with sealed, the sealed keys too.
	Stands(sealed bool) vault.Periods
	// File returns the keys as they are kept, which holds no secret in clear.
	File() ([]byte, error)
	// Rotate begins a new period of each kind.
	Rotate() error
	// Accept takes keys that were sealed anew, by period.
	Accept(sealed map[dlp.ID][][]byte) error
	// Destroy forgets the key of a period that has ended, for good.
	Destroy(id dlp.ID) error
}

// retentionEvery is how often it is looked whether a period ends.
const retentionEvery = time.Hour

// secondLook is how long this process runs between the two looks at which a
// period's time must be over before its key is destroyed: a clock that was
// wrong for a while destroys nothing. Machines that set their clock by the
// network do so within minutes, and one that starts anew each day runs longer.
const secondLook = 6 * time.Hour

// errNoKeys is a fault of who made the gateway.
var errNoKeys = errors.New("gateway: no keys of the vault")

// Locks returns what a reviewer's program needs to open one held document.
func (g *Gateway) Locks(ctx context.Context, id dlp.ID) (vault.Locks, error) {
	l, err := g.Vault.Locks(ctx, id)
	if errors.Is(err, vault.ErrNotFound) && g.Sample != nil { // of passed mail there is a content alone
		if lock, sampled := g.Sample.Lock(id); sampled == nil {
			return vault.Locks{Content: lock}, nil
		}
	}
	if err != nil {
		return l, fmt.Errorf("gateway: %s: %w", id, err)
	}
	return l, nil
}

// VaultPeriods tells how the keys of the vault stand.
func (g *Gateway) VaultPeriods(context.Context) (vault.Periods, error) {
	if g.Keys == nil {
		return vault.Periods{}, errNoKeys
	}
	return g.Keys.Stands(true), nil
}

// ResealVault takes keys that a reviewer's program has sealed to those who may
// open them now, by period. It is on record before.
func (g *Gateway) ResealVault(ctx context.Context, sealed map[dlp.ID][][]byte, actor string) error {
	if g.Keys == nil {
		return errNoKeys
	}
	for id := range sealed {
		if err := g.keyEvent(ctx, id, audit.ReasonKeyResealed, actor); err != nil {
			return err
		}
	}
	if err := g.Keys.Accept(sealed); err != nil {
		return fmt.Errorf("gateway: vault keys: %w", err)
	}
	return nil
}

// RotateVault begins a new period at once.
func (g *Gateway) RotateVault(ctx context.Context, actor string) error {
	if g.Keys == nil {
		return errNoKeys
	}
	if err := g.keyEvent(ctx, "", audit.ReasonKeyBegun, actor); err != nil {
		return err
	}
	if err := g.Keys.Rotate(); err != nil {
		return fmt.Errorf("gateway: vault keys: %w", err)
	}
	return nil
}

func (g *Gateway) keyEvent(ctx context.Context, period dlp.ID, reason, actor string) error {
	if _, err := g.Audit.Append(ctx, audit.Event{Time: g.Now(), Kind: audit.VaultKey, Doc: period, Reason: reason, Actor: actor}); err != nil {
		return fmt.Errorf("gateway: record vault key: %w", err)
	}
	return nil
}

// RunRetention begins periods and destroys the keys of those whose time is
// over, until ctx ends.
func (g *Gateway) RunRetention(ctx context.Context) error {
	if g.Keys == nil {
		return nil
	}
	for {
		if err := g.Retain(ctx); err != nil && ctx.Err() == nil {
			g.warn(ctx, "retention of the vault not carried out", "", err)
		}
		next := retentionEvery
		for _, kind := range []string{vault.KindContent, vault.KindCase} {
			if d := g.secondLook(kind); d > 0 && len(g.over) > 0 {
				next = min(next, max(d, time.Second))
			}
		}
		if !g.pause(ctx, next) {
			return nil
		}
	}
}

// keep returns how long the keys of that kind are kept after their period; 0:
// for good.
func (g *Gateway) keep(kind string) time.Duration {
	switch kind {
	case vault.KindContent:
		return g.cfg.Retention.Keep.D()
	case vault.KindCase:
		return g.cfg.Retention.KeepCases.D()
	}
	return 0
}

// secondLook is what lies between two looks at a key of that kind: less where
// it is kept for less.
func (g *Gateway) secondLook(kind string) time.Duration { return min(secondLook, g.keep(kind)) }

// Retain does what is due now: what was due at an earlier look, and ever since,
// for those periods whose key goes. What fails is due again. It is not for two
// to call at the same time.
func (g *Gateway) Retain(ctx context.Context) error {
	now := g.Now()
	st := g.Keys.Stands(false)
	over := map[dlp.ID]time.Duration{}
	var errs []error
	for _, p := range st.Periods {
		keep := g.keep(p.Kind)
		if p.Ended.IsZero() {
			if now.Sub(p.Begun) >= g.cfg.Retention.Period.D() && p.Kind == vault.KindContent {
				errs = append(errs, g.RotateVault(ctx, ""))
			}
			continue
		}
		if !p.Destroyed.IsZero() || keep == 0 || now.Sub(p.Ended) < keep {
			continue
		}
		since, seen := g.over[p.ID]
		if !seen {
			since = g.Elapsed()
			g.Log.LogAttrs(ctx, slog.LevelInfo, "the time of a period of the vault is over, if the clock is right: its key goes at a later look", slog.String("id", string(p.ID)))
		}
		over[p.ID] = since
		if g.Elapsed()-since < g.secondLook(p.Kind) {
			continue
		}
		if err := g.endPeriod(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	g.over = over
	return errors.Join(errs...)
}

// endPeriod takes away what is sealed to the key of p, and then the key: with
// it every copy goes, wherever it is. What is under a legal hold stays, and the key
// with it, until a later look. Held documents keep their period: nothing is lost that
// nobody has decided about.
func (g *Gateway) endPeriod(ctx context.Context, p vault.Period) error {
	waits, err := g.Store.Undecided(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("gateway: end period: %w", err)
	}
	if waits {
		g.Log.LogAttrs(ctx, slog.LevelWarn, "a period of the vault is over and somebody has still to decide about what is held of it: its key stays",
			slog.String("id", string(p.ID)))
		return nil
	}
	legal, err := g.Store.LegallyHeld(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("gateway: end period: %w", err)
	}
	reason := audit.ReasonKeyDestroyed
	if legal {
		if g.trimmed[p.ID] {
			return nil
		}
		reason = audit.ReasonKeyKept
	}
	if err := g.keyEvent(ctx, p.ID, reason, ""); err != nil {
		return err
	}
	g.OnStep("end period")
	if p.Kind == vault.KindCase {
		if err := g.commit(ctx, store.Change{Forget: []dlp.ID{p.ID}}); err != nil {
			return fmt.Errorf("gateway: end period: %w", err)
		}
	} else if err := g.expireAll(ctx, p.ID); err != nil {
		return err
	}
	if legal {
		if g.trimmed == nil {
			g.trimmed = map[dlp.ID]bool{}
		}
		g.trimmed[p.ID] = true
		g.Log.LogAttrs(ctx, slog.LevelWarn, "a period of the vault is over and a legal hold stands on some of it: its key stays, all else sealed to it is gone", slog.String("id", string(p.ID)))
		return nil
	}
	return g.destroyKey(ctx, p.ID)
}

// destroyKey destroys the key of period for good, unless a legal hold was placed
// since it was looked for: none is placed while this is asked and done.
func (g *Gateway) destroyKey(ctx context.Context, period dlp.ID) error {
	g.placing.Lock()
	defer g.placing.Unlock()
	legal, err := g.Store.LegallyHeld(ctx, period)
	if err != nil {
		return fmt.Errorf("gateway: end period: %w", err)
	}
	if legal {
		return g.keyEvent(ctx, period, audit.ReasonKeyKept, "")
	}
	if err := g.Keys.Destroy(period); err != nil {
		return fmt.Errorf("gateway: end period: %w", err)
	}
	g.Log.LogAttrs(ctx, slog.LevelInfo, "the key of a period of the vault was destroyed", slog.String("id", string(period)))
	return nil
}

// expireAll ends everything that is decided about and sealed to period's key.
func (g *Gateway) expireAll(ctx context.Context, period dlp.ID) error {
	legal, err := g.legally(ctx)
	if err != nil {
		return err
	}
	f := vault.Filter{All: true, Period: period}
	for {
		page, err := g.Vault.List(ctx, f)
		if err != nil {
			return fmt.Errorf("gateway: expire: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		var ch store.Change
		for _, e := range page {
			if e.State != vault.Released && e.State != vault.Rejected || legal[e.ID] {
				continue
			}
			t, err := g.Vault.Transition(e.ID, e.State, vault.Expired, g.Now(), e.DecidedBy, "kept for as long as vault.keep says")
			if err != nil {
				return fmt.Errorf("gateway: expire: %w", err)
			}
			ch.Decide = append(ch.Decide, t)
		}
		if err := g.commit(ctx, ch); err != nil {
			return fmt.Errorf("gateway: expire: %w", err)
		}
		f.After = page[len(page)-1].ID
	}
}
