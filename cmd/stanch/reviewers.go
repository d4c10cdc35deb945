package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	filippo "filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	certified "github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// reviewer opens what the server cannot, with keys that stay in this process:
// what the server is given opens one document and nothing else.
type reviewer struct {
	files  []string
	device string // of a TPM
	cmd    *cobra.Command
	known  map[string][]filippo.Identity // by file: a PIN is asked for once
}

func (r *reviewer) flag(cmd *cobra.Command) {
	r.cmd = cmd
	tpmDeviceFlag(cmd, &r.device)
	cmd.Flags().StringArrayVarP(&r.files, "identity", "i", nil, "`FILE` with a reviewer's age secret key or the private key of their certificate (PEM), mode 0600, or that `stanch reviewers key --tpm` wrote (repeatable): where the server has no release key")
}

// maxCertificate bounds the file of a reviewer's certificate, in bytes.
const maxCertificate = 256 << 10

// reviewersOf are those of the configuration who may open what is held, as
// age.PeriodsConfig has them. The error has the line.
func reviewersOf(cfg *config.Config) ([]string, error) {
	if len(cfg.Vault.ReviewerCertificates) == 0 {
		return cfg.Vault.Reviewers, nil
	}
	var out []string
	for i, name := range cfg.Vault.ReviewerCertificates {
		key := fmt.Sprintf("vault.reviewer_certificates[%d]", i)
		f, err := os.Open(name)
		if err != nil {
			return nil, cfg.At(key, err)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxCertificate))
		f.Close() // only read from
		if err != nil {
			return nil, cfg.At(key, err)
		}
		r, err := certified.ReadReader(b)
		if err == nil && slices.Contains(out, r) {
			err = errors.New("this certificate is named twice")
		}
		if err != nil {
			return nil, cfg.At(key, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// identities reads the files. One that others can read is refused: its key is
// no longer the reviewer's alone.
func (r *reviewer) identities() ([]filippo.Identity, error) {
	for _, name := range r.files {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("%s: mode %04o: other users can read this secret key; make it 0600", name, info.Mode().Perm())
		}
	}
	return r.all()
}

// all reads the files whatever their mode.
func (r *reviewer) all() ([]filippo.Identity, error) {
	var all []filippo.Identity
	for _, name := range r.files {
		ids, err := r.of(name)
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	return all, nil
}

// of reads one of the files, once.
func (r *reviewer) of(name string) ([]filippo.Identity, error) {
	if ids := r.known[name]; ids != nil {
		return ids, nil
	}
	ids, err := identitiesOf(r.cmd, name, r.device)
	if err != nil {
		return nil, err
	}
	if r.known == nil {
		r.known = map[string][]filippo.Identity{}
	}
	r.known[name] = ids
	return ids, nil
}

// open returns the keys of the document id, none where no file was named.
func (r *reviewer) open(ctx context.Context, d control.Desk, id dlp.ID) (keys vault.Opened, err error) {
	if len(r.files) == 0 {
		return keys, nil
	}
	l, err := d.Locks(ctx, id)
	if err != nil {
		return keys, err
	}
	return r.unlock(ctx, d, l)
}

// unlock returns what the files open of l.
func (r *reviewer) unlock(ctx context.Context, d control.Desk, l vault.Locks) (keys vault.Opened, err error) {
	ids, err := r.identities()
	if err != nil {
		return keys, err
	}
	for _, one := range []struct {
		of *vault.Lock
		to *[]byte
	}{{&l.Case, &keys.Case}, {&l.Content, &keys.Content}} {
		if one.of.Header == nil { // it has ended, or there never was a case
			continue
		}
		if *one.to, err = age.FileKey(*one.of, ids); errors.Is(err, age.ErrNotEnough) {
			return keys, r.fault(ctx, d, one.of.Period)
		}
		if err != nil {
			return keys, theirs(err)
		}
	}
	return keys, nil
}

// fault says which of the files does not help to open that period, which takes
// two reviewers.
func (r *reviewer) fault(ctx context.Context, d control.Desk, period dlp.ID) error {
	st, err := d.VaultPeriods(ctx)
	if err != nil {
		return err
	}
	var readers []string
	for _, p := range st.Periods {
		if p.ID == period {
			readers = p.Readers
		}
	}
	keys := make([][]string, len(r.files))
	for i, name := range r.files {
		ids, err := r.of(name)
		if err != nil {
			return err
		}
		for _, id := range ids {
			keys[i] = append(keys[i], slices.DeleteFunc(slices.Clone(readers), func(r string) bool { return !age.Reads(id, r) })...)
		}
	}
	return notEnough(r.files, keys, readers)
}

// notEnough says why files with the secret keys of those public ones do not open
// what takes two of readers.
func notEnough(files []string, keys [][]string, readers []string) error {
	var theirs []string
	for i, name := range files {
		own := slices.DeleteFunc(slices.Clone(keys[i]), func(k string) bool { return !slices.Contains(readers, k) })
		if len(own) == 0 {
			return fmt.Errorf("%s: not the key of a reviewer who can open this; `stanch vault keys` lists who can", name)
		}
		theirs = append(theirs, own...)
	}
	slices.Sort(theirs)
	if len(files) > 1 && len(slices.Compact(theirs)) == 1 {
		return errors.New("the files have the key of one reviewer only, and this takes two: name another's")
	}
	return errors.New("this takes the keys of two reviewers: give --identity twice")
}

// theirs says of an error by which keys do not open something what to do.
func theirs(err error) error {
	switch {
	case errors.Is(err, age.ErrNotEnough):
		return errors.New("this takes the keys of two reviewers: give --identity twice")
	case errors.Is(err, crypt.ErrWrongKey):
		return errors.New("this is not the key of anybody who can open it; `stanch vault keys` lists who can")
	}
	return err
}

func (a *app) vaultCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "Look after the keys of what is held"}
	cmd.AddCommand(a.vaultKeysCmd(), a.vaultResealCmd(), a.vaultRotateCmd())
	return cmd
}

func (a *app) vaultKeysCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "keys", Short: "List the keys of the vault, one a period, and who can open them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDesk(cmd.Context(), func(d control.Desk, _ string) error {
				st, err := d.VaultPeriods(cmd.Context())
				if err != nil {
					return err
				}
				for i := range st.Periods {
					st.Periods[i].Sealed = nil
				}
				if format == "json" {
					return a.printJSON(st)
				}
				return a.vaultTable(st)
			})
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) vaultTable(st vault.Periods) error {
	if st.Server != "" {
		fmt.Fprintln(a.out, "The release key is on this server (keys/release.agekey): whoever reads its disk and memory can read what is held.")
	} else {
		fmt.Fprintf(a.out, "This server has no release key: show, release and export take --identity, of %s.\n", report.Count(st.Needed, "reviewer"))
	}
	var rows [][]string
	for _, p := range st.Periods {
		state := "runs"
		switch {
		case !p.Destroyed.IsZero():
			state = "destroyed " + p.Destroyed.Local().Format(time.DateTime)
		case !p.Ended.IsZero():
			state = "ended " + p.Ended.Local().Format(time.DateTime)
		}
		if p.Stale {
			state += ", not sealed to the reviewers of the configuration: `stanch vault reseal`"
		}
		rows = append(rows, []string{string(p.ID), p.Kind, p.Begun.Local().Format(time.DateTime), state, strings.Join(readersOf(st, p), " ")})
	}
	return report.Table(a.out, []string{"PERIOD", "OF", "BEGUN", "STATE", "OPENED BY"}, rows, colourful(a.out))
}

