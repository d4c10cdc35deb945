package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/vault"
)

func (a *app) dossierCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "dossier", Short: "Keep what may have been disclosed to whom, and prove it from the audit log",
		Long: "Keep breach dossiers: what was disclosed to whom, who looked and who decided, with a proof from the audit log. The four\n" +
			"factors of 45 CFR 164.402 are filled in on the console. Every look is on record."}
	cmd.AddCommand(a.dossierListCmd(), a.dossierBeginCmd(), a.dossierGatherCmd(), a.dossierShowCmd(), a.dossierExportCmd(), a.dossierVerifyCmd())
	return cmd
}

func (a *app) dossierListCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "list", Short: "List the dossiers, the one begun last first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []dossier.Version{}
			err := a.withDesk(cmd.Context(), func(d control.Desk, actor string) (err error) {
				all, err = d.Dossiers(cmd.Context(), actor)
				return err
			})
			if err := a.noneYet(err); err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(all)
			}
			if len(all) == 0 {
				_, err := fmt.Fprintln(a.out, "There is no dossier.")
				return err
			}
			var rows [][]string
			for _, v := range all {
				rows = append(rows, []string{string(v.ID), fmt.Sprint(v.N), v.At.Local().Format(time.DateTime), fmt.Sprint(len(v.Items)), concluded(v.Conclusion), v.Title})
			}
			return report.Table(a.out, []string{"ID", "VERSION", "SAVED", "DOCUMENTS", "CONCLUSION", "TITLE"}, rows, colourful(a.out))
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func concluded(c dossier.Conclusion) string {
	if c == dossier.Open {
		return "open"
	}
	return string(c)
}

// idsOf reads ids of documents.
func idsOf(args []string) (ids []dlp.ID, err error) {
	for _, arg := range args {
		id, err := dlp.ParseID(arg)
		if err != nil {
			return nil, fmt.Errorf("%q is no id", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// caseKeys are the keys of the cases of ids, by the reviewer's files.
func caseKeys(ctx context.Context, d control.Desk, who *reviewer, ids []dlp.ID) (map[dlp.ID]vault.Opened, error) {
	out := map[dlp.ID]vault.Opened{}
	for _, id := range ids {
		keys, err := who.open(ctx, d, id)
		switch {
		case errors.Is(err, vault.ErrNotFound): // it was never held
		case err != nil:
			return nil, plainly(id, err)
		default:
			out[id] = keys
		}
	}
	return out, nil
}

func (a *app) dossierBeginCmd() *cobra.Command {
	var title string
	var who reviewer
	cmd := &cobra.Command{Use: "begin ID...", Short: "Begin a dossier about documents, held or not", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := idsOf(args)
			if err != nil {
				return err
			}
			if strings.TrimSpace(title) == "" {
				return errors.New("--title: want what it is about; it is kept sealed")
			}
			var id dlp.ID
			err = a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				keys, err := caseKeys(cmd.Context(), d, &who, ids)
				if err == nil {
					id, err = d.BeginDossier(cmd.Context(), title, ids, keys, actor)
				}
				return err
			})
			if err != nil {
				return dossierSaid(id, err)
			}
			_, err = fmt.Fprintln(a.out, id)
			return err
		}}
	cmd.Flags().StringVar(&title, "title", "", "what it is about; kept sealed")
	who.flag(cmd)
	return cmd
}

func (a *app) dossierGatherCmd() *cobra.Command {
	var who reviewer
	cmd := &cobra.Command{Use: "gather DOSSIER [ID...]", Short: "Look up again what cases and the log say, of more documents perhaps", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := idsOf(args)
			if err != nil {
				return err
			}
			err = a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				now, err := d.Dossier(cmd.Context(), ids[0], 0, actor)
				if err != nil {
					return err
				}
				keys, err := caseKeys(cmd.Context(), d, &who, append(now.Items, ids[1:]...))
				if err != nil {
					return err
				}
				return d.GatherDossier(cmd.Context(), ids[0], now.N, ids[1:], keys, actor)
			})
			return dossierSaid(ids[0], err)
		}}
	who.flag(cmd)
	return cmd
}

