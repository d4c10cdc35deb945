package formats_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// alignedTables are texts with a table, and the cells that it has.
var alignedTables = []struct {
	name, text string
	want       []string
}{
	{"set to the left, an empty cell, text around", "Census of ward 3\n\nMRN       Name             DOB\n4482913   Jane Roe         03/04/1961\n\n4482914   Bob van der Poe  \n4482915                    01/02/1951\n\nPlease call extension 5551234 today\n",
		[]string{"MRN=4482913@1", "Name=Jane Roe@1", "DOB=03/04/1961@1", "MRN=4482914@2", "Name=Bob van der Poe@2", "MRN=4482915@3", "DOB=01/02/1951@3"}},
	{"set to the right", "       MRN          SSN\n   4482913    536228145\n  44829131    536228146\n", []string{"MRN=4482913@1", "SSN=536228145@1", "MRN=44829131@2", "SSN=536228146@2"}},
	{"one blank between values", "MRN      Name      SSN\n44829131 Jane Roe  536228145\n", []string{"MRN=44829131@1", "Name=Jane Roe@1", "SSN=536228145@1"}},
	{"names one blank apart, above a drawn line", "MRN      NAME SSN\n-------- ---- ---------\n44829131 ROE  536228145\n", []string{"MRN=44829131@1", "NAME=ROE@1", "SSN=536228145@1"}},
	{"by tabs", "see below\r\nPatient_ID\t\tD.O.B.\r\n4482913\t\t03/04/1961\r\n", []string{"Patient_ID=4482913@1", "D.O.B.=03/04/1961@1"}},
	{"quoted in a mail, drawn with pipes", "> | MRN | Name |\n> |---|:---|\n> | 4482913 | Jane |\n", []string{"MRN=4482913@1", "Name=Jane@1"}},
	{"commas below a title", "Patients of ward 3\n\nMRN,Name,SSN\n4482913,\"Roe, Jane\",536228145\n", []string{"MRN=4482913@1", "Name=Roe, Jane@1", "SSN=536228145@1"}},
	{"commas within a mail", "Hello,\nhere they are, as of March 3, 2026:\nMRN,Name\n4482913,\"Roe, Jane\"\n4482914,Poe,\n\nRegards, Bob\n", []string{"MRN=4482913@1", "Name=Roe, Jane@1", "MRN=4482914@2", "Name=Poe@2"}},
	{"a title as a spreadsheet writes it", "Patients of ward 3,,\n,,\nName,MRN,Tracking Number\nJane,4482913,536228145\n\"Poe,\nBob\",4482914,536228146\n",
		[]string{"Name=Jane@1", "MRN=4482913@1", "Tracking Number=536228145@1", "Name=Poe,\nBob@2", "MRN=4482914@2", "Tracking Number=536228146@2"}},
	{"two tables", "MRN   Name\n44829  Jane\n\nICD-10   Text\nE11.9    Diabetes\n", []string{"MRN=44829@1", "Name=Jane@1", "ICD-10=E11.9@2", "Text=Diabetes@2"}},

	{"a year among the names", "See:\n\nMRN  SSN        DX    2024\n4482913  536228145  E119  12\n4482914  536228146  I10   13\n", []string{"MRN=4482913@1", "SSN=536228145@1", "DX=E119@1", "=12@1", "MRN=4482914@2", "SSN=536228146@2", "DX=I10@2", "=13@2"}},
	{"Markdown without pipes at the ends", "See:\n\nMRN | SSN | 2024\n--- | --- | ---\n4482913 | 536228145 | 12\n4482914 | | 13\n", []string{"MRN=4482913@1", "SSN=536228145@1", "=12@1", "MRN=4482914@2", "=13@2"}},
	{"a year among commas", "See:\n\nMRN,SSN,2024\n4482913,536228145,12\n", []string{"MRN=4482913@1", "SSN=536228145@1", "=12@1"}},
	{"a sign among tabs", "See below\nMRN\tSSN\t%\n4482913\t536228145\t12\n", []string{"MRN=4482913@1", "SSN=536228145@1", "=12@1"}},
	{"a year in front of pipes", "See:\n\n2024 | MRN | SSN\n--- | --- | ---\n12 | 4482913 | 536228145\n | 4482914 | 536228146\n13 | 4482915 |\n | 4482916 |\n",
		[]string{"=12@1", "MRN=4482913@1", "SSN=536228145@1", "MRN=4482914@2", "SSN=536228146@2", "=13@3", "MRN=4482915@3"}},
	{"a sign in front of commas", "See:\n\n#,%,MRN,SSN\n1,5,4482913,536228145\n", []string{"#=1@1", "=5@1", "MRN=4482913@1", "SSN=536228145@1"}},
	{"a year in front of blanks", "See:\n\n2024   MRN      SSN\n12     4482913  536228145\n", []string{"=12@1", "MRN=4482913@1", "SSN=536228145@1"}},
	{"a number in front of prose", "We need:\n\n12, the MRN, and the SSN\n13, 4482913, 536228145\n", nil},
	{"an empty name", "See:\n\nMRN,SSN,,Ward\n4482913,536228145,x,12\n", []string{"MRN=4482913@1", "SSN=536228145@1", "=x@1", "Ward=12@1"}},
	{"an empty name between pipes", "See:\n\nMRN | SSN |  | Ward\n--|--|--|--\n4482913 | 536228145 | x | 12\n", []string{"MRN=4482913@1", "SSN=536228145@1", "=x@1", "Ward=12@1"}},

	{"values in place of names", "See:\n\nMRN, 4482912, and SSN, 536228144\n4482913,5,6,536228145\n", nil},
	{"prose with a number behind a comma", "Dear all, MRN 4482913, DOB 03/04/1961,\nseen today, is well, in room 5, and goes home,\n", nil},
	{"a form with two labels", "Name:  Jane Roe    MRN:  4482913\nDOB:   03/04/1961  SSN:  536-22-8145\n", nil},
	{"prose with wide blanks", "The SSN  of a patient.  It is not her MRN.\nCall  5551234  before 5  o'clock.\n", nil},
	{"prose with commas", "We need name, DOB, and SSN\nof patient 4482913, who came in, with pain, on day 3.\n", nil},
	{"a header without rows", "MRN     Name     DOB\n\nPlease fill in the form and send it to room 12.\n", nil},
	{"a sentence under a name", "SSN     MRN\nnever send 1 of these by mail    or fax it to 5551234\n", nil},
	{"names of no patient", "Part      Stock     Date\n4482913   12        03/04/1961\n", nil},
	{"a line too long", "MRN   Name\n" + strings.Repeat("44829  ", 1000) + "\n44829  Jane\n", nil},
}

