package age

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// periodsVersion is that of the file of periods (docs/vault.md).
// periodsStrict that of one with anything that is strict: an earlier stanch cannot
// open it, and is to say so.
const (
	periodsVersion = 1
	periodsStrict  = 2
)

// maxPeriods bounds the file: two keys a month for forty years.
const maxPeriods = 1000

// maxPeriodsFile bounds what is read of it, in bytes.
const maxPeriodsFile = 64 << 20

// ErrNewer says that a later version of stanch wrote the file of periods.
var ErrNewer = errors.New("age: the keys of the vault were written by a later version of stanch")

// ErrOtherKeys says that a file of periods has another key for a period than it
// began with.
var ErrOtherKeys = errors.New("age: the keys of the vault are not those that the backup was made with: the file was changed")

// PeriodsConfig is what OpenPeriods needs.
type PeriodsConfig struct {
	Path      string                  // of the file
	Server    *filippo.X25519Identity // the release key on this server; nil: it was taken away
	Reviewers []string                // public keys, or certificates as strict.ReadReader returns them
	Only      bool                    // only the reviewers may open: Server is used for the last time, to seal anew
	Needed    int                     // how many readers it takes; 0: 1
	Now       func() time.Time        // nil: time.Now
}

// periodsFile is the file, as JSON.
type periodsFile struct {
	V       int      `json:"v"`
	Periods []period `json:"periods"`
}

// period is one key: its public half, in clear, and its secret half, sealed to
// the readers.
type period struct {
	ID        dlp.ID    `json:"id"`
	Kind      string    `json:"kind"`
	Begun     time.Time `json:"begun"`
	Ended     time.Time `json:"ended,omitzero"`
	Destroyed time.Time `json:"destroyed,omitzero"`
	Recipient string    `json:"recipient"`
	Readers   []string  `json:"readers"`
	Needed    int       `json:"needed"`
	Sealed    [][]byte  `json:"sealed,omitempty"` // one for each set of readers that may open it
}

// Periods keeps the keys of the vault: one for each period and kind, each
// sealed to the readers. It satisfies vault.Sealer. Its methods may be called
// at the same time.
type Periods struct {
	cfg     PeriodsConfig
	readers []string // for whom keys are sealed now

	mu     sync.Mutex
	file   periodsFile                 // guarded by mu; replaced as a whole, after the file
	opened map[dlp.ID]filippo.Identity // guarded by mu; by the server's own key
}

// OpenPeriods reads the keys of the vault, seals those anew that the server can
// open and that are sealed to others than those who may open them now, and
// begins a period of each kind where none runs. used are the periods that
// anything in the vault is sealed to: a key that is missing is
// crypt.ErrKeyMissing, and nothing is written. ErrNewer, crypt.ErrBadKey.
func OpenPeriods(c PeriodsConfig, used []dlp.ID) (*Periods, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Needed = max(c.Needed, 1)
	p := &Periods{cfg: c, readers: slices.Clone(c.Reviewers), opened: map[dlp.ID]filippo.Identity{}}
	if !c.Only {
		if c.Server == nil {
			return nil, errors.New("age: the release key was taken away from this server, and vault.reviewers_only is not true: set it, for nothing brings the key back")
		}
		p.readers = append([]string{c.Server.Recipient().String()}, p.readers...)
	}
	for i, r := range p.readers {
		if err := checkReader(r); err != nil {
			return nil, fmt.Errorf("age: reader %d: %w", i+1, err)
		}
	}
	if len(p.readers) < c.Needed {
		return nil, fmt.Errorf("age: %d keys may open the vault, and it takes %d", len(p.readers), c.Needed)
	}
	if err := p.read(); err != nil {
		return nil, err
	}
	for _, id := range used {
		if id != "" && !slices.ContainsFunc(p.file.Periods, func(x period) bool { return x.ID == id }) {
			return nil, fmt.Errorf("%w: vault.keys has none for what is held: bring back the file of the backup", crypt.ErrKeyMissing)
		}
	}
	return p, p.settle()
}

