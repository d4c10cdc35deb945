package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
)

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Validate and print the configuration, or write a starter"}
	cmd.AddCommand(
		&cobra.Command{Use: "check", Short: "Validate the configuration and the rules it names", Args: cobra.NoArgs,
			Long: "Exit status: 0 holds, 1 does not, 2 could not be checked.",
			RunE: func(cmd *cobra.Command, _ []string) error { return a.configCheck(cmd) }},
		&cobra.Command{Use: "show", Short: "Print the effective configuration, secrets masked", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				cfg, err := a.loadOrDefault()
				if err != nil {
					return err
				}
				b, err := cfg.Effective()
				if err != nil {
					return err
				}
				_, err = a.out.Write(b)
				return err
			}},
		&cobra.Command{Use: "init", Short: "Print a commented starter configuration", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := a.out.Write(config.Starter())
				return err
			}},
	)
	return cmd
}

// configCheck loads what serve would load, rules and their tests included.
func (a *app) configCheck(cmd *cobra.Command) (err error) {
	cfg, err := a.load()
	if err != nil {
		if errors.Is(err, errNoConfig) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return err // nothing was checked
		}
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	ex, err := newExtract(cfg, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	if _, err := newJudges(cmd.Context(), cfg, rulesOf(cfg), ex); err != nil {
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	_, err = fmt.Fprintf(a.out, "%s holds.\n", cfg.File)
	return err
}
