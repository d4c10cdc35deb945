package policy

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// patients counts the distinct patients that findings point at, at least one.
//
// A row, such as a table's or all segments of one patient in a message, is one
// patient. Which one its record number, SSN or Medicare number says, and nothing
// else where it has one: a visit or an account is not a patient. Of a row without,
// another identifier that stood in no row before makes it a new patient, and so it
// is where it has no identifier at all: a column that is equal in all rows, such as
// the clinic's own account, does not make one patient of them. A condition that
// names the type or rule of record numbers, SSNs or Medicare numbers counts these.
//
// In running text an identifier is a patient if it was not seen before. A date of
// birth is not taken for one there, since it stands beside a better one, unless the
// condition names its type or rule. Who the patient index knows counts by who
// she is, in whichever row and by whichever number.
func (k *known) patients(c *condition, findings []int) int {
	rows := map[place][]dlp.Finding{}
	var text []dlp.Finding
	for _, f := range k.pick(findings) {
		if f.Group != 0 {
			row := place{f.Path, f.Group}
			rows[row] = append(rows[row], f)
		} else if c.tag == "" || identifies(&f) {
			text = append(text, f)
		}
	}
	places := make([]place, 0, len(rows))
	for row := range rows {
		places = append(places, row)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.group, b.group))
	})
	n := 0
	t := tally{seen: map[dlp.ValueKey]bool{}}
	p := people{same: map[dlp.ValueKey]dlp.ValueKey{}}
	identifiers := k.identifiers()
	for _, row := range places {
		ids := slices.Clone(identifiers[row])
		who := persons(ids)
		if c.tag == "" && (len(who) == 0 || who[0].Type != typePatient) {
			if named := persons(rows[row]); len(named) > 0 {
				who = named
			}
		}
		fresh := t.values(ids) > 0
		switch {
		case len(who) > 0:
			p.add(who)
			for i := range who {
				t.seen[who[i].ValueKey] = true
			}
		case fresh || len(ids) == 0:
			n++
		}
	}
	return max(n+p.count()+t.values(byPatient(text)), 1)
}

// persons returns those of fs that say by themselves which patient it is: the
// patient index's where there are any, else record numbers, SSNs and Medicare numbers.
func persons(fs []dlp.Finding) []dlp.Finding {
	var who, known []dlp.Finding
	for _, f := range fs {
		switch f.Type {
		case typePatient:
			known = append(known, f)
		case "MRN", "SSN", "MBI":
			who = append(who, f)
		}
	}
	if len(known) > 0 {
		return known
	}
	return who
}

// people tells apart the patients of rows. Rows that share a number are of the same
// patient, and so are those that a third row joins. But two rows that each have
// another number of one type are two: they may share a guarantor's SSN, or a
// number that is equal in all rows.
type people struct {
	same map[dlp.ValueKey]dlp.ValueKey // to another value of the same patient, or to itself
	rows []numbers
}

// numbers is all values of one type in a row, sorted.
type numbers struct {
	typ    dlp.Type
	values []dlp.ValueKey
}

// add takes in the numbers of one row.
func (p *people) add(who []dlp.Finding) {
	by := map[dlp.Type][]dlp.ValueKey{}
	first := p.root(who[0].ValueKey)
	for i := range who {
		p.same[p.root(who[i].ValueKey)] = first
		by[who[i].Type] = append(by[who[i].Type], who[i].ValueKey)
	}
	for typ, values := range by {
		slices.SortFunc(values, func(a, b dlp.ValueKey) int { return bytes.Compare(a[:], b[:]) })
		p.rows = append(p.rows, numbers{typ, slices.Compact(values)})
	}
}

// root returns the value that stands for all of the same patient as v.
func (p *people) root(v dlp.ValueKey) dlp.ValueKey {
	up, seen := p.same[v]
	if !seen {
		p.same[v] = v
		return v
	}
	for up != v {
		next := p.same[up]
		p.same[v] = next // half way, so that no path is long
		v, up = next, p.same[next]
	}
	return v
}

// count returns how many patients there are: of those who share numbers as many as
// there are different numbers of one type, those of one row counted once.
func (p *people) count() int {
	type kind struct {
		of  dlp.ValueKey
		typ dlp.Type
	}
	sets, values := map[kind]map[string]bool{}, map[kind]map[dlp.ValueKey]bool{}
	for _, row := range p.rows {
		at := kind{p.root(row.values[0]), row.typ}
		if sets[at] == nil {
			sets[at], values[at] = map[string]bool{}, map[dlp.ValueKey]bool{}
		}
		var all []byte
		for _, v := range row.values {
			all = append(all, v[:]...)
			values[at][v] = true
		}
		sets[at][string(all)] = true
	}
	most := map[dlp.ValueKey]int{}
	for at := range sets {
		most[at.of] = max(most[at.of], min(len(sets[at]), len(values[at])))
	}
	n := 0
	for _, k := range most {
		n += k
	}
	return n
}
