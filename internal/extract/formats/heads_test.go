package formats_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// odds are tables whose header has a cell that is no name, or stands below others:
// the names of two columns go with the cells below them all the same.
var odds = []struct {
	name string
	rows [][]string // of which the last two are data
	want string     // label of the third cell
}{
	{"names alone", [][]string{{"MRN", "SSN", "Seen"}}, "Seen"},
	{"a year", [][]string{{"MRN", "SSN", "2024"}}, ""},
	{"a sign", [][]string{{"MRN", "SSN", "%"}}, ""},
	{"an at sign", [][]string{{"MRN", "SSN", "e@mail"}}, ""},
	{"many digits", [][]string{{"MRN", "SSN", "Q1-2024-Total-12345"}}, "Q1-2024-Total-12345"},
	{"a long name", [][]string{{"MRN", "SSN", strings.Repeat("any other answer ", 10) + "given"}}, strings.Repeat("any other answer ", 10) + "given"},
	{"an empty name", [][]string{{"MRN", "SSN", "", "Ward"}}, ""},
	{"a title", [][]string{{"Patients list 2024"}, {"MRN", "SSN", "Seen"}}, "Seen"},
	{"a title and a year", [][]string{{"Patients list 2024"}, {"MRN", "SSN", "2024"}}, ""},
	{"two titles", [][]string{{"Patients list"}, {"Ward 3"}, {"MRN", "SSN", "Seen"}}, "Seen"},
	{"a title and an empty row", [][]string{{"Patients list 2024"}, {}, {"MRN", "SSN", "Seen"}}, "Seen"},
	{"a title of two cells", [][]string{{"Patients list", "Ward 3"}, {"MRN", "SSN", "Seen"}}, "Seen"},
}

// tableOf is rows with two of data below, as wide as the last, cells parted by d.
func tableOf(rows [][]string, d string) string {
	width := len(rows[len(rows)-1])
	var b strings.Builder
	for _, r := range append(slices.Clip(rows), []string{"44", "536228145", "7", "1"}[:width], []string{"45", "536228146", "8", "2"}[:width]) {
		b.WriteString(strings.Join(append(slices.Clip(r), make([]string, width-len(r))...), d) + "\n")
	}
	return b.String()
}

func checkOdd(t *testing.T, a *answer, path, third string) {
	t.Helper()
	var got []string
	for _, f := range a.fieldsOf(path) {
		if f, _, _ = strings.Cut(f, "@"); strings.HasPrefix(f, "MRN=") || strings.HasPrefix(f, "SSN=") || strings.HasSuffix(f, "=7") {
			got = append(got, f)
		}
	}
	got = slices.Compact(got) // OpenDocument keeps each number beside what it shows
	if want := []string{"MRN=44", "SSN=536228145", third + "=7", "MRN=45", "SSN=536228146"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q of %q", got, want, a.texts)
	}
}

