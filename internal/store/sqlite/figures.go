package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
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
// day and of, without their documents.
func (db *DB) Figures(ctx context.Context, whats []string, first, last int) ([]store.Count, error) {
	var out []store.Count
	for _, what := range whats {
		rows, err := db.read.QueryContext(ctx, "SELECT day, of, n FROM figures WHERE what = ? AND day BETWEEN ? AND ? ORDER BY day, of", what, first, last)
		some, err := collect(rows, err, "figures", func(c *store.Count) ([]any, func() error) {
			c.What = what
			return []any{&c.Day, &c.Of, &c.N}, func() error { return nil }
		})
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

// sums are the sums of inPeriod by of, without what is not asked for: what is sorted is
// small then.
var sums = "SELECT of, sum(n) AS n FROM (" + strings.ReplaceAll(inPeriod, "day, of, n, doc", "of, n") + ") GROUP BY of"

// period are the arguments of inPeriod.
func period(what string, first, last int) []any {
	from, to := store.Block(first+store.BlockDays-1), store.Block(last+1)
	return []any{what, first, last, what + ofBlock, from, max(from, to)}
}

// FiguresOf returns the counts of one what, whatever the day, summed up by of: as of the
// last day.
func (db *DB) FiguresOf(ctx context.Context, what string, first, last int) ([]store.Count, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT ?3, ?1, of, n, '' FROM ("+sums+") ORDER BY of", period(what, first, last)...)
	return figures(rows, err)
}

// FiguresTop returns the most of FiguresOf that are counted most, with the document
// that was counted on the last of the days.
func (db *DB) FiguresTop(ctx context.Context, what string, first, last, most int) ([]store.Count, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT ?3, ?1, of, n, '' FROM ("+sums+") ORDER BY n DESC, of LIMIT ?7", append(period(what, first, last), most)...)
	out, err := figures(rows, err)
	if err != nil {
		return nil, err
	}
	return out, db.lastOf(ctx, out, what, first, last)
}

// lastOf says of some counts of a period on what day each was counted last, and what
// document then.
func (db *DB) lastOf(ctx context.Context, cs []store.Count, what string, first, last int) error {
	at := make(map[string]*store.Count, len(cs))
	names := make([]string, len(cs))
	for i := range cs {
		names[i], at[cs[i].Of] = cs[i].Of, &cs[i]
	}
	list, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("sqlite: figures: %w", err)
	}
	// Of a bare column SQLite takes the row of the max.
	rows, err := db.read.QueryContext(ctx, "SELECT max(day), ?1, of, 0, doc FROM ("+inPeriod+") WHERE of IN (SELECT value FROM json_each(?7)) GROUP BY of",
		append(period(what, first, last), string(list))...)
	found, err := figures(rows, err)
	for _, f := range found {
		c := at[f.Of]
		c.Day, c.Doc = f.Day, f.Doc
	}
	return err
}

// FiguresRepeats returns of each group of one what, which is the first word of its of,
// how many others stand behind it and are counted more than once, whatever the day.
func (db *DB) FiguresRepeats(ctx context.Context, what string, first, last, most int) ([]store.Repeats, error) {
	// Of a bare column SQLite takes the row of the max.
	rows, err := db.read.QueryContext(ctx, "SELECT max(day), ?1, of, sum(n), doc FROM ("+inPeriod+") GROUP BY of ORDER BY of", period(what, first, last)...)
	all, err := figures(rows, err)
	if err != nil {
		return nil, err
	}
	var out []store.Repeats
	for len(all) > 0 {
		group, _, _ := strings.Cut(all[0].Of, " ")
		n := 1
		for n < len(all) && strings.HasPrefix(all[n].Of, group+" ") {
			n++
		}
		twice := slices.DeleteFunc(slices.Clone(all[:n]), func(c store.Count) bool { return c.N < 2 })
		slices.SortStableFunc(twice, func(a, b store.Count) int { return cmp.Compare(b.N, a.N) })
		out = append(out, store.Repeats{Of: group, Members: n, Twice: len(twice), Most: twice[:min(len(twice), most)]})
		for i := range out[len(out)-1].Most {
			c := &twice[i]
			_, c.Of, _ = strings.Cut(c.Of, " ")
		}
		all = all[n:]
	}
	return out, nil
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
