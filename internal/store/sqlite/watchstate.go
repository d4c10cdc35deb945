package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

// stateJSON is the value of one row of watch_states. It holds no path and no
// plain digest.
type stateJSON struct {
	V        int      `json:"v"`
	Inode    uint64   `json:"inode"`
	Size     int64    `json:"size"`
	MTime    int64    `json:"mtime"`
	CTime    int64    `json:"ctime"`
	Digest   []byte   `json:"digest"`
	RuleSet  string   `json:"ruleset,omitempty"`
	Action   string   `json:"action"`
	Ours     bool     `json:"ours,omitempty"`
	Released bool     `json:"released,omitempty"`
	Rules    []string `json:"rules,omitempty"`
	Causes   []string `json:"causes,omitempty"`
	Doc      string   `json:"doc,omitempty"`
}

const stateVersion = 1

func encodeState(s watch.State) ([]byte, error) {
	out := stateJSON{
		V: stateVersion, Inode: s.Inode, Size: s.Size, MTime: s.MTime, CTime: s.CTime, Digest: s.Digest[:],
		RuleSet: s.RuleSet, Action: s.Action.String(), Ours: s.Ours, Doc: string(s.Doc),
	}
	if r := s.Released; r != nil {
		out.Released = true
		for _, id := range r.Rules {
			out.Rules = append(out.Rules, string(id))
		}
		for _, c := range r.Causes {
			out.Causes = append(out.Causes, c.String())
		}
	}
	return json.Marshal(out)
}

// decodeState fills s from a row's value; Key, Root and Seen are columns.
func decodeState(b []byte, s *watch.State) error {
	var in stateJSON
	if err := json.Unmarshal(b, &in); err != nil || in.V != stateVersion || len(in.Digest) != len(s.Digest) {
		return errors.New("a state of an unknown form")
	}
	s.Inode, s.Size, s.MTime, s.CTime = in.Inode, in.Size, in.MTime, in.CTime
	s.Digest, s.RuleSet, s.Ours, s.Doc = watch.Key(in.Digest), in.RuleSet, in.Ours, dlp.ID(in.Doc)
	s.Action, _ = dlp.ParseAction(in.Action) // an unknown word is Hold, the careful one
	if !in.Released {
		return nil
	}
	s.Released = &dlp.Released{}
	for _, id := range in.Rules {
		s.Released.Rules = append(s.Released.Rules, dlp.RuleID(id))
	}
	for _, w := range in.Causes {
		if c, ok := dlp.ParseCause(w); ok { // an unknown word releases nothing
			s.Released.Causes = append(s.Released.Causes, c)
		}
	}
	return nil
}

// State returns what is known under key; false when nothing is.
func (db *DB) State(ctx context.Context, key watch.Key) (watch.State, bool, error) {
	var root, value []byte
	var seen int64
	err := db.read.QueryRowContext(ctx, "SELECT root, seen, value FROM watch_states WHERE key = ?", key[:]).Scan(&root, &seen, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return watch.State{}, false, nil
	}
	if err != nil {
		return watch.State{}, false, fmt.Errorf("sqlite: read state: %w", classify(err))
	}
	s := watch.State{Key: key, Seen: fromMicros(seen)}
	if err := errors.Join(intoKey((*[32]byte)(&s.Root), root), decodeState(value, &s)); err != nil {
		return watch.State{}, false, fmt.Errorf("sqlite: read state: %w", err)
	}
	return s, true, nil
}

// PutStates writes all states, each replacing what stood under its Key, in
// transactions of at most statesEach.
func (db *DB) PutStates(ctx context.Context, states []watch.State) error {
	const statesEach = 1000
	for len(states) > 0 {
		some := states[:min(len(states), statesEach)]
		states = states[len(some):]
		err := db.commits.do(ctx, len(some)*512, func(g *group) error {
			for _, s := range some {
				value, err := encodeState(s)
				if err != nil {
					return fmt.Errorf("sqlite: write state: %w", err)
				}
				if _, err := g.exec("INSERT OR REPLACE INTO watch_states VALUES (?, ?, ?, ?)", s.Key[:], s.Root[:], micros(s.Seen), value); err != nil {
					return fmt.Errorf("sqlite: write state: %w", err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// PruneStates deletes the states of root whose Seen is before t, and says how
// many.
func (db *DB) PruneStates(ctx context.Context, root watch.Key, t time.Time) (int, error) {
	var n int64
	err := db.commits.do(ctx, 0, func(g *group) error {
		res, err := g.exec("DELETE FROM watch_states WHERE root = ? AND seen < ?", root[:], micros(t))
		if err != nil {
			return fmt.Errorf("sqlite: prune states: %w", err)
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err // n may still be written to
	}
	return int(n), nil
}

// Mark notes that the content with this digest is left by stanch for document
// id.
func (db *DB) Mark(ctx context.Context, digest watch.Key, id dlp.ID) error {
	return db.commits.do(ctx, 0, func(g *group) error {
		_, err := g.exec("INSERT OR REPLACE INTO watch_marks VALUES (?, ?)", digest[:], string(id))
		return err
	})
}

// Marked returns the id that digest was marked with; false when it was not.
func (db *DB) Marked(ctx context.Context, digest watch.Key) (dlp.ID, bool, error) {
	var id dlp.ID
	err := db.read.QueryRowContext(ctx, "SELECT id FROM watch_marks WHERE digest = ?", digest[:]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("sqlite: read mark: %w", classify(err))
	}
	return id, true, nil
}

// PutClaim writes c, replacing a claim with the same ID.
func (db *DB) PutClaim(ctx context.Context, c watch.Claim) error {
	return db.commits.do(ctx, len(c.Sealed), func(g *group) error {
		_, err := g.exec("INSERT OR REPLACE INTO watch_claims VALUES (?, ?, ?, ?)", string(c.ID), c.Root[:], int(c.Phase), c.Sealed)
		return err
	})
}

// DeleteClaim forgets the claim; one that is not there is no error.
func (db *DB) DeleteClaim(ctx context.Context, id dlp.ID) error {
	return db.commits.do(ctx, 0, func(g *group) error {
		_, err := g.exec("DELETE FROM watch_claims WHERE id = ?", string(id))
		return err
	})
}

// Claims returns all claims of root, in any order.
func (db *DB) Claims(ctx context.Context, root watch.Key) ([]watch.Claim, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT id, phase, sealed FROM watch_claims WHERE root = ?", root[:])
	return collect(rows, err, "list claims", func(c *watch.Claim) ([]any, func() error) {
		c.Root = root
		return []any{&c.ID, &c.Phase, &c.Sealed}, func() error { return nil }
	})
}
