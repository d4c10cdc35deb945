package index

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSipHash against the function's own test vector.
//
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", appendix A;
// the other lengths by their reference program (vectors.h).
func TestSipHash(t *testing.T) {
	var key [16]byte
	var in [15]byte
	for i := range key {
		key[i] = byte(i)
	}
	for i := range in {
		in[i] = byte(i)
	}
	k := newSipKey(key)
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := k.sum(in[:n]); got != want {
			t.Errorf("%d bytes: got %016x, want %016x", n, got, want)
		}
	}
}

// TestPairs: the filter of names passes every patient's name, in whichever file
// it stands, and few others; without the key's own filter it would pass others.
func TestPairs(t *testing.T) {
	dir, key := t.TempDir(), NewKey()
	o := Options{Dir: dir, Key: key, Now: time.Unix(0, 0), RunEntries: 64} // so small that it is sorted in files
	name := func(i int) (given, family string) { return "A" + letterNo(i%40), "B" + letterNo(i/40) }
	var csv, more strings.Builder
	csv.WriteString("first,last,dob\n")
	more.WriteString("first,last,dob\n")
	for i := range 1200 {
		given, family := name(i)
		out := &csv
		if i >= 1000 {
			out = &more
		}
		fmt.Fprintf(out, "%s,%s,1961-03-%02d\n", given, family, 1+i%28)
		fmt.Fprintf(out, "%s,%s,1962-03-%02d\n", given, family, 1+i%28) // another of that name
	}
	if _, err := Build(t.Context(), o, strings.NewReader(csv.String())); err != nil {
		t.Fatal(err)
	}
	if _, err := Add(t.Context(), o, strings.NewReader(more.String())); err != nil {
		t.Fatal(err)
	}
	ix, err := Open(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	h, passed := newHasher(key), 0
	for i := range 4000 {
		given, family := name(i)
		pair, ok := h.pair([]byte(given), []byte(strings.ToUpper(family)))
		switch may := ok && ix.mayPair(pair); {
		case i < 1200 && !may:
			t.Fatalf("name %d of a patient is missed", i)
		case i >= 1200 && may:
			passed++
		}
		for _, year := range []string{"1961", "1962", "1963"} {
			rows, err := ix.FindPerson(nil, []byte(given), []byte(family), fmt.Appendf(nil, "%s-03-%02d", year, 1+i%28))
			if want := i < 1200 && year != "1963"; err != nil || len(rows) > 0 != want {
				t.Fatalf("name %d, %s: got rows %v, %v; want some: %v", i, year, rows, err, want)
			}
		}
	}
	if passed > 100 { // two filters pass about 22 of 2,800
		t.Errorf("got %d of 2800 other names passed, want few", passed)
	}
	h = newHasher(NewKey())
	passed = 0
	for i := range 1200 {
		given, family := name(i)
		if pair, _ := h.pair([]byte(given), []byte(family)); ix.mayPair(pair) {
			passed++
		}
	}
	if passed > 60 {
		t.Errorf("under another key got %d of 1200 names passed, want few", passed)
	}
}

func letterNo(i int) string {
	return string([]byte{byte('a' + i/26), byte('a' + i%26)})
}

// TestForm1: files that an older stanch wrote are read, and deltas of the newer
// form stand beside them.
func TestForm1(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"main.idx", "delta-00000002.idx", "delta-00000003.idx", "patients.key"} {
		b, err := os.ReadFile(filepath.Join("testdata", "form1", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err := LoadKey(filepath.Join(dir, "patients.key"))
	if err != nil {
		t.Fatal(err)
	}
	look := func() string {
		ix, err := Open(dir, key)
		if err != nil {
			t.Fatal(err)
		}
		defer ix.Close()
		if err := ix.Verify(); err != nil {
			t.Fatal(err)
		}
		for _, s := range ix.Segments() {
			if info, err := os.Stat(filepath.Join(dir, s.File)); err != nil || info.Size() != s.Bytes {
				t.Errorf("%s: got %d bytes, want those of the file (%v)", s.File, s.Bytes, err)
			}
		}
		var out []string
		for _, p := range [][3]string{{"Ottoline", "Quillfeather", "03/04/1961"}, {"Barnabas", "Roe", "03/05/1961"}, {"Maria", "de la Cruz", "1970-01-31"},
			{"Wilhelmina", "Ashdown", "1980-02-03"}, {"Ottoline", "Roe", "03/04/1961"}} {
			rows, err := ix.FindPerson(nil, []byte(p[0]), []byte(p[1]), []byte(p[2]))
			if err != nil {
				t.Fatal(err)
			}
			mrn, err := ix.Find(nil, "mrn", []byte(map[string]string{"Ottoline": "E1000001", "Barnabas": "E1000002", "Maria": "E1000003", "Wilhelmina": "E1000004"}[p[0]]))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(len(rows), len(mrn)))
		}
		return strings.Join(out, ", ")
	}
	if got, want := look(), "1 1, 0 0, 1 1, 0 0, 0 1"; got != want { // Roe was removed
		t.Errorf("form 1: got %q, want %q", got, want)
	}
	o := Options{Dir: dir, Key: key, Now: time.Unix(0, 0)}
	if _, err := Add(t.Context(), o, strings.NewReader("mrn,first,last,dob\nE1000004,Wilhelmina,Ashdown,1980-02-03\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := look(), "1 1, 0 0, 1 1, 1 1, 0 1"; got != want {
		t.Errorf("form 1 and a delta of form 2: got %q, want %q", got, want)
	}
	if _, err := Build(t.Context(), o, strings.NewReader("mrn,first,last,dob\nE1000004,Wilhelmina,Ashdown,1980-02-03\nE1000002,Barnabas,Roe,1961-03-05\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := look(), "0 0, 1 1, 0 0, 1 1, 0 0"; got != want {
		t.Errorf("built anew: got %q, want %q", got, want)
	}
}