func (p *Periods) read() error {
	f, err := os.Open(p.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		p.file.V = periodsVersion
		return nil
	}
	if err != nil {
		return fmt.Errorf("age: vault.keys: %w", safefile.Classify("read", err))
	}
	defer f.Close() // only read from
	b, err := io.ReadAll(io.LimitReader(f, maxPeriodsFile))
	if err != nil {
		return fmt.Errorf("age: vault.keys: %w", safefile.Classify("read", err))
	}
	if json.Unmarshal(b, &p.file) != nil {
		return fmt.Errorf("%w: vault.keys", crypt.ErrBadKey)
	}
	if p.file.V < periodsVersion || p.file.V > periodsStrict {
		return fmt.Errorf("%w: they have form %d, this version knows %d", ErrNewer, p.file.V, periodsStrict)
	}
	return nil
}

// settle brings the file to what the configuration says, in one replacement.
func (p *Periods) settle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := periodsFile{V: periodsVersion, Periods: slices.Clone(p.file.Periods)}
	changed := false
	if p.cfg.Only && p.cfg.Server != nil { // the last that it does
		x := period{ID: dlp.NewID(), Kind: vault.KindRelease, Begun: p.cfg.Now().UTC(), Ended: p.cfg.Now().UTC(), Recipient: p.cfg.Server.Recipient().String()}
		if !slices.ContainsFunc(next.Periods, func(y period) bool { return y.Recipient == x.Recipient }) {
			if err := p.seal(&x, p.cfg.Server.String()); err != nil {
				return err
			}
			next.Periods, changed = append(next.Periods, x), true
		}
	}
	for _, kind := range []string{vault.KindContent, vault.KindCase} {
		// A key that others could open ends before it is sealed anew: who was removed may have
		// kept it, and is not to open what comes in. So does one that does not open, or is not as
		// strict as its readers' are.
		if i := current(next, kind); i < 0 || p.stale(next.Periods[i]) || !p.sound(next.Periods[i]) || kindOf(next.Periods[i].Recipient) != kindFor(p.readers) {
			if err := p.begin(&next, kind); err != nil {
				return err
			}
			changed = true
		}
	}
	for i, x := range next.Periods {
		if !p.stale(x) || p.cfg.Server == nil {
			continue
		}
		id, err := openPeriod(x, []filippo.Identity{p.cfg.Server})
		if err != nil {
			continue // it was never sealed to the server: Stale says so
		}
		if err := p.seal(&next.Periods[i], secret(id)); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return p.write(next)
}

// write replaces the file, and then what is known of it. Locked: p.mu.
func (p *Periods) write(next periodsFile) error {
	if len(next.Periods) > maxPeriods {
		return fmt.Errorf("age: vault.keys: more than %d keys", maxPeriods)
	}
	b, err := encodePeriods(next)
	if err != nil {
		return err
	}
	if err := safefile.WriteFile(p.cfg.Path, b, 0o600); err != nil {
		return fmt.Errorf("age: vault.keys: %w", err)
	}
	p.file = next
	return nil
}

// stale reports whether x is sealed to others than may open it now.
func (p *Periods) stale(x period) bool {
	return x.Destroyed.IsZero() && (x.Needed != p.cfg.Needed || !slices.Equal(x.Readers, p.readers))
}

// sound reports whether x can be sealed to, and, where the server may open what
// is, whether it can. Else its form is all that can be told: that there is
// something for each set of readers, not what.
func (p *Periods) sound(x period) bool {
	if p.cfg.Server == nil || p.cfg.Only {
		return checkReader(x.Recipient) == nil && len(x.Sealed) == len(sets(p.readers, p.cfg.Needed)) &&
			!slices.ContainsFunc(x.Sealed, func(b []byte) bool { return len(b) == 0 })
	}
	_, err := openPeriod(x, []filippo.Identity{p.cfg.Server})
	return err == nil
}

// current is the place of the running period of that kind, -1 for none.
func current(f periodsFile, kind string) int {
	for i, x := range slices.Backward(f.Periods) {
		if x.Kind == kind && x.Ended.IsZero() {
			return i
		}
	}
	return -1
}

// begin ends the running period of that kind and begins the next.
func (p *Periods) begin(f *periodsFile, kind string) error {
	now := p.cfg.Now().UTC().Truncate(time.Second)
	if i := current(*f, kind); i >= 0 {
		f.Periods[i].Ended = now
		if now.Before(f.Periods[i].Begun) { // the clock is wrong, or was: no period is older than it is
			f.Periods[i].Ended = f.Periods[i].Begun
		}
	}
	x := period{ID: dlp.NewID(), Kind: kind, Begun: now}
	key, to, err := newKey(p.readers)
	if err != nil {
		return err
	}
	x.Recipient = to
	if err := p.seal(&x, key); err != nil {
		return err
	}
	f.Periods = append(f.Periods, x)
	return nil
}

