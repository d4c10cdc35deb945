package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/rulelint"
	"github.com/stanch-dlp/stanch/internal/tables"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// ruleFlags are the flags of every command that loads rules.
type ruleFlags struct {
	files []string
	only  []string
}

func (f *ruleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.files, "rules", nil, "rule file or folder, added to the built-in packs (repeatable)")
}

// source is what to load: the built-in packs, the configuration's rules, then
// those of --rules and of args.
func (f *ruleFlags) source(cfg *config.Config, args ...string) patterns.Source {
	src := patterns.Source{BuiltIn: true, Site: cfg.Site, Digest: valueDigest(cfg)}
	src.Paths = slices.Concat(cfg.Rules.Paths, consoleRules(cfg), f.files, args)
	for _, id := range f.only {
		src.Only = append(src.Only, dlp.RuleID(id))
	}
	return src
}

// consoleRules is the file of rules that the console writes, where there is one
// and this user may know of it.
func consoleRules(cfg *config.Config) []string {
	if cfg.File == "" {
		return nil // the defaults alone: nobody's data folder
	}
	path := rulefile.Path(cfg.DataDir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return []string{path}
}

// withText is src with text in place of what the file at path says.
func withText(src patterns.Source, path, text string) patterns.Source {
	if !slices.Contains(src.Paths, path) {
		src.Paths = append(slices.Clone(src.Paths), path)
	}
	src.Instead = maps.Clone(src.Instead)
	if src.Instead == nil {
		src.Instead = map[string]string{}
	}
	src.Instead[path] = text
	return src
}

// csvTester runs rules' own tests; those written as CSV go through the child.
func csvTester(ex *extract.Pool) patterns.Tester { return scanner.NewTester(csvReader(ex)) }

// csvReader hands on the parts of a text in CSV as the child reads them.
func csvReader(ex *extract.Pool) func(ctx context.Context, text string, sink dlp.Sink) error {
	return func(ctx context.Context, text string, sink dlp.Sink) error {
		return ex.Extract(ctx, document([]byte(text)), sink)
	}
}

// ruleSet is what a rules command has loaded, and those of it that it speaks
// of: the rules of the files that were named, all where none was.
type ruleSet struct {
	*patterns.Set
	cfg   *config.Config
	table *tables.Table // imported and in use; nil for none
	named []string
}

// Rules returns the rules that the command speaks of: those that have a pattern
// or a test in a named file, whether it defines or extends them. A file without
// either only adds to others, and then it is all of them.
func (s ruleSet) Rules() []*patterns.Rule {
	var rs []*patterns.Rule
	for _, r := range s.Set.Rules() {
		if s.speaksOf(r.File) || slices.ContainsFunc(r.Patterns, func(p patterns.Pattern) bool { return s.speaksOf(p.File) }) ||
			slices.ContainsFunc(r.Tests, func(t patterns.Test) bool { return s.speaksOf(t.File) }) {
			rs = append(rs, r)
		}
	}
	if len(rs) == 0 {
		return s.Set.Rules()
	}
	return rs
}

func (s ruleSet) speaksOf(file string) bool {
	return len(s.named) == 0 || slices.ContainsFunc(s.named, func(n string) bool {
		in, err := filepath.Rel(n, file)
		return err == nil && filepath.IsLocal(in)
	})
}

// rulesFor loads rules with their tests, in an extraction pool of its own. The
// built-in packs and the configuration's rules are loaded in any case: a file
// may extend them. With an error there is a Set where only tests of rules fail.
func (a *app) rulesFor(ctx context.Context, f *ruleFlags, args []string) (ruleSet, error) {
	cfg, err := a.loadOrDefault()
	if err != nil {
		return ruleSet{}, err
	}
	for _, p := range slices.Concat(f.files, args) {
		if _, err := os.Stat(p); err != nil {
			return ruleSet{}, err
		}
	}
	src, err := a.withPatients(cfg, f.source(cfg, args...))
	if err != nil {
		return ruleSet{}, err
	}
	t, err := a.table(cfg)
	if err != nil {
		return ruleSet{}, err
	}
	src.Tables = byName(t)
	ex, err := newExtract(cfg, nil, nil)
	if err != nil {
		return ruleSet{}, err
	}
	set, err := patterns.Load(ctx, src, csvTester(ex))
	rs := ruleSet{set, cfg, t, slices.Concat(f.files, args)}
	if err != nil && ctx.Err() == nil { // where the rules load and only tests of theirs fail, there is a set all the same
		rs.Set, _ = patterns.Load(ctx, src, nil)
	}
	return rs, errors.Join(err, ex.Close())
}

func (a *app) rulesCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "rules", Short: "Author, check and try detection rules"}
	cmd.AddCommand(a.rulesListCmd(), a.rulesShowCmd(), a.rulesLintCmd(), a.rulesTestCmd(), a.rulesExplainCmd(), a.rulesDigestCmd(), a.rulesEvalCmd(), a.rulesBenchCmd(), a.rulesReplayCmd())
	return cmd
}

