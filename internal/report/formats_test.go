package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/survey"
)

var update = flag.Bool("update", false, "rewrite the goldens of testdata")

const value = "536-22-8145"

// options are those of a run whose rules have words of every severity.
func options(reveal bool) report.Options {
	return report.Options{Reveal: reveal, MinConfidence: dlp.Medium, Version: "1.2.3", RuleSet: "4f1c", Now: time.Date(2026, 11, 26, 9, 5, 0, 0, time.UTC),
		Rules: []report.Rule{
			{ID: "odd", Type: "CUSTOM", Description: "[Odd](x) {0} <b>rule</b>.", Severity: dlp.SeverityLow},
			{ID: "us-ssn", Type: "SSN", Description: "U.S. Social Security number", Tags: []dlp.Tag{"identifier"}, Severity: dlp.SeverityHigh},
		}}
}

// hostile are documents whose names are made to break each format.
func hostile(reveal bool) []survey.Document {
	docs := []survey.Document{
		{Path: "=cmd|' /C calc'!A0;@x", Type: "text/plain", Size: 40, SHA256: "ab12", Status: survey.Scanned, Verdict: "quarantine", Policy: "phi-number", RuleSet: "4f1c",
			Findings: []survey.Finding{
				{Rule: "us-ssn", Type: "SSN", Tags: []dlp.Tag{"identifier"}, Confidence: dlp.High, Severity: dlp.SeverityHigh, Start: 5, End: 16, Line: 1, Masked: "***-**-8145",
					Place: &survey.Place{StartLine: 1, StartColumn: 6, EndLine: 1, EndColumn: 17},
					Why: &survey.Why{Before: "*** SSN: ", After: " </p><script>***", Steps: []survey.Step{{Step: "evidence", Outcome: "ok", Why: "`ssn`, 2 bytes before it (at most 60)"},
						{Step: "field", Outcome: "raises", Why: "the format itself says so"}, {Step: "demotion", Outcome: "lowers", Why: "the name of its column has `tracking`"}}}},
				{Rule: "odd", Type: "CUSTOM", Tags: []dlp.Tag{}, Confidence: dlp.Low, Severity: dlp.SeverityLow, Start: 20, End: 24, Line: 2, Masked: "+{0}[*](*)\\"},
			}, Gaps: []survey.Gap{}},
		{Path: "<script>alert(1)</script>\n\xff\u202egpj.eml", Type: "message/rfc822", Size: 900, SHA256: "cd34", Status: survey.Partial, Verdict: "reject", Policy: "p", RuleSet: "4f1c",
			Verdicts: []survey.Verdict{{Recipient: "<b>@x.example", Verdict: "reject", Policy: "p"}},
			Findings: []survey.Finding{{Rule: "us-ssn", Type: "SSN", Tags: []dlp.Tag{"identifier"}, Confidence: dlp.Medium, Severity: dlp.SeverityMedium, Part: "2/1", Name: "\t=1+1\"><img src=x>.docx",
				Start: 104, End: 115, Line: 3, Masked: "***-**-8145"}},
			Gaps: []survey.Gap{{Part: "3/1", Name: "-x.zip", Cause: "encrypted", Detail: "zip AES-256"}}},
		{Path: "/abs/clean 100%:#?.txt", Type: "text/plain", Size: 1, SHA256: "ef56", Status: survey.Scanned, Verdict: "allow", RuleSet: "4f1c", Findings: []survey.Finding{}, Gaps: []survey.Gap{}},
		{Path: "'quoted", Status: survey.Failed, Error: "open: permission denied", Verdict: "quarantine", Findings: []survey.Finding{}, Gaps: []survey.Gap{}},
		{Path: "-", Type: "text/plain", Size: 3, SHA256: "0a0b", Status: survey.Scanned, Verdict: "quarantine", Policy: "p", Monitored: "reject", MonitoredPolicy: "trial", RuleSet: "4f1c",
			Findings: []survey.Finding{}, Gaps: []survey.Gap{}},
	}
	if reveal {
		v := value
		docs[0].Findings[0].Value = &v
	}
	return docs
}

