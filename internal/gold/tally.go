package gold

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Count is what was found of one type.
type Count struct {
	Type  dlp.Type `json:"type"`
	TP    int      `json:"tp"` // labels that a finding of the same type covers by half or more
	FP    int      `json:"fp"` // findings without a label, where labels cover the type
	FN    int      `json:"fn"` // labels that are no TP
	Clean int      `json:"negatives"`
}

func ratio(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// Precision is TP over all findings, 0 without any.
func (c Count) Precision() float64 { return ratio(c.TP, c.TP+c.FP) }

// Recall is TP over all labels, 0 without any.
func (c Count) Recall() float64 { return ratio(c.TP, c.TP+c.FN) }

// F1 is the harmonic mean of precision and recall.
func (c Count) F1() float64 { return ratio(2*c.TP, 2*c.TP+c.FP+c.FN) }

// F2 is the same with recall weighed four times as much.
func (c Count) F2() float64 { return ratio(5*c.TP, 5*c.TP+c.FP+4*c.FN) }

func (c Count) plus(o Count) Count {
	c.TP += o.TP
	c.FP += o.FP
	c.FN += o.FN
	c.Clean += o.Clean
	return c
}

// Wrong is one label that was missed or one finding that was false.
type Wrong struct {
	Missed     bool
	Type       dlp.Type
	Start, End int64
}

// Tally adds up scores. The zero value is ready. OnWrong, if not nil, is called
// for each miss and false finding of labelled text.
type Tally struct {
	OnWrong func(d *Doc, w Wrong)

	prose, structured map[dlp.Type]Count
	everySSN          Count // with the labels that count neither way
	docs              int
	cleanBytes        int64
}

// Add scores the findings of d, which are those of a confidence that counts.
func (t *Tally) Add(d *Doc, found []dlp.Finding) {
	if t.prose == nil {
		t.prose, t.structured = map[dlp.Type]Count{}, map[dlp.Type]Count{}
	}
	into := t.prose
	if d.Meta.Labels == Structured {
		into = t.structured
	}
	t.docs++
	hit := make([]bool, len(found))
	for _, s := range d.Spans {
		got := false
		for i := range found {
			if covers(&found[i], s) {
				got, hit[i] = true, true
			}
		}
		t.label(d, s, got, into)
	}
	for i := range found {
		f := &found[i]
		if hit[i] || !d.Covers(f.Type) || f.Type == "DOB" && d.dated(f) || f.Type == "PATIENT" && d.identified(f) {
			continue
		}
		c := into[f.Type]
		if f.Type == "SSN" {
			t.everySSN.FP++
			if neither(d.value(f.Start, f.End)) {
				continue
			}
		}
		c.FP++
		into[f.Type] = c
		t.wrong(d, Wrong{Type: f.Type, Start: f.Start, End: f.End})
	}
}

// label counts one label, found or not.
func (t *Tally) label(d *Doc, s Span, got bool, into map[dlp.Type]Count) {
	if d.Meta.Labels == Single && !d.tests(s.Type) {
		return
	}
	if s.Type == "SSN" {
		if got {
			t.everySSN.TP++
		} else {
			t.everySSN.FN++
		}
		if neither(d.value(s.Start, s.End)) {
			return
		}
	}
	c := into[s.Type]
	switch {
	case got:
		c.TP++
	case d.weak(s):
	default:
		c.FN++
		t.wrong(d, Wrong{Missed: true, Type: s.Type, Start: s.Start, End: s.End})
	}
	into[s.Type] = c
}

func (t *Tally) wrong(d *Doc, w Wrong) {
	if t.OnWrong != nil {
		t.OnWrong(d, w)
	}
}

// covers reports whether f is of s's type and covers half of it or more.
func covers(f *dlp.Finding, s Span) bool {
	return f.Type == s.Type && 2*(min(f.End, s.End)-max(f.Start, s.Start)) >= s.End-s.Start
}

// dated reports a date of birth where the label says date, as some sources do
// for both.
func (d *Doc) dated(f *dlp.Finding) bool {
	return slices.ContainsFunc(d.Spans, func(s Span) bool { return s.Type == "DATE" && s.Start < f.End && f.Start < s.End })
}

// patientTypes are what a patient index knows of a patient.
var patientTypes = []dlp.Type{"MRN", "SSN", "PHONE", "DOB", "DATE", "NAME"}

// identified reports a patient's finding in a place that is labelled by what it is,
// as texts are that nobody compared with an index.
func (d *Doc) identified(f *dlp.Finding) bool {
	return slices.ContainsFunc(d.Spans, func(s Span) bool {
		return slices.Contains(patientTypes, s.Type) && 2*(min(f.End, s.End)-max(f.Start, s.Start)) >= s.End-s.Start
	})
}

// cleanTypes are those of which nothing stands in text without patients: names,
// dates and ways to reach somebody do.
var cleanTypes = []dlp.Type{"SSN", "ITIN", "MRN", "HEALTH_PLAN_ID", "MBI", "NPI", "DEA", "ICD10", "NDC", "CREDIT_CARD", "US_BANK",
	"PASSPORT", "DRIVER_LICENSE", "VIN", "PATIENT"}

// namedTypes are those that texts about care are full of. Where no source labels
// a single one, none sought to.
var namedTypes = []dlp.Type{"CONDITION", "DRUG", "LAB"}

// CountsClean reports whether a finding of typ is false wherever no patient is.
func CountsClean(typ dlp.Type) bool { return slices.Contains(cleanTypes, typ) }

// Clean counts the findings of size bytes of text without patients.
func (t *Tally) Clean(size int64, found []dlp.Finding) {
	if t.prose == nil {
		t.prose, t.structured = map[dlp.Type]Count{}, map[dlp.Type]Count{}
	}
	t.cleanBytes += size
	for i := range found {
		c := t.prose[found[i].Type]
		c.Clean++
		t.prose[found[i].Type] = c
	}
}

// Table is a Tally's outcome.
type Table struct {
	Docs       int     `json:"documents"`
	CleanBytes int64   `json:"negative_bytes"`
	Types      []Count `json:"types"`      // that some rule looks for, by name
	All        Count   `json:"all"`        // their sum
	EverySSN   Count   `json:"ssn_all"`    // SSN with the labels that count neither way
	Prose      []Count `json:"prose"`      // Types less structured sources
	Structured []Count `json:"structured"` // Types of structured sources
	Unsought   []Count `json:"unsought"`   // labelled, yet no rule looks for them
}

// Table returns the outcome for the types that some rule looks for.
func (t *Tally) Table(sought []dlp.Type) Table {
	out := Table{Docs: t.docs, CleanBytes: t.cleanBytes, EverySSN: t.everySSN}
	out.EverySSN.Type = "SSN"
	names := map[dlp.Type]bool{}
	for _, typ := range sought {
		names[typ] = true
	}
	for _, typ := range slices.Sorted(maps.Keys(names)) {
		p, s := t.prose[typ], t.structured[typ]
		if slices.Contains(namedTypes, typ) && p.TP+p.FN+s.TP+s.FN == 0 {
			p.FP, s.FP = 0, 0
		}
		p.Type, s.Type = typ, typ
		out.Types = append(out.Types, p.plus(s))
		if p.TP+p.FP+p.FN > 0 {
			out.Prose = append(out.Prose, p)
		}
		if s.TP+s.FP+s.FN > 0 {
			out.Structured = append(out.Structured, s)
		}
		out.All = out.All.plus(p).plus(s)
	}
	for _, scores := range []map[dlp.Type]Count{t.prose, t.structured} {
		for typ := range scores {
			c := t.prose[typ].plus(t.structured[typ])
			if c.Type = typ; !names[typ] && c.FN > 0 {
				names[typ] = true
				out.Unsought = append(out.Unsought, c)
			}
		}
	}
	slices.SortFunc(out.Unsought, func(a, b Count) int { return cmp.Compare(a.Type, b.Type) })
	return out
}

// PerMB is n over the megabytes (10^6 bytes) of text without patients, 0
// without any.
func (t Table) PerMB(n int) float64 {
	if t.CleanBytes == 0 {
		return 0
	}
	return float64(n) / (float64(t.CleanBytes) / 1e6)
}
