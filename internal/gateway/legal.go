package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
)

// LegalHold is one document that is kept whatever its time.
type LegalHold struct {
	ID    dlp.ID    `json:"id"`
	Since time.Time `json:"since"`
	By    string    `json:"by"`
	Why   string    `json:"why"`
}

// Errors of legal holds.
var (
	ErrNoLegalHold = errors.New("gateway: there is no legal hold on it")
	ErrLegalHold   = errors.New("gateway: nothing of it is kept, or a legal hold stands on it already")
	ErrNoWhy       = errors.New("gateway: a legal hold takes a reason of 1 to 2000 bytes")
)

// maxWhy bounds the words of a legal hold, in bytes.
const maxWhy = 2000

// PlaceLegalHold has the content and the case of id kept until LiftLegalHold,
// whatever [vault] says. why is sealed. ErrLegalHold, ErrNoWhy.
func (g *Gateway) PlaceLegalHold(ctx context.Context, id dlp.ID, why, actor string) error {
	why = strings.TrimSpace(why)
	if why == "" || len(why) > maxWhy {
		return ErrNoWhy
	}
	note, err := g.Vault.SealNote(id, actor, why)
	if err != nil {
		return fmt.Errorf("gateway: legal hold: %w", err)
	}
	g.placing.Lock()
	defer g.placing.Unlock()
	ch := store.Change{Legal: []store.LegalHold{{ID: id, Since: g.Now(), Note: note}}}
	return g.legal(ctx, id, audit.ReasonPlaced, actor, ch, ErrLegalHold)
}

// LiftLegalHold ends a legal hold: what it kept goes when its time is over, or at
// the next look where it is. ErrNoLegalHold.
func (g *Gateway) LiftLegalHold(ctx context.Context, id dlp.ID, actor string) error {
	return g.legal(ctx, id, audit.ReasonLifted, actor, store.Change{Lift: []dlp.ID{id}}, ErrNoLegalHold)
}

func (g *Gateway) legal(ctx context.Context, id dlp.ID, reason, actor string, ch store.Change, known error) error {
	if err := g.Note(ctx, audit.Event{Kind: audit.LegalHold, Doc: id, Actor: actor, Reason: reason}); err != nil {
		return err
	}
	err := g.commit(ctx, ch)
	if err != nil {
		if nerr := g.Note(ctx, audit.Event{Kind: audit.LegalHold, Doc: id, Actor: actor, Reason: reason, Result: audit.ResultFailed}); nerr != nil {
			return nerr
		}
	}
	if errors.Is(err, store.ErrState) {
		return known
	}
	if err != nil {
		return fmt.Errorf("gateway: legal hold: %w", err)
	}
	return nil
}

// LegalHolds returns all legal holds, the oldest first.
func (g *Gateway) LegalHolds(ctx context.Context) ([]LegalHold, error) {
	ls, err := g.Store.LegalHolds(ctx)
	if err != nil {
		return nil, fmt.Errorf("gateway: legal holds: %w", err)
	}
	out := make([]LegalHold, 0, len(ls))
	for _, l := range ls {
		out = append(out, g.legalHold(l))
	}
	return out, nil
}

// LegalHoldOn returns the legal hold on id, false for none.
func (g *Gateway) LegalHoldOn(ctx context.Context, id dlp.ID) (LegalHold, bool, error) {
	l, ok, err := g.Store.LegalHoldOn(ctx, id)
	if err != nil || !ok {
		return LegalHold{}, false, err
	}
	return g.legalHold(l), true, nil
}

func (g *Gateway) legalHold(l store.LegalHold) LegalHold {
	by, why, err := g.Vault.OpenNote(l.ID, l.Note)
	if err != nil {
		why = "(what was noted does not open)"
	}
	return LegalHold{ID: l.ID, Since: l.Since, By: by, Why: why}
}

// legally returns what is under a legal hold.
func (g *Gateway) legally(ctx context.Context) (map[dlp.ID]bool, error) {
	ls, err := g.Store.LegalHolds(ctx)
	if err != nil {
		return nil, fmt.Errorf("gateway: legal holds: %w", err)
	}
	out := make(map[dlp.ID]bool, len(ls))
	for _, l := range ls {
		out[l.ID] = true
	}
	return out, nil
}
