package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// SendersAsk is what the sender of a held message asks for. It may hold PHI.
type SendersAsk struct {
	At    time.Time `json:"at"`
	Words string    `json:"words"` // "": they do not open
}

// askOf returns what the sender of id asked for, or nil. What does not open is
// told without its words.
func (g *Gateway) askOf(ctx context.Context, id dlp.ID) (*SendersAsk, error) {
	a, yes, err := g.Vault.AskOf(ctx, id)
	if !yes {
		return nil, err
	}
	if err != nil {
		g.warn(ctx, "what a sender wrote does not open", id, err)
	}
	return &SendersAsk{At: a.At, Words: a.Words}, nil
}

// asked notes which of hs their senders asked to have released.
func (g *Gateway) asked(ctx context.Context, hs []Held) error {
	ids := make([]dlp.ID, len(hs))
	for i := range hs {
		ids[i] = hs[i].ID
	}
	wanted, err := g.Vault.Wanted(ctx, ids)
	if err != nil {
		return fmt.Errorf("gateway: list: %w", err)
	}
	slices.Sort(wanted)
	for i := range hs {
		_, hs[i].Asked = slices.BinarySearch(wanted, hs[i].ID)
	}
	return nil
}
