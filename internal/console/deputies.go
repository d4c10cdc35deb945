package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Bounds of deputies.
const (
	MaxDeputy     = 90 * 24 * time.Hour  // how long somebody is a deputy at most
	deputyKept    = 400 * 24 * time.Hour // after its end: a first decision may wait so long for the second
	maxDeputies   = 2000
	maxDeputiesOf = 50      // of one account: as many as are kept of it
	maxDeputyFile = 1 << 20 // bytes
)

// Deputyship is one person's standing in for another: By decides in the place of
// Of. It ends by itself.
type Deputyship struct {
	Of    string    `json:"of"`
	By    string    `json:"by"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"` // earlier than was said where somebody ended it
}

// Errors that a caller chooses by.
var (
	ErrNoDeputy    = errors.New("they are not that account's deputy now")
	ErrHasDeputy   = errors.New("the account has a deputy: end that first")
	ErrDeputyFor   = fmt.Errorf("a deputy is one from now on, for at most %d days", int(MaxDeputy.Hours()/24))
	ErrDeputyWho   = errors.New("a deputy is another account that may decide itself: an officer or an admin who can sign in")
	ErrDeputyOf    = errors.New("only who may decide has a deputy: an officer or an admin who can sign in")
	ErrDeputyOften = fmt.Errorf("the account has named %d deputies within %d days: as many as are kept", maxDeputiesOf, int(deputyKept.Hours()/24))
	errDeputyFull  = errors.New("console: as many deputies as are kept")
)

// Deputies keeps who stands in for whom, in one file beside the accounts. It is read
// anew for every question.
type Deputies struct {
	path  string
	users *Users
	now   func() time.Time
	mu    sync.Mutex // one change at a time in this process; between processes the lock file is
}

// OpenDeputies returns those kept in dir, which need not be there yet.
func OpenDeputies(dir string, now func() time.Time) *Deputies {
	return &Deputies{path: filepath.Join(dir, "deputies.json"), users: OpenUsers(dir), now: now}
}

func (d *Deputies) all() ([]Deputyship, error) {
	b, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, safefile.Classify("console: read deputies", err)
	}
	var all []Deputyship
	if len(b) > maxDeputyFile || json.Unmarshal(b, &all) != nil {
		return nil, errors.New("console: the file of deputies is damaged: take it away, and name them anew")
	}
	return all, nil
}

// change rewrites the file, durably, while nobody else does. What ended long ago
// is left out.
func (d *Deputies) change(do func([]Deputyship) ([]Deputyship, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := safefile.MkdirAll(filepath.Dir(d.path)); err != nil {
		return err
	}
	lock, err := safefile.Lock(d.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }() // the file is whole either way
	all, err := d.all()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(x Deputyship) bool { return d.now().Sub(x.Until) > deputyKept })
	if all, err = do(all); err != nil {
		return err
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("console: deputies: %w", err)
	}
	return safefile.WriteFile(d.path, append(b, '\n'), 0o600)
}

func (d *Deputies) runs(x Deputyship) bool {
	now := d.now()
	return !x.From.After(now) && x.Until.After(now)
}

// Name makes by the deputy of of until then, after record has noted it.
func (d *Deputies) Name(of, by string, until time.Time, record func(Deputyship) error) error {
	x := Deputyship{Of: of, By: by, From: d.now().UTC(), Until: until.UTC().Truncate(time.Second)}
	if last := x.Until.Sub(x.From); last <= 0 || last > MaxDeputy {
		return ErrDeputyFor
	}
	for _, who := range []struct {
		name string
		not  error
	}{{of, ErrDeputyOf}, {by, ErrDeputyWho}} {
		u, err := d.users.Find(who.name)
		switch {
		case err != nil && !errors.Is(err, ErrNoUser):
			return err
		case err != nil || of == by || !u.decides():
			return who.not
		}
	}
	return d.change(func(all []Deputyship) ([]Deputyship, error) {
		had := 0
		for _, x := range all {
			if x.Of == of {
				had++
			}
		}
		switch {
		case slices.ContainsFunc(all, func(x Deputyship) bool { return x.Of == of && d.runs(x) }):
			return nil, ErrHasDeputy
		case had >= maxDeputiesOf:
			return nil, ErrDeputyOften
		case len(all) >= maxDeputies:
			return nil, errDeputyFull
		}
		if err := record(x); err != nil {
			return nil, err
		}
		return append(all, x), nil
	})
}