// dossierSaid is an error about a dossier in words for who asked.
func dossierSaid(id dlp.ID, err error) error {
	switch {
	case errors.Is(err, dossier.ErrNotFound):
		return fmt.Errorf("%s: no such dossier; see `stanch dossier list`", id)
	case errors.Is(err, dossier.ErrChanged):
		return fmt.Errorf("%s: somebody saved it meanwhile; run this again", id)
	case errors.Is(err, dossier.ErrLarge):
		return fmt.Errorf("a dossier is about %d documents at most", dossier.MaxItems)
	case errors.Is(err, vault.ErrLocked):
		return errors.New("the server cannot open a case of it: give a reviewer's key with --identity FILE")
	}
	return err
}

func (a *app) dossierShowCmd() *cobra.Command {
	return a.dossierReadCmd("show DOSSIER", "Print what a dossier says", func(ctx context.Context, d control.Desk, id dlp.ID, actor string) (gateway.Dossier, error) {
		return d.Dossier(ctx, id, 0, actor)
	}, a.dossierText)
}

func (a *app) dossierExportCmd() *cobra.Command {
	return a.dossierReadCmd("export DOSSIER", "Print a dossier with its proof, as JSON to be kept elsewhere", func(ctx context.Context, d control.Desk, id dlp.ID, actor string) (gateway.Dossier, error) {
		return d.ExportDossier(ctx, id, actor)
	}, func(d *gateway.Dossier) error { return a.printJSON(d) })
}

func (a *app) dossierReadCmd(use, short string, read func(context.Context, control.Desk, dlp.ID, string) (gateway.Dossier, error), print func(*gateway.Dossier) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := idsOf(args)
			if err != nil {
				return err
			}
			var out gateway.Dossier
			err = a.withDesk(cmd.Context(), func(d control.Desk, actor string) (err error) {
				out, err = read(cmd.Context(), d, ids[0], actor)
				return err
			})
			if err != nil {
				return dossierSaid(ids[0], err)
			}
			return print(&out)
		}}
}

func (a *app) dossierText(d *gateway.Dossier) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, version %d, saved %s by %s\nTitle: %s\nHappened: %s, discovered: %s, people concerned: %d\nConclusion: %s\n", d.ID, d.N, d.At.Local().Format(time.DateTime), d.By, d.Title,
		orUnknown(d.Happened), orUnknown(d.Discovered), d.People, concluded(d.Conclusion))
	if len(d.Lacking) > 0 {
		fmt.Fprintf(&b, "Still empty or not rated: %s\n", strings.Join(d.Lacking, "; "))
	}
	if d.Record != nil {
		for _, it := range d.Record.Items {
			fmt.Fprintf(&b, "\n%s  %s from %s\n", it.ID, it.Channel, orUnknown(it.Sender+it.Folder))
			for _, r := range it.Rcpts {
				fmt.Fprintf(&b, "  %s: %s\n", orUnknown(r.Address), r.Fate)
			}
			for _, k := range it.Found {
				fmt.Fprintf(&b, "  %s of %s\n", report.Count(k.Values, "distinct value"), k.Type)
			}
		}
		fmt.Fprintf(&b, "\n%s of the log, under a checkpoint of %d lines, root %s\n", report.Count(len(d.Record.Evidence.Events), "event"), d.Record.Evidence.Size, d.Record.Evidence.Root)
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

func (a *app) dossierVerifyCmd() *cobra.Command {
	var key string
	cmd := &cobra.Command{Use: "verify FILE", Short: "Check the proof in an exported dossier, without the log", Args: cobra.ExactArgs(1),
		Long: "Check that each event in an exported dossier stood in the audit log whose checkpoint is signed by the key in --key, the file\n" +
			"audit.key.pub of a data folder. It needs nothing else. That no other event speaks of the same documents is shown by the\n" +
			"whole log: `stanch audit verify`.\n\nExit status: 0 holds, 1 does not, 2 could not be checked.",
		RunE: func(_ *cobra.Command, args []string) error {
			var d struct {
				Found *struct {
					Evidence audit.Evidence `json:"evidence"`
				} `json:"found"`
			}
			if err := readProof(args[0], &d); err != nil {
				return err
			}
			if d.Found == nil {
				return fmt.Errorf("%s: want what `stanch dossier export` printed", args[0])
			}
			return a.proved(&d.Found.Evidence, key)
		}}
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with the log's public key")
	return cmd
}
