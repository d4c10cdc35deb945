package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/vault"
)

func reviewFlags(cmd *cobra.Command, rv *gateway.Review) {
	cmd.Flags().StringVar(&rv.Code, "reason", "", "code of [console] reasons, for the audit log")
	cmd.Flags().StringVar(&rv.Words, "words", "", "why, in your words; kept sealed with the item")
}

// decideCmd is release or reject, for one item or several.
func (a *app) decideCmd(verb, short, done string, act func(control.Desk, context.Context, dlp.ID, vault.Opened, string) error) *cobra.Command {
	var who reviewer
	cmd := a.heldActCmd(verb, short, done, func(d control.Desk, ctx context.Context, id dlp.ID, actor string) error {
		keys, err := who.open(ctx, d, id)
		if err != nil {
			return err
		}
		return act(d, ctx, id, keys, actor)
	})
	who.flag(cmd)
	return cmd
}

func (a *app) rejectCmd() *cobra.Command {
	var rv gateway.Review
	cmd := a.decideCmd("reject", "End a hold for good; the sender of a mail is told", "rejected",
		func(d control.Desk, ctx context.Context, id dlp.ID, keys vault.Opened, actor string) error {
			return d.RejectFor(ctx, id, keys, actor, rv)
		})
	reviewFlags(cmd, &rv)
	cmd.Flags().StringVar(&rv.Note, "note", "", "words for the sender; they go out by mail, in the clear")
	return cmd
}

func (a *app) releaseCmd() *cobra.Command {
	var rv gateway.Review
	var rejectRest bool
	cmd := a.decideCmd("release", "Send a held message on by the outbox, or put a held file back", "released",
		func(d control.Desk, ctx context.Context, id dlp.ID, keys vault.Opened, actor string) error {
			if rejectRest && len(rv.Only) == 0 {
				return errors.New("--reject-rest: only with --to: without it there is no rest")
			}
			if err := a.release(ctx, d, id, keys, actor, rv); err != nil || !rejectRest {
				return err
			}
			err := d.RejectFor(ctx, id, keys, actor, gateway.Review{Code: rv.Code, Words: rv.Words})
			if errors.Is(err, gateway.ErrNotHeld) {
				return nil // there was no rest
			}
			return err
		})
	cmd.Long = "Send a held message on by the outbox, or put a held file back.\n\n" +
		"With --to it goes to these of the recipients it is held for, and stays held for the others, or is rejected for them with\n" +
		"--reject-rest. With --encrypted it goes to nobody unless to all of them encrypted. What was to be encrypted goes so to whom a\n" +
		"way leads by now, and in the clear to the others, which the command says; with --unencrypted=false it stays held where somebody would\n" +
		"get it so. Where [review] asks for two people, the\n" +
		"first release is noted and fails, and the same one by another user of this machine, or of the console, carries it out."
	reviewFlags(cmd, &rv)
	cmd.Flags().BoolVar(&rv.Encrypted, "encrypted", false, "encrypt it for everybody, or leave it held")
	cmd.Flags().BoolVar(&rv.Unencrypted, "unencrypted", true, "send it in the clear to those it was to be encrypted for and no way leads to; =false: leave it held")
	cmd.MarkFlagsMutuallyExclusive("encrypted", "unencrypted")
	cmd.Flags().StringSliceVar(&rv.Only, "to", nil, "release to this recipient only (repeatable)")
	cmd.Flags().BoolVar(&rejectRest, "reject-rest", false, "with --to: reject it for all others")
	return cmd
}

// release lets one item go, and says where that is in the clear.
func (a *app) release(ctx context.Context, d control.Desk, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) error {
	how, err := d.ReleaseFor(ctx, id, keys, actor, rv)
	if how.Unencrypted > 0 {
		fmt.Fprintf(a.errs, "stanch: %s goes out unencrypted to %s it was to be encrypted for: it cannot be encrypted for them (`stanch keys test ADDRESS` says why)\n",
			id, report.Count(how.Unencrypted, "recipient"))
	}
	if how.Encrypted > 0 {
		fmt.Fprintf(a.errs, "stanch: %s goes encrypted to %s\n", id, report.Count(how.Encrypted, "recipient"))
	}
	return err
}