// TestOddHeaders holds that one odd cell of a header, or a title above it, takes
// the names from no other column.
func TestOddHeaders(t *testing.T) {
	for _, o := range odds {
		for _, d := range []string{",", "\t", ";"} {
			t.Run(fmt.Sprintf("%s %q", o.name, d), func(t *testing.T) {
				checkOdd(t, serve(t, false, limits, []byte(tableOf(o.rows, d))), "", o.want)
			})
		}
		t.Run(o.name+" xlsx", func(t *testing.T) {
			checkOdd(t, serve(t, false, limits, workbookOf(t, o.rows)), "", o.want)
		})
	}
	t.Run("digits in brackets", func(t *testing.T) {
		a := serve(t, false, limits, []byte("Ward,Seen,SSN (9 digits: 123456789)\n7,8,536228145\n"))
		if got, want := a.fieldsOf(""), []string{"Ward=7@1", "Seen=8@1", "SSN=536228145@1"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("no column of patients", func(t *testing.T) {
		a := serve(t, false, limits, []byte("Name,Phone,2024\nAda,555-0100,7\nBob,555-0101,8\n"))
		if got := a.fieldsOf(""); len(got) != 6 || got[1] != "Phone=555-0100@1" {
			t.Errorf("got %q", got)
		}
	})
	for _, in := range []string{
		"# List\n\n| MRN | SSN | 2024 |\n|---|---|---|\n| 44 | 536228145 | 7 |\n| 45 | 536228146 | 8 |\n",
		"| MRN | SSN | % |\n|---|---|---|\n| 44 | 536228145 | 7 |\n| 45 | 536228146 | 8 |\n",
		"# List\n\n| MRN | SSN |  |\n|---|---|---|\n| 44 | 536228145 | 7 |\n| 45 | 536228146 | 8 |\n",
	} {
		t.Run("Markdown", func(t *testing.T) { checkOdd(t, serve(t, false, limits, []byte(in)), "", "") })
	}
}

// TestDataHeadsNothing holds that a first row of data gives no names.
func TestDataHeadsNothing(t *testing.T) {
	for _, in := range []string{
		"Roe,Jane,536228145,Dayton\nDoe,John,536228146,Dayton\n",
		"Roe,Jane,MRN,4412345,Dayton\nDoe,John,MRN,4412346,Dayton\n",
		"MRN,44,3,E119\nMRN,45,3,E119\n",
		"MRN,4412345\nSSN,536228145\nDOB,1961-03-04\n",
		"Roe,Jane,jane@x.example,Dayton\nDoe,John,john@x.example,Dayton\n",
	} {
		a := serve(t, false, limits, []byte(in))
		for _, f := range a.fieldsOf("") {
			if !strings.HasPrefix(f, "=") {
				t.Errorf("%q: a cell has a name: %q", in, f)
			}
		}
	}
}

// workbookOf is a workbook of the rows that tableOf gives, as no program's styles
// change them.
func workbookOf(t *testing.T, rows [][]string) []byte {
	t.Helper()
	var s strings.Builder
	s.WriteString(`<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
	for i, line := range strings.Split(strings.TrimSuffix(tableOf(rows, "\t"), "\n"), "\n") {
		fmt.Fprintf(&s, `<row r="%d">`, i+1)
		for k, c := range strings.Split(line, "\t") {
			if c != "" {
				fmt.Fprintf(&s, `<c r="%c%d" t="str"><v>%s</v></c>`, 'A'+k, i+1, c)
			}
		}
		s.WriteString(`</row>`)
	}
	s.WriteString(`</sheetData></worksheet>`)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, in := range map[string]string{"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`, "xl/worksheets/sheet1.xml": s.String()} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(in))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTablesOfDocuments holds that cells below names that columns of patients have
// go with these, also where a cell takes two columns, and that labels in front of
// values are text as before.
func TestTablesOfDocuments(t *testing.T) {
	row := func(cells ...string) string {
		return "<w:tr><w:tc><w:p><w:t>" + strings.Join(cells, "</w:t></w:p></w:tc><w:tc><w:p><w:t>") + "</w:t></w:p></w:tc></w:tr>"
	}
	wide := `<w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:t>9</w:t></w:p></w:tc><w:tc><w:p><w:t>7</w:t></w:p></w:tc></w:tr>`
	for _, c := range []struct {
		name, rows string
		want       []string
	}{
		{"names", row("MRN", "SSN", "Seen") + row("44", "536228145", "7") + wide, []string{"MRN=44@1", "SSN=536228145@1", "Seen=7@1", "MRN=9@2", "Seen=7@2"}},
		{"a title", row("Patients") + row("MRN", "SSN", "2024") + row("44", "536228145", "7"), []string{"MRN=44@1", "SSN=536228145@1", "=7@1"}},
		{"labels and values", row("MRN", "E1234567") + row("SSN", "536228145"), nil},
		{"labels and words", row("Member ID", "Ada") + row("SSN", "536228145"), nil},
		{"no names", row("Ada", "44") + row("Bob", "45"), nil},
		{"names of other columns", row("Name", "Passport", "City") + row("Ada", "036001231", "Dayton") + row("Bob", "036001232", "Dayton"),
			[]string{"Name=Ada@1", "Passport=036001231@1", "City=Dayton@1", "Name=Bob@2", "Passport=036001232@2", "City=Dayton@2"}},
		{"names of other columns below a title", row("List") + row("Name", "Passport") + row("Ada", "036001231"), []string{"Name=Ada@1", "Passport=036001231@1"}},
		{"words between", row("Name", "Passport") + row("Ada", "036001231") + row("Bob", "none") + row("Cy", "036001232"),
			[]string{"Name=Ada@1", "Passport=036001231@1", "Name=Bob@2", "Passport=none@2", "Name Bob=Cy@3", "Passport none=036001232@3"}},
		{"other names below", row("Name", "Phone") + row("Ada", "5550100") + row("Passport", "City") + row("036001231", "Dayton"),
			[]string{"Name=Ada@1", "Phone=5550100@1", "Name=Passport@2", "Phone=City@2", "Name Passport=036001231@3", "Phone City=Dayton@3"}},
		{"other names below, one as above", row("Order", "Name") + row("5550100", "Ada") + row("Passport", "Name") + row("036001231", "Bob"),
			[]string{"Order=5550100@1", "Name=Ada@1", "Order=Passport@2", "Name=Name@2", "Passport=036001231@3", "Name=Bob@3"}},
		{"a title between rows", row("Name", "Passport") + row("Ada", "036001231") + row("Ward 3") + row("Bob", "036001232"),
			[]string{"Name=Ada@1", "Passport=036001231@1", "Name Ward 3=Bob@2", "Passport Ward 3=036001232@2"}},
		{"a title that says what follows", row("Name", "Phone") + row("Ada", "5550100") + row("Passport") + row("036001231", "Dayton"),
			[]string{"Name=Ada@1", "Phone=5550100@1", "Name Passport=036001231@2", "Phone Passport=Dayton@2"}},
		{"a note between rows", row("Name", "Passport") + row("Ada", "036001231") + row("She was seen on the ward again, and went home.") + row("Bob", "036001232"),
			[]string{"Name=Ada@1", "Passport=036001231@1", "Name=Bob@2", "Passport=036001232@2"}},
		{"a row of one value", row("Name", "Passport") + row("Ada", "036001231") + row("", "036001232") + row("Cy", "036001233"),
			[]string{"Name=Ada@1", "Passport=036001231@1", "Passport=036001232@2", "Name=Cy@3", "Passport=036001233@3"}},
		{"a form", row("Name:", "Ada Roe") + row("Passport:", "036001231"), nil},
		{"words alone", row("Name", "City") + row("Ada", "Dayton"), nil},
		{"prose and a number", row("What was said of it at the time of the visit", "Seen") + row("so", "44"), nil},
		{"a table within", row("MRN", "SSN") + row("44", "<w:tbl>"+row("a", "b")+"</w:tbl>") + row("45", "536228145"), nil},
	} {
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"word/document.xml", "<w:document><w:tbl>" + c.rows + "</w:tbl></w:document>"})))
		if got := a.fieldsOf(""); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q of %q", c.name, got, c.want, a.texts[""])
		}
	}
}

