// Package dossier keeps what officers write down when something may have been
// disclosed: which documents, the four factors of 45 CFR 164.402, and what cases
// and the log said of them when that was looked up.
//
// Every save is a version of its own and none is ever changed. All of it is
// sealed before it touches the disk, since people write what they write.
package dossier

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Bounds.
const (
	MaxItems    = 100     // documents of one dossier
	MaxWords    = 8000    // bytes of each text
	maxDossiers = 2000    // of a site
	maxVersions = 1000    // of one dossier
	maxRecord   = 8 << 20 // bytes of a record
)

// Errors that a caller chooses by.
var (
	ErrNotFound = errors.New("dossier: no such dossier or version")
	ErrChanged  = errors.New("dossier: somebody else saved it meanwhile")
	ErrFull     = errors.New("dossier: there are as many as are kept")
	ErrLarge    = errors.New("dossier: more than one may hold")
	ErrForm     = errors.New("dossier: it is not filled in as it may be")
	ErrDamaged  = errors.New("dossier: it does not open")
	ErrItem     = errors.New("dossier: neither a case nor the log knows such a document")
	ErrSlow     = errors.New("dossier: what cases and log say was not read in time")
)

// Factors names the four factors, in their order, and what each asks.
//
// Source: 45 CFR 164.402, "Breach", paragraph (2).
func Factors() []Asked {
	return []Asked{
		{"nature", "Nature and extent of the information", "Which kinds of identifiers, and how likely is it that people are re-identified?"},
		{"receiver", "Who used it, or to whom it was disclosed", "Is the receiver bound to protect it?"},
		{"acquired", "Whether it was actually acquired or viewed", "How is that known?"},
		{"mitigated", "How far the risk has been reduced", "What was done, and how is that known, such as a signed statement of deletion?"},
	}
}

// Asked is one factor.
type Asked struct{ Key, Name, More string }

// Risks are how a factor may be rated; "" is not yet.
var risks = []string{"", "low", "medium", "high"}

// Conclusion is what a person concludes.
type Conclusion string

// The conclusions.
const (
	Open      Conclusion = ""          // not decided yet
	LowRisk   Conclusion = "low_risk"  // a low probability that the information was compromised: no breach
	Breach    Conclusion = "breach"    // a breach
	Exception Conclusion = "exception" // one of paragraph (1) of the definition applies
)

// Conclusions returns all, the open one first.
func Conclusions() []Conclusion { return []Conclusion{Open, LowRisk, Breach, Exception} }

// Factor is what somebody says of one factor. PHI: people write what they write.
type Factor struct {
	Words string `json:"words"`
	Risk  string `json:"risk"` // low, medium, high; "": not rated yet
}

// Assessment is what a person fills in. PHI.
type Assessment struct {
	Title      string     `json:"title"`
	Happened   string     `json:"happened"`   // a day such as 2026-01-31, "" where it is not known
	Discovered string     `json:"discovered"` // a day, or ""
	People     int        `json:"people"`     // concerned, by whoever counted; 0: not counted yet
	Factors    [4]Factor  `json:"factors"`
	Conclusion Conclusion `json:"conclusion"`
	Because    string     `json:"because"` // of the conclusion
}

// Version is one that was saved.
type Version struct {
	V      int       `json:"v"`
	ID     dlp.ID    `json:"id"`
	N      int       `json:"n"`
	By     string    `json:"by"` // an actor
	At     time.Time `json:"at"`
	Begun  time.Time `json:"begun"`
	Items  []dlp.ID  `json:"items"`
	Record int       `json:"record"` // number of the version whose Record it goes by; 0: none was made yet
	Assessment
}

// format is of a version as it is kept.
const format = 1

// Lacking names the factors that say nothing, or are not rated.
func (a *Assessment) Lacking() (out []string) {
	for i, f := range Factors() {
		if strings.TrimSpace(a.Factors[i].Words) == "" || a.Factors[i].Risk == "" {
			out = append(out, f.Name)
		}
	}
	return out
}

// noticeDays is how many days after its discovery those concerned are told of a
// breach at the latest.
//
// Source: 45 CFR 164.404(b).
const noticeDays = 60

// TellBy is the last day on which people may be told of a breach; "" where the
// day of its discovery is not known.
func (a *Assessment) TellBy() string {
	t, err := time.Parse(time.DateOnly, a.Discovered)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, noticeDays).Format(time.DateOnly)
}

// validate reports the first thing that may not be.
func (a *Assessment) validate() error {
	for _, s := range []string{a.Title, a.Because, a.Factors[0].Words, a.Factors[1].Words, a.Factors[2].Words, a.Factors[3].Words} {
		if len(s) > MaxWords {
			return ErrLarge
		}
	}
	for _, d := range []string{a.Happened, a.Discovered} {
		if _, err := time.Parse(time.DateOnly, d); d != "" && err != nil {
			return ErrForm
		}
	}
	for _, f := range a.Factors {
		if !slices.Contains(risks, f.Risk) {
			return ErrForm
		}
	}
	if strings.TrimSpace(a.Title) == "" || a.People < 0 || !slices.Contains(Conclusions(), a.Conclusion) {
		return ErrForm
	}
	if a.Conclusion != Open && a.Conclusion != Exception && len(a.Lacking()) > 0 {
		return ErrForm // the assessment is of at least the four factors
	}
	return nil
}