// seal seals the key of x to those who may open it now.
func (p *Periods) seal(x *period, key string) (err error) {
	if x.Sealed, err = sealKey(x.ID, key, p.readers, p.cfg.Needed); err != nil {
		return err
	}
	x.Readers, x.Needed = slices.Clone(p.readers), p.cfg.Needed
	return nil
}

// find returns the period of that id. "" is what was sealed before there were
// periods: to the release key.
func (p *Periods) find(id dlp.ID) (period, filippo.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == "" && p.cfg.Server != nil && !p.cfg.Only {
		return period{}, p.cfg.Server, nil
	}
	for _, x := range p.file.Periods {
		if x.ID != id && (id != "" || x.Kind != vault.KindRelease) {
			continue
		}
		if !x.Destroyed.IsZero() {
			return x, nil, vault.ErrNoContent
		}
		if known := p.opened[x.ID]; known != nil || p.cfg.Server == nil || p.cfg.Only {
			return x, known, nil
		}
		with, err := openPeriod(x, []filippo.Identity{p.cfg.Server})
		if err != nil {
			return x, nil, nil // not the server's to open
		}
		p.opened[x.ID] = with
		return x, with, nil
	}
	return period{}, nil, fmt.Errorf("%w: vault.keys", crypt.ErrKeyMissing)
}

// Seal is vault.Sealer's.
func (p *Periods) Seal(dst io.Writer, kind string, id dlp.ID) (io.WriteCloser, dlp.ID, error) {
	p.mu.Lock()
	i := current(p.file, kind)
	if i < 0 {
		p.mu.Unlock()
		return nil, "", fmt.Errorf("age: seal: no period runs for %s", kind)
	}
	x := p.file.Periods[i]
	p.mu.Unlock()
	if strict.IsRecipient(x.Recipient) {
		w, err := strict.Seal(dst, x.Recipient, bindLine(kind, id))
		return w, x.ID, err
	}
	to, err := parseRecipient(x.Recipient)
	if err != nil {
		return nil, "", fmt.Errorf("age: seal: %w", crypt.ErrBadKey)
	}
	w, err := (&Sealer{to: to}).Seal(dst, kind, id)
	return w, x.ID, err
}

// Open is vault.Sealer's.
func (p *Periods) Open(src io.Reader, in dlp.ID, kind string, id dlp.ID, key []byte) (io.Reader, error) {
	x, with, err := p.find(in)
	if err != nil {
		return nil, fmt.Errorf("age: open: %w", err)
	}
	if strict.IsRecipient(x.Recipient) && (key != nil || with != nil) {
		return openStrict(src, kind, id, with, key)
	}
	if key != nil {
		with = filippo.NewInjectedFileKeyIdentity(key)
	}
	if with == nil {
		return nil, fmt.Errorf("age: open: %w", vault.ErrLocked)
	}
	return (&Sealer{with: with}).Open(src, kind, id)
}

// Lock is vault.Sealer's.
func (p *Periods) Lock(src io.Reader, in dlp.ID) (vault.Lock, error) {
	x, _, err := p.find(in)
	if err != nil {
		return vault.Lock{}, fmt.Errorf("age: lock: %w", err)
	}
	head, err := header(src, x.Recipient)
	if err != nil {
		return vault.Lock{}, fmt.Errorf("age: lock: header: %w", ErrTampered)
	}
	return vault.Lock{Period: x.ID, Recipient: x.Recipient, Sealed: x.Sealed, Header: head}, nil
}

// header is what of a content holds its key, sealed to that of its period.
func header(src io.Reader, recipient string) ([]byte, error) {
	if strict.IsRecipient(recipient) {
		return strict.Header(src)
	}
	return filippo.ExtractHeader(src)
}

// Stands tells how every key stands; sealed asks for the sealed keys too.
func (p *Periods) Stands(sealed bool) vault.Periods {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := vault.Periods{Readers: p.readers, Needed: p.cfg.Needed, Periods: []vault.Period{}}
	if p.cfg.Server != nil && !p.cfg.Only {
		out.Server = p.cfg.Server.Recipient().String()
	}
	for _, x := range p.file.Periods {
		y := vault.Period{ID: x.ID, Kind: x.Kind, Begun: x.Begun, Ended: x.Ended, Destroyed: x.Destroyed, Recipient: x.Recipient,
			Readers: x.Readers, Needed: x.Needed, Stale: p.stale(x)}
		if sealed {
			y.Sealed = x.Sealed
		}
		out.Periods = append(out.Periods, y)
	}
	return out
}

