// Package gold scores findings against labelled text.
//
// It promises to count only what a text's labels cover: what a source does not
// label is neither found nor missed nor false. It scans nothing itself.
package gold

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/scanner/check"
)

// Other labels what is sensitive, yet of no type of the vocabulary.
const Other dlp.Type = "OTHER"

// Labels says what the labels of a Doc cover.
type Labels string

// What labels cover. Any other word, and none, is Full.
const (
	Full       Labels = "full"       // everything: a finding without a label is false
	Single     Labels = "single"     // Meta.Tested only
	Structured Labels = "structured" // a health format's fields; free text may be without labels
	Partial    Labels = "partial"    // some labels could not be placed: only misses count
)

// Doc is one labelled text.
type Doc struct {
	ID     string
	Source string
	Text   string
	Spans  []Span
	Meta   Meta
}

// Span is one label: byte offsets into Text, End exclusive.
type Span struct {
	Start int64
	End   int64
	Type  dlp.Type
}

// Meta says how a Doc's labels are to be read.
type Meta struct {
	Labels Labels
	Tested string // of Single: the type, or the source's own word for what it tests
}

// maxLine bounds one line of labelled text, in bytes.
const maxLine = 64 << 20

// Read returns the documents of r, a JSON object a line. The error says which
// line, and does not quote it.
func Read(r io.Reader) ([]Doc, error) {
	var docs []Doc
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var d Doc
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return nil, fmt.Errorf("gold: line %d: not a labelled text: want an object such as {\"id\":\"1\",\"text\":\"SSN 536-22-8145\",\"spans\":[{\"start\":4,\"end\":15,\"type\":\"SSN\"}]} a line", n)
		}
		for _, s := range d.Spans {
			if s.Start < 0 || s.End <= s.Start || s.End > int64(len(d.Text)) {
				return nil, fmt.Errorf("gold: line %d: a span outside the text: start and end count its bytes from 0, and the end is the first byte behind", n)
			}
		}
		docs = append(docs, d)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("gold: %w", err)
	}
	return docs, nil
}

// structuredTypes are those of which a structured source labels every one that
// stands in a field.
var structuredTypes = []dlp.Type{"SSN", "MRN", "MBI", "NPI", "DEA"}

// Covers reports whether a finding of typ without a label is false in d.
func (d *Doc) Covers(typ dlp.Type) bool {
	switch d.Meta.Labels {
	case Single:
		return d.tests(typ)
	case Structured:
		return slices.Contains(structuredTypes, typ)
	case Partial:
		return false
	}
	return true
}

// tests reports whether d's one tested type is typ. A source that uses a word
// of its own for it tests what it labels.
func (d *Doc) tests(typ dlp.Type) bool {
	if dlp.KnownType(dlp.Type(d.Meta.Tested)) || d.Meta.Tested == string(Other) {
		return d.Meta.Tested == string(typ)
	}
	return slices.ContainsFunc(d.Spans, func(s Span) bool { return s.Type == typ })
}

// value returns what stands at [start, end).
func (d *Doc) value(start, end int64) string {
	if start < 0 || end > int64(len(d.Text)) || start > end {
		return ""
	}
	return d.Text[start:end]
}

// neither reports an SSN that labels disagree about: placeholders, specimens,
// numbers of advertisements and of invented patients.
func neither(value string) bool {
	d := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, value)
	return d == "123456789" || d == "078051120" || d == "219099999" || strings.HasPrefix(d, "98765432") || strings.HasPrefix(d, "999")
}

// called reports whether one of words stands before s.
func (d *Doc) called(s Span, words ...string) bool {
	before := strings.ToLower(d.Text[max(0, s.Start-calledReach):s.Start])
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(before, w) })
}

// calledReach is how far before a value, in bytes, a word for one makes it
// labelled.
const calledReach = 40

// weak reports a label that is not counted as missed: an SSN with neither a
// word or a field for it nor the written form of a number that may exist, a
// licence or a passport with neither, and a record number of a source that
// calls every identifier one.
func (d *Doc) weak(s Span) bool {
	switch s.Type {
	case "SSN":
		v := d.value(s.Start, s.End)
		if d.Meta.Labels == Structured || check.SSN(v) && writtenAsSSN(v) {
			return false
		}
		return !d.called(s, "ssn", "social sec", "ss#")
	case "DRIVER_LICENSE":
		return d.Meta.Labels != Structured && !d.called(s, "licen", "permit", "dl")
	case "PASSPORT":
		return d.Meta.Labels != Structured && !d.called(s, "passport", "travel document")
	case "MRN":
		return d.Source == "phileas-tests"
	}
	return false
}

// writtenAsSSN reports three, two and four digits with the same separator
// twice.
func writtenAsSSN(v string) bool {
	return len(v) == 11 && v[3] == v[6] && (v[3] == '-' || v[3] == ' ' || v[3] == '.')
}
