package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// explainFlags are the flags of rules explain.
type explainFlags struct {
	ruleFlags
	text   string
	ids    []string
	as     string
	format string
	most   int
	reveal bool
	near   bool
	all    bool
}

func (a *app) rulesExplainCmd() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{Use: "explain [PATH...]", Short: "Say why something was found, and why something was not",
		Long: "Read files and folders, - for standard input, or the text of --text as scan does, and tell of every place that the expression\n" +
			"of some rule's pattern matches: what stood beside it, which check it passed, which word spoke for or against it, what\n" +
			"became of it, and what would have made a near miss a finding. Of files, where no --rule is named, only what passed\n" +
			"every step is told of, unless --all is given. Values and the words around them are masked unless --reveal is given. The tests inside the rules are not run, so that a rule can be asked why its test fails.\n\n" +
			"Exit status: 0 explained, 2 usage, configuration or I/O error, 3 something could not be read.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rulesExplain(cmd.Context(), &f, args, cmd.Flags().Changed("text"))
		}}
	f.add(cmd)
	cmd.Flags().StringVar(&f.text, "text", "", "explain this text instead of a file")
	cmd.Flags().StringSliceVar(&f.ids, "rule", nil, "tell of these rules only, by id")
	cmd.Flags().StringVar(&f.as, "as", "", "read the text of --text as a table first: csv")
	cmd.Flags().IntVar(&f.most, "max", scanner.DefaultMaxCandidates, "candidates of a document to tell of")
	cmd.Flags().BoolVar(&f.reveal, "reveal", false, "print values and what stands around them")
	cmd.Flags().BoolVar(&f.near, "near", false, "with --rule: also what its expressions match but for one or two characters")
	cmd.Flags().BoolVar(&f.all, "all", false, "of files, too: every place that some expression matches, whatever stopped it")
	formatFlag(cmd, &f.format, "text", "text", "json")
	return cmd
}

func (f *explainFlags) validate(args []string, hasText bool) error {
	switch {
	case hasText && len(args) > 0:
		return errors.New("either a PATH or --text, not both")
	case f.as != "" && f.as != "csv":
		return errors.New(`--as: want "csv"`)
	case f.as != "" && !hasText:
		return errors.New("--as: only with --text: what a file is, is seen from its content")
	case f.near && len(f.ids) == 0:
		return errors.New("--near: only with --rule: each rule has many near misses in any text")
	case f.most < 1:
		return errors.New("--max: want 1 or more")
	}
	return nil
}

