// Package tally keeps what is counted of each day: what flowed, was held,
// released and encrypted, by rule, and what reviewers decided.
//
// It promises that each event of the audit log counts once: it reads the log on
// from a place that is committed together with the counts made of what stands
// before it. No mail waits for it, and the log can be counted anew at any time.
package tally

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// What is counted. Of is the channel unless it says otherwise.
const (
	Passed    = "passed"    // decided to go on as it came, tagged or not
	Held      = "held"      // decided to be held
	Encrypted = "encrypted" // decided to go encrypted
	Rejected  = "rejected"  // decided to be refused
	Released  = "released"  // by a reviewer, or encrypted by its sender
	Refused   = "refused"   // by a reviewer, by its sender, or by time
	Watched   = "watched"   // by action: a policy in monitor mode would have done it

	RuleHeld      = "rule_held"      // by rule
	RuleEncrypted = "rule_encrypted" // by rule
	RuleRejected  = "rule_rejected"  // by rule
	RuleWatched   = "rule_watched"   // by rule: as Watched, whatever the action
	PolicyWatched = "policy_watched" // by policy: as Watched
	WatchedBy     = "watched_by"     // by policy, rule and keyed pseudonym of the sender, joined by spaces: as Watched
	Unread        = "unread"         // by cause: held, encrypted or refused, and a part could not be read
	Way           = "way"            // by way on which it goes encrypted
	SenderHeld    = "sender_held"    // by keyed pseudonym

	// By keyed pseudonym of the sender's department, and what is behind it after a space.
	Department       = "department"        // mail decided about
	DepartmentHeld   = "department_held"   // mail held
	DepartmentRule   = "department_rule"   // and rule: held
	DepartmentSender = "department_sender" // and keyed pseudonym of the sender: held
	// DepartmentSeen is by the first two digits of the keyed pseudonyms of senders too,
	// whatever was decided: there are at least as many senders as there are of these. Its
	// day is the first of its block (store.Block).
	DepartmentSeen = "department_seen"

	PHI    = "phi"     // by rule: decided by a reviewer with another code than not_phi
	NotPHI = "not_phi" // by rule: decided with that code
	Waited = "waited"  // by bucket of Wait: from coming to a reviewer's decision
)

// NotPHICode is the reviewer's reason that says that the rules were wrong.
const NotPHICode = "not_phi"

// SenderActor is the actor of what a sender does by the link of their notice.
const SenderActor = "sender"

// kept is how long counts are kept: as long as documentation that 45 CFR
// 164.316(b)(2)(i) asks for, and a month.
const kept = 6*366 + 31 // days

// batch is how many lines are read before they are committed.
const batch = 50_000

// every is how often the log is read on. Pages read it on when they are asked for.
const every = time.Minute

// Log is the audit log. It is satisfied by audit.Log.
type Log interface {
	Follow(ctx context.Context, from audit.Place, use func(line []byte, after audit.Place) bool) (at audit.Place, ok bool, err error)
}

// Store keeps counts. It is satisfied by store/sqlite.
type Store interface {
	FiguresAt(ctx context.Context) ([]byte, error)
	AddFigures(ctx context.Context, counts []store.Count, place []byte, anew bool) error
	PruneFigures(ctx context.Context, day int) error
	Figures(ctx context.Context, whats []string, first, last int) ([]store.Count, error)
	FiguresOf(ctx context.Context, what string, first, last int) ([]store.Count, error)
	FiguresTop(ctx context.Context, what string, first, last, most int) ([]store.Count, error)
	FiguresRepeats(ctx context.Context, what string, first, last, most int) ([]store.Repeats, error)
	Hold(ctx context.Context, id dlp.ID) (vault.Row, error)
}

// Tally counts. All methods may be called at the same time.
type Tally struct {
	log   Log
	store Store
	now   func() time.Time
	errs  *slog.Logger
	skip  func(dlp.ID) bool

	mu     sync.Mutex // one reads on at a time
	pruned int        // guarded by mu; the day on which old counts were last forgotten
}

// New returns a Tally over the log and the store. What is told of a document that
// skip reports, as those of drills, is not counted.
func New(l Log, s Store, now func() time.Time, errs *slog.Logger, skip func(dlp.ID) bool) *Tally {
	return &Tally{log: l, store: s, now: now, errs: errs, skip: skip}
}

