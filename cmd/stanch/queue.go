package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/spool"
)

func (a *app) queueCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "queue", Short: "Look after the outbox: what stanch itself has still to deliver, or to read"}
	cmd.AddCommand(a.queueListCmd(), a.queueShowCmd(), a.queueRetryCmd(),
		a.heldActCmd("drop", "Give a message up; nobody is told", "dropped", control.Desk.DropQueued))
	return cmd
}

// queueFilter says which messages of the queue are meant.
type queueFilter struct {
	all             bool
	state, kind, to string
	limit           int
}

func (f *queueFilter) flags(cmd *cobra.Command, states string) {
	cmd.Flags().StringVar(&f.state, "state", "", "only those in this state: "+states)
	cmd.Flags().StringVar(&f.kind, "kind", "", "only those of this kind: release, copy, encrypted, notice, dsn or reading")
	cmd.Flags().StringVar(&f.to, "to", "", "only those with a recipient of this address or domain")
}

// check reports a word that no message has.
func (f *queueFilter) check() error {
	for _, x := range []struct {
		flag, got string
		known     []string
	}{
		{"state", f.state, []string{string(spool.Queued), string(spool.ToRead), string(spool.Poison), string(spool.Judged),
			string(spool.Delivered), string(spool.Failed), string(spool.Dropped)}},
		{"kind", f.kind, kindNames()},
	} {
		if x.got != "" && !slices.Contains(x.known, x.got) {
			return fmt.Errorf("--%s: want one of %s", x.flag, strings.Join(x.known, ", "))
		}
	}
	if f.limit < 0 {
		return errors.New("--limit: want a number of at least 0")
	}
	return nil
}

// fits reports whether q is meant.
func (f *queueFilter) fits(q gateway.Queued) bool {
	return (f.state == "" || f.state == q.State) && (f.kind == "" || f.kind == q.Kind) &&
		(f.to == "" || slices.ContainsFunc(q.Recipients, func(r string) bool {
			return strings.EqualFold(r, f.to) || len(r) > len(f.to) && strings.EqualFold(r[len(r)-len(f.to)-1:], "@"+f.to)
		}))
}

// each calls do for every message that is meant, page by page, until do
// returns false.
func (f *queueFilter) each(ctx context.Context, d control.Desk, do func(gateway.Queued) bool) error {
	var after dlp.ID
	for {
		page, err := d.QueuePage(ctx, f.all, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, q := range page {
			if f.fits(q) && !do(q) {
				return nil
			}
		}
		after = page[len(page)-1].ID
	}
}

func (a *app) queueListCmd() *cobra.Command {
	var format string
	var f queueFilter
	cmd := &cobra.Command{Use: "list", Short: "List what is still to be delivered or read, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if slices.Contains([]string{string(spool.Judged), string(spool.Delivered), string(spool.Failed), string(spool.Dropped)}, f.state) {
				f.all = true
			}
			qs, more := []gateway.Queued{}, false
			err := a.withDesk(cmd.Context(), func(d control.Desk, _ string) error {
				return f.each(cmd.Context(), d, func(q gateway.Queued) bool {
					if more = f.limit > 0 && len(qs) == f.limit; !more {
						qs = append(qs, q)
					}
					return !more
				})
			})
			if err := a.noneYet(err); err != nil {
				return err
			}
			if more {
				fmt.Fprintf(a.errs, "stanch: only the first %d; --limit 0 shows all\n", f.limit)
			}
			if format == "json" {
				return a.printJSON(qs)
			}
			if len(qs) == 0 && (f.state != "" || f.kind != "" || f.to != "") {
				_, err := fmt.Fprintln(a.out, "Nothing in the outbox fits.")
				return err
			}
			return a.queueTable(qs, time.Now())
		}}
	cmd.Flags().BoolVar(&f.all, "all", false, "also what has been delivered or judged, has failed or was dropped lately")
	f.flags(cmd, "queued, reading, poison (set aside), delivered, failed, dropped or judged")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "at most this many; 0: all")
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) queueTable(qs []gateway.Queued, now time.Time) error {
	if len(qs) == 0 {
		_, err := fmt.Fprintln(a.out, "The outbox is empty.")
		return err
	}
	var rows [][]string
	for _, q := range qs {
		from := q.Sender
		switch {
		case q.Damaged:
			from = "?"
		case from == "":
			from = "<>"
		}
		to := q.Recipients
		if len(q.Waiting) > 0 {
			to = q.Waiting
		}
		next := ""
		if q.State == string(spool.Queued) || q.State == string(spool.ToRead) {
			next = q.Next.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{string(q.ID), q.Kind, q.State, old(now.Sub(q.Created)), fmt.Sprint(q.Tries), lastOf(q),
			next, from, several(to)})
	}
	return report.Table(a.out, []string{"ID", "KIND", "STATE", "AGE", "TRIES", "LAST", "NEXT TRY", "FROM", "TO"}, rows, colourful(a.out))
}

