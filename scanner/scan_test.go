package scanner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// rules loads a rule file given as text, without the built-in packs.
func rules(tb testing.TB, text string) *scanner.Scanner {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte("schema = 1\n"+text), 0o600); err != nil {
		tb.Fatal(err)
	}
	set, err := patterns.Load(tb.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return scanner.New(set)
}

// rule is a rule of one pattern.
func rule(id, typ, confidence, regex string) string {
	return fmt.Sprintf("[[rules]]\nid = %q\ntype = %q\n[[rules.patterns]]\nconfidence = %q\nregex = '''%s'''\n", id, typ, confidence, regex)
}

func scanWhole(tb testing.TB, s *scanner.Scanner, opt scanner.Options, p dlp.PartInfo, text string, spans ...dlp.Span) ([]dlp.Finding, []dlp.Gap) {
	tb.Helper()
	scan := s.Begin(opt)
	if err := scan.Part(p); err != nil {
		tb.Fatal(err)
	}
	if err := scan.Text(dlp.Window{Text: []byte(text), Spans: spans}); err != nil {
		tb.Fatal(err)
	}
	return scan.Finish()
}

func brief(text string, fs []dlp.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s %s %s", f.Rule, f.Confidence, text[f.Start:f.End]))
	}
	return out
}

func TestOverlaps(t *testing.T) {
	tests := []struct {
		name, rules, text string
		want              []string
		keys              int // distinct
	}{
		{"one rule, higher confidence", rule("a", "CUSTOM", "medium", `\d{3}-\d{3}`) + "[[rules.patterns]]\nconfidence = \"high\"\nregex = '''\\d{3}'''\n", "123-456", []string{"a high 123", "a high 456"}, 2},
		{"one rule, longest", rule("a", "CUSTOM", "medium", `\d{3}-\d{3}`) + "[[rules.patterns]]\nconfidence = \"medium\"\nregex = '''\\d{3}'''\n", "123-456", []string{"a medium 123-456"}, 1},
		{"two rules, same type", rule("a", "CUSTOM", "low", `\d{3}`) + rule("b", "CUSTOM", "high", `\d{3}`), "123", []string{"b high 123"}, 1},
		{"two types, higher confidence", rule("a", "SSN", "low", `\d{3}`) + rule("b", "MRN", "medium", `\d{3}`), "123", []string{"b medium 123"}, 1},
		{"two types, tie", rule("a", "SSN", "medium", `\d{3}`) + rule("b", "MRN", "medium", `\d{3}`), "123", []string{"a medium 123", "b medium 123"}, 1},
		{"no overlap", rule("a", "SSN", "medium", `\d{3}`), "123 124 123", []string{"a medium 123", "a medium 124", "a medium 123"}, 2},
		{"count all", strings.Replace(rule("a", "SSN", "medium", `\d{3}`), "type", "count = \"all\"\ntype", 1), "123 123", []string{"a medium 123", "a medium 123"}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := scanWhole(t, rules(t, tt.rules), scanner.Options{}, dlp.PartInfo{}, tt.text)
			if got := brief(tt.text, found); !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			keys := map[dlp.ValueKey]bool{}
			for _, f := range found {
				keys[f.ValueKey] = true
			}
			if len(keys) != tt.keys {
				t.Errorf("%d distinct values, want %d", len(keys), tt.keys)
			}
		})
	}
}

func TestBoundaryNumber(t *testing.T) {
	s := rules(t, strings.Replace(rule("n", "CUSTOM", "medium", `\d{6}`), "type", "boundary = \"number\"\ntype", 1))
	for text, want := range map[string]bool{
		"123456": true, "(123456)": true, "id=123456": true, "a,123456,b": true, "1,123456": true, "SSN-123456": true, "ssn/123456": true,
		"no.123456": true, "123456.": true, "123456. 7": true, "“123456”": true, "病123456号": true,
		"1123456x": false, "0.123456": false, ".123456": false, "123456.5": false, "$123456": false, "$ 123456": false, "€123456": false,
		"5-123456": false, "123456-5": false, "/srv/123456": false, "https://x.example/123456": false, "1234567": false, "_123456": false,
		"é123456": false, "123456@x.example": false, "123456%": false, "+123456": false, "123456 €": true, "123456€": false,
	} {
		found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, text)
		if got := len(found) == 1; got != want {
			t.Errorf("%q: found %t, want %t", text, got, want)
		}
	}
}

