package index_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/internal/synth"
)

var now = time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)

// site is a folder for an index and its key.
type site struct {
	t   *testing.T
	dir string
	key *index.Key
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{t: t, dir: filepath.Join(t.TempDir(), "patients"), key: index.NewKey()}
}

func (s *site) options() index.Options { return index.Options{Dir: s.dir, Key: s.key, Now: now} }

type taker func(o index.Options, in string) (*index.Report, error)

func (s *site) build(csv string) *index.Report {
	s.t.Helper()
	r, err := index.Build(s.t.Context(), s.options(), strings.NewReader(csv))
	if err != nil {
		s.t.Fatalf("Build: %v", err)
	}
	return r
}

func (s *site) open() *index.Index {
	s.t.Helper()
	ix, err := index.Open(s.dir, s.key)
	if err != nil {
		s.t.Fatalf("Open: %v", err)
	}
	s.t.Cleanup(func() { _ = ix.Close() })
	return ix
}

// extract is a CSV of patients.
func extract(ps []synth.Patient) string {
	var b strings.Builder
	b.WriteString("PAT_MRN_ID,SSN,Last Name,First Name,Birth Date,Home Phone\n")
	for _, p := range ps {
		fmt.Fprintf(&b, "%s,%s,%s,%s,%s,%s\n", p.MRN, p.SSN, p.Family, p.Given, p.Born.Format("01/02/2006"), p.Phone)
	}
	return b.String()
}

func find(t *testing.T, ix *index.Index, field, value string) []uint64 {
	t.Helper()
	rows, err := ix.Find(nil, field, []byte(value))
	if err != nil {
		t.Fatalf("Find %s: %v", field, err)
	}
	return rows
}

func TestEveryPatientIsFound(t *testing.T) {
	for _, run := range []int{0, 50} { // all in memory, and in files that are merged
		s := newSite(t)
		ps := synth.New(synth.Seed).Patients(3000)
		o := s.options()
		o.RunEntries = run
		r, err := index.Build(t.Context(), o, strings.NewReader(extract(ps)))
		if err != nil {
			t.Fatalf("Build: %v", err)
		}
		if r.Rows != 3000 || r.Tokens["mrn"] != 3000 || r.Tokens["ssn"] != 3000 || len(r.First) != 0 {
			t.Errorf("got report %+v, want 3000 rows without a problem", r)
		}
		ix := s.open()
		if err := ix.Verify(); err != nil {
			t.Errorf("Verify: %v", err)
		}
		for i, p := range ps {
			for _, f := range [][2]string{{"mrn", p.MRN}, {"mrn", strings.ToLower(p.MRN[:1]) + "-" + p.MRN[1:]}, {"ssn", p.SSN}, {"ssn", p.BareSSN()}} {
				rows := find(t, ix, f[0], f[1])
				if len(rows) != 1 || rows[0] != uint64(i) {
					t.Fatalf("%s of patient %d: got rows %v, want this one", f[0], i, rows)
				}
			}
			rows, err := ix.FindPerson(nil, []byte(strings.ToUpper(p.Given)), []byte(p.Family), []byte(p.Born.Format("20060102")))
			if err != nil || len(rows) == 0 {
				t.Fatalf("person %d: got %v, %v; want rows", i, rows, err)
			}
			for _, f := range [][2]string{{"dob", p.Born.Format("January 2, 2006")}, {"name", strings.ReplaceAll(p.Family, "-", " ")}} {
				if ok, err := ix.Has(uint64(i), f[0], []byte(f[1])); err != nil || !ok {
					t.Fatalf("%s of patient %d: got %v, %v; want true", f[0], i, ok, err)
				}
			}
			other := ps[(i+1)%len(ps)]
			if ok, err := ix.Has(uint64(i), "dob", []byte(other.Born.Format(time.DateOnly))); err != nil || ok != p.Born.Equal(other.Born) {
				t.Fatalf("another's birth for patient %d: got %v, %v", i, ok, err)
			}
		}
		for _, p := range synth.New(7).Patients(3000) {
			if rows := find(t, ix, "ssn", p.SSN); len(rows) > 0 && !strings.Contains(extract(ps), p.SSN) {
				t.Errorf("got a stranger's number in row %v, want none", rows)
			}
		}
	}
}

