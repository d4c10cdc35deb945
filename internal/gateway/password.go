package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Errors of OpenEncrypted, after which the item is as it was.
var (
	ErrPassword   = errors.New("gateway: the password opens nothing of it")
	ErrNoPassword = errors.New("gateway: want a password of 1 to 256 bytes of UTF-8")
	ErrOpenedSlow = errors.New("gateway: it was not read in time")
)

// maxPassword bounds one password, in bytes: that of the site's list.
const maxPassword = 256

// Opened says what a password brought to light.
type Opened struct {
	Parts    int // that were encrypted and are read now
	Findings int // that were not there before
}

// OpenEncrypted reads a held document again, its encrypted parts with password.
// What is found joins the case, and the rules and gaps that it is held for are
// told anew; that it is held, and for whom, stays as it is. The password is kept
// nowhere. keys are as for Release. ErrPassword, ErrNoPassword, ErrOpenedSlow,
// ErrNotHeld.
func (g *Gateway) OpenEncrypted(ctx context.Context, id dlp.ID, keys vault.Opened, actor, password string) (Opened, error) {
	if password == "" || len(password) > maxPassword || !utf8.ValidString(password) {
		return Opened{}, ErrNoPassword
	}
	done, err := g.alone(id)
	if err != nil {
		return Opened{}, err
	}
	defer done()
	if err := g.unlocked(ctx, id, keys); err != nil {
		return Opened{}, fmt.Errorf("gateway: open %s: %w", id, err)
	}
	c, err := g.Vault.Case(ctx, id, keys.Case)
	if err != nil {
		return Opened{}, fmt.Errorf("gateway: open %s: %w", id, err)
	}
	e, seq, err := g.open(ctx, id, audit.Look, audit.ReasonPassword, actor, nil)
	if err != nil {
		return Opened{}, err
	}
	out, ch, err := g.openWith(ctx, e, c, keys, password)
	if err == nil {
		err = g.commit(ctx, ch)
	}
	switch {
	case errors.Is(err, store.ErrUnknown):
		g.done(ctx, e, seq, audit.ResultUnknown)
	case err != nil:
		g.done(ctx, e, seq, audit.ResultFailed)
	default:
		g.done(ctx, e, seq, audit.ResultOpened)
		return out, nil
	}
	return Opened{}, fmt.Errorf("gateway: open %s: %w", id, err)
}

// openWith reads e with a password, and returns what is to be kept of that.
func (g *Gateway) openWith(ctx context.Context, e vault.Entry, c vault.Case, keys vault.Opened, password string) (out Opened, ch store.Change, err error) {
	rules := g.rules.Load()
	if rules == nil || g.Extract == nil {
		return out, ch, ErrNoRules
	}
	doc := g.heldDoc(ctx, e, keys)
	doc.Passwords = []string{password}
	found, gaps, err := g.readAlone(ctx, doc, rules)
	if err != nil {
		return out, ch, err
	}
	if timedOut(gaps) {
		return out, ch, ErrOpenedSlow
	}
	if out.Parts = opened(c.Gaps, gaps); out.Parts == 0 {
		return out, ch, ErrPassword
	}
	before := len(c.Findings)
	c.Findings = joined(c.Findings, found)
	c.Gaps, c.GapsTotal = gaps, 0
	out.Findings = len(c.Findings) - before
	verdict := rules.Policy.Decide(doc, found, gaps)
	v := verdict.Strictest()
	for i := range c.Verdict.Rcpts { // what is done to whom stays as it was decided
		r := &c.Verdict.Rcpts[i]
		r.Rules, r.Causes = union(r.Rules, v.Rules), v.Causes
	}
	c.Shown = g.shown(ctx, doc, judgement{rules: rules, found: c.Findings, gaps: gaps})
	rec, err := g.Vault.SealCase(ctx, e.ID, c)
	if err != nil {
		return out, ch, err
	}
	a, err := g.Vault.Learn(e, union(e.Rules, v.Rules), v.Causes, c.Findings)
	return out, store.Change{Amend: []vault.Amendment{a}, Cases: []vault.Record{rec}}, err
}

// opened counts the parts that were encrypted before and are not now.
func opened(before, now []dlp.Gap) (n int) {
	for _, gap := range before {
		if gap.Cause == dlp.Encrypted && !slices.ContainsFunc(now, func(x dlp.Gap) bool { return x.Cause == dlp.Encrypted && x.Path == gap.Path }) {
			n++
		}
	}
	return n
}

// joined are the findings of a and those of b that are not among them.
func joined(a, b []dlp.Finding) []dlp.Finding {
	there := make(map[place]bool, len(a))
	for i := range a {
		there[placeOf(&a[i])] = true
	}
	out := slices.Clone(a)
	for i := range b {
		if !there[placeOf(&b[i])] {
			out = append(out, b[i])
		}
	}
	return out
}

func union(a, b []dlp.RuleID) []dlp.RuleID {
	out := slices.Clone(a)
	for _, r := range b {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