func (a *app) rulesExplain(ctx context.Context, f *explainFlags, args []string, hasText bool) (err error) {
	if err := f.validate(args, hasText); err != nil {
		return err
	}
	cfg, err := a.loadOrDefault()
	if err != nil {
		return err
	}
	src, err := a.withPatients(cfg, f.source(cfg))
	if err != nil {
		return err
	}
	t, err := a.table(cfg)
	if err != nil {
		return err
	}
	src.Tables = byName(t)
	set, err := patterns.Load(ctx, src, nil)
	if err != nil {
		return err
	}
	opt := scanner.ExplainOptions{Max: f.most, Reveal: f.reveal, Near: f.near, Proved: !hasText && len(f.ids) == 0 && !f.all}
	for _, id := range f.ids {
		if set.Rule(dlp.RuleID(id)) == nil {
			return fmt.Errorf("--rule: want the id of a rule: there is no %q; see `stanch rules list`", id)
		}
		opt.Rules = append(opt.Rules, dlp.RuleID(id))
	}
	e := &explaining{app: a, flags: f, scanner: scanner.New(set), opt: opt}
	if hasText && f.as == "" {
		return errors.Join(e.plain(f.text), e.close())
	}
	ex, err := newExtract(cfg, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	if hasText {
		return errors.Join(e.table(ctx, ex), e.close())
	}
	stdin, closeStdin := a.stdin()
	defer closeStdin()
	failed, err := survey.Extract(ctx, ex, stdin, a.orHere(args), func(path string) survey.TextSink { return e.document(path) })
	if err := errors.Join(err, e.close()); err != nil {
		return err
	}
	return a.allRead(failed, e.gaps)
}

// explaining prints one explanation after the other.
type explaining struct {
	*app
	flags   *explainFlags
	scanner *scanner.Scanner
	opt     scanner.ExplainOptions
	docs    int
	gaps    bool // any document had one
}

// plain explains text as a rule's own tests read it.
func (e *explaining) plain(text string) error {
	d := e.document("")
	if err := scanner.Feed(d, dlp.PartInfo{MediaType: "text/plain"}, []byte(text)); err != nil {
		return err
	}
	return d.Close()
}

// table explains the text of --text read as a table.
func (e *explaining) table(ctx context.Context, ex *extract.Pool) error {
	d := e.document("")
	if err := ex.Extract(ctx, document([]byte(e.flags.text)), d); err != nil {
		return err
	}
	return d.Close()
}

// document is the sink of one document, explained once it is closed.
func (e *explaining) document(path string) *explained {
	return &explained{Explainer: e.scanner.Explain(e.opt), to: e, path: path}
}

type explained struct {
	*scanner.Explainer
	to   *explaining
	path string
}

// Close prints the explanation.
func (d *explained) Close() error {
	x := d.Finish()
	d.to.gaps = d.to.gaps || len(x.Gaps) > 0
	d.to.docs++
	if d.to.flags.format == "json" {
		open := ","
		if d.to.docs == 1 {
			open = "["
		}
		if _, err := io.WriteString(d.to.out, open); err != nil {
			return err
		}
		return d.to.printJSON(explainView(d.path, &x, d.to.opt.Reveal))
	}
	return d.to.printExplanation(d.path, &x)
}

// close ends the array of JSON.
func (e *explaining) close() error {
	if e.flags.format != "json" {
		return nil
	}
	end := "]\n"
	if e.docs == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(e.out, end)
	return err
}

// printExplanation prints a block for each place, in it the rules, in these their
// patterns, in these the steps.
func (e *explaining) printExplanation(path string, x *scanner.Explanation) error {
	var b strings.Builder
	if path != "" {
		fmt.Fprintf(&b, "== %s\n", report.Plain(path))
	}
	places := 0
	for i := range x.Candidates {
		c := &x.Candidates[i]
		var last *scanner.Candidate
		if i > 0 {
			last = &x.Candidates[i-1]
		}
		samePlace := last != nil && last.Part == c.Part && last.Start == c.Start && last.End == c.End
		if !samePlace {
			places++
			b.WriteString(placeLine(c.Part, c.Name, c.Line, c.Start, c.End) + "\n")
			fmt.Fprintf(&b, "  %s[%s]%s\n", report.Plain(c.Before), report.Plain(c.Value), report.Plain(c.After))
		}
		if !samePlace || last.Rule != c.Rule {
			fmt.Fprintf(&b, "  %s (%s)\n", c.Rule.ID, c.Rule.Type)
		}
		writeCandidate(&b, c)
	}
	for i := range x.Near {
		n := &x.Near[i]
		b.WriteString(placeLine(n.Part, n.Name, n.Line, n.Start, n.End) + "\n")
		fmt.Fprintf(&b, "  %s[%s]%s\n", report.Plain(n.Before), report.Plain(n.Value), report.Plain(n.After))
		fmt.Fprintf(&b, "  %s (%s)\n    %s: the expression does not match: %s\n", n.Rule.ID, n.Rule.Type, patternPlace(n.Rule, n.Pattern), strings.Join(n.Differs, "; "))
	}
	low := 0
	for _, f := range x.Findings {
		if f.Confidence < dlp.Medium {
			low++
		}
	}
	fmt.Fprintf(&b, "%s in %s, %s", report.Count(len(x.Candidates), "candidate"), report.Count(places, "place"), report.Count(len(x.Findings)-low, "finding"))
	if low > 0 {
		fmt.Fprintf(&b, " and %d at low", low)
	}
	b.WriteString(".\n")
	writeCuts(&b, x)
	_, err := io.WriteString(e.out, b.String())
	return err
}

// writeCuts says what was not told of, and what the scan itself did not read.
func writeCuts(b *strings.Builder, x *scanner.Explanation) {
	if x.Left > 0 {
		fmt.Fprintf(b, "Not told of: %s that some step stopped (--all tells of them, --rule ID of those of one rule).\n", report.Count(x.Left, "more candidate"))
	}
	if x.Cut > 0 {
		fmt.Fprintf(b, "Not told of: %s (--max, --rule).\n", report.Count(x.Cut, "more candidate"))
	}
	if x.CutBytes > 0 {
		fmt.Fprintf(b, "Not explained: the last %d bytes of text.\n", x.CutBytes)
	}
	if x.NearCut {
		b.WriteString("There is more that the expressions nearly match.\n")
	}
	for _, f := range x.Loose {
		fmt.Fprintf(b, "Found without a candidate: %s, %s, %s.\n", f.Rule, f.Confidence, placeLine(f.Path, "", f.Line, f.Start, f.End))
	}
	for _, g := range x.Gaps {
		fmt.Fprintf(b, "Not read: %s\n", strings.TrimSpace(strings.Join([]string{g.Path, report.Plain(g.Name), g.Cause.String(), report.Plain(g.Detail)}, " ")))
	}
}

// placeLine says where something stands.
func placeLine(part, name string, line int, start, end int64) string {
	where := ""
	if part != "" {
		where = "part " + part + ", "
	}
	if name != "" {
		where += report.Plain(name) + ", "
	}
	return fmt.Sprintf("%sline %d, %d-%d", where, line, start, end)
}

func patternPlace(r *patterns.Rule, k int) string {
	p := &r.Patterns[k]
	return fmt.Sprintf("%s:%d, %s", p.File, p.Line, p.Confidence)
}

func writeCandidate(b *strings.Builder, c *scanner.Candidate) {
	fmt.Fprintf(b, "    %s: %s\n", patternPlace(c.Rule, c.Pattern), c.Became())
	for _, s := range c.Steps {
		fmt.Fprintf(b, "      %-9s  %-6s  %s\n", s.Step, s.Outcome, report.Plain(s.Why))
	}
	for _, r := range c.Remedies {
		fmt.Fprintf(b, "      it would be %s %s\n", r.Confidence, report.Plain(r.Change))
	}
	if c.Folded > 0 {
		fmt.Fprintf(b, "      %d more of its matches overlap this one and came less far\n", c.Folded)
	}
}

// candidateView is one candidate of `rules explain --format json`.
type candidateView struct {
	Rule       dlp.RuleID   `json:"rule"`
	Type       dlp.Type     `json:"type"`
	Pattern    patternView  `json:"pattern"`
	Part       string       `json:"part"`
	Name       string       `json:"name,omitempty"`
	Line       int          `json:"line"`
	Start      int64        `json:"start"`
	End        int64        `json:"end"`
	Masked     string       `json:"masked,omitempty"`
	Value      string       `json:"value,omitempty"`
	Before     string       `json:"before"`
	After      string       `json:"after"`
	Outcome    string       `json:"outcome"`
	Confidence string       `json:"confidence,omitempty"`
	Winner     dlp.RuleID   `json:"winner,omitempty"`
	Steps      []stepView   `json:"steps,omitempty"`
	Remedies   []remedyView `json:"remedies,omitempty"`
	Folded     int          `json:"folded,omitempty"`
	PartFound  bool         `json:"part_found,omitempty"`
	Differs    []string     `json:"differs,omitempty"`
}

type patternView struct {
	File       string `json:"file"`
	Line       int    `json:"line"`
	Confidence string `json:"confidence"`
}

type stepView struct {
	Step    string `json:"step"`
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
}

type remedyView struct {
	Change     string `json:"change"`
	Confidence string `json:"confidence"`
}

// explanationView is one document of `rules explain --format json`.
type explanationView struct {
	Path       string          `json:"path"`
	Candidates []candidateView `json:"candidates"`
	Near       []candidateView `json:"near"`
	Findings   int             `json:"findings"`
	Gaps       []survey.Gap    `json:"gaps"`
	Cut        int             `json:"cut_candidates"`
	Left       int             `json:"left_candidates"`
	CutBytes   int64           `json:"cut_bytes"`
	NearCut    bool            `json:"cut_near"`
}

func explainView(path string, x *scanner.Explanation, reveal bool) explanationView {
	v := explanationView{Path: path, Candidates: []candidateView{}, Near: []candidateView{}, Gaps: []survey.Gap{},
		Findings: len(x.Findings), Cut: x.Cut, Left: x.Left, CutBytes: x.CutBytes, NearCut: x.NearCut}
	shown := func(c *candidateView, value string) {
		if c.Masked = value; reveal {
			c.Masked, c.Value = scanner.Mask(c.Type, value), value
		}
	}
	pattern := func(r *patterns.Rule, k int) patternView {
		p := &r.Patterns[k]
		return patternView{p.File, p.Line, p.Confidence.String()}
	}
	for i := range x.Candidates {
		c := &x.Candidates[i]
		cv := candidateView{Rule: c.Rule.ID, Type: c.Rule.Type, Pattern: pattern(c.Rule, c.Pattern), Part: c.Part, Name: c.Name, Line: c.Line,
			Start: c.Start, End: c.End, Before: c.Before, After: c.After, Outcome: c.Outcome, Winner: c.Winner, Folded: c.Folded, PartFound: c.PartFound}
		shown(&cv, c.Value)
		if c.Outcome != scanner.Stopped {
			cv.Confidence = c.Confidence.String()
		}
		for _, s := range c.Steps {
			cv.Steps = append(cv.Steps, stepView(s))
		}
		for _, r := range c.Remedies {
			cv.Remedies = append(cv.Remedies, remedyView{r.Change, r.Confidence.String()})
		}
		v.Candidates = append(v.Candidates, cv)
	}
	for i := range x.Near {
		n := &x.Near[i]
		nv := candidateView{Rule: n.Rule.ID, Type: n.Rule.Type, Pattern: pattern(n.Rule, n.Pattern), Part: n.Part, Name: n.Name, Line: n.Line,
			Start: n.Start, End: n.End, Before: n.Before, After: n.After, Outcome: "near", Differs: n.Differs}
		shown(&nv, n.Value)
		v.Near = append(v.Near, nv)
	}
	for _, g := range x.Gaps {
		v.Gaps = append(v.Gaps, survey.Gap{Part: g.Path, Name: g.Name, Cause: g.Cause.String(), Detail: g.Detail})
	}
	return v
}
