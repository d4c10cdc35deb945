package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/internal/report"
)

// indexFlags say where the index is. With both, no configuration is needed: it
// can be built where the extract is, and carried to the gateway.
type indexFlags struct{ dir, key string }

// takeFlags say how an extract is read.
type takeFlags struct {
	columns map[string]string
	tmp     string
	fewer   bool
}

func (a *app) indexCmd() *cobra.Command {
	var f indexFlags
	cmd := &cobra.Command{Use: "index", Short: "Build and keep the index of the site's own patients",
		Long: "Build and keep the index of the site's own patients, by which their numbers, names and dates of birth are found exactly.\n" +
			"It holds keyed tokens and no values. A serve that runs takes what is new on reload (SIGHUP).\n" +
			"Run this as the user that serve runs as. See docs/patient-index.md."}
	cmd.PersistentFlags().StringVar(&f.dir, "dir", "", "the folder of the index (else index.dir of the configuration)")
	cmd.PersistentFlags().StringVar(&f.key, "key", "", "the file of its key (else index.key of the configuration)")
	const file = "FILE is CSV with a header, or - for standard input. Columns are known by their header: mrn, ssn, name or first and last, dob, phone\n" +
		"and what extracts commonly call these. Rows that cannot be used are told by their line, never by what stands there."
	cmd.AddCommand(
		a.takeCmd(&f, "build", "Build the index anew of all patients", file+
			"\n\nWhat was there stays in force until the new index is whole, and deltas go with it. The first build makes the key.", index.Build),
		a.takeCmd(&f, "add", "Take in more patients without a rebuild", file, index.Add),
		a.takeCmd(&f, "remove", "Take patients out without a rebuild", file+
			"\n\nA patient is known by the record number; without one by the SSN, else by name and date of birth.", index.Remove),
		a.indexShowCmd(&f), a.indexVerifyCmd(&f))
	return cmd
}

// places returns the folder of the index and the file of its key.
func (a *app) places(f *indexFlags) (dir, key string, err error) {
	if f.dir != "" && f.key != "" {
		return f.dir, f.key, nil
	}
	cfg, err := a.load()
	if err != nil {
		return "", "", err
	}
	dir, key = cfg.Index.Places(cfg.DataDir)
	return cmp.Or(f.dir, dir), cmp.Or(f.key, key), ours(dir, key, cfg.DataDir)
}

type takeFunc func(context.Context, index.Options, io.Reader) (*index.Report, error)

func (a *app) takeCmd(f *indexFlags, use, short, long string, take takeFunc) *cobra.Command {
	var t takeFlags
	cmd := &cobra.Command{Use: use + " FILE", Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.takeIn(cmd.Context(), f, &t, args[0], use == "build", take)
		}}
	cmd.Flags().StringToStringVar(&t.columns, "columns", nil, "the header of a field's column, where it is not known: mrn=PATIENT_NO,dob=GEB_DAT")
	cmd.Flags().StringVar(&t.tmp, "tmp", "", "a folder for files without a name, which hold tokens while they are sorted (else the folder of the index)")
	if use == "build" {
		cmd.Flags().BoolVar(&t.fewer, "fewer", false, "take an extract of less than half the patients that the index has")
	}
	return cmd
}

