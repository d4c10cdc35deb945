package probe

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Result is what became of a probe, or of a route's last one.
type Result string

// The results. The empty one is a probe on its way.
const (
	Waiting Result = ""
	Caught  Result = "caught"   // it was held, refused or encrypted
	Missed  Result = "missed"   // nobody saw it in time
	Passed  Result = "passed"   // it went through stanch and left
	NotSent Result = "not_sent" // it could not be handed in
)

// What a Status says beside.
const (
	OnItsWay  Result = "waiting"
	NeverSent Result = "never_sent"
)

// Alarm reports the results that raise one.
func (r Result) Alarm() bool { return r == Missed || r == Passed || r == NotSent }

// Probe is one that was sent.
type Probe struct {
	ID     string    `json:"id"`
	Route  string    `json:"route"`
	Sent   time.Time `json:"sent"`
	Digest string    `json:"digest"` // of its text, hexadecimal
	Result Result    `json:"result,omitempty"`
	Doc    dlp.ID    `json:"doc,omitempty"` // as which it was seen
	Seen   time.Time `json:"seen,omitzero"`
}

// Status is where a route stands.
type Status struct {
	Route      string    `json:"route"`
	LastSent   time.Time `json:"last_sent,omitzero"`
	LastCaught time.Time `json:"last_caught,omitzero"` // when the last probe that was caught was
	Result     Result    `json:"state"`                // of the last probe
	Alarm      bool      `json:"alarm"`                // the last one that ended was not caught
	Next       time.Time `json:"next,omitzero"`
}

// route is what is kept of a route.
type route struct {
	LastSent   time.Time `json:"last_sent,omitzero"`
	LastCaught time.Time `json:"last_caught,omitzero"`
	Result     Result    `json:"result,omitempty"`
	Alarm      Result    `json:"alarm,omitempty"`
	Told       time.Time `json:"told,omitzero"` // when people were last told of Alarm
}

// tellAgain is how often people are told of an alarm that stands.
const tellAgain = 24 * time.Hour

// kept is how many probes of a route are remembered: what comes by twice, or a
// day late, is known.
const kept = 20

// Keys makes keyed digests. It is satisfied by crypt.Ring.
type Keys interface {
	MAC(kind string, parts ...[]byte) [32]byte
}

// Book remembers the probes of one data folder. It is safe for use by many
// goroutines.
type Book struct {
	path     string
	hostname string
	cfg      Config
	keys     Keys
	now      func() time.Time
	steps    func(string)

	mu     sync.Mutex
	routes map[string]route // guarded by mu
	probes []Probe          // guarded by mu; oldest first
}

// page is the form of the file (docs/doctor.md).
type page struct {
	Version int              `json:"version"`
	Routes  map[string]route `json:"routes"`
	Probes  []Probe          `json:"probes"`
}

// Options are what Open needs.
type Options struct {
	Path     string // of the file that remembers
	Hostname string // in the Message-ID of mails
	Config   Config
	Keys     Keys
	Now      func() time.Time  // nil: time.Now
	Steps    func(step string) // nil, or called before each durable step; for crash tests
}

// Open reads what earlier runs left. What cannot be read is begun anew: the
// error says so, and the Book is good nevertheless; a probe that is on its way
// is then held for an officer.
func Open(o Options) (*Book, error) {
	b := &Book{path: o.Path, hostname: o.Hostname, cfg: o.Config, keys: o.Keys, now: o.Now, steps: o.Steps, routes: map[string]route{}}
	if b.now == nil {
		b.now = time.Now
	}
	if b.steps == nil {
		b.steps = func(string) {}
	}
	p, err := readPage(o.Path)
	if err != nil {
		return b, err
	}
	now := b.now() // what was sent later than now was sent before the clock was set back
	for name, r := range p.Routes {
		if _, ok := b.route(name); ok {
			r.LastSent, r.Told = earlier(r.LastSent, now), earlier(r.Told, now)
			b.routes[name] = r
		}
	}
	for _, x := range p.Probes {
		if _, ok := b.route(x.Route); ok {
			x.Sent = earlier(x.Sent, now)
			b.probes = append(b.probes, x)
		}
	}
	return b, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// maxFile bounds what is read of the file, in bytes: maxRoutes times kept
// probes of 300 bytes.
const maxFile = 1 << 20

func readPage(path string) (page, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return page{}, nil
	}
	if err != nil {
		return page{}, fmt.Errorf("probe: read: %w", safefile.Classify("open", err))
	}
	defer f.Close() // read only
	var p page
	if err := json.NewDecoder(io.LimitReader(f, maxFile)).Decode(&p); err != nil || p.Version != 1 {
		return page{}, errors.New("probe: what was remembered cannot be read")
	}
	return p, nil
}

