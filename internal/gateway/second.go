package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// ErrSecond says that a release is noted as the first of two decisions.
var ErrSecond = errors.New("noted as the first of two decisions: this is above the threshold of [review], and somebody else must release it in the same way")

// ErrSame says that both decisions would be one person's, as those of somebody and
// their deputy are.
var ErrSame = errors.New("you decided this already, or somebody did whose deputy you are: somebody else must release it in the same way")

// Proposed is the first of two decisions, as faces show it.
type Proposed struct {
	By         string    `json:"by"`
	At         time.Time `json:"at"`
	Code       string    `json:"code,omitempty"`
	Words      string    `json:"words,omitempty"`
	Encrypted  bool      `json:"encrypted,omitempty"`
	Recipients []string  `json:"recipients,omitempty"` // for whom; none: for all
}

func proposedOf(p *vault.Proposal) *Proposed {
	if p == nil {
		return nil
	}
	out := &Proposed{By: p.By, At: p.At, Code: p.Code, Words: p.Words, Encrypted: p.Encrypted}
	for _, r := range p.Rcpts {
		out.Recipients = append(out.Recipients, r.String())
	}
	return out
}

// needsTwo says whether the release of a document with this case takes two
// people. Of what was found and is not in the case nobody knows how many it is.
func (c *ReviewConfig) needsTwo(of vault.Case) bool {
	if n := c.SecondPatients; n > 0 && (of.FindingsTotal > len(of.Findings) || policy.Patients(of.Findings) >= n) {
		return true
	}
	if c.SecondSeverity == "" {
		return false
	}
	least, _ := c.severity()
	return of.FindingsTotal > len(of.Findings) || slices.ContainsFunc(of.Findings, func(f dlp.Finding) bool { return f.Severity <= least })
}

// takesTwo reports whether the release of id takes two people; where that is not
// known it does.
func (g *Gateway) takesTwo(ctx context.Context, id dlp.ID) bool {
	if g.cfg.Review.SecondPatients == 0 && g.cfg.Review.SecondSeverity == "" {
		return false
	}
	c, err := g.Vault.Case(ctx, id, nil)
	return err != nil || g.cfg.Review.needsTwo(c)
}

// second notes a release as the first of two decisions, unless one is enough or
// somebody else has decided the same before: then it is nil.
func (g *Gateway) second(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv *Review, rcpts []dlp.Address) error {
	rc := &g.cfg.Review
	if rc.SecondPatients == 0 && rc.SecondSeverity == "" {
		return nil
	}
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return err
	}
	if e.State != vault.Held {
		return ErrNotHeld
	}
	c, err := g.Vault.Case(ctx, id, keys.Case)
	if errors.Is(err, vault.ErrLocked) {
		return err
	}
	if err == nil && !rc.needsTwo(c) { // of a case that does not open it is not known
		return nil
	}
	p := vault.Proposal{By: actor, At: g.Now(), Code: rv.Code, Words: rv.Words, Encrypted: rv.Encrypted, Rcpts: rcpts}
	if was := e.Proposal; was != nil && was.Encrypted == p.Encrypted && sameRcpts(was.Rcpts, p.Rcpts) {
		another, counts, err := g.another(actor, was.By, was.At)
		switch {
		case err != nil:
			return err
		case counts && !another:
			return ErrSame
		case counts:
			rv.Words = fmt.Sprintf("%s\nFirst decision, by %s: %s", rv.Words, was.By, was.Words)
			return nil
		}
		// Who decided first may decide no more: this is the first.
	}
	if err := g.reviewed(ctx, id, *rv, actor, audit.ResultHeld); err != nil {
		return err
	}
	reason := "release"
	if rv.Encrypted {
		reason = "release_encrypted"
	}
	if err := g.Note(ctx, audit.Event{Kind: audit.Propose, Doc: id, Channel: e.Channel, Actor: actor, Reason: reason, Rcpts: len(rcpts), RcptKeys: g.rcptKeys(rcpts)}); err != nil {
		return err
	}
	a, err := g.Vault.Propose(id, p)
	if err != nil {
		return err
	}
	if err := g.commit(ctx, store.Change{Amend: []vault.Amendment{a}}); err != nil {
		return err
	}
	return ErrSecond
}

func sameRcpts(a, b []dlp.Address) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(r dlp.Address) bool { return !slices.Contains(b, r) })
}

// rcptKeys are the pseudonyms of rcpts as events have them.
func (g *Gateway) rcptKeys(rcpts []dlp.Address) (out []string) {
	for _, r := range rcpts[:min(len(rcpts), maxRcptKeys)] {
		out = append(out, g.pseudonym(r))
	}
	return out
}