func TestEvidence(t *testing.T) {
	s := rules(t, rule("n", "CUSTOM", "medium", `\d{6}`)+`supporting = { any = ["badge no", "ss#"], proximity = 10, header = true }
[[rules.demote]]
any = ["order"]
proximity = 5
`)
	field := func(label string, typ dlp.Type) []dlp.Span {
		return []dlp.Span{{Start: 0, End: 100, Label: "row"}, {Start: 1, End: 7, Label: label, Type: typ, Group: 9}}
	}
	note := func(label string, typ dlp.Type) []dlp.Span {
		return []dlp.Span{{Start: 0, End: 100, Label: "row"}, {Start: 1, End: 16, Label: label, Type: typ, Group: 9}}
	}
	tests := []struct {
		name, text string
		spans      []dlp.Span
		want       string // "" for nothing
	}{
		{"before", "badge no 123456", nil, "medium"},
		{"after", "123456 badge no", nil, "medium"},
		{"in other words", "BADGE_NO: 123456", nil, "medium"},
		{"over a line", "badge\n  no 123456", nil, "medium"},
		{"with a symbol", "SS#123456", nil, "medium"},
		{"at reach", "badge no          123456", nil, "medium"},
		{"out of reach", "badge no           123456", nil, ""},
		{"part of a word", "badge nora 123456", nil, ""},
		{"none", "123456", nil, ""},
		{"demoted", "badge no 123456 order", nil, "low"},
		{"not demoted from afar", "badge no 123456       order", nil, "medium"},
		{"name of the field", " 123456 ", field("staffBadgeNo", ""), "medium"},
		{"another name", " 123456 ", field("staff", ""), ""},
		{"a name that speaks against", " 123456 badge no", note("order_id", ""), "low"},
		{"the format says so", " 123456 ", field("x", "CUSTOM"), "high"},
		{"the format says so, its name otherwise", " 123456 ", field("order_id", "CUSTOM"), "high"},
		{"the format says so, a word beside it otherwise", " 123456 order", note("x", "CUSTOM"), "medium"},
		{"the format says otherwise", " 123456 badge no", note("x", "MRN"), "low"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, tt.text, tt.spans...)
			got := ""
			if len(found) == 1 {
				got = found[0].Confidence.String()
				if tt.spans != nil && found[0].Group != 9 {
					t.Errorf("group %d, want 9", found[0].Group)
				}
			}
			if got != tt.want {
				t.Errorf("confidence %q of %d findings, want %q", got, len(found), tt.want)
			}
		})
	}
}

// TestShortNumbersOfFields: where the format itself says that a field holds a record
// number or a member's, a short one counts, and nowhere else.
func TestShortNumbersOfFields(t *testing.T) {
	for _, validator := range []string{"record-number", "plan-id"} {
		s := rules(t, rule("n", "MRN", "medium", `[A-Z]{0,3}\d{2,8}`)+`validator = "`+validator+`"
supporting = { any = ["chart"], proximity = 10, header = true }
`)
		for text, want := range map[string][2]int{ // in a field of that type, in another with the word
			" DB123 ": {1, 0}, " 129 ": {1, 0}, " 29 ": {0, 0}, " 000 ": {0, 0}, " E1234567 ": {1, 1},
		} {
			if validator == "plan-id" && text == " DB123 " {
				want[1] = 1 // three digits beside letters do
			}
			for i, typ := range []dlp.Type{"MRN", ""} {
				span := dlp.Span{Start: 1, End: int64(len(text) - 1), Label: "chart", Type: typ, Group: 1}
				if found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, text, span); len(found) != want[i] {
					t.Errorf("%s: %q in a field of type %q: %d findings, want %d", validator, text, typ, len(found), want[i])
				}
			}
		}
	}
}