// readersOf names who can open a period's key.
func readersOf(st vault.Periods, p vault.Period) []string {
	if !p.Destroyed.IsZero() {
		return []string{"nobody"}
	}
	var out []string
	for _, r := range p.Readers {
		if r == st.Server {
			r = "this server"
		}
		out = append(out, certified.Short(r))
	}
	return out
}

func (a *app) vaultResealCmd() *cobra.Command {
	var who reviewer
	cmd := &cobra.Command{Use: "reseal --identity FILE", Short: "Seal the keys of the vault to the reviewers that are configured now",
		Long: "Seal the keys of the vault to the reviewers that are configured now, after one was added or removed.\n" +
			"The keys are sealed anew, not the contents. It takes the key of somebody who can open them; where the\n" +
			"release key is on the server, `stanch serve` does this by itself when it starts.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ids, err := who.identities()
			if err != nil {
				return err
			}
			return a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				return a.reseal(cmd.Context(), d, ids, actor)
			})
		}}
	who.flag(cmd)
	needsIdentity(cmd, "the age secret key, or the private key of the certificate, of a reviewer who can open the vault")
	return cmd
}

func (a *app) reseal(ctx context.Context, d control.Desk, ids []filippo.Identity, actor string) error {
	st, err := d.VaultPeriods(ctx)
	if err != nil {
		return err
	}
	sealed := map[dlp.ID][][]byte{}
	for _, p := range st.Periods {
		if !p.Stale {
			continue
		}
		if sealed[p.ID], err = age.Reseal(p, st.Readers, st.Needed, ids); err != nil {
			return fmt.Errorf("%s: %w", p.ID, theirs(err))
		}
	}
	if len(sealed) > 0 {
		if err := d.ResealVault(ctx, sealed, actor); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.out, "%s sealed anew, to %s.\n", report.Count(len(sealed), "key"), report.Count(len(st.Readers), "reader"))
	return err
}

func (a *app) vaultRotateCmd() *cobra.Command {
	return &cobra.Command{Use: "rotate", Short: "Begin a new period: what is held from now on has new keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDesk(cmd.Context(), func(d control.Desk, actor string) error {
				if err := d.RotateVault(cmd.Context(), actor); err != nil {
					return err
				}
				st, err := d.VaultPeriods(cmd.Context())
				if err != nil {
					return err
				}
				n := len(slices.DeleteFunc(st.Periods, func(p vault.Period) bool { return !p.Ended.IsZero() }))
				_, err = fmt.Fprintf(a.out, "New periods run: %s.\n", report.Count(n, "key"))
				return err
			})
		}}
}
