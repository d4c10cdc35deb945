package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/department"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// Report counts a period for a command, which is on record before.
func (s *server) Report(ctx context.Context, ask control.ReportAsk, actor string) (tally.Report, error) {
	return s.reportOf(ctx, s.tally, s.gateway, s.departments, ask, actor)
}

func (n *node) reportOf(ctx context.Context, t *tally.Tally, g *gateway.Gateway, depts func() console.Departments, ask control.ReportAsk, actor string) (tally.Report, error) {
	c := console.Counts{Figures: t, Listed: g, Departments: depts, Now: time.Now}
	reason := "report"
	if ask.CSV {
		reason = "report_csv"
	}
	return c.Report(ctx, ask.From, ask.To, func() error {
		return g.Note(ctx, audit.Event{Kind: audit.Look, Actor: actor, Reason: reason})
	})
}

// reportAlone is Report without a running serve, by the departments of the configuration.
func (n *node) reportAlone(ctx context.Context, g *gateway.Gateway, ask control.ReportAsk, actor string) (tally.Report, error) {
	depts, err := department.Open(n.cfg.Departments)
	if err != nil {
		return tally.Report{}, n.cfg.At("departments.file", err)
	}
	named := func() console.Departments {
		if depts == nil {
			return console.Departments{}
		}
		return departmentsOf(depts.Names(), n.cfg.Departments.LeastSenders, n.ring.Pseudonym)
	}
	return n.reportOf(ctx, tally.New(n.audit, n.db, time.Now, n.log, n.isDrill), g, named, ask, actor)
}

func (a *app) reportCmd() *cobra.Command {
	var ask control.ReportAsk
	var format string
	cmd := &cobra.Command{Use: "report", Short: "Print the figures of a period: what flowed, was held and decided, and how soon", Args: cobra.NoArgs,
		Long: "Print the figures that the report's page of the console has: what passed, was held, encrypted, refused and released, by day and by\n" +
			"rule; how often each rule was right, by reviewers' decisions; how long these took; whose mail was held most; and departments, with\n" +
			"who repeats. They are counted from the audit log, where that somebody looked is on record. Senders are named by their addresses.",
		Example: "  stanch report --from 2026-01-01 --to 2026-03-31 --format csv > quarter.csv",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			ask.CSV = format == "csv"
			var r tally.Report
			err := a.withEither(ctx, func(c *control.Client) (err error) {
				r, err = c.Report(ctx, ask)
				return err
			}, func(n *node, g *gateway.Gateway) (err error) {
				r, err = n.reportAlone(ctx, g, ask, control.Actor(os.Getuid()))
				return err
			})
			switch {
			case err != nil:
				return err
			case format == "json":
				return a.printJSON(r)
			case format == "csv":
				return a.reportCSV(&r)
			}
			return a.reportText(&r)
		}}
	cmd.Flags().StringVar(&ask.From, "from", "", "first day, in UTC, such as 2026-01-31 (default: 30 days in all)")
	cmd.Flags().StringVar(&ask.To, "to", "", "last day (default: today)")
	formatFlag(cmd, &format, "text", "text", "json", "csv")
	return cmd
}

// flowHeads are the columns of a Flow.
var flowHeads = []string{"passed", "held", "encrypted", "rejected", "released", "refused"}

func flowOf(f *tally.Flow) []int64 {
	return []int64{f.Passed, f.Held, f.Encrypted, f.Rejected, f.Released, f.Refused}
}

// reportCSV prints a figure a line: about what it is, of which, what is counted, and
// how much.
func (a *app) reportCSV(r *tally.Report) error {
	w := csv.NewWriter(a.out)
	put := func(about, of, figure string, n int64) {
		_ = w.Write([]string{r.From, r.To, about, report.Cell(of), figure, strconv.FormatInt(n, 10)}) // Error tells
	}
	_ = w.Write([]string{"from", "to", "about", "of", "figure", "value"})
	flow := func(about, of string, f *tally.Flow) {
		for i, n := range flowOf(f) {
			put(about, of, flowHeads[i], n)
		}
	}
	flow("together", "", &r.Together)
	put("together", "", "watched", r.Watched)
	for _, x := range r.Ways {
		put("way", x.Of, "encrypted", x.N)
	}
	put("time_to_decision", "", "decisions", r.Waits.N)
	put("time_to_decision", "", "median_seconds", r.Waits.MedianSeconds)
	put("time_to_decision", "", "slowest_tenth_seconds", r.Waits.TenthSeconds)
	for i := range r.Days {
		flow("day", r.Days[i].Day, &r.Days[i])
	}
	for _, x := range r.Rules {
		put("rule", x.Rule, "held", x.Held)
		put("rule", x.Rule, "encrypted", x.Encrypted)
		put("rule", x.Rule, "rejected", x.Rejected)
		put("rule", x.Rule, "watched", x.Watched)
	}
	for _, x := range r.Precision {
		put("precision", x.Rule, "decided", x.Decided)
		put("precision", x.Rule, "phi", x.PHI)
	}
	for _, x := range r.Senders {
		put("sender", x.Of, "held", x.N)
	}
	for _, d := range r.Departments {
		put("department", d.Name, "messages", d.Messages)
		put("department", d.Name, "held", d.Held)
		put("department", d.Name, "held_before", d.Before)
		put("department", d.Name, "senders_with_repeats", int64(d.Repeats))
		for _, x := range d.Rules {
			put("department", d.Name, "held by "+x.Of, x.N)
		}
		for _, x := range d.Senders {
			put("department", d.Name, "held of "+report.Cell(x.Of), x.N)
		}
	}
	w.Flush()
	return w.Error()
}

