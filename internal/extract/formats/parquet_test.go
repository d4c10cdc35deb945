package formats_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestParquet holds what parts and spans a table makes that is kept by columns.
func TestParquet(t *testing.T) {
	load := func(name string) []byte {
		b, err := os.ReadFile("../parquet/testdata/" + name + ".parquet")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := serve(t, false, limits, load("duckdb-v2"))
	if text := a.texts[""]; !strings.Contains(text, "E1234567\t536-22-8145\t1980-03-04\t2026-01-02 03:04:05.5\t12.50\t1.5\t-7\ttrue\t") || !strings.HasSuffix(text, "\nauthor: Dr. Example\nnote: MRN E1112223\n") {
		t.Errorf("got %q", text)
	}
	labels := map[string]string{}
	for _, s := range a.spans[""] {
		labels[a.texts[""][s.Start:s.End]] = fmt.Sprintf("%s %d", s.Label, s.Group)
	}
	for text, want := range map[string]string{"E1234567": "mrn 1", "536-22-8145": "ssn 1", "536-22-8147": "other_ssn 1", "Ann": "person.given 1", "Bob": "person.given 2", "1899-12-31": "born 3", "text of a blob": "doc 1", "MRN E1112223": "note 0",
		"E7654321": "mrn 1", "12": "room 1"} {
		if labels[text] != want {
			t.Errorf("%s: got %q, want %q", text, labels[text], want)
		}
	}
	if got := fmt.Sprint(a.told()); got != "[]" {
		t.Errorf("gaps: got %s", got)
	}
	for name, want := range map[string]string{"duckdb-encrypted": "[encrypted parquet]"} {
		if got := fmt.Sprint(serve(t, false, limits, load(name)).told()); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	b := load("duckdb-groups")
	if got := fmt.Sprint(serve(t, false, limits, b[:len(b)-20]).told()); got != "[corrupt parquet]" {
		t.Errorf("cut: got %s", got)
	}
	tight := limits
	tight.Decoded = 1000
	if got := fmt.Sprint(serve(t, false, tight, b).told()); !strings.HasPrefix(got, "[too_large ") {
		t.Errorf("bomb: got %s", got)
	}
}