// TestOddHeadersOfLibreOffice is TestOddHeaders for the workbooks that LibreOffice
// makes of the tables.
func TestOddHeadersOfLibreOffice(t *testing.T) {
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("no soffice here: Debian's libreoffice-calc-nogui has it")
	}
	dir := t.TempDir()
	files := []string{}
	for i, o := range odds {
		f := filepath.Join(dir, fmt.Sprintf("t%d.csv", i))
		if err := os.WriteFile(f, []byte(tableOf(o.rows, ",")), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, to := range []string{"xls", "xlsx", "ods", "fods"} {
		cmd := exec.CommandContext(t.Context(), soffice, append([]string{"-env:UserInstallation=file://" + dir + "/profile", "--headless", "--convert-to", to, "--outdir", dir}, files...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("soffice does not run here: %v %s", err, out)
		}
		for i, o := range odds {
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("t%d.%s", i, to)))
			if err != nil {
				t.Skipf("soffice made no %s: %v", to, err)
			}
			t.Run(o.name+" "+to, func(t *testing.T) {
				a := serve(t, false, limits, b)
				path := ""
				if to == "fods" {
					path = "~2"
				}
				checkOdd(t, a, path, o.want)
			})
		}
	}
}

// TestTablesOfSpreadsheetML holds that cells of Excel's XML of 2003 go with the names
// of their columns, also behind empty ones, and that days are read as days.
func TestTablesOfSpreadsheetML(t *testing.T) {
	cell := func(attr, kind, s string) string {
		return "<Cell" + attr + `><Data ss:Type="` + kind + `">` + s + "</Data></Cell>"
	}
	in := `<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="A"><Table>` +
		"<Row>" + cell("", "String", "Name") + cell("", "String", "SSN") + cell("", "String", "DOB") + "</Row>\n" +
		"<Row>" + cell("", "String", "Tess") + cell("", "Number", "536228145") + cell("", "DateTime", "1961-03-04T00:00:00.000") + "</Row>\n" +
		"<Row>" + cell(` ss:MergeAcross="1"`, "String", "Ada") + cell("", "DateTime", "1961-03-05T00:00:00.000") + "</Row>\n" +
		`<Row ss:Index="9">` + cell(` ss:Index="2"`, "Number", "536228146") + cell("", "String", "T 1") + "</Row></Table></Worksheet>" +
		"<Worksheet><Table><Row>" + cell("", "String", "Name") + cell("", "String", "Passport") + "</Row><Row>" + cell("", "String", "Ada") + cell("", "Number", "036001231") + "</Row></Table></Worksheet></Workbook>"
	a := serve(t, false, limits, []byte(in))
	want := []string{"Name=Tess@1", "SSN=536228145@1", "DOB=1961-03-04 00:00:00.000@1", "Name=Ada@2", "DOB=1961-03-05 00:00:00.000@2", "SSN=536228146@3", "DOB=T 1@3", "Name=Ada@4", "Passport=036001231@4"}
	if got := a.fieldsOf("~2"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q of %q", got, want, a.texts["~2"])
	}
}
