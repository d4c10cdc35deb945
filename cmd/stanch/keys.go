package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/smtp/route"
)

func (a *app) keysCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Keys and certificates that mail is encrypted to",
		Long: "Keys and certificates that mail is encrypted to: files in encrypt.smime_dir, encrypt.openpgp_dir, encrypt.seen_dir and encrypt.pdf_dir (docs/encryption.md).\n" +
			"A running serve takes a change when it is reloaded (SIGHUP)."}
	cmd.AddCommand(a.keysListCmd(), a.keysTestCmd(), a.keysImportCmd(), a.keysFetchCmd(), a.keysPinCmd(), a.keysRevokeCmd())
	return cmd
}

// keyJSON is a key as list and test print it.
type keyJSON struct {
	Way         dlp.Way     `json:"way"`
	File        string      `json:"file"`
	For         string      `json:"for"`
	Fingerprint string      `json:"fingerprint,omitempty"`
	Trust       ways.Trust  `json:"trust"`
	Source      string      `json:"source,omitempty"`  // the directory it came from
	Fetched     *time.Time  `json:"fetched,omitempty"` // when
	Expires     *time.Time  `json:"expires,omitempty"`
	Seen        *seenJSON   `json:"seen,omitempty"`
	Usable      bool        `json:"usable"`
	Unfit       ways.Reason `json:"unfit,omitempty"`
}

// seenJSON is how a key was seen in mail.
type seenJSON struct {
	Date     time.Time  `json:"date"` // of the newest message
	Domain   string     `json:"domain"`
	Selector string     `json:"selector"`
	Mutual   bool       `json:"mutual"`
	Was      string     `json:"was,omitempty"` // fingerprint of the one that it came in the place of
	Changed  *time.Time `json:"changed,omitempty"`
}

func keyOut(k ways.Key) keyJSON {
	out := keyJSON{Way: k.Way, File: k.File, For: k.For, Fingerprint: k.Fingerprint, Trust: k.Trust, Source: k.Source, Usable: k.Unfit == "", Unfit: k.Unfit}
	if !k.Came.IsZero() {
		t := k.Came.UTC()
		out.Fetched = &t
	}
	if !k.Expires.IsZero() {
		t := k.Expires.UTC()
		out.Expires = &t
	}
	if s := k.Sighting; s != nil {
		out.Seen = &seenJSON{Date: s.At.UTC(), Domain: s.Domain, Selector: s.Selector, Mutual: s.Mutual, Was: s.Was}
		if s.Was != "" {
			t := s.Changed.UTC()
			out.Seen.Changed = &t
		}
	}
	return out
}

// until says when a key ends.
func until(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// trusted is why a key is taken for its owner's, in words.
func trusted(k ways.Key) string {
	if s := k.Sighting; s != nil {
		out := string(k.Trust) + ", by " + s.Domain + " on " + until(s.At)
		if s.Was != "" {
			out += ", changed " + until(s.Changed)
		}
		return out
	}
	return string(k.Trust)
}

// usable is what speaks against a way or a key, in words.
func usable(r ways.Reason) string {
	if r == "" {
		return "yes"
	}
	return "no: " + string(r)
}

func (a *app) keysListCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "list", Short: "List the keys of the folders, and which can be encrypted to", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			w, err := openWays(cfg)
			if err != nil {
				return err
			}
			keys := w.Keys()
			if format == "json" {
				out := []keyJSON{}
				for _, k := range keys {
					out = append(out, keyOut(k))
				}
				return a.printJSON(out)
			}
			if len(keys) == 0 {
				_, err := fmt.Fprintln(a.out, "There are no keys: see encrypt.smime_dir and encrypt.openpgp_dir in docs/encryption.md.")
				return err
			}
			var rows [][]string
			for _, k := range keys {
				rows = append(rows, []string{string(k.Way), k.For, usable(k.Unfit), until(k.Expires), trusted(k), k.Fingerprint})
			}
			return report.Table(a.out, []string{"WAY", "FOR", "USABLE", "EXPIRES", "TRUST", "FINGERPRINT"}, rows, colourful(a.out))
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) keysTestCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "test ADDRESS", Short: "Show which way mail to somebody would go, and why not the others", Args: cobra.ExactArgs(1),
		Long: "Show which way a mail to ADDRESS would go if it had to be encrypted now, and what speaks against the others.\n" +
			"For a domain of encrypt.tls its servers are connected to, and nothing is sent.\n\n" +
			"Exit status: 0 there is a way, 1 there is none and the mail would be held, 2 usage, configuration or I/O error.",
		RunE: func(cmd *cobra.Command, args []string) error {
			at := strings.LastIndexByte(args[0], '@')
			if at < 1 || at == len(args[0])-1 {
				return fmt.Errorf("%q: want an address such as sam@partner.example", args[0])
			}
			rcpt := dlp.Address{Local: args[0][:at], Domain: args[0][at+1:]}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			w, err := openWays(cfg)
			if err != nil {
				return err
			}
			if cfg.SMTP.NextHop != "" {
				r, err := route.New(&cfg.SMTP, route.Deps{AskOnly: true})
				if err != nil {
					return err
				}
				defer r.Close() // it keeps no connection
				w = w.Proving(r.Prove)
			}
			choices := w.Choices(cmd.Context(), dlp.Address{}, rcpt)
			way := dlp.Way("")
			if i := slices.IndexFunc(choices, func(c ways.Choice) bool { return c.Unfit == "" }); i >= 0 {
				way = choices[i].Way
			}
			return a.printChoices(way, choices, format)
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) printChoices(way dlp.Way, choices []ways.Choice, format string) error {
	type choiceJSON struct {
		Way    dlp.Way     `json:"way"`
		Chosen bool        `json:"chosen"`
		Unfit  ways.Reason `json:"unfit,omitempty"`
		By     string      `json:"by,omitempty"`
		Key    *keyJSON    `json:"key,omitempty"`
	}
	out := []choiceJSON{}
	var rows [][]string
	for _, c := range choices {
		x := choiceJSON{Way: c.Way, Chosen: way != "" && c.Way == way, Unfit: c.Unfit, By: c.By}
		row := []string{string(c.Way), usable(c.Unfit), "-", "-", "-"}
		if c.Key != nil {
			k := keyOut(*c.Key)
			x.Key = &k
			row[2], row[3], row[4] = until(c.Key.Expires), trusted(*c.Key), c.Key.File
		}
		if x.Chosen {
			row[1] = "chosen"
		}
		if c.By != "" {
			row[1] += ", by " + c.By
		}
		out, rows = append(out, x), append(rows, row)
	}
	var err error
	if format == "json" {
		err = a.printJSON(struct {
			Way  dlp.Way      `json:"way"`
			Ways []choiceJSON `json:"ways"`
		}{way, out})
	} else {
		err = report.Table(a.out, []string{"WAY", "USABLE", "EXPIRES", "TRUST", "FILE"}, rows, colourful(a.out))
	}
	if err == nil && way == "" {
		fmt.Fprintln(a.errs, "stanch: no way leads there: mail that has to be encrypted for them is held (no_way); docs/encryption.md says what each reason means, and `stanch keys list` shows all keys")
		return exitCode(exitFound)
	}
	return err
}

