package console_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// counts are figures that a test gives.
type counts []store.Count

func (c counts) Of(_ context.Context, whats []string, first, last int) ([]store.Count, error) {
	var out []store.Count
	for _, x := range c {
		if slices.Contains(whats, x.What) && x.Day >= first && x.Day <= last {
			out = append(out, x)
		}
	}
	return out, nil
}

func (c counts) Top(ctx context.Context, what string, first, last, most int) ([]store.Count, error) {
	out, err := c.By(ctx, what, first, last)
	return out[:min(len(out), most)], err
}

func (c counts) Repeats(context.Context, string, int, int, int) ([]store.Repeats, error) {
	return nil, nil
}

// countsOf is a day's work on the day of now, about an item of the desk.
func countsOf(d *desk, now time.Time) counts {
	day := tally.Day(now)
	c := counts{
		{Day: day, What: tally.Passed, Of: "mail", N: 12345}, {Day: day - 1, What: tally.Passed, Of: "file", N: 3},
		{Day: day, What: tally.Held, Of: "mail", N: 40}, {Day: day, What: tally.RuleHeld, Of: "us-ssn", N: 40}, {Day: day, What: tally.RuleWatched, Of: "us-dea", N: 7},
		{Day: day, What: tally.PHI, Of: "us-ssn", N: 30}, {Day: day, What: tally.NotPHI, Of: "us-ssn", N: 10},
		{Day: day, What: tally.Waited, Of: tally.WaitBucket(2 * time.Hour), N: 30}, {Day: day, What: tally.Waited, Of: tally.WaitBucket(30 * time.Hour), N: 10},
		{Day: day, What: tally.Way, Of: "portal", N: 1}, {Day: day - 1, What: tally.Way, Of: "tls", N: 3},
		{Day: day - 400, What: tally.Held, Of: "mail", N: 9999},
	}
	if len(d.held) > 0 {
		c = append(c, store.Count{Day: day, What: tally.SenderHeld, Of: "00112233445566778899aabbccddeeff", N: 40, Doc: d.held[0].ID})
	}
	return c
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	for name, role := range map[string]console.Role{"vera": console.Viewer, "dana": console.Officer} {
		s.add(t, name, role, false)
	}
	dana, vera := s.signedIn(t, "dana"), s.signedIn(t, "vera")
	for path, want := range map[string][]string{
		"/dashboard":         {"12,348", "99.7 % of 12,388", "75 %", "60–86 %", "2 h 08", "1 d 4 h", "us-dea", "pickup page 1, proved TLS 3", "Next hop", "To look at", "Mail server to the internet", `role="img"`},
		"/report?days=30":    {"12,348", "Made 26 Nov 2026", "us-ssn"},
		"/dashboard?days=90": {"Last 90 days"},
	} {
		code, body, _ := dana.do(http.MethodGet, path, nil)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
		if !strings.Contains(body, "ward.person@clinic.example") {
			t.Errorf("%s: an officer does not see whose mail was held", path)
		}
		if _, body, _ = vera.do(http.MethodGet, path, nil); strings.Contains(body, "ward.person") || !strings.Contains(body, "someone at clinic.example") {
			t.Errorf("%s: a viewer sees more or less than the domain", path)
		}
		if strings.Contains(body, "9,999") || strings.Contains(body, "0011223344") {
			t.Errorf("%s shows what is out of its period, or a pseudonym", path)
		}
	}
	for _, path := range []string{"/dashboard?days=0", "/dashboard?days=9999", "/report?from=2026-11-02&to=2026-11-01", "/report?from=x&to=y", "/report.csv?from=2020-01-01&to=2026-01-01"} {
		if code, _, _ := dana.do(http.MethodGet, path, nil); code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", path, code)
		}
	}
}

func TestReportCSV(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	code, body, _ := s.signedIn(t, "dana").do(http.MethodGet, "/report.csv?from=2026-11-25&to=2026-11-26", nil)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if code != http.StatusOK || lines[0] != "day,figure,of,count" || !slices.Contains(lines, "2026-11-26,held,mail,40") || !slices.Contains(lines, "2026-11-25,passed,file,3") {
		t.Errorf("%d:\n%s", code, body)
	}
	if strings.Contains(body, "sender") || strings.Contains(body, "0011") {
		t.Error("the CSV has senders")
	}
	if !slices.ContainsFunc(s.desk.events, func(e audit.Event) bool {
		return e.Kind == audit.Look && e.Reason == "report_csv" && e.Actor == "user:dana"
	}) {
		t.Error("that it was fetched is not on record")
	}
}

// TestNothingIsCountedOffTheRecord: where it cannot be put on record that somebody looks,
// nothing is counted for them.
func TestNothingIsCountedOffTheRecord(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := newSiteWith(t, 1, func(_ *site, d *console.Deps) {
		d.Figures = asking{d.Figures, &asked}
		d.Departments = func() console.Departments {
			return console.Departments{Names: map[string]string{"00": "Ward 7"}, None: none, Least: 5}
		}
	})
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	for _, path := range []string{"/dashboard", "/report", "/report.csv", "/departments.csv"} {
		s.desk.broken, _ = nil, asked.Swap(0)
		if code, _, _ := v.do(http.MethodGet, path, nil); code != http.StatusOK || asked.Load() == 0 {
			t.Errorf("%s: %d, asked %d times", path, code, asked.Load())
		}
		s.desk.broken, _ = errors.New("disk"), asked.Swap(0)
		if code, _, _ := v.do(http.MethodGet, path, nil); code != http.StatusInternalServerError || asked.Load() != 0 {
			t.Errorf("%s off the record: %d, asked %d times", path, code, asked.Load())
		}
	}
}

// asking counts what it is asked.
type asking struct {
	console.Figures
	n *atomic.Int32
}

func (a asking) Of(ctx context.Context, whats []string, first, last int) ([]store.Count, error) {
	a.n.Add(1)
	return a.Figures.Of(ctx, whats, first, last)
}

func (a asking) By(ctx context.Context, what string, first, last int) ([]store.Count, error) {
	a.n.Add(1)
	return a.Figures.By(ctx, what, first, last)
}

func TestCharts(t *testing.T) {
	t.Parallel()
	for most, want := range map[int64]int64{0: 1, 3: 1, 9: 5, 20: 5, 52: 20, 2419: 1000, 1_000_000: 500_000} {
		if got := console.StepOf(most); got != want {
			t.Errorf("lines of a chart up to %d: each %d, want %d", most, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := console.Grouped(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	// Newcombe 1998, table I, method 3: 81 of 263 and 0 of 20.
	for _, c := range []struct {
		right, all int64
		low, high  float64
	}{{81, 263, 0.2553, 0.3662}, {0, 20, 0, 0.1611}} {
		if low, high := console.Likely(c.right, c.all); low < c.low-1e-4 || low > c.low+1e-4 || high < c.high-1e-4 || high > c.high+1e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.right, c.all, low, high, c.low, c.high)
		}
	}
}
