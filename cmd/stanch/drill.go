package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
)

func (a *app) drillCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "drill", Short: "Have a message about an invented patient held, and see who reacts how",
		Long: "A drill of officers has messages about invented patients held in the queue like any other; its report says who opened,\n" +
			"claimed, revealed and decided, and after how long. A drill of senders tells chosen people that a message of theirs is\n" +
			"held, with the link of such a notice; its report says who chose what. Whatever anybody does, nothing leaves."}
	cmd.AddCommand(a.drillStartCmd(), a.drillListCmd(), a.drillShowCmd(), a.drillStopCmd())
	return cmd
}

func (a *app) drillStartCmd() *cobra.Command {
	var kind, to, lasts string
	var from []string
	cmd := &cobra.Command{Use: "start NAME", Short: "Begin a drill", Args: cobra.ExactArgs(1),
		Example: "  stanch drill start 'spring, privacy office' --for-whom officers --from ward3@clinic.example --to records@partner.example\n" +
			"  stanch drill start 'ward 3' --for-whom senders --from ada@clinic.example,sue@clinic.example --to records@partner.example --for 2d",
		RunE: func(cmd *cobra.Command, args []string) error {
			var d dlp.Duration
			if err := d.UnmarshalText([]byte(lasts)); err != nil {
				return errors.New("--for: want a time such as 8h or 3d")
			}
			p, err := gateway.DrillPlan(args[0], drill.Kind(kind), from, to, d.D())
			if err != nil {
				return drillSaid(err)
			}
			var begun drill.Drill
			err = a.withDesk(cmd.Context(), func(desk control.Desk, actor string) (err error) {
				begun, err = desk.StartDrill(cmd.Context(), p, actor)
				return err
			})
			if err != nil {
				return drillSaid(err)
			}
			_, err = fmt.Fprintf(a.out, "%s\n", begun.ID)
			return err
		}}
	cmd.Flags().StringVar(&kind, "for-whom", "", "officers | senders")
	cmd.Flags().StringSliceVar(&from, "from", nil, "whose messages they are said to be: addresses of smtp.internal_domains")
	cmd.Flags().StringVar(&to, "to", "", "where they are said to go: an address outside; nothing is sent there")
	cmd.Flags().StringVar(&lasts, "for", "3d", "how long at most, 1m to 14d")
	_ = cmd.RegisterFlagCompletionFunc("for-whom", cobra.FixedCompletions([]string{string(drill.Officers), string(drill.Senders)}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

// drillSaid is an error about drills in words for who asked.
func drillSaid(err error) error {
	for _, known := range []error{drill.ErrForm, drill.ErrMany, drill.ErrNotFound, drill.ErrEnded, gateway.ErrNoDrills, gateway.ErrDrillNoLink} {
		if errors.Is(err, known) {
			return errors.New(strings.TrimPrefix(known.Error(), "drill: "))
		}
	}
	return err
}

func (a *app) drillListCmd() *cobra.Command {
	return listing[drill.Drill]{short: "List the drills, the newest first", none: "There was no drill yet.",
		heads: []string{"ID", "NAME", "FOR", "BEGUN", "STANDS", "ITEMS"}, of: control.Desk.Drills,
		row: func(d *drill.Drill) []string {
			return []string{string(d.ID), d.Name, string(d.Kind), d.Begun.Local().Format(time.DateTime), drillStands(d), drillSums(d)}
		}}.cmd(a)
}

func drillStands(d *drill.Drill) string {
	switch {
	case d.Running():
		return "until " + d.Ends.Local().Format(time.DateTime)
	case d.EndedBy != "":
		return "stopped by " + d.EndedBy
	}
	return "ended " + d.Ended.Local().Format(time.DateTime)
}

// drillSums is such as "1 held, 2 would_release".
func drillSums(d *drill.Drill) string {
	var parts []string
	for what, n := range d.Counts() {
		parts = append(parts, strconv.Itoa(n)+" "+what)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (a *app) drillShowCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "show ID", Short: "Print the report of a drill: who did what, and after how long", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := idsOf(args)
			if err != nil {
				return err
			}
			var d drill.Drill
			err = a.withDesk(cmd.Context(), func(desk control.Desk, actor string) (err error) {
				d, err = desk.Drill(cmd.Context(), ids[0], actor)
				return err
			})
			if err != nil {
				return drillSaid(err)
			}
			switch format {
			case "json":
				return a.printJSON(shownDrill{d, d.Silent()})
			case "csv":
				return a.drillCSV(&d)
			}
			return a.drillTable(&d)
		}}
	formatFlag(cmd, &format, "table", "table", "json", "csv")
	return cmd
}

// shownDrill is a drill as JSON: with those who were asked and did nothing, as its table
// and its CSV have them.
type shownDrill struct {
	drill.Drill
	Silent []string `json:"silent,omitempty"` // actors
}

func (a *app) drillCSV(d *drill.Drill) error {
	w := csv.NewWriter(a.out)
	_ = w.Write(drill.Heads()) // Error tells
	for _, row := range d.Cells() {
		for i := range row {
			row[i] = report.Cell(row[i])
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error()
}

func (a *app) drillTable(d *drill.Drill) error {
	if _, err := fmt.Fprintf(a.out, "%s, of %s, begun %s by %s; %s\n", d.Name, d.Kind, d.Begun.Local().Format(time.DateTime), d.By, drillStands(d)); err != nil {
		return err
	}
	var rows [][]string
	for _, r := range d.Report() {
		did, at, after := "nothing", "", ""
		if r.Did != "" {
			did, at, after = r.Did, r.At.Local().Format(time.DateTime), (time.Duration(r.After) * time.Second).String()
		}
		rows = append(rows, []string{string(r.Item), r.From, string(r.State), r.Who, did, r.Code, at, after})
	}
	return report.Table(a.out, []string{"ITEM", "FROM", "STATE", "WHO", "DID", "REASON", "AT", "AFTER"}, rows, colourful(a.out))
}

func (a *app) drillStopCmd() *cobra.Command {
	return &cobra.Command{Use: "stop ID", Short: "End a drill before its time", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := idsOf(args)
			if err != nil {
				return err
			}
			err = a.withDesk(cmd.Context(), func(d control.Desk, actor string) error { return d.StopDrill(cmd.Context(), ids[0], actor) })
			if err != nil {
				return drillSaid(err)
			}
			_, err = fmt.Fprintf(a.out, "%s: ended; what was left of it is out of the queue, and its links choose nothing any more.\n", ids[0])
			return err
		}}
}
