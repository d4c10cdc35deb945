package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stanch-dlp/stanch/smtp"
)

// errNoUsersFile says that there is nowhere to keep mail users.
var errNoUsersFile = errors.New("no users file: set smtp.auth.users in the configuration, or give --users FILE")

func (a *app) smtpUserCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "smtp-user", Short: "Keep those who may log in at the mail door",
		Long: "Keep the file that smtp.auth.users names. It holds what checks a password, not the password.\n" +
			"A serve that runs reads it anew by itself. Run this as the user that serve runs as."}
	cmd.PersistentFlags().StringVar(&file, "users", "", "the users file (else smtp.auth.users of the configuration)")
	path := func() (string, error) {
		if file != "" {
			return file, ours(file)
		}
		cfg, err := a.load()
		if err != nil {
			return "", err
		}
		if cfg.SMTP.Auth.Users == "" {
			return "", errNoUsersFile
		}
		return cfg.SMTP.Auth.Users, ours(cfg.SMTP.Auth.Users, lockPath(cfg.DataDir))
	}
	cmd.AddCommand(
		&cobra.Command{Use: "set NAME", Aliases: []string{"add"}, Short: "Add a user, or give one another password",
			Long: "The password is asked for on a terminal, and is the first line of standard input otherwise.",
			Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				p, err := path()
				if err != nil {
					return err
				}
				password, err := a.newPassword()
				if err != nil {
					return err
				}
				return smtp.SetUser(p, args[0], password)
			}},
		&cobra.Command{Use: "remove NAME", Short: "Take a user out", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				p, err := path()
				if err != nil {
					return err
				}
				return smtp.RemoveUser(p, args[0])
			}},
		&cobra.Command{Use: "list", Short: "Print the users' names", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				p, err := path()
				if err != nil {
					return err
				}
				names, err := smtp.UserNames(p)
				for _, n := range names {
					fmt.Fprintln(a.out, n)
				}
				return err
			}})
	return cmd
}

// ours says that one of the files is another user's: what root leaves there
// serve could not read any more.
func ours(files ...string) error {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			continue // not made yet
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
			return fmt.Errorf("%s belongs to user %d: run this as that user, who serves", f, st.Uid)
		}
	}
	return nil
}

// newPassword asks for a password twice, or takes a line of standard input.
func (a *app) newPassword() (string, error) { return a.twice("Password: ") }

// twice is newPassword of something else.
func (a *app) twice(prompt string) (string, error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(a.in, 4<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var got [2]string
	for i, prompt := range []string{prompt, "Again: "} {
		fmt.Fprint(a.errs, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.errs)
		if err != nil {
			return "", err
		}
		got[i] = string(b)
	}
	if got[0] != got[1] {
		return "", errors.New("the two are not the same")
	}
	return got[0], nil
}
