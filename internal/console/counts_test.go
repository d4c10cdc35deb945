package console_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// TestReportOfAPeriod: a command gets what the report's page has, all departments and
// names among it, of days that are a period, once that is on record.
func TestReportOfAPeriod(t *testing.T) {
	t.Parallel()
	var c console.Counts
	newSiteWith(t, 1, func(s *site, d *console.Deps) {
		today, doc := tally.Day(s.at), s.desk.held[0].ID
		counts := slices.DeleteFunc(slices.Clone(countsOf(s.desk, s.at)), func(x store.Count) bool { return x.Day < today-30 })
		for i := range counts {
			counts[i].Doc = doc
		}
		counts = slices.Concat(counts, sent(doc, today, ward, 12, "us-ssn", 5, 1), sent(doc, today-40, ward, 12, "us-ssn", 4), sent(doc, today, surgery, 2, "us-dea", 77))
		counts = append(counts, store.Count{Day: today, What: tally.Way, Of: "tls", N: 3, Doc: doc})
		d.Figures = databaseOf(t, counts)
		c = console.Counts{Figures: d.Figures, Listed: s.desk, Now: d.Now, Departments: func() console.Departments {
			return console.Departments{Names: map[string]string{ward: "Ward 7", surgery: "Surgery"}, None: none, Least: 5}
		}}
	})
	recorded := 0
	record := func() error { recorded++; return nil }
	r, err := c.Report(t.Context(), "", "", record)
	if err != nil || recorded != 1 {
		t.Fatalf("%v, recorded %d times", err, recorded)
	}
	who := "ward.person@clinic.example"
	if r.From != "2026-10-28" || r.To != "2026-11-26" || len(r.Days) != 30 || r.Days[29].Day != "2026-11-26" || r.Days[29].Held != 40 || r.Together.Passed != 12348 || r.Together.Held != 40 {
		t.Errorf("flow: %s to %s, %+v", r.From, r.To, r.Together)
	}
	if w := r.Waits; w.N != 40 || w.Median().Round(10*time.Minute) != 2*time.Hour+10*time.Minute || w.Tenth() < 24*time.Hour {
		t.Errorf("time to decision: %+v", w)
	}
	if len(r.Precision) != 1 || r.Precision[0].Rule != "us-ssn" || r.Precision[0].Decided != 40 || r.Precision[0].PHI != 30 || r.Precision[0].Low < 0.59 || r.Precision[0].High > 0.87 {
		t.Errorf("precision: %+v", r.Precision)
	}
	if !slices.Equal(r.Ways, []tally.Share{{Of: "portal", N: 1}, {Of: "tls", N: 6}}) || !slices.Equal(r.Senders, []tally.Share{{Of: who, N: 40}}) || len(r.Rules) != 2 {
		t.Errorf("ways %+v, senders %+v, rules %+v", r.Ways, r.Senders, r.Rules)
	}
	if len(r.Departments) != 2 || r.Departments[0].Name != "Surgery" || r.Departments[0].Held != 77 || r.Departments[1].Before != 4 || r.Departments[1].Repeats != 1 ||
		!slices.Equal(r.Departments[1].Senders, []tally.Share{{Of: who, N: 5}}) || !slices.Equal(r.Departments[1].Rules, []tally.Share{{Of: "us-ssn", N: 6}}) {
		t.Errorf("departments: %+v", r.Departments)
	}
	if r, err = c.Report(t.Context(), "2026-11-25", "2026-11-25", record); err != nil || len(r.Days) != 1 || r.Together.Passed != 3 || r.Together.Held != 0 {
		t.Errorf("one day: %+v, %v", r, err)
	}
	for _, p := range [][2]string{{"2026-11-26", "2026-11-25"}, {"2025-01-01", "2026-11-26"}, {"yesterday", ""}, {"", "31.1.2026"}, {"0000-00-00", "9999-99-99"}} {
		before := recorded
		if _, err := c.Report(t.Context(), p[0], p[1], record); !errors.Is(err, console.ErrPeriod) || recorded != before {
			t.Errorf("%q: %v", p, err)
		}
	}
	full := errors.New("the log is full")
	if r, err := c.Report(t.Context(), "", "", func() error { return full }); !errors.Is(err, full) || r.Days != nil {
		t.Errorf("without a record: %+v, %v", r, err)
	}
}