// TestTableSaysWhy: what spoke for a finding and against it stands behind it, for a
// value that nothing spoke for what it passed; what steers a terminal does not.
func TestTableSaysWhy(t *testing.T) {
	steps := func(s ...survey.Step) *survey.Why { return &survey.Why{Before: "Jane Roe ", Steps: s} }
	d := survey.Document{Path: "a.txt", Status: survey.Partial, Verdict: "quarantine", Gaps: []survey.Gap{{Part: "3", Cause: "encrypted"}}}
	for i, w := range []*survey.Why{
		steps(survey.Step{Step: "boundary", Outcome: "ok", Why: "stands alone"}, survey.Step{Step: "evidence", Outcome: "ok", Why: "`ssn`, 2 bytes before it (at most 60)"},
			survey.Step{Step: "validator", Outcome: "ok", Why: "us-ssn"}),
		steps(survey.Step{Step: "field", Outcome: "raises", Why: "the format itself says so"}, survey.Step{Step: "demotion", Outcome: "lowers", Why: "`tracking\x1b[2J`"}),
		steps(survey.Step{Step: "boundary", Outcome: "ok", Why: "stands alone"}, survey.Step{Step: "validator", Outcome: "ok", Why: "us-ssn"}),
		steps(survey.Step{Step: "boundary", Outcome: "ok", Why: "stands alone"}),
		nil,
	} {
		d.Findings = append(d.Findings, survey.Finding{Rule: "us-ssn", Type: "SSN", Confidence: dlp.Medium, Line: i + 1, Masked: "***", Why: w})
	}
	want := `a.txt  quarantine
     line 1  medium    SSN        us-ssn  ***  ` + "`ssn`" + `, 2 bytes before it (at most 60)
     line 2  medium    SSN        us-ssn  ***  the format itself says so; lowered: ` + "`tracking\\u001b[2J`" + `
     line 3  medium    SSN        us-ssn  ***  its form; passes us-ssn
     line 4  medium    SSN        us-ssn  ***  its form
     line 5  medium    SSN        us-ssn  ***
  3          not read  encrypted
`
	got, _, _ := strings.Cut(written(t, "table", options(false), true, d), "1 document read")
	if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") || strings.Contains(got, " \n") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func written(t *testing.T, format string, o report.Options, whole bool, docs ...survey.Document) string {
	t.Helper()
	var b bytes.Buffer
	w, err := report.New(format, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if err := w.Document(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(whole); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGoldens: the whole of each report, masked and revealed, and of none.
func TestGoldens(t *testing.T) {
	for _, format := range []string{"csv", "sarif", "html"} {
		for _, tt := range []struct {
			name   string
			reveal bool
			docs   []survey.Document
		}{{"masked", false, hostile(false)}, {"revealed", true, hostile(true)}, {"empty", false, nil}} {
			t.Run(tt.name+"."+format, func(t *testing.T) {
				got := written(t, format, options(tt.reveal), true, tt.docs...)
				if strings.Contains(got, value) != tt.reveal {
					t.Errorf("the value stands in it: %v, want %v", !tt.reveal, tt.reveal)
				}
				path := filepath.Join("testdata", tt.name+"."+format)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("differs from %s (-update rewrites it):\n%s", path, got)
				}
			})
		}
	}
}

func TestCell(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "a b-c+d@e=f", "a b-c+d@e=f"},
		{"empty", "", ""},
		{"equals", "=1+1", "'=1+1"},
		{"plus", "+1", "'+1"},
		{"minus", "-1", "'-1"},
		{"at", "@SUM(A1)", "'@SUM(A1)"},
		{"tab", "\t=1", `\u0009=1`},
		{"carriage return", "\r=1", `\u000d=1`},
		{"line end inside", "a\n=1", `a\u000a=1`},
		{"blanks first", " \u00a0=1", "' \u00a0=1"},
		{"standard input", "-", "-"},
		{"full width", "＝1", "'＝1"},
		{"semicolon", "a;=1; -2;b", "a;'=1;' -2;b"},
		{"apostrophe", "'=1", "''=1"},
		{"zero-width first", "\u200b=1", `\u200b=1`},
		{"no UTF-8", "\xff=1\xc3", `\xff=1\xc3`},
		{"replacement character", "\ufffd", `\ufffd`},
		{"accents", "résumé", "résumé"},
	} {
		if got := report.Cell(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestCSV: rows that read back, each on a line of its own, none a formula, no
// document without one.
func TestCSV(t *testing.T) {
	for _, reveal := range []bool{false, true} {
		text := written(t, "csv", options(reveal), true, hostile(reveal)...)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll() // refuses rows of unequal length
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(text, "\r\n"); n != len(rows) || strings.Count(text, "\n") != n || strings.Count(text, "\r") != n {
			t.Errorf("%d rows on %d lines", len(rows), n)
		}
		head, paths := rows[0], map[string]int{}
		at := func(row []string, name string) string { return row[slices.Index(head, name)] }
		var kinds []string
		for _, row := range rows[1:] {
			kinds = append(kinds, row[0])
			paths[at(row, "path")]++
			for i, cell := range row {
				for part := range strings.SplitSeq(cell, ";") {
					if regexp.MustCompile(`^\s*[=+\-@\t\r].`).MatchString(part) {
						t.Errorf("column %s holds a formula: %q", head[i], cell)
					}
				}
			}
		}
		if got, want := strings.Join(kinds, " "), "finding finding finding gap document document document"; got != want || len(paths) != 5 {
			t.Errorf("got rows %s of %d documents, want %s of 5", got, len(paths), want)
		}
		if (head[len(head)-1] == "value") != reveal || reveal && at(rows[1], "value") != value {
			t.Errorf("reveal %v: header %q, row %q", reveal, head, rows[1])
		}
		if at(rows[6], "status") != "failed" || at(rows[6], "error") != "open: permission denied" || at(rows[5], "verdict") != "allow" {
			t.Errorf("got %q and %q, want the document that passes and the one that failed", rows[5], rows[6])
		}
	}
}

// sarifLog is what the tests look at; the fields that SARIF 2.1.0 requires.
type sarifLog struct {
	Version string `json:"version"`
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name  string `json:"name"`
				Rules []struct {
					ID    string                `json:"id"`
					Short struct{ Text string } `json:"shortDescription"`
				} `json:"rules"`
			} `json:"driver"`
		} `json:"tool"`
		Results []struct {
			RuleID    string `json:"ruleId"`
			RuleIndex int    `json:"ruleIndex"`
			Kind      string `json:"kind"`
			Level     string `json:"level"`
			Message   struct{ Text string }
			Rank      *float64 `json:"rank"`
			Locations []struct {
				Physical struct {
					Artifact struct{ URI string } `json:"artifactLocation"`
					Region   map[string]int       `json:"region"`
				} `json:"physicalLocation"`
				Logical []struct{ Name, FullyQualifiedName string } `json:"logicalLocations"`
			} `json:"locations"`
			Prints map[string]string `json:"partialFingerprints"`
			Bag    map[string]any    `json:"properties"`
		} `json:"results"`
		Invocations []struct {
			Successful bool `json:"executionSuccessful"`
			Notices    []struct {
				Level   string
				Message struct{ Text string }
			} `json:"toolExecutionNotifications"`
		} `json:"invocations"`
		Bag map[string]any `json:"properties"`
	} `json:"runs"`
}