// File returns the keys as they stand in the file.
func (p *Periods) File() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return encodePeriods(p.file)
}

func encodePeriods(f periodsFile) ([]byte, error) {
	f.V = periodsVersion
	for _, x := range f.Periods {
		if strict.IsRecipient(x.Recipient) || slices.ContainsFunc(x.Readers, strict.IsReader) {
			f.V = periodsStrict
		}
	}
	b, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("age: vault.keys: %w", err)
	}
	return append(b, '\n'), nil
}

// PeriodIDs returns the ids of all periods in the bytes of a file of periods,
// destroyed ones too. ErrNewer, crypt.ErrBadKey.
func PeriodIDs(b []byte) ([]dlp.ID, error) {
	var f periodsFile
	if json.Unmarshal(b, &f) != nil || f.V == 0 {
		return nil, fmt.Errorf("%w: vault.keys", crypt.ErrBadKey)
	}
	if f.V < periodsVersion || f.V > periodsStrict {
		return nil, ErrNewer
	}
	var ids []dlp.ID
	for _, x := range f.Periods {
		ids = append(ids, x.ID)
	}
	return ids, nil
}

// Recipients returns the public key of every period, destroyed ones too.
func (p *Periods) Recipients() map[dlp.ID]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[dlp.ID]string{}
	for _, x := range p.file.Periods {
		out[x.ID] = x.Recipient
	}
	return out
}

// SamePeriods reports whether the bytes of a file of periods have the public
// keys of known for the periods of known that they have. ErrOtherKeys says that
// they do not, and for which; ErrNewer, crypt.ErrBadKey.
func SamePeriods(b []byte, known map[dlp.ID]string) error {
	if _, err := PeriodIDs(b); err != nil {
		return err
	}
	var f periodsFile
	if json.Unmarshal(b, &f) != nil {
		return fmt.Errorf("%w: vault.keys", crypt.ErrBadKey)
	}
	for _, x := range f.Periods {
		if to, ok := known[x.ID]; ok && to != x.Recipient {
			return fmt.Errorf("%w: period %s", ErrOtherKeys, x.ID)
		}
	}
	return nil
}

// Rotate begins a new period of each kind.
func (p *Periods) Rotate() error {
	return p.change(func(f *periodsFile) error {
		return errors.Join(p.begin(f, vault.KindContent), p.begin(f, vault.KindCase))
	})
}

// Accept takes keys that a reviewer's program has sealed anew to those who may
// open them now, by period. What is not of a living period, or not as many
// seals as there are sets of readers, is refused, and nothing is changed.
func (p *Periods) Accept(sealed map[dlp.ID][][]byte) error {
	return p.change(func(f *periodsFile) error {
		for id, s := range sealed {
			i := slices.IndexFunc(f.Periods, func(x period) bool { return x.ID == id && x.Destroyed.IsZero() })
			if i < 0 || len(s) != len(sets(p.readers, p.cfg.Needed)) || slices.ContainsFunc(s, func(b []byte) bool { return len(b) > maxSealedKey }) {
				return fmt.Errorf("age: sealed anew: %w", crypt.ErrBadKey)
			}
			f.Periods[i].Sealed, f.Periods[i].Readers, f.Periods[i].Needed = s, slices.Clone(p.readers), p.cfg.Needed
		}
		return nil
	})
}

// Destroy forgets the key of a period for good. That it is gone already is no
// error; a period that runs is not ended so.
func (p *Periods) Destroy(id dlp.ID) error {
	return p.change(func(f *periodsFile) error {
		i := slices.IndexFunc(f.Periods, func(x period) bool { return x.ID == id })
		if i < 0 || f.Periods[i].Ended.IsZero() {
			return errors.New("age: destroy: no period that has ended")
		}
		if f.Periods[i].Destroyed.IsZero() {
			f.Periods[i].Sealed, f.Periods[i].Destroyed = nil, p.cfg.Now().UTC()
		}
		delete(p.opened, id)
		return nil
	})
}

// change replaces the file by what do makes of it.
func (p *Periods) change(do func(*periodsFile) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := periodsFile{V: periodsVersion, Periods: slices.Clone(p.file.Periods)}
	if err := do(&next); err != nil {
		return err
	}
	return p.write(next)
}
