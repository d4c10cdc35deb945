package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
)

func (a *app) passkeysCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "passkeys", Short: "List the passkeys that readers have set, the one that was used last first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.noneYet(a.withDesk(cmd.Context(), func(d control.Desk, _ string) error {
				ks, err := d.ListPasskeys(cmd.Context())
				if err != nil {
					return err
				}
				if format == "json" {
					return a.printJSON(ks)
				}
				if len(ks) == 0 {
					fmt.Fprintln(a.out, "No reader has set a passkey.")
				}
				for _, k := range ks {
					of := k.Of
					if of == "" {
						of = "(damaged)"
					}
					if _, err := fmt.Fprintf(a.out, "%s  set %s  used %s  %s\n", k.ID, moment(k.Created), moment(k.Used), of); err != nil {
						return err
					}
				}
				return nil
			}))
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}
