package dossier_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

func store(t *testing.T) (*dossier.Store, string) {
	t.Helper()
	dir := t.TempDir()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return dossier.OpenStore(dir, keys{aead}), dir
}

type keys struct{ cipher.AEAD }

func (k keys) Seal(ad string, b []byte) ([]byte, error) {
	return k.AEAD.Seal(nil, nil, b, []byte(ad)), nil
}

func (k keys) Open(ad string, b []byte) ([]byte, error) {
	return k.AEAD.Open(nil, nil, b, []byte(ad))
}

func yes(int) error { return nil }

const words = "Told to Wilhelmina Oakenshield"

func filled() dossier.Assessment {
	a := dossier.Assessment{Title: "A list went to the wrong clinic", Happened: "2026-11-18", Discovered: "2026-11-20", People: 41}
	for i := range a.Factors {
		a.Factors[i] = dossier.Factor{Words: words, Risk: "low"}
	}
	return a
}

// TestSweep: what a broken write left goes, and nothing else does.
func TestSweep(t *testing.T) {
	t.Parallel()
	s, dir := store(t)
	if err := s.Sweep(); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	v := dossier.Version{ID: dlp.NewID(), By: "user:dana", At: time.Unix(1000, 0).UTC(), Items: []dlp.ID{dlp.NewID()}, Assessment: dossier.Assessment{Title: "first"}}
	if _, err := s.Save(0, v, []byte("a record"), yes); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "state", "dossiers", string(v.ID))
	before, err := os.ReadDir(at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := safefile.Create(filepath.Join(at, "000002.version"), 0o600); err != nil { // and the process dies
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadDir(at); err != nil || len(after) != len(before) {
		t.Errorf("left: %v, %v; want %v", after, err, before)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s, dir := store(t)
	v := dossier.Version{ID: dlp.NewID(), By: "user:dana", At: time.Unix(1000, 0).UTC(), Items: []dlp.ID{dlp.NewID()}, Assessment: dossier.Assessment{Title: "first"}}
	if n, err := s.Save(0, v, []byte(words+" again"), yes); err != nil || n != 1 {
		t.Fatalf("begin: %d, %v", n, err)
	}
	if _, err := s.Save(0, v, nil, yes); !errors.Is(err, dossier.ErrChanged) {
		t.Errorf("begun twice: %v", err)
	}
	second := v
	second.At, second.Assessment = v.At.Add(time.Hour), filled()
	second.Conclusion = dossier.LowRisk
	if n, err := s.Save(1, second, nil, yes); err != nil || n != 2 {
		t.Fatalf("second: %d, %v", n, err)
	}
	if _, err := s.Save(1, second, nil, yes); !errors.Is(err, dossier.ErrChanged) {
		t.Errorf("made from an older version: %v, want %v", err, dossier.ErrChanged)
	}
	full := errors.New("full")
	if _, err := s.Save(2, second, nil, func(n int) error { return full }); !errors.Is(err, full) {
		t.Errorf("without a record: %v", err)
	}
	got, err := s.Newest(v.ID)
	if err != nil || got.N != 2 || got.Record != 1 || !got.Begun.Equal(v.At) || got.Factors[3].Words != words || got.TellBy() != "2027-01-19" {
		t.Errorf("newest: %+v, %v", got, err)
	}
	if b, err := s.Record(&got); err != nil || string(b) != words+" again" {
		t.Errorf("record: %q, %v", b, err)
	}
	if first, err := s.Version(v.ID, 1); err != nil || first.Title != "first" {
		t.Errorf("first: %+v, %v", first, err)
	}
	if _, err := s.Newest(dlp.NewID()); !errors.Is(err, dossier.ErrNotFound) {
		t.Errorf("another: %v", err)
	}
	if all, damaged, err := s.List(); err != nil || len(all) != 1 || damaged != 0 {
		t.Errorf("list: %d, %d, %v", len(all), damaged, err)
	}
	sealed(t, dir)

	// One version in the place of another does not open, and is told.
	at := filepath.Join(dir, "state", "dossiers", string(v.ID))
	b, err := os.ReadFile(filepath.Join(at, "000001.version"))
	if err == nil {
		err = os.WriteFile(filepath.Join(at, "000002.version"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Newest(v.ID); !errors.Is(err, dossier.ErrDamaged) {
		t.Errorf("put in another's place: %v, want %v", err, dossier.ErrDamaged)
	}
	if _, damaged, err := s.List(); err != nil || damaged != 1 {
		t.Errorf("list: %d damaged, %v; want 1", damaged, err)
	}
}

// sealed looks for words in every file below dir.
func sealed(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("Oakenshield")) {
			t.Errorf("%s is not sealed", path)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// TestBrokenOff: a dossier whose first version was not written, for want of room or
// since the process died, is none, and not one that was changed.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	s, dir := store(t)
	at := filepath.Join(dir, "state", "dossiers", string(dlp.NewID()))
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "000001.record"), []byte("sealed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, damaged, err := s.List(); err != nil || len(all) != 0 || damaged != 0 {
		t.Errorf("list: %d, %d damaged, %v", len(all), damaged, err)
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	s, _ := store(t)
	for name, c := range map[string]struct {
		change func(*dossier.Assessment)
		want   error
	}{
		"whole":                            {func(a *dossier.Assessment) { a.Conclusion = dossier.Breach }, nil},
		"without a title":                  {func(a *dossier.Assessment) { a.Title = " " }, dossier.ErrForm},
		"a day that is none":               {func(a *dossier.Assessment) { a.Happened = "2026-02-30" }, dossier.ErrForm},
		"another risk":                     {func(a *dossier.Assessment) { a.Factors[0].Risk = "none" }, dossier.ErrForm},
		"another conclusion":               {func(a *dossier.Assessment) { a.Conclusion = "no" }, dossier.ErrForm},
		"fewer than no people":             {func(a *dossier.Assessment) { a.People = -1 }, dossier.ErrForm},
		"open, with an empty factor":       {func(a *dossier.Assessment) { a.Factors[2] = dossier.Factor{} }, nil},
		"concluded, with an empty factor":  {func(a *dossier.Assessment) { a.Factors[2].Words, a.Conclusion = "\n", dossier.LowRisk }, dossier.ErrForm},
		"concluded, a factor not rated":    {func(a *dossier.Assessment) { a.Factors[2].Risk, a.Conclusion = "", dossier.Breach }, dossier.ErrForm},
		"an exception, without factors":    {func(a *dossier.Assessment) { a.Factors, a.Conclusion = [4]dossier.Factor{}, dossier.Exception }, nil},
		"more words than there may be":     {func(a *dossier.Assessment) { a.Because = strings.Repeat("x", dossier.MaxWords+1) }, dossier.ErrLarge},
		"as many words as there may be":    {func(a *dossier.Assessment) { a.Because = strings.Repeat("x", dossier.MaxWords) }, nil},
		"discovered on no day that is one": {func(a *dossier.Assessment) { a.Discovered = "yesterday" }, dossier.ErrForm},
	} {
		a := filled()
		c.change(&a)
		if _, err := s.Save(0, dossier.Version{ID: dlp.NewID(), Assessment: a}, nil, yes); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.Save(0, dossier.Version{ID: dlp.NewID(), Items: make([]dlp.ID, dossier.MaxItems+1), Assessment: filled()}, nil, yes); !errors.Is(err, dossier.ErrLarge) {
		t.Errorf("too many items: %v", err)
	}
}
