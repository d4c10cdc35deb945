package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// collect reads all rows. of gives, for one result, where its columns go and
// what is to be done once they are there.
func collect[T any](rows *sql.Rows, err error, what string, of func(*T) ([]any, func() error)) ([]T, error) {
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", what, classify(err))
	}
	defer rows.Close() // read to its end below, where its error shows
	var out []T
	for rows.Next() {
		var t T
		into, finish := of(&t)
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("sqlite: %s: %w", what, classify(err))
		}
		if err := finish(); err != nil {
			return nil, fmt.Errorf("sqlite: %s: %w", what, err)
		}
		out = append(out, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", what, classify(err))
	}
	return out, nil
}

// one returns the only row of got, or missing.
func one[T any](got []T, err error, missing error) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	if len(got) == 0 {
		return none, missing
	}
	return got[0], nil
}

// intoKey copies a 32-byte column.
func intoKey(into *[32]byte, b []byte) error {
	if len(b) != len(into) {
		return errors.New("a key of the wrong length")
	}
	copy(into[:], b)
	return nil
}

// page returns the row number to read after and the limit of one list.
func (db *DB) page(ctx context.Context, table string, after dlp.ID, limit, most int, missing error) (seq int64, n int, err error) {
	n = most
	if limit > 0 {
		n = min(limit, most)
	}
	if after == "" {
		return 0, n, nil
	}
	err = db.read.QueryRowContext(ctx, "SELECT seq FROM "+table+" WHERE id = ?", string(after)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, missing
	}
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: list: %w", classify(err))
	}
	return seq, n, nil
}

const holdColumns = "SELECT id, channel, state, received, policy, rules, size, sealed, decided, note, period FROM holds "

func scanHold(r *vault.Row) ([]any, func() error) {
	var received, decided int64
	var rules string
	return []any{&r.ID, &r.Channel, &r.State, &received, &r.Policy, &rules, &r.Size, &r.Sealed, &decided, &r.Note, &r.Period},
		func() error {
			r.Received, r.Decided, r.Rules = fromMicros(received), fromMicros(decided), splitRules(rules)
			return nil
		}
}

// Holds returns the rows f asks for, in the order they came or the other way around.
func (db *DB) Holds(ctx context.Context, f vault.Filter) ([]vault.Row, error) {
	seq, n, err := db.page(ctx, "holds", f.After, f.Limit, vault.MaxList, vault.ErrNotFound)
	if err != nil {
		return nil, err
	}
	order := "ORDER BY seq LIMIT ?"
	from := "WHERE seq > ? "
	if f.Newest {
		order = "ORDER BY seq DESC LIMIT ?"
		if from = "WHERE seq < ? "; f.After == "" {
			seq = math.MaxInt64
		}
	}
	if f.State != "" && f.State != vault.Held {
		rows, err := db.read.QueryContext(ctx, holdColumns+from+"AND state = ? "+order, seq, string(f.State), n)
		return collect(rows, err, "list holds", scanHold)
	}
	where := from + "AND state = 'held' " + order
	if f.All && f.State == "" {
		where = from + order
	}
	if f.Period != "" {
		rows, err := db.read.QueryContext(ctx, holdColumns+"WHERE period = ? AND "+strings.TrimPrefix(where, "WHERE "), string(f.Period), seq, n)
		return collect(rows, err, "list holds", scanHold)
	}
	rows, err := db.read.QueryContext(ctx, holdColumns+where, seq, n)
	return collect(rows, err, "list holds", scanHold)
}

// PeriodsUsed returns the periods whose keys contents or cases are sealed to.
func (db *DB) PeriodsUsed(ctx context.Context) ([]dlp.ID, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT DISTINCT period FROM holds WHERE state <> 'expired' UNION SELECT DISTINCT period FROM cases")
	return collect(rows, err, "list periods", func(id *dlp.ID) ([]any, func() error) {
		return []any{id}, func() error { return nil }
	})
}

// Hold returns one row, or vault.ErrNotFound.
func (db *DB) Hold(ctx context.Context, id dlp.ID) (vault.Row, error) {
	rows, err := db.read.QueryContext(ctx, holdColumns+"WHERE id = ?", string(id))
	got, err := collect(rows, err, "read hold", scanHold)
	return one(got, err, vault.ErrNotFound)
}

// HoldContent returns the sealed content kept in the database, nil where a
// file has it. vault.ErrNotFound, vault.ErrNoContent.
func (db *DB) HoldContent(ctx context.Context, id dlp.ID) ([]byte, error) {
	return db.inline(ctx, id, `SELECT external AND state <> 'expired', content FROM holds LEFT JOIN hold_contents USING (id) WHERE id = ?`,
		vault.ErrNotFound, vault.ErrNoContent)
}

