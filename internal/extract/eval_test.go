package extract_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"unicode"
)

// What `make eval-extract` prints is measured here, by TestCorpus,
// TestEvasions, TestOrdinaryMail and TestHostile, which also hold floors on it.
// STANCH_EVAL is "table" or "json"; without it, tables are in the log of -v.

// report is one table with what it comes to.
type report struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
	Figures []figure `json:"figures"`
}

// figure is a number beside the one that is wanted.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Of      int     `json:"of"`   // what Value is a share of; 0: Value is a count
	Want    string  `json:"want"` // "" when nothing is
	Reached bool    `json:"reached"`
}

// share is n of all, in percent.
func share(name string, n, all int, want string, reached bool) figure {
	return figure{name, percent(n, all), all, want, reached}
}

func percent(n, all int) float64 {
	if all == 0 {
		return 100
	}
	return float64(n*10000/all) / 100
}

func (r *report) row(cells ...any) { r.Rows = append(r.Rows, cells) }

func (r *report) print(t *testing.T) {
	t.Helper()
	if os.Getenv("STANCH_EVAL") == "json" {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(b))
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n== %s\n", r.Table)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(r.Columns, "\t"))
	for _, row := range r.Rows {
		for i, c := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Figures {
		fmt.Fprintf(&b, "%s: %v", f.Name, f.Value)
		if f.Of > 0 {
			fmt.Fprintf(&b, " %% of %d", f.Of)
		}
		if f.Want != "" {
			fmt.Fprintf(&b, " (wanted: %s, %s)", f.Want, map[bool]string{true: "reached", false: "NOT reached"}[f.Reached])
		}
		b.WriteByte('\n')
	}
	if os.Getenv("STANCH_EVAL") != "" {
		fmt.Print(b.String())
		return
	}
	t.Log(b.String())
}

// shared returns a folder of data that lies beside a checkout, and skips the
// test where it does not.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", name)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("STANCH_EVAL") == "table" {
			fmt.Printf("%s: no %s beside the checkout: skipped.\n", t.Name(), name)
		}
		t.Skipf("no %s beside the checkout", name)
	}
	return dir
}

// rows reads a file of lines whose cells are parted by tabs.
func rows(t testing.TB, path string) [][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(b)) {
		out = append(out, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
	}
	return out
}

// squeeze removes all white space, as expected.tsv is to be read.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}
