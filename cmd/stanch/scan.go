package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// scanFlags are the flags of scan.
type scanFlags struct {
	ruleFlags
	format  string
	minimum string
	reveal  bool
	jobs    int
}

func (a *app) scanCmd() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{Use: "scan [PATH...]", Short: "Scan files and folders, or - for standard input; change nothing",
		Long: "Scan files and folders, or - for standard input, print what is found, and change nothing.\n" +
			"Without a PATH: standard input where something is piped into it, else the current folder.\n\n" +
			"csv is for spreadsheets, sarif for tools that gather results, html a page that says where, how sure and why.\n" +
			"Values are masked in every format unless --reveal is given; file names stand as they are.\n\n" +
			"Exit status: 0 nothing found and all read, 1 findings, 2 usage, configuration or I/O error,\n" +
			"3 no findings, but something could not be read.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scan(cmd.Context(), &f, a.orHere(args))
		}}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "use these rules only, by id")
	cmd.Flags().StringVar(&f.minimum, "min-confidence", "medium", "what is printed and counts for the exit status: low | medium | high")
	cmd.Flags().BoolVar(&f.reveal, "reveal", false, "print the matched values too")
	cmd.Flags().IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "documents at once")
	def := "jsonl"
	if onTerminal(a.out) {
		def = "table"
	}
	formatFlag(cmd, &f.format, def, report.Formats()...)
	return cmd
}