// save writes the page; the caller holds mu.
func (b *Book) save(step string) error {
	text, err := json.MarshalIndent(page{1, b.routes, b.probes}, "", " ")
	if err != nil {
		return fmt.Errorf("probe: write: %w", err)
	}
	b.steps(step)
	if err := safefile.WriteFile(b.path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("probe: write: %w", err)
	}
	return nil
}

func (b *Book) route(name string) (Route, bool) {
	i := slices.IndexFunc(b.cfg.Routes, func(r Route) bool { return r.Name == name })
	if i < 0 {
		return Route{}, false
	}
	return b.cfg.Routes[i], true
}

// Names lists the routes, in the order of the configuration.
func (b *Book) Names() []string {
	var ns []string
	for _, r := range b.cfg.Routes {
		ns = append(ns, r.Name)
	}
	return ns
}

// Due lists the routes to try now, and says when the next thing is to be done.
func (b *Book) Due() (names []string, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, r := range b.cfg.Routes {
		s := b.routes[r.Name]
		at := s.LastSent.Add(r.pause(s.Result))
		if s.LastSent.IsZero() || !now.Before(at) || s.LastSent.After(now.Add(time.Minute)) { // sent in the future: the clock was set back
			names = append(names, r.Name)
			continue
		}
		sooner(at)
	}
	for _, p := range b.probes {
		if r, ok := b.route(p.Route); ok && p.Result == Waiting {
			sooner(p.Sent.Add(r.within()))
		}
	}
	return names, next
}

// Post is a probe that is to be handed in.
type Post struct {
	Probe Probe
	Route Route
	Mail  []byte // with CRLF line ends; nil for a file
	File  string // path of the file to make; "" for a mail
	Text  []byte // of the file
}