// Run reads the log on each minute until ctx ends.
func (t *Tally) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := t.CatchUp(ctx); err != nil && ctx.Err() == nil {
			t.errs.LogAttrs(ctx, slog.LevelError, "the figures of the dashboard could not be counted on", safelog.Err(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Day is the day of t.
func Day(t time.Time) int { return int(math.Floor(float64(t.Unix()) / (24 * 60 * 60))) }

// Of returns the counts of each of whats on the days from first to last, by day,
// the log read on before.
func (t *Tally) Of(ctx context.Context, whats []string, first, last int) ([]store.Count, error) {
	return caughtUp(ctx, t, func() ([]store.Count, error) { return t.store.Figures(ctx, whats, first, last) })
}

// By returns what is counted of what in the days from first to last together, the
// log read on before.
func (t *Tally) By(ctx context.Context, what string, first, last int) ([]store.Count, error) {
	return caughtUp(ctx, t, func() ([]store.Count, error) { return t.store.FiguresOf(ctx, what, first, last) })
}

// Top returns the most that are counted most of what By returns, the first before
// the others, each with the document that was counted last.
func (t *Tally) Top(ctx context.Context, what string, first, last, most int) ([]store.Count, error) {
	return caughtUp(ctx, t, func() ([]store.Count, error) { return t.store.FiguresTop(ctx, what, first, last, most) })
}

// Repeats returns of each first word of what is counted how many second words there
// are, and how many that are counted more than once, with the most of those that are
// counted most; the log read on before.
func (t *Tally) Repeats(ctx context.Context, what string, first, last, most int) ([]store.Repeats, error) {
	return caughtUp(ctx, t, func() ([]store.Repeats, error) { return t.store.FiguresRepeats(ctx, what, first, last, most) })
}

func caughtUp[T any](ctx context.Context, t *Tally, read func() ([]T, error)) ([]T, error) {
	if err := t.CatchUp(ctx); err != nil {
		return nil, err
	}
	out, err := read()
	if err != nil {
		return nil, fmt.Errorf("tally: %w", err)
	}
	return out, nil
}

// CatchUp reads the log to its end.
func (t *Tally) CatchUp(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var at audit.Place
	b, err := t.store.FiguresAt(ctx)
	if err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	anew := len(b) == 0
	if !anew && json.Unmarshal(b, &at) != nil {
		at, anew = audit.Place{}, true
	}
	for {
		n, next, err := t.some(ctx, at, anew)
		if errors.Is(err, errOther) && !anew { // a restore has put another log in its place
			at, anew = audit.Place{}, true
			continue
		}
		if err != nil {
			return err
		}
		at, anew = next, false
		if n < batch {
			return t.prune(ctx)
		}
	}
}

func (t *Tally) prune(ctx context.Context) error {
	today := Day(t.now())
	if t.pruned == today {
		return nil
	}
	if err := t.store.PruneFigures(ctx, today-kept); err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	t.pruned = today
	return nil
}

var errOther = errors.New("tally: the place is none of this log")

// some counts at most batch lines behind from and commits them.
func (t *Tally) some(ctx context.Context, from audit.Place, anew bool) (n int, at audit.Place, err error) {
	c := counter{store: t.store, ctx: ctx, skip: t.skip, of: map[key]*store.Count{}}
	at, ok, err := t.log.Follow(ctx, from, func(line []byte, _ audit.Place) bool {
		if n == batch || ctx.Err() != nil {
			return false
		}
		n++
		c.err = c.line(line)
		return c.err == nil
	})
	switch {
	case c.err != nil:
		return 0, from, c.err
	case err != nil:
		return 0, from, fmt.Errorf("tally: %w", err)
	case ctx.Err() != nil:
		return 0, from, ctx.Err()
	case !ok:
		return 0, from, errOther
	case n == 0 && !anew:
		return 0, from, nil
	}
	place, err := json.Marshal(at)
	if err != nil {
		return 0, from, fmt.Errorf("tally: place: %w", err)
	}
	if err := t.store.AddFigures(ctx, c.counts(), place, anew); err != nil {
		return 0, from, fmt.Errorf("tally: %w", err)
	}
	return n, at, nil
}

// WaitBucket is the bucket of a wait of d; each is a fifth longer than the one before.
func WaitBucket(d time.Duration) string {
	return strconv.Itoa(int(math.Round(4 * math.Log2(max(1, d.Minutes())))))
}

// BucketWait is about how long waits of that bucket are.
func BucketWait(bucket string) time.Duration {
	k, err := strconv.Atoi(bucket)
	if err != nil || k < 0 || k > 200 {
		return 0
	}
	return time.Duration(math.Exp2(float64(k)/4) * float64(time.Minute))
}
