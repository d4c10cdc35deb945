package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/report"
)

func (a *app) reviewersCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "reviewers", Short: "Keep the keys of those who may open what is held"}
	cmd.AddCommand(a.reviewersListCmd(), a.reviewersKeyCmd())
	return cmd
}

func (a *app) reviewersListCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "list", Short: "List the reviewers' keys of the console's accounts, and which of them wait to be named in [vault] reviewers", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			keys, err := loginKeys(cfg)
			if err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(keys)
			}
			var rows [][]string
			for _, k := range keys {
				state := "waiting"
				if k.Named {
					state = "named"
				}
				rows = append(rows, []string{k.Account, k.Role, state, k.Public})
			}
			return report.Table(a.out, []string{"ACCOUNT", "ROLE", "STATE", "PUBLIC KEY"}, rows, colourful(a.out))
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

// loginKeys are the reviewers' keys of the console's accounts.
func loginKeys(cfg *config.Config) ([]doctor.ReviewersKey, error) {
	all, err := console.OpenUsers(consoleDir(cfg.DataDir)).List()
	if err != nil {
		return nil, err
	}
	out := []doctor.ReviewersKey{}
	for _, u := range all {
		if u.Key != "" {
			out = append(out, doctor.ReviewersKey{Account: u.Name, Role: string(u.Role), Disabled: u.Disabled, Public: u.Key, Named: slices.Contains(cfg.Vault.Reviewers, u.Key)})
		}
	}
	return out, nil
}