// TestAlignedTables: tables of plain text have cells, and text around them and
// like them has none. However the text is cut into pieces, it is the same.
func TestAlignedTables(t *testing.T) {
	for _, c := range alignedTables {
		a := serve(t, false, limits, []byte(c.text))
		if got := a.fieldsOf(""); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if a.texts[""] != c.text {
			t.Errorf("%s: the text is not as it was", c.name)
		}
	}
}

// TestTablesAcrossPieces: lines that lie across the pieces in which a long text is
// read are lines as any other.
func TestTablesAcrossPieces(t *testing.T) {
	var b strings.Builder
	b.WriteString("About the ward\n\nMRN       Name           SSN\n")
	const rows = 20_000 // 1 MB: many pieces and windows
	for range rows {
		b.WriteString("4482913   Jane Roe       536-22-8145   \n")
	}
	text := strings.TrimSuffix(b.String(), "\n")
	a := serve(t, false, limits, []byte(text))
	got := a.fieldsOf("")
	if len(got) != 3*rows || got[len(got)-1] != "SSN=536-22-8145@20000" || a.texts[""] != text {
		t.Fatalf("got %d cells, want %d, and the text as it was", len(got), 3*rows)
	}
}

// TestTablesOfPrograms: the tables that programs print have their cells.
func TestTablesOfPrograms(t *testing.T) {
	const sql = "create table p(MRN text, Name text, SSN text); insert into p values('4482913','Jane Roe','536228145'),('4482914','Bob','536228146');"
	for _, c := range [][]string{
		{"sqlite3", "-cmd", ".headers on", "-cmd", ".mode column", ":memory:", sql + "select * from p"},
		{"sqlite3", "-cmd", ".mode table", ":memory:", sql + "select * from p"},
		{"sqlite3", "-cmd", ".mode markdown", ":memory:", sql + "select * from p"},
		{"sqlite3", "-cmd", ".mode box", ":memory:", sql + "select * from p"},
		{"sh", "-c", "printf 'MRN;Name;SSN\\n4482913;Jane Roe;536228145\\n4482914;Bob;536228146\\n' | column -t -s ';'"},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			t.Skip(c[0] + " is not installed")
		}
		out, err := exec.Command(c[0], c[1:]...).Output()
		if err != nil {
			t.Errorf("%q: %v", c, err)
			continue
		}
		want := []string{"MRN=4482913@1", "Name=Jane Roe@1", "SSN=536228145@1", "MRN=4482914@2", "Name=Bob@2", "SSN=536228146@2"}
		if got := serve(t, false, limits, append([]byte("The list of today.\n\n"), out...)).fieldsOf(""); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q, of\n%s", c, got, want, out)
		}
	}
}
