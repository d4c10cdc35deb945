// Command demo shows a running stanch at work: it sends eight messages and
// drops six files, all about invented people, waits until each is settled and
// prints what became of it.
//
// It ends with 0 when everything came out as expected, with 1 when something
// did not, and with 2 when it could not try. With -prepare it only writes the
// configuration that `make run` starts with.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// errUnexpected says that the demo ran and something came out otherwise.
var errUnexpected = errors.New("something came out otherwise than expected")

func main() {
	dir := flag.String("dir", "var", "folder of the configuration, the share and the maildir")
	bin := flag.String("bin", filepath.Join("bin", "stanch"), "the program to ask")
	prepareOnly := flag.Bool("prepare", false, "write the configuration and the folders if they are missing, and end")
	wait := flag.Duration("wait", 2*time.Minute, "how long to wait until everything is settled")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *prepareOnly {
		err = prepare(os.Stdout, *dir)
	} else {
		colour := term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""
		err = run(ctx, os.Stdout, options{dir: *dir, bin: *bin, wait: *wait, colour: colour})
	}
	switch {
	case errors.Is(err, errUnexpected):
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
}

type options struct {
	dir    string
	bin    string
	wait   time.Duration
	colour bool
}

// run sends, drops, waits and prints.
func run(ctx context.Context, out io.Writer, o options) error {
	site, err := load(o.dir)
	if err != nil {
		return err
	}
	tag := strings.ToLower(rand.Text()[:6]) // tells this run's messages and files from those of earlier ones
	folder := filepath.Join(site.share, "demo-"+tag)
	watcher := &observer{site: site, bin: o.bin, folder: folder}
	if watcher.filesBefore, err = watcher.filesJudged(ctx); err != nil {
		return fmt.Errorf("nothing answers at %s: start `make run` in another terminal: %w", site.metrics, err)
	}

	fmt.Fprintf(out, "Sending eight messages to %s …\n", site.smtp)
	letters := messages(tag)
	for i := range letters {
		if err := letters[i].send(ctx, site.smtp); err != nil {
			return fmt.Errorf("message %q: %w", letters[i].what, err)
		}
	}
	fmt.Fprintf(out, "Dropping six files into %s …\n", folder)
	drops := files()
	if err := drop(folder, drops); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	seen, err := watcher.settle(ctx, letters, drops)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		fmt.Fprintf(out, "Not everything is settled after %v.\n", o.wait)
	}
	rows := append(mailRows(letters, seen), fileRows(drops, seen)...)
	printTable(out, rows, o.colour)
	printFurther(out, site, o.bin, folder, rows)
	for _, r := range rows {
		if !r.expected {
			return errUnexpected
		}
	}
	return nil
}
