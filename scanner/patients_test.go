package scanner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

const siteExtract = "mrn,ssn,name,dob,phone\n" +
	"E4829137,536-22-8145,\"Quillfeather, Ottoline M.\",1961-03-04,(206) 555-0142\n" +
	"E4829138,536-22-8146,Barnabas Winterbourne-Hale,1972-11-22,(206) 555-0143\n" +
	"00771234,536-22-8147,María de la Cruz,1980-07-15,(206) 555-0144\n" +
	"E4829139,,Jürgen Müller,1944-02-29,\n" +
	"SA22-220033,,\"Thistledown, Marigold\",,\n"

// patientScanner looks for the patients of siteExtract, and for all else.
func patientScanner(t *testing.T) *scanner.Scanner {
	t.Helper()
	dir, key := filepath.Join(t.TempDir(), "patients"), index.NewKey()
	r, err := index.Build(t.Context(), index.Options{Dir: dir, Key: key, Now: time.Unix(0, 0)}, strings.NewReader(siteExtract))
	if err != nil || len(r.First) > 0 {
		t.Fatalf("Build: %+v, %v", r, err)
	}
	ix, err := index.Open(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ix.Close() })
	return scanner.New(loadWith(t, ix))
}

func loadWith(t *testing.T, ix patterns.Patients) *patterns.Set {
	t.Helper()
	set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true, Patients: ix,
		Site: patterns.Site{MRN: []patterns.MRNFormat{{Issuer: "Main", Regex: `E\d{7}`, Distinctive: true}}}}, scanner.NewTester(readCSV))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return set
}

