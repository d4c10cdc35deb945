package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// typePatient is the type of an exact match against the patient index. Its
// ValueKey is that of the patient, whichever of her values was found.
const typePatient dlp.Type = "PATIENT"

// condition is a compiled Condition.
type condition struct {
	rule       dlp.RuleID
	typ        dlp.Type
	tag        dlp.Tag
	gap        bool
	cause      dlp.Cause
	confidence dlp.Confidence
	count      int
	patients   int
}

// compile takes a Condition that Validate has passed.
func (c *Condition) compile() condition {
	out := condition{rule: c.Rule, typ: c.Type, tag: c.Tag, gap: c.Gap != "", confidence: dlp.Medium,
		count: max(c.MinCount, 1), patients: c.MinPatients}
	if c.Gap != "" {
		out.cause, _ = dlp.ParseCause(c.Gap)
	}
	if c.Confidence != "" {
		_ = out.confidence.UnmarshalText([]byte(c.Confidence)) // Validate has read it
	}
	return out
}

// finding reports whether f is what the condition counts.
func (c *condition) finding(f *dlp.Finding) bool {
	switch {
	case c.gap || f.Confidence < c.confidence:
		return false
	case c.rule != "":
		return f.Rule == c.rule
	case c.typ != "":
		return f.Type == c.typ
	}
	return f.HasTag(c.tag)
}

// known is what is known about one Document, with what the policies make of
// it: conditions do not depend on the recipient, so each policy is weighed
// once at most.
type known struct {
	findings []dlp.Finding
	gaps     []dlp.Gap // without the pictures that on_image lets pass
	timedOut bool
	results  []*result               // by policy, nil until weighed
	rows     map[place][]dlp.Finding // identifiers in rows; nil until asked for
}

// result is whether a policy's conditions hold, and what they counted.
type result struct {
	matched bool
	rules   []dlp.RuleID
	causes  []dlp.Cause
	gaps    []int // into known.gaps
}

// place is where the conditions of a policy must hold together: all fields
// zero for the document, path for a part, both for a row.
type place struct {
	path  string
	group uint32
}

// unit is what lies at one place, by condition.
type unit struct {
	findings [][]int // into known.findings
	gaps     [][]int // into known.gaps
}

// result weighs policy i, once.
func (k *known) result(i int, p *compiled) *result {
	if k.results[i] == nil {
		k.results[i] = k.weigh(p)
	}
	return k.results[i]
}

func (k *known) weigh(p *compiled) *result {
	r := &result{}
	for _, u := range k.units(p) {
		holds := make([]bool, len(p.conditions))
		for i := range p.conditions {
			holds[i] = k.holds(&p.conditions[i], u.findings[i], u.gaps[i])
		}
		if slices.Contains(holds, false) && (!p.any || !slices.Contains(holds, true)) {
			continue
		}
		r.matched = true
		for i := range holds {
			if holds[i] {
				r.take(k, u.findings[i], u.gaps[i])
			}
		}
	}
	return r
}

// take adds what a condition counted.
func (r *result) take(k *known, findings, gaps []int) {
	for _, i := range findings {
		if rule := k.findings[i].Rule; !slices.Contains(r.rules, rule) {
			r.rules = append(r.rules, rule)
		}
	}
	for _, i := range gaps {
		r.gaps = append(r.gaps, i)
		if cause := k.gaps[i].Cause; !slices.Contains(r.causes, cause) {
			r.causes = append(r.causes, cause)
		}
	}
}

// units sorts what p's conditions count by the places of p's scope.
func (k *known) units(p *compiled) map[place]*unit {
	units := map[place]*unit{}
	at := func(path string, group uint32) *unit {
		where := place{}
		switch p.scope {
		case scopePart:
			where.path = reading(path)
		case scopeRow:
			where = place{path, group}
		}
		if units[where] == nil {
			units[where] = &unit{make([][]int, len(p.conditions)), make([][]int, len(p.conditions))}
		}
		return units[where]
	}
	for i := range p.conditions {
		c := &p.conditions[i]
		for j := range k.findings {
			if f := &k.findings[j]; c.finding(f) {
				u := at(f.Path, f.Group)
				u.findings[i] = append(u.findings[i], j)
			}
		}
		for j := range k.gaps {
			if g := &k.gaps[j]; c.gap && g.Cause == c.cause {
				u := at(g.Path, 0)
				u.gaps[i] = append(u.gaps[i], j)
			}
		}
	}
	return units
}

