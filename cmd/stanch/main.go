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
	// A second signal ends the program at once: stop gives the default back.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// child is the program that reads hostile bytes: it speaks frames on its
// standard streams and nothing else.
func child() int {
	if err := formats.Serve(os.Stdin, os.Stdout); err != nil {
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
	root.AddCommand(a.serveCmd(), a.scanCmd(), a.extractCmd(), a.rulesCmd(), a.quarantineCmd(), a.queueCmd(),
		a.decryptCmd(), a.auditCmd(), a.configCmd(), a.versionCmd(), a.manCmd())
	return root
}

// load reads the configuration that the flag, the environment or the usual
// places name; it is an error if there is none.
func (a *app) load() (*config.Config, error) {
	path, err := config.Find(a.configPath, os.Getenv("STANCH_CONFIG"))
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("no configuration found: name one with --config, or write one with `stanch config init > stanch.toml`")
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

// onTerminal reports whether w is a terminal that may be coloured.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colourful follows NO_COLOR and TERM beside the terminal.
func colourful(w io.Writer) bool {
	return onTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
