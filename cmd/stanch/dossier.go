package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
			"factors of 45 CFR 164.402 are filled in on the console, or with form and assess. Every look is on record."}
	cmd.AddCommand(a.dossierListCmd(), a.dossierBeginCmd(), a.dossierGatherCmd(), a.dossierFormCmd(), a.dossierAssessCmd(), a.dossierShowCmd(), a.dossierExportCmd(), a.dossierVerifyCmd())
	return cmd
}

func (a *app) dossierListCmd() *cobra.Command {
	return listing[dossier.Version]{short: "List the dossiers, the one begun last first", none: "There is no dossier.",
		heads: []string{"ID", "VERSION", "SAVED", "DOCUMENTS", "CONCLUSION", "TITLE"}, of: control.Desk.Dossiers,
		row: func(v *dossier.Version) []string {
			return []string{string(v.ID), fmt.Sprint(v.N), v.At.Local().Format(time.DateTime), fmt.Sprint(len(v.Items)), concluded(v.Conclusion), v.Title}
		}}.cmd(a)
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
	if len(who.files) == 0 {
		return out, nil
	}
	for _, id := range ids {
		l, err := d.Locks(ctx, id)
		if errors.Is(err, vault.ErrNotFound) { // it was never held
			continue
		}
		if err == nil {
			out[id], err = who.unlock(ctx, d, vault.Locks{Case: l.Case})
		}
		if err != nil {
			return nil, plainly(id, err)
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

func (a *app) dossierFormCmd() *cobra.Command {
	cmd := a.dossierReadCmd("form DOSSIER", "Print the four factors of 45 CFR 164.402 as a form, with what was filled in", func(ctx context.Context, d control.Desk, id dlp.ID, actor string) (gateway.Dossier, error) {
		return d.Dossier(ctx, id, 0, actor)
	}, func(d *gateway.Dossier) error {
		_, err := a.out.Write(d.Form())
		return err
	})
	cmd.Long = "Print what a person fills in of a dossier, in TOML: days, people concerned, the four factors of 45 CFR 164.402 in words and with\n" +
		"a rating, and the conclusion. It holds what was written so far: keep it where nobody else reads. `stanch dossier assess` saves it."
	return cmd
}

func (a *app) dossierAssessCmd() *cobra.Command {
	return &cobra.Command{Use: "assess DOSSIER [FILE]", Short: "Save the form of a dossier, filled in, as a new version", Args: cobra.RangeArgs(1, 2),
		Long: "Save what `stanch dossier form` printed, filled in, as a new version of the dossier: from FILE, or standard input. Words are\n" +
			"kept sealed, and stand in no argument. Low risk or a breach is concluded only with all four factors in words and rated. A\n" +
			"version that somebody saved meanwhile is not overwritten.",
		Example: "  stanch dossier form ID > form.toml; $EDITOR form.toml; stanch dossier assess ID form.toml; rm form.toml",
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := idsOf(args[:1])
			if err != nil {
				return err
			}
			name, from := "standard input", cmd.InOrStdin()
			if len(args) == 2 && args[1] != "-" {
				f, err := os.Open(args[1])
				if err != nil {
					return err
				}
				defer f.Close() // read only
				name, from = args[1], f
			}
			src, err := io.ReadAll(io.LimitReader(from, dossier.MaxForm+1))
			if err != nil {
				return err
			}
			base, form, err := dossier.ParseForm(src)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			err = a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				return d.AssessDossier(cmd.Context(), ids[0], base, form, actor)
			})
			if err != nil {
				return dossierSaid(ids[0], err)
			}
			_, err = fmt.Fprintf(a.out, "%s: saved as version %d.\n", ids[0], base+1)
			return err
		}}
}

// dossierSaid is an error about a dossier in words for who asked.
func dossierSaid(id dlp.ID, err error) error {
	switch {
	case errors.Is(err, dossier.ErrNotFound):
		return fmt.Errorf("%s: no such dossier; see `stanch dossier list`", id)
	case errors.Is(err, dossier.ErrChanged):
		return fmt.Errorf("%s: somebody saved it meanwhile; run this again, with the newest form where one is filled in", id)
	case errors.Is(err, dossier.ErrForm):
		return errors.New("nothing was saved: a dossier has a title, days are such as 2026-01-31, ratings low, medium or high, and low_risk or breach is concluded from all four factors, each in words and rated")
	case errors.Is(err, dossier.ErrFull):
		return errors.New("there are as many dossiers or versions as are kept")
	case errors.Is(err, dossier.ErrDamaged):
		return fmt.Errorf("%s: it does not open: it was changed, or sealed under another key", id)
	case errors.Is(err, dossier.ErrItem):
		return errors.New("nothing was saved: neither a case nor the audit log knows one of these documents; see their ids in `stanch quarantine list --all` and `stanch audit export`")
	case errors.Is(err, dossier.ErrSlow):
		return errors.New("nothing was saved: looking up what cases and the log say took more than five minutes; try again when the server has less to do, or with fewer documents")
	case errors.Is(err, dossier.ErrLarge):
		return fmt.Errorf("a dossier is about %d documents at most, and a text has at most %d bytes", dossier.MaxItems, dossier.MaxWords)
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