// TestFilesTellNothing looks for the patients in every byte that is written.
func TestFilesTellNothing(t *testing.T) {
	s := newSite(t)
	ps := synth.New(3).Patients(50)
	s.build(extract(ps))
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, _ := d.Info()
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, want 0600", d.Name(), info.Mode())
		}
		for _, p := range ps {
			for _, trace := range p.Traces() {
				if bytes.Contains(b, []byte(trace)) {
					t.Errorf("%s tells of a patient", d.Name())
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestValuesAsTheyAreWritten(t *testing.T) {
	s := newSite(t)
	s.build("\xef\xbb\xbfmrn;ssn;name;dob;phone;mobile\n" +
		"00123456;1234567;\"Müller, Jürgen K.\";1961-03-04;+1 (212) 555-0142;+44 20 7946 0958\n" +
		"A-77 001;078051121;Dr. María de la Cruz Jr.;19700230;2125550143 ext. 7;\n" +
		"B1234;123;Beyonc\xe9 Knowles;4 Mar 1961;555;\n")
	ix := s.open()
	for _, c := range []struct {
		field, value string
		row          int
	}{
		{"mrn", "123456", 0}, {"mrn", "00-12-3456", 0}, {"mrn", "a77001", 1}, {"mrn", "B-1234", 2}, {"mrn", "B01234", -1}, {"mrn", "B123", -1},
		{"ssn", "001-23-4567", 0}, {"ssn", "078 05 1121", 1}, {"ssn", "123", -1},
		{"phone", "212.555.0142", 0}, {"phone", "12125550142", 0}, {"phone", "+442079460958", 0}, {"phone", "212-555-0143 x9", 1}, {"phone", "555", -1},
		{"name", "123456", -1},
	} {
		rows := find(t, ix, c.field, c.value)
		if c.row < 0 && len(rows) > 0 || c.row >= 0 && (len(rows) != 1 || rows[0] != uint64(c.row)) {
			t.Errorf("%s %q: got rows %v, want %d", c.field, c.value, rows, c.row)
		}
	}
	for _, c := range []struct {
		given, family, born string
		want                int
	}{
		{"Jurgen", "MULLER", "03/04/1961", 1},
		{"jürgen", "Müller", "March 4, 1961", 1},
		{"Jürgen", "Müller", "1961-03-05", 0},
		{"Müller", "Jürgen", "1961-03-04", 0},
		{"Beyoncé", "Knowles", "1961-03-04", 1},
		{"María", "de la Cruz", "19700230", 0},
	} {
		rows, err := ix.FindPerson(nil, []byte(c.given), []byte(c.family), []byte(c.born))
		if err != nil || len(rows) != c.want {
			t.Errorf("%s %s %s: got %v, %v; want %d rows", c.given, c.family, c.born, rows, err, c.want)
		}
	}
	if ok, err := ix.Has(1, "name", []byte("De La Cruz")); err != nil || !ok {
		t.Errorf("family with particles: got %v, %v; want true", ok, err)
	}
}

// TestProblems: what is wrong is told by line, and never by what stands there.
func TestProblems(t *testing.T) {
	s := newSite(t)
	csv := "mrn,ssn,name,dob,phone\n" +
		"E1000001,999-12-3456,Ottoline Quillfeather,03/04/1961,12\n" +
		"E1000002,536-22-8145\n" +
		"NONE,,,,\n" +
		"E1000003,,Quillfeather,1961-02-30,\n" +
		"E1000004,536-22-8146,\"Ottoline \"Q\" Quillfeather\",1961-03-04,\n" +
		",,,,2125550142\n" +
		"E1000005,,,,\nE1000006,,,,\n"
	r := s.build(csv)
	if r.Rows != 4 {
		t.Errorf("got %d rows, want 4", r.Rows)
	}
	var got []string
	for _, p := range r.First {
		got = append(got, fmt.Sprint(p.Line, " ", p.What))
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"2 a Social", "2 a telephone", "3 another number", "4 a record number", "4 nothing", "5 a name", "5 a date of birth", "6 quotes", "7 nothing"} {
		if !strings.Contains(all, want) {
			t.Errorf("got problems\n%s\nwant one that begins %q", all, want)
		}
	}
	for _, value := range []string{"Ottoline", "999", "NONE", "0142", "1961"} {
		if strings.Contains(all, value) {
			t.Errorf("a problem quotes %q", value)
		}
	}
}

func TestHeaders(t *testing.T) {
	const more = "E1000005,Doe,Bob,1962-03-04\nE1000006,Poe,Cal,1963-03-04\n"
	const patients = "mrn,last,first,dob\nE1000001,Loe,Dee,1964-03-04\n"
	for _, c := range []struct {
		name, csv string
		columns   map[string]string
		want      string
	}{
		{"none is known", "a,b\n1,2\n", nil, "1: want a header with a column"},
		{"data for a header", "E1000001,536-22-8145\nE1000002,536-22-8146\n", nil, "1: want a header with a column"},
		{"empty", "", nil, "1: want a header"},
		{"two record numbers", "mrn,patient id\n1,2\n", nil, "1: want one column for mrn"},
		{"phone alone", "phone\n2125550142\n", nil, "1: want a header with a column"},
		{"UTF-16", "m\x00r\x00n\x00\n", nil, "1: want text in UTF-8"},
		{"no rows", "mrn\n", nil, "2: want at least one row"},
		{"wrong columns", "mrn,ssn\nOak Street,\nElm Street,\nE1000001,\n", nil, "2: want most rows with a patient, not 1 of 3"},
		{"a quote left open, and another below", patients + "E1000003,\"Roe,Ann,1961-03-04\n" + more + "E1000004,Ro\"e,Ann,1961-03-04\n" + more, nil, "3: want a quote in this row"},
		{"a quote left open, and none below", patients + "E1000003,Roe,\"Ann,1961-03-04\n" + more, nil, "3: want a quote in this row"},
		{"a quote left open, closed by the next row's", patients + "E1000003,\"Roe,Ann,1961-03-04\nE1000004,Roe\",Ann,1961-03-04\n" + more, nil, "3: want a quote in this row"},
		{"a quote left open, closed as a cell", patients + "E1000003,\"Roe,Ann,1961-03-04\n" + more + "E1000004\",Roe,Ann,1961-03-04\n", nil, "3: want a quote in this row"},
		{"a quote left open, few columns", "mrn,address\nE1000001,\"A\n" + strings.Repeat("E1000002,B\n", 20) + "E1000003,\"\n", nil, "2: want a quote in this row"},
		{"cells of several lines", "mrn,last,address,dob\nE1000001,Roe,\"12 Main St, Apt 3\nSpringfield, IL\nUSA\",1961-03-04\n", nil, ""},
		{"a quote left open", "mrn,name\n\"E1000001,Roe\n" + strings.Repeat("E1000002,Roe\n", 20000), nil, "rows of at most 65536 bytes"},
		{"an unknown field", "mrn\nE1000001\n", map[string]string{"colour": "mrn"}, "--columns: want mrn, ssn"},
		{"an unknown column", "mrn\nE1000001\n", map[string]string{"ssn": "social"}, "--columns: want a column"},
		{"chosen", "mrn,patient id\nE1000001,E1000002\n", map[string]string{"mrn": "Patient ID"}, ""},
		{"tabs", "mrn\tssn\nE1000001\t536-22-8145\n", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			o := s.options()
			o.Columns = c.columns
			_, err := index.Build(t.Context(), o, strings.NewReader(c.csv))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := index.Open(s.dir, s.key); (err == nil) != (c.want == "") {
				t.Errorf("Open: got %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(s.dir, ".*"))
			if len(left) > 0 {
				t.Errorf("got files %v left behind, want none", left)
			}
		})
	}
}

// TestFewerIsAskedFor: an extract that was cut short does not take patients away
// by itself.
func TestFewerIsAskedFor(t *testing.T) {
	s := newSite(t)
	ps := synth.New(5).Patients(30)
	s.build(extract(ps))
	o := s.options()
	if _, err := index.Build(t.Context(), o, strings.NewReader(extract(ps[:14]))); !errors.Is(err, index.ErrFewer) {
		t.Errorf("got %v, want ErrFewer", err)
	}
	if n := len(find(t, s.open(), "mrn", ps[20].MRN)); n != 1 {
		t.Errorf("got %d rows, want the index as it was", n)
	}
	o.Fewer = true
	if _, err := index.Build(t.Context(), o, strings.NewReader(extract(ps[:14]))); err != nil {
		t.Errorf("asked for: got %v", err)
	}
}

func TestCommonValuesNameNobody(t *testing.T) {
	s := newSite(t)
	var b strings.Builder
	b.WriteString("mrn,phone,ssn\n")
	for i := range 17 {
		fmt.Fprintf(&b, "E10000%02d,2125550100,\n", i)
	}
	for i := range 16 {
		fmt.Fprintf(&b, "E20000%02d,2125550199,536-22-8145\n", i)
	}
	r := s.build(b.String())
	ix := s.open()
	if r.Common != 1 || len(find(t, ix, "phone", "2125550100")) != 0 || len(find(t, ix, "phone", "2125550199")) != 16 {
		t.Errorf("got %d common, %v and %v; want one left out and 16 rows", r.Common, find(t, ix, "phone", "2125550100"), find(t, ix, "phone", "2125550199"))
	}
}

func TestDeltas(t *testing.T) {
	s := newSite(t)
	ps := synth.New(5).Patients(30)
	if _, err := index.Add(t.Context(), s.options(), strings.NewReader(extract(ps))); !errors.Is(err, index.ErrNone) {
		t.Errorf("add to nothing: got %v, want ErrNone", err)
	}
	s.build(extract(ps[:10]))
	first := s.open()
	step := func(what string, take taker, in []synth.Patient) *index.Index {
		t.Helper()
		if _, err := take(s.options(), extract(in)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return s.open()
	}
	add := taker(func(o index.Options, in string) (*index.Report, error) {
		return index.Add(t.Context(), o, strings.NewReader(in))
	})
	remove := taker(func(o index.Options, in string) (*index.Report, error) {
		return index.Remove(t.Context(), o, strings.NewReader(in))
	})
	rebuild := taker(func(o index.Options, in string) (*index.Report, error) {
		return index.Build(t.Context(), o, strings.NewReader(in))
	})
	here := func(what string, ix *index.Index, want string) {
		t.Helper()
		got := ""
		for _, i := range []int{0, 5, 12, 15, 25} {
			n := len(find(t, ix, "mrn", ps[i].MRN))
			m := len(find(t, ix, "ssn", ps[i].SSN))
			if n != m {
				t.Errorf("%s: patient %d: got %d rows by record number and %d by SSN", what, i, n, m)
			}
			got += fmt.Sprint(n)
		}
		if got != want {
			t.Errorf("%s: got rows %s, want %s", what, got, want)
		}
	}
	here("built", first, "11000")
	second := step("add", add, ps[10:20])
	here("added", second, "11110")
	if first.ID() == second.ID() {
		t.Error("the id stays, want another after a delta")
	}
	third := step("remove", remove, []synth.Patient{ps[5], ps[12]})
	here("removed", third, "10010")
	fourth := step("add again", add, ps[12:13])
	here("added again", fourth, "10110")
	if kinds := segmentKinds(fourth); kinds != "main added removed added" {
		t.Errorf("got segments %s", kinds)
	}
	// Another row of the same patient, with another telephone, is the same patient.
	moved := ps[0]
	moved.Phone = "(509) 555-0188"
	fifth := step("moved", add, []synth.Patient{moved})
	rows := find(t, fifth, "mrn", moved.MRN)
	if len(rows) != 2 {
		t.Fatalf("moved: got rows %v, want two", rows)
	}
	a, _ := fifth.Patient(rows[0])
	b, _ := fifth.Patient(rows[1])
	if a != b {
		t.Error("two rows with one record number: got two patients, want one")
	}
	here("rebuilt", step("rebuild", rebuild, ps[20:]), "00001")
	if left, _ := filepath.Glob(filepath.Join(s.dir, "delta-*")); len(left) > 0 {
		t.Errorf("after a rebuild: got %v, want no deltas", left)
	}
	here("the first, still open", first, "11000")
	for range 32 {
		if _, err := add(s.options(), extract(ps[:1])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := add(s.options(), extract(ps[:1])); !errors.Is(err, index.ErrTooMany) {
		t.Errorf("the 33rd delta: got %v, want ErrTooMany", err)
	}
}

func segmentKinds(ix *index.Index) string {
	var k []string
	for _, s := range ix.Segments() {
		k = append(k, s.Kind)
	}
	return strings.Join(k, " ")
}

func TestBadFiles(t *testing.T) {
	s := newSite(t)
	ps := synth.New(5).Patients(600)
	s.build(extract(ps))
	path := filepath.Join(s.dir, "main.idx")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := index.Open(s.dir, index.NewKey()); !errors.Is(err, index.ErrWrongKey) {
		t.Errorf("another key: got %v, want ErrWrongKey", err)
	}
	if _, err := index.Open(filepath.Join(s.dir, "no"), s.key); !errors.Is(err, index.ErrNone) {
		t.Errorf("no folder: got %v, want ErrNone", err)
	}
	put := func(b []byte) error {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		ix, err := index.Open(s.dir, s.key)
		if err == nil {
			_ = ix.Close()
		}
		return err
	}
	for n := 0; n < len(whole); n += len(whole)/97 + 1 {
		if err := put(whole[:n]); !errors.Is(err, index.ErrDamaged) {
			t.Errorf("cut to %d of %d bytes: got %v, want ErrDamaged", n, len(whole), err)
		}
	}
	newer := bytes.Clone(whole)
	newer[19]++
	if err := put(newer); !errors.Is(err, index.ErrNewer) {
		t.Errorf("a newer form: got %v, want ErrNewer", err)
	}
	// Every byte counts: on opening, or when a look-up or Verify comes to it.
	for at := 0; at < len(whole); at += len(whole)/211 + 1 {
		if at >= 20 && at < 24 {
			continue // kept for later
		}
		bad := bytes.Clone(whole)
		bad[at] ^= 0x40
		if put(bad) != nil {
			continue
		}
		ix, err := index.Open(s.dir, s.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := ix.Verify(); !errors.Is(err, index.ErrDamaged) {
			t.Errorf("byte %d altered: Verify: got %v, want ErrDamaged", at, err)
		}
		failed := 0
		for _, p := range ps {
			rows, err := ix.Find(nil, "mrn", []byte(p.MRN))
			if err == nil && len(rows) == 0 {
				t.Errorf("byte %d altered: a patient is not found, want an error", at)
			}
			if err != nil {
				failed++
				continue
			}
			if _, err := ix.Patient(rows[0]); err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("byte %d altered: every look-up is answered, want errors", at)
		}
		_ = ix.Close()
	}
	if err := put(whole); err != nil {
		t.Errorf("whole again: got %v", err)
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "patients.key")
	if _, err := index.LoadKey(path); !errors.Is(err, index.ErrNoKey) {
		t.Errorf("none: got %v, want ErrNoKey", err)
	}
	k := index.NewKey()
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := index.NewKey().Save(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second: got %v, want fs.ErrExist", err)
	}
	if got, err := index.LoadKey(path); err != nil || got.ID() != k.ID() || got.ID() == index.NewKey().ID() {
		t.Errorf("got %v, %v; want the key that was saved", got, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := index.LoadKey(path); !errors.Is(err, index.ErrBadKey) {
		t.Errorf("open to others: got %v, want ErrBadKey", err)
	}
	for _, bad := range []string{"", "abc", strings.Repeat("00", 32), strings.Repeat("ff", 32), hex.EncodeToString([]byte("short")), "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n00\n"} {
		if err := os.WriteFile(path, []byte("# a comment\n"+bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Chmod(path, 0o600)
		if _, err := index.LoadKey(path); !errors.Is(err, index.ErrBadKey) {
			t.Errorf("%.10q: got %v, want ErrBadKey", bad, err)
		}
	}
}

// TestBuildEndsWhole: whatever ends a build leaves what was there.
func TestBuildEndsWhole(t *testing.T) {
	s := newSite(t)
	ps := synth.New(5).Patients(20)
	s.build(extract(ps[:10]))
	was := s.open().ID()
	o := s.options()
	o.Ready = func() error { return errors.New("no") }
	if _, err := index.Build(t.Context(), o, strings.NewReader(extract(ps))); err == nil {
		t.Error("an error before the name: got none")
	}
	if _, err := index.Build(t.Context(), s.options(), &failing{strings.NewReader(extract(ps)), 300}); err == nil {
		t.Error("an extract that breaks off: got no error")
	}
	// What a killed one leaves is swept by the next.
	if err := os.WriteFile(filepath.Join(s.dir, ".stanch-tmp-1"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ix := s.open(); ix.ID() != was {
		t.Errorf("got another index, want the one before")
	}
	s.build(extract(ps))
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".*")); len(left) > 0 {
		t.Errorf("got %v, want it swept", left)
	}
}

type failing struct {
	r *strings.Reader
	n int
}

func (f *failing) Read(p []byte) (int, error) {
	if f.n <= 0 {
		return 0, fs.ErrInvalid
	}
	n, err := f.r.Read(p[:min(len(p), f.n)])
	f.n -= n
	return n, err
}

func TestLookUpsAllocateNothing(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("under the race detector a sync.Pool forgets on purpose")
	}
	s := newSite(t)
	ps := synth.New(5).Patients(500)
	s.build(extract(ps))
	ix := s.open()
	rows := make([]uint64, 0, 32)
	ssn, mrn, stranger := []byte(ps[3].SSN), []byte(ps[3].MRN), []byte("536-00-1234")
	given, family, born := []byte(ps[3].Given), []byte(ps[3].Family), []byte("03/04/1961")
	n := testing.AllocsPerRun(2000, func() {
		rows, _ = ix.Find(rows[:0], "ssn", ssn)
		rows, _ = ix.Find(rows[:0], "mrn", mrn)
		_, _ = ix.Patient(rows[0])
		_, _ = ix.Has(rows[0], "dob", born)
		_, _ = ix.Has(rows[0], "name", family)
		rows, _ = ix.Find(rows[:0], "ssn", stranger)
		rows, _ = ix.FindPerson(rows[:0], given, family, born)
	})
	if n >= 1 { // the pool may be emptied by the collector once in a while
		t.Errorf("got %v allocations a round, want none", n)
	}
}

func TestSharedByMany(t *testing.T) {
	s := newSite(t)
	ps := synth.New(5).Patients(500)
	s.build(extract(ps))
	ix := s.open()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range ps {
				p := ps[(i*7+g)%len(ps)]
				rows, err := ix.Find(nil, "mrn", []byte(p.MRN))
				if err != nil || len(rows) != 1 {
					t.Errorf("got %v, %v; want one row", rows, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
