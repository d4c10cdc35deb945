package smtp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of guessing one user's password from many addresses.
//
// Where an account is locked after so many wrong passwords, anybody can keep
// its user out. So tries are slowed down instead, and only those from addresses
// that the user has not logged in from: an attacker is held to
// maxSlowed/maxSlow tries a second, and the user's own addresses see nothing of
// it.
//
// Source: NIST SP 800-63B 5.2.2 (a limit for each account, growing waits, known
// addresses set apart); OWASP, "Slow Down Online Guessing Attacks with Device
// Cookies".
const (
	maxUserFails = 10        // wrong passwords of one name within userWindow that cost nothing
	userWindow   = time.Hour // from the first of them
	firstSlow    = time.Second
	maxSlow      = 30 * time.Second // less than clients wait for a reply, RFC 5321 4.5.3.2
	maxSlowed    = 4                // tries of one name that wait at once; beyond it the client is told to come again
	maxKnown     = 16               // addresses remembered of one user
)

// Errors of a try that is not looked at.
var (
	errAuthSlowed = errors.New("smtp: too many tries of one name wait already")
	errAuthStop   = errors.New("smtp: the server stops")
)

// guesses bounds how often passwords of one name are tried, whether or not
// there is such a user.
type guesses struct {
	stopping chan struct{} // closed when nobody is to wait any more

	mu    sync.Mutex              // guards the two below
	tried map[string]*tried       // by name; at most maxFailing
	known map[string][]netip.Addr // by user: where they logged in from, the latest last
}

type tried struct {
	failing
	slowed []netip.Addr // clients that wait
}

func newGuesses() *guesses {
	return &guesses{stopping: make(chan struct{}), tried: map[string]*tried{}, known: map[string][]netip.Addr{}}
}

// slow counts a try of name from client, and waits as long as it has to before
// it may be looked at. errAuthSlowed, errAuthStop, or ctx's error.
func (g *guesses) slow(ctx context.Context, name string, client netip.Addr) error {
	t, d, err := g.count(name, client, time.Now())
	if d == 0 || err != nil {
		return err
	}
	defer g.waited(t, client)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-g.stopping:
		return errAuthStop
	case <-ctx.Done():
		return ctx.Err()
	}
}

// count notes a try before its outcome is known, so that many at once are
// counted as well, and says how long it waits.
func (g *guesses) count(name string, client netip.Addr, now time.Time) (t *tried, d time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(g.known[name], client) {
		return nil, 0, nil
	}
	t = g.tried[name]
	if t == nil || now.Sub(t.since) >= userWindow && len(t.slowed) == 0 {
		if len(g.tried) >= maxFailing {
			for k := range g.tried { // any: it takes a minute and more of tries to be forgotten
				delete(g.tried, k)
				break
			}
		}
		t = &tried{failing: failing{since: now}}
		g.tried[name] = t
	}
	over := t.n - maxUserFails
	if over >= 0 && (len(t.slowed) >= maxSlowed || slices.Contains(t.slowed, client)) {
		return nil, 0, errAuthSlowed // not counted: it is not looked at
	}
	t.n++
	if over < 0 {
		return t, 0, nil
	}
	t.slowed = append(t.slowed, client)
	return t, min(firstSlow<<min(over, 10), maxSlow), nil
}

func (g *guesses) waited(t *tried, client netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(t.slowed, client); i >= 0 {
		t.slowed = slices.Delete(t.slowed, i, i+1)
	}
}

// proved notes that user has logged in from client: the try is taken back, and
// client is known from now on. What others have failed at stands.
func (g *guesses) proved(user string, client netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.known[user]
	if i := slices.Index(known, client); i >= 0 {
		known = slices.Delete(known, i, i+1)
	} else if t := g.tried[user]; t != nil && t.n > 0 {
		t.n--
	}
	if len(known) >= maxKnown {
		known = slices.Delete(known, 0, 1)
	}
	g.known[user] = append(known, client)
}

// stop has nobody wait any more. It is called once.
func (g *guesses) stop() { close(g.stopping) }