func TestSARIF(t *testing.T) {
	text := written(t, "sarif", options(false), true, hostile(false)...)
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || len(log.Runs) != 1 || run.Tool.Driver.Name != "stanch" || len(run.Results) != 5 || len(run.Invocations) != 1 {
		t.Fatalf("got %s", text)
	}
	ids := map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		if ids[r.ID] || r.Short.Text == "" {
			t.Errorf("rule %q stands twice or says nothing", r.ID)
		}
		ids[r.ID] = true
	}
	prints := map[string]bool{}
	for i, want := range []struct{ rule, kind, level, message, uri, part string }{
		{"us-ssn", "fail", "error", "Found SSN ***-**-8145.", "%3Dcmd%7C%27%20/C%20calc%27%21A0%3B%40x", ""},
		{"odd", "fail", "note", `Found CUSTOM +{{0}}\[*\](*)\\.`, "%3Dcmd%7C%27%20/C%20calc%27%21A0%3B%40x", ""},
		{"us-ssn", "fail", "warning", "Found SSN ***-**-8145.", "%3Cscript%3Ealert%281%29%3C/script%3E%0A%FF%E2%80%AEgpj.eml", "2/1"},
		{"gap/encrypted", "review", "none", "Not read: encrypted (zip AES-256).", "%3Cscript%3Ealert%281%29%3C/script%3E%0A%FF%E2%80%AEgpj.eml", "3/1"},
		{"not-read/failed", "review", "none", "Nothing was read: open: permission denied.", "%27quoted", ""},
	} {
		got := run.Results[i]
		if got.RuleID != want.rule || run.Tool.Driver.Rules[got.RuleIndex].ID != want.rule || got.Kind != want.kind || got.Level != want.level || got.Message.Text != want.message {
			t.Errorf("result %d: got %+v, want %+v", i, got, want)
		}
		l := got.Locations[0]
		if l.Physical.Artifact.URI != want.uri || (want.part == "") != (len(l.Logical) == 0) || want.part != "" && l.Logical[0].FullyQualifiedName != want.part {
			t.Errorf("result %d: got location %+v, want %s and part %q", i, l, want.uri, want.part)
		}
		if (got.Rank != nil) != (want.kind == "fail") || (len(got.Prints) == 1) != (want.kind == "fail") {
			t.Errorf("result %d: rank and fingerprint %v %v", i, got.Rank, got.Prints)
		}
		if p := got.Prints["stanchPlace/v1"]; p != "" && prints[p] {
			t.Errorf("result %d: another has its fingerprint", i)
		} else {
			prints[p] = true
		}
	}
	region := run.Results[0].Locations[0].Physical.Region
	for name, want := range map[string]int{"startLine": 1, "startColumn": 6, "endLine": 1, "endColumn": 17, "byteOffset": 5, "byteLength": 11} {
		if region[name] != want {
			t.Errorf("%s: got %d, want %d", name, region[name], want)
		}
	}
	if run.Results[1].Locations[0].Physical.Region != nil || run.Results[2].Locations[0].Physical.Region != nil {
		t.Error("a region stands where the text is not the file")
	}
	inv := run.Invocations[0]
	if inv.Successful || len(inv.Notices) != 2 || inv.Notices[0].Level != "error" || inv.Notices[1].Message.Text != "1 piece not read: encrypted." {
		t.Errorf("got invocation %+v, want the failed document and the gap told", inv)
	}
	if run.Bag["revealed"] != false || run.Bag["documents"] != 5.0 {
		t.Errorf("got run properties %v", run.Bag)
	}
	var cut sarifLog
	if err := json.Unmarshal([]byte(written(t, "sarif", options(true), false)), &cut); err != nil || cut.Runs[0].Invocations[0].Successful || cut.Runs[0].Bag["revealed"] != true || cut.Runs[0].Results == nil {
		t.Errorf("a run that was cut short: got %+v, %v", cut, err)
	}
}

