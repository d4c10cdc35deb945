package console

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// Departments are those that senders are in.
type Departments struct {
	Names map[string]string // by the keyed pseudonym that stands for each in the audit log
	None  string            // the pseudonym of who is in none
	Least int               // the fewest senders with which one is shown alone to who may not see names
}

// How departments that have no name of their own are called.
const (
	noDepartment    = "(no department)"
	goneDepartments = "(not configured any more)"
	fewDepartments  = "(departments of few senders, together)"
)

const (
	deptRules   = 3  // rules shown of a department
	deptSenders = 3  // senders shown of a department
	deptNamed   = 20 // departments of which senders are shown: each takes a look into the vault
	deptBars    = 12 // departments in the chart
	seenDays    = 90 // in which the senders of a department are counted, before the end of a period and before today
)

// deptRow is what is shown of a department.
type deptRow struct {
	Name           string
	Messages, Held int64
	Before         int64 // held in as many days before
	Known          bool  // Before may be shown
	Repeats        int   // senders with more than one held message
	Rules          []ruleCount
	Senders        []senderRow // of those, where they may be named

	first []store.Count
	rules map[string]int64
	// Of department_seen, at least as many senders as these: up to the period's end, up
	// to the end of the one before, and up to today.
	then, before, now map[string]bool
}

// size is the fewest senders it has had.
func (r *deptRow) size() int { return min(len(r.then), len(r.now)) }

type ruleCount struct {
	Rule string
	N    int64
}

// Change says how much more or less was held than before.
func (r deptRow) Change() string {
	switch {
	case !r.Known:
		return "not shown"
	case r.Before == 0 && r.Held == 0:
		return "none, as before"
	case r.Before == 0:
		return "none before"
	}
	return fmt.Sprintf("%+.0f %% (%s before)", 100*float64(r.Held-r.Before)/float64(r.Before), grouped(r.Before))
}

// departments is what a dashboard and a report show by department.
type departments struct {
	On     bool
	Rows   []deptRow
	Chart  template.HTML
	Folded bool // small ones stand together
	Hidden bool // and what is left is of too few senders to be shown
	Least  int
	Cut    int // departments that the chart leaves out
}

// departmentsFor counts a period by department for u. Who may not see names sees no
// department alone of which few senders sent mail.
func (c Counts) departmentsFor(ctx context.Context, s span, u User) (d departments, err error) {
	var known Departments
	if c.Departments != nil {
		known = c.Departments()
	}
	if len(known.Names) == 0 {
		return d, nil
	}
	d.On, d.Least = true, known.Least
	rows, err := c.deptRows(ctx, s, known, !u.may(names))
	if err != nil {
		return d, err
	}
	if u.may(names) {
		for i := range rows {
			rows[i].Known = true
			for k := 0; k < len(rows[i].first) && i < deptNamed; k++ {
				rows[i].Senders = append(rows[i].Senders, senderRow{c.senderOf(ctx, rows[i].first[k].Doc, u), rows[i].first[k].N})
			}
		}
	} else {
		rows, d.Hidden = fold(rows, known.Least)
		d.Folded = d.Hidden || slices.ContainsFunc(rows, func(r deptRow) bool { return r.Name == fewDepartments })
	}
	d.Rows = rows
	d.chart(s)
	return d, nil
}

// deptRows are all departments of which there is anything in the period, the one
// with the most held first; sized, where that is asked for, with what tells how many
// senders they have, which takes as long as all else.
func (c Counts) deptRows(ctx context.Context, s span, known Departments, sized bool) ([]deptRow, error) {
	of := map[string]*deptRow{}
	row := func(pseudonym string) *deptRow {
		name, ok := known.Names[pseudonym]
		switch {
		case pseudonym == known.None:
			name = noDepartment
		case !ok:
			name = goneDepartments
		}
		if of[name] == nil {
			of[name] = &deptRow{Name: name, rules: map[string]int64{}, then: map[string]bool{}, before: map[string]bool{}, now: map[string]bool{}}
		}
		return of[name]
	}
	today := tally.Day(c.Now())
	type ask struct {
		what        string
		first, last int
		use         func(r *deptRow, rest string, n int64)
	}
	asks := []ask{
		{tally.Department, s.First, s.Last, func(r *deptRow, _ string, n int64) { r.Messages += n }},
		{tally.DepartmentHeld, s.First, s.Last, func(r *deptRow, _ string, n int64) { r.Held += n }},
		{tally.DepartmentHeld, s.First - s.Days(), s.First - 1, func(r *deptRow, _ string, n int64) { r.Before += n }},
		{tally.DepartmentRule, s.First, s.Last, func(r *deptRow, rule string, n int64) { r.rules[rule] += n }},
	}
	if sized {
		asks = append(asks,
			ask{tally.DepartmentSeen, store.Block(s.First - s.Days() - seenDays), s.Last - s.Days(), func(r *deptRow, x string, _ int64) { r.before[x] = true }},
			ask{tally.DepartmentSeen, store.Block(s.Last - seenDays), s.Last, func(r *deptRow, x string, _ int64) { r.then[x] = true }})
		if s.Last != today {
			asks = append(asks, ask{tally.DepartmentSeen, store.Block(today - seenDays), today, func(r *deptRow, x string, _ int64) { r.now[x] = true }})
		}
	}
	for _, ask := range asks {
		cs, err := c.Figures.By(ctx, ask.what, ask.first, ask.last)
		if err != nil {
			return nil, err
		}
		for _, x := range cs {
			pseudonym, rest, _ := strings.Cut(x.Of, " ")
			ask.use(row(pseudonym), rest, x.N)
		}
	}
	repeats, err := c.Figures.Repeats(ctx, tally.DepartmentSender, s.First, s.Last, deptSenders)
	if err != nil {
		return nil, err
	}
	for _, x := range repeats {
		r := row(x.Of)
		r.Repeats += x.Twice
		r.first = append(r.first, x.Most...)
	}
	var out []deptRow
	for _, r := range of {
		if s.Last == today {
			r.now = r.then
		}
		if r.Messages+r.Held+r.Before == 0 {
			continue
		}
		r.Rules = rulesMost(r.rules)
		slices.SortFunc(r.first, func(a, b store.Count) int { return cmp.Compare(b.N, a.N) })
		r.first = r.first[:min(len(r.first), deptSenders)]
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b deptRow) int { return cmp.Or(cmp.Compare(b.Held, a.Held), strings.Compare(a.Name, b.Name)) })
	return out, nil
}

