package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stanch-dlp/stanch/internal/audit"
)

// Copier writes an encrypted copy of the data folder, for recipients, which are
// age public keys, to open.
type Copier interface {
	Copy(ctx context.Context, w io.Writer, recipients []string) error
}

// VaultKeyFile returns the keys of the vault as they are kept: what a backup
// does not hold, and a restore needs beside it.
func (g *Gateway) VaultKeyFile(context.Context) ([]byte, error) {
	if g.Keys == nil {
		return nil, errNoKeys
	}
	return g.Keys.File()
}

// Backup has a copy made, which is on record before its first byte. One is made
// at a time: ErrBusy.
func (g *Gateway) Backup(ctx context.Context, recipients []string, actor string, w io.Writer) error {
	if g.Deps.Copy == nil {
		return errors.New("gateway: nothing to back up")
	}
	if !g.copying.TryLock() {
		return fmt.Errorf("gateway: a backup is under way: %w", ErrBusy)
	}
	defer g.copying.Unlock()
	if _, err := g.Audit.Append(ctx, audit.Event{Time: g.Now(), Kind: audit.Backup, Actor: actor, Rcpts: len(recipients)}); err != nil {
		return fmt.Errorf("gateway: record backup: %w", err)
	}
	if err := g.Deps.Copy.Copy(ctx, w, recipients); err != nil {
		return fmt.Errorf("gateway: backup: %w", err)
	}
	return nil
}
