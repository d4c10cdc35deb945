package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/crypt/keydir"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func (a *app) keysFetchCmd() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{Use: "fetch ADDRESS", Short: "Ask directories for somebody's key, and put it into its folder", Args: cobra.ExactArgs(1),
		Long: "Ask the Web Key Directory of ADDRESS's domain, then those of encrypt.directories and of encrypt.ldap, for a key or a certificate.\n" +
			"What is found lies in its folder and does not count until it is pinned (keys pin), or for a certificate until an authority of encrypt.smime_roots stands behind it.\n\n" +
			"Exit status: 0 something was found, 1 nothing was, 2 usage, configuration or I/O error.",
		RunE: func(cmd *cobra.Command, args []string) error {
			at := strings.LastIndexByte(args[0], '@')
			if at < 1 || at == len(args[0])-1 || strings.ContainsAny(args[0], " \t\r\n/") {
				return fmt.Errorf("%q: want an address such as sam@partner.example", args[0])
			}
			whom := dlp.Address{Local: args[0][:at], Domain: args[0][at+1:]}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			found := false
			take := func(where string, b []byte, from string, err error) error {
				if errors.Is(err, keydir.ErrNone) || errors.Is(err, keydir.ErrAnswer) {
					fmt.Fprintf(a.out, "%s: %v\n", where, err)
					return nil
				}
				if err != nil {
					return err
				}
				k, err := ways.ImportFetched(cfg.Encrypt, b, args[0], from, replace, time.Now)
				switch {
				case errors.Is(err, ways.ErrThere):
					fmt.Fprintf(a.out, "%s: %v for them: look at it with `stanch keys list`, and give --replace\n", where, err)
					return nil
				case err != nil:
					fmt.Fprintf(a.out, "%s: not taken: %v\n", where, err)
					return nil
				}
				found = true
				fmt.Fprintf(a.out, "%s: %s, fingerprint %s, expires %s, trust %s: can be encrypted to: %s\n", where, k.File, k.Fingerprint, until(k.Expires), k.Trust, usable(k.Unfit))
				return nil
			}
			b, from, err := keydir.Finder{}.WKD(cmd.Context(), whom)
			if err := take("Web Key Directory", b, from, err); err != nil {
				return err
			}
			for _, d := range cfg.Encrypt.Directories {
				b, from, err := keydir.Finder{}.HTTP(cmd.Context(), d, whom)
				if err := take(d, b, from, err); err != nil {
					return err
				}
			}
			if err := askLDAP(cmd.Context(), cfg, whom, take); err != nil {
				return err
			}
			if !found {
				return exitCode(exitFound)
			}
			_, err = fmt.Fprintf(a.out, "Compare a fingerprint with its owner, then `stanch keys pin %s FINGERPRINT`. %s\n", args[0], reloading)
			return err
		}}
	cmd.Flags().BoolVar(&replace, "replace", false, "put it in the place of another key")
	return cmd
}

// askLDAP has take have the certificate that each directory of encrypt.ldap has for
// whom to encrypt to.
func askLDAP(ctx context.Context, cfg *config.Config, whom dlp.Address, take func(where string, b []byte, from string, err error) error) error {
	ber.MaxPacketLengthBytes = 4 * keydir.MaxKey // go-ldap's reader takes 2 GiB at a server's word otherwise; this process asks nobody else
	for i, d := range cfg.Encrypt.LDAP {
		f, as, err := ldapFinder(d)
		if err != nil {
			return cfg.At(fmt.Sprintf("encrypt.ldap[%d]", i), err)
		}
		certs, from, err := f.LDAP(ctx, d.URL, as, whom)
		if err != nil {
			if err := take(d.URL, nil, from, err); err != nil {
				return err
			}
			continue
		}
		if err := take(d.URL, toEncrypt(certs, whom, time.Now()), from, nil); err != nil {
			return err
		}
	}
	return nil
}

// toEncrypt is the certificate among certs, of which there is one, that lasts longest of those of whom that
// can be encrypted to at now; where none can be the first.
func toEncrypt(certs [][]byte, whom dlp.Address, now time.Time) []byte {
	best, until := certs[0], time.Time{}
	for _, b := range certs {
		block, _ := pem.Decode(b)
		if block == nil {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err == nil && (smime.Trust{Pinned: true}).Check(c, nil, whom, now) == nil && c.NotAfter.After(until) {
			best, until = b, c.NotAfter
		}
	}
	return best
}

// ldapFinder is how the directory d is asked, and as whom.
func ldapFinder(d ways.LDAP) (f keydir.Finder, as keydir.Binding, err error) {
	if d.CA != "" {
		b, err := os.ReadFile(d.CA)
		if err != nil {
			return f, as, err
		}
		f.Roots = x509.NewCertPool()
		if !f.Roots.AppendCertsFromPEM(b) {
			return f, as, fmt.Errorf("%s: want certificates in PEM", d.CA)
		}
	}
	if d.BindDN == "" {
		return f, as, nil
	}
	info, err := os.Stat(d.PasswordFile)
	if err != nil {
		return f, as, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f, as, fmt.Errorf("%s: mode %04o: other users can read this password; make it 0600", d.PasswordFile, info.Mode().Perm())
	}
	b, err := os.ReadFile(d.PasswordFile)
	return f, keydir.Binding{DN: d.BindDN, Password: strings.TrimRight(string(b), "\r\n")}, err
}
