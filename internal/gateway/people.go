package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// People knows the accounts of those who decide. It is satisfied by
// console.Deputies.
type People interface {
	// Counts reports whether what actor decided at a time still counts: whoever it
	// was may decide, and could ever since.
	Counts(actor string, at time.Time) (bool, error)
	// One reports whether a and b count as one person: the same account, or at some
	// time since then one the deputy of the other.
	One(a, b string, since time.Time) (bool, error)
	// Sent reports whether mail from that address is actor's own, or of whom they
	// are now deputy.
	Sent(actor string, from dlp.Address) (bool, error)
	// Deciding are those who may decide, as actors.
	Deciding() ([]string, error)
	// WithDeputies adds to addresses those of who is now deputy of one of theirs.
	WithDeputies(to []dlp.Address) ([]dlp.Address, error)
}

// ErrOwn says that who is to release a mail sent it.
var ErrOwn = errors.New("it is your own mail, or of somebody whose deputy you are: somebody else must release it")

// notOwn refuses a release by the sender. Who cannot be told from them is.
func (g *Gateway) notOwn(actor string, from dlp.Address) error {
	if g.People == nil || from.IsNull() {
		return nil
	}
	own, err := g.People.Sent(actor, from)
	switch {
	case err != nil:
		return fmt.Errorf("who decides is not known: %w", err)
	case own:
		return ErrOwn
	}
	return nil
}

// another reports whether actor is somebody else than who decided first, and
// whether that decision still counts.
func (g *Gateway) another(actor, first string, at time.Time) (another, counts bool, err error) {
	if g.People == nil {
		return actor != first, true, nil
	}
	counts, err = g.People.Counts(first, at)
	if err != nil || !counts {
		return false, counts, err
	}
	one, err := g.People.One(actor, first, at)
	return !one, counts, err
}
