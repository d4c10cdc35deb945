package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Recover closes the decisions that an earlier run left without an outcome:
// `recovered` when the document is in the vault or in the outbox, `failed` when
// a person's act was not carried out, else `unknown`: the client never had its
// 250 and sends again, or the next hop took it in the last moment.
func (g *Gateway) Recover(ctx context.Context, open []audit.Pending) error {
	for _, p := range open {
		result := audit.ResultUnknown
		ms, err := g.Spool.Of(ctx, p.Doc)
		if err != nil {
			return fmt.Errorf("gateway: recover %s: %w", p.Doc, err)
		}
		if own, err := g.Spool.Get(ctx, p.Doc); err == nil && own.Kind == spool.Proved { // judged once more under its own name
			ms = append(ms, own)
		}
		item, err := g.Vault.Get(ctx, p.Doc)
		if err != nil && !errors.Is(err, vault.ErrNotFound) {
			return fmt.Errorf("gateway: recover %s: %w", p.Doc, err)
		}
		switch {
		case p.Kind == audit.Release && slices.ContainsFunc(ms, func(m spool.Message) bool { return m.Seq == p.Seq }):
			result = audit.ResultRecovered // for some it may still be held
		case p.Kind != audit.Decision && err == nil && item.State == vault.Held:
			result = audit.ResultFailed // a person's act that was not carried out; it is still theirs to do
		case slices.ContainsFunc(ms, func(m spool.Message) bool {
			return (m.Kind == spool.Reading || m.Kind == spool.Proved && m.State == spool.ToRead) && !m.State.Ended() && m.Seq < p.Seq
		}):
			result = audit.ResultFailed // read in the background, and not carried out: it is read again
		case err == nil || len(ms) > 0:
			result = audit.ResultRecovered
		}
		e := audit.Event{Time: g.Now(), Kind: audit.Outcome, Doc: p.Doc, Channel: p.Channel, Ref: p.Seq, Result: result}
		if err := g.Audit.Note(ctx, e); err != nil {
			return fmt.Errorf("gateway: record recovery of %s: %w", p.Doc, err)
		}
	}
	return nil
}

// Started records that this process began to serve, and what with: the digests of
// rules and policies, and the version of the imported code table that rules ask, ""
// for none.
func (g *Gateway) Started(ctx context.Context, ruleSet, policies, table string) error {
	kinds := []audit.Kind{audit.Start}
	if !g.cfg.ScanEnabled {
		kinds = append(kinds, audit.ScanOff)
	}
	for _, k := range kinds {
		e := audit.Event{Time: g.Now(), Kind: k, RuleSet: ruleSet, PolicyDigest: policies}
		if k == audit.Start {
			e.Reason = tableReason(table)
		}
		if _, err := g.Audit.Append(ctx, e); err != nil {
			return fmt.Errorf("gateway: record start: %w", err)
		}
	}
	return nil
}

// Stopped records that this process stops in order. It is the last event of a
// run: one that was killed has none.
func (g *Gateway) Stopped(ctx context.Context) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	if _, err := g.Audit.Append(ctx, audit.Event{Time: g.Now(), Kind: audit.Stop}); err != nil {
		return fmt.Errorf("gateway: record stop: %w", err)
	}
	return nil
}

// Changed records that other rules or policies, or rules with another imported
// code table, are in force; arguments are those of Started.
func (g *Gateway) Changed(ctx context.Context, actor, ruleSet, policies, table string) error {
	e := audit.Event{Time: g.Now(), Kind: audit.RulesChanged, Actor: actor, RuleSet: ruleSet, PolicyDigest: policies, Reason: tableReason(table)}
	if _, err := g.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("gateway: record change: %w", err)
	}
	return nil
}

// TableChange is what a person does to the code tables.
type TableChange struct {
	Do      string `json:"do"`               // "import", "use" or "remove"
	Version string `json:"version"`          // or "built-in"
	Digest  string `json:"digest,omitempty"` // SHA-256 of the file that is taken in, lower-case hex
	Failed  bool   `json:"failed,omitempty"` // it was recorded before, and not done
}

// NoteTable records a change of the code tables: before it is made, and again if
// it failed. What comes of one that is made is the table that Started and Changed
// tell of.
func (g *Gateway) NoteTable(ctx context.Context, c TableChange, actor string) error {
	e := audit.Event{Time: g.Now(), Kind: audit.Tables, Actor: actor, Reason: c.Do + ":" + c.Version, Digest: c.Digest}
	if c.Failed {
		e.Result = audit.ResultFailed
	}
	if _, err := g.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("gateway: record tables: %w", err)
	}
	return nil
}

// tableReason is a code table's version as the reason of an event: "table:2027-04".
func tableReason(version string) string {
	if version == "" {
		return ""
	}
	return "table:" + version
}