func (a *app) rulesListCmd() *cobra.Command {
	var f ruleFlags
	var format string
	cmd := &cobra.Command{Use: "list [FILE...]", Short: "List the rules in force, or those of the named files",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := a.rulesFor(cmd.Context(), &f, args)
			if err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(ruleViews(set))
			}
			var rows [][]string
			for _, r := range ruleViews(set) {
				rows = append(rows, []string{string(r.ID), string(r.Type), r.Severity, fmt.Sprint(r.Tests), r.File, r.Description})
			}
			return report.Table(a.out, []string{"ID", "TYPE", "SEVERITY", "TESTS", "FILE", "DESCRIPTION"}, rows, colourful(a.out))
		}}
	f.add(cmd)
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

// ruleView is one rule of `rules list --format json`.
type ruleView struct {
	ID          dlp.RuleID `json:"id"`
	Type        dlp.Type   `json:"type"`
	Severity    string     `json:"severity"`
	Tags        []dlp.Tag  `json:"tags"`
	Patterns    int        `json:"patterns"`
	Tests       int        `json:"tests"`
	File        string     `json:"file"`
	Line        int        `json:"line"`
	Description string     `json:"description"`
}

func ruleViews(set ruleSet) []ruleView {
	vs := []ruleView{}
	for _, r := range set.Rules() {
		vs = append(vs, ruleView{r.ID, r.Type, r.Severity.String(), r.Tags, len(r.Patterns), len(r.Tests), r.File, r.Line, r.Description})
	}
	return vs
}

func (a *app) rulesShowCmd() *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{Use: "show ID", Short: "Print one rule as it is in force", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := a.rulesFor(cmd.Context(), &f, nil)
			if err != nil {
				return err
			}
			r := set.Rule(dlp.RuleID(args[0]))
			if r == nil {
				return fmt.Errorf("no rule %q: see `stanch rules list`", args[0])
			}
			return printRule(a.out, r, set.table)
		}}
	f.add(cmd)
	return cmd
}