// inline reads a content and whether a file has it instead.
func (db *DB) inline(ctx context.Context, id dlp.ID, query string, notFound, noContent error) ([]byte, error) {
	var external bool
	var content []byte
	err := db.stmts.queryRow(ctx, query, []any{&external, &content}, string(id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, notFound
	case err != nil:
		return nil, fmt.Errorf("sqlite: read content of %s: %w", id, classify(err))
	case content == nil && !external:
		return nil, noContent
	}
	return content, nil
}

// CaseRecord returns the record of id, or vault.ErrNotFound.
func (db *DB) CaseRecord(ctx context.Context, id dlp.ID) (vault.Record, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT id, channel, decided, sealed, period FROM cases WHERE id = ?", string(id))
	got, err := collect(rows, err, "read case", func(r *vault.Record) ([]any, func() error) {
		var decided int64
		return []any{&r.ID, &r.Channel, &decided, &r.Sealed, &r.Period}, func() error {
			r.Decided = fromMicros(decided)
			return nil
		}
	})
	return one(got, err, vault.ErrNotFound)
}

const queueColumns = `SELECT id, doc, kind, state, created, next, expires, size, audit_seq, tries, dest, why, sealed FROM outbox `

func scanQueued(r *spool.Row) ([]any, func() error) {
	var created, next, expires, seq int64
	return []any{&r.ID, &r.Doc, &r.Kind, &r.State, &created, &next, &expires, &r.Size, &seq, &r.Tries, &r.Dest, &r.Why, &r.Sealed},
		func() error {
			r.Created, r.Next, r.Expires, r.Seq = fromMicros(created), fromMicros(next), fromMicros(expires), uint64(seq)
			return nil
		}
}

// Queue returns the rows f asks for, in the order they were queued.
func (db *DB) Queue(ctx context.Context, f spool.Filter) ([]spool.Row, error) {
	seq, n, err := db.page(ctx, "outbox", f.After, f.Limit, spool.MaxList, spool.ErrNotFound)
	if err != nil {
		return nil, err
	}
	where, args := "WHERE seq > ?", []any{seq}
	if f.Doc != "" {
		where, args = where+" AND doc = ?", append(args, string(f.Doc))
	}
	if !f.All {
		where += " AND ended = 0"
	}
	rows, err := db.read.QueryContext(ctx, queueColumns+where+" ORDER BY seq LIMIT ?", append(args, n)...)
	return collect(rows, err, "list queue", scanQueued)
}

// QueueDue returns at most f.Limit rows that f asks for: those whose time has
// come, the oldest first (with f.Except, of a choice of destinations), then
// those further ahead than any time we set.
func (db *DB) QueueDue(ctx context.Context, f spool.DueFilter) ([]spool.Row, error) {
	state, err := stateIs(f.State)
	if err != nil {
		return nil, err
	}
	list := db.dueBefore
	if len(f.Except) > 0 {
		list = db.dueElsewhere
	}
	due, err := list(ctx, state, f)
	if err != nil || len(due) >= f.Limit {
		return due, err
	}
	rows, err := db.stmts.query(ctx, queueColumns+"WHERE "+state+" AND next > ? ORDER BY next LIMIT ?", micros(f.Horizon), f.Limit-len(due))
	ahead, err := collect(rows, err, "due", scanQueued)
	ahead = slices.DeleteFunc(ahead, func(r spool.Row) bool { return slices.Contains(f.Except, r.Dest) })
	return append(due, ahead...), err
}

// dueBefore lists what is due by f.Now, wherever it goes.
func (db *DB) dueBefore(ctx context.Context, state string, f spool.DueFilter) ([]spool.Row, error) {
	rows, err := db.stmts.query(ctx, queueColumns+"WHERE "+state+" AND next <= ? ORDER BY next LIMIT ?", micros(f.Now), f.Limit)
	return collect(rows, err, "due", scanQueued)
}

// dueElsewhere lists what is due by f.Now and goes to none of f.Except: some of
// each destination, from one that is chosen by chance on, so that each has its
// turn, and more of them where there is room. What it costs does not depend on
// how much waits for f.Except.
func (db *DB) dueElsewhere(ctx context.Context, state string, f spool.DueFilter) ([]spool.Row, error) {
	due, err := db.someOfEach(ctx, state, f, max(1, f.Limit/eachOf))
	if err == nil && len(due) > 0 && len(due) < f.Limit {
		due, err = db.someOfEach(ctx, state, f, f.Limit)
	}
	slices.SortFunc(due, func(a, b spool.Row) int { return a.Next.Compare(b.Next) })
	return due, err
}

func (db *DB) someOfEach(ctx context.Context, state string, f spool.DueFilter, each int) ([]spool.Row, error) {
	var due []spool.Row
	start, looked := int64(rand.Uint64()), 0
	for _, part := range []struct {
		from, to int64
	}{{start, math.MaxInt64}, {math.MinInt64, start - 1}} {
		for from := part.from; len(due) < f.Limit && looked < maxLooked; looked++ {
			var dest sql.NullInt64
			if err := db.stmts.queryRow(ctx, "SELECT min(dest) FROM outbox WHERE "+state+" AND dest BETWEEN ? AND ?", []any{&dest}, from, part.to); err != nil {
				return nil, fmt.Errorf("sqlite: due: %w", classify(err))
			}
			if !dest.Valid {
				break
			}
			if !slices.Contains(f.Except, dest.Int64) {
				rows, err := db.stmts.query(ctx, queueColumns+"WHERE "+state+" AND dest = ? AND next <= ? ORDER BY next LIMIT ?",
					dest.Int64, micros(f.Now), min(each, f.Limit-len(due)))
				more, err := collect(rows, err, "due", scanQueued)
				if err != nil {
					return nil, err
				}
				due = append(due, more...)
			}
			if dest.Int64 == part.to {
				break
			}
			from = dest.Int64 + 1
		}
	}
	return due, nil
}

const (
	eachOf    = 4   // destinations that share one list of dueElsewhere, where there are so many
	maxLooked = 500 // destinations looked at for one list
)

// stateIs is the condition of a state that is waited in. It is a constant, so
// that SQLite sees which index fits.
func stateIs(s spool.State) (string, error) {
	switch s {
	case spool.Queued:
		return "state = 'queued'", nil
	case spool.ToRead:
		return "state = 'reading'", nil
	case spool.Poison:
		return "state = 'poison'", nil
	}
	return "", fmt.Errorf("sqlite: nothing waits in state %q", s)
}

// QueueNext returns the earliest next of a row in state s, false for none.
func (db *DB) QueueNext(ctx context.Context, s spool.State) (time.Time, bool, error) {
	state, err := stateIs(s)
	if err != nil {
		return time.Time{}, false, err
	}
	var next sql.NullInt64
	if err := db.stmts.queryRow(ctx, "SELECT min(next) FROM outbox WHERE "+state, []any{&next}); err != nil {
		return time.Time{}, false, fmt.Errorf("sqlite: next due: %w", classify(err))
	}
	return fromMicros(next.Int64), next.Valid, nil
}

// QueueSize returns how many rows are in state s and how many bytes they have.
func (db *DB) QueueSize(ctx context.Context, s spool.State) (n int, bytes int64, err error) {
	state, err := stateIs(s)
	if err != nil {
		return 0, 0, err
	}
	if err := db.read.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(size), 0) FROM outbox WHERE "+state).Scan(&n, &bytes); err != nil {
		return 0, 0, fmt.Errorf("sqlite: queue size: %w", classify(err))
	}
	return n, bytes, nil
}

// QueueOf returns the rows that come of the document doc.
func (db *DB) QueueOf(ctx context.Context, doc dlp.ID) ([]spool.Row, error) {
	rows, err := db.read.QueryContext(ctx, queueColumns+"WHERE doc = ? ORDER BY seq LIMIT ?", string(doc), spool.MaxList)
	return collect(rows, err, "read queue", scanQueued)
}

// Queued returns one row in any state, or spool.ErrNotFound.
func (db *DB) Queued(ctx context.Context, id dlp.ID) (spool.Row, error) {
	rows, err := db.stmts.query(ctx, queueColumns+"WHERE id = ?", string(id))
	got, err := collect(rows, err, "read queue", scanQueued)
	return one(got, err, spool.ErrNotFound)
}

// QueueContent returns the sealed content kept in the database, nil where a
// file has it. spool.ErrNotFound, spool.ErrNoContent.
func (db *DB) QueueContent(ctx context.Context, id dlp.ID) ([]byte, error) {
	return db.inline(ctx, id, `SELECT external AND ended = 0, content FROM outbox LEFT JOIN outbox_contents USING (id) WHERE id = ?`,
		spool.ErrNotFound, spool.ErrNoContent)
}
