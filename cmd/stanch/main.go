// Command stanch is a data-loss-prevention gateway for healthcare: an SMTP
// relay and a folder watcher that hold or encrypt what policy forbids to leave.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/extract/formats"
	"github.com/stanch-dlp/stanch/internal/service"
)

// Exit codes (docs/contract.md, Exit codes).
const (
	exitFound   = 1 // scan: findings; checks: does not hold
	exitError   = 2 // usage, configuration or I/O error
	exitNotRead = 3 // scan: no findings, but something could not be read
)

// exitCode is an error that only sets how the program ends; what there was to
// say has been said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	if len(os.Args) > 1 && os.Args[1] == extract.ChildArg {
		os.Exit(child())
	}
	if len(os.Args) > 1 && os.Args[1] == service.ClaimArg {
		os.Exit(claimant())
	}
	// A second signal ends the program at once: stop gives the default back.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// child is the program that reads hostile bytes: it speaks frames to its parent
// and nothing else.
func child() int {
	c, err := formats.Process()
	if err == nil {
		err = c.Serve()
	}
	if err != nil {
		return exitError
	}
	return 0
}

// claimant is the service for the moment in which serve is not; see service.
func claimant() int {
	if err := service.Claimant(os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "stanch:", err)
		return exitError
	}
	return 0
}

// run is the program without its process: it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot(&app{in: in, out: out, errs: errs})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
			fmt.Fprintln(errs, "stanch:", line)
		}
		return exitError
	}
	return 0
}

// app is what every subcommand shares.
type app struct {
	in         io.Reader
	out, errs  io.Writer
	configPath string

	printPassword bool // serve: of the console's first account, wherever output goes
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "stanch",
		Short:         "Keep protected health information from leaving by mail and by shared folders",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	root.PersistentFlags().StringVar(&a.configPath, "config", "",
		"configuration file (else $STANCH_CONFIG, ./stanch.toml, /etc/stanch/stanch.toml)")
	root.AddCommand(a.serveCmd(), a.scanCmd(), a.extractCmd(), a.rulesCmd(), a.quarantineCmd(), a.queueCmd(), a.portalCmd(), a.vaultCmd(), a.reviewersCmd(), a.bypassCmd(), a.dkimCmd(),
		a.decryptCmd(), a.keysCmd(), a.tablesCmd(), a.indexCmd(), a.auditCmd(), a.dossierCmd(), a.drillCmd(), a.reportCmd(), a.legalHoldCmd(), a.configCmd(), a.doctorCmd(), a.backupCmd(), a.restoreCmd(), a.smtpUserCmd(), a.userCmd(), a.upgradeCmd(), a.versionCmd(), a.manCmd())
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(usageError)
	strict(root)
	return root
}

// strict makes an unknown subcommand an error, exit 2: cobra prints the help of
// a command that does nothing by itself and ends with 0, which a script takes
// for done.
func strict(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.HasSubCommands() && !c.Runnable() {
			c.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return cmd.Help()
				}
				if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
					return fmt.Errorf("unknown command %q for %q: did you mean %q?", args[0], cmd.CommandPath(), like[0])
				}
				return fmt.Errorf("unknown command %q: see `%s --help`", args[0], cmd.CommandPath())
			}
			c.Args = cobra.ArbitraryArgs
		}
		if fits := c.Args; fits != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				return usageError(cmd, argsWanted(cmd, args, fits(cmd, args)))
			}
		}
		strict(c)
	}
}

// argsWanted says of err, by which cobra counts arguments, which ones cmd wants. An
// error of our own, and none, stay as they are.
func argsWanted(cmd *cobra.Command, args []string, err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "accepts ") && !strings.HasPrefix(err.Error(), "requires ") && !strings.HasPrefix(err.Error(), "unknown command ") {
		return err
	}
	_, want, _ := strings.Cut(cmd.Use, " ")
	if want == "" {
		want = "no arguments"
	}
	got := fmt.Sprintf("%d arguments", len(args))
	switch len(args) {
	case 0:
		got = "none"
	case 1:
		got = "1 argument"
	}
	return fmt.Errorf("%s: want %s, got %s", cmd.CommandPath(), want, got)
}

// usageError says with err, which may be nil, where the usage of cmd stands.
func usageError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
}

// errNoConfig says that no place has a configuration.
var errNoConfig = errors.New("no configuration found: name one with --config, or write one with `stanch config init > stanch.toml`")

// configFile is the file that the flag, the environment or the usual places
// name; it is an error if there is none.
func (a *app) configFile() (string, error) {
	path, err := config.Find(a.configPath, os.Getenv("STANCH_CONFIG"))
	if err == nil && path == "" {
		err = errNoConfig
	}
	return path, err
}

// load reads that file.
func (a *app) load() (*config.Config, error) {
	path, err := a.configFile()
	if err != nil {
		return nil, err
	}
	return config.Load(path)
}

// loadOrDefault is load for commands that need no configuration.
func (a *app) loadOrDefault() (*config.Config, error) {
	path, err := config.Find(a.configPath, os.Getenv("STANCH_CONFIG"))
	if err != nil {
		return nil, err
	}
	if path == "" {
		c := config.Default()
		return &c, nil
	}
	return config.Load(path)
}

// onTerminal reports whether w is a terminal.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// movable reports whether w is a terminal whose cursor may be moved.
func movable(w io.Writer) bool { return onTerminal(w) && os.Getenv("TERM") != "dumb" }

// colourful follows NO_COLOR beside that.
func colourful(w io.Writer) bool { return movable(w) && os.Getenv("NO_COLOR") == "" }

// orHere is what a command reads that was told no path: standard input where
// something is piped or redirected into it, else the current folder, as grep's
// kind do.
func (a *app) orHere(paths []string) []string {
	if len(paths) > 0 {
		return paths
	}
	if f, ok := a.in.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && (fi.Mode().IsRegular() || fi.Mode()&os.ModeNamedPipe != 0) {
			return []string{"-"}
		}
	}
	return []string{"."}
}
