package scanner

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner/check"
)

const (
	// lookCost is what one look-up counts for among the bytes of proof that a
	// document may cost: half a microsecond, so that a document may have one for
	// each of its bytes.
	lookCost = 512
	// maxCell is how long a field may be that is a name, a number or a date, in
	// bytes. Longer ones are notes.
	maxCell   = 64
	kindBytes = 2 // of Scan.value that say what kind of value it is
	// maxBeside is how many words on each side of a date of birth may be its
	// bearer's name.
	maxBeside = 24
)

// DetailPatients is the detail of the Gap for a patient index that could not be
// read.
const DetailPatients = "patient index"

// looking is the memory of a look-up.
type looking struct {
	rows   []uint64
	words  []besideWord
	name   []byte
	fields []besideField // of one match
	others []uint64      // rows, then patients, of besideField.values
}

// besideField is what stands near a match and has the form of a field's values.
type besideField struct {
	name   string
	values []besideValue
}

type besideValue struct {
	from, to int    // in norm
	looked   bool   // whose it is has been looked up
	patients [2]int // where in looking.others those stand
}

// besideWord is a word near a match: letters and digits, with single signs
// between them.
type besideWord struct {
	from, to int // in norm
	digits   int
	name     bool // no digits, and written as names are
	particle bool // "de", "van"
	piece    int  // words of different pieces are not one value
}

// isOf reports whether the format itself says that field is what p, a pattern of
// r, looks for: of a patient's value, what that value is.
func (p *pattern) isOf(r *rule, field *dlp.Span) bool {
	if p.Index != nil {
		return field.Type == p.means
	}
	return r.isOf(field)
}

// isPatient decides whether norm[start:end], a match of p, is exactly a
// patient's, and puts into c.value what the key of that patient is made of: all
// values of one patient have one key.
func (c *Scan) isPatient(p *pattern, start, end int, field *dlp.Span, inField bool) bool {
	patient, ok, err := c.lookUp(p.Index, start, end, field, inField)
	if err != nil {
		c.unlooked()
		return false
	}
	if ok {
		c.value = binary.BigEndian.AppendUint64(c.value[:kindBytes], patient)
	}
	return ok
}

// unlooked notes, once for a part, that the index could not be read.
func (c *Scan) unlooked() {
	g := dlp.Gap{Path: c.part.Path, Name: c.part.Name, Cause: dlp.Corrupt, Detail: DetailPatients}
	if !slices.Contains(c.gaps, g) {
		c.gaps = append(c.gaps, g)
	}
}

func (c *Scan) lookUp(l *patterns.Lookup, start, end int, field *dlp.Span, inField bool) (patient uint64, ok bool, err error) {
	ix, k := c.s.set.Patients(), &c.looking
	value := c.text.norm[start:end]
	if l.Field == "dob" {
		c.beside(l, start, end, field, inField)
		return c.bearer(ix, value, start)
	}
	c.ends.cost += lookCost
	if k.rows, err = ix.Find(k.rows[:0], l.Field, value); err != nil || len(k.rows) == 0 {
		return 0, false, err
	}
	if len(l.With) == 0 {
		patient, err = ix.Patient(k.rows[0])
		return patient, err == nil, err
	}
	c.beside(l, start, end, field, inField)
	for _, row := range k.rows {
		if patient, err = ix.Patient(row); err != nil {
			return 0, false, err
		}
		for _, with := range l.With {
			if ok, err := c.second(ix, with, row, patient); ok || err != nil {
				return patient, ok, err
			}
		}
	}
	return 0, false, nil
}

// second reports whether some word beside the match is the row's field, or that of
// another row of the same patient.
func (c *Scan) second(ix patterns.Patients, with string, row, patient uint64) (bool, error) {
	if with == "name" {
		return c.family(ix, row)
	}
	k, f := &c.looking, c.besideOf(with)
	for i := range f.values {
		v := &f.values[i]
		if with == "dob" {
			c.ends.cost += lookCost
			if ok, err := ix.Has(row, with, c.text.norm[v.from:v.to]); ok || err != nil {
				return ok, err
			}
			continue
		}
		if !v.looked {
			if err := c.whose(ix, with, v); err != nil {
				return false, err
			}
		}
		if slices.Contains(k.others[v.patients[0]:v.patients[1]], patient) {
			return true, nil
		}
	}
	return false, nil
}

