package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/report"
)

func (a *app) auditCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Check and hand over the tamper-evident log"}
	cmd.AddCommand(a.auditVerifyCmd(), a.auditExportCmd())
	return cmd
}

func (a *app) auditVerifyCmd() *cobra.Command {
	var format, proof, key string
	var kept []string
	cmd := &cobra.Command{Use: "verify", Short: "Prove that no event was removed or changed", Args: cobra.NoArgs,
		Long: "Recompute the whole log, its hashes, its signed checkpoint and the head kept outside it. With --checkpoint also prove\n" +
			"that the log goes on from a checkpoint that was kept elsewhere: what it told then is still in it, unchanged.\n\n" +
			"With --proof FILE, a proof that the console's audit page handed out, and --key FILE, the public key audit.key.pub of the\n" +
			"log's data folder, check instead that the event stood in the log. That needs neither the log nor this installation.\n\n" +
			"Exit status: 0 holds, 1 does not, 2 could not be checked.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if proof != "" {
				return a.verifyProof(proof, key)
			}
			p, err := a.place()
			if err != nil {
				return err
			}
			a.warnOf(p)
			marks, err := readCheckpoints(kept)
			if err != nil {
				return err
			}
			r, err := audit.Verify(cmd.Context(), auditDir(p.dir), anchorPath(p.dir), auditKey(p.dir), marks...)
			if errors.Is(err, audit.ErrBroken) {
				fmt.Fprintln(a.errs, "stanch:", err)
				return exitCode(exitFound)
			}
			if _, lerr := os.Stat(lockPath(p.dir)); err != nil && errors.Is(lerr, fs.ErrNotExist) {
				return fmt.Errorf("data_dir %s: %w", p.dir, errNoData)
			}
			if err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(auditView(r))
			}
			_, err = fmt.Fprintf(a.out, "The audit log holds: %s.\n", r)
			if err == nil && r.Torn > 0 {
				_, err = fmt.Fprintf(a.out, "%d bytes behind the last event are being written, or were cut short by a crash: the next start removes them.\n", r.Torn)
			}
			return err
		}}
	cmd.Flags().StringArrayVar(&kept, "checkpoint", nil, "`FILE` with a checkpoint that was kept elsewhere; may be given more than once")
	cmd.Flags().StringVar(&proof, "proof", "", "`FILE` with the proof of an event, to be checked without the log")
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with the log's public key, for --proof")
	formatFlag(cmd, &format, "text", "text", "json")
	cmd.MarkFlagsRequiredTogether("proof", "key")
	cmd.MarkFlagsMutuallyExclusive("proof", "checkpoint")
	cmd.MarkFlagsMutuallyExclusive("proof", "format")
	return cmd
}

// verifyProof checks the proof of an event, and prints the event.
func (a *app) verifyProof(name, key string) error {
	var e audit.Evidence
	if err := readProof(name, &e); err != nil {
		return err
	}
	if len(e.Events) == 0 {
		return fmt.Errorf("%s: want the proof of an event, as the console's audit page hands it out", name)
	}
	if err := a.proved(&e, key); err != nil {
		return err
	}
	for _, p := range e.Events {
		if _, err := fmt.Fprintln(a.out, p.Line); err != nil {
			return err
		}
	}
	return nil
}

// maxProof bounds a file with proofs, in bytes.
const maxProof = 64 << 20

// readProof reads the JSON file name into out.
func readProof(name string, out any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if err := json.NewDecoder(io.LimitReader(f, maxProof)).Decode(out); err != nil {
		return fmt.Errorf("%s: want JSON with a proof, as stanch hands it out", name) // the decoder's text may quote it
	}
	return nil
}

// proved checks e by the public key in the file key, and says what it proves.
func (a *app) proved(e *audit.Evidence, key string) error {
	if key == "" {
		return errors.New("--key: want the file of the log's public key, audit.key.pub of its data folder")
	}
	public, err := os.ReadFile(key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	err = e.Check(string(public))
	if errors.Is(err, audit.ErrNotProved) {
		fmt.Fprintln(a.errs, "stanch:", strings.ReplaceAll(err.Error(), "\n", ": "))
		return exitCode(exitFound)
	}
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "The proof holds: %s of a log of %d lines, root %s.\n", report.Count(len(e.Events), "event"), e.Size, e.Root)
	return err
}

// readCheckpoints reads files of one checkpoint each.
func readCheckpoints(names []string) ([][]byte, error) {
	var out [][]byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--checkpoint: %w", err)
		}
		out = append(out, b)
	}
	return out, nil
}

// auditView is `audit verify --format json`.
type auditView struct {
	Events    uint64 `json:"events"`
	Anchored  uint64 `json:"anchored"` // of them, under the signed head
	Bytes     int64  `json:"bytes"`
	Torn      int64  `json:"torn"` // bytes behind the last event
	Root      string `json:"root"`
	Closed    bool   `json:"closed"`
	PublicKey string `json:"public_key"`
}

func (a *app) auditExportCmd() *cobra.Command {
	var since, until string
	cmd := &cobra.Command{Use: "export", Short: "Print the events as JSON lines", Args: cobra.NoArgs,
		Long: "Print the events as JSON lines, as they stand in the log. Works while serve runs.\n" +
			"It does not prove them: that is `stanch audit verify`.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.place()
			if err != nil {
				return err
			}
			a.warnOf(p)
			from, err := day("since", since)
			if err != nil {
				return err
			}
			to, err := day("until", until)
			if err != nil {
				return err
			}
			return audit.ExportDir(cmd.Context(), auditDir(p.dir), a.out, from, to)
		}}
	cmd.Flags().StringVar(&since, "since", "", "not before this time (2026-01-31 or 2026-01-31T15:04:05Z)")
	cmd.Flags().StringVar(&until, "until", "", "before this time")
	return cmd
}

// day reads a time flag; an empty one is the zero time.
func day(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s: want a time such as 2026-01-31 or 2026-01-31T15:04:05Z", flag)
}
