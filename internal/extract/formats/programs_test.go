package formats_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const mediaXLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"

// TestFilesOfPrograms reads files of kinds that no program at hand writes, as the
// programs of their makers, and Lucidchart, wrote them: what they show, in its order.
func TestFilesOfPrograms(t *testing.T) {
	const corpus = "../../../../shared/corpus"
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("needs ../shared/corpus")
	}
	for _, c := range []struct {
		file, media, part string
		texts             []string // in this order
		gaps              string
	}{
		{"tika/testOneNote2007OrEarlier.one", "application/onenote", "", []string{
			"The notebooks are the files within the application.", "You can store any kind of file on OneNote - emails, spreadsheets, pictures, videos, links\nAsterisk>tab creates a bullet\n", "Sync\nFor more info there is a sharepoint basics class\n",
		}, ""},
		{"tika/testOneNote2007OrEarlier.one", "application/onenote", "3", []string{"CHEMICALS JOB SHADOWING NOTES\nSAP FAVORITES\n"}, ""},
		{"tika/testOneNoteEmbeddedImage.one", "application/onenote", "", []string{"Image above\nImage b\nImage below\n", "Steve Smith\n"}, "image image/png"},
		{"tika/testOneNoteFromOffice365.one", "application/onenote", "", []string{"Section1Page1Content\nSection1Page2Content\n", "Du Chang\n"}, ""},
		{"tika/testVISIO_text.vsdx", "application/vnd.ms-visio.drawing", "", []string{"Text here\r\n", "Triangle\nText there\r\n", "Router\nRouter here\r\n", "Asset Number: 0\n"}, ""},
		{"tika/testEXCEL_charts.xlsb", mediaXLSB, "", []string{"Sheet1\nMONTH\tNUMBER\nJanuary\t5\nFebruary\t8\n", "is a panda", "wants a peach"}, ""},
		{"poi/Simple.xlsb", mediaXLSB, "", []string{"Sheet1\nThis is an example spreadsheet"}, ""},
		{"tika/testDBF.dbf", "application/x-dbf", "", []string{"TEXT_FIELD\tNUMERIC_FI\tDATE_FIELD\nWhan that aprill\t2.5\t2016-05-24\n普林斯顿大学\t3.0\t2016-05-25\n"}, ""},
		{"tika/testDBF_gb18030.dbf", "application/x-dbf", "", []string{"TEXTFIELD\nIt was the best of times\n虽然该"}, ""},
		{"poi/60489.vsdx", "application/vnd.ms-visio.drawing", "", []string{"Rounded Rectangle\nHousingConnections.ca\r\n", "Ellipse\nAdd webpages\r\n", "Content Approvers\r\n"}, ""},
		{"poi/60973.vsdx", "application/vnd.ms-visio.drawing", "", []string{"WAN/Edge Device\n", "Lo0:x.x.x.x\r\n", "Wireless Controller\n"}, "image image/emf"},
		{"poi/github260.vsdx", "application/vnd.ms-visio.drawing", "", []string{"Arrive at hotel\n"}, ""},
		{"tika/testPUBLISHER.pub", "application/x-mspublisher", "", []string{"0123456789\n0123456789abcdef\n0123456789abcdef0123456789abcdef\n", "author: Nick Burch\n"}, "unsupported publisher, beside its text"},
		{"tika/testPages.pages", "application/zip", "4", []string{`sfa:s="Cell one"`, `sfa:s="Cell nine"`, "Sample pages document", "Extensible Markup Language"}, ""},
		{"tika/testNumbers.numbers", "application/zip", "4", []string{"Checking Account: 300545668"}, ""},
		{"tika/testMasterSlideTable.key", "application/zip", "18", []string{"master row 1", "master row 2", "master row 3"}, ""},
	} {
		t.Run(filepath.Base(c.file)+"/"+c.part, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(corpus, c.file))
			if err != nil {
				t.Fatal(err)
			}
			a := serve(t, false, limits, b)
			if got := a.parts[""].MediaType; got != c.media {
				t.Errorf("got a %s, want a %s", got, c.media)
			}
			rest := a.texts[c.part]
			for _, want := range c.texts {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Errorf("%q is not in its place in %.2000q", want, a.texts[c.part])
				}
				rest = after
			}
			if got := strings.Join(a.told(), "; "); !strings.Contains(got, c.gaps) || c.gaps == "" && strings.Contains(got, "corrupt") {
				t.Errorf("gaps: got %q, want %q", got, c.gaps)
			}
		})
	}
}

