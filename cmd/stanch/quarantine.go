package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// formatFlag adds --format with a closed set of values, the first of which is
// the default unless def says otherwise.
func formatFlag(cmd *cobra.Command, value *string, def string, names ...string) {
	cmd.Flags().StringVar(value, "format", def, strings.Join(names, " | "))
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(names, *value) {
			return fmt.Errorf("--format: want one of %s", strings.Join(names, ", "))
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

func (a *app) quarantineCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "Work the review queue"}
	cmd.AddCommand(a.quarantineListCmd(), a.quarantineShowCmd(), a.quarantineExportCmd(),
		a.releaseCmd(), a.rejectCmd())
	return cmd
}

func (a *app) quarantineListCmd() *cobra.Command {
	var format, header string
	var all bool
	cmd := &cobra.Command{Use: "list", Short: "List what is held, urgent first, else newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hs := []gateway.Held{}
			err := a.withDesk(cmd.Context(), func(d control.Desk, actor string) (err error) {
				hs, err = d.ListHeld(cmd.Context(), all, header, actor)
				return err
			})
			if err := a.noneYet(lockedHeader(err)); err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(hs)
			}
			return a.heldTable(hs, header)
		}}
	cmd.Flags().BoolVar(&all, "all", false, "also what was released, rejected or has expired")
	cmd.Flags().StringVar(&header, "header", "", "add this header field of held mail")
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

// lockedHeader says of an error of a list with a header field what is refused.
func lockedHeader(err error) error {
	if errors.Is(err, vault.ErrLocked) {
		return errors.New("--header: the server has no release key, so it cannot read header fields of held mail: leave --header out, and see one item with `stanch quarantine show ID --identity FILE`")
	}
	return err
}

func (a *app) heldTable(hs []gateway.Held, header string) error {
	if len(hs) == 0 {
		_, err := fmt.Fprintln(a.out, "Nothing is held.")
		return err
	}
	head := []string{"ID", "STATE", "RECEIVED", "CHANNEL", "FROM / FILE", "TO", "POLICY", "WHY"}
	if header != "" {
		head = append(head, strings.ToUpper(header))
	}
	var rows [][]string
	for _, h := range hs {
		from := h.Sender
		if h.Channel == dlp.File.String() {
			from = h.Path
		} else if from == "" {
			from = "<>"
		}
		state := h.State
		if h.Urgent {
			state += ", urgent: answer by " + h.AnswerBy.Local().Format(time.TimeOnly)
		}
		if h.Delivery != "" {
			state += ", " + h.Delivery
		}
		if h.Damaged {
			state, from = state+", damaged", "?"
		}
		row := []string{string(h.ID), state, h.Received.Local().Format(time.DateTime), h.Channel, from, several(h.Recipients),
			policyOf(h), why(h)}
		if header != "" {
			row = append(row, h.Header)
		}
		rows = append(rows, row)
	}
	return report.Table(a.out, head, rows, colourful(a.out))
}

// byDefault stands for a policy where none matched and [defaults] decided.
const byDefault = "(on_gap)"

// policyOf names the policy that held h. What no gap speaks for was held by none:
// its sender asked for encryption, or judging it broke; show says which.
func policyOf(h gateway.Held) string {
	if h.Policy == "" && len(h.Causes) == 0 {
		return "(none)"
	}
	return cmp.Or(h.Policy, byDefault)
}

// why names the rules that were counted and the causes of what was not read.
func why(h gateway.Held) string {
	var words []string
	for _, r := range h.Rules {
		words = append(words, string(r))
	}
	return strings.Join(append(words, h.Causes...), ",")
}

// several shortens a list of recipients for one cell.
func several(rs []string) string {
	if len(rs) <= 1 {
		return strings.Join(rs, "")
	}
	return fmt.Sprintf("%s and %d more", rs[0], len(rs)-1)
}

func (a *app) quarantineShowCmd() *cobra.Command {
	var format string
	var who reviewer
	cmd := &cobra.Command{Use: "show ID", Short: "Say why one item is held, and where in it", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dlp.ParseID(args[0])
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				keys, err := who.open(cmd.Context(), d, id)
				if err != nil {
					return plainly(id, err)
				}
				h, err := d.ShowHeld(cmd.Context(), id, keys, actor)
				if err != nil {
					return plainly(id, err)
				}
				if format == "json" {
					return a.printJSON(h)
				}
				return a.heldText(h)
			})
		}}
	who.flag(cmd)
	formatFlag(cmd, &format, "text", "text", "json")
	return cmd
}

