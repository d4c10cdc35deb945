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

// ofBlock marks what is counted of a block of days: its day is the first of it.
const ofBlock = "@"

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
			for _, k := range []struct {
				what string
				day  int
			}{{c.What, c.Day}, {c.What + ofBlock, store.Block(c.Day)}} {
				_, err := g.exec(`INSERT INTO figures VALUES (?, ?, ?, ?, ?) ON CONFLICT (what, day, of)
					DO UPDATE SET n = n + excluded.n, doc = excluded.doc`, k.what, k.day, c.Of, c.N, string(c.Doc))
				if err != nil {
					return fmt.Errorf("sqlite: figures: %w", err)
				}
			}
		}
		if _, err := g.exec("INSERT OR REPLACE INTO meta VALUES (?, ?)", metaFigures, string(place)); err != nil {
			return fmt.Errorf("sqlite: figures: %w", err)
		}
		return nil
	})
}

// PruneFigures forgets the figures of days before day, and of blocks that end before it.
func (db *DB) PruneFigures(ctx context.Context, day int) error {
	return db.commits.do(ctx, 0, func(g *group) error {
		_, err := g.exec("DELETE FROM figures WHERE day < ?1 - CASE WHEN what LIKE '%@' THEN ?2 ELSE 0 END", day, store.BlockDays-1)
		return err
	})
}

// Figures returns the counts of each of whats on the days from first to last, by
// day and of.
func (db *DB) Figures(ctx context.Context, whats []string, first, last int) ([]store.Count, error) {
	var out []store.Count
	for _, what := range whats {
		rows, err := db.read.QueryContext(ctx, "SELECT day, what, of, n, doc FROM figures WHERE what = ? AND day BETWEEN ? AND ? ORDER BY day, of", what, first, last)
		some, err := figures(rows, err)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// inPeriod are the rows of one what, ?1, of which the days from ?2 to ?3 are made up:
// of whole blocks, from ?5 to before ?6, those that are counted of them.
const inPeriod = `SELECT day, of, n, doc FROM figures WHERE what = ?1 AND day BETWEEN ?2 AND min(?3, ?5 - 1)
	UNION ALL SELECT day, of, n, doc FROM figures WHERE what = ?4 AND day >= ?5 AND day < ?6
	UNION ALL SELECT day, of, n, doc FROM figures WHERE what = ?1 AND day BETWEEN max(?2, ?5, ?6) AND ?3`

// period are the arguments of inPeriod.
func period(what string, first, last int) []any {
	from, to := store.Block(first+store.BlockDays-1), store.Block(last+1)
	return []any{what, first, last, what + ofBlock, from, max(from, to)}
}

// FiguresOf returns the counts of one what, whatever the day, summed up by of.
func (db *DB) FiguresOf(ctx context.Context, what string, first, last int) ([]store.Count, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT max(day), ?1, of, sum(n), '' FROM ("+inPeriod+") GROUP BY of ORDER BY of", period(what, first, last)...)
	return figures(rows, err)
}

// FiguresTop returns the most of FiguresOf that are counted most, with the document
// that was counted on the last of the days: of a bare column SQLite takes the row of
// the max.
func (db *DB) FiguresTop(ctx context.Context, what string, first, last, most int) ([]store.Count, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT max(day), ?1, of, sum(n), doc FROM ("+inPeriod+") GROUP BY of ORDER BY sum(n) DESC, of LIMIT ?7",
		append(period(what, first, last), most)...)
	return figures(rows, err)
}

// FiguresRepeats returns of each group of one what, which is the first word of its of,
// how many others stand behind it and are counted more than once, whatever the day.
func (db *DB) FiguresRepeats(ctx context.Context, what string, first, last, most int) ([]store.Repeats, error) {
	rows, err := db.read.QueryContext(ctx, `WITH
		sums AS (SELECT max(day) AS day, of, sum(n) AS n, doc FROM (`+inPeriod+`) GROUP BY of),
		parted AS (SELECT day, substr(of, 1, instr(of, ' ') - 1) AS grp, substr(of, instr(of, ' ') + 1) AS of, n, doc FROM sums),
		ranked AS (SELECT *, count(*) OVER (PARTITION BY grp) AS members, sum(n > 1) OVER (PARTITION BY grp) AS twice,
			row_number() OVER (PARTITION BY grp ORDER BY n DESC, of) AS place FROM parted)
		SELECT grp, members, twice, day, of, n, doc FROM ranked WHERE place <= max(?7, 1) ORDER BY grp, place`, append(period(what, first, last), most)...)
	type row struct {
		group          string
		members, twice int
		count          store.Count
	}
	all, err := collect(rows, err, "figures", func(r *row) ([]any, func() error) {
		var doc string
		return []any{&r.group, &r.members, &r.twice, &r.count.Day, &r.count.Of, &r.count.N, &doc}, func() error {
			r.count.What, r.count.Doc = what, dlp.ID(doc)
			return nil
		}
	})
	var out []store.Repeats
	for _, r := range all {
		if len(out) == 0 || out[len(out)-1].Of != r.group {
			out = append(out, store.Repeats{Of: r.group, Members: r.members, Twice: r.twice})
		}
		if to := &out[len(out)-1]; r.count.N > 1 && len(to.Most) < most {
			to.Most = append(to.Most, r.count)
		}
	}
	return out, err
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
