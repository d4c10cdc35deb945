package rulefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Bounds on proposals.
const (
	maxProposals    = 10_000 // kept
	maxWaiting      = 50     // at a time
	maxProposalText = 16 << 10
)

// Where a proposal stands.
const (
	Waiting  = "waiting"
	Accepted = "accepted"
	Declined = "declined"
	// Withdrawn is one that who made it took back.
	Withdrawn = "withdrawn"
)

// Errors of proposals.
var (
	ErrNoProposal = errors.New("rulefile: no such proposal")
	ErrWaiting    = errors.New("rulefile: as many proposals wait as may")
	ErrDecided    = errors.New("rulefile: somebody decided about it")
)

// Proposal is rules that somebody wants added to the file, and what became of that.
type Proposal struct {
	N       int        `json:"n"`
	By      string     `json:"by"` // an actor
	At      time.Time  `json:"at"`
	Why     string     `json:"why"`
	Kind    string     `json:"kind"` // what sort of change it is
	Rule    dlp.RuleID `json:"rule"` // that it changes
	Item    dlp.ID     `json:"item"` // the held document in which it was seen
	Text    string     `json:"text"` // TOML that is added at the end of the file
	State   string     `json:"state"`
	Decided time.Time  `json:"decided,omitzero"`
	Decider string     `json:"decider,omitempty"`
	Answer  string     `json:"answer,omitempty"`  // why it was declined
	Version int        `json:"version,omitempty"` // that it became
}

// Joined is text with what p adds to it.
func (p *Proposal) Joined(text string) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		text = "schema = 1"
	}
	return text + "\n\n" + strings.TrimRight(p.Text, "\n") + "\n"
}

func (s *Store) proposals() string { return filepath.Join(filepath.Dir(s.path), "proposals") }

// Propose keeps p, which waits from now on, and returns its number. between is
// called with that before anything is written; its error ends it. ErrWaiting, ErrFull.
func (s *Store) Propose(p Proposal, between func(n int) error) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p.Text) > maxProposalText || len(p.Why) > MaxNote {
		return 0, ErrLarge
	}
	all, err := numbersIn(s.proposals())
	if err != nil {
		return 0, err
	}
	if len(all) >= maxProposals {
		return 0, ErrFull
	}
	waiting := 0
	for _, k := range all {
		if x, err := s.Proposal(k); err == nil && x.State == Waiting {
			waiting++
		}
	}
	if waiting >= maxWaiting {
		return 0, ErrWaiting
	}
	if n = 1; len(all) > 0 {
		n = all[0] + 1
	}
	if err := between(n); err != nil {
		return 0, err
	}
	p.N, p.State = n, Waiting
	return n, s.writeProposal(p)
}

// Proposal returns one, or ErrNoProposal.
func (s *Store) Proposal(n int) (p Proposal, err error) {
	b, err := os.ReadFile(filepath.Join(s.proposals(), name(n)))
	if errors.Is(err, fs.ErrNotExist) || n <= 0 {
		return p, ErrNoProposal
	}
	if err != nil {
		return p, safefile.Classify("read proposal", err)
	}
	if err := json.Unmarshal(b, &p); err != nil || p.N != n {
		return p, fmt.Errorf("rulefile: proposal %d is damaged", n)
	}
	return p, nil
}

// Proposals returns proposals before that number, the newest first; 0: from the
// newest on. Those that are damaged are left out.
func (s *Store) Proposals(before, limit int) (out []Proposal, err error) {
	return newest(s.proposals(), before, limit, s.Proposal)
}

// Decide notes what became of the proposal that p is, which waits until then.
// between is called before anything is written; its error ends it. ErrDecided.
func (s *Store) Decide(p Proposal, between func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.Proposal(p.N)
	if err != nil {
		return err
	}
	if now.State != Waiting {
		return ErrDecided
	}
	if len(p.Answer) > MaxNote {
		return ErrLarge
	}
	if err := between(); err != nil {
		return err
	}
	now.State, now.Decided, now.Decider, now.Answer, now.Version = p.State, p.Decided, p.Decider, p.Answer, p.Version
	return s.writeProposal(now)
}

// VersionOf returns the version that p became, 0 for none: a process that died in
// between has saved it and not said so in the proposal. A number alone does not make
// it p: a backup may lack the proposal that had it.
func (s *Store) VersionOf(p *Proposal) (int, error) {
	all, err := s.numbers()
	if err != nil {
		return 0, err
	}
	for _, k := range all {
		if v, err := s.Version(k); err == nil && v.Proposal == p.N && strings.Contains(v.Text, strings.TrimRight(p.Text, "\n")) {
			return k, nil
		}
	}
	return 0, nil
}

func (s *Store) writeProposal(p Proposal) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("rulefile: proposal %d cannot be written", p.N)
	}
	if err := safefile.MkdirAll(s.proposals()); err != nil {
		return err
	}
	return safefile.WriteFile(filepath.Join(s.proposals(), name(p.N)), b, 0o600)
}