// whose looks up whose value of a field v is.
func (c *Scan) whose(ix patterns.Patients, field string, v *besideValue) (err error) {
	c.ends.cost += lookCost
	k, from := &c.looking, len(c.looking.others)
	if k.others, err = ix.Find(k.others, field, c.text.norm[v.from:v.to]); err != nil {
		return err
	}
	for i := from; i < len(k.others); i++ {
		if k.others[i], err = ix.Patient(k.others[i]); err != nil {
			return err
		}
	}
	v.looked, v.patients = true, [2]int{from, len(k.others)}
	return nil
}

// besideOf gathers, once for a match, what beside it may be a value of a field.
func (c *Scan) besideOf(with string) *besideField {
	k := &c.looking
	for i := range k.fields {
		if k.fields[i].name == with {
			return &k.fields[i]
		}
	}
	most, fewest := 1, 1 // digits that a value of the field has
	switch with {
	case "ssn":
		fewest, most = 9, 9
	case "phone":
		fewest, most = 8, 15
	case "mrn":
		fewest, most = 3, 24
	case "dob":
		fewest, most = 3, 14
	}
	n := len(k.fields)
	k.fields = slices.Grow(k.fields, 1)[:n+1] // with the memory of the one that was there
	f := &k.fields[n]
	f.name, f.values = with, f.values[:0]
	for i := range k.words {
		digits := 0
		for n := 0; n < 4 && i+n < len(k.words) && k.words[i+n].piece == k.words[i].piece; n++ {
			w := &k.words[i+n]
			if digits += w.digits; digits > most || w.to-k.words[i].from > maxCell || with == "mrn" && n > 0 {
				break
			}
			if digits < fewest || w.digits == 0 && with != "dob" {
				continue
			}
			v := besideValue{from: k.words[i].from, to: w.to}
			if with == "dob" {
				if _, _, _, ok := check.Date(unsafe.String(&c.text.norm[v.from], v.to-v.from)); !ok { // it keeps no part of it
					continue
				}
			}
			f.values = append(f.values, v)
		}
	}
	return f
}