func (a *app) scan(ctx context.Context, f *scanFlags, paths []string) (err error) {
	var minimum dlp.Confidence
	if err := minimum.UnmarshalText([]byte(f.minimum)); err != nil {
		return fmt.Errorf("--min-confidence: %w", err)
	}
	if f.jobs < 1 {
		return errors.New("--jobs: want 1 or more")
	}
	cfg, err := a.loadOrDefault()
	if err != nil {
		return err
	}
	cfg.Extract.Workers = f.jobs
	ex, err := a.readers(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	src, err := a.withPatients(cfg, f.source(cfg))
	if err != nil {
		return err
	}
	t, err := a.table(cfg)
	if err != nil {
		return err
	}
	src.Tested = true
	j, err := newJudges(ctx, cfg, src, t, ex)
	if err != nil {
		return onlyInWords(err)
	}
	out, err := report.New(f.format, a.out, report.Options{Colour: colourful(a.out), Reveal: f.reveal, MinConfidence: minimum,
		Version: version, RuleSet: j.set.Digest(), Rules: reportRules(j.set), Now: time.Now()})
	if err != nil {
		return err
	}
	stdin, closeStdin := a.stdin()
	defer closeStdin()
	s := &survey.Survey{
		Extract: ex,
		Detect: func(seen func(dlp.Finding, []byte)) survey.Detection {
			return j.scanner.Begin(scanner.Options{OnFinding: seen})
		},
		Policy: asGateway{j}, Mask: scanner.MaskFindings, RuleSet: j.set.Digest(), Stdin: stdin,
		Jobs: f.jobs, MinConfidence: minimum, Reveal: f.reveal, Places: f.format == "sarif",
	}
	if f.format == "html" || f.format == "table" {
		s.Explain = explainsFindings(j.scanner, f.reveal)
	}
	code, err := a.printSurvey(ctx, s, paths, out)
	if err != nil {
		return err
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

// reportRules is what reports tell of the rules.
func reportRules(set *patterns.Set) []report.Rule {
	var out []report.Rule
	for _, r := range set.Rules() {
		out = append(out, report.Rule{ID: r.ID, Type: r.Type, Description: r.Description, Tags: r.Tags, Severity: r.Severity})
	}
	return out
}

// explainsFindings explains as many documents and findings as a page writes out;
// a table has as many with their why.
func explainsFindings(s *scanner.Scanner, reveal bool) func([]dlp.RuleID, int) survey.Explainer {
	var docs, findings atomic.Int64
	return func(rules []dlp.RuleID, n int) survey.Explainer {
		each := int64(min(n, report.MaxPageEach))
		if docs.Add(1) > report.MaxPageDocuments || findings.Add(each) >= report.MaxPageFindings+each {
			return nil
		}
		// Several patterns may prove one finding.
		return &findingsExplained{s.Explain(scanner.ExplainOptions{Rules: rules, Max: 4 * report.MaxPageEach, Reveal: reveal, Proved: true})}
	}
}

// findingsExplained tells of a document why what was found was found.
type findingsExplained struct{ *scanner.Explainer }

// Finish ends the explanation.
func (e *findingsExplained) Finish() []survey.Explained {
	var out []survey.Explained
	x := e.Explainer.Finish()
	for i := range x.Candidates {
		c := &x.Candidates[i]
		if c.Outcome != scanner.Found {
			continue
		}
		why := survey.Why{Before: c.Before, After: c.After}
		for _, s := range c.Steps {
			why.Steps = append(why.Steps, survey.Step(s))
		}
		out = append(out, survey.Explained{Rule: c.Rule.ID, Part: c.Part, Start: c.Start, End: c.End, Why: why})
	}
	return out
}

// onlyInWords says of --only what patterns says of Source.Only.
func onlyInWords(err error) error {
	if e, ok := errors.AsType[*patterns.Error](err); ok && e.Line == 0 && e.Key == "only" {
		return fmt.Errorf("--only: want %s; see `stanch rules list`", e.Want)
	}
	return err
}

// asGateway judges as the gateway does: what the sender asks for counts, and
// encrypt without a way is quarantine.
type asGateway struct{ *judges }

// Decide judges. Of a file nobody knows whether its folder will have a way.
func (a asGateway) Decide(doc *dlp.Document, found []dlp.Finding, gaps []dlp.Gap) dlp.Verdict {
	doc, err := a.request.Asked(doc)
	if err != nil { // it cannot be read any more
		return dlp.Verdict{}
	}
	v := a.judges.Decide(doc, found, gaps)
	return policy.WithWays(v, func(rcpt dlp.Address) (dlp.Way, bool) {
		if doc.Channel == dlp.File {
			return "", true
		}
		// Nothing is asked of DNS or an authority for a file that somebody scans.
		unasked := func(context.Context, dlp.Address, dlp.Address) (string, error) { return "unasked", nil }
		way := a.ways.Unasked().Proving(unasked).Way(context.Background(), doc.Sender, rcpt)
		return way, way != ""
	})
}

// printSurvey runs s, with a progress bar on a terminal, and returns the exit
// status: 2 before 1 before 3 before 0.
func (a *app) printSurvey(ctx context.Context, s *survey.Survey, paths []string, out report.Writer) (int, error) {
	var p survey.Progress
	between := func(print func()) { print() }
	stop := func() {}
	if movable(a.errs) {
		bar := report.Bar(a.errs, &p)
		between, stop = bar.Between, bar.Stop
	}
	var any, failed, found, unread bool
	err := s.Run(ctx, paths, &p, func(d survey.Document) (err error) {
		any = true
		failed = failed || d.Error != ""
		found = found || len(d.Findings) > 0
		unread = unread || len(d.Gaps) > 0
		between(func() { err = out.Document(d) })
		return err
	})
	stop()
	if err := errors.Join(err, out.Close(err == nil)); err != nil {
		return 0, err
	}
	if !any {
		fmt.Fprintln(a.errs, "stanch: there is no file to scan in the named paths: nothing was read")
	}
	switch {
	case failed:
		return exitError, nil
	case found:
		return exitFound, nil
	case unread:
		return exitNotRead, nil
	}
	return 0, nil
}

// stdin reads standard input whole, so that it can be read again; past what
// memory is for it goes to a sealed, unlinked file.
func (a *app) stdin() (open func() (func() (io.ReadSeekCloser, error), int64, error), done func()) {
	var buf *buffer.Buffer
	open = func() (func() (io.ReadSeekCloser, error), int64, error) {
		if buf == nil {
			pool, err := buffer.NewPool(buffer.Config{MemoryEach: 64 << 20, MemoryAll: 64 << 20, DiskAll: 1 << 40, Dir: os.TempDir()})
			if err != nil {
				return nil, 0, err
			}
			buf = pool.New()
			if _, err := io.Copy(buf, a.in); err != nil {
				return nil, 0, err
			}
			if err := buf.Done(); err != nil {
				return nil, 0, err
			}
		}
		return buf.Open, buf.Size(), nil
	}
	return open, func() {
		if buf != nil {
			_ = buf.Close() // nothing was promised about it
		}
	}
}
