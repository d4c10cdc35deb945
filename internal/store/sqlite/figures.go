package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
)

// metaFigures is the row of meta with the place in the audit log up to which
// the figures count.
const metaFigures = "figures_at"

// FiguresAt returns the place that came with the figures last added, nil before
// the first.
func (db *DB) FiguresAt(ctx context.Context) ([]byte, error) {
	var place []byte
	err := db.read.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", metaFigures).Scan(&place)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: figures: %w", classify(err))
	}
	return place, nil
}

// AddFigures adds counts to those there are, and notes place: both or neither.
// anew forgets first what was counted before.
func (db *DB) AddFigures(ctx context.Context, counts []store.Count, place []byte, anew bool) error {
	return db.commits.do(ctx, len(counts)*64, func(g *group) error {
		if anew {
			if _, err := g.exec("DELETE FROM figures"); err != nil {
				return fmt.Errorf("sqlite: figures: %w", err)
			}
		}
		for _, c := range counts {
			_, err := g.exec(`INSERT INTO figures VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, what, of)
				DO UPDATE SET n = n + excluded.n, doc = excluded.doc`, c.Day, c.What, c.Of, c.N, string(c.Doc))
			if err != nil {
				return fmt.Errorf("sqlite: figures: %w", err)
			}
		}
		if _, err := g.exec("INSERT OR REPLACE INTO meta VALUES (?, ?)", metaFigures, string(place)); err != nil {
			return fmt.Errorf("sqlite: figures: %w", err)
		}
		return nil
	})
}

// PruneFigures forgets the figures of days before day.
func (db *DB) PruneFigures(ctx context.Context, day int) error {
	return db.commits.do(ctx, 0, func(g *group) error {
		_, err := g.exec("DELETE FROM figures WHERE day < ?", day)
		return err
	})
}

// Figures returns the counts of the days from first to last, by day, what and of,
// but for those that are many and asked for by name.
func (db *DB) Figures(ctx context.Context, first, last int) ([]store.Count, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT day, what, of, n, doc FROM figures WHERE day BETWEEN ? AND ? AND what <> 'watched_by' ORDER BY day, what, of", first, last)
	return figures(rows, err)
}

// FiguresOf returns the counts of one what, whatever the day, summed up by of.
func (db *DB) FiguresOf(ctx context.Context, what string, first, last int) ([]store.Count, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT max(day), what, of, sum(n), '' FROM figures WHERE day BETWEEN ? AND ? AND what = ? GROUP BY of ORDER BY of", first, last, what)
	return figures(rows, err)
}

func figures(rows *sql.Rows, err error) ([]store.Count, error) {
	return collect(rows, err, "figures", func(c *store.Count) ([]any, func() error) {
		var doc string
		return []any{&c.Day, &c.What, &c.Of, &c.N, &doc}, func() error {
			c.Doc = dlp.ID(doc)
			return nil
		}
	})
}

// HeldBefore counts what is held and was received before each of times.
func (db *DB) HeldBefore(ctx context.Context, times []time.Time) ([]int, error) {
	out := make([]int, len(times))
	for i, t := range times {
		if err := db.stmts.queryRow(ctx, "SELECT count(*) FROM holds WHERE state = 'held' AND received < ?", []any{&out[i]}, micros(t)); err != nil {
			return nil, fmt.Errorf("sqlite: count: %w", classify(err))
		}
	}
	return out, nil
}
