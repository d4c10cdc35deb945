package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/report"
)

// reported is a folder of files with and without findings, the names of which
// are made to break reports.
func reported(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"=cmd|x<script>.txt": "caf\u00e9 SSN: 536-22-8145\r\n",
		"bad\xff\nname.txt":  "\ufeffSSN: 536-22-8145\n",
		"clean.txt":          "nothing\n",
		"latin.txt":          "caf\xe9\nSSN: 536-22-8145\n",
		"page.html":          "<p>x</p><p>SSN: 536-22-8145</p>",
		"visits.csv":         "name,ssn\nRoe,536-22-8145\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestScanReports: each format masks, says so where it does not, and ends with
// the exit status of any other.
func TestScanReports(t *testing.T) {
	t.Chdir(reported(t))
	for _, format := range report.Formats() {
		for _, tt := range []struct {
			name string
			args []string
			code int
		}{
			{"findings", []string{"."}, exitFound},
			{"revealed", []string{".", "--reveal"}, exitFound},
			{"clean", []string{"clean.txt"}, 0},
			{"missing", []string{"gone.txt", "visits.csv"}, exitError},
		} {
			out, errs, code := stanch(t, append([]string{"scan", "--format", format}, tt.args...)...)
			if code != tt.code || errs != "" {
				t.Errorf("%s, %s: exit %d, %q, want %d", format, tt.name, code, errs, tt.code)
			}
			if strings.Contains(out, "536-22-8145") != (tt.name == "revealed") {
				t.Errorf("%s, %s: the value is shown or is not:\n%s", format, tt.name, out)
			}
			if format == "html" && (strings.Contains(out, "Roe") && tt.name != "revealed" || strings.Contains(out, "<script>")) {
				t.Errorf("%s: a name, or a file name as markup:\n%s", tt.name, out)
			}
		}
	}
}

// TestScanSARIFPlaces: a region is told where the text is the file, in the words
// of an editor, and nowhere else.
func TestScanSARIFPlaces(t *testing.T) {
	t.Chdir(reported(t))
	out, errs, _ := stanch(t, "scan", "--format", "sarif", ".")
	var log struct {
		Runs []struct {
			Results []struct {
				Locations []struct {
					Physical struct {
						Artifact struct{ URI string } `json:"artifactLocation"`
						Region   *struct{ StartLine, StartColumn, EndLine, EndColumn, ByteOffset, ByteLength int }
					} `json:"physicalLocation"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil || len(log.Runs) != 1 {
		t.Fatalf("%v, %s, %s", err, errs, out)
	}
	got := map[string][6]int{}
	for _, r := range log.Runs[0].Results {
		l := r.Locations[0].Physical
		got[l.Artifact.URI] = [6]int{}
		if g := l.Region; g != nil {
			got[l.Artifact.URI] = [6]int{g.StartLine, g.StartColumn, g.EndLine, g.EndColumn, g.ByteOffset, g.ByteLength}
		}
	}
	want := map[string][6]int{
		"%3Dcmd%7Cx%3Cscript%3E.txt": {1, 11, 1, 22, 11, 11}, // the accent is two bytes and one character
		"bad%FF%0Aname.txt":          {1, 6, 1, 17, 8, 11},   // the mark has no column
		"latin.txt":                  {},
		"page.html":                  {},
		"visits.csv":                 {2, 5, 2, 16, 13, 11},
	}
	for uri, w := range want {
		if g, ok := got[uri]; !ok || g != w {
			t.Errorf("%s: got %v, %v, want %v", uri, g, ok, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
}

// TestScanPageExplains: a page says why, as rules explain does, and masks what
// stands beside.
func TestScanPageExplains(t *testing.T) {
	t.Chdir(reported(t))
	out, _, _ := stanch(t, "scan", "--format", "html", "visits.csv", "page.html")
	for _, want := range []string{"***,<mark>***-**-8145</mark>", "the name of its column or field has `ssn`", "SSN: <mark>***-**-8145</mark>", "stands alone", "U.S. Social Security number"} {
		if !strings.Contains(out, want) {
			t.Errorf("the page lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "Not explained here") {
		t.Error("a finding is not explained")
	}
}

// TestScanCSV: a row for every document, whatever is in it.
func TestScanCSV(t *testing.T) {
	t.Chdir(reported(t))
	out, _, _ := stanch(t, "scan", "--format", "csv", ".", "gone.txt")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, r := range rows[1:] {
		kinds[r[1]] = r[0]
	}
	for path, want := range map[string]string{"'=cmd|x<script>.txt": "finding", `bad\xff\u000aname.txt`: "finding", "clean.txt": "document", "gone.txt": "document"} {
		if kinds[path] != want {
			t.Errorf("%s: got row %q, want %q", path, kinds[path], want)
		}
	}
	if len(kinds) != 7 {
		t.Errorf("got rows of %d documents, want 7: %v", len(kinds), kinds)
	}
}