// End ends what runs of of's, after record has noted it. ErrNoDeputy.
func (d *Deputies) End(of string, record func(Deputyship) error) error {
	return d.change(func(all []Deputyship) ([]Deputyship, error) {
		i := slices.IndexFunc(all, func(x Deputyship) bool { return x.Of == of && d.runs(x) })
		if i < 0 {
			return nil, ErrNoDeputy
		}
		all[i].Until = d.now().UTC()
		if err := record(all[i]); err != nil {
			return nil, err
		}
		return all, nil
	})
}

// Running returns those whose time it is, both of whom may decide. An account
// that may not any more has no deputy and is none.
func (d *Deputies) Running() ([]Deputyship, error) {
	all, err := d.all()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(x Deputyship) bool { return !d.runs(x) })
	if len(all) == 0 {
		return nil, nil
	}
	us, err := d.users.List()
	if err != nil {
		return nil, err
	}
	may := map[string]bool{}
	for _, u := range us {
		may[u.Name] = u.decides()
	}
	return slices.DeleteFunc(all, func(x Deputyship) bool { return !may[x.Of] || !may[x.By] }), nil
}

// InPlaceOf returns those whose deputy by is now.
func (d *Deputies) InPlaceOf(by string) ([]string, error) {
	all, err := d.Running()
	var out []string
	for _, x := range all {
		if x.By == by {
			out = append(out, x.Of)
		}
	}
	return out, err
}

// accountsIn are the names of the accounts that an actor is, or is in the place
// of; none of a user of the machine.
func accountsIn(actor string) (names []string) {
	by, of := audit.Actors(actor)
	for _, a := range []string{by, of} {
		if name, ok := strings.CutPrefix(a, userPrefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// Counts reports whether what actor decided at a time still counts: every account
// that it is may decide, and could ever since.
func (d *Deputies) Counts(actor string, at time.Time) (bool, error) {
	for _, name := range accountsIn(actor) {
		u, err := d.users.Find(name)
		if err != nil && !errors.Is(err, ErrNoUser) {
			return false, err
		}
		if err != nil || !u.decides() || at.Unix() <= u.Barred {
			return false, nil
		}
	}
	return true, nil
}

// Deciding are the accounts that may decide, as actors.
func (d *Deputies) Deciding() (out []string, err error) {
	all, err := d.users.List()
	for _, u := range all {
		if u.decides() {
			out = append(out, u.Actor())
		}
	}
	slices.Sort(out)
	return out, err
}

// One reports whether a and b count as one person: an account is in both, or one
// in the one was at some time since then the deputy of one in the other.
func (d *Deputies) One(a, b string, since time.Time) (bool, error) {
	as, bs := accountsIn(a), accountsIn(b)
	if a == b || slices.ContainsFunc(as, func(x string) bool { return slices.Contains(bs, x) }) {
		return true, nil
	}
	all, err := d.all()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(x Deputyship) bool {
		return x.Until.After(since) && (slices.Contains(as, x.Of) && slices.Contains(bs, x.By) || slices.Contains(bs, x.Of) && slices.Contains(as, x.By))
	}), nil
}

// Sent reports whether mail from that address is actor's own, or of one whose
// deputy they are now. Addresses in letters of another case are one.
func (d *Deputies) Sent(actor string, from dlp.Address) (bool, error) {
	names := accountsIn(actor)
	if len(names) > 0 { // the first acts; a deputy's deputy is nobody's
		of, err := d.InPlaceOf(names[0])
		if err != nil {
			return false, err
		}
		names = append(names, of...)
	}
	for _, name := range names {
		u, err := d.users.Find(name)
		if err != nil && !errors.Is(err, ErrNoUser) {
			return false, err
		}
		if u.Address != "" && strings.EqualFold(u.Address, from.String()) {
			return true, nil
		}
	}
	return false, nil
}

// WithDeputies adds to addresses those of who is now deputy of one of theirs.
func (d *Deputies) WithDeputies(to []dlp.Address) ([]dlp.Address, error) {
	run, err := d.Running()
	if err != nil || len(run) == 0 {
		return to, err
	}
	us, err := d.users.List()
	if err != nil {
		return to, err
	}
	address := map[string]string{}
	for _, u := range us {
		address[u.Name] = u.Address
	}
	out := slices.Clone(to)
	listed := func(in []dlp.Address, a string) bool {
		return a == "" || slices.ContainsFunc(in, func(x dlp.Address) bool { return strings.EqualFold(x.String(), a) })
	}
	for _, x := range run {
		if of := address[x.Of]; of != "" && listed(to, of) && !listed(out, address[x.By]) {
			out = append(out, notify.Addresses([]string{address[x.By]})...)
		}
	}
	return out, nil
}
