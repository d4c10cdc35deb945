package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// LegalHold is one document that is kept whatever its time, or was until Lifted.
type LegalHold struct {
	ID       dlp.ID    `json:"id"`
	Since    time.Time `json:"since"`
	By       string    `json:"by"`
	Why      string    `json:"why"`
	Lifted   time.Time `json:"lifted,omitzero"`
	LiftedBy string    `json:"lifted_by,omitempty"`
	LiftWhy  string    `json:"lift_why,omitempty"`
}

// Errors of legal holds.
var (
	ErrNoLegalHold = errors.New("gateway: there is no legal hold on it")
	ErrLegalHold   = errors.New("gateway: nothing of it is kept, or a legal hold stands on it already")
	ErrNoWhy       = errors.New("gateway: placing and lifting a legal hold take a reason of 1 to 2000 bytes")
)

// maxWhy bounds the words of a legal hold, in bytes.
const maxWhy = 2000

// PlaceLegalHold has the content and the case of id kept until LiftLegalHold,
// whatever [vault] says. why is sealed. ErrLegalHold, ErrNoWhy.
func (g *Gateway) PlaceLegalHold(ctx context.Context, id dlp.ID, why, actor string) error {
	note, err := g.legalNote(id, vault.PlacedNote, actor, why)
	if err != nil {
		return err
	}
	g.placing.Lock()
	defer g.placing.Unlock()
	ch := store.Change{Legal: []store.LegalHold{{ID: id, Since: g.Now(), Note: note}}}
	return g.legal(ctx, id, audit.ReasonPlaced, actor, ch, ErrLegalHold)
}

// LiftLegalHold ends a legal hold: what it kept goes when its time is over, or at
// the next look where it is. why is sealed and kept. ErrNoLegalHold, ErrNoWhy.
func (g *Gateway) LiftLegalHold(ctx context.Context, id dlp.ID, why, actor string) error {
	note, err := g.legalNote(id, vault.LiftedNote, actor, why)
	if err != nil {
		return err
	}
	ch := store.Change{Lift: []store.LiftedHold{{LegalHold: store.LegalHold{ID: id}, Lifted: g.Now(), LiftNote: note}}}
	return g.legal(ctx, id, audit.ReasonLifted, actor, ch, ErrNoLegalHold)
}

// legalNote seals who does it and why.
func (g *Gateway) legalNote(id dlp.ID, of vault.LegalNote, actor, why string) ([]byte, error) {
	why = strings.TrimSpace(why)
	if why == "" || len(why) > maxWhy || !utf8.ValidString(why) {
		return nil, ErrNoWhy
	}
	note, err := g.Vault.SealNote(id, of, actor, why)
	if err != nil {
		return nil, fmt.Errorf("gateway: legal hold: %w", err)
	}
	return note, nil
}

// legal makes ch, on record before and after.
func (g *Gateway) legal(ctx context.Context, id dlp.ID, reason, actor string, ch store.Change, known error) error {
	e := audit.Event{Kind: audit.LegalHold, Doc: id, Actor: actor, Reason: reason}
	if err := g.Note(ctx, e); err != nil {
		return err
	}
	g.OnStep("legal hold")
	err := g.commit(ctx, ch)
	switch {
	case err == nil:
		e.Result = audit.ResultDone
	case errors.Is(err, store.ErrUnknown):
		e.Result = audit.ResultUnknown
	default:
		e.Result = audit.ResultFailed
	}
	after, cancel := lasting(ctx)
	defer cancel()
	if nerr := g.Note(after, e); nerr != nil { // it is not done again for that
		g.warn(ctx, "what came of a legal hold was not recorded", id, nerr)
	}
	if errors.Is(err, store.ErrState) {
		return known
	}
	if err != nil {
		return fmt.Errorf("gateway: legal hold: %w", err)
	}
	return nil
}

// LegalHolds returns the newest limit legal holds, the oldest of them first; 0: all.
func (g *Gateway) LegalHolds(ctx context.Context, limit int) ([]LegalHold, error) {
	ls, err := g.Store.LegalHolds(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("gateway: legal holds: %w", err)
	}
	out := make([]LegalHold, 0, len(ls))
	for _, l := range slices.Backward(ls) {
		out = append(out, g.legalHold(l))
	}
	return out, nil
}

// LiftedHolds returns the limit legal holds that were lifted last, the last first.
func (g *Gateway) LiftedHolds(ctx context.Context, limit int) ([]LegalHold, error) {
	ls, err := g.Store.LiftedHolds(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("gateway: lifted legal holds: %w", err)
	}
	out := make([]LegalHold, 0, len(ls))
	for _, l := range ls {
		x := g.legalHold(l.LegalHold)
		x.Lifted = l.Lifted
		x.LiftedBy, x.LiftWhy = g.openNote(l.ID, vault.LiftedNote, l.LiftNote)
		out = append(out, x)
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
	out := LegalHold{ID: l.ID, Since: l.Since}
	out.By, out.Why = g.openNote(l.ID, vault.PlacedNote, l.Note)
	return out
}

func (g *Gateway) openNote(id dlp.ID, of vault.LegalNote, note []byte) (by, why string) {
	by, why, err := g.Vault.OpenNote(id, of, note)
	if err != nil {
		why = "(what was noted does not open)"
	}
	return by, why
}

// legally returns what is under a legal hold.
func (g *Gateway) legally(ctx context.Context) (map[dlp.ID]bool, error) {
	ls, err := g.Store.LegalHolds(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("gateway: legal holds: %w", err)
	}
	out := make(map[dlp.ID]bool, len(ls))
	for _, l := range ls {
		out[l.ID] = true
	}
	return out, nil
}