// TestNumbersOfSheetJS reads a workbook of Numbers that another program wrote, which
// keeps numbers as it computed them.
func TestNumbersOfSheetJS(t *testing.T) {
	a := serve(t, false, limits, sheetJS(t, "numbers"))
	want := "Table 1\nName\tSSN\tBorn\tDue\nJane Roe\t536-22-8145\t1961-03-04\t2.5 (2.49999999999999967232)\nJohn Doe\t536228145 (536228144.999999995904)\t\t7 (6.99999999999999868928)\n"
	if got := a.texts[""]; a.parts[""].MediaType != "application/vnd.apple.iwork" || !strings.HasPrefix(got, want) {
		t.Errorf("%s: got %.400q, want %q", a.parts[""].MediaType, got, want)
	}
	labelled(t, a, map[string]string{"536-22-8145": "SSN 1", "536228145 (536228144.999999995904)": "SSN 2", "John Doe": "Name 2"})
}

// TestBinaryWorkbookOfSheetJS reads a workbook in Excel's binary form that another
// program wrote: what is shown, with the names of columns, and what stands beside.
func TestBinaryWorkbookOfSheetJS(t *testing.T) {
	a := serve(t, false, limits, sheetJS(t, "xlsb"))
	want := "Ward 3\nName\tSSN\tBorn\tDue\tPaid\nJane Roe 東京\t536-22-8145\t1961-03-04 (22344)\t2.5\t1\n" +
		"John Doe\t536-22-8146 (536228146)\t\t-70000000000.125\nAnn Poe\t036228145 (36228145)\t2009-07-06 18:00:00 (40000.75)\t0.00001\n"
	if got := a.texts[""]; a.parts[""].MediaType != mediaXLSB || !strings.HasPrefix(got, want) || len(a.gaps) > 0 {
		t.Errorf("%s: got %.600q, want %q, gaps %v", a.parts[""].MediaType, got, want, a.told())
	}
	for _, words := range []string{"http://clinic.example/jane", "her page", "seen on the ward", "Bea Nurse", "Unseen\nhidden words\n"} {
		if !strings.Contains(a.texts[""], words) {
			t.Errorf("%q is not in %q", words, a.texts[""])
		}
	}
	labelled(t, a, map[string]string{"536-22-8145": "SSN 1", "36228145": "SSN 3", "Ann Poe": "Name 3", "Ward 3": "sheet 0"})
}

// TestTableOfSheetJS reads a table of dBASE's that another program wrote.
func TestTableOfSheetJS(t *testing.T) {
	a := serve(t, false, limits, sheetJS(t, "dbf"))
	want := "Name\tSSN\tBorn\tDue\tPaid\nJane Roe __\t536-22-8145\t22344\t2.5\tT\nJohn Doe\t536228146\t0\t-70000000000.125\t?\nAnn Poe\t36228145\t40000.75\t0.00001\t?\n"
	if got := a.texts[""]; a.parts[""].MediaType != "application/x-dbf" || got != want || len(a.gaps) > 0 {
		t.Errorf("%s: got %.600q, want %q, gaps %v", a.parts[""].MediaType, got, want, a.told())
	}
	labelled(t, a, map[string]string{"536-22-8145": "SSN 1", "36228145": "SSN 3"})
}

// sheetJS returns the workbook of testdata/workbook.cjs in a type of SheetJS's.
func sheetJS(t *testing.T, kind string) []byte {
	t.Helper()
	const modules = "/var/cache/stanch-tests/sheets/node_modules"
	if _, err := os.Stat(filepath.Join(modules, "xlsx", "package.json")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("xlsx of npm is not installed: .ci/deps installs it")
		}
		t.Skip("xlsx of npm is not installed: .ci/deps installs it")
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/workbook.cjs", modules, kind)
	cmd.Stderr = os.Stderr
	doc, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// labelled looks whether texts have their label and group.
func labelled(t *testing.T, a *answer, texts map[string]string) {
	t.Helper()
	labels := map[string]string{}
	for _, s := range a.spans[""] {
		labels[a.texts[""][s.Start:s.End]] = fmt.Sprint(s.Label, " ", s.Group)
	}
	for text, want := range texts {
		if labels[text] != want {
			t.Errorf("%s: got %q, want %q", text, labels[text], want)
		}
	}
}
