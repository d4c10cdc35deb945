package formats

import (
	"slices"
	"strings"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// maxName is how many bytes the name of a column has in a row that is a header
// by nothing but its names.
const maxName = 120

// headerRow reports a row of names: no empty cell but the first or last, none
// that is mostly digits, none long.
func headerRow(row []string) bool {
	names := 0
	for i, c := range row {
		c = strings.TrimSpace(c)
		if c == "" {
			if i > 0 && i < len(row)-1 {
				return false
			}
			continue
		}
		if !nameCell(c) || len(c) > maxName {
			return false
		}
		names++
	}
	return names > 0
}

// nameCell reports a cell that is no number and no address.
func nameCell(c string) bool {
	letters, digits := count(c)
	return letters > 0 && digits <= letters && !strings.Contains(c, "@")
}

// count counts letters, # among them, and digits.
func count(c string) (letters, digits int) {
	for _, r := range c {
		if unicode.IsLetter(r) || r == '#' {
			letters++
		} else if unicode.IsDigit(r) {
			digits++
		}
	}
	return letters, digits
}

// headsTable reports that the first of rows holds the names of columns: it is a
// header by itself, or most of its cells are names, and below one of them stands
// a value in each row.
func headsTable(rows [][]string) bool {
	head := rows[0]
	if headerRow(head) {
		return true
	}
	if headsPatients(head) {
		return len(rows) < 2 || !repeats(head, rows[1])
	}
	names, odd := 0, 0
	for _, c := range head {
		switch {
		case strings.TrimSpace(c) == "":
		case nameCell(c):
			names++
		case oddCell(c):
			odd++
		default:
			return false
		}
	}
	if names <= odd || len(rows) < 3 {
		return false
	}
	for i, c := range head {
		if _, digits := count(c); digits == 0 && nameCell(c) && !slices.ContainsFunc(rows[1:], func(r []string) bool { return i >= len(r) || !valueCell(r[i]) }) {
			return true
		}
	}
	return false
}

// repeats reports that a name of head that columns of patients have stands in the
// row below as well: it is a label in front of a value.
func repeats(head, below []string) bool {
	for i, c := range head {
		if i < len(below) && patientName(c) != "" && strings.TrimSpace(c) == strings.TrimSpace(below[i]) {
			return true
		}
	}
	return false
}

// headsPatients reports a first row one cell of which is a name that columns of
// patients have, where more cells are names than odd ones, and none is a value.
func headsPatients(row []string) bool { return heads(row, nameCell) }

// namesOfPatients is headsPatients for a row that may stand anywhere: its names
// are short.
func namesOfPatients(row []string) bool { return heads(row, columnName) }

func heads(row []string, name func(string) bool) bool {
	names, odd, empty, patients := 0, 0, 0, false
	for _, c := range row {
		c = cutLabel(strings.Trim(c, "\ufeff"))
		known := patientName(c) != ""
		patients = patients || known
		switch {
		case c == "":
			empty++
		case known, name(c):
			names++
		case oddCell(c):
			odd++
		default:
			return false
		}
	}
	return patients && names > odd && (names > 1 || odd+empty == 0)
}

// oddCell reports a cell that is neither a name nor a value and may stand among
// names: a sign, a year, or a word with digits.
func oddCell(c string) bool {
	if at := strings.IndexByte(c, '@'); at >= 0 && strings.IndexByte(c[at:], '.') >= 0 {
		return false // an address
	}
	digits, run := 0, 0
	word := false
	for _, r := range c {
		switch {
		case unicode.IsLetter(r):
			run++
			word = word || run > 2
			continue
		case unicode.IsDigit(r):
			digits++
		}
		run = 0
	}
	return digits <= 4 || word
}

// patientName is the name in a header's cell that columns of patients have, "" for
// none: what stands in brackets behind it is none of it.
func patientName(c string) string {
	c = cutLabel(strings.Trim(c, "\ufeff"))
	if patientColumn(c) {
		return c
	}
	if before, _, ok := strings.Cut(c, "("); ok {
		if before = strings.TrimSpace(before); patientColumn(before) {
			return before
		}
	}
	return ""
}

// columnName reports what may be a column's name: some words, no sentence.
func columnName(s string) bool {
	if s == "" || len(s) > maxColumnName || strings.Count(s, " ") > 4 {
		return false
	}
	letters := 0
	for i, r := range s {
		switch {
		case unicode.IsLetter(r), r == '#':
			letters++
		case strings.ContainsRune(" _-/.()'&", r), unicode.IsDigit(r), r == ':' && i == len(s)-1:
		default:
			return false
		}
	}
	return letters > 0 && !(strings.HasSuffix(s, ".") && strings.Count(s, " ") > 1)
}

// patientColumn is patientLabel for a name in any of the ways in which it is
// written: "Patient_ID", "SSN#", "D.O.B.", "Med Rec No:".
func patientColumn(name string) bool {
	s := strings.ToLower(strings.TrimRight(name, ": "))
	s = strings.ReplaceAll(s, ".", "")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '_' || r == '-' || r == '/' }), " ")
	s = strings.TrimSpace(strings.TrimSuffix(s, "#"))
	for _, end := range []string{" number", " num", " no", " nbr"} {
		s = strings.TrimSuffix(s, end)
	}
	for _, begin := range []string{"patient ", "pt ", "pat "} {
		if rest, ok := strings.CutPrefix(s, begin); ok && rest != "id" && rest != "" {
			s = rest
		}
	}
	switch s {
	case "medical record", "med rec", "medical rec", "patient", "pt id", "pat id", "chart", "social security", "soc sec", "ss", "birthdate", "medicare",
		"medicare id", "member", "subscriber id", "subscriber", "health plan id", "icd 10", "dx code", "icd code", "diagnosis codes":
		return s != "patient" || strings.TrimSpace(strings.ToLower(name)) != "patient" // alone it is a column of names
	}
	return patientLabel(s)
}

// columnLabels are the labels of a header's cells: what is no name gives none.
func columnLabels(row []string) []string {
	labels := make([]string, len(row))
	for i, c := range row {
		labels[i] = columnLabel(c)
	}
	return labels
}

func columnLabel(c string) string {
	c = cutLabel(c)
	if nameCell(c) || columnName(c) {
		return c
	}
	return patientName(c)
}

// valueCell reports a cell that is one word with a digit, or mostly digits.
func valueCell(c string) bool {
	letters, digits := 0, 0
	for _, r := range c {
		if unicode.IsLetter(r) {
			letters++
		} else if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits > 0 && (digits >= letters || !strings.Contains(strings.TrimSpace(c), " "))
}

// patientLabel reports a cell that is nothing but a name that columns of numbers and
// dates of patients have.
func patientLabel(c string) bool {
	switch strings.ToLower(strings.Trim(c, " \ufeff")) {
	case "mrn", "medical record number", "patient id", "ssn", "social security number", "dob", "date of birth", "birth date", "mbi", "npi",
		"member id", "diagnosis code", "icd10", "icd-10":
		return true
	}
	return false
}

// cutLabel shortens a label to what a span carries.
func cutLabel(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > wire.MaxLabel {
		s = strings.ToValidUTF8(s[:wire.MaxLabel], "")
	}
	return s
}
