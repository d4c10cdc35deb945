package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
)

func (a *app) legalHoldCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "legal-hold", Short: "Have items kept whatever [vault] says of their time"}
	var why, format string
	var lifted bool
	place := &cobra.Command{Use: "place ID", Short: "Keep an item's content and case until the hold is lifted", Args: cobra.ExactArgs(1),
		Long: "Keep an item's content and case until the hold is lifted, whatever vault.keep and vault.keep_cases say. It is on record\n" +
			"before it holds; the reason is kept sealed. Releasing and rejecting the item stay possible.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.legally(cmd, args[0], "kept from now on, until the hold is lifted", func(d control.Desk, id dlp.ID, actor string) error {
				return d.PlaceLegalHold(cmd.Context(), id, why, actor)
			})
		}}
	lift := &cobra.Command{Use: "lift ID", Short: "End a legal hold", Args: cobra.ExactArgs(1),
		Long: "End a legal hold: what it kept goes when its time is over. It is on record before and after; the reason is kept sealed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.legally(cmd, args[0], "kept for as long as vault.keep says", func(d control.Desk, id dlp.ID, actor string) error {
				return d.LiftLegalHold(cmd.Context(), id, why, actor)
			})
		}}
	for _, c := range []*cobra.Command{place, lift} {
		c.Flags().StringVar(&why, "reason", "", "why, in words; it is kept sealed")
	}
	list := &cobra.Command{Use: "list", Short: "List the legal holds, the oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ls := []gateway.LegalHold{}
			err := a.withDesk(cmd.Context(), func(d control.Desk, _ string) (err error) {
				if lifted {
					ls, err = d.LiftedHolds(cmd.Context(), liftedRows)
				} else {
					ls, err = d.LegalHolds(cmd.Context(), 0)
				}
				return err
			})
			if err := a.noneYet(err); err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(ls)
			}
			if len(ls) == 0 {
				none := "There is no legal hold."
				if lifted {
					none = "No legal hold was lifted."
				}
				_, err := fmt.Fprintln(a.out, none)
				return err
			}
			head := []string{"ID", "SINCE", "BY", "WHY"}
			if lifted {
				head = append(head, "LIFTED", "BY", "WHY")
			}
			var rows [][]string
			for _, l := range ls {
				row := []string{string(l.ID), l.Since.Local().Format(time.DateTime), l.By, l.Why}
				if lifted {
					row = append(row, l.Lifted.Local().Format(time.DateTime), l.LiftedBy, l.LiftWhy)
				}
				rows = append(rows, row)
			}
			return report.Table(a.out, head, rows, colourful(a.out))
		}}
	list.Flags().BoolVar(&lifted, "lifted", false, "those that stand no more, the last lifted first, at most 1000")
	formatFlag(list, &format, "table", "table", "json")
	cmd.AddCommand(place, lift, list)
	return cmd
}

// liftedRows is how many lifted legal holds are listed.
const liftedRows = 1000

func (a *app) legally(cmd *cobra.Command, arg, said string, do func(control.Desk, dlp.ID, string) error) error {
	id, err := dlp.ParseID(arg)
	if err != nil {
		return fmt.Errorf("%q is no id", arg)
	}
	err = a.withDesk(cmd.Context(), func(d control.Desk, actor string) error { return do(d, id, actor) })
	switch {
	case errors.Is(err, gateway.ErrNoWhy):
		return errors.New("--reason: want why, in 1 to 2000 bytes")
	case errors.Is(err, gateway.ErrLegalHold):
		return fmt.Errorf("%s: nothing of it is kept, or a legal hold stands on it already; see `stanch legal-hold list`", id)
	case errors.Is(err, gateway.ErrNoLegalHold):
		return fmt.Errorf("%s: there is no legal hold on it; see `stanch legal-hold list`", id)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: %s.\n", id, said)
	return err
}
