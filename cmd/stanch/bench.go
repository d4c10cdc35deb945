package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/rulebench"
	"github.com/stanch-dlp/stanch/internal/survey"
)

// benchFlags are the flags of rules bench.
type benchFlags struct {
	ruleFlags
	format string
	runs   int
	most   int
}

func (a *app) rulesBenchCmd() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{Use: "bench [PATH...]", Short: "Measure what each rule costs on text of your own",
		Long: "Read files and folders as scan does, once, and measure on their text what each rule costs: the time of a scan for it alone\n" +
			"over that of a scan for nothing, and the time of a scan for all rules over that of a scan for all others, each the median\n" +
			"of scans taken in turns. Rules share most of their work, so the first adds up to more than a scan for all takes.\n" +
			"With --rules only the rules of those files are measured, beside all the others.\n" +
			"Without a PATH: the frozen texts of testdata/bench, in a checkout of stanch only.\n\n" +
			"Exit status: 0 measured, 2 usage, configuration or I/O error, 3 something could not be read.",
		RunE: func(cmd *cobra.Command, args []string) error { return a.rulesBench(cmd.Context(), &f, args) }}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "use these rules only, by id")
	cmd.Flags().IntVar(&f.runs, "runs", 5, "scans of each kind that the median is taken of")
	cmd.Flags().IntVar(&f.most, "max-mib", rulebench.DefaultMaxBytes>>20, "MiB of text that are kept and scanned")
	formatFlag(cmd, &f.format, "table", "table", "json")
	return cmd
}

// frozen is the texts that a checkout has to measure on.
var frozen = []string{"prose.txt", "csv.txt", "hl7.txt", "dense.txt"}

// benchPaths is args, or in a checkout the frozen texts.
func benchPaths(args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	for _, name := range frozen {
		path := filepath.Join("testdata", "bench", name)
		if _, err := os.Stat(path); err != nil {
			return nil, errors.New("want a PATH: files or a folder of the kind of text that is to be scanned")
		}
		args = append(args, path)
	}
	return args, nil
}

func (a *app) rulesBench(ctx context.Context, f *benchFlags, args []string) (err error) {
	switch {
	case f.runs < 1:
		return errors.New("--runs: want 1 or more")
	case f.most < 1:
		return errors.New("--max-mib: want 1 or more")
	}
	paths, err := benchPaths(args)
	if err != nil {
		return err
	}
	set, err := a.rulesFor(ctx, &f.ruleFlags, nil)
	if err != nil {
		return onlyInWords(err)
	}
	ex, err := newExtract(set.cfg, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	stdin, closeStdin := a.stdin()
	defer closeStdin()
	corpus, gaps := &rulebench.Corpus{MaxBytes: int64(f.most) << 20}, false
	failed, err := survey.Extract(ctx, ex, stdin, paths, func(string) survey.TextSink { return &benchSink{corpus.Document(), &gaps} })
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return a.allRead(failed, gaps)
	}
	if corpus.Bytes() == 0 {
		return errors.New("want text to measure on: there is none in these files")
	}
	if corpus.Cut() {
		fmt.Fprintf(a.errs, "stanch: only the first %d MiB of text or less are measured (--max-mib)\n", f.most)
	}
	if corpus.Bytes() < littleText {
		fmt.Fprintf(a.errs, "stanch: only %d bytes of text, scanned again and again: of so little, counts a MB say nothing of other texts; give at least %d KiB\n",
			corpus.Bytes(), littleText>>10)
	}
	tick := func(done, of int) {
		if movable(a.errs) {
			fmt.Fprintf(a.errs, "\r\x1b[Kscan %d of %d", done, of) // ECMA-48 8.3.41, EL
			if done == of {
				fmt.Fprint(a.errs, "\r\x1b[K")
			}
		}
	}
	res, err := rulebench.Run(ctx, set.Set, set.Rules(), corpus, f.runs, tick)
	if err != nil {
		return err
	}
	if err := a.printBench(&res, f.format); err != nil {
		return err
	}
	return a.allRead(nil, gaps)
}

