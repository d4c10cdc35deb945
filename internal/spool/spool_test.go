package spool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		tries int
		want  time.Duration
	}{
		{-1, time.Minute}, {0, time.Minute}, {1, time.Minute}, {2, 2 * time.Minute}, {3, 5 * time.Minute}, {4, 15 * time.Minute},
		{5, 30 * time.Minute}, {6, time.Hour}, {7, 2 * time.Hour}, {8, 4 * time.Hour}, {1000, 4 * time.Hour},
	} {
		if got := spool.Backoff(c.tries, 0); got != c.want {
			t.Errorf("try %d, longest: got %v, want %v", c.tries, got, c.want)
		}
		if got := spool.Backoff(c.tries, 1); got != c.want*3/4 {
			t.Errorf("try %d, shortest: got %v, want %v", c.tries, got, c.want*3/4)
		}
		for _, rnd := range []float64{-5, 5} {
			if got := spool.Backoff(c.tries, rnd); got < c.want*3/4 || got > c.want {
				t.Errorf("try %d, chance %v: got %v, want it within bounds", c.tries, rnd, got)
			}
		}
	}
}

func TestIsDue(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		m    spool.Message
		want bool
	}{
		{"its time has come", spool.Message{State: spool.Queued, Next: now}, true},
		{"not yet", spool.Message{State: spool.Queued, Next: now.Add(time.Second)}, false},
		{"the longest wait", spool.Message{State: spool.Queued, Next: now.Add(spool.MaxBackoff)}, false},
		{"longer than any wait: the clock was put back", spool.Message{State: spool.Queued, Next: now.Add(spool.MaxBackoff + 1)}, true},
		{"ended", spool.Message{State: spool.Delivered, Next: now}, false},
		{"to be read", spool.Message{State: spool.ToRead, Next: now}, true},
		{"set aside", spool.Message{State: spool.Poison, Next: now}, false},
	} {
		if got := c.m.IsDue(now); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

var errBound = errors.New("bound elsewhere")

// plain seals nothing, but for what is "rotten".
type plain struct{}

func (plain) Seal(_ string, b []byte) ([]byte, error) { return b, nil }

func (plain) Open(_ string, b []byte) ([]byte, error) {
	if string(b) == "rotten" {
		return nil, errBound
	}
	return b, nil
}

// rows is a store that answers everything with the same rows.
type rows struct {
	spool.Store
	rows []spool.Row
}

func (r rows) Queue(context.Context, spool.Filter) ([]spool.Row, error) { return r.rows, nil }

func (r rows) QueueDue(context.Context, spool.DueFilter) ([]spool.Row, error) {
	return r.rows, nil
}

func (r rows) Queued(_ context.Context, id dlp.ID) (spool.Row, error) {
	for _, x := range r.rows {
		if x.ID == id {
			return x, nil
		}
	}
	return spool.Row{}, spool.ErrNotFound
}

// A state that a version without parameters sealed says that none were given.
func TestAnEarlierStateIsRead(t *testing.T) {
	s := spool.New(rows{rows: []spool.Row{{ID: "old", Kind: spool.Copy, State: spool.Queued, Sealed: []byte(
		`{"v":1,"from":["YQ==","Yi50ZXN0"],"rcpts":[{"addr":["Yw==","ZC50ZXN0"],"state":"pending"}]}`)}}}, nil, plain{}, nil)
	m, err := s.Get(t.Context(), "old")
	if err != nil || m.Params != (dlp.MailParams{}) || len(m.Rcpts) != 1 || m.Rcpts[0].Params != (dlp.RcptParams{}) || m.From.Local != "a" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestADamagedMessageHidesNoOther(t *testing.T) {
	u, err := spool.New(nil, nil, plain{}, nil).Progress(spool.Message{From: dlp.Address{Local: "a", Domain: "b.example"}})
	if err != nil {
		t.Fatal(err)
	}
	s := spool.New(rows{rows: []spool.Row{
		{ID: "rotten", Kind: spool.Copy, State: spool.Queued, Sealed: []byte("rotten")},
		{ID: "no state", Kind: spool.Copy, State: spool.Queued, Sealed: []byte("{")},
		{ID: "later version", Kind: spool.Copy, State: spool.Queued, Sealed: []byte(`{"v":2}`)},
		{ID: "later kind", Kind: "sealed", State: spool.Queued, Sealed: u.Sealed},
		{ID: "good", Kind: spool.Copy, State: spool.Queued, Sealed: u.Sealed},
	}}, nil, plain{}, nil)
	all, err := s.List(t.Context(), spool.Filter{})
	if err != nil || len(all) != 5 || !all[0].Damaged || !all[1].Damaged || !all[2].Damaged || !all[3].Damaged || all[4].Damaged {
		t.Errorf("list: got %+v, %v; want five, all but the last damaged", all, err)
	}
	due, err := s.Due(t.Context(), spool.Queued, time.Now(), 10)
	if err != nil || len(due) != 5 || !due[0].Damaged || !due[3].Damaged || due[4].ID != "good" || due[4].From.Local != "a" {
		t.Errorf("due: got %+v, %v; want all, so that the damaged ones can be set aside", due, err)
	}
	if _, err := s.Get(t.Context(), "rotten"); !errors.Is(err, errBound) {
		t.Errorf("Get: got %v, want the error itself", err)
	}
}

// TestTheStepIsKept: the step at which no reply came is in the sealed state. A
// state that an earlier program sealed names none, and one that a later program
// sealed is read for all that this one knows.
func TestTheStepIsKept(t *testing.T) {
	u, err := spool.New(nil, nil, plain{}, nil).Progress(spool.Message{From: dlp.Address{Local: "a", Domain: "b.example"},
		Rcpts: []spool.Rcpt{{Addr: dlp.Address{Local: "c", Domain: "d.test"}, At: "greeting"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ sealed, want string }{
		"ours":    {string(u.Sealed), "greeting"},
		"earlier": {`{"v":1,"from":["YQ==","Yi50ZXN0"],"rcpts":[{"addr":["Yw==","ZC50ZXN0"],"state":"pending","tries":2}]}`, ""},
		"later": {`{"v":1,"from":["YQ==","Yi50ZXN0"],"new":{"x":1},"rcpts":[{"addr":["Yw==","ZC50ZXN0"],"state":"pending","at":"dot","new":[2]}]}`,
			"dot"},
	} {
		s := spool.New(rows{rows: []spool.Row{{ID: "x", Kind: spool.Copy, State: spool.Queued, Sealed: []byte(tt.sealed)}}}, nil, plain{}, nil)
		m, err := s.Get(t.Context(), "x")
		if err != nil || len(m.Rcpts) != 1 || m.Rcpts[0].At != tt.want || m.Rcpts[0].Addr.Local != "c" {
			t.Errorf("%s: got %+v, %v; want the step %q", name, m, err, tt.want)
		}
	}
}