// Make makes a probe of the route. That it is on its way is on stable storage
// when it returns nil.
func (b *Book) Make(name string) (Post, error) {
	r, ok := b.route(name)
	if !ok {
		return Post{}, fmt.Errorf("probe: no route %q is configured", name)
	}
	id := newID()
	text := letter(prefix + id + "-" + b.seal(id))
	digest := digestText([]byte(text))
	post := Post{Route: r, Probe: Probe{ID: id, Route: name, Sent: b.now(), Digest: hex.EncodeToString(digest[:])}}
	if r.Folder != "" {
		post.File, post.Text = filepath.Join(r.Folder, prefix+id+".txt"), []byte(text)
	} else {
		post.Mail = mail(r, text, id, b.hostname, post.Probe.Sent)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, before := slices.Clone(b.probes), b.routes[name]
	b.probes = append(b.probes, post.Probe)
	b.trim(name)
	b.routes[name] = route{LastSent: post.Probe.Sent, LastCaught: before.LastCaught, Alarm: before.Alarm, Told: before.Told}
	if err := b.save("probe sent"); err != nil {
		b.probes, b.routes[name] = old, before
		return Post{}, err
	}
	return post, nil
}

// trim forgets all but the newest probes of a route; the caller holds mu.
func (b *Book) trim(name string) {
	n := 0
	for i := len(b.probes) - 1; i >= 0; i-- {
		if b.probes[i].Route != name {
			continue
		}
		if n++; n > kept {
			b.probes = slices.Delete(b.probes, i, i+1)
		}
	}
}

// seal is the keyed digest of an id, 26 characters.
func (b *Book) seal(id string) string {
	mac := b.keys.MAC("probe", []byte(id))
	return encoding.EncodeToString(mac[:16])
}

// Sight is a probe that came by.
type Sight struct {
	Probe Probe
	// Same says that it is, but for trace fields, what was sent. One that was
	// changed on its way, or that somebody put a probe's token into, is not.
	Same bool
	// OnItsWay says that it is the probe itself, changed or not: a mail to the
	// route's recipient or under the probe's own Message-ID, or the file as it
	// was left. What only quotes a probe tells nothing of the route.
	OnItsWay bool
}

// Recognise reports whether content is a probe of this book. It reads no more
// than a probe may have, and content is nobody's to trust: the token must
// verify, and be one that was given out.
func (b *Book) Recognise(content io.Reader, channel dlp.Channel, rcpts []dlp.Address) (Sight, bool) {
	text, err := io.ReadAll(io.LimitReader(content, maxSize+1))
	if err != nil {
		return Sight{}, false
	}
	whole := len(text) <= maxSize
	for _, m := range tokenForm.FindAllSubmatch(text, 4) {
		id, seal := string(m[1]), string(m[2])
		if subtle.ConstantTimeCompare([]byte(b.seal(id)), []byte(seal)) != 1 {
			continue
		}
		b.mu.Lock()
		i := slices.IndexFunc(b.probes, func(p Probe) bool { return p.ID == id })
		var s Sight
		if i >= 0 {
			s.Probe = b.probes[i]
		}
		b.mu.Unlock()
		if i < 0 {
			continue
		}
		r, _ := b.route(s.Probe.Route)
		s.Same = whole && b.same(r, s.Probe, text, channel, rcpts)
		s.OnItsWay = s.Same || r.Folder == "" && channel == dlp.Mail && (slices.ContainsFunc(rcpts, r.reaches) || hasMessageID(text, id))
		return s, true
	}
	return Sight{}, false
}

func (b *Book) same(r Route, p Probe, text []byte, channel dlp.Channel, rcpts []dlp.Address) bool {
	var digest [sha256.Size]byte
	if r.Folder != "" {
		if channel != dlp.File {
			return false
		}
		digest = digestText(text)
	} else {
		ok := channel == dlp.Mail && len(rcpts) == 1 && r.reaches(rcpts[0])
		if !ok {
			return false
		}
		if digest, ok = digestMail(r, text); !ok {
			return false
		}
	}
	return hex.EncodeToString(digest[:]) == p.Digest
}

// Settle notes what became of a probe, and reports whether that is news, and
// whether people are to be told: of a new alarm, and once a day of one that
// stands. A probe that is caught after it was missed is caught; one that passed
// stays passed. It is on stable storage when err is nil.
func (b *Book) Settle(id string, result Result, doc dlp.ID) (news, tell bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.probes, func(p Probe) bool { return p.ID == id })
	if i < 0 {
		return false, false, nil
	}
	p := b.probes[i]
	if p.Result == result || p.Result == Passed || p.Result == Caught && result != Passed {
		return false, false, nil
	}
	old, before := p, b.routes[p.Route]
	p.Result, p.Doc, p.Seen = result, doc, b.now()
	b.probes[i] = p
	r := before
	last := !p.Sent.Before(r.LastSent)
	if last {
		r.Result = result
	}
	switch {
	case result.Alarm():
		tell = r.Alarm != result || p.Seen.Sub(r.Told) >= tellAgain
		if r.Alarm = result; tell {
			r.Told = p.Seen
		}
	case result == Caught:
		r.LastCaught = p.Seen
		if last {
			r.Alarm = Waiting
		}
	}
	b.routes[p.Route] = r
	if err := b.save("probe settled"); err != nil {
		b.probes[i], b.routes[p.Route] = old, before
		return false, false, err
	}
	return true, tell, nil
}

// Overdue lists the probes that nobody has seen in time.
func (b *Book) Overdue() []Probe {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	var out []Probe
	for _, p := range b.probes {
		r, _ := b.route(p.Route)
		if p.Result == Waiting && now.Sub(p.Sent) >= r.within() {
			out = append(out, p)
		}
	}
	return out
}

// Oldest is when the oldest probe that is remembered was sent.
func (b *Book) Oldest() (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.probes) == 0 {
		return time.Time{}, false
	}
	return b.probes[0].Sent, true
}

// List says where each route stands, in the order of the configuration.
func (b *Book) List() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return statuses(b.cfg, b.routes)
}

// Look is List of the file at path, whether or not a process has the data
// folder.
func Look(path string, cfg Config) ([]Status, error) {
	p, err := readPage(path)
	if err != nil {
		return nil, err
	}
	return statuses(cfg, p.Routes), nil
}

func statuses(cfg Config, routes map[string]route) []Status {
	out := []Status{}
	for _, r := range cfg.Routes {
		s := routes[r.Name]
		st := Status{Route: r.Name, LastSent: s.LastSent, LastCaught: s.LastCaught, Result: s.Result, Alarm: s.Alarm.Alarm()}
		switch {
		case s.LastSent.IsZero():
			st.Result = NeverSent
		case s.Result == Waiting:
			st.Result, st.Next = OnItsWay, s.LastSent.Add(r.every())
		default:
			st.Next = s.LastSent.Add(r.pause(s.Result))
		}
		out = append(out, st)
	}
	return out
}

// FilePath is where the file of a probe lies, or lay; "" for a mail.
func (b *Book) FilePath(p Probe) string {
	r, ok := b.route(p.Route)
	if !ok || r.Folder == "" {
		return ""
	}
	return filepath.Join(r.Folder, prefix+p.ID+".txt")
}