// TestNearestLabel: of labels the nearest counts.
func TestNearestLabel(t *testing.T) {
	s := rules(t, rule("n", "CUSTOM", "medium", `\d{6}`)+`supporting = { any = ["badge no"], proximity = 40, header = true }
[[rules.demote]]
any = ["order"]
proximity = 40
side = "before"
`)
	named := []dlp.Span{{Start: 6, End: 12, Label: "badge_no"}}
	tests := []struct {
		name, text string
		spans      []dlp.Span
		want       dlp.Confidence
	}{
		{"the other nearer", "badge no of the order 123456", nil, dlp.Low},
		{"its own nearer", "order 77, badge no 123456", nil, dlp.Medium},
		{"as near", "order badge no 123456 badge no", nil, dlp.Medium},
		{"the other behind", "badge no of 123456 order", nil, dlp.Medium},
		{"named by its column", "order,123456", named, dlp.Medium},
		{"the column without a word for it", "order 123456 badge no", nil, dlp.Low},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, tt.text, tt.spans...)
			if len(found) != 1 || found[0].Confidence != tt.want {
				t.Errorf("found %v, want one of %v", found, tt.want)
			}
		})
	}
}

// TestMedicareNumberOfAPlan: a Medicare number in a field for a health plan's
// number is of the field's type and of its own.
func TestMedicareNumberOfAPlan(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, "NM1*IL*1*ROE*JANE****MI*3CD5FG7HJ89~",
		dlp.Span{Start: 24, End: 35, Label: "NM109", Type: "HEALTH_PLAN_ID"})
	if !slices.ContainsFunc(found, func(f dlp.Finding) bool { return f.Type == "MBI" && f.Confidence == dlp.High && f.Start == 24 }) {
		t.Errorf("found %v, want the Medicare number at high", found)
	}
}

func TestHeaderFieldsOfAMail(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	const text = "From: jane.roe@clinic.example\r\n"
	tests := []struct {
		name, path, label string
		want              int
	}{
		{"sender", "HEADER", "From", 0},
		{"sender of a nested mail", "3/2.1.HEADER", "from", 0},
		{"a further reading", "HEADER~2", "FROM", 0},
		{"trace", "2.HEADER", "Received", 0},
		{"signature", "HEADER", "ARC-Seal", 0},
		{"subject", "HEADER", "Subject", 1},
		{"a field of their own", "HEADER", "X-Patient", 1},
		{"body", "1", "From", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{Path: tt.path}, text, dlp.Span{End: int64(len(text)), Label: tt.label})
			if len(found) != tt.want {
				t.Errorf("%d findings, want %d", len(found), tt.want)
			}
		})
	}
}

func TestBoundsAreGaps(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	text := []byte(strings.Repeat("SSN 536-22-8145\n", 2000))
	tests := []struct {
		name string
		opt  scanner.Options
		want dlp.Cause
		most int
	}{
		{"findings", scanner.Options{MaxFindings: 10}, dlp.TooMany, 10},
		{"budget", scanner.Options{VerifyFree: -1 << 40}, dlp.Timeout, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scan := s.Begin(tt.opt)
			for _, path := range []string{"1", "2"} {
				if err := scanner.Feed(scan, dlp.PartInfo{Path: path, Name: path + ".txt"}, text); err != nil {
					t.Fatal(err)
				}
			}
			if err := scan.Gap(dlp.Gap{Path: "3", Cause: dlp.Encrypted}); err != nil {
				t.Fatal(err)
			}
			found, gaps := scan.Finish()
			if len(found) != tt.most {
				t.Errorf("%d findings, want %d", len(found), tt.most)
			}
			if len(gaps) != 3 || gaps[0].Cause != tt.want || gaps[0].Path != "1" || gaps[1].Cause != tt.want || gaps[1].Path != "2" || gaps[2].Path != "3" {
				t.Errorf("gaps %+v, want %s for both parts and the one handed in", gaps, tt.want)
			}
		})
	}
}

