package scanner

import "github.com/stanch-dlp/stanch/internal/dlp"

// maxBehindWord is how many bytes behind a word are looked at for the value that
// it speaks of.
const maxBehindWord = 64

// cell is the field of a row in which a match stands, with the fields around it.
// The zero value is text without cells, in which every word counts.
//
// In a cell the words near by are those of other columns as well: of a table's
// header, of the keys of an object, of the rows above and below. None of them says
// anything of it. What does: its own words and its own name, and a word in another
// cell of its row that calls the next value something ("SSN" | 536-22-8145).
type cell struct {
	fields *fields
	span   *dlp.Span
}

// cell returns the cell that field is, the zero one where it is none.
func (f *fields) cell(field *dlp.Span) cell {
	if field.Group == 0 || field.End == 0 {
		return cell{}
	}
	return cell{f, field}
}

// counts reports whether the word [from, to) of t may speak for or against a match
// [s, e) in the cell.
func (in cell) counts(t *text, from, to, s, e int64) bool {
	rawFrom, rawTo := t.rawStart(from), t.rawEnd(to)
	if rawFrom >= in.span.Start && rawTo <= in.span.End {
		return true
	}
	other, ok := in.fields.around(rawFrom, rawTo)
	if !ok || other.Group != in.span.Group {
		return false
	}
	if to <= s {
		return !t.digitIn(to, s) // else it calls that number something
	}
	return from >= e && !t.digitIn(e, from) && !in.callsNext(t, to)
}

// callsNext reports whether another value of the row stands right behind the word
// that ends at to, and is what the word speaks of.
func (in cell) callsNext(t *text, to int64) bool {
	for n := to; n < min(to+maxBehindWord, t.end()); n++ {
		if !isDigit(t.norm[n-t.base]) {
			continue
		}
		if value, ok := in.fields.around(t.rawStart(n), t.rawEnd(n+1)); ok {
			return value.Group == in.span.Group
		}
	}
	return false
}

// digitIn reports a digit in [from, to) of the normalised text.
func (t *text) digitIn(from, to int64) bool {
	for _, c := range t.norm[max(0, from-t.base):min(to-t.base, int64(len(t.norm)))] {
		if isDigit(c) {
			return true
		}
	}
	return false
}
