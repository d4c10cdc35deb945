package main

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/dkim"
)

func (a *app) dkimCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "dkim", Short: "The key that stanch signs its own messages with"}
	cmd.AddCommand(a.dkimInitCmd(), a.dkimRecordCmd())
	return cmd
}

func (a *app) dkimInitCmd() *cobra.Command {
	c := dkim.Config{}
	var kind string
	cmd := &cobra.Command{Use: "init --domain DOMAIN", Short: "Make a key, and print the DNS record and the configuration that go with it",
		Long: "Make a key in a new file (0600), and print the DNS record to publish and the section for stanch.toml.\n\n" +
			"Publish the record first: what is signed before it can be seen does not verify.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if kind != dkim.RSA && kind != dkim.Ed25519 {
				return fmt.Errorf("--type: want %s or %s", dkim.RSA, dkim.Ed25519)
			}
			if err := c.Validate(); err != nil {
				return err
			}
			key, err := dkim.Make(kind, c.Key)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("--out: %s is there already, and no key is ever written over; name a new file", c.Key)
			}
			if err != nil {
				return fmt.Errorf("--out %s: %w", c.Key, err)
			}
			if err := a.dkimRecord(c, key); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "\n# in stanch.toml, once the record can be seen:\n[dkim]\ndomain   = %q\nselector = %q\nkey      = %q\n",
				c.Domain, c.Selector, c.Key)
			return err
		}}
	cmd.Flags().StringVar(&c.Domain, "domain", "", "the domain that signs, such as clinic.example")
	cmd.Flags().StringVar(&c.Selector, "selector", "stanch1", "the key's name below _domainkey.DOMAIN")
	cmd.Flags().StringVar(&c.Key, "out", "dkim.pem", "the new file for the private key")
	cmd.Flags().StringVar(&kind, "type", dkim.RSA, "rsa (every verifier knows it) | ed25519")
	_ = cmd.MarkFlagRequired("domain") // the flag exists
	return cmd
}

func (a *app) dkimRecordCmd() *cobra.Command {
	return &cobra.Command{Use: "record", Short: "Print the DNS record of the configured key", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if !cfg.DKIM.On() {
				return errors.New("there is no [dkim] in the configuration: `stanch dkim init` makes a key")
			}
			key, err := dkim.ReadKey(cfg.DKIM.Key)
			if err != nil {
				return fmt.Errorf("dkim.key: %w", err)
			}
			return a.dkimRecord(cfg.DKIM, key)
		}}
}

func (a *app) dkimRecord(c dkim.Config, key crypto.Signer) error {
	record, err := dkim.Record(key)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, dkim.Zone(c.Domain, c.Selector, record))
	return err
}
