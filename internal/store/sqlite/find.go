package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// stateNumber is how hold_terms names a state, in SQL.
const stateNumber = "instr('held    releasedrejectedexpired ', state) / 8"

// stateNumbers are the states by that number.
var stateNumbers = [...]vault.State{vault.Held, vault.Released, vault.Rejected, vault.Expired}

// Bounds on one Find.
const (
	findReads   = 600 // short reads of indices, more than maxCursors; then the caller looks on
	countReads  = 60  // the same of one Count, of which a page has several
	maxCursors  = 256 // sequences that are gone down: what else is asked for the caller looks at itself
	firstChunk  = 16  // rows that a cursor reads first
	mostInChunk = 1024
)

// putTerms gives an item that has none its terms.
func putTerms(g *group, t vault.Terms) error {
	list, err := json.Marshal(t.Terms)
	if err != nil {
		return err
	}
	res, err := g.exec("UPDATE holds SET terms = ? WHERE id = ? AND terms IS NULL", string(list), string(t.ID))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return err
	}
	var seq, state int64
	if err := g.queryRow("SELECT seq, "+stateNumber+" FROM holds WHERE id = ?", []any{&seq, &state}, string(t.ID)); err != nil {
		return err
	}
	return listTerms(g, string(list), state, seq)
}

// listTerms enters the terms of list, JSON, for the item at seq. OR FAIL: a row
// that cannot be put ends the op, which is undone as a whole. Without it SQLite
// would keep, for this one statement of several rows, each page as it was before,
// which costs the more the larger the transaction is.
func listTerms(g *group, list string, state, seq int64) error {
	_, err := g.exec("INSERT OR FAIL INTO hold_terms SELECT value, ?, ? FROM json_each(?)", state, seq, list)
	return err
}

// dropTerms takes an item's terms away.
func dropTerms(g *group, id dlp.ID) error {
	_, err := g.exec("DELETE FROM hold_terms WHERE (term, state, hold) IN (SELECT j.value, "+stateNumber+", h.seq FROM holds h, json_each(h.terms) j WHERE h.id = ?)", string(id))
	if err == nil {
		_, err = g.exec("UPDATE holds SET terms = NULL WHERE id = ?", string(id))
	}
	return err
}

// moveTerms has an item found in its new state.
func moveTerms(g *group, t vault.Transition) error {
	_, err := g.exec(`UPDATE hold_terms SET state = ?1 WHERE (term, state, hold) IN
		(SELECT j.value, ?2, h.seq FROM holds h, json_each(h.terms) j WHERE h.id = ?3)`,
		slices.Index(stateNumbers[:], t.To), slices.Index(stateNumbers[:], t.From), string(t.ID))
	return err
}

// Index gives terms to items that are kept without.
func (db *DB) Index(ctx context.Context, all []vault.Terms) error {
	if len(all) == 0 {
		return nil
	}
	n := 0
	for _, t := range all {
		n += 64 * len(t.Terms)
	}
	return db.commits.do(ctx, n, func(g *group) error {
		for _, t := range all {
			if err := putTerms(g, t); err != nil {
				return fmt.Errorf("sqlite: index %s: %w", t.ID, err)
			}
		}
		return nil
	})
}

// Unindexed returns rows that are kept without terms, the newest first.
func (db *DB) Unindexed(ctx context.Context, most int) ([]vault.Row, error) {
	rows, err := db.stmts.query(ctx, holdColumns+"WHERE terms IS NULL ORDER BY seq DESC LIMIT ?", most)
	return collect(rows, err, "list holds", scanHold)
}