func printRule(w io.Writer, r *patterns.Rule, imported *tables.Table) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s, severity %s\n%s\nfrom %s:%d, tags %s, boundary %s\n", r.ID, r.Type, r.Severity, r.Description,
		r.File, r.Line, joined(r.Tags), r.Boundary)
	if r.Coaching.Text != "" {
		fmt.Fprintf(&b, "senders are told: %s %s\n", r.Coaching.Text, r.Coaching.URL)
	}
	for _, p := range r.Patterns {
		fmt.Fprintf(&b, "\n%s confidence\n", p.Confidence)
		switch {
		case p.Terms == nil:
			fmt.Fprintf(&b, "  regex       %s\n", p.Regex)
		case p.Plural:
			fmt.Fprintf(&b, "  words       %d, and their plurals: %s\n", len(p.Terms), strings.Join(p.Terms, ", "))
		default:
			fmt.Fprintf(&b, "  words       %d: %s\n", len(p.Terms), strings.Join(p.Terms, ", "))
		}
		if p.Validator != "" {
			fmt.Fprintf(&b, "  validator   %s\n", p.Validator)
		}
		if p.Dictionary != "" {
			fmt.Fprintf(&b, "  dictionary  %s: %s\n", p.Dictionary, askedFor(&p, imported))
		}
		if l := p.Index; l != nil {
			fmt.Fprintf(&b, "  index       patients.%s\n", l.Field)
			if len(l.With) > 0 {
				fmt.Fprintf(&b, "  with        %s of the same row within %d bytes\n", strings.Join(l.With, ", "), l.Proximity)
			}
		}
		if p.Supporting != nil {
			fmt.Fprintf(&b, "  supporting  within %d bytes%s: %s\n", p.Supporting.Proximity, where(p.Supporting), strings.Join(p.Supporting.Any, ", "))
		}
	}
	for _, d := range r.Demote {
		fmt.Fprintf(&b, "\none level lower within %d bytes of%s: %s\n", d.Proximity, where(&d), strings.Join(d.Any, ", "))
	}
	for _, l := range r.Allowlists {
		if len(l.Senders) > 0 {
			fmt.Fprintf(&b, "\ncounts as low in mail from %s (%s)\n", report.Count(len(l.Senders), "sender"), l.Description)
			continue
		}
		fmt.Fprintf(&b, "\nnever reported (%s): %s\n", l.Description, report.Count(len(l.Values)+len(l.Digests), "value"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// where says where else than within the distance words count, or where only.
func where(w *patterns.Words) string {
	s := ""
	if w.Before {
		s = " before it"
	}
	if w.Header {
		s += " or in the name of its column or field"
	}
	return s
}

// askedFor says what the pattern's dictionary is asked of.
func askedFor(p *patterns.Pattern, imported *tables.Table) string {
	switch {
	case imported != nil:
		return fmt.Sprintf("the imported table %s %s, %d codes", imported.Name, imported.Version, imported.Codes)
	case p.Waits():
		return "no table is imported, and until one is it finds nothing (`stanch tables import`)"
	}
	return asked(nil)
}

func joined(tags []dlp.Tag) string {
	var s []string
	for _, t := range tags {
		s = append(s, string(t))
	}
	return strings.Join(s, ", ")
}

// rulesStatus is how lint and test end.
const rulesStatus = "Exit status: 0 holds, 1 does not, 2 usage, configuration or I/O error."

// warn prints what lint found in the files the command speaks of; what is not
// said of a file at all is said of the configuration, where there is one.
func (a *app) warn(set ruleSet, w *patterns.Error) {
	switch {
	case w.Line > 0 && set.speaksOf(w.File):
		fmt.Fprintln(a.errs, "warning:", w)
	case w.Line == 0 && set.cfg.File != "":
		fmt.Fprintf(a.errs, "warning: %s:1: %s: %s\n", set.cfg.File, w.Key, w.Want)
	case w.Line == 0:
		fmt.Fprintf(a.errs, "warning: no configuration: %s: %s\n", w.Key, w.Want)
	}
}

// holds says that n of something hold.
func holds(n int, what string) string {
	if n == 1 {
		return "1 " + what + " holds"
	}
	return fmt.Sprintf("%d %ss hold", n, what)
}

func (a *app) rulesLintCmd() *cobra.Command {
	var f ruleFlags
	var corpus string
	cmd := &cobra.Command{Use: "lint [FILE...]", Short: "Check rule files and warn of what an author may not mean",
		Long: "Load the named rule files, or the built-in packs and the configuration's, run their tests, and warn of what an\n" +
			"author may not mean: patterns that others make useless, that two rules of different types find alike, that no test\n" +
			"reaches, and words that stand in any text. A pattern that can find nothing is an error.\n\n" + rulesStatus,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rulesLint(cmd.Context(), &f, args, corpus)
		}}
	f.add(cmd)
	cmd.Flags().StringVar(&corpus, "corpus", "", "folder of ordinary text: warn of words that are common in it")
	return cmd
}

func (a *app) rulesLint(ctx context.Context, f *ruleFlags, args []string, corpus string) (err error) {
	set, err := a.rulesFor(ctx, f, args)
	wrong := 0
	if err != nil {
		if err = a.broken(err); set.Set == nil || !errors.Is(err, exitCode(exitFound)) {
			return err
		}
		wrong++ // tests that fail: the rest is told all the same
	}
	ex, err := newExtract(set.cfg, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	opt := rulelint.Options{Rules: set.Rules(), CSV: csvReader(ex)}
	if corpus != "" {
		if opt.Corpus, err = rulelint.ReadCorpus(corpus); err != nil {
			return err
		}
	}
	problems, err := rulelint.Lint(ctx, set.Set, opt)
	if err != nil {
		return err
	}
	slices.SortStableFunc(problems, graver)
	for i := range problems {
		p := &problems[i]
		switch {
		case !set.speaksOf(p.File):
		case p.Wrong:
			wrong++
			fmt.Fprintln(a.errs, &p.Error)
		default:
			fmt.Fprintln(a.errs, "warning:", &p.Error)
		}
	}
	more := patterns.Lint(set.Set)
	slices.SortStableFunc(more, func(a, b *patterns.Error) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
	for _, w := range more {
		a.warn(set, w)
	}
	a.warnConfig(set)
	if wrong > 0 {
		return exitCode(exitFound)
	}
	_, err = fmt.Fprintf(a.out, "%s.\n", holds(len(set.Rules()), "rule"))
	return err
}

// warnConfig prints what in the configuration can never hold by the rules of set.
func (a *app) warnConfig(set ruleSet) {
	if set.cfg.File == "" {
		return
	}
	for _, err := range neverHolds(set.cfg, set.Set) {
		fmt.Fprintln(a.errs, "warning:", err)
	}
}

// neverHolds returns what of a configuration can never hold by the rules of set, each
// with its line: forms of record numbers that no number has, and conditions by a tag
// or a type that no rule has.
func neverHolds(cfg *config.Config, set *patterns.Set) (out []error) {
	for _, p := range rulelint.Forms(set.Site()) {
		out = append(out, cfg.At(p.Key, errors.New(p.Want)))
	}
	for _, e := range cfg.Policy.NeverMet(func(tag dlp.Tag, typ dlp.Type) bool { return set.Tagged(tag) || set.Finds(typ) }) {
		out = append(out, cfg.At(e.Key, errors.New(e.Want)))
	}
	return out
}

// graver orders what lint found: what is wrong first, then by file and line.
func graver(a, b rulelint.Problem) int {
	switch {
	case a.Wrong && !b.Wrong:
		return -1
	case b.Wrong && !a.Wrong:
		return 1
	}
	return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
}

// broken prints what does not hold and ends with exit 1; an error that is not
// about a rule or a configuration file stays one.
func (a *app) broken(err error) error {
	if _, ok := errors.AsType[*patterns.Error](err); !ok {
		return err
	}
	fmt.Fprintln(a.errs, err)
	return exitCode(exitFound)
}

func (a *app) rulesTestCmd() *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{Use: "test [FILE...]", Short: "Run the tests that stand inside the rules",
		Long: "Run the tests that stand inside the rules of the named files, or of the built-in packs and the configuration's.\n\n" + rulesStatus,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := a.rulesFor(cmd.Context(), &f, args)
			if err != nil {
				return a.broken(err)
			}
			tests := 0
			for _, r := range set.Rules() {
				tests += len(r.Tests)
			}
			_, err = fmt.Fprintf(a.out, "%s, in %s.\n", holds(tests, "test"), report.Count(len(set.Rules()), "rule"))
			return err
		}}
	f.add(cmd)
	return cmd
}