// patientsIn lists the patients found in text: rule and value.
func patientsIn(t *testing.T, s *scanner.Scanner, text, as string) (list []string, found []dlp.Finding) {
	t.Helper()
	scan := s.Begin(scanner.Options{})
	var err error
	if as == "csv" {
		err = readCSV(t.Context(), text, scan)
	} else {
		err = scanner.Feed(scan, dlp.PartInfo{MediaType: "text/plain"}, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	all, gaps := scan.Finish()
	if len(gaps) > 0 {
		t.Errorf("got gaps %v", gaps)
	}
	for _, f := range all {
		if f.Type == "PATIENT" {
			list, found = append(list, string(f.Rule)+" "+text[f.Start:f.End]), append(found, f)
		}
	}
	return list, found
}

func TestPatients(t *testing.T) {
	s := patientScanner(t)
	for _, c := range []struct {
		text, as string
		want     string // joined by commas
	}{
		// A record number: called one, or of the site's distinctive form.
		{"MRN: E4829137", "", "patient-mrn E4829137"},
		{"re E4829137, as discussed", "", "patient-mrn E4829137"},
		{"MRN: E4829136", "", ""},
		{"MRN 771234", "", "patient-mrn 771234"},
		{"MRN 0771234", "", "patient-mrn 0771234"},
		{"order 771234", "", ""},
		{"MRN SA22-220033", "", "patient-mrn SA22-220033"},
		{"MRN SA22220033", "", "patient-mrn SA22220033"},
		{"MRN SA22-220034", "", ""},
		{"seen: Thistledown, SA22-220033.", "", "patient-mrn SA22-220033"},
		{"order 771234 for Maria de la Cruz", "", "patient-mrn 771234"},
		{"order 771234 for Maria Cruz", "", ""},
		// An SSN alone is anybody's; with a second field of the same row it is hers.
		{"SSN 536-22-8145", "", ""},
		{"SSN 536-22-8145, DOB 03/04/1961", "", "patient-ssn 536-22-8145"},
		{"born March 4, 1961; 536 22 8145", "", "patient-ssn 536 22 8145"},
		{"Ms. Quillfeather (536228145)", "", "patient-ssn 536228145"},
		{"536-22-8145 / E4829137", "", "patient-ssn 536-22-8145,patient-mrn E4829137"},
		{"536-22-8145, call (206) 555-0142", "", "patient-ssn 536-22-8145,patient-phone (206) 555-0142"},
		{"SSN 536-22-8145, DOB 11/22/1972", "", ""},                                      // another's date of birth
		{"SSN 536-22-8145, Mr. Winterbourne-Hale", "", ""},                               // another's name
		{"SSN 536-22-8145 quillfeather", "", ""},                                         // in prose a name has a capital
		{"SSN 536-22-8145" + strings.Repeat(" and so on", 30) + " Quillfeather", "", ""}, // too far
		{"SSN 536-22-8146 of Barnabas Winterbourne Hale", "", "patient-ssn 536-22-8146"},
		// A telephone, likewise.
		{"call 206-555-0142", "", ""},
		{"call Ottoline Quillfeather on 206-555-0142", "", "patient-phone 206-555-0142"},
		// Name and date of birth.
		{"Ottoline Quillfeather, 03/04/1961", "", "patient-birth 03/04/1961"},
		{"QUILLFEATHER, OTTOLINE M (03/04/61)", "", "patient-birth 03/04/61"},
		{"1961-03-04 Ottoline M. Quillfeather", "", "patient-birth 1961-03-04"},
		{"4th of March 1961: Quillfeather, Ottoline", "", "patient-birth 4th of March 1961"},
		{"María de la Cruz was born July 15, 1980", "", "patient-birth July 15, 1980"},
		{"MARIA DE LA CRUZ 19800715", "", "patient-birth 19800715"},
		{"de la Cruz, Maria 19800715120000.000-0700", "", "patient-birth 19800715120000.000-0700"},
		{"de la Cruz, Maria 1980-07-15T12:00:00.000Z", "", "patient-birth 1980-07-15"},
		{"de la Cruz, Maria; 1980-07-15", "", "patient-birth 1980-07-15"},
		{"Barnabas Winterbourne Hale, 22 Nov 1972", "", "patient-birth 22 Nov 1972"},
		{"Jurgen Muller *1944-02-29", "", "patient-birth 1944-02-29"},
		{"Ottoline Quillfeather, 03/05/1961", "", ""},
		{"Barnabas Quillfeather, 03/04/1961", "", ""},
		{"Ottoline, 03/04/1961", "", ""},
		// Rows: the second field is of the same row, however far off; a field of another row is none.
		{"a,ssn,note,b,c\nx,536228145,,,quillfeather\n", "csv", "patient-ssn 536228145"},
		{"a,ssn,note,b,c\nx,536228145,,,\ny,,,,Quillfeather\n", "csv", ""},
		{"ssn,note,last\n536228145,\"" + strings.Repeat("and so on ", 60) + "\",Quillfeather\n", "csv", "patient-ssn 536228145"},
		{"last,first,dob\nquillfeather,ottoline,3/4/1961\nwinterbourne-hale,ottoline,3/4/1961\n", "csv", "patient-birth 3/4/1961"},
		{"mrn\nE4829139\n", "csv", "patient-mrn E4829139"},
	} {
		got, _ := patientsIn(t, s, c.text, c.as)
		if strings.Join(got, ",") != c.want {
			t.Errorf("%.80q: got %q, want %q", c.text, strings.Join(got, ","), c.want)
		}
	}
}

// TestPatientsCountByThePatient: every value of one patient has one key, and
// those of two have two.
func TestPatientsCountByThePatient(t *testing.T) {
	s := patientScanner(t)
	list, found := patientsIn(t, s, "MRN E4829137\nOttoline Quillfeather 03/04/1961 536-22-8145 206-555-0142\n\n"+strings.Repeat("x ", 300)+"\nMRN E4829138", "")
	if len(list) != 5 {
		t.Fatalf("got %q, want five findings", list)
	}
	keys := map[dlp.ValueKey]int{}
	for _, f := range found {
		keys[f.ValueKey]++
	}
	if len(keys) != 2 || keys[found[4].ValueKey] != 1 {
		t.Errorf("got %d keys for %q, want one for the first four and one for the last", len(keys), list)
	}
}

// TestPatientLeavesTheOtherRule: where a patient is found by a number, what the
// number is stays found, at least as surely, so a policy about SSNs still holds.
func TestPatientLeavesTheOtherRule(t *testing.T) {
	s := patientScanner(t)
	for text, want := range map[string]dlp.Type{
		"536-22-8145 Quillfeather":     "SSN",
		"see E4829137 there":           "MRN",
		"Quillfeather (206) 555-0142.": "PHONE",
	} {
		scan := s.Begin(scanner.Options{})
		if err := scanner.Feed(scan, dlp.PartInfo{}, []byte(text)); err != nil {
			t.Fatal(err)
		}
		found, _ := scan.Finish()
		var types []dlp.Type
		keys := map[dlp.ValueKey]bool{}
		for _, f := range found {
			types = append(types, f.Type)
			keys[f.ValueKey] = true
		}
		if !slices.Contains(types, want) || !slices.Contains(types, "PATIENT") || len(keys) != len(found) {
			t.Errorf("%q: got %v with %d keys, want %s and PATIENT with keys of their own", text, types, len(keys), want)
		}
	}
}

// TestPatientsByWindow: windows of any size give what the whole text gives.
func TestPatientsByWindow(t *testing.T) {
	s := patientScanner(t)
	text := strings.Repeat("Ottoline Quillfeather, 03/04/1961, SSN 536-22-8145; ", 3) + strings.Repeat("of no account. ", 400) +
		"536-22-8146" + strings.Repeat(" and", 40) + " Winterbourne-Hale " + strings.Repeat("of no account. ", 400) + "MRN E4829139"
	want, _ := patientsIn(t, s, text, "")
	if len(want) != 8 {
		t.Fatalf("got %q, want eight", want)
	}
	for _, size := range []int{1, 7, 100, 1024} {
		scan := s.Begin(scanner.Options{})
		if err := scan.Part(dlp.PartInfo{}); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(text); at += size {
			if err := scan.Text(dlp.Window{Offset: int64(at), Text: []byte(text[at:min(at+size, len(text))])}); err != nil {
				t.Fatal(err)
			}
		}
		found, _ := scan.Finish()
		var got []string
		for _, f := range found {
			if f.Type == "PATIENT" {
				got = append(got, string(f.Rule)+" "+text[f.Start:f.End])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("windows of %d bytes: got %q, want %q", size, got, want)
		}
	}
}

// broken is an index whose disk fails.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) ID() string                                               { return "broken" }
func (broken) Find(into []uint64, _ string, _ []byte) ([]uint64, error) { return into, errBroken }
func (broken) FindPerson(into []uint64, _, _, _ []byte) ([]uint64, error) {
	return into, errBroken
}
func (broken) Has(uint64, string, []byte) (bool, error) { return false, errBroken }
func (broken) Patient(uint64) (uint64, error)           { return 0, errBroken }

// TestUnreadableIndexIsAGap: what could not be looked up is not clean.
func TestUnreadableIndexIsAGap(t *testing.T) {
	s := scanner.New(loadWith(t, broken{}))
	scan := s.Begin(scanner.Options{})
	if err := scanner.Feed(scan, dlp.PartInfo{Path: "2"}, []byte("MRN E4829137, Ottoline Quillfeather 03/04/1961")); err != nil {
		t.Fatal(err)
	}
	_, gaps := scan.Finish()
	if len(gaps) != 1 || gaps[0].Cause != dlp.Corrupt || gaps[0].Path != "2" || gaps[0].Detail != scanner.DetailPatients {
		t.Errorf("got gaps %v, want one, corrupt", gaps)
	}
}

// TestLookUpsAreBounded: a document made of dates and names costs no more than
// its length allows, and what was not looked up is a gap.
func TestLookUpsAreBounded(t *testing.T) {
	s := patientScanner(t)
	scan := s.Begin(scanner.Options{VerifyFree: 1})
	text := strings.Repeat("Aa Bb 1961-03-04 ", 4000)
	if err := scanner.Feed(scan, dlp.PartInfo{}, []byte(text)); err != nil {
		t.Fatal(err)
	}
	_, gaps := scan.Finish()
	if len(gaps) != 1 || gaps[0].Cause != dlp.Timeout {
		t.Errorf("got gaps %v, want a timeout", gaps)
	}
}

// TestWithoutAnIndex: the built-in rules stay, and find nothing; what the set is
// called follows the index.
func TestWithoutAnIndex(t *testing.T) {
	none := loadWith(t, nil)
	got, _ := patientsIn(t, scanner.New(none), "MRN: E4829137 Ottoline Quillfeather 03/04/1961", "")
	if len(got) > 0 || none.Rule("patient-mrn") == nil {
		t.Errorf("got %q and rule %v, want the rule and nothing found", got, none.Rule("patient-mrn"))
	}
	with := loadWith(t, broken{})
	if none.Digest() == with.Digest() || with.Only("us-ssn").Digest() != none.Only("us-ssn").Digest() {
		t.Error("the digest does not follow the index of those rules that look into it")
	}
}

// TestSitesOwnIndexRule: a rule of the site's looks into the index as the
// built-in ones do.
func TestSitesOwnIndexRule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.toml")
	rule := "schema = 1\n[[rules]]\nid = \"own\"\ntype = \"PATIENT\"\ntags = [\"identifier\"]\n[[rules.patterns]]\nconfidence = \"high\"\n" +
		"regex = '''chart (?P<value>E\\d{7})'''\nindex = \"patients.mrn\"\n[rules.tests]\nno_match = [\"chart E4829137\"]\n"
	if err := os.WriteFile(path, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	src := patterns.Source{Paths: []string{path}, Patients: patientScanner(t).Set().Patients()}
	set, err := patterns.Load(context.Background(), src, scanner.NewTester(nil))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := patientsIn(t, scanner.New(set), "chart E4829137, chart E4829100", "")
	if fmt.Sprint(got) != "[own E4829137]" {
		t.Errorf("got %q", got)
	}
}

// TestPatientShowsNothing: a patient's value may be a date of birth.
func TestPatientShowsNothing(t *testing.T) {
	if got := scanner.Mask("PATIENT", "03/04/1961"); got != "**/**/****" {
		t.Errorf("got %q, want nothing shown", got)
	}
}
