package console

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// Figures tells what was counted. It is satisfied by tally.Tally.
type Figures interface {
	// Of counts day by day.
	Of(ctx context.Context, whats []string, first, last int) ([]store.Count, error)
	// By counts one thing, the days together, Top what is counted most of it, and
	// Repeats by its first word who is counted more than once.
	By(ctx context.Context, what string, first, last int) ([]store.Count, error)
	Top(ctx context.Context, what string, first, last, most int) ([]store.Count, error)
	Repeats(ctx context.Context, what string, first, last, most int) ([]store.Repeats, error)
}

// byDay is what is shown of each day, and together what is shown of a period: apart,
// since a year has many rules and senders on each of its days.
var (
	byDay    = []string{tally.Passed, tally.Held, tally.Encrypted, tally.Rejected, tally.Released, tally.Refused}
	together = []string{tally.Watched, tally.Way, tally.Waited, tally.RuleHeld, tally.RuleEncrypted, tally.RuleRejected, tally.RuleWatched, tally.PHI, tally.NotPHI}
)

// topSenders is how many senders are shown whose mail was held most.
const topSenders = 10

// Condition is how one piece of the gateway fares.
type Condition struct {
	Name  string
	Well  bool
	Value string // short
	More  string
}

// Probed is one way out and when its last probe was caught.
type Probed struct {
	Route      string
	LastCaught time.Time
	State      string
	Alarm      bool
}

// maxDays bounds the period of one report.
const maxDays = 366

const dayForm = "2006-01-02"

// span is a period of whole days, both ends in it.
type span struct{ First, Last int }

func dayTime(day int) time.Time { return time.Unix(int64(day)*24*60*60, 0).UTC() }

// From, To and Days are what templates ask.
func (s span) From() string { return dayTime(s.First).Format(dayForm) }
func (s span) To() string   { return dayTime(s.Last).Format(dayForm) }
func (s span) Days() int    { return s.Last - s.First + 1 }
func (s span) Words() string {
	return dayTime(s.First).Format("2 January 2006") + " to " + dayTime(s.Last).Format("2 January 2006")
}

// spanOf reads from= and to=, or days= up to today. amiss says what is wrong.
func spanOf(get func(string) string, now time.Time, days int) (s span, amiss string) {
	today := tally.Day(now)
	if n := get("days"); n != "" {
		if _, err := fmt.Sscanf(n, "%d", &days); err != nil || days < 1 || days > maxDays {
			return s, fmt.Sprintf("days is a number from 1 to %d.", maxDays)
		}
	}
	s = span{today - days + 1, today}
	if get("from") == "" && get("to") == "" {
		return s, ""
	}
	from, err1 := time.Parse(dayForm, get("from"))
	to, err2 := time.Parse(dayForm, get("to"))
	if err1 != nil || err2 != nil {
		return s, "The period takes a first and a last day, such as 2026-01-31."
	}
	s = span{tally.Day(from), tally.Day(to)}
	if s.Last < s.First || s.Days() > maxDays {
		return s, fmt.Sprintf("The last day is not before the first, and a period has at most %d days.", maxDays)
	}
	return s, ""
}

type dayRow struct {
	Day                                                  string
	Passed, Held, Encrypted, Rejected, Released, Refused int64
}

type ruleRow struct {
	Rule                               string
	Held, Encrypted, Rejected, Watched int64
}

type precisionRow struct {
	Rule         string
	Decided, PHI int64
	Share        string
	Meter        template.HTML
	Range        string
	Poor         bool
}

type senderRow struct {
	Who string
	N   int64
}

// figures is what a dashboard and a report show of a period.
type figures struct {
	Span      span
	Sum       dayRow
	PassedOf  string // its share of all
	Ways      string
	Median    string // time to decision, "" where nothing was decided
	Tenth     string // the slowest tenth took longer
	Waits     tally.Waits
	Days      []dayRow
	Flow      template.HTML
	Rules     []ruleRow
	Precision []precisionRow
	Senders   []senderRow
	Watched   int64
	Depts     departments
	ways      map[string]int64
}

// counts sums what is counted by what and of.
type counts map[string]map[string]int64

func (c counts) sum(what string) (n int64) {
	for _, k := range c[what] {
		n += k
	}
	return n
}

// add counts x.
func (c counts) add(x store.Count) {
	if c[x.What] == nil {
		c[x.What] = map[string]int64{}
	}
	c[x.What][x.Of] += x.N
}

