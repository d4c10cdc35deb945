package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
)

// legal places and lifts legal holds. One on what is not there, or that stands
// already, and the end of one that is none undo the Change.
func (db *DB) legal(g *group, ch *store.Change) error {
	for _, l := range ch.Legal {
		var known bool
		if err := g.queryRow(`SELECT EXISTS (SELECT 1 FROM holds WHERE id = ?1 AND state <> 'expired') OR EXISTS (SELECT 1 FROM cases WHERE id = ?1)`, []any{&known}, string(l.ID)); err != nil {
			return fmt.Errorf("sqlite: legal hold of %s: %w", l.ID, err)
		}
		if !known {
			return fmt.Errorf("sqlite: legal hold of %s: %w", l.ID, store.ErrState)
		}
		res, err := g.exec("INSERT INTO legal_holds VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", string(l.ID), micros(l.Since), l.Note)
		if err := onlyOne(res, err); err != nil {
			return fmt.Errorf("sqlite: legal hold of %s: %w", l.ID, err)
		}
	}
	for _, l := range ch.Lift {
		res, err := g.exec("INSERT INTO lifted_holds (id, since, note, lifted, lift_note) SELECT id, since, note, ?, ? FROM legal_holds WHERE id = ?", micros(l.Lifted), l.LiftNote, string(l.ID))
		if err = onlyOne(res, err); err == nil {
			_, err = g.exec("DELETE FROM legal_holds WHERE id = ?", string(l.ID))
		}
		if err != nil {
			return fmt.Errorf("sqlite: lift legal hold of %s: %w", l.ID, err)
		}
	}
	return nil
}

// onlyOne is ErrState for a statement that did not change one row.
func onlyOne(res interface{ RowsAffected() (int64, error) }, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return store.ErrState
	}
	return nil
}

// LegalHolds returns the newest limit legal holds, the newest first; 0: all.
func (db *DB) LegalHolds(ctx context.Context, limit int) ([]store.LegalHold, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT id, since, note FROM legal_holds ORDER BY since DESC, id LIMIT ?", cmp.Or(limit, -1))
	return collect(rows, err, "legal holds", func(l *store.LegalHold) ([]any, func() error) {
		var since int64
		return []any{&l.ID, &since, &l.Note}, func() error {
			l.Since = fromMicros(since)
			return nil
		}
	})
}

// LiftedHolds returns the limit that were lifted last, the last first.
func (db *DB) LiftedHolds(ctx context.Context, limit int) ([]store.LiftedHold, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT id, since, note, lifted, lift_note FROM lifted_holds ORDER BY seq DESC LIMIT ?", limit)
	return collect(rows, err, "lifted legal holds", func(l *store.LiftedHold) ([]any, func() error) {
		var since, lifted int64
		return []any{&l.ID, &since, &l.Note, &lifted, &l.LiftNote}, func() error {
			l.Since, l.Lifted = fromMicros(since), fromMicros(lifted)
			return nil
		}
	})
}

// LegalHoldOn returns the legal hold on id, false for none.
func (db *DB) LegalHoldOn(ctx context.Context, id dlp.ID) (store.LegalHold, bool, error) {
	l := store.LegalHold{ID: id}
	var since int64
	err := db.stmts.queryRow(ctx, "SELECT since, note FROM legal_holds WHERE id = ?", []any{&since, &l.Note}, string(id))
	if errors.Is(err, sql.ErrNoRows) {
		return store.LegalHold{}, false, nil
	}
	if err != nil {
		return store.LegalHold{}, false, fmt.Errorf("sqlite: legal hold of %s: %w", id, classify(err))
	}
	l.Since = fromMicros(since)
	return l, true, nil
}

// Undecided reports whether anything that is sealed to period's key, content or
// case, is held and waits for a decision.
func (db *DB) Undecided(ctx context.Context, period dlp.ID) (waits bool, err error) {
	err = db.stmts.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM holds WHERE period = ?1 AND state = 'held')
		OR EXISTS (SELECT 1 FROM holds JOIN cases USING (id) WHERE cases.period = ?1 AND state = 'held')`, []any{&waits}, string(period))
	if err != nil {
		return false, fmt.Errorf("sqlite: undecided: %w", classify(err))
	}
	return waits, nil
}

// LegallyHeld reports whether anything that is sealed to period's key, content
// or case, is under a legal hold.
func (db *DB) LegallyHeld(ctx context.Context, period dlp.ID) (held bool, err error) {
	err = db.stmts.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM legal_holds JOIN holds USING (id) WHERE period = ?1 AND state <> 'expired')
		OR EXISTS (SELECT 1 FROM legal_holds JOIN cases USING (id) WHERE period = ?1)`, []any{&held}, string(period))
	if err != nil {
		return false, fmt.Errorf("sqlite: legal holds: %w", classify(err))
	}
	return held, nil
}
