package console

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	filippo "filippo.io/age"

	agekey "github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const (
	agreedFor = time.Hour
	maxAgreed = 1000 // agreements at a time
)

// errNobody says that no other account has a key that the vault is sealed to.
var errNobody = errors.New("console: no second reviewer")

// agreement is one reviewer's yes to opening one item, where that takes two. It
// holds their secret key, sealed to the other reviewers' keys: this process
// opens it while one of them asks, and for that item.
type agreement struct {
	by, public string
	sealed     []byte
	at, until  time.Time
}

// agreements live in memory, for an hour.
type agreements struct {
	now func() time.Time
	mu  sync.Mutex
	on  map[dlp.ID][]agreement // guarded by mu
}

func newAgreements(now func() time.Time) *agreements {
	return &agreements{now: now, on: map[dlp.ID][]agreement{}}
}

// agreementOf makes u's agreement, which secret is the key of. errNobody.
func (c *Console) agreementOf(u User, st vault.Periods, secret []byte) (agreement, error) {
	all, err := c.Users.List()
	if err != nil {
		return agreement{}, err
	}
	var to []string
	for _, x := range all {
		if x.Name != u.Name && x.Key != "" && x.Key != u.Key && !x.Disabled && x.may(decide) && slices.Contains(st.Readers, x.Key) {
			to = append(to, x.Key)
		}
	}
	if len(to) == 0 {
		return agreement{}, errNobody
	}
	rcpts, err := agekey.ParseRecipients(to)
	if err != nil {
		return agreement{}, err
	}
	var b bytes.Buffer
	w, err := filippo.Encrypt(&b, rcpts...)
	if err != nil {
		return agreement{}, err
	}
	if _, err := w.Write(secret); err != nil {
		return agreement{}, err
	}
	if err := w.Close(); err != nil {
		return agreement{}, err
	}
	return agreement{by: u.Name, public: u.Key, sealed: b.Bytes()}, nil
}

// open returns the key that a holds, for one of those it is sealed to.
func (a *agreement) open(ids []filippo.Identity) ([]filippo.Identity, error) {
	in, err := filippo.Decrypt(bytes.NewReader(a.sealed), ids...)
	if err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(io.LimitReader(in, 4<<10))
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return identitiesOf(secret)
}

// add keeps a, in the place of an earlier one by the same.
func (g *agreements) add(id dlp.ID, a agreement) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for k, as := range g.on {
		as = slices.DeleteFunc(as, func(x agreement) bool {
			gone := x.until.Before(g.now()) || k == id && x.by == a.by
			if gone {
				clear(x.sealed)
			}
			return gone
		})
		if g.on[k] = as; len(as) == 0 {
			delete(g.on, k)
		}
		n += len(as)
	}
	if n >= maxAgreed {
		return errors.New("console: too many items wait for a second reviewer")
	}
	a.at = g.now()
	a.until = a.at.Add(agreedFor)
	g.on[id] = append(g.on[id], a)
	return nil
}

// of returns who agreed to opening id.
func (g *agreements) of(id dlp.ID) (out []agreement) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.on[id] {
		if !a.until.Before(g.now()) {
			a.sealed = slices.Clone(a.sealed) // add may clear it
			out = append(out, a)
		}
	}
	return out
}

// with returns the others' agreements to opening id, if name agreed too.
func (g *agreements) with(id dlp.ID, name string) []agreement {
	all := g.of(id)
	n := len(all)
	if all = slices.DeleteFunc(all, func(a agreement) bool { return a.by == name }); len(all) == n {
		return nil
	}
	return all
}