// figuresOf sums up what is counted by day, and what of the days together.
func figuresOf(s span, daily, whole []store.Count) figures {
	f := figures{Span: s}
	all := counts{}
	days := make([]counts, s.Days())
	for _, c := range daily {
		all.add(c)
		at(days, c.Day-s.First).add(c)
	}
	for _, c := range whole {
		all.add(c)
	}
	for i, m := range days {
		f.Days = append(f.Days, rowOf(dayTime(s.First+i).Format("2 Jan"), m))
	}
	f.Sum = rowOf("Together", all)
	if n := f.Sum.Passed + f.Sum.Held + f.Sum.Encrypted + f.Sum.Rejected; n > 0 {
		f.PassedOf = fmt.Sprintf("%.1f %% of %s", 100*float64(f.Sum.Passed)/float64(n), grouped(n))
	}
	f.Watched = all.sum(tally.Watched)
	var ways []string
	for _, w := range slices.Sorted(maps.Keys(all[tally.Way])) {
		ways = append(ways, wayWords(dlp.Way(w))+" "+grouped(all[tally.Way][w]))
	}
	f.Ways, f.ways = strings.Join(ways, ", "), all[tally.Way]
	if f.Waits = tally.WaitsOf(all[tally.Waited]); f.Waits.N > 0 {
		f.Median, f.Tenth = age(f.Waits.Median()), age(f.Waits.Tenth())
	}
	f.Rules, f.Precision = rulesOf(all), precisionOf(all)
	f.flow()
	return f
}

func at(days []counts, i int) counts {
	if i < 0 || i >= len(days) {
		return counts{}
	}
	if days[i] == nil {
		days[i] = counts{}
	}
	return days[i]
}

func rowOf(day string, m counts) dayRow {
	return dayRow{day, m.sum(tally.Passed), m.sum(tally.Held), m.sum(tally.Encrypted), m.sum(tally.Rejected), m.sum(tally.Released), m.sum(tally.Refused)}
}

// most returns the n keys counted most, the first in order of equals.
func most(of map[string]int64, n int) []string {
	keys := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), strings.Compare(a, b)) })
	return keys[:min(n, len(keys))]
}

func rulesOf(all counts) (rows []ruleRow) {
	total := map[string]int64{}
	for _, what := range []string{tally.RuleHeld, tally.RuleEncrypted, tally.RuleRejected, tally.RuleWatched} {
		for r, n := range all[what] {
			total[r] += n
		}
	}
	for _, r := range most(total, len(total)) {
		rows = append(rows, ruleRow{r, all[tally.RuleHeld][r], all[tally.RuleEncrypted][r], all[tally.RuleRejected][r], all[tally.RuleWatched][r]})
	}
	return rows
}

// precisionOf is how often officers said that what a rule found is PHI.
func precisionOf(all counts) (rows []precisionRow) {
	decided := map[string]int64{}
	for _, what := range []string{tally.PHI, tally.NotPHI} {
		for r, n := range all[what] {
			decided[r] += n
		}
	}
	for _, r := range most(decided, len(decided)) {
		n, right := decided[r], all[tally.PHI][r]
		share := float64(right) / float64(n)
		low, high := likely(right, n)
		row := precisionRow{Rule: r, Decided: n, PHI: right, Share: fmt.Sprintf("%.0f %%", 100*share), Meter: meter(share), Range: fmt.Sprintf("%.0f–%.0f %%", 100*low, 100*high), Poor: share < 0.8}
		if n < 20 {
			row.Range += ", few cases"
		}
		rows = append(rows, row)
	}
	return rows
}

// flow draws the days.
func (f *figures) flow() {
	passed := series{Name: "Passed", Class: "bar-passed"}
	others := []series{{Name: "Held", Class: "bar-held"}, {Name: "Encrypted", Class: "bar-encrypted"}, {Name: "Released", Class: "bar-released"}, {Name: "Refused", Class: "bar-rejected"}}
	var days []string
	worst := 0
	for i, d := range f.Days {
		days = append(days, d.Day)
		passed.N = append(passed.N, d.Passed)
		for k, n := range []int64{d.Held, d.Encrypted, d.Released, d.Rejected + d.Refused} {
			others[k].N = append(others[k].N, n)
		}
		if d.Held > f.Days[worst].Held {
			worst = i
		}
	}
	f.Flow = flowChart(fmt.Sprintf("Flow by day, %s. Passed %s, held %s altogether; most held on %s, %s. The same figures follow as a table.", f.Span.Words(), grouped(f.Sum.Passed),
		grouped(f.Sum.Held), days[worst], grouped(f.Days[worst].Held)), days, passed, others)
}
