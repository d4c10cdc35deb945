package bypass_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// clock is set by hand.
type clock struct {
	wall time.Time
	up   time.Duration
	boot string
}

func (c *clock) Wall() time.Time             { return c.wall }
func (c *clock) Up() (time.Duration, string) { return c.up, c.boot }
func (c *clock) pass(d time.Duration)        { c.wall, c.up = c.wall.Add(d), c.up+d }

// newKeys are those of a data folder.
func newKeys(t *testing.T) *crypt.Ring {
	t.Helper()
	ring, err := crypt.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// place is a data folder with a clock, in which switches are opened one after
// the other.
type place struct {
	*clock
	o bypass.Options
}

const reason = "Zephyrine Quillfeather's scan blocks the readers"

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	c := &clock{wall: time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC), up: time.Hour, boot: "a"}
	begun := func(dlp.ID) (bypass.Past, error) { return bypass.Past{Begun: true}, nil }
	return &place{clock: c, o: bypass.Options{Dir: filepath.Join(dir, "bypass"), Keys: newKeys(t), Past: begun, Clock: c,
		Config: bypass.Config{Enabled: true, Max: dlp.Duration(4 * time.Hour)}}}
}

func (p *place) open(t *testing.T) *bypass.Switch {
	t.Helper()
	s, err := bypass.Open(p.o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func recorded(bypass.Bypass) error { return nil }

func begin(t *testing.T, s *bypass.Switch, d time.Duration) bypass.Bypass {
	t.Helper()
	b, err := s.Begin(d, reason, "uid:7", recorded)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func on(s *bypass.Switch) bool {
	_, passed, is := s.Pass()
	if is {
		passed()
	}
	return is
}

func TestBeginAsksForMuch(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		name   string
		d      time.Duration
		reason string
		set    func(*place)
		record bypass.Record
		want   error
	}{
		{"not enabled", time.Hour, reason, func(p *place) { p.o.Config.Enabled = false }, recorded, bypass.ErrOff},
		{"no time", 0, reason, nil, recorded, bypass.ErrTooLong},
		{"longer than allowed", 4*time.Hour + 1, reason, nil, recorded, bypass.ErrTooLong},
		{"no reason", time.Hour, "  ", nil, recorded, bypass.ErrReason},
		{"a reason of two lines", time.Hour, "a\nb", nil, recorded, bypass.ErrReason},
		{"a long reason", time.Hour, strings.Repeat("x", 501), nil, recorded, bypass.ErrReason},
		{"not on record", time.Hour, reason, nil, func(bypass.Bypass) error { return boom }, boom},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t)
			if tc.set != nil {
				tc.set(p)
			}
			s := p.open(t)
			if _, err := s.Begin(tc.d, tc.reason, "uid:7", tc.record); !errors.Is(err, tc.want) {
				t.Errorf("Begin: %v, want %v", err, tc.want)
			}
			if on(s) || on(p.open(t)) {
				t.Error("the switch is on")
			}
		})
	}
}

func TestEndsByItself(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	b := begin(t, s, time.Hour)
	if _, err := s.Begin(time.Hour, reason, "uid:7", recorded); !errors.Is(err, bypass.ErrOn) {
		t.Errorf("a second one: %v, want ErrOn", err)
	}
	p.pass(time.Hour - 1)
	for range 2 { // who asks only is not counted
		if id, _, is := s.Pass(); !is || id != b.ID {
			t.Fatalf("just before its end: %v, %v", id, is)
		}
	}
	if !on(s) {
		t.Error("off just before its end")
	}
	p.pass(1)
	if on(s) {
		t.Error("on past its end")
	}
	var ends []bypass.Bypass
	record := func(b bypass.Bypass) error { ends = append(ends, b); return nil }
	for range 2 {
		if err := s.Tick(record); err != nil {
			t.Fatal(err)
		}
	}
	if len(ends) != 1 || ends[0].ID != b.ID || ends[0].How != bypass.Expired || ends[0].Passed != 1 || !ends[0].Ended.Equal(b.Ends) {
		t.Errorf("ends on record: %+v", ends)
	}
}

