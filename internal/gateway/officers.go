package gateway

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// atOnce makes what officers are told when a document is held for a finding of
// the severity that they asked for, at most notify.AtOnceTimes within an hour.
// It is committed with the hold.
func (g *Gateway) atOnce(ctx context.Context, doc *dlp.Document, j judgement) ([]spool.Entry, []store.NoticeMark) {
	least, on := g.cfg.Notices.AtOnceSeverity()
	if !on || !severe(j, least) {
		return nil, nil
	}
	now := g.Now()
	key, ok := g.firstUntold(ctx, notify.AtOnceTimes, now, func(i int) [32]byte {
		what := "officers at once"
		if g.isDrill(doc.ID) { // it takes no place from a real one's
			what = "officers at once, of a drill"
		}
		return g.Names.MAC("notice", []byte(what), []byte(strconv.Itoa(i)))
	})
	if !ok {
		return nil, nil
	}
	n := notify.Notice{ID: doc.ID, Hostname: g.cfg.Hostname, Types: typesOf(j, dlp.Hold), Parts: partsOf(j, dlp.Hold), Causes: j.verdict.Strictest().Causes, When: now}
	out := g.toOfficers(ctx, doc.ID, g.cfg.Notices.OfficerAddresses(), func(to dlp.Address) []byte {
		n.To = to
		return g.cfg.Notices.AtOnceNotice(n, doc.Channel)
	})
	return out, []store.NoticeMark{{Key: key, At: now}}
}

// severe reports whether a finding that j holds for is of severity least, or
// worse.
func severe(j judgement, least dlp.Severity) bool {
	for _, r := range j.verdict.Rcpts {
		if r.Action != dlp.Hold {
			continue
		}
		if slices.ContainsFunc(j.found, func(f dlp.Finding) bool { return f.Severity <= least && slices.Contains(r.Rules, f.Rule) }) {
			return true
		}
	}
	return false
}

// digestKey marks when the last digest went out.
func (g *Gateway) digestKey() [32]byte { return g.Names.MAC("notice", []byte("officers' digest")) }

// digestPoll is how often it is looked whether a digest is due.
const digestPoll = 30 * time.Second

// RunDigest writes to the officers at the times they asked for what is held,
// until ctx ends. The mark of the last one is committed with it: none goes out
// twice, and one whose time came while nothing ran goes out at the next start.
func (g *Gateway) RunDigest(ctx context.Context) error {
	if len(g.cfg.Notices.Digest) == 0 {
		return nil
	}
	for {
		if err := g.Digest(ctx); err != nil && ctx.Err() == nil {
			g.warn(ctx, "the officers' digest was not sent", "", err)
		}
		if !g.pause(ctx, digestPoll) {
			return nil
		}
	}
}

// Digest sends the digest if one is due and anything is held.
func (g *Gateway) Digest(ctx context.Context) error {
	now := g.Now()
	due := g.cfg.Notices.DigestDue(now)
	last, told, err := g.Store.LastNotice(ctx, g.digestKey())
	ahead := told && last.After(now) && !lately(last, now) // by a clock that was wrong
	if err != nil || told && !ahead && !last.Before(due) {
		return err
	}
	if !told || ahead {
		last = now.Add(-24 * time.Hour)
	}
	n, err := g.digestOf(ctx, last)
	if err != nil {
		return err
	}
	ch := store.Change{Notices: []store.NoticeMark{{Key: g.digestKey(), At: now}}}
	if n.Held > 0 {
		n.ID, n.Hostname, n.When, n.Since = dlp.NewID(), g.cfg.Hostname, now, last
		ch.Out = g.toOfficers(ctx, n.ID, g.cfg.Notices.OfficerAddresses(), func(to dlp.Address) []byte {
			n.To = to
			return g.cfg.Notices.DigestOf(n)
		})
	}
	if err := g.commit(ctx, ch); err != nil {
		g.discard(ctx, store.Change{Out: ch.Out}, err)
		return fmt.Errorf("gateway: digest: %w", err)
	}
	return nil
}

// digestOf counts what is held.
func (g *Gateway) digestOf(ctx context.Context, since time.Time) (n notify.DigestNotice, err error) {
	rules := map[dlp.RuleID]int{}
	for f := (vault.Filter{}); ; {
		page, err := g.Vault.List(ctx, f)
		if err != nil {
			return n, fmt.Errorf("gateway: digest: %w", err)
		}
		if len(page) == 0 {
			break
		}
		ids := make([]dlp.ID, len(page))
		for i, e := range page {
			ids[i] = e.ID
			if n.Held++; e.Received.After(since) {
				n.New++
			}
			if len(e.Causes) > 0 {
				n.Unread++
			}
			if n.Oldest.IsZero() || e.Received.Before(n.Oldest) {
				n.Oldest = e.Received
			}
			for _, r := range e.Rules {
				rules[r]++
			}
		}
		asked, err := g.Vault.Wanted(ctx, ids)
		if err != nil {
			return n, fmt.Errorf("gateway: digest: %w", err)
		}
		n.Asked += len(asked)
		f.After = page[len(page)-1].ID
	}
	for _, r := range slices.Sorted(maps.Keys(rules)) {
		n.Rules = append(n.Rules, notify.RuleCount{Rule: r, Held: rules[r]})
	}
	slices.SortStableFunc(n.Rules, func(a, b notify.RuleCount) int { return cmp.Compare(b.Held, a.Held) })
	return n, nil
}
