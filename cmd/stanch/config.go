package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/dkim"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/notify/siem"
	"github.com/stanch-dlp/stanch/internal/tables"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Validate and print the configuration, or write a starter"}
	cmd.AddCommand(
		&cobra.Command{Use: "check", Short: "Validate the configuration and the rules it names", Args: cobra.NoArgs,
			Long: "Validate the configuration, load the rules it names and run their tests, and open the certificates, keys and\n" +
				"password files it names. What the user that serves may read is best told as that user.\n\n" +
				"Exit status: 0 holds, 1 does not, 2 could not be checked.",
			RunE: func(cmd *cobra.Command, _ []string) error { return a.configCheck(cmd) }},
		&cobra.Command{Use: "show", Short: "Print the effective configuration, secrets masked", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				cfg, err := a.loadOrDefault()
				if err != nil {
					return err
				}
				b, err := cfg.Effective()
				if err != nil {
					return err
				}
				_, err = a.out.Write(b)
				return err
			}},
		&cobra.Command{Use: "init", Short: "Print a commented starter configuration", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := a.out.Write(config.Starter())
				return err
			}},
	)
	return cmd
}

// named opens the files that the configuration names beside the rules, as
// serve does: certificates, keys, and who may log in.
func named(cfg *config.Config) error {
	_, err := cfg.SMTP.LoadTLS(nil)
	errs := []error{cfg.At("smtp.tls_cert", err)}
	if cfg.SMTP.Auth.Users != "" {
		_, err = smtp.LoadUsers(cfg.SMTP.Auth.Users, nil)
		errs = append(errs, cfg.At("smtp.auth.users", err))
	}
	if cfg.SMTP.NextHop != "" {
		r, err := route.New(&cfg.SMTP, route.Deps{AskOnly: true})
		if err == nil {
			err = r.Close()
		}
		errs = append(errs, atRoute(cfg, err))
	}
	errs = append(errs, badSecrets(cfg)...)
	_, err = dkim.New(cfg.DKIM)
	return errors.Join(append(errs, cfg.At("dkim.key", err))...)
}

// badSecrets says what is wrong with the files of secrets of [console.oidc] and
// [[siem]], with the line of their keys.
func badSecrets(cfg *config.Config) (errs []error) {
	if _, err := openOIDC(cfg); err != nil {
		errs = append(errs, err)
	}
	for _, err := range siem.Check(cfg.SIEM) {
		if e, ok := errors.AsType[*dlp.KeyError](err); ok {
			err = cfg.At(e.Key, errors.New("expected "+e.Want))
		}
		errs = append(errs, err)
	}
	return errs
}

// atRoute is an error of the next hops with the key of the file at fault.
func atRoute(cfg *config.Config, err error) error {
	if e, ok := errors.AsType[*smtp.FileError](err); ok {
		return cfg.At(cfg.SMTP.KeyOf(e), e.Err)
	}
	return cfg.At("smtp.next_hop", err)
}

// missingFolders names the watched folders that are not there: they may come, with
// a share that is mounted later, and until then nothing in them is read.
func missingFolders(cfg *config.Config) (errs []error) {
	for i, w := range cfg.Watch {
		if fi, err := os.Stat(w.Path); err != nil || !fi.IsDir() {
			errs = append(errs, cfg.At(fmt.Sprintf("watch[%d].path", i), errors.New("no folder is there, or it may not be read: nothing is watched until it is")))
		}
	}
	return errs
}

// configCheck loads what serve would load, rules and their tests included.
func (a *app) configCheck(cmd *cobra.Command) (err error) {
	cfg, err := a.load()
	if err != nil {
		if errors.Is(err, errNoConfig) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return err // nothing was checked
		}
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	if info, err := os.Stat(cfg.DataDir); err == nil && !info.IsDir() {
		fmt.Fprintln(a.errs, cfg.At("data_dir", fmt.Errorf("want a folder: %s is something else", cfg.DataDir)))
		return exitCode(exitFound)
	}
	if cfg.Extract.Sandbox == extract.SandboxPartial || cfg.Extract.Sandbox == extract.SandboxOff {
		fmt.Fprintf(a.errs, "stanch: WARNING: %v\n", cfg.At("extract.sandbox",
			fmt.Errorf("%q: a parser that a document takes over may not be held (docs/sandbox.md)", cfg.Extract.Sandbox)))
	}
	ex, err := newExtract(cfg, nil, nil)
	if _, ok := errors.AsType[*extract.PasswordsError](err); ok {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("%w: run this as the user that serves", err) // not checked
		}
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	src, err := a.withPatients(cfg, rulesOf(cfg))
	var t *tables.Table
	if err == nil {
		t, err = a.table(cfg)
	}
	var j *judges
	if err == nil {
		j, err = newJudges(cmd.Context(), cfg, src, t, ex)
	}
	if err != nil {
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	for _, never := range neverHolds(cfg, j.set) {
		fmt.Fprintf(a.errs, "stanch: WARNING: %v\n", never)
	}
	if err := socketsAgree(cmd.Context(), cfg); err != nil {
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	if err := named(cfg); err != nil {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("%w: run this as the user that serves", err) // not checked
		}
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	for _, poor := range poorMailKeys(cmd.Context(), cfg) {
		fmt.Fprintf(a.errs, "stanch: WARNING: %v\n", poor)
	}
	for _, missing := range missingFolders(cfg) {
		fmt.Fprintf(a.errs, "stanch: WARNING: %v\n", missing)
	}
	if unfit := unfitRecipients(cfg); len(unfit) > 0 {
		fmt.Fprintln(a.errs, errors.Join(unfit...))
		return exitCode(exitFound)
	}
	if _, err := reviewersOf(cfg); err != nil {
		fmt.Fprintln(a.errs, err)
		return exitCode(exitFound)
	}
	if len(cfg.Encrypt.TLS.Domains) > 0 && !slices.ContainsFunc(cfg.SMTP.AllRoutes(), provesItself) {
		fmt.Fprintf(a.errs, "stanch: NOTE: %v\n", cfg.At("encrypt.tls.domains", errors.New("the way tls is never chosen: no route has its servers prove whose they are, by tls = \"dane\", \"mta-sts\" or \"verified\" (docs/encryption.md)")))
	}
	if cfg.Vault.ReviewersOnly {
		fmt.Fprintf(a.errs, "stanch: NOTE: %v\n", cfg.At("vault.reviewers_only", errors.New("the next start of serve takes the release key away for good: from then on only the reviewers' keys open what is held, and losing them loses it (docs/vault.md)")))
	}
	_, err = fmt.Fprintf(a.out, "%s holds.\n", cfg.File)
	return err
}

// provesItself reports whether servers on r have to prove to be their recipients'.
func provesItself(r smtp.Route) bool {
	return slices.Contains([]string{smtp.TLSDANE, smtp.TLSSTS, smtp.TLSVerified}, r.TLS) && (!r.AnyRcpt() || r.Groups()[0][0].Kind == smtp.TargetMX)
}
