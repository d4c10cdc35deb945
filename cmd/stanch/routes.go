package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/smtp"
)

func probesPath(dir string) string { return filepath.Join(dir, "state", "probes.json") }

// openProbes opens the book of probes, for serve alone. What it cannot read is
// begun anew.
func (n *node) openProbes(ctx context.Context) {
	b, err := probe.Open(probe.Options{Path: probesPath(n.cfg.DataDir), Hostname: n.cfg.SMTP.Hostname, Config: n.cfg.Doctor,
		Keys: n.ring, Steps: onStep})
	if err != nil {
		n.log.LogAttrs(ctx, slog.LevelWarn, "what was remembered of probes could not be read; it is begun anew", safelog.Err(err))
	}
	n.probes = b
	n.metrics.ProbeRoutes(b.Names())
}

// submitter hands probes in as people do: to a mail server, to a program, or
// into a folder.
type submitter struct{ hostname string }

// Submit hands p in; nil means that the server or the program has taken it.
func (s submitter) Submit(ctx context.Context, p probe.Post) error {
	switch args := p.Route.Sendmail(); {
	case p.File != "":
		return leaveFile(p.File, p.Text)
	case args != nil:
		return sendmail(ctx, append(args, "-i", "-f", p.Route.From, "--", p.Route.To), p.Mail)
	}
	from, to := probe.Address(p.Route.From), probe.Address(p.Route.To)
	cc := smtp.DefaultClient()
	cc.Addr, cc.Hostname, cc.MaxIdle = p.Route.Via, s.hostname, 0
	if cc.Hostname == "" {
		cc.Hostname = "localhost"
	}
	c := smtp.NewClient(cc)
	defer c.Close() // it keeps no connection
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.Mail)), nil }
	res := smtp.Deliver(ctx, c, from, []dlp.Address{to}, nil, smtp.MailOptions{Size: int64(len(p.Mail))}, open)
	for _, d := range res {
		if d.Err != nil {
			return d.Err
		}
		if !d.Reply.Positive() {
			return fmt.Errorf("the server answered %d", d.Reply.Code)
		}
	}
	if len(res) == 0 {
		return errors.New("no answer for the recipient")
	}
	return nil
}

// sendmail hands a message to a program that takes one as sendmail does.
func sendmail(ctx context.Context, args []string, msg []byte) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")))
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

// leaveFile makes a file that was not there.
func leaveFile(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// Clear takes away a probe's file and what was left in its place. The name is
// one that nobody else can have given.
func (submitter) Clear(path string) {
	for _, end := range []string{"", ".stanch.txt", ".age"} {
		_ = os.Remove(path + end) // most of them are not there
	}
}

func (a *app) doctorRoutesCmd() *cobra.Command {
	var format string
	var send, wait bool
	cmd := &cobra.Command{Use: "routes [--send [NAME...]]", Short: "Show whether what must not leave is caught on each way out, or try it now",
		Long: "Show for each [[doctor.routes]] when a mail or file about an invented patient was last sent on it, when one was last\n" +
			"caught, and whether an alarm stands. serve tries each route by itself, as often as its key every says.\n\n" +
			"Exit status: 0 no alarm, 1 an alarm stands, 2 usage, configuration or I/O error.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !send {
				return errors.New("names go with --send; without it every route is shown")
			}
			return a.doctorRoutes(cmd.Context(), args, send, wait, format)
		}}
	cmd.Flags().BoolVar(&send, "send", false, "try the named routes now, or all; serve must run")
	cmd.Flags().BoolVar(&wait, "wait", false, "with --send: wait until each is caught, or has raised the alarm")
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) doctorRoutes(ctx context.Context, names []string, send, wait bool, format string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	look := func() ([]probe.Status, error) { return probe.Look(probesPath(cfg.DataDir), cfg.Doctor) }
	if c, err := control.Dial(ctx, cfg.DataDir); err == nil {
		look = func() ([]probe.Status, error) { return c.Routes(ctx) }
		if send {
			if _, err := c.SendProbes(ctx, names, ""); err != nil {
				return err
			}
		}
	} else if send {
		return fmt.Errorf("a probe is caught by serve, and serve does not run: %w", err)
	}
	all, err := look()
	for send && wait && err == nil && waiting(all) {
		if !pause(ctx, lookEvery) {
			return ctx.Err()
		}
		all, err = look()
	}
	if err != nil {
		return err
	}
	return a.printRoutes(all, format)
}

func waiting(all []probe.Status) bool {
	for _, s := range all {
		if s.Result == probe.OnItsWay {
			return true
		}
	}
	return false
}

func (a *app) printRoutes(all []probe.Status, format string) error {
	alarms := 0
	var rows []report.Graded
	for _, s := range all {
		grade := "ok"
		switch {
		case s.Alarm:
			grade = "fail"
			alarms++
		case s.Result != probe.Caught:
			grade = "warn"
		}
		rows = append(rows, report.Graded{Grade: grade, Cells: []string{s.Route, "last sent " + moment(s.LastSent), "last caught " + moment(s.LastCaught),
			strings.ReplaceAll(string(s.Result), "_", " ")}})
	}
	var err error
	switch {
	case format == "json":
		err = a.printJSON(all)
	case len(all) == 0:
		_, err = fmt.Fprintln(a.out, "No routes are tried: see [[doctor.routes]] in docs/doctor.md.")
	default:
		err = report.Grades(a.out, rows, colourful(a.out))
	}
	if err == nil && alarms > 0 {
		return exitCode(exitFound)
	}
	return err
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}
