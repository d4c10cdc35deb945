package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// MaxAsk bounds what a sender writes when they ask for a release, in bytes.
const MaxAsk = 2000

// Ask is a sender's one request to have a held item released, ready for a
// commit.
type Ask struct {
	ID     dlp.ID // of the item
	At     time.Time
	Sealed []byte // why, in their words, under the index key
}

// Asked is an Ask opened. PHI: senders write what they write.
type Asked struct {
	At    time.Time
	Words string
}

func askAD(id dlp.ID) string { return "ask " + string(id) }

// Ask seals a sender's request, to be committed.
func (v *Vault) Ask(id dlp.ID, at time.Time, words string) (Ask, error) {
	plain, err := encodeNote("", words)
	if err != nil {
		return Ask{}, fmt.Errorf("vault: ask about %s: %w", id, err)
	}
	sealed, err := v.keys.Seal(askAD(id), plain)
	if err != nil {
		return Ask{}, fmt.Errorf("vault: ask about %s: %w", id, err)
	}
	return Ask{ID: id, At: at, Sealed: sealed}, nil
}

// AskOf returns what the sender of an item asked for, false for nothing.
func (v *Vault) AskOf(ctx context.Context, id dlp.ID) (Asked, bool, error) {
	a, err := v.store.AskOf(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Asked{}, false, nil
	}
	if err != nil {
		return Asked{}, false, fmt.Errorf("vault: ask about %s: %w", id, err)
	}
	plain, err := v.keys.Open(askAD(id), a.Sealed)
	if err != nil {
		return Asked{At: a.At}, true, fmt.Errorf("vault: ask about %s: %w", id, ErrTampered)
	}
	note, err := decodeNote(plain)
	if err != nil {
		return Asked{At: a.At}, true, fmt.Errorf("vault: ask about %s: %w", id, err)
	}
	return Asked{At: a.At, Words: note.Why}, true, nil
}

// Wanted returns which of ids somebody asked to have released.
func (v *Vault) Wanted(ctx context.Context, ids []dlp.ID) ([]dlp.ID, error) {
	out, err := v.store.Wanted(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("vault: asks: %w", err)
	}
	return out, nil
}