func (a *app) takeIn(ctx context.Context, f *indexFlags, t *takeFlags, file string, first bool, take takeFunc) (err error) {
	dir, keyFile, err := a.places(f)
	if err != nil {
		return err
	}
	o := index.Options{Dir: dir, Tmp: t.tmp, Columns: t.columns, Now: time.Now(), Fewer: t.fewer}
	o.Key, err = index.LoadKey(keyFile)
	if errors.Is(err, index.ErrNoKey) && first {
		o.Key = index.NewKey()
		o.Ready, err = func() error { return o.Key.Save(keyFile) }, nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	in, name := io.NopCloser(a.in), "standard input"
	if file != "-" {
		if in, err = os.Open(file); err != nil {
			return err
		}
		name = file
	}
	defer in.Close()
	r, err := take(ctx, o, in)
	if r != nil {
		for _, p := range r.First {
			fmt.Fprintf(a.errs, "%s:%d: %s\n", name, p.Line, p.What)
		}
	}
	if e, ok := errors.AsType[*index.LineError](err); ok {
		return fmt.Errorf("%s:%w", name, e)
	}
	if errors.Is(err, index.ErrFewer) {
		return fmt.Errorf("%w: with --fewer it is taken all the same", err)
	}
	if err != nil {
		return err
	}
	return a.printTaken(r)
}

// printTaken says what was taken in.
func (a *app) printTaken(r *index.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", report.Count(int(r.Rows), "patient"))
	for _, f := range slices.Sorted(maps.Keys(r.Tokens)) {
		if r.Tokens[f] > 0 {
			fmt.Fprintf(&b, ", %d %s", r.Tokens[f], f)
		}
	}
	b.WriteString(".\n")
	if r.Common > 0 {
		fmt.Fprintf(&b, "%s left out: in more than 16 rows, so it names nobody.\n", report.Count(int(r.Common), "value"))
	}
	for _, what := range slices.Sorted(maps.Keys(r.Problems)) {
		fmt.Fprintf(&b, "%s with %s.\n", report.Count(int(r.Problems[what]), "row"), what)
	}
	b.WriteString("A serve that runs takes it on reload (SIGHUP).\n")
	_, err := io.WriteString(a.out, b.String())
	return err
}

// openIndex opens the index for a look at it.
func (a *app) openIndex(f *indexFlags) (*index.Index, error) {
	dir, keyFile, err := a.places(f)
	if err != nil {
		return nil, err
	}
	key, err := index.LoadKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	ix, err := index.Open(dir, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return ix, nil
}

// indexView is `index show --format json`.
type indexView struct {
	ID       string          `json:"id"`
	KeyID    string          `json:"key_id"`
	Segments []index.Segment `json:"segments"`
}

func (a *app) indexShowCmd(f *indexFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "show", Aliases: []string{"list"}, Short: "Show what the index has and how old it is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ix, err := a.openIndex(f)
			if err != nil {
				return err
			}
			defer ix.Close()
			v := indexView{ID: ix.ID(), Segments: ix.Segments()}
			v.KeyID = v.Segments[0].KeyID
			if format == "json" {
				return a.printJSON(v)
			}
			fmt.Fprintf(a.out, "index %s, key %s\n", v.ID, v.KeyID)
			var rows [][]string
			for _, s := range v.Segments {
				rows = append(rows, []string{s.File, s.Kind, s.Created.Format(time.RFC3339), time.Since(s.Created).Round(time.Minute).String(), fmt.Sprint(s.Rows),
					fmt.Sprint(s.Tokens["mrn"]), fmt.Sprint(s.Tokens["ssn"]), fmt.Sprint(s.Tokens["name+dob"]), fmt.Sprint(s.Tokens["phone"]), fmt.Sprint(s.Bytes)})
			}
			return report.Table(a.out, []string{"FILE", "KIND", "BUILT", "AGE", "PATIENTS", "MRN", "SSN", "NAME+DOB", "PHONE", "BYTES"}, rows, colourful(a.out))
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) indexVerifyCmd(f *indexFlags) *cobra.Command {
	return &cobra.Command{Use: "verify", Short: "Read all of the index and say whether it is as it was written", Args: cobra.NoArgs,
		Long: "Read all of the index and say whether it is as it was written.\n\nExit status: 0 it is, 1 it is not, 2 error.",
		RunE: func(*cobra.Command, []string) error {
			ix, err := a.openIndex(f)
			if err == nil {
				defer ix.Close()
				err = ix.Verify()
			}
			if errors.Is(err, index.ErrDamaged) || errors.Is(err, index.ErrWrongKey) {
				fmt.Fprintln(a.errs, err)
				return exitCode(exitFound)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, "the index is as it was written")
			return err
		}}
}