// lastOf is what came of the last try: the reply's code, "none" where no answer
// was had and the step at which it was waited for, or why the message was set
// aside.
func lastOf(q gateway.Queued) string {
	switch {
	case q.Why != "":
		return q.Why
	case q.LastCode != 0:
		return fmt.Sprint(q.LastCode)
	case q.LastStage != "":
		return "none: " + q.LastStage
	case q.Tries > 0 && q.Kind != string(spool.Reading):
		return "none"
	}
	return ""
}

// old writes a duration in its two largest units.
func old(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d/time.Hour%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d/time.Minute%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d/time.Second%60)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func (a *app) queueShowCmd() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show one message of the outbox as JSON", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := dlp.ParseID(args[0])
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, _ string) error {
				q, err := d.ShowQueued(cmd.Context(), id)
				if err != nil {
					return plainly(id, err)
				}
				return a.printJSON(q)
			})
		}}
}

// retriesAtOnce is how many messages retry --all asks for at the same time.
const retriesAtOnce = 8

func (a *app) queueRetryCmd() *cobra.Command {
	var f queueFilter
	var all bool
	cmd := &cobra.Command{Use: "retry ID... | --all", Short: "Try to deliver, or to read, now", ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Try to deliver, or to read, now. A message that was set aside is put back.\n\n" +
			"--all means every message that waits, but not those set aside: --all --state poison means these.",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("want ids, which `stanch queue list` shows, or --all")
			}
			if !all && f != (queueFilter{}) {
				return errors.New("--state, --kind and --to go with --all")
			}
			return f.check()
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				if !all {
					return a.each(ids, "due now", func(id dlp.ID) error { return d.RetryQueued(cmd.Context(), id, actor) })
				}
				n, err := retryAll(cmd.Context(), d, &f, actor)
				fmt.Fprintln(a.out, n, "due now")
				return err
			})
		}}
	cmd.Flags().BoolVar(&all, "all", false, "every message that waits")
	f.flags(cmd, "queued, reading or poison (set aside)")
	return cmd
}

// retryAll makes every message that f means due now, and says how many.
func retryAll(ctx context.Context, d control.Desk, f *queueFilter, actor string) (n int, err error) {
	ids := make(chan dlp.ID)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards n and errs
	var errs []error
	for range retriesAtOnce {
		wg.Go(func() {
			for id := range ids {
				err := d.RetryQueued(ctx, id, actor)
				mu.Lock()
				switch {
				case err == nil:
					n++
				case errors.Is(err, gateway.ErrBusy) || errors.Is(err, gateway.ErrNotQueued): // it is being tried, or has ended
				case len(errs) < retriesAtOnce: // more would say the same
					errs = append(errs, plainly(id, err))
				}
				mu.Unlock()
			}
		})
	}
	err = f.each(ctx, d, func(q gateway.Queued) bool {
		if q.State != string(spool.Poison) || f.state == string(spool.Poison) {
			ids <- q.ID
		}
		return true
	})
	close(ids)
	wg.Wait()
	return n, errors.Join(append(errs, err)...)
}

// kindNames are the kinds of messages, as --kind takes them.
func kindNames() (out []string) {
	for _, k := range spool.Kinds() {
		out = append(out, string(k))
	}
	return out
}