// littleText is how much text is too little to tell what is rare or common in its kind,
// in bytes.
const littleText = 64 << 10

// benchSink notes whether something was not read.
type benchSink struct {
	dlp.Sink
	gaps *bool
}

func (s *benchSink) Gap(dlp.Gap) error { *s.gaps = true; return nil }
func (s *benchSink) Close() error      { return nil }

// benchRow is one rule of `rules bench --format json`.
type benchRow struct {
	Rule       dlp.RuleID `json:"rule"`
	Share      float64    `json:"share"`
	Alone      float64    `json:"alone_ms_per_mb"`
	Added      float64    `json:"added_ms_per_mb"`
	Candidates int        `json:"candidates"`
	Findings   int        `json:"findings"`
	Slow       []slowView `json:"slow"`
}

type slowView struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// benchView is `rules bench --format json`.
type benchView struct {
	Bytes   int64      `json:"bytes"`
	Repeats int        `json:"repeats"`
	All     float64    `json:"all_ms_per_mb"`
	Nothing float64    `json:"nothing_ms_per_mb"`
	Rules   []benchRow `json:"rules"`
}

func (a *app) printBench(res *rulebench.Result, format string) error {
	mb := float64(res.Bytes) / 1e6
	perMB := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 / mb }
	var sum time.Duration
	for i := range res.Rules {
		sum += res.Rules[i].Alone
	}
	var slow []string
	v := benchView{Bytes: res.Bytes, Repeats: res.Repeats, All: perMB(res.All), Nothing: perMB(res.Nothing), Rules: []benchRow{}}
	for i := range res.Rules {
		c := &res.Rules[i]
		row := benchRow{Rule: c.Rule.ID, Share: float64(c.Alone) / float64(max(1, sum)), Alone: perMB(c.Alone), Added: perMB(c.Added),
			Candidates: c.Candidates, Findings: c.Findings, Slow: []slowView{}}
		for _, k := range c.Slow {
			p := &c.Rule.Patterns[k]
			row.Slow = append(row.Slow, slowView{p.File, p.Line, rulebench.Reason})
			slow = append(slow, fmt.Sprintf("warning: %s:%d: %s.patterns[%d].regex: a beginning that is rarer in text", p.File, p.Line, c.Rule.ID, k))
		}
		v.Rules = append(v.Rules, row)
	}
	if format == "json" {
		return a.printJSON(v)
	}
	var cells [][]string
	for _, r := range v.Rules {
		cells = append(cells, []string{string(r.Rule), fmt.Sprintf("%.1f %%", 100*r.Share), fmt.Sprintf("%.3f", r.Alone), fmt.Sprintf("%.3f", r.Added),
			fmt.Sprint(r.Candidates), fmt.Sprint(r.Findings), fmt.Sprintf("%.1f", float64(r.Candidates)/mb), fmt.Sprintf("%.1f", float64(r.Findings)/mb)})
	}
	header := []string{"RULE", "SHARE", "ALONE ms/MB", "ADDED ms/MB", "CANDIDATES", "FINDINGS", "CANDIDATES/MB", "FINDINGS/MB"}
	if err := report.Table(a.out, header, cells, colourful(a.out)); err != nil {
		return err
	}
	for _, line := range slow {
		fmt.Fprintln(a.errs, line)
	}
	if len(slow) > 0 {
		fmt.Fprintf(a.errs, "Of these, %s.\n", rulebench.Reason)
	}
	_, err := fmt.Fprintf(a.out, "%s on %.3g MB of text: all of the set %.3f ms/MB (%.0f MB/s), of which reading and normalising %.3f.\n",
		report.Count(len(v.Rules), "rule"), mb, v.All, 1000/max(v.All, 1e-6), v.Nothing)
	return err
}
