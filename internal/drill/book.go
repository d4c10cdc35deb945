package drill

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Keys make ids and seal what is kept. It is satisfied by crypt.Ring.
type Keys interface {
	Digester
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

const (
	format  = 1
	fileExt = ".drill"
	maxFile = 4 << 20 // bytes; a drill of 100 people of whom each did everything has a tenth
)

// Book keeps the drills of one data folder. It is safe for use by many goroutines.
type Book struct {
	dir  string
	keys Keys

	mu     sync.Mutex
	drills []Drill        // guarded by mu; the oldest first
	of     map[dlp.ID]int // guarded by mu; which of drills an item is of
}

// Open reads the drills of a data folder, which nobody else has open, and removes
// what writes that broke off have left. Of a drill that does not open the error
// tells; the Book is good nevertheless.
func Open(dataDir string, k Keys) (*Book, error) {
	b := &Book{dir: filepath.Join(dataDir, "state", "drills"), keys: k, of: map[dlp.ID]int{}}
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, safefile.Classify("list drills", err)
	}
	err = safefile.RemoveTemps(b.dir)
	for _, e := range entries {
		id, perr := dlp.ParseID(strings.TrimSuffix(e.Name(), fileExt))
		if perr != nil || e.Name() != string(id)+fileExt {
			continue
		}
		d, rerr := b.read(id)
		if rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		b.drills = append(b.drills, d)
	}
	b.sort()
	return b, err
}

func (b *Book) path(id dlp.ID) string { return filepath.Join(b.dir, string(id)+fileExt) }

// sealedAs binds what is sealed to the drill that it is of.
func sealedAs(id dlp.ID) string { return "drill " + string(id) }

func (b *Book) read(id dlp.ID) (d Drill, err error) {
	sealed, err := os.ReadFile(b.path(id))
	if err != nil {
		return d, safefile.Classify("read drill", err)
	}
	if len(sealed) > maxFile {
		return d, ErrDamaged
	}
	plain, err := b.keys.Open(sealedAs(id), sealed)
	if err != nil || json.Unmarshal(plain, &d) != nil || d.V != format || d.ID != id {
		return d, ErrDamaged
	}
	return d, nil
}

// write makes d durable.
func (b *Book) write(d *Drill) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return ErrForm
	}
	sealed, err := b.keys.Seal(sealedAs(d.ID), plain)
	if err != nil {
		return err
	}
	if err := safefile.MkdirAll(b.dir); err != nil {
		return err
	}
	return safefile.WriteFile(b.path(d.ID), sealed, 0o600)
}

// sort puts the drills in order; its caller holds mu, or has b alone.
func (b *Book) sort() {
	slices.SortFunc(b.drills, func(x, y Drill) int { return cmp.Or(x.Begun.Compare(y.Begun), cmp.Compare(x.ID, y.ID)) })
	clear(b.of)
	for i := range b.drills {
		for _, it := range b.drills[i].Items {
			b.of[it.ID] = i
		}
	}
}

// Plan says what a drill is to be.
type Plan struct {
	Name    string        `json:"name"`
	Kind    Kind          `json:"kind"`
	Senders []dlp.Address `json:"senders"` // whose messages they are said to be
	To      dlp.Address   `json:"to"`      // where they are said to go
	For     time.Duration `json:"for"`
	Asked   []string      `json:"-"` // as in Drill
}

// validate reports what no drill can be made of. inside reports an address of
// the site.
func (p *Plan) validate(inside func(dlp.Address) bool) error {
	most := MaxPeople
	if p.Kind == Officers {
		most = MaxItems
	}
	line := strings.TrimSpace(p.Name)
	switch {
	case p.Kind != Officers && p.Kind != Senders:
		return ErrForm
	case line == "" || line != p.Name || len(line) > MaxName || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return ErrForm
	case p.For < MinFor || p.For > MaxFor || len(p.Senders) == 0 || len(p.Senders) > most || p.To.IsNull() || inside(p.To):
		return ErrForm
	}
	seen := map[string]bool{}
	for _, a := range p.Senders {
		key := dlp.FoldAddress(a.String())
		if !inside(a) || seen[key] {
			return ErrForm
		}
		seen[key] = true
	}
	return nil
}