// nodes are the elements of a page, by a walk.
func nodes(n *html.Node) (out []*html.Node) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode {
			out = append(out, c)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// TestPage: nothing in it is fetched or run, what documents hold is text, and it
// can be read by ear.
func TestPage(t *testing.T) {
	text := written(t, "html", options(true), false, hostile(true)...)
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields("html head meta title style body a header span main h1 h2 h3 p strong section dl div dt dd table caption thead tbody tr th td code nav article svg rect mark ul li footer")
	ids, count := map[string]bool{}, map[string]int{}
	var style, policy string
	for _, n := range nodes(doc) {
		count[n.Data]++
		if !slices.Contains(allowed, n.Data) {
			t.Errorf("<%s> is in the page", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("<%s %s=%q> is in the page", n.Data, a.Key, a.Val)
			}
			if a.Key == "id" {
				if ids[a.Val] {
					t.Errorf("id %s stands twice", a.Val)
				}
				ids[a.Val] = true
			}
		}
		switch n.Data {
		case "style":
			style = n.FirstChild.Data
		case "meta":
			if attr(n, "http-equiv") == "Content-Security-Policy" {
				policy = attr(n, "content")
			}
		case "th":
			if attr(n, "scope") == "" {
				t.Error("a table header says of nothing whose it is")
			}
		}
	}
	hash := sha256.Sum256([]byte(style))
	if want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; "; !strings.HasPrefix(policy, want) {
		t.Errorf("got policy %q, want %q", policy, want)
	}
	for _, n := range nodes(doc) {
		if to := attr(n, "aria-labelledby"); to != "" && !ids[to] {
			t.Errorf("nothing has the id %s", to)
		}
		if to := strings.TrimPrefix(attr(n, "href"), "#"); n.Data == "a" && !ids[to] {
			t.Errorf("a link leads to %q", to)
		}
	}
	for tag, want := range map[string]int{"main": 1, "h1": 1, "nav": 1, "article": 3, "section": 5, "script": 0} {
		if count[tag] != want {
			t.Errorf("got %d <%s>, want %d", count[tag], tag, want)
		}
	}
	for _, want := range []string{"The run was cut short.", "This page shows the values", value, "lowers, ", "Not read: part 3/1, -x.zip", `\u000a\xff\u202egpj.eml`,
		"open: permission denied", "Would be refused, by <code>trial</code>", "standard input", "No finding of the confidence"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "abs/clean") {
		t.Error("the page writes out a document with nothing to see")
	}
}

