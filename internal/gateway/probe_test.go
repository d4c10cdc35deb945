package gateway_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/probe"
)

// submitter hands probes in at the door of b, and notes when.
type submitter struct {
	b *bench

	mu   sync.Mutex // guards below
	at   []time.Time
	fail bool
}

// Submit hands p in.
func (s *submitter) Submit(ctx context.Context, p probe.Post) error {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	fail := s.fail
	s.mu.Unlock()
	if fail {
		return errBroken
	}
	doc := mail(dlp.Address{Local: "probe", Domain: "outside.example"})
	doc.Size = int64(len(p.Mail))
	doc.Open = func() (io.ReadSeekCloser, error) { return closer{bytes.NewReader(p.Mail)}, nil }
	s.b.Message(ctx, doc, &hop{reply: dlp.Reply{Code: 250}})
	return nil
}

// Clear has nothing to take away.
func (s *submitter) Clear(string) {}

func (s *submitter) breaks(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// since returns the moments, from start, at which probes were handed in.
func (s *submitter) since(start time.Time) (out []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.at {
		out = append(out, at.Sub(start))
	}
	return out
}

// TestRoutesAreTriedAgain: a route is tried at once, and again every so long;
// one at which a probe could not be handed in sooner; and a process that starts
// in between waits for the rest of the time.
func TestRoutesAreTriedAgain(t *testing.T) {
	const every, within = 6 * time.Hour, 10 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.verdict["probe@outside.example"] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
		s := &submitter{b: b}
		open := func() *probe.Book {
			book, err := probe.Open(probe.Options{Path: filepath.Join(b.dir, "probes.json"), Hostname: "gw.example", Keys: b.Names,
				Config: probe.Config{Routes: []probe.Route{{Name: "out", Via: "mail.clinic.example:25", From: "probe@clinic.example",
					To: "probe@outside.example", Every: dlp.Duration(every), Within: dlp.Duration(within)}}}})
			if err != nil {
				t.Fatal(err)
			}
			return book
		}
		start := time.Now()
		run := func(d time.Duration) {
			t.Helper()
			b.Probes, b.Submit = open(), s
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = b.RunProbes(ctx) })
			time.Sleep(d)
			cancel()
			wg.Wait()
		}
		run(every + every/2)
		if st := b.Probes.List(); len(st) != 1 || st[0].Result != probe.Caught || st[0].Alarm || st[0].LastCaught.Sub(start).Round(time.Minute) != every {
			t.Errorf("got %+v, want the second caught", st)
		}
		run(every)
		s.breaks(true)
		run(every/2 + within/2)
		s.breaks(false)
		run(within)
		var got []time.Duration
		for _, d := range s.since(start) {
			got = append(got, d.Round(time.Minute))
		}
		want := []time.Duration{0, every, 2 * every, 3 * every, 3*every + within}
		if !slices.Equal(got, want) {
			t.Errorf("tried at %v, want %v", got, want)
		}
		if st := b.Probes.List(); st[0].Result != probe.Caught || st[0].Alarm {
			t.Errorf("got %+v, want the last caught, and no alarm", st)
		}
	})
}

// unreachable is a way in at which each probe hangs until let, and fails.
type unreachable struct {
	asked chan string // route by route
	let   chan struct{}
}

// Submit hangs, and fails.
func (u unreachable) Submit(_ context.Context, p probe.Post) error {
	u.asked <- p.Route.Name
	<-u.let
	return errBroken
}

// Clear has nothing to take away.
func (unreachable) Clear(string) {}

// TestRouteIsTriedOnce: what is tried on demand while serve tries the routes that
// are due is tried once.
func TestRouteIsTriedOnce(t *testing.T) {
	b := newBench(t)
	var routes []probe.Route
	for _, name := range []string{"a", "b", "c"} {
		routes = append(routes, probe.Route{Name: name, Via: "mail.clinic.example:25", From: "probe@clinic.example", To: "probe@outside.example",
			Every: dlp.Duration(time.Hour), Within: dlp.Duration(time.Minute)})
	}
	book, err := probe.Open(probe.Options{Path: filepath.Join(b.dir, "probes.json"), Hostname: "gw.example", Keys: b.Names, Config: probe.Config{Routes: routes}})
	if err != nil {
		t.Fatal(err)
	}
	u := unreachable{make(chan string), make(chan struct{})}
	b.Probes, b.Submit = book, u
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = b.RunProbes(ctx) })
	tried := []string{<-u.asked} // of three that are due
	wg.Go(func() {
		if _, err := b.SendProbes(t.Context(), []string{"a", "b"}, ""); err != nil {
			t.Error(err)
		}
	})
	tried = append(tried, <-u.asked)
	for len(tried) == 0 || tried[len(tried)-1] != "c" {
		select {
		case u.let <- struct{}{}:
		case name := <-u.asked:
			tried = append(tried, name)
		}
	}
	close(u.let)
	if want := []string{"a", "b", "c"}; !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
}

var _ gateway.Submitter = (*submitter)(nil)
