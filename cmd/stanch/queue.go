package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
)

func (a *app) queueCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "queue", Short: "Look after the outbox: what stanch itself has still to deliver"}
	cmd.AddCommand(a.queueListCmd(), a.queueShowCmd(),
		a.heldActCmd("retry", "Try to deliver now", "due now", control.Desk.RetryQueued),
		a.heldActCmd("drop", "Give a message up; nobody is told", "dropped", control.Desk.DropQueued))
	return cmd
}

func (a *app) queueListCmd() *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{Use: "list", Short: "List what is still to be delivered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			qs := []gateway.Queued{}
			err := a.withDesk(cmd.Context(), func(d control.Desk, _ string) (err error) {
				qs, err = d.ListQueue(cmd.Context(), all)
				return err
			})
			if err := a.noneYet(err); err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(qs)
			}
			return a.queueTable(qs)
		}}
	cmd.Flags().BoolVar(&all, "all", false, "also what has been delivered, has failed or was dropped lately")
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) queueTable(qs []gateway.Queued) error {
	if len(qs) == 0 {
		_, err := fmt.Fprintln(a.out, "The outbox is empty.")
		return err
	}
	var rows [][]string
	for _, q := range qs {
		from := q.Sender
		if from == "" {
			from = "<>"
		}
		next := ""
		if q.Pending > 0 {
			next = q.Next.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{string(q.ID), q.Kind, q.State, q.Created.Local().Format(time.DateTime), fmt.Sprint(q.Tries),
			next, from, several(q.Recipients)})
	}
	return report.Table(a.out, []string{"ID", "KIND", "STATE", "CREATED", "TRIES", "NEXT TRY", "FROM", "TO"}, rows, colourful(a.out))
}

func (a *app) queueShowCmd() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show one message of the outbox as JSON", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dlp.ParseID(args[0])
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, _ string) error {
				q, err := d.ShowQueued(cmd.Context(), id)
				if err != nil {
					return plainly(id, err)
				}
				return a.printJSON(q)
			})
		}}
}