// reading returns path without the numbers of further readings: what "2~2"
// says stands in the same part as what "2" says.
func reading(path string) string {
	if !strings.Contains(path, "~") {
		return path
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i], _, _ = strings.Cut(parts[i], "~")
	}
	return strings.Join(parts, "/")
}

// holds reports whether a condition holds for what it counts at one place.
func (k *known) holds(c *condition, findings, gaps []int) bool {
	if c.gap {
		return len(gaps) >= c.count
	}
	if len(findings) < c.count || len(findings) == 0 {
		return false
	}
	if c.count > 1 {
		t := tally{seen: map[dlp.ValueKey]bool{}}
		if t.values(k.pick(findings)) < c.count {
			return false
		}
	}
	return c.patients < 2 || k.patients(c, findings) >= c.patients
}

// pick returns the findings at the given indexes, copied.
func (k *known) pick(indexes []int) []dlp.Finding {
	fs := make([]dlp.Finding, len(indexes))
	for i, j := range indexes {
		fs[i] = k.findings[j]
	}
	return fs
}

// tally counts values that it has not seen before.
type tally struct{ seen map[dlp.ValueKey]bool }

// values counts the distinct values of fs, which it sorts. Of findings that
// overlap, two rules' readings of one place, only one counts.
func (t *tally) values(fs []dlp.Finding) int {
	slices.SortFunc(fs, func(a, b dlp.Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.End, b.End), cmp.Compare(b.Start, a.Start),
			last(&a, &b), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Rule, b.Rule))
	})
	n := 0
	var path string
	var end int64 // of the last place that was counted, in path
	for _, f := range fs {
		if f.Path != path {
			path, end = f.Path, 0
		}
		fresh := !t.seen[f.ValueKey]
		t.seen[f.ValueKey] = true
		if f.Start < end {
			continue
		}
		end = f.End
		if fresh {
			n++
		}
	}
	return n
}

// last puts a patient behind what else stands in the same place: two numbers of
// one patient are two values.
func last(a, b *dlp.Finding) int {
	switch {
	case a.Type == b.Type:
		return 0
	case a.Type == typePatient:
		return 1
	case b.Type == typePatient:
		return -1
	}
	return 0
}

// byPatient returns fs without what the patient index knows better: findings in
// the place of a patient's.
func byPatient(fs []dlp.Finding) []dlp.Finding {
	known := slices.DeleteFunc(slices.Clone(fs), func(f dlp.Finding) bool { return f.Type != typePatient })
	if len(known) == 0 {
		return fs
	}
	// No two patients' findings overlap, so the neighbours tell.
	byPlace := func(a, b dlp.Finding) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Start, b.Start)) }
	slices.SortFunc(known, byPlace)
	overlap := func(i int, f *dlp.Finding) bool {
		return i >= 0 && i < len(known) && known[i].Path == f.Path && known[i].Start < f.End && f.Start < known[i].End
	}
	return slices.DeleteFunc(fs, func(f dlp.Finding) bool {
		i, _ := slices.BinarySearchFunc(known, f, byPlace)
		return f.Type != typePatient && (overlap(i, &f) || overlap(i-1, &f))
	})
}

// identifies reports a finding that points at one patient by itself.
func identifies(f *dlp.Finding) bool {
	return f.HasTag(dlp.TagIdentifier) && f.Type != "DOB" && f.Confidence >= dlp.Medium
}

// identifiers returns the identifiers in each row.
func (k *known) identifiers() map[place][]dlp.Finding {
	if k.rows == nil {
		k.rows = map[place][]dlp.Finding{}
		for _, f := range k.findings {
			if f.Group != 0 && identifies(&f) {
				row := place{f.Path, f.Group}
				k.rows[row] = append(k.rows[row], f)
			}
		}
	}
	return k.rows
}