// TestNoLongerThanAsked: whatever the clocks do between two starts, what was
// asked for is not passed, and what was left goes on.
func TestNoLongerThanAsked(t *testing.T) {
	for _, tc := range []struct {
		name string
		then func(*place) // 20 minutes into an hour
		left time.Duration
	}{
		{"at once", func(*place) {}, 40 * time.Minute},
		{"ten minutes later", func(p *place) { p.pass(10 * time.Minute) }, 30 * time.Minute},
		{"clock set back by ten minutes", func(p *place) { p.wall = p.wall.Add(-10 * time.Minute) }, 40 * time.Minute},
		{"clock set back by a day", func(p *place) { p.wall = p.wall.Add(-24 * time.Hour) }, 0},
		{"clock set forth by ten minutes", func(p *place) { p.wall = p.wall.Add(10 * time.Minute) }, 30 * time.Minute},
		{"clock set forth by a day", func(p *place) { p.wall = p.wall.Add(24 * time.Hour) }, 0},
		{"the machine came up again", func(p *place) { p.pass(5 * time.Minute); p.up, p.boot = time.Minute, "b" }, 35 * time.Minute},
		{"it came up with its clock set back", func(p *place) {
			p.wall, p.up, p.boot = p.wall.Add(-15*time.Minute), time.Minute, "b"
		}, 40 * time.Minute},
		{"no longer allowed", func(p *place) { p.o.Config.Enabled = false }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t)
			s := p.open(t)
			begin(t, s, time.Hour)
			p.pass(20 * time.Minute)
			if err := s.Tick(recorded); err != nil {
				t.Fatal(err)
			}
			tc.then(p)
			s = p.open(t)
			if got, _ := s.Left(); got != tc.left {
				t.Errorf("left %v, want %v", got, tc.left)
			}
			p.pass(max(0, tc.left))
			if on(s) {
				t.Error("on past what was left")
			}
			ended := 0
			if err := s.Tick(func(bypass.Bypass) error { ended++; return nil }); err != nil || ended != 1 {
				t.Errorf("%d ends on record, %v", ended, err)
			}
		})
	}
}

// TestClockSetBackWhileOn: the time since the machine came up decides.
func TestClockSetBackWhileOn(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	begin(t, s, time.Hour)
	p.wall = p.wall.Add(-30 * time.Minute)
	p.pass(time.Hour)
	if on(s) {
		t.Error("on past its time, after the clock was set back")
	}
}

