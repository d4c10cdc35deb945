package gold_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gold"
)

func doc(text string, labels gold.Labels, tested string, spans ...gold.Span) *gold.Doc {
	return &gold.Doc{ID: "d", Text: text, Spans: spans, Meta: gold.Meta{Labels: labels, Tested: tested}}
}

func at(typ dlp.Type, start, end int64) gold.Span {
	return gold.Span{Type: typ, Start: start, End: end}
}

func found(typ dlp.Type, start, end int64) []dlp.Finding {
	return []dlp.Finding{{Type: typ, Start: start, End: end}}
}

func TestOnlyWhatLabelsCoverCounts(t *testing.T) {
	const ssn = "SSN 536-22-8145"
	tests := []struct {
		name       string
		doc        *gold.Doc
		found      []dlp.Finding
		typ        dlp.Type
		tp, fp, fn int
	}{
		{"found", doc(ssn, gold.Full, "", at("SSN", 4, 15)), found("SSN", 4, 15), "SSN", 1, 0, 0},
		{"half of it found", doc(ssn, gold.Full, "", at("SSN", 4, 14)), found("SSN", 9, 15), "SSN", 1, 0, 0},
		{"less than half of it found", doc(ssn, gold.Full, "", at("SSN", 4, 15)), found("SSN", 11, 15), "SSN", 0, 1, 1},
		{"found as another type", doc(ssn, gold.Full, "", at("SSN", 4, 15)), found("MRN", 4, 15), "SSN", 0, 0, 1},
		{"missed", doc(ssn, gold.Full, "", at("SSN", 4, 15)), nil, "SSN", 0, 0, 1},
		{"false", doc(ssn, gold.Full, ""), found("SSN", 4, 15), "SSN", 0, 1, 0},
		{"a placeholder missed", doc("SSN 123-45-6789", gold.Full, "", at("SSN", 4, 15)), nil, "SSN", 0, 0, 0},
		{"a placeholder found", doc("SSN 123-45-6789", gold.Full, ""), found("SSN", 4, 15), "SSN", 0, 0, 0},
		{"nine digits that nothing calls an SSN", doc("536228145", gold.Full, "", at("SSN", 0, 9)), nil, "SSN", 0, 0, 0},
		{"nine digits called one", doc("ssn is 536228145", gold.Full, "", at("SSN", 7, 16)), nil, "SSN", 0, 0, 1},
		{"another type than the tested one", doc(ssn, gold.Single, "PHONE"), found("SSN", 4, 15), "SSN", 0, 0, 0},
		{"the tested type", doc(ssn, gold.Single, "SSN"), found("SSN", 4, 15), "SSN", 0, 1, 0},
		{"a word of the source's own for the tested type", doc(ssn, gold.Single, "social", at("SSN", 0, 3)), found("SSN", 4, 15), "SSN", 0, 1, 0},
		{"structured, a type with every label", doc(ssn, gold.Structured, ""), found("SSN", 4, 15), "SSN", 0, 1, 0},
		{"structured, another type", doc(ssn, gold.Structured, ""), found("PHONE", 4, 15), "PHONE", 0, 0, 0},
		{"partial", doc(ssn, gold.Partial, ""), found("SSN", 4, 15), "SSN", 0, 0, 0},
		{"a condition where no label is one", doc("asthma", gold.Full, ""), found("CONDITION", 0, 6), "CONDITION", 0, 0, 0},
		{"a condition beside one that is labelled", doc("asthma gout", gold.Full, "", at("CONDITION", 0, 6)), found("CONDITION", 7, 11), "CONDITION", 0, 1, 1},
		{"a patient's number that is labelled as one", doc("MRN 4829137", gold.Full, "", at("MRN", 4, 11)), found("PATIENT", 4, 11), "PATIENT", 0, 0, 0},
		{"a patient's SSN that is labelled as one", doc(ssn, gold.Full, "", at("SSN", 4, 15)), found("PATIENT", 4, 15), "PATIENT", 0, 0, 0},
		{"a patient where nothing is labelled", doc(ssn, gold.Full, ""), found("PATIENT", 4, 15), "PATIENT", 0, 1, 0},
		{"a patient where a city is labelled", doc(ssn, gold.Full, "", at("ADDRESS", 4, 15)), found("PATIENT", 4, 15), "PATIENT", 0, 1, 0},
		{"a birth labelled as a date", doc("born 1961-03-04", gold.Full, "", at("DATE", 5, 15)), found("DOB", 5, 15), "DOB", 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tally gold.Tally
			tally.Add(tt.doc, tt.found)
			got := tally.Table([]dlp.Type{tt.typ}).Types[0]
			if got.TP != tt.tp || got.FP != tt.fp || got.FN != tt.fn {
				t.Errorf("found %d, false %d, missed %d, want %d, %d, %d", got.TP, got.FP, got.FN, tt.tp, tt.fp, tt.fn)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var tally gold.Tally
	tally.Add(doc("SSN 536-22-8145 x", gold.Full, "", at("SSN", 4, 15), at("NAME", 16, 17)), found("SSN", 4, 15))
	tally.Add(doc("MSH|", gold.Structured, "", at("MRN", 0, 3)), nil)
	tally.Clean(2_000_000, found("SSN", 0, 11))
	table := tally.Table([]dlp.Type{"SSN", "MRN", "SSN"})
	if len(table.Types) != 2 || len(table.Prose) != 1 || len(table.Structured) != 1 || len(table.Unsought) != 1 {
		t.Errorf("%d types, %d in prose, %d structured, %d unsought, want 2, 1, 1, 1", len(table.Types), len(table.Prose), len(table.Structured), len(table.Unsought))
	}
	if got := table.PerMB(table.Types[1].Clean); got != 0.5 {
		t.Errorf("%g SSNs a megabyte, want 0.5", got)
	}
	if got := table.All; got.TP != 1 || got.FN != 1 || got.F1() != 2.0/3 || got.F2() != 5.0/9 {
		t.Errorf("all: %+v, F1 %g, F2 %g, want 1 found, 1 missed, 0.667, 0.556", got, got.F1(), got.F2())
	}
	page := table.Markdown()
	for _, want := range []string{"| `SSN` | 1 | 0 | 0 | 1.000 | 1.000 | 1.000 | 0.500 |", "`NAME` 1"} {
		if !strings.Contains(page, want) {
			t.Errorf("page\n%s\nwant %q in it", page, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ line, remedy string }{
		"no JSON":              {"x", `want an object such as {"id":`},
		"a span past the end":  {`{"text":"zq","spans":[{"start":0,"end":3,"type":"SSN"}]}`, "count its bytes from 0"},
		"a span that is empty": {`{"text":"zq","spans":[{"start":1,"end":1,"type":"SSN"}]}`, "count its bytes from 0"},
	} {
		_, err := gold.Read(strings.NewReader("{\"text\":\"a\"}\n\n" + tt.line))
		if err == nil || !strings.Contains(err.Error(), "line 3") || !strings.Contains(err.Error(), tt.remedy) || strings.Contains(err.Error(), "zq") {
			t.Errorf("%s: error %v, want one of line 3 that says what is wanted and does not quote it", name, err)
		}
	}
	docs, err := gold.Read(strings.NewReader(`{"id":"a","source":"s","text":"ab","spans":[{"start":0,"end":2,"type":"SSN"}],"meta":{"labels":"full"}}`))
	if err != nil || len(docs) != 1 || docs[0].Spans[0].End != 2 || docs[0].Meta.Labels != gold.Full {
		t.Errorf("read %+v, %v, want one document", docs, err)
	}
}