// Begin keeps a drill that somebody begins. record is called with it before
// anything is written; its error ends it. ErrForm, ErrMany.
func (b *Book) Begin(p Plan, by string, now time.Time, inside func(dlp.Address) bool, record func(*Drill) error) (Drill, error) {
	if err := p.validate(inside); err != nil {
		return Drill{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	running := 0
	for i := range b.drills {
		if b.drills[i].Running() {
			running++
		}
	}
	if running >= MaxRunning {
		return Drill{}, ErrMany
	}
	d := Drill{V: format, ID: dlp.NewID(), Name: p.Name, Kind: p.Kind, By: by, Begun: now, Ends: now.Add(p.For), To: p.To.String(), Asked: p.Asked}
	for _, a := range p.Senders {
		d.Items = append(d.Items, Item{ID: NewID(b.keys), From: a.String(), State: Waiting})
	}
	if err := record(&d); err != nil {
		return Drill{}, err
	}
	if err := b.write(&d); err != nil {
		return Drill{}, err
	}
	b.drills = append(b.drills, d)
	b.forget()
	b.sort()
	return copyOf(&d), nil
}

// forget lets go of the oldest drill that has ended, where there are too many. Its
// caller holds mu.
func (b *Book) forget() {
	if len(b.drills) <= maxKept {
		return
	}
	i := slices.IndexFunc(b.drills, func(d Drill) bool { return !d.Running() })
	if i < 0 || safefile.Remove(b.path(b.drills[i].ID)) != nil { // it is tried again with the next
		return
	}
	b.drills = slices.Delete(b.drills, i, i+1)
}

// List returns all drills, the newest first.
func (b *Book) List() []Drill {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Drill, 0, len(b.drills))
	for i := len(b.drills) - 1; i >= 0; i-- {
		out = append(out, copyOf(&b.drills[i]))
	}
	return out
}

// Get returns one drill. ErrNotFound.
func (b *Book) Get(id dlp.ID) (Drill, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.index(id)
	if i < 0 {
		return Drill{}, ErrNotFound
	}
	return copyOf(&b.drills[i]), nil
}

func (b *Book) index(id dlp.ID) int {
	return slices.IndexFunc(b.drills, func(d Drill) bool { return d.ID == id })
}

// Of returns an item and the drill that it is of. ErrNotFound.
func (b *Book) Of(item dlp.ID) (Drill, Item, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.of[item]
	if !ok {
		return Drill{}, Item{}, ErrNotFound
	}
	d := copyOf(&b.drills[i])
	return d, d.Items[at(&d, item)], nil
}

func at(d *Drill, item dlp.ID) int {
	return slices.IndexFunc(d.Items, func(it Item) bool { return it.ID == item })
}

// Change has do change an item; it is on stable storage when nil is returned.
// ErrNotFound.
func (b *Book) Change(item dlp.ID, do func(*Item)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.of[item]
	if !ok {
		return ErrNotFound
	}
	d := copyOf(&b.drills[i])
	do(&d.Items[at(&d, item)])
	return b.put(i, d)
}

// put writes d in the place of drill i, unless it is as it was. Its caller holds mu.
func (b *Book) put(i int, d Drill) error {
	was, err := json.Marshal(&b.drills[i])
	if err != nil {
		return ErrForm
	}
	if is, err := json.Marshal(&d); err == nil && string(is) == string(was) {
		return nil
	}
	if err := b.write(&d); err != nil {
		return err
	}
	b.drills[i] = d
	return nil
}

// React notes what somebody did about an item, once for each of them and thing
// they do: the first time counts. Who only looks once the item has ended has not
// reacted to it.
// ErrNotFound.
func (b *Book) React(item dlp.ID, r Reaction) error {
	return b.Change(item, func(it *Item) {
		if (len(it.Reactions) >= maxReactions || !it.State.Open()) && !Ends(r.Did) {
			return
		}
		if slices.ContainsFunc(it.Reactions, func(x Reaction) bool { return x.By == r.By && x.Did == r.Did }) {
			return
		}
		if Ends(r.Did) {
			r.Code, it.Code, it.State = it.Code, "", Decided
		}
		it.Reactions = append(it.Reactions, r)
	})
}

// End ends a drill: nobody by whom it was stopped means that it was time. record
// is called before anything is written. ErrNotFound, ErrEnded.
func (b *Book) End(id dlp.ID, by string, now time.Time, record func(*Drill) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.index(id)
	if i < 0 {
		return ErrNotFound
	}
	d := copyOf(&b.drills[i])
	if !d.Running() {
		return ErrEnded
	}
	if err := record(&d); err != nil {
		return err
	}
	d.Ended, d.EndedBy = now, by
	return b.put(i, d)
}

// copyOf is d, of which nothing is shared that is changed.
func copyOf(d *Drill) Drill {
	c := *d
	c.Items = slices.Clone(d.Items)
	for i := range c.Items {
		c.Items[i].Reactions = slices.Clone(c.Items[i].Reactions)
	}
	return c
}
