package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

func (a *app) bypassCmd() *cobra.Command {
	var last time.Duration
	var reason string
	cmd := &cobra.Command{Use: "bypass --for DURATION --reason TEXT", Short: "Let mail pass unread for a while, when reading it has broken down",
		Long: "Let mail pass unread for a while, when reading it has broken down. It takes [bypass] enabled = true and a running\n" +
			"serve, stands in the audit log with who and until when, raises an alarm, and ends by itself, also when serve is\n" +
			"restarted. The reason is kept sealed: `bypass list` shows it. Files are not let pass, and nothing that guards the\n" +
			"transport is given up: docs/flow.md.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withServe(cmd.Context(), func(d *control.Client) error {
				b, err := d.BeginBypass(cmd.Context(), last, reason, "")
				if err != nil {
					return plainlyBypass(err)
				}
				_, err = fmt.Fprintf(a.out, "%s in force: mail passes unread until %s; `stanch bypass end` ends it before\n", b.ID,
					b.Ends.Local().Format(time.DateTime))
				return err
			})
		}}
	cmd.Flags().DurationVar(&last, "for", 0, "how long at most, such as 30m")
	cmd.Flags().StringVar(&reason, "reason", "", "why, in one line, for those who ask later")
	for _, name := range []string{"for", "reason"} {
		_ = cmd.MarkFlagRequired(name) // the flag exists
	}
	cmd.AddCommand(a.bypassListCmd("status", "Say whether a bypass is in force, and until when", false),
		a.bypassListCmd("list", "List all bypasses that there were, with their reasons", true), a.bypassEndCmd())
	return cmd
}

func (a *app) bypassEndCmd() *cobra.Command {
	return &cobra.Command{Use: "end", Short: "Have mail read again, now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withServe(cmd.Context(), func(d *control.Client) error {
				b, err := d.EndBypass(cmd.Context(), "")
				if err != nil {
					return plainlyBypass(err)
				}
				st, err := d.Status(cmd.Context())
				if err != nil {
					return fmt.Errorf("%s has ended; whether mail is read cannot be told: %w", b.ID, err)
				}
				_, err = fmt.Fprintf(a.out, "%s ended; messages that passed unread: %d. %s\n", b.ID, b.Passed, mailNow(st.Reading))
				return err
			})
		}}
}

func (a *app) bypassListCmd(use, short string, all bool) *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withServe(cmd.Context(), func(d *control.Client) error {
				bs, err := d.Bypasses(cmd.Context(), all)
				if err != nil {
					return err
				}
				if format == "json" {
					return a.printJSON(bs)
				}
				if len(bs) > 0 || all {
					return a.bypassTable(bs)
				}
				st, err := d.Status(cmd.Context())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(a.out, "No bypass is in force.", mailNow(st.Reading))
				return err
			})
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

// mailNow says what happens to mail without a bypass.
func mailNow(r control.Reading) string {
	switch r {
	case control.ReadingOn:
		return "Mail is read."
	case control.ReadingOff:
		return "Mail passes unread nevertheless: [scan] enabled = false."
	}
	return "Nothing can be read: senders are asked to try again."
}

func (a *app) bypassTable(bs []gateway.Bypassed) error {
	if len(bs) == 0 {
		_, err := fmt.Fprintln(a.out, "There was no bypass.")
		return err
	}
	var rows [][]string
	for _, b := range bs {
		state, until := "in force", b.Ends
		if b.Ended != nil {
			state, until = b.How, *b.Ended
		}
		rows = append(rows, []string{string(b.ID), state, b.Began.Local().Format(time.DateTime), until.Local().Format(time.DateTime),
			fmt.Sprint(b.Passed), b.Actor, cmp.Or(b.EndedBy, "-"), b.Reason})
	}
	return report.Table(a.out, []string{"ID", "STATE", "BEGAN", "UNTIL", "PASSED", "BY", "ENDED BY", "REASON"}, rows, colourful(a.out))
}

// errNoServe says that there is nothing that a bypass could be in force in.
var errNoServe = errors.New("serve does not run: no mail passes, read or unread; start it and try again")

// withServe runs do against the running serve. One that starts is waited for.
func (a *app) withServe(ctx context.Context, do func(*control.Client) error) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(deskWithin); ; {
		c, err := a.dial(ctx, p)
		if err == nil {
			return do(c)
		}
		if !errors.Is(err, control.ErrNotServing) {
			return err
		}
		if !locked(p.dir) || time.Now().After(deadline) || !pause(ctx, lookEvery) {
			return errors.Join(p.broken, errNoServe)
		}
	}
}

// plainlyBypass drops the path that an error came by.
func plainlyBypass(err error) error {
	for _, known := range []error{bypass.ErrOff, bypass.ErrOn, bypass.ErrNone, bypass.ErrTooLong, bypass.ErrReason} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

// openBypass opens the switch, for serve alone: single commands let no mail
// pass. A record that cannot be read is no bypass.
func (n *node) openBypass(ctx context.Context) {
	past := func(id dlp.ID) (bypass.Past, error) { return gateway.BypassPast(ctx, n.audit, id) }
	s, err := bypass.Open(bypass.Options{Dir: bypassDir(n.cfg.DataDir), Config: n.cfg.Bypass, Keys: n.ring, Past: past, Steps: onStep})
	if err != nil {
		n.log.LogAttrs(ctx, slog.LevelError, "a record of a bypass could not be read; it is not in force", safelog.Err(err))
	}
	n.bypass = s
}
