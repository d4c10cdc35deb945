package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// valueDigest is the digest by which the site's rules name values; nil where
// there is no data folder. The key is looked for until it is there: the first
// start makes it after the rules are loaded.
func valueDigest(cfg *config.Config) func([]byte) string {
	if cfg.File == "" {
		return nil
	}
	var mu sync.Mutex
	var digest func([]byte) string
	return func(canonical []byte) string {
		mu.Lock()
		defer mu.Unlock()
		if digest == nil {
			d, err := crypt.ValueDigests(keysDir(cfg.DataDir))
			if err != nil {
				return ""
			}
			digest = d
		}
		return digest(canonical)
	}
}

func (a *app) rulesDigestCmd() *cobra.Command {
	var f ruleFlags
	var id string
	var senders bool
	cmd := &cobra.Command{Use: "digest (--rule ID | --sender)", Short: "Print keyed digests of values, for an allowlist that names no PHI", Args: cobra.NoArgs,
		Long: "Read values from standard input, one a line, and print the keyed digest of each, for `digests` of an allowlist of that rule;\n" +
			"with --sender of addresses, for its `senders`.\n" +
			"The key is the data folder's, so a digest holds on this installation, and says nothing to who has the rule file alone.\n" +
			"Run this as the user that serve runs as.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadOrDefault()
			if err != nil {
				return err
			}
			set, err := patterns.Load(cmd.Context(), f.source(cfg), nil)
			if err != nil {
				return err
			}
			of := patterns.SenderValue
			if !senders {
				rule := set.Rule(dlp.RuleID(id))
				if rule == nil {
					return fmt.Errorf("--rule: want the id of a rule; see `stanch rules list`")
				}
				of = func(line string) []byte { return scanner.Canonical(rule.Type, line) }
			}
			digest, err := crypt.ValueDigests(keysDir(cfg.DataDir))
			if err != nil {
				return fmt.Errorf("data_dir %s: %w", cfg.DataDir, err)
			}
			return printDigests(a.in, a.out, of, digest)
		}}
	f.add(cmd)
	cmd.Flags().StringVar(&id, "rule", "", "the rule that finds these values")
	cmd.Flags().BoolVar(&senders, "sender", false, "the lines are addresses of senders")
	cmd.MarkFlagsOneRequired("rule", "sender")
	cmd.MarkFlagsMutuallyExclusive("rule", "sender")
	return cmd
}

// errNoValue says nothing of what was read.
var errNoValue = errors.New("standard input: want values, one a line")

func printDigests(in io.Reader, out io.Writer, of func(line string) []byte, digest func([]byte) string) error {
	lines := bufio.NewScanner(in)
	n := 0
	for lines.Scan() {
		value := strings.TrimSpace(lines.Text())
		if value == "" {
			continue
		}
		canonical := of(value)
		if len(canonical) == 0 {
			return errNoValue
		}
		if _, err := fmt.Fprintln(out, digest(canonical)); err != nil {
			return err
		}
		n++
	}
	if lines.Err() != nil || n == 0 {
		return errNoValue
	}
	return nil
}