func (a *app) keysImportCmd() *cobra.Command {
	var whom string
	var replace, seen bool
	cmd := &cobra.Command{Use: "import FILE...", Short: "Put a key or certificate into its folder",
		Long: "Put the key or certificate in FILE into its folder.\n\n" +
			"With --seen, read mail that came in, a message or a mailbox (mbox) in each FILE or standard input, and keep the keys (Autocrypt) and certificates (S/MIME)\n" +
			"of senders whose domain signed the message (DKIM), in encrypt.seen_dir.\n\n" +
			"Exit status: 0 kept, 1 kept and cannot be used, 2 usage, configuration or I/O error. With --seen: 0 all was read, whatever was found, 75 try again, 2 as before.",
		Args: func(cmd *cobra.Command, args []string) error {
			if seen {
				return nil
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if seen {
				if whom != "" || replace {
					return errors.New("--seen takes neither --for nor --replace: the message says whose a key is, and when it was")
				}
				return a.importSeen(cmd.Context(), args)
			}
			return a.importKey(args[0], whom, replace)
		}}
	cmd.Flags().StringVar(&whom, "for", "", "whose it is, an address or for a certificate a domain; else the one address that it names")
	cmd.Flags().BoolVar(&replace, "replace", false, "put it in the place of another key")
	cmd.Flags().BoolVar(&seen, "seen", false, "read mail that came in, and keep what keys its senders' domains signed")
	return cmd
}

// importKey puts the key in the file at path into its folder.
func (a *app) importKey(path, whom string, replace bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, openpgp.MaxKey+1))
	if err != nil {
		return err
	}
	k, err := ways.Import(cfg.Encrypt, b, whom, replace, time.Now)
	switch {
	case errors.Is(err, ways.ErrWhose):
		return fmt.Errorf("%s: %w, with --for ADDRESS", path, err)
	case errors.Is(err, ways.ErrThere):
		return fmt.Errorf("%s: %w for them: look at it with `stanch keys list`, and give --replace", path, err)
	case errors.Is(err, ways.ErrNoFolder):
		return fmt.Errorf("%s: %w: set encrypt.openpgp_dir or encrypt.smime_dir", path, err)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(a.out, "%s, fingerprint %s, for %s: can be encrypted to: %s\nCompare the fingerprint with its owner. %s\n", k.File, k.Fingerprint, k.For, usable(k.Unfit), reloading)
	if k.Unfit != "" {
		return exitCode(exitFound)
	}
	return nil
}

func (a *app) keysPinCmd() *cobra.Command {
	return &cobra.Command{Use: "pin ADDRESS FINGERPRINT", Short: "Have only this key count for an address, whatever address it names", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.ContainsAny(args[0], " \t\r\n") || !strings.Contains(args[0], ".") {
				return fmt.Errorf("%q: want an address such as sam@partner.example", args[0])
			}
			return a.trustKey(args[1], func(c ways.Config, print string) error { return ways.Pin(c, print, args[0]) })
		}}
}

func (a *app) keysRevokeCmd() *cobra.Command {
	return &cobra.Command{Use: "revoke FINGERPRINT", Short: "Have a key never be used again, whoever has it", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.trustKey(args[0], ways.Revoke) }}
}

// trustKey says something about a key.
func (a *app) trustKey(fingerprint string, say func(ways.Config, string) error) error {
	print, ok := ways.ParseFingerprint(fingerprint)
	if !ok {
		return fmt.Errorf("%q: want a whole fingerprint: 40 hex digits of an OpenPGP key, 64 (SHA-256) of a certificate; see `stanch keys list`", fingerprint)
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if err := say(cfg.Encrypt, print); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, reloading)
	return err
}
