package patterns

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Patients is an index of the site's own patients, which a scanner asks. It may
// be shared by goroutines. An error says that something could not be looked up.
type Patients interface {
	// ID changes with what is found.
	ID() string
	// Find appends to into the rows whose field, "mrn", "ssn" or "phone", has that
	// value.
	Find(into []uint64, field string, value []byte) ([]uint64, error)
	// FindPerson appends to into the rows of who bears that name and was born then.
	FindPerson(into []uint64, given, family, born []byte) ([]uint64, error)
	// Has reports whether the row's "dob" or "name", the family name, is that.
	Has(row uint64, field string, value []byte) (bool, error)
	// Patient returns the number of the row's patient.
	Patient(row uint64) (uint64, error)
}

// Lookup asks for a match to be exactly what a patient's row has.
type Lookup struct {
	Field     string   // "mrn", "ssn", "phone" or "dob"
	With      []string // fields of which another must be the same row's, near by or in the same row of the text
	Proximity int      // bytes of normalised text between nearest edges, where the text has no rows
}

// Means is what a match of l is besides a patient.
func (l *Lookup) Means() dlp.Type {
	return map[string]dlp.Type{"mrn": "MRN", "ssn": "SSN", "phone": "PHONE", "dob": "DOB"}[l.Field]
}

// patientType is the type of every rule that looks into the index.
const patientType dlp.Type = "PATIENT"

const (
	indexPrefix     = "patients."
	defaultWithin   = 200 // about two lines: what is said of one patient
	indexNone       = "none"
	fieldBorn       = "dob"
	fieldFamilyName = "name"
)

// withFields are the fields a second value may be of.
func withFields() []string { return []string{"mrn", "ssn", "phone", fieldBorn, fieldFamilyName} }

// lookup reads index, with and proximity; what the table leaves out is as in
// rule, which may be nil.
func (f *file) lookup(t *table, rule *Lookup) *Lookup {
	name, has := t.choice("index", []string{indexPrefix + "mrn", indexPrefix + "ssn", indexPrefix + "phone", indexPrefix + fieldBorn, indexNone})
	with, hasWith := t.strings("with")
	n, hasProximity := t.integer("proximity")
	if name == indexNone || !has && rule == nil {
		if (hasWith || hasProximity) && !t.has("index") {
			f.errorf(t.key("index"), "an index beside with and proximity")
		}
		return nil
	}
	l := Lookup{Proximity: defaultWithin}
	if rule != nil {
		l = *rule
	}
	if has {
		l.Field = strings.TrimPrefix(name, indexPrefix)
	}
	if hasProximity {
		if n < 0 || n > MaxProximity {
			f.errorf(t.key("proximity"), "0 to %d bytes", MaxProximity)
		}
		l.Proximity = n
	}
	if hasWith {
		l.With = with
	}
	for i, w := range with {
		if !slices.Contains(withFields(), w) || w == l.Field {
			f.errorf(t.key("with")+"["+itoa(i)+"]", "another field of the row: %s", oneOf(withFields()))
		}
	}
	return &l
}

// checkLookup reports a lookup that would report too much.
func (f *file) checkLookup(t *table, l *Lookup) {
	if l == nil {
		return
	}
	switch {
	case l.Field == fieldBorn && !slices.Equal(l.With, []string{fieldFamilyName}):
		f.errorf(t.key("with"), `with = ["name"]: a date of birth names nobody by itself, and the index has it with the name`)
	case (l.Field == "ssn" || l.Field == "phone") && len(l.With) == 0:
		f.errorf(t.key("with"), "a second field of the same row, such as with = [\"name\", \"dob\"]: one number in ninety is some patient's SSN")
	}
}

// patients reports rules that look into the index and are of another type, and
// those of the site where there is none. The built-in ones then find nothing.
func (m *merger) patients(src Source) {
	for _, r := range m.byID {
		for i := range r.Patterns {
			p := &r.Patterns[i]
			if p.Index == nil {
				continue
			}
			if r.Type != patientType {
				m.errs = append(m.errs, &Error{File: p.File, Line: p.Line, Key: string(r.ID) + ".type", Want: `type = "PATIENT" for a rule with an index`})
			}
			if src.Patients == nil && !strings.HasPrefix(p.File, builtInPrefix) {
				m.errs = append(m.errs, &Error{File: p.File, Line: p.Line, Key: string(r.ID) + ".index",
					Want: "a patient index: there is none; `stanch index build` makes one"})
			}
		}
	}
}

// sum is the digest of s: that of the rules, and of the index if one of them
// looks into it.
func (s *Set) sum() string {
	rules := digest(slices.Concat(s.rules, s.aside))
	if s.patients == nil || !slices.ContainsFunc(s.rules, func(r *Rule) bool {
		return slices.ContainsFunc(r.Patterns, func(p Pattern) bool { return p.Index != nil })
	}) {
		return rules
	}
	all := sha256.Sum256([]byte(rules + " patients " + s.patients.ID()))
	return hex.EncodeToString(all[:])
}

// Patients returns the index that rules look into, nil for none: then patterns
// with an Index find nothing.
func (s *Set) Patients() Patients { return s.patients }
