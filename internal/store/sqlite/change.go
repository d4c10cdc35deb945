package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Commit makes ch durable, wholly or not at all. See store.Store.
func (db *DB) Commit(ctx context.Context, ch store.Change) error {
	return db.commits.do(ctx, size(&ch), func(g *group) error { return db.apply(g, &ch) })
}

// size is about how many bytes ch will write.
func size(ch *store.Change) int {
	var n int
	for _, it := range ch.Hold {
		n += len(it.Inline) + len(it.Sealed) + len(it.Case.Sealed) + 64*len(it.Terms)
	}
	for _, r := range ch.Cases {
		n += len(r.Sealed)
	}
	for _, a := range ch.Amend {
		n += len(a.Sealed) + len(a.Note)
	}
	for _, e := range ch.Out {
		n += len(e.Inline) + len(e.Sealed)
	}
	for _, u := range ch.Progress {
		n += len(u.Sealed)
	}
	for _, a := range ch.Ask {
		n += len(a.Sealed)
	}
	for _, it := range ch.Parcels {
		n += len(it.Inline) + len(it.Sealed)
	}
	for _, u := range ch.Picked {
		n += len(u.Sealed)
	}
	for _, r := range ch.KeySet {
		n += len(r.Sealed)
	}
	for _, r := range ch.KeyUsed {
		n += len(r.Sealed)
	}
	return n
}