// TestPageIsBounded: what does not fit is counted, in the document and in all.
func TestPageIsBounded(t *testing.T) {
	many := survey.Document{Path: "many", Status: survey.Partial, Verdict: "quarantine"}
	for i := range report.MaxPageEach + 7 {
		many.Findings = append(many.Findings, survey.Finding{Rule: "us-ssn", Type: "SSN", Confidence: dlp.High, Line: i, Masked: "***"})
		many.Gaps = append(many.Gaps, survey.Gap{Part: fmt.Sprint(i), Cause: "image"})
		many.Verdicts = append(many.Verdicts, survey.Verdict{Recipient: "r@x.example"})
	}
	docs := []survey.Document{}
	for i := range report.MaxPageDocuments + 3 {
		d := many
		d.Path = fmt.Sprintf("many%04d", i)
		docs = append(docs, d)
	}
	text := written(t, "html", options(false), true, docs...)
	if got := strings.Count(text, "<article"); got != report.MaxPageFindings {
		t.Errorf("got %d findings written out, want %d", got, report.MaxPageFindings)
	}
	all := len(docs) * (report.MaxPageEach + 7)
	for _, want := range []string{"<strong>7 more findings of this document", "<strong>107 more findings", "<strong>7 more pieces", "7 more recipients", "<strong>3 more with something to see",
		fmt.Sprintf("%d findings in %d documents", all, len(docs)), fmt.Sprintf(`<td class="num">%d</td>`, all)} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