// TestMillionMatches: of a document that is all matches some are kept, the rest
// is a gap, and memory follows what is kept.
func TestMillionMatches(t *testing.T) {
	s := rules(t, rule("n", "CUSTOM", "medium", `\d{6}`))
	window := []byte(strings.Repeat("no 123456, ", 10_000))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	scan := s.Begin(scanner.Options{})
	if err := scan.Part(dlp.PartInfo{}); err != nil {
		t.Fatal(err)
	}
	for i := range int64(100) { // windows of a text without a line end
		if err := scan.Text(dlp.Window{Offset: i * int64(len(window)), Text: window}); err != nil {
			t.Fatal(err)
		}
	}
	found, gaps := scan.Finish()
	runtime.ReadMemStats(&after)
	if len(found) != scanner.DefaultMaxFindings || len(gaps) != 1 || gaps[0].Cause != dlp.TooMany {
		t.Errorf("%d findings and gaps %v, want %d and one of too_many", len(found), gaps, scanner.DefaultMaxFindings)
	}
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 128 {
		t.Errorf("%d MiB allocated, want 128 at most", got)
	}
}

// TestPathologicalExpression: an expression that takes a backtracking engine
// exponential time is found, or is a gap, never silence.
func TestPathologicalExpression(t *testing.T) {
	for _, expr := range []string{`(?:a?){60}a{60}b`, `(?:a|aa|aaa){1,150}b`, `(?:(?:a{0,5}){0,5}){0,5}b`} {
		s := rules(t, strings.Replace(rule("n", "CUSTOM", "medium", expr), "[[rules.patterns]]", "boundary = \"none\"\n[[rules.patterns]]", 1))
		found, gaps := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, strings.Repeat("a", 64<<10)+"b ")
		if len(found) == 0 && (len(gaps) == 0 || gaps[0].Cause != dlp.Timeout) {
			t.Errorf("%s: %d findings, gaps %v, want a finding or a gap of timeout", expr, len(found), gaps)
		}
	}
}

func TestAllowlistEnds(t *testing.T) {
	s := rules(t, rule("n", "CUSTOM", "medium", `\d{3}-\d{3}`)+"[[rules.allowlists]]\ndescription = \"x\"\nvalues = [\"123456\"]\nexpires = 2026-01-31\n")
	for day, want := range map[string]int{"2026-01-31T23:59:59Z": 0, "2026-02-01T00:00:00Z": 1} {
		now, err := time.Parse(time.RFC3339, day)
		if err != nil {
			t.Fatal(err)
		}
		if found, _ := scanWhole(t, s, scanner.Options{Now: now}, dlp.PartInfo{}, "123-456"); len(found) != want {
			t.Errorf("%s: %d findings, want %d", day, len(found), want)
		}
	}
	found, err := scanner.NewTester(nil).Test(t.Context(), s.Set(), "123-456", "")
	if err != nil || len(found) != 0 {
		t.Errorf("in a test: %d findings, %v, want none: tests ignore the date", len(found), err)
	}
}

func TestNormalisation(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for name, value := range map[string]string{
		"plain": "536-22-8145", "full-width": "５３６－２２－８１４５", "soft hyphens": "5\u00ad36-22-8\u00ad145", "zero width": "536\u200b-22-\u200d8145",
		"arabic digits": "٥٣٦-٢٢-٨١٤٥", "mathematical digits": "𝟱𝟯𝟲-𝟐𝟐-𝟴𝟭𝟰𝟱", "look-alike dashes": "536‑22–8145", "no-break spaces": "536\u00a022\u202f8145",
		"combining marks": "5\u033236-22-8145", "direction marks": "\u202a536-22-8145\u202c",
		"blanks of other scripts": "536\u280022\u28008145", "fillers": "53\u31646-22\u115f-8145", "more dashes": "536\u30fc22\u301c8145", "a box's line": "536\u250022\u27968145",
		"NULs": "5\x003\x006-22-\x008145", "control characters": "5\x013\b6-2\x1b2-81\x7f45",
	} {
		text := "é SSN " + value + "\u200b end"
		found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, text)
		if len(found) != 1 || found[0].Confidence != dlp.High {
			t.Errorf("%s: findings %q, want one of high", name, brief(text, found))
			continue
		}
		if got := text[found[0].Start:found[0].End]; got != strings.Trim(value, "\u202a\u202c") {
			t.Errorf("%s: matched %q, want %q", name, got, value)
		}
	}
}

