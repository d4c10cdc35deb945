package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/report"
)

// listing is a command that lists what a desk has of a kind.
type listing[T any] struct {
	short, none string
	heads       []string
	of          func(d control.Desk, ctx context.Context, actor string) ([]T, error)
	row         func(*T) []string
}

func (l listing[T]) cmd(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "list", Short: l.short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []T{}
			err := a.withDesk(cmd.Context(), func(d control.Desk, actor string) (err error) {
				all, err = l.of(d, cmd.Context(), actor)
				return err
			})
			if err := a.noneYet(err); err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(all)
			}
			if len(all) == 0 {
				_, err := fmt.Fprintln(a.out, l.none)
				return err
			}
			var rows [][]string
			for i := range all {
				rows = append(rows, l.row(&all[i]))
			}
			return report.Table(a.out, l.heads, rows, colourful(a.out))
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}
