package extract_test

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
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// scanning is one document on its way through extraction and the built-in
// rules, as the gateway reads it.
type scanning struct {
	*scanner.Scan
	parts int
	text  int64
	first []byte // what the texts begin with, to a bound

	found []dlp.Finding
	gaps  []dlp.Gap
	took  time.Duration
}

func (s *scanning) Part(p dlp.PartInfo) error {
	s.parts++
	return s.Scan.Part(p)
}

func (s *scanning) Text(w dlp.Window) error {
	s.text += int64(len(w.Text))
	s.first = append(s.first, w.Text[:min(len(w.Text), 64<<10-len(s.first))]...)
	return s.Scan.Text(w)
}

func (s *scanning) has(c dlp.Cause) bool {
	return slices.ContainsFunc(s.gaps, func(g dlp.Gap) bool { return g.Cause == c })
}

// ssn reports whether a Social Security number was found.
func (s *scanning) ssn() bool {
	return slices.ContainsFunc(s.found, func(f dlp.Finding) bool { return f.Type == "SSN" })
}

// told lists causes and details of gaps, each once.
func (s *scanning) told() []string {
	var out []string
	for _, g := range s.gaps {
		out = append(out, strings.TrimSpace(g.Cause.String()+" "+g.Detail))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func builtIn(t testing.TB) *scanner.Scanner {
	t.Helper()
	set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return scanner.New(set)
}

// scanFile reads a file as one mail or one file.
func scanFile(t testing.TB, s *scanner.Scanner, p *extract.Pool, ch dlp.Channel, path string) *scanning {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := document(ch, nil)
	doc.Size = fi.Size()
	doc.Open = func() (io.ReadSeekCloser, error) { return os.Open(path) }
	ctx, cancel := context.WithTimeoutCause(t.Context(), 6*time.Minute, errors.New("test takes too long"))
	defer cancel()
	out := &scanning{Scan: s.Begin(scanner.Options{})}
	start := time.Now()
	if err := p.Extract(ctx, doc, out); err != nil {
		t.Fatal(err)
	}
	out.took = time.Since(start)
	out.found, out.gaps = out.Finish()
	return out
}

// TestEvasions measures how many of the hidden numbers are found by the whole
// scan, and how many are at least told as ambiguous.
func TestEvasions(t *testing.T) {
	dir := shared(t, "evasions")
	s, p := builtIn(t), newPool(t, nil)
	rep := report{Table: "evasions, by the whole scan", Columns: []string{"mail", "wanted", "outcome", "gaps", "what"}}
	controls, controlsFound, must, found, ambiguous, block, blocked := 0, 0, 0, 0, 0, 0, 0
	for _, r := range rows(t, filepath.Join(dir, "index.tsv")) {
		if len(r) < 3 || !strings.HasSuffix(r[0], ".eml") {
			continue
		}
		got := scanFile(t, s, p, dlp.Mail, filepath.Join(dir, r[0]))
		outcome := "MISSED"
		switch {
		case got.ssn():
			outcome = "found"
		case got.has(dlp.Ambiguous):
			outcome = "ambiguous"
		case len(got.gaps) > 0:
			outcome = "gap"
		}
		switch {
		case strings.HasPrefix(r[2], "control"):
			controls++
			if outcome == "found" {
				controlsFound++
			}
		case r[1] == "must-find":
			must++
			switch outcome {
			case "found":
				found++
			case "ambiguous":
				ambiguous++
			}
		default:
			block++
			if outcome != "MISSED" {
				blocked++
			}
		}
		rep.row(strings.TrimSuffix(r[0], ".eml"), r[1], outcome, strings.Join(got.told(), ", "), r[2])
	}
	outright, either := percent(found, must), percent(found+ambiguous, must)
	rep.Figures = []figure{
		share("controls found", controlsFound, controls, "all", controlsFound == controls),
		share("must-find, found", found, must, ">= 85 %", outright >= 85),
		{Name: "must-find, ambiguous", Value: float64(ambiguous)},
		share("must-find, found or ambiguous", found+ambiguous, must, ">= 95 %", either >= 95),
		share("find-or-block, found or told as a gap", blocked, block, "all", blocked == block),
	}
	rep.print(t)
	for _, f := range rep.Figures {
		if f.Want != "" && !f.Reached {
			t.Errorf("%s: got %v %%, want %s", f.Name, f.Value, f.Want)
		}
	}
}

// TestOrdinaryMail holds that hardly any ordinary mail is told as ambiguous.
func TestOrdinaryMail(t *testing.T) {
	ham, corpus := shared(t, "negatives"), shared(t, "corpus")
	p := newPool(t, nil)
	rep := report{Table: "ordinary mail", Columns: []string{"mails", "number", "ambiguous", "crashed", "which"}}
	all, ambiguous := 0, 0
	for _, set := range []struct{ name, dir string }{
		{"negatives/mail_ham", filepath.Join(ham, "mail_ham")}, {"negatives/mail_spam", filepath.Join(ham, "mail_spam")}, {"corpus", corpus},
	} {
		n, unsure, crashed := 0, 0, 0
		var which []string
		err := filepath.WalkDir(set.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || set.dir == corpus && !strings.HasSuffix(path, ".eml") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n++
			f := corpusFile{read: get(t, p, dlp.Mail, b)}
			if f.has(dlp.Ambiguous) {
				unsure++
				which = append(which, filepath.Base(path))
			}
			if f.has(dlp.Crashed) {
				crashed++
				t.Errorf("%s: %v", path, f.told())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rep.row(set.name, n, unsure, crashed, strings.Join(which, " "))
		if set.dir != corpus {
			all, ambiguous = all+n, ambiguous+unsure
			continue
		}
		rep.Figures = append(rep.Figures, figure{Name: "mails of the corpus that are ambiguous", Value: float64(unsure), Want: "0", Reached: unsure == 0})
	}
	rep.Figures = append(rep.Figures, share("mails without PHI that are ambiguous", ambiguous, all, "<= 0.1 %", ambiguous*1000 <= all))
	rep.print(t)
	for _, f := range rep.Figures {
		if !f.Reached {
			t.Errorf("%s: got %v, want %s: %s", f.Name, f.Value, f.Want, fmt.Sprint(rep.Rows))
		}
	}
}
