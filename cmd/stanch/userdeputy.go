package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

func (a *app) userAddressCmd() *cobra.Command {
	var none bool
	cmd := &cobra.Command{Use: "address NAME [ADDRESS]", Short: "Say what address of mail is an account's; its sessions end", Args: cobra.RangeArgs(1, 2),
		Long: "Say what address of mail is an account's. It then releases no mail that came from there, and while it has a deputy, what\n" +
			"officers are told at that address is told the deputy too, at theirs.",
		RunE: func(cmd *cobra.Command, args []string) error {
			address := ""
			if len(args) == 2 {
				address = args[1]
			}
			if none == (address != "") {
				return errors.New("want an address, or --none")
			}
			return a.changeUser(cmd.Context(), "address", args[0], func(u *console.Users) error { return u.SetAddress(args[0], address) })
		}}
	cmd.Flags().BoolVar(&none, "none", false, "it has none")
	return cmd
}

func (a *app) deputyCmd() *cobra.Command {
	var until string
	var end bool
	cmd := &cobra.Command{Use: "deputy NAME [DEPUTY]", Short: "Name who decides in an account's place for a time, or end that", Args: cobra.RangeArgs(1, 2),
		Long: "Name who decides in the place of an account that may decide, from now to the end of a day (UTC), or end that with --end. The\n" +
			"deputy is another account that may decide; what they do in that place says so in the audit log. It ends by itself. An officer\n" +
			"names their own at /deputy in the console.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if end == (len(args) == 2) || end != (until == "") {
				return errors.New("want a deputy and --until DAY, or --end alone")
			}
			return a.changeDeputy(cmd.Context(), args, until)
		}}
	cmd.Flags().StringVar(&until, "until", "", "the last day, such as 2026-12-24")
	cmd.Flags().BoolVar(&end, "end", false, "end what runs")
	return cmd
}

// changeDeputy names args[1] the deputy of args[0], or ends what runs.
func (a *app) changeDeputy(ctx context.Context, args []string, until string) error {
	if _, err := a.users(); err != nil {
		return err
	}
	p, err := a.place()
	if err != nil {
		return err
	}
	d := console.OpenDeputies(consoleDir(p.dir), time.Now)
	return a.withDesk(ctx, func(desk control.Desk, actor string) error {
		change := gateway.DeputyChange{Ended: until == ""}
		record := func(x console.Deputyship) error {
			change.Of, change.By, change.Until = x.Of, x.By, x.Until
			return desk.NoteDeputy(ctx, change, actor)
		}
		if until == "" {
			err = d.End(args[0], record)
		} else {
			last, perr := time.Parse(time.DateOnly, until)
			if perr != nil {
				return errors.New("--until: want a day such as 2026-12-24")
			}
			err = d.Name(args[0], args[1], last.Add(24*time.Hour), record)
		}
		if err != nil && change.Of != "" { // it was on record, and not done
			change.Failed = true
			err = errors.Join(err, desk.NoteDeputy(ctx, change, actor))
		}
		return err
	})
}

func (a *app) listDeputies() error {
	if _, err := a.users(); err != nil {
		return err
	}
	p, err := a.place()
	if err != nil {
		return err
	}
	run, err := console.OpenDeputies(consoleDir(p.dir), time.Now).Running()
	if err != nil {
		return err
	}
	for _, x := range run {
		fmt.Fprintf(a.out, "%s\t%s\t%s\n", x.Of, x.By, x.Until.Format(time.RFC3339))
	}
	return nil
}