// Keys seal small things. It is satisfied by crypt.Ring.
type Keys interface {
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// Store keeps dossiers. Its methods may be called at the same time.
type Store struct {
	dir  string
	keys Keys
	mu   sync.Mutex // one change at a time
}

// OpenStore returns the dossiers of a data folder, which makes its own folder when
// the first is begun.
func OpenStore(dataDir string, k Keys) *Store {
	return &Store{dir: filepath.Join(dataDir, "state", "dossiers"), keys: k}
}

// Sweep removes what writes that broke off have left. Nobody may be writing meanwhile.
func (s *Store) Sweep() error {
	ids, err := s.ids()
	for _, id := range ids {
		err = errors.Join(err, safefile.RemoveTemps(s.of(id)))
	}
	return err
}

// List returns the newest version of each dossier, the one begun last first. Those
// that do not open are counted; of one that broke off before its first version was
// written there is nothing.
func (s *Store) List() (out []Version, damaged int, err error) {
	ids, err := s.ids()
	if err != nil {
		return nil, 0, err
	}
	for _, id := range ids {
		v, err := s.Newest(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			damaged++
			continue
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Version) int { return cmp.Or(b.Begun.Compare(a.Begun), cmp.Compare(a.ID, b.ID)) })
	return out, damaged, nil
}

func (s *Store) ids() (ids []dlp.ID, err error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, safefile.Classify("list dossiers", err)
	}
	for _, e := range entries {
		if id, err := dlp.ParseID(e.Name()); err == nil && e.IsDir() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Numbers are those of all versions of id, the newest first. ErrNotFound.
func (s *Store) Numbers(id dlp.ID) (all []int, err error) {
	entries, err := os.ReadDir(s.of(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, safefile.Classify("list versions", err)
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), versionExt)); err == nil && n > 0 && e.Name() == name(n, versionExt) {
			all = append(all, n)
		}
	}
	if len(all) == 0 {
		return nil, ErrNotFound
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all, nil
}

const (
	versionExt = ".version"
	recordExt  = ".record"
)

func name(n int, ext string) string { return fmt.Sprintf("%06d%s", n, ext) }

func (s *Store) of(id dlp.ID) string { return filepath.Join(s.dir, string(id)) }

func label(id dlp.ID, n int, ext string) string {
	return "dossier" + ext + " " + string(id) + " " + strconv.Itoa(n)
}

// Newest returns the newest version of id. ErrNotFound, ErrDamaged.
func (s *Store) Newest(id dlp.ID) (Version, error) {
	all, err := s.Numbers(id)
	if err != nil {
		return Version{}, err
	}
	return s.Version(id, all[0])
}

// Version returns version n of id. ErrNotFound, ErrDamaged.
func (s *Store) Version(id dlp.ID, n int) (v Version, err error) {
	b, err := s.read(id, n, versionExt)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil || v.V != format || v.ID != id || v.N != n {
		return Version{}, fmt.Errorf("dossier: version %d of %s: %w", n, id, ErrDamaged)
	}
	return v, nil
}

// Record returns what cases and log said when v's was made; nil where none was.
func (s *Store) Record(v *Version) ([]byte, error) {
	if v.Record == 0 {
		return nil, nil
	}
	return s.read(v.ID, v.Record, recordExt)
}

func (s *Store) read(id dlp.ID, n int, ext string) ([]byte, error) {
	sealed, err := os.ReadFile(filepath.Join(s.of(id), name(n, ext)))
	if errors.Is(err, fs.ErrNotExist) || n <= 0 {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, safefile.Classify("read dossier", err)
	}
	b, err := s.keys.Open(label(id, n, ext), sealed)
	if err != nil {
		return nil, fmt.Errorf("dossier: version %d of %s: %w", n, id, ErrDamaged)
	}
	return b, nil
}

// Save makes v the newest version of v.ID, a dossier of its own where base is 0.
// base is the number of the version that it was made from: ErrChanged where there
// is a newer one. record, where it is not nil, is what v goes by from now on.
// between is called once all that may be refused has been looked at and before
// anything is written, with v's number; its error ends it.
func (s *Store) Save(base int, v Version, record []byte, between func(n int) error) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := v.validate(); err != nil {
		return 0, err
	}
	if len(v.Items) > MaxItems || len(record) > maxRecord {
		return 0, ErrLarge
	}
	if n, err = s.next(base, &v); err != nil {
		return 0, err
	}
	v.V, v.N = format, n
	if record != nil {
		v.Record = n
	}
	if err := between(n); err != nil {
		return 0, err
	}
	for _, dir := range []string{s.dir, s.of(v.ID)} {
		if err := safefile.MkdirAll(dir); err != nil {
			return 0, err
		}
	}
	if record != nil {
		if err := s.write(v.ID, n, recordExt, record); err != nil {
			return 0, err
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("dossier: version %d of %s cannot be written", n, v.ID)
	}
	return n, s.write(v.ID, n, versionExt, b)
}

// next is the number that v will have, and fills in what v has of the version
// before it.
func (s *Store) next(base int, v *Version) (int, error) {
	if base == 0 {
		ids, err := s.ids()
		if err != nil {
			return 0, err
		}
		if len(ids) >= maxDossiers {
			return 0, ErrFull
		}
		if slices.Contains(ids, v.ID) {
			return 0, ErrChanged
		}
		v.Begun = v.At
		return 1, nil
	}
	old, err := s.Newest(v.ID)
	switch {
	case err != nil:
		return 0, err
	case old.N != base:
		return 0, ErrChanged
	case old.N >= maxVersions:
		return 0, ErrFull
	}
	v.Begun, v.Record = old.Begun, old.Record
	return old.N + 1, nil
}

func (s *Store) write(id dlp.ID, n int, ext string, plain []byte) error {
	sealed, err := s.keys.Seal(label(id, n, ext), plain)
	if err != nil {
		return fmt.Errorf("dossier: seal version %d of %s: %w", n, id, err)
	}
	return safefile.WriteFile(filepath.Join(s.of(id), name(n, ext)), sealed, 0o600)
}
