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

// MaxPassword bounds one password, in bytes: that of the site's list.
const MaxPassword = 256

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
	if password == "" || len(password) > MaxPassword || !utf8.ValidString(password) {
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
	typed := opened(c.Gaps, gaps)
	if out.Parts = len(typed); out.Parts == 0 {
		return out, ch, ErrPassword
	}
	before := len(c.Findings)
	c.Findings = joined(c.Findings, found)
	gaps = stillOpen(c, gaps)
	c.Gaps, c.GapsTotal = gaps, 0
	out.Findings = len(c.Findings) - before
	verdict := rules.Policy.Decide(doc, found, gaps)
	v := verdict.Strictest()
	for i := range c.Verdict.Rcpts { // what is done to whom stays as it was decided
		r := &c.Verdict.Rcpts[i]
		r.Rules, r.Causes = union(r.Rules, v.Rules), v.Causes
	}
	c.Shown = shownToo(c.Shown, g.shown(ctx, doc, judgement{rules: rules, found: c.Findings, gaps: gaps}))
	c.Shown.Typed = append(c.Shown.Typed, typed...)
	rec, err := g.Vault.SealCase(ctx, e.ID, c)
	if err != nil {
		return out, ch, err
	}
	a, err := g.Vault.Learn(e, union(e.Rules, v.Rules), v.Causes, c.Findings)
	return out, store.Change{Amend: []vault.Amendment{a}, Cases: []vault.Record{rec}}, err
}

// opened are the paths of the parts that were encrypted before and are not now.
func opened(before, now []dlp.Gap) (paths []string) {
	for _, gap := range before {
		if gap.Cause == dlp.Encrypted && !slices.ContainsFunc(now, func(x dlp.Gap) bool { return x.Cause == dlp.Encrypted && x.Path == gap.Path }) {
			paths = append(paths, gap.Path)
		}
	}
	return paths
}

// stillOpen are the gaps of c read anew with another password than that which opened
// some parts before: those stay read, with the gaps that were in them then.
func stillOpen(c vault.Case, now []dlp.Gap) []dlp.Gap {
	within := func(g dlp.Gap) bool { return vault.ByPassword(c.Shown.Typed, g.Path) }
	out := slices.DeleteFunc(slices.Clone(now), within)
	for _, gap := range c.Gaps {
		if within(gap) {
			out = append(out, gap)
		}
	}
	return out
}

// shownToo is now with what before shows of parts that were not read now.
func shownToo(before, now vault.Shown) vault.Shown {
	now.Typed = slices.Clone(before.Typed)
	for _, p := range before.Parts {
		if !slices.ContainsFunc(now.Parts, func(x vault.ShownPart) bool { return x.Path == p.Path }) {
			now.Parts = append(now.Parts, p)
		}
	}
	for _, f := range before.Findings {
		if !slices.ContainsFunc(now.Findings, func(x vault.ShownFinding) bool {
			return x.Rule == f.Rule && x.Part == f.Part && x.Start == f.Start && x.End == f.End
		}) {
			now.Findings = append(now.Findings, f)
		}
	}
	return now
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
