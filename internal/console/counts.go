package console

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// Counts is what the figures of a period are read from. The dashboard, the report's
// page and `stanch report` stand on it.
type Counts struct {
	Figures     Figures
	Listed      Lister
	Departments func() Departments // as in Deps
	Now         func() time.Time
}

// Lister tells of one document that was held, for whose it was. It is satisfied by
// gateway.Gateway.
type Lister interface {
	Listed(ctx context.Context, id dlp.ID) (gateway.Held, error)
}

func (c *Console) counts() Counts { return Counts{c.Figures, c.Desk, c.Departments, c.Now} }

// ErrPeriod says that a period is none.
var ErrPeriod = fmt.Errorf("want days such as 2026-01-31, the last not before the first, and at most %d of them", maxDays)

// Report counts the days from first to last, such as 2026-01-31; without a first, the
// 30 days to last, and without a last to today. Whoever asks sees whole addresses.
// record puts that on record before. ErrPeriod.
func (c Counts) Report(ctx context.Context, first, last string, record func() error) (tally.Report, error) {
	if last == "" {
		last = c.Now().UTC().Format(dayForm)
	}
	if to, err := time.Parse(dayForm, last); err == nil && first == "" {
		first = to.AddDate(0, 0, -29).Format(dayForm)
	}
	s, amiss := spanOf(func(k string) string { return map[string]string{"from": first, "to": last}[k] }, c.Now(), 0)
	if amiss != "" {
		return tally.Report{}, ErrPeriod
	}
	if err := record(); err != nil {
		return tally.Report{}, err
	}
	f, err := c.figuresFor(ctx, s, User{Role: Admin})
	if err != nil {
		return tally.Report{}, err
	}
	return f.report(), nil
}

// report is f as commands print it.
func (f *figures) report() tally.Report {
	r := tally.Report{From: f.Span.From(), To: f.Span.To(), Together: f.Sum.flow(""), Watched: f.Watched, Ways: []tally.Share{}, Days: []tally.Flow{}, Waits: f.Waits, Rules: []tally.RuleFlow{},
		Precision: []tally.Precision{}, Senders: sharesOf(f.Senders)}
	for _, w := range slices.Sorted(maps.Keys(f.ways)) {
		r.Ways = append(r.Ways, tally.Share{Of: w, N: f.ways[w]})
	}
	for i := range f.Days {
		r.Days = append(r.Days, f.Days[i].flow(dayTime(f.Span.First+i).Format(dayForm)))
	}
	for _, x := range f.Rules {
		r.Rules = append(r.Rules, tally.RuleFlow(x))
	}
	for _, x := range f.Precision {
		low, high := likely(x.PHI, x.Decided)
		r.Precision = append(r.Precision, tally.Precision{Rule: x.Rule, Decided: x.Decided, PHI: x.PHI, Low: low, High: high})
	}
	if !f.Depts.On {
		return r
	}
	r.Departments = []tally.DepartmentRow{}
	for _, x := range f.Depts.Rows {
		d := tally.DepartmentRow{Name: x.Name, Messages: x.Messages, Held: x.Held, Before: x.Before, Repeats: x.Repeats, Rules: []tally.Share{}, Senders: sharesOf(x.Senders)}
		for _, k := range x.Rules {
			d.Rules = append(d.Rules, tally.Share{Of: k.Rule, N: k.N})
		}
		r.Departments = append(r.Departments, d)
	}
	return r
}

func (d *dayRow) flow(day string) tally.Flow {
	return tally.Flow{Day: day, Passed: d.Passed, Held: d.Held, Encrypted: d.Encrypted, Rejected: d.Rejected, Released: d.Released, Refused: d.Refused}
}

func sharesOf(rows []senderRow) []tally.Share {
	out := []tally.Share{}
	for _, x := range rows {
		out = append(out, tally.Share{Of: x.Who, N: x.N})
	}
	return out
}