func (a *app) heldText(h gateway.HeldDetail) error {
	w := bufio.NewWriter(a.out)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-11s %s\n", name+":", report.Plain(value))
		}
	}
	line("id", string(h.ID))
	line("state", h.State)
	line("delivery", h.Delivery)
	if h.Urgent {
		line("urgent", fmt.Sprintf("officers were called %d times; the next call is at %s", h.Calls, h.AnswerBy.Local().Format(time.DateTime)))
	}
	line("channel", h.Channel)
	line("received", h.Received.Local().Format(time.DateTime))
	line("from", h.Sender)
	line("to", strings.Join(h.Recipients, ", "))
	line("folder", h.Root)
	line("file", h.Path)
	line("size", fmt.Sprint(h.Size, " bytes"))
	policy := policyOf(h.Held)
	if h.Policy == "" && h.Reason == dlp.ReasonNoWay && len(h.Causes) == 0 {
		policy = "(asked)" // by the sender: no policy matched
	}
	line("policy", policy)
	line("why", why(h.Held))
	line("reason", h.Reason)
	line("decided by", h.DecidedBy)
	if h.Ask != nil {
		line("asked", h.Ask.At.Local().Format(time.DateTime)+", for its release: "+h.Ask.Words)
	}
	var rows [][]string
	for _, f := range h.Findings {
		rows = append(rows, []string{partName(f.Part), fmt.Sprint("line ", f.Line), f.Confidence, string(f.Type), string(f.Rule)})
	}
	for _, g := range h.Gaps {
		rows = append(rows, []string{strings.TrimSpace(partName(g.Part) + " " + g.Name), "", "not read", g.Cause, g.Detail})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		if err := report.Table(w, []string{"PART", "WHERE", "SURE", "WHAT", "RULE / DETAIL"}, rows, colourful(a.out)); err != nil {
			return err
		}
	}
	return w.Flush()
}

func partName(p string) string {
	if p == "" {
		return "(file)"
	}
	return p
}

// heldActCmd does the same to one item or several.
func (a *app) heldActCmd(verb, short, done string, act func(control.Desk, context.Context, dlp.ID, string) error) *cobra.Command {
	return &cobra.Command{Use: verb + " ID...", Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				err := a.each(ids, done, func(id dlp.ID) error { return act(d, cmd.Context(), id, actor) })
				if verb == "release" {
					err = errors.Join(err, a.sayQueued(cmd.Context(), d, ids))
				}
				return err
			})
		}}
}

// sayQueued says how many of the released items the outbox has still to deliver.
func (a *app) sayQueued(ctx context.Context, d control.Desk, ids []dlp.ID) error {
	n := 0
	err := (&queueFilter{}).each(ctx, d, func(q gateway.Queued) bool {
		if slices.Contains(ids, q.Doc) && slices.Contains([]string{string(spool.Release), string(spool.Encrypted), string(spool.Proved)}, q.Kind) {
			n++
		}
		return true
	})
	if n > 0 {
		fmt.Fprintf(a.errs, "stanch: queued: the outbox has still to deliver %s of these; see `stanch queue list`\n", report.Count(n, "message"))
	}
	return err
}

func parseIDs(args []string) ([]dlp.ID, error) {
	var ids []dlp.ID
	for _, s := range args {
		id, err := dlp.ParseID(s)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// each does the same to every id, says so, and goes on after an error.
func (a *app) each(ids []dlp.ID, done string, act func(dlp.ID) error) error {
	var errs []error
	for _, id := range ids {
		if err := act(id); err != nil {
			errs = append(errs, plainly(id, err))
			continue
		}
		fmt.Fprintln(a.out, id, done)
	}
	return errors.Join(errs...)
}

func (a *app) quarantineExportCmd() *cobra.Command {
	var reveal bool
	var to string
	var who reviewer
	cmd := &cobra.Command{Use: "export ID --reveal", Short: "Write held content exactly as it came",
		Long: "Write held content exactly as it came. The content is what was held because it must not be seen:\n" +
			"--reveal says that you mean it, and the look stands in the audit log.",
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dlp.ParseID(args[0])
			if err != nil {
				return err
			}
			if !reveal {
				return errors.New("export shows held content: add --reveal to say that you mean it; the look is recorded")
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				keys, err := who.open(cmd.Context(), d, id)
				if err != nil {
					return plainly(id, err)
				}
				return a.exportTo(to, func(w io.Writer) error { return plainly(id, d.Export(cmd.Context(), id, keys, actor, w)) })
			})
		}}
	who.flag(cmd)
	cmd.Flags().BoolVar(&reveal, "reveal", false, "yes, show the content")
	cmd.Flags().StringVarP(&to, "output", "o", "", "write to this new file (0600) instead of standard output")
	return cmd
}

// exportTo writes to a new file of that name, or to standard output. A file
// that is not whole is removed.
func (a *app) exportTo(path string, write func(io.Writer) error) error {
	if path == "" {
		return write(a.out)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
