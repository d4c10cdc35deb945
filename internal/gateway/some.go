package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Errors of a release for some, or encrypted.
var (
	// ErrNotFor says that the document is not held for somebody who was named.
	ErrNotFor = errors.New("it is not held for one of the recipients that were named; `stanch quarantine show` lists them")
	// ErrNoWay says that somebody cannot have it encrypted. Nobody gets it then.
	ErrNoWay = errors.New("it stays held: it cannot be encrypted for everybody it was to go to (`stanch keys test ADDRESS` says why)")
	// ErrUnencrypted says that somebody for whom it was to be encrypted would get it in
	// the clear, and that nobody said so. Nobody gets it then.
	ErrUnencrypted = errors.New("it stays held: it was to be encrypted, and no way leads to everybody it was to be encrypted for (`stanch keys test ADDRESS` says why); without --unencrypted=false it goes to them in the clear")
)

// selected are those of e's recipients that rv means, in e's order.
func (rv *Review) selected(e vault.Entry) ([]dlp.Address, error) {
	if e.Channel != dlp.Mail {
		if rv.Encrypted {
			return nil, ErrNoWay
		}
		if len(rv.Only) > 0 {
			return nil, ErrNotFor
		}
		return nil, nil
	}
	if len(rv.Only) == 0 {
		return e.Envelope.Rcpts, nil
	}
	var out []dlp.Address
	found := 0
	for _, s := range rv.Only {
		if slices.ContainsFunc(e.Envelope.Rcpts, func(r dlp.Address) bool { return strings.EqualFold(s, r.String()) }) {
			found++
		}
	}
	if found < len(rv.Only) {
		return nil, ErrNotFor
	}
	for _, r := range e.Envelope.Rcpts { // who is listed twice, in letters of another case, is one
		if slices.ContainsFunc(rv.Only, func(s string) bool { return strings.EqualFold(s, r.String()) }) {
			out = append(out, r)
		}
	}
	return out, nil
}

// beside are those of all that are not in some.
func beside(all, some []dlp.Address) (out []dlp.Address) {
	for _, r := range all {
		if !slices.Contains(some, r) {
			out = append(out, r)
		}
	}
	return out
}

// narrow commits ch together with e's being held for rest alone.
func (g *Gateway) narrow(ctx context.Context, ch store.Change, e vault.Entry, rest []dlp.Address) error {
	a, err := g.Vault.Narrow(e, rest)
	if err != nil {
		return err
	}
	ch.Amend = append(ch.Amend, a)
	err = g.commit(ctx, ch)
	ctx, cancel := lasting(ctx)
	defer cancel()
	return g.standing(ctx, err, func(ctx context.Context) (bool, error) { // nobody else changes it meanwhile
		e, err := g.Vault.Get(ctx, e.ID)
		return len(e.Envelope.Rcpts) == len(rest), err
	})
}

// allEncrypted is ErrNoWay where m has no encrypted message for one of rcpts.
func (m *mail) allEncrypted(rcpts []dlp.Address) error {
	for _, r := range rcpts {
		if !slices.ContainsFunc(m.ciphers, func(c cipher) bool { return slices.Contains(c.rcpts, r) }) {
			return fmt.Errorf("gateway: %s: %w", m.doc.ID, ErrNoWay)
		}
	}
	return nil
}
