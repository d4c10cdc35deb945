package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/gold"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/scanner"
)

// evalFlags are the flags of rules eval.
type evalFlags struct {
	ruleFlags
	format    string
	negatives string
	minimum   string
	wrong     []string
	reveal    bool
}

func (a *app) rulesEvalCmd() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{Use: "eval GOLD.jsonl...", Short: "Measure the rules on labelled text",
		Long: "Measure the rules on labelled text: for each type true and false positives, misses, precision, recall, F1 and F2.\n" +
			"A label is found where a finding of its type covers half of it or more. Each line of a file is\n" +
			`{"id","source","text","spans":[{"start","end","type"}],"meta":{"labels","tested"}}; docs/accuracy.md says how labels count.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.rulesEval(cmd.Context(), &f, args) }}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "use these rules only, by id")
	cmd.Flags().StringVar(&f.negatives, "negatives", "", "folder of text without patients: count false findings a megabyte")
	cmd.Flags().StringVar(&f.minimum, "min-confidence", "medium", "what counts: low | medium | high")
	cmd.Flags().StringSliceVar(&f.wrong, "wrong", nil, "print each miss and false finding of these types on standard error")
	cmd.Flags().BoolVar(&f.reveal, "reveal", false, "with --wrong: print the values and what stands around them")
	formatFlag(cmd, &f.format, "table", "table", "json", "markdown")
	return cmd
}

func (a *app) rulesEval(ctx context.Context, f *evalFlags, files []string) (err error) {
	var minimum dlp.Confidence
	if err := minimum.UnmarshalText([]byte(f.minimum)); err != nil {
		return fmt.Errorf("--min-confidence: %w", err)
	}
	for _, typ := range f.wrong {
		if !dlp.KnownType(dlp.Type(typ)) {
			return fmt.Errorf("--wrong: %q is no type", typ)
		}
	}
	cfg, err := a.loadOrDefault()
	if err != nil {
		return err
	}
	ex, err := newExtract(cfg, nil, nil)
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
	j, err := newJudges(ctx, cfg, src, t, ex)
	if err != nil {
		return onlyInWords(err)
	}
	e := &evaluation{app: a, flags: f, ex: ex, scanner: j.scanner, minimum: minimum}
	e.tally.OnWrong = e.wrong
	for _, name := range files {
		if err := e.gold(ctx, name); err != nil {
			return err
		}
	}
	if f.negatives != "" {
		if err := e.clean(ctx, f.negatives); err != nil {
			return err
		}
	}
	var sought []dlp.Type
	for _, r := range j.set.Rules() {
		sought = append(sought, r.Type)
	}
	return a.printEval(e.tally.Table(sought), f)
}

// evaluation runs rules over labelled text and over text without patients.
type evaluation struct {
	*app
	flags   *evalFlags
	ex      *extract.Pool
	scanner *scanner.Scanner
	minimum dlp.Confidence
	tally   gold.Tally
}

func (e *evaluation) gold(ctx context.Context, name string) error {
	r, err := os.Open(name)
	if err != nil {
		return err
	}
	defer r.Close() // read only: nothing to lose
	docs, err := gold.Read(r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(docs) == 0 {
		return fmt.Errorf("%s: no labelled text in it: want a JSON object a line", name)
	}
	for _, typ := range unknownTypes(docs) {
		fmt.Fprintf(e.errs, "warning: %s: %q is no type: its labels count neither way\n", report.Plain(name), report.Plain(typ))
	}
	for i := range docs {
		found, err := e.labelled(ctx, docs[i].Text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		e.tally.Add(&docs[i], found)
	}
	return nil
}

// unknownTypes lists the types of labels that no rule can be of: most are typing
// errors.
func unknownTypes(docs []gold.Doc) []string {
	var out []string
	for i := range docs {
		for _, s := range docs[i].Spans {
			if s.Type != gold.Other && !dlp.KnownType(s.Type) && !slices.Contains(out, string(s.Type)) {
				out = append(out, string(s.Type))
			}
		}
	}
	return out
}

// labelled returns what is found in text, read as a file is where that leaves
// its offsets as they are, else as plain text.
func (e *evaluation) labelled(ctx context.Context, text string) ([]dlp.Finding, error) {
	same := &sameText{Scan: e.scanner.Begin(scanner.Options{}), want: text}
	if err := e.ex.Extract(ctx, document([]byte(text)), same); err != nil {
		return nil, err
	}
	found, _ := same.Finish()
	if !same.whole || same.want != "" {
		scan := e.scanner.Begin(scanner.Options{})
		if err := scanner.Feed(scan, dlp.PartInfo{MediaType: "text/plain"}, []byte(text)); err != nil {
			return nil, err
		}
		found, _ = scan.Finish()
	}
	return slices.DeleteFunc(found, func(f dlp.Finding) bool { return f.Path != "" || f.Confidence < e.minimum }), nil
}

// sameText watches whether the document's own part says what the document does.
type sameText struct {
	*scanner.Scan
	want  string // what is still to come
	own   bool   // the part at hand is the document's own
	whole bool   // it has been there
}

func (s *sameText) Part(p dlp.PartInfo) error {
	s.own = p.Path == ""
	s.whole = s.whole || s.own
	return s.Scan.Part(p)
}

func (s *sameText) Text(w dlp.Window) error {
	if s.own {
		rest, ok := strings.CutPrefix(s.want, string(w.Text))
		s.whole = s.whole && ok
		s.want = rest
	}
	return s.Scan.Text(w)
}

// document is text as a file.
func document(text []byte) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Size: int64(len(text)), Open: dlp.OpenBytes(text)}
}

// clean counts what is found in the files under root.
func (e *evaluation) clean(ctx context.Context, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		scan := e.scanner.Begin(scanner.Options{OnFinding: func(f dlp.Finding, raw []byte) {
			if f.Confidence >= e.minimum && e.tells(f.Type) && gold.CountsClean(f.Type) {
				e.tell("false", f.Type, path, f.Path, string(raw), "", "")
			}
		}})
		if err := e.ex.Extract(ctx, document(text), scan); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		found, _ := scan.Finish()
		e.tally.Clean(int64(len(text)), slices.DeleteFunc(found, func(f dlp.Finding) bool { return f.Confidence < e.minimum }))
		return nil
	})
}

func (e *evaluation) tells(t dlp.Type) bool { return slices.Contains(e.flags.wrong, string(t)) }

// around is how many bytes beside a value --reveal shows.
const around = 60

// wrong prints one miss or false finding.
func (e *evaluation) wrong(d *gold.Doc, w gold.Wrong) {
	if !e.tells(w.Type) {
		return
	}
	what := "false"
	if w.Missed {
		what = "missed"
	}
	e.tell(what, w.Type, d.ID, fmt.Sprintf("%d-%d", w.Start, w.End), d.Text[w.Start:w.End],
		d.Text[max(0, w.Start-around):w.Start], d.Text[w.End:min(int64(len(d.Text)), w.End+around)])
}

func (e *evaluation) tell(what string, typ dlp.Type, where, at, value, before, after string) {
	if e.flags.reveal {
		fmt.Fprintf(e.errs, "%s %s %s %s: %q [%q] %q\n", what, typ, report.Plain(where), at, before, value, after)
		return
	}
	fmt.Fprintf(e.errs, "%s %s %s %s: %s\n", what, typ, report.Plain(where), at, report.Plain(scanner.Mask(typ, value)))
}

// evalRow is one type of `rules eval --format json`.
type evalRow struct {
	gold.Count
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	F2        float64 `json:"f2"`
	PerMB     float64 `json:"negatives_per_mb"`
}

// evalView is `rules eval --format json`.
type evalView struct {
	Documents  int       `json:"documents"`
	CleanBytes int64     `json:"negative_bytes"`
	Types      []evalRow `json:"types"`
	All        evalRow   `json:"all"`
	EverySSN   evalRow   `json:"ssn_all"`
	Prose      []evalRow `json:"prose"`
	Structured []evalRow `json:"structured"`
	Unsought   []evalRow `json:"unsought"`
}

func (a *app) printEval(t gold.Table, f *evalFlags) error {
	row := func(c gold.Count) evalRow {
		return evalRow{c, c.Precision(), c.Recall(), c.F1(), c.F2(), t.PerMB(c.Clean)}
	}
	rows := func(cs []gold.Count) []evalRow {
		out := []evalRow{}
		for _, c := range cs {
			out = append(out, row(c))
		}
		return out
	}
	switch f.format {
	case "json":
		return a.printJSON(evalView{t.Docs, t.CleanBytes, rows(t.Types), row(t.All), row(t.EverySSN), rows(t.Prose), rows(t.Structured), rows(t.Unsought)})
	case "markdown":
		_, err := io.WriteString(a.out, t.Markdown())
		return err
	}
	header := []string{"TYPE", "FOUND", "FALSE", "MISSED", "PRECISION", "RECALL", "F1", "F2", "FALSE/MB"}
	var cells [][]string
	add := func(name string, c gold.Count) {
		perMB := ""
		if t.CleanBytes > 0 && gold.CountsClean(c.Type) {
			perMB = fmt.Sprintf("%.3f", t.PerMB(c.Clean))
		}
		cells = append(cells, []string{name, fmt.Sprint(c.TP), fmt.Sprint(c.FP), fmt.Sprint(c.FN), fmt.Sprintf("%.3f", c.Precision()),
			fmt.Sprintf("%.3f", c.Recall()), fmt.Sprintf("%.3f", c.F1()), fmt.Sprintf("%.3f", c.F2()), perMB})
	}
	for _, c := range t.Types {
		if c.TP+c.FP+c.FN+c.Clean > 0 {
			add(string(c.Type), c)
		}
	}
	add("all", t.All)
	return report.Table(a.out, header, cells, colourful(a.out))
}
