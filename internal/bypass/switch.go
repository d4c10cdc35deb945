package bypass

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Keys seals small fields under the index key. ad binds the bytes to their
// place. It is satisfied by crypt.Ring.
type Keys interface {
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// Options are what Open needs.
type Options struct {
	Dir    string // the folder of the records, made where it is missing
	Config Config
	Keys   Keys
	Past   func(dlp.ID) (Past, error) // asked for bypasses that were not over when their records were written
	Clock  Clock                      // nil: System
	Steps  func(step string)          // nil, or called before each durable step; for crash tests
}

// Past is what the audit log has of a bypass. It is the truth: the records in
// Dir are files that somebody may put back.
type Past struct {
	Begun  bool
	Passed int64     // messages that passed unread
	Ended  time.Time // zero: its end is not on the log
	How    string    // with Ended
	By     string    // with Ended
}

// Record puts what a bypass has come to on the audit log; only when it returns
// nil does the switch go on.
type Record func(Bypass) error

// Switch is the switch of one data folder. It is safe for use by many
// goroutines.
type Switch struct {
	o  Options
	on atomic.Pointer[running] // nil: off

	mu sync.Mutex // guards what is on disk, and turning
	// unsaid are bypasses that are over, and whose end is not on record yet.
	unsaid []entry // guarded by mu
}

// running is a bypass in force.
type running struct {
	entry  entry
	until  time.Duration // of Clock.Up
	passed atomic.Int64
}

// Open reads what earlier runs left: a bypass whose time is not over goes on,
// for no more than was left of it. What could not be read is no bypass; the
// error says so, and the Switch is good nevertheless.
func Open(o Options) (*Switch, error) {
	if o.Clock == nil {
		o.Clock = System{}
	}
	if o.Steps == nil {
		o.Steps = func(string) {}
	}
	s := &Switch{o: o}
	all, err := s.load()
	for _, e := range all {
		if e.State == stateEnded {
			continue
		}
		past, perr := o.Past(e.ID)
		if perr != nil {
			err = errors.Join(err, fmt.Errorf("bypass: %s: look for it on the audit log: %w", e.ID, perr))
			continue
		}
		switch {
		case !past.Ended.IsZero():
			e.State, e.Ended, e.How, e.By, e.Passed = stateEnded, past.Ended, past.How, past.By, past.Passed
			_ = s.save(e) // it is over, whatever its record says
		case e.State == stateAsked, !past.Begun:
			s.over(e, NotBegun, "", e.Began)
		case e.State == stateOn:
			e.Passed = past.Passed // the record's is as of the last Tick
			s.resume(e)
		case e.State == stateEnding:
			s.unsaid = append(s.unsaid, e)
		}
	}
	return s, err
}

// resume puts e in force again, if any of its time is left.
func (s *Switch) resume(e entry) {
	now := s.o.Clock.Wall()
	up, boot := s.o.Clock.Up()
	left := min(e.Ends.Sub(now), e.left())
	if boot != "" && boot == e.Boot {
		left = min(left, e.until()-up)
	}
	switch {
	case !s.o.Config.Enabled:
		s.over(e, Stopped, ByConfiguration, now)
		return
	case left <= 0, s.on.Load() != nil, // two in force is not what Begin makes
		now.Before(e.Began): // the clock was set back, by how much nobody can tell
		s.over(e, Expired, "", now)
		return
	}
	e.Boot, e.UntilMS, e.LeftMS = boot, (up + left).Milliseconds(), left.Milliseconds()
	_ = s.save(e) // Tick tries again
	r := &running{entry: e, until: up + left}
	r.passed.Store(e.Passed)
	s.on.Store(r)
}

// over notes that e has ended, for Tick to put on record. A failing disk leaves
// it to be noted again: an end that is in memory is an end.
func (s *Switch) over(e entry, how, by string, at time.Time) {
	e.State, e.How, e.By, e.Ended = stateEnding, how, by, at
	_ = s.save(e) // Tick tries again
	s.unsaid = append(s.unsaid, e)
}

// Pass reports whether mail passes unread now, and under which bypass. passed
// counts a message that does: to be called once for each that leaves. Off is the
// fast answer.
func (s *Switch) Pass() (id dlp.ID, passed func(), on bool) {
	r := s.inForce()
	if r == nil {
		return "", nil, false
	}
	return r.entry.ID, func() { r.passed.Add(1) }, true
}

// inForce returns the bypass whose time is not over, or nil.
func (s *Switch) inForce() *running {
	r := s.on.Load()
	if r == nil {
		return nil
	}
	if up, _ := s.o.Clock.Up(); up >= r.until || !s.o.Clock.Wall().Before(r.entry.Ends) {
		return nil
	}
	return r
}

// Begin turns the switch on for d. record is called once the request is on
// disk and before it is in force; when it fails, or the process dies meanwhile,
// nothing passes. ErrOff, ErrOn, ErrTooLong, ErrReason.
func (s *Switch) Begin(d time.Duration, reason, actor string, record Record) (Bypass, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.o.Config.Enabled:
		return Bypass{}, ErrOff
	case d <= 0 || d > s.o.Config.Max.D():
		return Bypass{}, ErrTooLong
	case !oneLine(reason):
		return Bypass{}, ErrReason
	}
	if r := s.on.Load(); r != nil {
		if s.inForce() != nil {
			return Bypass{}, ErrOn
		}
		s.end(r, Expired, "")
	}
	now := s.o.Clock.Wall()
	up, boot := s.o.Clock.Up()
	e := entry{Version: version, State: stateAsked, ID: dlp.NewID(), Actor: actor, Reason: reason, Began: now, Ends: now.Add(d),
		LeftMS: d.Milliseconds(), UntilMS: (up + d).Milliseconds(), Boot: boot}
	if err := s.save(e); err != nil {
		return Bypass{}, err
	}
	if err := record(e.bypass()); err != nil {
		s.over(e, NotBegun, "", now)
		return Bypass{}, err
	}
	e.State = stateOn
	if err := s.save(e); err != nil {
		s.over(e, NotBegun, "", now)
		return Bypass{}, err
	}
	s.on.Store(&running{entry: e, until: up + d})
	return e.bypass(), nil
}

