package console

import (
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// claimFor is how long a claim holds without an act of its owner's.
const claimFor = 15 * time.Minute

// maxClaims bounds what is claimed at once.
const maxClaims = 10_000

// claims says who has which item in hand, so that two reviewers do not answer
// the same one. They are kept in memory: a restart ends them.
type claims struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[dlp.ID]claim // guarded by mu
}

type claim struct {
	by string
	of string // in whose place, "" for their own
	at time.Time
}

func newClaims(now func() time.Time) *claims { return &claims{now: now, of: map[dlp.ID]claim{}} }

// who returns whose the item is, or "".
func (c *claims) who(id dlp.ID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current(id)
}

func (c *claims) current(id dlp.ID) string {
	x, ok := c.of[id]
	if ok && c.now().Sub(x.at) > claimFor {
		delete(c.of, id)
		return ""
	}
	return x.by
}

// holder returns whose the item is, and in whose place they have it.
func (c *claims) holder(id dlp.ID) (by, of string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	by = c.current(id)
	return by, c.of[id].of
}

// mine returns what by has in hand, not nil.
func (c *claims) mine(by string) []dlp.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []dlp.ID{}
	for id := range c.of {
		if c.current(id) == by {
			out = append(out, id)
		}
	}
	return out
}

// take makes the item u's, or returns whose it is. Whoever u is in the place of gives
// theirs up.
func (c *claims) take(id dlp.ID, u User) (owner string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if by := c.current(id); by != "" && by != u.Name && by != u.inPlaceOf {
		return by, false
	}
	if len(c.of) >= maxClaims {
		for k := range c.of {
			c.current(k)
		}
		if len(c.of) >= maxClaims {
			return "", false
		}
	}
	c.of[id] = claim{u.Name, u.inPlaceOf, c.now()}
	return u.Name, true
}

// drop lets go of the item if it is name's.
func (c *claims) drop(id dlp.ID, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current(id) == name {
		delete(c.of, id)
	}
}
