package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/control"
)

func (a *app) userCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Keep those who may use the reviewer's console",
		Long: "Keep the accounts of the console (docs/console.md). Every change is in the audit log before it is made, and holds at once\n" +
			"for a serve that runs. Run this as the user that serve runs as. Passwords are asked for on a terminal, and are the first\n" +
			"line of standard input otherwise."}
	var role string
	add := &cobra.Command{Use: "add NAME", Short: "Add an account, which sets its own password at its first sign-in", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.newPassword()
			if err != nil {
				return err
			}
			return a.changeUser(cmd.Context(), "add", args[0], func(u *console.Users) error {
				return u.Add(args[0], console.Role(role), password, true)
			})
		}}
	add.Flags().StringVar(&role, "role", string(console.Viewer), "viewer, officer, admin or auditor")
	one := func(use, short, what string, do func(u *console.Users, name string) error) *cobra.Command {
		return &cobra.Command{Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeUser(cmd.Context(), what, args[0], func(u *console.Users) error { return do(u, args[0]) })
		}}
	}
	cmd.AddCommand(add,
		&cobra.Command{Use: "list", Short: "List accounts: name, role, whether it may sign in, and whether with a second factor", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return a.listUsers() }},
		a.userPasswdCmd(), a.userAddressCmd(), a.deputyCmd(),
		&cobra.Command{Use: "deputies", Short: "List deputies: whose, who, and until when", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return a.listDeputies() }},
		&cobra.Command{Use: "role NAME ROLE", Short: "Give an account another role: viewer, officer, admin or auditor", Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.changeUser(cmd.Context(), "role", args[0], func(u *console.Users) error {
					return u.SetRole(args[0], console.Role(args[1]))
				})
			}},
		one("disable", "Let an account in no more; its sessions end", "disable", func(u *console.Users, name string) error { return u.SetDisabled(name, true) }),
		one("second-off", "Take an account's second factor away, as when its device is lost; its sessions end", "second_off", func(u *console.Users, name string) error { return u.SetSecond(name, "", 0) }),
		one("passkeys-off", "Take an account's passkeys away, as when a device is lost; its sessions end", "passkeys_off", func(u *console.Users, name string) error { return u.SetPasskeys(name, "", "") }),
		one("enable", "Let an account in again", "enable", func(u *console.Users, name string) error { return u.SetDisabled(name, false) }),
	)
	return cmd
}

func (a *app) userPasswdCmd() *cobra.Command {
	var lose bool
	cmd := &cobra.Command{Use: "passwd NAME", Short: "Give an account another password; its sessions end", Args: cobra.ExactArgs(1),
		Long: "Give an account another password; its sessions end. A reviewer's key of the account is sealed by the old password and is\n" +
			"lost: --lose-key says that it may be. Who knows the old one changes it in the console, and keeps the key.",
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := a.users()
			if err != nil {
				return err
			}
			if x, err := u.Find(args[0]); err == nil && x.Key != "" && !lose {
				return fmt.Errorf("%s has a reviewer's key, which only their password opens: with another it is lost, and with it what nobody else can open. Let them change the password in the console, or say --lose-key", args[0])
			}
			password, err := a.newPassword()
			if err != nil {
				return err
			}
			return a.changeUser(cmd.Context(), "passwd", args[0], func(u *console.Users) error { return u.SetPassword(args[0], password) })
		}}
	cmd.Flags().BoolVar(&lose, "lose-key", false, "lose the account's reviewer's key")
	return cmd
}

// users opens the accounts of the configured data folder.
func (a *app) users() (*console.Users, error) {
	p, err := a.place()
	if err != nil {
		return nil, err
	}
	return console.OpenUsers(consoleDir(p.dir)), ours(lockPath(p.dir), consoleDir(p.dir))
}

func (a *app) listUsers() error {
	u, err := a.users()
	if err != nil {
		return err
	}
	all, err := u.List()
	if err != nil {
		return err
	}
	for _, x := range all {
		state := "active"
		if x.Disabled {
			state = "disabled"
		}
		second := "no second factor"
		if x.Second != "" {
			second = "second factor"
		}
		switch {
		case x.Passkeys != "" && x.Second != "":
			second = "second factor and passkeys"
		case x.Passkeys != "":
			second = "passkeys"
		}
		if x.Subject != "" {
			second = "by the provider"
		}
		fmt.Fprintf(a.out, "%s\t%s\t%s\t%s\n", x.Name, x.Role, state, second)
	}
	return nil
}

// changeUser puts a change on record and then makes it.
func (a *app) changeUser(ctx context.Context, what, name string, do func(*console.Users) error) error {
	u, err := a.users()
	if err != nil {
		return err
	}
	if !console.IsName(name) {
		return console.ErrUserName
	}
	err = a.withDesk(ctx, func(d control.Desk, actor string) error {
		if err := d.NoteAccount(ctx, what+":"+name, actor); err != nil {
			return err
		}
		err := do(u)
		if err != nil {
			err = errors.Join(err, d.NoteAccount(ctx, "failed_"+what+":"+name, actor))
		}
		return err
	})
	if errors.Is(err, errNoData) {
		return fmt.Errorf("%w: start serve first; it makes the first account", err)
	}
	return err
}