// TestInvalidUTF8: bytes that are no text hide nothing beside them.
func TestInvalidUTF8(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for _, text := range []string{"SSN \xff536-22-8145\xfe", "\xc3SSN\xe2\x82 536-22-8145\xf0", "ssn:\xed\xa0\x80536-22-8145\x80\x80"} {
		found, gaps := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, text)
		if len(found) != 1 || text[found[0].Start:found[0].End] != "536-22-8145" || len(gaps) > 0 {
			t.Errorf("%q: findings %q, gaps %v, want the number", text, brief(text, found), gaps)
		}
	}
}

func TestMask(t *testing.T) {
	tests := []struct {
		typ         dlp.Type
		value, want string
	}{
		{"SSN", "536-22-8145", "***-**-8145"},
		{"SSN", "536228145", "******145"},
		{"MRN", "E12", "**2"},
		{"MRN", "7", "*"},
		{"EMAIL", "jane.roe@clinic.example", "****.***@******.***mple"},
		{"DOB", "03/04/1961", "**/**/****"},
		{"NAME", "Jane Roe", "***"},
		{"PHONE", "(212) 555-0142", "(***) ***-0142"},
		{"CUSTOM", "é漢字ab", "***ab"},
		{"CUSTOM", "a\nb\tc", "* b c"},
	}
	for _, tt := range tests {
		if got := scanner.Mask(tt.typ, tt.value); got != tt.want {
			t.Errorf("Mask(%s, %q) = %q, want %q", tt.typ, tt.value, got, tt.want)
		}
	}
}

func TestConcurrentScansAndSets(t *testing.T) {
	set := loadBuiltIn(t, patterns.Site{})
	s := scanner.New(set)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				scan := s.Begin(scanner.Options{})
				if err := scanner.Feed(scan, dlp.PartInfo{}, []byte("SSN: 536-22-8145, again 536228145")); err != nil {
					t.Error(err)
				}
				if found, _ := scan.Finish(); len(found) != 2 || found[0].ValueKey != found[1].ValueKey {
					t.Errorf("%d findings, want two of one value", len(found))
				}
			}
		})
	}
	wg.Wait()
}

func TestTextOutOfOrder(t *testing.T) {
	scan := scanner.New(loadBuiltIn(t, patterns.Site{})).Begin(scanner.Options{})
	if err := scan.Text(dlp.Window{Text: []byte("x")}); err == nil {
		t.Error("text without a part, want an error")
	}
	if err := scan.Part(dlp.PartInfo{}); err != nil {
		t.Fatal(err)
	}
	if err := scan.Text(dlp.Window{Offset: 5, Text: []byte("x")}); err == nil {
		t.Error("text with a hole before it, want an error")
	}
}

// TestRepeatedBeginnings: what is remembered of how words began that came to
// nothing hides no word that begins so and does not, in its part or in a later one.
func TestRepeatedBeginnings(t *testing.T) {
	s := rules(t, strings.Replace(rule("a", "SSN", "medium", `[a-l]{3}[x-z]{1,2}|[m-p]{3}`), "type", "count = \"all\"\ntype", 1))
	for _, tc := range []struct {
		text string
		want int
	}{
		{"mno mno mno.", 3},                       // the walk ends at the fourth byte, and something matches
		{"mnop mno mnop mno mnoa", 2},             // something matches that does not stand alone
		{"abcd abcx abcd abcxy abc abcz abcd", 3}, // nothing does, and then with another fourth byte
		{"abcd abcd abc abc", 0},
	} {
		for range 2 { // the second takes over the memory of the first
			if found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, tc.text); len(found) != tc.want {
				t.Errorf("%q: %v, want %d", tc.text, brief(tc.text, found), tc.want)
			}
		}
	}
}