// CountTerm counts the items that came at or after since and have t, up to most.
func (db *DB) CountTerm(ctx context.Context, t vault.Term, since time.Time, most int) (n int, err error) {
	err = db.stmts.queryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM hold_terms t JOIN holds h ON h.seq = t.hold
		WHERE t.term = ? AND t.state IN (0, 1, 2, 3) AND h.received >= ? LIMIT ?)`, []any{&n}, int64(t), micros(since), most)
	if err != nil {
		return 0, fmt.Errorf("sqlite: count: %w", classify(err))
	}
	return n, nil
}

// errLong ends a finding that takes long.
var errLong = errors.New("sqlite: looked long enough")

// finding is one Find under way.
type finding struct {
	db    *DB
	ctx   context.Context
	least int64 // the lowest seq that is looked at
	most  int64 // the highest
	reads int   // made
	of    int   // that may be made
}

// find begins at the newest.
func (db *DB) find(ctx context.Context, reads int) *finding {
	return &finding{db: db, ctx: ctx, most: math.MaxInt64, of: reads}
}

// Find returns rows that q asks for. It goes down the numbers that all groups
// have, each group's a sequence in an index; so what it costs depends on the
// rarest, not on how much is held.
func (db *DB) Find(ctx context.Context, q vault.Query, terms [][]vault.Term) ([]vault.Row, dlp.ID, error) {
	f := db.find(ctx, db.findReads)
	from, n, err := db.page(ctx, "holds", q.After, q.Limit, vault.MaxList, vault.ErrNotFound)
	if err != nil {
		return nil, "", err
	}
	if from--; q.After == "" {
		from = math.MaxInt64
	}
	groups, err := f.groups(q, terms)
	if err != nil {
		return nil, "", fmt.Errorf("sqlite: find: %w", classify(err))
	}
	seqs, at, err := f.common(groups, min(from, f.most), n)
	if err != nil && !errors.Is(err, errLong) {
		return nil, "", fmt.Errorf("sqlite: find: %w", classify(err))
	}
	rows, err := db.holdsOf(ctx, seqs)
	if err != nil || at == 0 {
		return rows, "", err
	}
	next, err := db.behind(ctx, at)
	return rows, next, err
}

// Count counts the rows that q asks for, up to q.Limit, in whatever order.
func (db *DB) Count(ctx context.Context, q vault.Query, terms [][]vault.Term) (n int, whole bool, err error) {
	f := db.find(ctx, countReads)
	groups, err := f.groups(q, terms)
	if err != nil {
		return 0, false, fmt.Errorf("sqlite: count: %w", classify(err))
	}
	seqs, at, err := f.common(groups, f.most, q.Limit+1)
	if err != nil && !errors.Is(err, errLong) {
		return 0, false, fmt.Errorf("sqlite: count: %w", classify(err))
	}
	return min(len(seqs), q.Limit), at == 0, nil
}

// groups are what an item is in, each a union of sequences.
func (f *finding) groups(q vault.Query, terms [][]vault.Term) ([]union, error) {
	states := []int{0, 1, 2, 3}
	if q.State != "" {
		states = []int{slices.Index(stateNumbers[:], q.State)}
	}
	var all []union
	bare := union{}
	for _, s := range states {
		if s < 0 {
			return []union{{}}, nil // no item is in a state that there is not
		}
		bare = append(bare, &cursor{f: f, from: "holds", where: "state = ?", args: []any{string(stateNumbers[s])}})
	}
	if none, err := f.between(q, states); none || err != nil {
		return []union{{}}, err
	}
	if q.IDs != nil {
		list, err := json.Marshal(q.IDs)
		if err != nil {
			return nil, err
		}
		rows, err := f.db.stmts.query(f.ctx, "SELECT seq FROM holds WHERE id IN (SELECT value FROM json_each(?)) AND seq >= ? ORDER BY seq DESC", string(list), f.least)
		seqs, err := collect(rows, err, "find", scanSeq)
		if err != nil {
			return nil, err
		}
		all = append(all, union{&cursor{f: f, buf: seqs, ended: true}})
	}
	for _, t := range []struct {
		wanted      bool
		from, where string
	}{
		// From the few to the many: in SQLite's own order all that is held is read.
		{q.Calls, "calls CROSS JOIN holds USING (id)", "true"},
		{q.Asked, "asks CROSS JOIN holds USING (id)", "true"},
		{q.Noted, "holds INDEXED BY holds_noted", "state = 'held' AND note IS NOT NULL"},
	} {
		if t.wanted {
			all = append(all, union{&cursor{f: f, from: t.from, where: t.where}})
		}
	}
	indexed, err := f.indexed()
	if err != nil {
		return nil, err
	}
	cursors, stated := 0, false
	for _, ts := range terms {
		if n := len(ts) * len(states); !indexed || cursors+n > maxCursors {
			continue
		}
		cursors += len(ts) * len(states)
		g := union{}
		for _, t := range ts {
			for _, s := range states {
				g = append(g, &cursor{f: f, col: "hold", from: "hold_terms", where: "term = ? AND state = ?", args: []any{int64(t), s}})
			}
		}
		all, stated = append(all, g), true
	}
	if !stated {
		all = append(all, bare)
	}
	return all, nil
}

// between bounds f by when what q asks for came. none: there is nothing of that time.
func (f *finding) between(q vault.Query, states []int) (none bool, err error) {
	bound := func(query string, at time.Time) (found []int64, err error) {
		for _, s := range states {
			var seq sql.NullInt64
			if err := f.db.stmts.queryRow(f.ctx, query, []any{&seq}, string(stateNumbers[s]), micros(at)); err != nil {
				return nil, err
			}
			if seq.Valid {
				found = append(found, seq.Int64)
			}
		}
		return found, nil
	}
	if !q.Since.IsZero() {
		seqs, err := bound("SELECT min(seq) FROM holds WHERE state = ? AND received >= ?", q.Since)
		if err != nil || len(seqs) == 0 {
			return true, err
		}
		f.least = slices.Min(seqs)
	}
	if !q.Until.IsZero() {
		seqs, err := bound("SELECT max(seq) FROM holds WHERE state = ? AND received <= ?", q.Until)
		if err != nil || len(seqs) == 0 {
			return true, err
		}
		f.most = slices.Max(seqs)
	}
	return false, nil
}

// indexed reports whether every item has its terms.
func (f *finding) indexed() (bool, error) {
	var without int
	err := f.db.stmts.queryRow(f.ctx, "SELECT EXISTS (SELECT 1 FROM holds WHERE terms IS NULL)", []any{&without})
	return without == 0, err
}

// common returns the n highest numbers up to from that are in every group, and
// the one from which on to look further: 0 where there is none. errLong where it
// takes long.
func (f *finding) common(groups []union, from int64, n int) (out []int64, at int64, err error) {
	for at = from; len(out) < n; at-- {
		for agreed, i := 0, 0; agreed < len(groups); i = (i + 1) % len(groups) {
			x, err := groups[i].seek(at)
			if err != nil {
				return out, at, err
			}
			if x < max(1, f.least) {
				return out, 0, nil
			}
			if agreed++; x < at {
				at, agreed = x, 1
			}
		}
		out = append(out, at)
	}
	return out, at, nil
}

// union is the union of sequences.
type union []*cursor

// seek returns the highest number up to x, 0 for none.
func (g union) seek(x int64) (most int64, err error) {
	for _, c := range g {
		y, err := c.seek(x)
		if err != nil {
			return 0, err
		}
		most = max(most, y)
	}
	return most, nil
}

// cursor goes down one sequence of an index, a chunk at a time.
type cursor struct {
	f     *finding
	col   string // with the numbers; "": seq
	from  string // a table or tables
	where string
	args  []any   // of where
	buf   []int64 // what was read and is not passed
	low   int64   // all of it above low was read
	chunk int
	ended bool
}

// seek returns the highest number up to x, 0 for none. x never grows.
func (c *cursor) seek(x int64) (int64, error) {
	for {
		i, _ := slices.BinarySearchFunc(c.buf, x, func(have, want int64) int { return cmp.Compare(want, have) })
		if c.buf = c.buf[i:]; len(c.buf) > 0 {
			return c.buf[0], nil
		}
		if c.ended {
			return 0, nil
		}
		if c.f.reads++; c.f.reads > c.f.of {
			return 0, errLong
		}
		switch { // what is read on in turn is read in larger pieces
		case c.chunk == 0 || x < c.low-int64(c.chunk):
			c.chunk = firstChunk
		default:
			c.chunk = min(4*c.chunk, mostInChunk)
		}
		col := cmp.Or(c.col, "seq")
		query := "SELECT " + col + " FROM " + c.from + " WHERE " + c.where + " AND " + col + " BETWEEN ? AND ? ORDER BY " + col + " DESC LIMIT ?"
		rows, err := c.f.db.stmts.query(c.f.ctx, query, append(slices.Clone(c.args), c.f.least, x, c.chunk)...)
		if c.buf, err = collect(rows, err, "find", scanSeq); err != nil {
			return 0, err
		}
		if c.ended = len(c.buf) < c.chunk; !c.ended {
			c.low = c.buf[len(c.buf)-1]
		}
	}
}

func scanSeq(n *int64) ([]any, func() error) { return []any{n}, func() error { return nil } }

// holdsOf reads rows by their numbers, the highest first.
func (db *DB) holdsOf(ctx context.Context, seqs []int64) ([]vault.Row, error) {
	list, err := json.Marshal(seqs)
	if err != nil {
		return nil, fmt.Errorf("sqlite: find: %w", err)
	}
	rows, err := db.stmts.query(ctx, holdColumns+"WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq DESC", string(list))
	return collect(rows, err, "find", scanHold)
}

// behind returns the item behind which those up to seq come, "" where there are none.
func (db *DB) behind(ctx context.Context, seq int64) (id dlp.ID, err error) {
	err = db.stmts.queryRow(ctx, "SELECT id FROM holds WHERE seq > ? AND EXISTS (SELECT 1 FROM holds WHERE seq <= ?) ORDER BY seq LIMIT 1", []any{&id}, seq, seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("sqlite: find: %w", classify(err))
	}
	return id, nil
}