func (a *app) reportText(r *tally.Report) error {
	fmt.Fprintf(a.out, "%s to %s, days in UTC, from the audit log\n\n", r.From, r.To)
	f := &r.Together
	fmt.Fprintf(a.out, "Passed %d, held %d, encrypted %d%s, refused at once %d; released %d, rejected %d.\n", f.Passed, f.Held, f.Encrypted, inBrackets(r.Ways), f.Rejected, f.Released, f.Refused)
	if r.Watched > 0 {
		fmt.Fprintf(a.out, "Only watched: %d would have been held, refused or encrypted.\n", r.Watched)
	}
	if r.Waits.N == 0 {
		fmt.Fprintln(a.out, "Nobody decided anything.")
	} else {
		fmt.Fprintf(a.out, "Time to decision: about %s (median of %d), the slowest tenth over %s.\n", r.Waits.Median(), r.Waits.N, r.Waits.Tenth())
	}
	numbers := func(first string, ns ...int64) []string {
		row := []string{first}
		for _, n := range ns {
			row = append(row, strconv.FormatInt(n, 10))
		}
		return row
	}
	var days, rules, right, senders, departments [][]string
	for i := range r.Days {
		days = append(days, numbers(r.Days[i].Day, flowOf(&r.Days[i])...))
	}
	for _, x := range r.Rules {
		rules = append(rules, numbers(x.Rule, x.Held, x.Encrypted, x.Rejected, x.Watched))
	}
	for _, x := range r.Precision {
		right = append(right, append(numbers(x.Rule, x.Decided, x.PHI), fmt.Sprintf("%.0f %%", 100*float64(x.PHI)/float64(x.Decided)), fmt.Sprintf("%.0f-%.0f %%", 100*x.Low, 100*x.High)))
	}
	for _, x := range r.Senders {
		senders = append(senders, numbers(x.Of, x.N))
	}
	for _, d := range r.Departments {
		departments = append(departments, append(numbers(d.Name, d.Messages, d.Held, d.Before, int64(d.Repeats)), sharesIn(d.Senders), sharesIn(d.Rules)))
	}
	for _, t := range []struct {
		title string
		heads []string
		rows  [][]string
	}{
		{"By day", []string{"DAY", "PASSED", "HELD", "ENCRYPTED", "REFUSED AT ONCE", "RELEASED", "REJECTED"}, days},
		{"By rule", []string{"RULE", "HELD", "ENCRYPTED", "REFUSED AT ONCE", "ONLY WATCHED"}, rules},
		{"How often each rule was right, by reviewers' decisions", []string{"RULE", "DECIDED", "WAS PHI", "PRECISION", "LIKELY"}, right},
		{"Whose mail was held most", []string{"SENDER", "HELD"}, senders},
		{"By department", []string{"DEPARTMENT", "MESSAGES", "HELD", "HELD BEFORE", "SENDERS WITH REPEATS", "WHO", "RULES MOST OFTEN"}, departments},
	} {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintf(a.out, "\n%s\n", t.title)
		if err := report.Table(a.out, t.heads, t.rows, colourful(a.out)); err != nil {
			return err
		}
	}
	return nil
}

func sharesIn(shares []tally.Share) string {
	var parts []string
	for _, x := range shares {
		parts = append(parts, fmt.Sprintf("%s %d", x.Of, x.N))
	}
	return strings.Join(parts, ", ")
}

func inBrackets(shares []tally.Share) string {
	if len(shares) == 0 {
		return ""
	}
	return " (" + sharesIn(shares) + ")"
}