func TestEnd(t *testing.T) {
	p := newPlace(t)
	s := p.open(t)
	if _, err := s.End("uid:8", recorded); !errors.Is(err, bypass.ErrNone) {
		t.Errorf("nothing to end: %v, want ErrNone", err)
	}
	b := begin(t, s, time.Hour)
	on(s)
	boom := errors.New("boom")
	if _, err := s.End("uid:8", func(bypass.Bypass) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("End: %v, want boom", err)
	}
	if on(s) || on(p.open(t)) {
		t.Error("on although somebody ended it")
	}
	s = p.open(t)
	var got []bypass.Bypass
	if err := s.Tick(func(b bypass.Bypass) error { got = append(got, b); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].ID != b.ID || got[0].How != bypass.Stopped || got[0].By != "uid:8" || got[0].Passed != 1 {
		t.Errorf("on record at the next start: %+v", got)
	}
	list, err := p.open(t).List()
	if err != nil || len(list) != 1 || list[0].Reason != reason || list[0].Actor != "uid:7" || list[0].How != bypass.Stopped {
		t.Errorf("List = %+v, %v", list, err)
	}
}

// TestDies ends the process, as it were, before and after each write.
func TestDies(t *testing.T) {
	type died struct{}
	for _, tc := range []struct {
		step string
		want bool // in force after the restart
	}{
		{"bypass: asked", false},
		{"bypass: asked kept", false},
		{"bypass: on", false},
		{"bypass: on kept", true},
		{"bypass: ending", true},
		{"bypass: ending kept", false},
		{"bypass: ended", false},
		{"bypass: ended kept", false},
	} {
		t.Run(tc.step, func(t *testing.T) {
			p := newPlace(t)
			p.o.Steps = func(s string) {
				if s == tc.step {
					panic(died{})
				}
			}
			s := p.open(t)
			func() {
				defer func() {
					if x := recover(); x != (died{}) {
						t.Fatalf("did not die: %v", x)
					}
				}()
				begin(t, s, time.Hour)
				_, _ = s.End("uid:8", recorded) // it dies in here at the latest
			}()
			p.o.Steps = nil
			s = p.open(t)
			if got := on(s); got != tc.want {
				t.Errorf("on = %v, want %v", got, tc.want)
			}
			if err := s.Tick(recorded); err != nil {
				t.Errorf("Tick: %v", err)
			}
		})
	}
}

func TestWhatIsKept(t *testing.T) {
	p := newPlace(t)
	b := begin(t, p.open(t), time.Hour)
	path := filepath.Join(p.o.Dir, string(b.ID)+".bypass")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("Zephyrine")) || bytes.Contains(raw, []byte("uid")) {
		t.Errorf("the file is not sealed: %q", raw)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", fi.Mode(), err)
	}
	// Moved to another id, altered or cut short, it is no bypass.
	for name, data := range map[string][]byte{"altered": append(bytes.Clone(raw[:len(raw)-1]), raw[len(raw)-1]^1), "short": raw[:10], "empty": nil} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := bypass.Open(p.o); err == nil || on(s) {
			t.Errorf("%s: %v, on %v; want an error and off", name, err, on(s))
		}
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(filepath.Join(p.o.Dir, string(dlp.NewID())+".bypass"), raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	if s, err := bypass.Open(p.o); err == nil || on(s) {
		t.Errorf("moved: %v; want an error and off", err)
	}
}

// TestTheAuditLogIsTheTruth: a record that was put back brings nothing back
// into force, and what passed is what the audit log says.
func TestTheAuditLogIsTheTruth(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		name string
		past bypass.Past
		err  error
		on   bool
		how  string // in the list; "" while in force
		ends int    // put on record by the next Tick
	}{
		{"in force", bypass.Past{Begun: true, Passed: 3}, nil, true, "", 0},
		{"over", bypass.Past{Begun: true, Passed: 3, Ended: time.Date(2026, 11, 25, 3, 5, 0, 0, time.UTC), How: bypass.Stopped, By: "uid:8"}, nil, false, bypass.Stopped, 0},
		{"never begun", bypass.Past{}, nil, false, bypass.NotBegun, 1},
		{"cannot be told", bypass.Past{}, boom, false, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t)
			b := begin(t, p.open(t), time.Hour)
			p.pass(10 * time.Minute)
			p.o.Past = func(id dlp.ID) (bypass.Past, error) {
				if id != b.ID {
					t.Errorf("asked for %s, want %s", id, b.ID)
				}
				return tc.past, tc.err
			}
			s, err := bypass.Open(p.o)
			if !errors.Is(err, tc.err) {
				t.Fatalf("Open: %v, want %v", err, tc.err)
			}
			now, is := s.Status()
			if is != tc.on || is && now.Passed != 3 {
				t.Errorf("Status = %+v, %v; want in force %v, with 3 passed", now, is, tc.on)
			}
			ends := 0
			if err := s.Tick(func(bypass.Bypass) error { ends++; return nil }); err != nil || ends != tc.ends {
				t.Errorf("%d ends on record, %v, want %d", ends, err, tc.ends)
			}
			list, err := s.List()
			if err != nil || len(list) != 1 || list[0].How != tc.how || list[0].By != tc.past.By || !tc.past.Ended.IsZero() && list[0].Passed != 3 {
				t.Errorf("List = %+v, %v, want how %q", list, err, tc.how)
			}
		})
	}
}