// oneLine reports a reason of one line, not too long, that says something.
func oneLine(s string) bool {
	return strings.TrimSpace(s) != "" && len(s) <= maxReason && !strings.ContainsFunc(s, unicode.IsControl)
}

// End turns the switch off at once, and only then sees to the record: its error
// says that the end is not on record yet, and Tick tries again. ErrNone.
func (s *Switch) End(actor string, record Record) (Bypass, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.on.Load()
	if r == nil || s.inForce() == nil {
		return Bypass{}, ErrNone
	}
	e := s.end(r, Stopped, actor)
	return e.bypass(), s.say(record)
}

// end turns r off. The caller holds mu.
func (s *Switch) end(r *running, how, by string) entry {
	s.on.Store(nil)
	e := r.entry
	e.Passed = r.passed.Load()
	at := s.o.Clock.Wall()
	if how == Expired && at.After(e.Ends) {
		at = e.Ends
	}
	s.over(e, how, by, at)
	e.How, e.By, e.Ended = how, by, at
	return e
}

// Tick does what time asks for: it ends a bypass whose time is over, puts ends
// on record, and notes how much is left of the one in force, so that a machine
// that comes up with its clock set back does not begin anew.
func (s *Switch) Tick(record Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.on.Load()
	if r != nil && s.inForce() == nil {
		s.end(r, Expired, "")
		r = nil
	}
	errs := []error{s.say(record)}
	if r != nil {
		up, _ := s.o.Clock.Up()
		e := r.entry
		e.Passed, e.LeftMS = r.passed.Load(), min(r.until-up, e.left()).Milliseconds()
		errs = append(errs, s.save(e))
	}
	return errors.Join(errs...)
}

// say puts what has ended on record, and then on disk as done. The caller holds
// mu.
func (s *Switch) say(record Record) error {
	for len(s.unsaid) > 0 {
		e := &s.unsaid[0]
		if !e.said {
			if err := record(e.bypass()); err != nil {
				return err
			}
			e.said = true
		}
		e.State = stateEnded
		if err := s.save(*e); err != nil {
			return err
		}
		s.unsaid = s.unsaid[1:]
	}
	return nil
}

// Status returns the bypass in force, false for none.
func (s *Switch) Status() (Bypass, bool) {
	r := s.inForce()
	if r == nil {
		return Bypass{}, false
	}
	b := r.entry.bypass()
	b.Passed = r.passed.Load()
	return b, true
}

// Left is how long the bypass in force still lasts at most, false for none.
func (s *Switch) Left() (time.Duration, bool) {
	r := s.inForce()
	if r == nil {
		return 0, false
	}
	up, _ := s.o.Clock.Up()
	return min(r.until-up, r.entry.Ends.Sub(s.o.Clock.Wall())), true
}

// List returns all bypasses that there were, the latest first. Its error tells of
// records that could not be read; the others are returned all the same.
func (s *Switch) List() ([]Bypass, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.load()
	var out []Bypass
	for _, e := range all {
		b := e.bypass()
		if r := s.on.Load(); r != nil && r.entry.ID == e.ID {
			b.Passed = r.passed.Load()
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Bypass) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.ID, a.ID))
	})
	return out, err
}