func rulesMost(of map[string]int64) (out []ruleCount) {
	for _, rule := range most(of, deptRules) {
		out = append(out, ruleCount{rule, of[rule]})
	}
	return out
}

// fold is rows for who may not see names. Departments of fewer senders than least
// stand together, and with as many others, in the order of their names, as it takes
// for two departments and least senders: what is left when the others are taken from
// the sum is no single one. hidden says that there are no more.
func fold(rows []deptRow, least int) (out []deptRow, hidden bool) {
	folded := taken(rows, least, func(r *deptRow) int { return r.size() })
	few := deptRow{Name: fewDepartments, rules: map[string]int64{}, then: map[string]bool{}, before: map[string]bool{}, now: map[string]bool{}}
	n, senders := 0, 0
	for i := range rows {
		r := rows[i]
		if !folded[i] {
			out = append(out, r)
			continue
		}
		n, senders = n+1, senders+r.size()
		few.Messages, few.Held, few.Before, few.Repeats = few.Messages+r.Messages, few.Held+r.Held, few.Before+r.Before, few.Repeats+r.Repeats
		for rule, k := range r.rules {
			few.rules[rule] += k
		}
		for x := range r.before {
			few.before[r.Name+x] = true
		}
	}
	switch {
	case n == 1 || n > 0 && senders < least:
		hidden = true
	case n > 0:
		few.Rules = rulesMost(few.rules)
		out = append(out, few)
	}
	unknown := taken(out, least, func(r *deptRow) int { return len(r.before) })
	for i := range out {
		out[i].Known, out[i].first = !unknown[i] && !hidden, nil
	}
	return out, hidden
}

// taken says which of rows are of fewer than least senders, and which others are
// taken with them.
func taken(rows []deptRow, least int, size func(*deptRow) int) []bool {
	out := make([]bool, len(rows))
	n, senders := 0, 0
	for i := range rows {
		if k := size(&rows[i]); k < least {
			out[i], n, senders = true, n+1, senders+k
		}
	}
	if n == 0 {
		return out
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(rows[a].Name, rows[b].Name) })
	for _, i := range order {
		if n >= 2 && senders >= least {
			break
		}
		if !out[i] {
			out[i], n, senders = true, n+1, senders+size(&rows[i])
		}
	}
	return out
}

// chart draws what was held by department; the table behind it says the same.
func (d *departments) chart(s span) {
	if len(d.Rows) == 0 {
		return
	}
	var bars []bar
	say := "Held by department, " + s.Words() + ": "
	for _, r := range d.Rows[:min(len(d.Rows), deptBars)] {
		bars = append(bars, bar{r.Name, r.Held, "bar-held"})
		say += fmt.Sprintf("%s %s, ", r.Name, grouped(r.Held))
	}
	d.Cut = len(d.Rows) - len(bars)
	d.Chart = wideBarChart(say[:len(say)-2], bars)
}

// departmentsCSV is a period by department, a line each. It names no person.
func (c *Console) departmentsCSV(w http.ResponseWriter, r *http.Request, u User) {
	s, ok := c.recorded(w, r, u, "departments_csv", 30)
	if !ok {
		return
	}
	d, err := c.counts().departmentsFor(r.Context(), s, u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="stanch-departments-%s-%s.csv"`, s.From(), s.To()))
	out := csv.NewWriter(w)
	_ = out.Write([]string{"from", "to", "department", "messages", "held", "held_before", "senders_with_repeats", "rules"}) // whoever asked has gone
	for _, x := range d.Rows {
		before := ""
		if x.Known {
			before = fmt.Sprint(x.Before)
		}
		var rules []string
		for _, k := range x.Rules {
			rules = append(rules, fmt.Sprintf("%s %d", k.Rule, k.N))
		}
		_ = out.Write([]string{s.From(), s.To(), x.Name, fmt.Sprint(x.Messages), fmt.Sprint(x.Held), before, fmt.Sprint(x.Repeats), strings.Join(rules, "; ")})
	}
	out.Flush()
}
