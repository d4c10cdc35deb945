package console

import (
	"context"
	"encoding/csv"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

func (c *Console) dashboardRoutes() []route {
	return []route{
		{"GET /dashboard", see, c.dashboard},
		{"GET /report", see, c.report},
		{"GET /report.csv", see, c.reportCSV},
		{"GET /departments.csv", see, c.departmentsCSV},
	}
}

// ages are the ages by which the queue is counted.
var ages = []struct {
	name string
	from time.Duration
}{{"under 1 h", 0}, {"1–4 h", time.Hour}, {"4–12 h", 4 * time.Hour}, {"12–24 h", 12 * time.Hour}, {"1–2 d", 24 * time.Hour}, {"2–7 d", 48 * time.Hour}, {"over 7 d", 7 * 24 * time.Hour}}

type dashboardPage struct {
	frame
	F       figures
	Periods []int
	Ages    []bar
	AgeSVG  template.HTML
	Health  []Condition
	Well    bool
	Routes  []Probed
}

// figuresFor counts a period for u, who sees senders as their role lets them.
func (c Counts) figuresFor(ctx context.Context, s span, u User) (figures, error) {
	daily, err := c.Figures.Of(ctx, byDay, s.First, s.Last)
	if err != nil {
		return figures{}, err
	}
	var whole []store.Count
	for _, what := range together {
		cs, err := c.Figures.By(ctx, what, s.First, s.Last)
		if err != nil {
			return figures{}, err
		}
		whole = append(whole, cs...)
	}
	f := figuresOf(s, daily, whole)
	top, err := c.Figures.Top(ctx, tally.SenderHeld, s.First, s.Last, topSenders)
	if err != nil {
		return figures{}, err
	}
	for _, x := range top {
		f.Senders = append(f.Senders, senderRow{c.senderOf(ctx, x.Doc, u), x.N})
	}
	f.Depts, err = c.departmentsFor(ctx, s, u)
	return f, err
}

// senderOf names who sent a document that was held, as u may see it.
func (c Counts) senderOf(ctx context.Context, doc dlp.ID, u User) string {
	h, err := c.Listed.Listed(ctx, doc)
	switch {
	case err != nil:
		return "not known any more"
	case h.Sender == "":
		return "no sender (a report of a mail server)"
	}
	from, _ := fromTo(&h, u)
	return from
}

func (c *Console) dashboard(w http.ResponseWriter, r *http.Request, u User) {
	s, ok := c.recorded(w, r, u, "dashboard", 14)
	if !ok {
		return
	}
	p := dashboardPage{Periods: []int{7, 14, 30, 90, maxDays}, Health: c.Health(r.Context()), Routes: c.Probed(), Well: true}
	for _, h := range p.Health {
		p.Well = p.Well && h.Well
	}
	var err error
	if p.F, err = c.counts().figuresFor(r.Context(), s, u); err == nil {
		p.Ages, p.AgeSVG, err = c.ages(r.Context())
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.frame = c.frame(r, u, "Dashboard")
	c.render(w, r, http.StatusOK, "dashboard", p)
}

// ages counts what is held by its age.
func (c *Console) ages(ctx context.Context) ([]bar, template.HTML, error) {
	now := c.Now()
	var before []time.Time
	for _, a := range ages {
		before = append(before, now.Add(-a.from))
	}
	older, err := c.HeldBefore(ctx, before)
	if err != nil {
		return nil, "", err
	}
	var bars []bar
	say := "Held items by age: "
	for i, a := range ages {
		n := older[i]
		if i+1 < len(older) {
			n -= older[i+1]
		}
		class := "bar-own"
		if a.from >= 24*time.Hour {
			class = "bar-held"
		}
		bars = append(bars, bar{a.name, int64(max(n, 0)), class})
		say += fmt.Sprintf("%s %d, ", a.name, n)
	}
	return bars, barChart(say[:len(say)-2], bars), nil
}

// recorded reads which days are asked for, the last days where none are, and puts on record,
// before anything is counted, that somebody looks. What keeps that from being done it says.
func (c *Console) recorded(w http.ResponseWriter, r *http.Request, u User, reason string, days int) (s span, ok bool) {
	s, amiss := spanOf(r.URL.Query().Get, c.Now(), days)
	if amiss != "" {
		c.say(w, r, u, http.StatusBadRequest, "There is no such period.", amiss)
		return s, false
	}
	if err := c.note(r.Context(), audit.Event{Kind: audit.Look, Actor: u.Actor(), Reason: reason}); err != nil {
		c.fail(w, r, u, err)
		return s, false
	}
	return s, true
}

// report is a period on paper.
func (c *Console) report(w http.ResponseWriter, r *http.Request, u User) {
	s, ok := c.recorded(w, r, u, "report", 30)
	if !ok {
		return
	}
	f, err := c.counts().figuresFor(r.Context(), s, u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.render(w, r, http.StatusOK, "report", struct {
		frame
		F    figures
		Made time.Time
	}{c.frame(r, u, "Report "+s.From()+" to "+s.To()), f, c.Now()})
}

// reportCSV is the figures of a period, one count a line. It names no person.
func (c *Console) reportCSV(w http.ResponseWriter, r *http.Request, u User) {
	s, ok := c.recorded(w, r, u, "report_csv", 30)
	if !ok {
		return
	}
	cs, err := c.Figures.Of(r.Context(), slices.Concat(byDay, together, []string{tally.PolicyWatched, tally.Unread}), s.First, s.Last)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="stanch-%s-%s.csv"`, s.From(), s.To()))
	out := csv.NewWriter(w)
	_ = out.Write([]string{"day", "figure", "of", "count"}) // whoever asked has gone
	for _, x := range cs {
		of := x.Of
		if x.What == tally.Waited {
			of = fmt.Sprintf("%.0f min", tally.BucketWait(of).Minutes())
		}
		_ = out.Write([]string{dayTime(x.Day).Format(dayForm), x.What, of, fmt.Sprint(x.N)})
	}
	out.Flush()
}