func (db *DB) apply(g *group, ch *store.Change) error {
	steps := []func(*group, *store.Change) error{db.hold, db.decide, amend, db.ask, db.out, db.progress, db.parcels, db.passkeys, db.calls, db.legal, db.small}
	for _, s := range steps {
		if err := s(g, ch); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) hold(g *group, ch *store.Change) error {
	for _, it := range ch.Hold {
		external, err := db.content(g, db.vault, it.ID, it.Inline, "INSERT INTO hold_contents VALUES (?, ?)")
		if err != nil {
			return err
		}
		if err := putHold(g, it, external); err != nil {
			return fmt.Errorf("sqlite: hold %s: %w", it.ID, err)
		}
		if err := putCase(g, it.Case); err != nil {
			return err
		}
	}
	for _, r := range ch.Cases {
		if err := putCase(g, r); err != nil {
			return err
		}
	}
	return nil
}

// putHold enters an item, and its terms where it comes with some.
func putHold(g *group, it vault.Item, external int) error {
	var list []byte // nil: none yet
	if it.Terms != nil {
		var err error
		if list, err = json.Marshal(it.Terms); err != nil {
			return err
		}
	}
	res, err := g.exec(`INSERT INTO holds (id, channel, state, received, policy, rules, size, sealed, decided, external, period, terms)
		VALUES (?, ?, 'held', ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
		string(it.ID), int(it.Channel), micros(it.Received), it.Policy, joinRules(it.Rules), it.Size, it.Sealed, external, string(it.Period), text(list))
	if err != nil || list == nil {
		return err
	}
	seq, err := res.LastInsertId()
	if err != nil {
		return err
	}
	return listTerms(g, string(list), int64(slices.Index(stateNumbers[:], vault.Held)), seq)
}

// text is b as SQLite keeps text; NULL for nil.
func text(b []byte) sql.NullString { return sql.NullString{String: string(b), Valid: b != nil} }

// content keeps a small content in the database, or sees to it that a large
// one is in its file.
func (db *DB) content(g *group, in *Contents, id dlp.ID, inline []byte, insert string) (external int, err error) {
	if inline == nil {
		if !in.has(id) {
			return 0, fmt.Errorf("%w: %s", errMissing, id)
		}
		return 1, nil
	}
	if _, err := g.exec(insert, string(id), inline); err != nil {
		return 0, fmt.Errorf("sqlite: content of %s: %w", id, err)
	}
	return 0, nil
}

func putCase(g *group, r vault.Record) error {
	if r.ID == "" {
		return nil // an Item made without a case
	}
	_, err := g.exec("INSERT OR REPLACE INTO cases VALUES (?, ?, ?, ?, ?)", string(r.ID), int(r.Channel), micros(r.Decided), r.Sealed, string(r.Period))
	if err != nil {
		return fmt.Errorf("sqlite: case %s: %w", r.ID, err)
	}
	return nil
}

// noteOf is a's note as the database has it: NULL for none.
func noteOf(a vault.Amendment) any {
	if len(a.Note) == 0 {
		return nil
	}
	return a.Note
}

// amend changes what is kept of items that stay held.
func amend(g *group, ch *store.Change) error {
	for _, a := range ch.Amend {
		res, err := g.exec("UPDATE holds SET sealed = coalesce(?, sealed), note = CASE WHEN ? THEN ? ELSE note END WHERE id = ? AND state = 'held'", a.Sealed, a.Note != nil, noteOf(a), string(a.ID))
		if err != nil {
			return fmt.Errorf("sqlite: amend %s: %w", a.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("sqlite: amend %s: %w", a.ID, store.ErrState)
		}
		if a.Terms == nil {
			continue
		}
		if err := learn(g, a); err != nil {
			return fmt.Errorf("sqlite: amend %s: %w", a.ID, err)
		}
	}
	return nil
}

// learn has an item found by other rules and terms than before.
func learn(g *group, a vault.Amendment) error {
	if err := dropTerms(g, a.ID); err != nil {
		return err
	}
	if _, err := g.exec("UPDATE holds SET rules = ? WHERE id = ?", joinRules(a.Rules), string(a.ID)); err != nil {
		return err
	}
	return putTerms(g, vault.Terms{ID: a.ID, Terms: a.Terms})
}

func (db *DB) decide(g *group, ch *store.Change) error {
	for _, t := range ch.Decide {
		res, err := g.exec(`UPDATE holds SET state = ?1, decided = ?2, note = ?3 WHERE id = ?4 AND state = ?5
			AND NOT (?1 = 'expired' AND id IN (SELECT id FROM legal_holds))`,
			string(t.To), micros(t.At), t.Note, string(t.ID), string(t.From))
		if err != nil {
			return fmt.Errorf("sqlite: move %s: %w", t.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("sqlite: move %s: %w", t.ID, store.ErrState)
		}
		if err := moveTerms(g, t); err != nil {
			return fmt.Errorf("sqlite: move %s: %w", t.ID, err)
		}
		if _, err := g.exec("DELETE FROM calls WHERE id = ?", string(t.ID)); err != nil {
			return fmt.Errorf("sqlite: end calls about %s: %w", t.ID, err)
		}
		if t.To != vault.Expired {
			continue
		}
		if _, err := g.exec("DELETE FROM asks WHERE id = ?", string(t.ID)); err != nil {
			return fmt.Errorf("sqlite: forget what was asked about %s: %w", t.ID, err)
		}
		if err := db.forget(g, db.vault, t.ID, "DELETE FROM hold_contents WHERE id = ?", "SELECT external FROM holds WHERE id = ?"); err != nil {
			return err
		}
	}
	return nil
}

// forget takes a content away: the small one now, the file once the
// transaction is durable.
func (db *DB) forget(g *group, in *Contents, id dlp.ID, remove, external string) error {
	if _, err := g.exec(remove, string(id)); err != nil {
		return fmt.Errorf("sqlite: forget content of %s: %w", id, err)
	}
	g.c.traces = true
	var is int
	if err := g.queryRow(external, []any{&is}, string(id)); err != nil {
		return fmt.Errorf("sqlite: forget content of %s: %w", id, err)
	}
	if is == 1 {
		g.gone = append(g.gone, goneContent{in: in, id: id})
	}
	return nil
}

func (db *DB) out(g *group, ch *store.Change) error {
	for _, e := range ch.Out {
		external, err := db.content(g, db.spool, e.ID, e.Inline, "INSERT INTO outbox_contents VALUES (?, ?)")
		if err != nil {
			return err
		}
		_, err = g.exec(`INSERT INTO outbox (id, doc, kind, state, created, next, expires, size, audit_seq, tries, dest, sealed, external, ended)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0)`,
			string(e.ID), string(e.Doc), string(e.Kind), string(e.State), micros(e.Created), micros(e.Next), micros(e.Expires), e.Size, int64(e.Seq), e.Dest, e.Sealed, external)
		if err != nil {
			return fmt.Errorf("sqlite: queue %s: %w", e.ID, err)
		}
	}
	return nil
}

func (db *DB) progress(g *group, ch *store.Change) error {
	for _, u := range ch.Progress {
		var ended int64
		if u.State.Ended() {
			ended = micros(db.now())
		}
		res, err := g.exec(`UPDATE outbox SET state = ?, next = ?, expires = ?, tries = ?, dest = ?, why = ?,
			sealed = coalesce(?, sealed), ended = ? WHERE id = ? AND ended = 0`,
			string(u.State), micros(u.Next), micros(u.Expires), u.Tries, u.Dest, string(u.Why), u.Sealed, ended, string(u.ID))
		if err != nil {
			return fmt.Errorf("sqlite: progress %s: %w", u.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("sqlite: progress %s: %w: %w", u.ID, store.ErrState, spool.ErrState)
		}
		if ended == 0 {
			continue
		}
		if err := db.forget(g, db.spool, u.ID, "DELETE FROM outbox_contents WHERE id = ?", "SELECT external FROM outbox WHERE id = ?"); err != nil {
			return err
		}
	}
	return nil
}

// calls keeps what is called about held documents. A call about one that is
// decided about undoes the Change.
func (db *DB) calls(g *group, ch *store.Change) error {
	for _, x := range ch.Call {
		if _, err := g.exec("INSERT INTO calls VALUES (?, ?, ?, ?)", string(x.ID), micros(x.Since), x.Level, micros(x.Due)); err != nil {
			return fmt.Errorf("sqlite: call about %s: %w", x.ID, err)
		}
	}
	for _, x := range ch.Recall {
		res, err := g.exec("UPDATE calls SET level = ?, due = ? WHERE id = ?", x.Level, micros(x.Due), string(x.ID))
		if err != nil {
			return fmt.Errorf("sqlite: call about %s: %w", x.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("sqlite: call about %s: %w", x.ID, store.ErrState)
		}
	}
	return nil
}

const callColumns = "SELECT id, since, level, due FROM calls "

func scanCall(c *store.Call) ([]any, func() error) {
	var since, due int64
	return []any{&c.ID, &since, &c.Level, &due}, func() error {
		c.Since, c.Due = fromMicros(since), fromMicros(due)
		return nil
	}
}

// Calls returns up to limit calls about documents that nobody has decided about,
// the one that is due first before the others, from behind after.
func (db *DB) Calls(ctx context.Context, after store.Call, limit int) ([]store.Call, error) {
	from := int64(math.MinInt64)
	if after.ID != "" {
		from = micros(after.Due)
	}
	rows, err := db.stmts.query(ctx, callColumns+"WHERE (due, id) > (?, ?) ORDER BY due, id LIMIT ?", from, string(after.ID), limit)
	return collect(rows, err, "calls", scanCall)
}

// CallsOf returns the calls about documents of ids.
func (db *DB) CallsOf(ctx context.Context, ids []dlp.ID) ([]store.Call, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("sqlite: calls: %w", err)
	}
	rows, err := db.stmts.query(ctx, callColumns+"WHERE id IN (SELECT value FROM json_each(?))", string(list))
	return collect(rows, err, "calls", scanCall)
}

// CountCalls returns how many there are.
func (db *DB) CountCalls(ctx context.Context) (n int, err error) {
	if err = db.stmts.queryRow(ctx, "SELECT count(*) FROM calls", []any{&n}); err != nil {
		return 0, fmt.Errorf("sqlite: calls: %w", classify(err))
	}
	return n, nil
}

// noticeAhead is how much later than a fresh mark of a notice an old one may be and
// stand: one that is later still is of a clock that was wrong.
const noticeAhead = time.Hour

// small keeps what has neither content nor state.
func (db *DB) small(g *group, ch *store.Change) error {
	for _, r := range ch.Repeats {
		if _, err := g.exec("INSERT OR REPLACE INTO repeats VALUES (?, ?, ?)", r.Key[:], string(r.ID), micros(r.At)); err != nil {
			return fmt.Errorf("sqlite: repeat of %s: %w", r.ID, err)
		}
	}
	for _, id := range ch.Acknowledge {
		if _, err := g.exec("DELETE FROM repeats WHERE id = ?", string(id)); err != nil {
			return fmt.Errorf("sqlite: acknowledge %s: %w", id, err)
		}
	}
	for _, p := range ch.Forget {
		if _, err := g.exec("DELETE FROM cases WHERE period = ? AND id NOT IN (SELECT id FROM legal_holds)", string(p)); err != nil {
			return fmt.Errorf("sqlite: forget cases of %s: %w", p, err)
		}
	}
	for _, n := range ch.Notices {
		if _, err := g.exec("INSERT INTO notices VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = iif(at > excluded.at + ?, excluded.at, max(at, excluded.at))", n.Key[:], micros(n.At), noticeAhead.Microseconds()); err != nil {
			return fmt.Errorf("sqlite: notice mark: %w", err)
		}
	}
	return nil
}

// Unacknowledged returns the repeats made at or after since, oldest first.
func (db *DB) Unacknowledged(ctx context.Context, since time.Time) ([]store.Repeat, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT key, id, at FROM repeats WHERE at >= ? ORDER BY at, id", micros(since))
	return collect(rows, err, "unacknowledged", func(r *store.Repeat) ([]any, func() error) {
		var key []byte
		var at int64
		return []any{&key, &r.ID, &at}, func() error {
			r.At = fromMicros(at)
			return intoKey(&r.Key, key)
		}
	})
}

// LastNotice returns the latest mark under key, false for none.
func (db *DB) LastNotice(ctx context.Context, key [32]byte) (time.Time, bool, error) {
	var at int64
	err := db.read.QueryRowContext(ctx, "SELECT at FROM notices WHERE key = ?", key[:]).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("sqlite: last notice: %w", classify(err))
	}
	return fromMicros(at), true, nil
}

// joinRules and splitRules keep rule ids, which hold no space, in one column.
func joinRules(ids []dlp.RuleID) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = string(id)
	}
	return strings.Join(s, " ")
}

func splitRules(s string) []dlp.RuleID {
	var ids []dlp.RuleID
	for f := range strings.FieldsSeq(s) {
		ids = append(ids, dlp.RuleID(f))
	}
	return ids
}
