package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/crypt/keydir"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func (a *app) keysFetchCmd() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{Use: "fetch ADDRESS", Short: "Ask directories for somebody's key, and put it into its folder", Args: cobra.ExactArgs(1),
		Long: "Ask the Web Key Directory of ADDRESS's domain, then those of encrypt.directories, for a key or a certificate.\n" +
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
			if !found {
				return exitCode(exitFound)
			}
			_, err = fmt.Fprintf(a.out, "Compare a fingerprint with its owner, then `stanch keys pin %s FINGERPRINT`. %s\n", args[0], reloading)
			return err
		}}
	cmd.Flags().BoolVar(&replace, "replace", false, "put it in the place of another key")
	return cmd
}