// family reports whether a word, or two or three in a row, is the family name of
// the row.
func (c *Scan) family(ix patterns.Patients, row uint64) (bool, error) {
	k := &c.looking
	for i := range k.words {
		for n := range 3 {
			if i+n >= len(k.words) || !k.words[i+n].name || k.words[i+n].piece != k.words[i].piece {
				break
			}
			if n == 0 && k.words[i].particle {
				continue // no name by itself
			}
			c.ends.cost += lookCost
			if ok, err := ix.Has(row, "name", c.text.norm[k.words[i].from:k.words[i+n].to]); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// bearer looks for who was born on that date among the names beside it: two
// words that follow each other in either order, with one between them, or with a
// family name of two or three.
func (c *Scan) bearer(ix patterns.Patients, born []byte, start int) (patient uint64, ok bool, err error) {
	k := &c.looking
	k.words = slices.DeleteFunc(k.words, func(w besideWord) bool { return !w.name })
	if at, _ := slices.BinarySearchFunc(k.words, start, func(w besideWord, at int) int { return w.from - at }); at > maxBeside {
		k.words = slices.Delete(k.words, 0, at-maxBeside)
	}
	k.words = k.words[:min(len(k.words), 2*maxBeside)]
	w := k.words
	for i := range w {
		for _, f := range [...]struct{ given, from, to int }{
			{i, i + 1, i + 2}, {i + 1, i, i + 1}, // Ottoline Quillfeather; Quillfeather, Ottoline
			{i, i + 2, i + 3}, {i + 2, i, i + 1}, // Ottoline M. Quillfeather
			{i, i + 1, i + 3}, {i + 2, i, i + 2}, // Maria del Prado; del Prado, Maria
			{i, i + 1, i + 4}, {i + 3, i, i + 3}, // Maria de la Cruz
		} {
			if f.to > len(w) || f.given >= len(w) || w[f.given].particle || w[f.to-1].particle ||
				f.to-f.from > 2 && !w[f.from].particle {
				continue
			}
			k.name = k.name[:0]
			for _, part := range w[f.from:f.to] {
				k.name = append(k.name, c.text.norm[part.from:part.to]...)
			}
			c.ends.cost += lookCost
			given := c.text.norm[w[f.given].from:w[f.given].to]
			if k.rows, err = ix.FindPerson(k.rows[:0], given, k.name, born); err != nil {
				return 0, false, err
			}
			if len(k.rows) > 0 {
				patient, err = ix.Patient(k.rows[0])
				return patient, err == nil, err
			}
		}
	}
	return 0, false, nil
}

// beside gathers the words in which a second value is looked for: of the other
// short fields of the same row, else of the text around.
func (c *Scan) beside(l *patterns.Lookup, start, end int, field *dlp.Span, inField bool) {
	k, norm := &c.looking, c.text.norm
	k.words, k.fields, k.others = k.words[:0], k.fields[:0], k.others[:0]
	if !inField || field.Group == 0 {
		c.wordsIn(max(0, start-l.Proximity), start, 0, false)
		c.wordsIn(end, min(len(norm), end+l.Proximity), 1, false)
		return
	}
	at, _ := slices.BinarySearchFunc(c.fields.spans, field.Start, func(s dlp.Span, at int64) int { return int(s.Start - at) })
	for i := max(0, at-maxFieldsBack); i < min(len(c.fields.spans), at+maxFieldsBack); i++ {
		s := &c.fields.spans[i]
		if s.Group != field.Group || s.Start == field.Start || s.End-s.Start > maxCell {
			continue
		}
		from, to := c.text.place(s.Start), c.text.place(s.End)
		if from >= max(0, start-patterns.MaxProximity) && to <= min(len(norm), end+patterns.MaxProximity) {
			c.wordsIn(from, to, i, true)
		}
	}
}

// wordsIn adds the words of norm[from:to]; a word that begins before from is
// none, one that goes on after to counts whole up to maxCell bytes. In a cell
// small letters are names too.
func (c *Scan) wordsIn(from, to, piece int, cell bool) {
	norm := c.text.norm
	if !cell {
		for from > 0 && from < to && inWord(norm[from-1]) {
			from++
		}
	}
	for i := from; i < to; {
		if !inWord(norm[i]) {
			i++
			continue
		}
		w := besideWord{from: i, piece: piece}
		end := to
		if !cell {
			end = min(len(norm), to+maxCell)
		}
		for i < end && (inWord(norm[i]) || joins(norm[i]) && i+1 < end && inWord(norm[i+1])) {
			if isDigit(norm[i]) {
				w.digits++
			}
			i++
		}
		w.to = i
		first := norm[w.from]
		w.particle = isParticle(norm[w.from:w.to])
		w.name = w.digits == 0 && w.to-w.from <= maxCell && (cell || w.particle || first >= 'A' && first <= 'Z' || first >= 0x80)
		c.looking.words = append(c.looking.words, w)
	}
}

// inWord reports whether b belongs to a word of any script.
func inWord(b byte) bool { return b != '_' && isWord(b) || b >= 0x80 }

// joins reports whether b may stand within a value, once between two bytes of a
// word: 03/04/1961, O'Brien, 212-555.0142.
func joins(b byte) bool { return b == '-' || b == '\'' || b == '/' || b == '.' }

// isParticle reports whether w is a small word of family names.
func isParticle(w []byte) bool {
	if len(w) < 2 || len(w) > 3 {
		return false
	}
	var low [3]byte
	for i, b := range w {
		low[i] = b | 0x20
	}
	switch string(low[:len(w)]) {
	case "de", "del", "di", "da", "do", "dos", "das", "du", "la", "le", "van", "von", "der", "den", "ter", "ten", "bin", "ibn", "al", "el", "st":
		return true
	}
	return false
}

// place returns where in norm the byte at offset raw of the text as it came
// stands, -1 where it is not there any more or not yet.
func (t *text) place(raw int64) int {
	n := raw
	if len(t.segs) > 0 {
		i, found := slices.BinarySearchFunc(t.segs, raw, func(s seg, raw int64) int { return int(s.raw - raw) })
		if !found {
			i--
		}
		if i < 0 {
			return -1
		}
		s := t.segs[i]
		switch {
		case s.width == 0:
			n = s.n + raw - s.raw
		case raw > s.raw:
			n = s.n + 1
		default:
			n = s.n
		}
		if i+1 < len(t.segs) {
			n = min(n, t.segs[i+1].n)
		}
	}
	if n < t.base || n > t.end() {
		return -1
	}
	return int(n - t.base)
}

// confirm raises what an exact match in the same place proves: the number is
// that patient's, so whoever called it an SSN was right, and its finding stays
// beside the patient's.
func (c *Scan) confirm(chain []candidate) {
	for i := range chain {
		x := &chain[i]
		if x.proves == 0 {
			continue
		}
		for k := range chain {
			y := &chain[k]
			if c.s.rules[y.rule].kind == x.proves && y.start < x.end && x.start < y.end {
				y.confidence = max(y.confidence, x.confidence)
			}
		}
	}
}
