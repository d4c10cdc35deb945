package index_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/internal/synth"
)

// TestMissingFiles: an index of which a file is missing or stands under another's
// name is refused, since patients would no longer be found; a build mends it.
func TestMissingFiles(t *testing.T) {
	ps := synth.New(5).Patients(40)
	for _, tt := range []struct {
		name  string
		spoil func(in func(name string) string) error
		want  string
	}{
		{"the main one", func(in func(string) string) error { return os.Remove(in("main.idx")) }, "main.idx is missing"},
		{"the first delta", func(in func(string) string) error { return os.Remove(in("delta-00000002.idx")) }, "delta-00000002.idx is missing"},
		{"the second delta", func(in func(string) string) error { return os.Remove(in("delta-00000003.idx")) }, "delta-00000003.idx is missing"},
		{"the newest delta", func(in func(string) string) error { return os.Remove(in("delta-00000004.idx")) }, "delta-00000004.idx is missing"},
		{"the two newest", func(in func(string) string) error {
			return errors.Join(os.Remove(in("delta-00000003.idx")), os.Remove(in("delta-00000004.idx")))
		}, "delta-00000003.idx is missing"},
		{"what says which is the newest, its end", func(in func(string) string) error { return os.Truncate(in("newest"), 100) }, "newest: index: cut short or damaged"},
		{"what says which is the newest, a byte", func(in func(string) string) error { return flip(in("newest"), 80) }, "its seal does not hold"},
		{"the main one, a delta", func(in func(string) string) error { return os.Rename(in("main.idx"), in("delta-00000001.idx")) }, "it was written as main.idx"},
		{"a delta, the main one", func(in func(string) string) error { return os.Rename(in("delta-00000002.idx"), in("main.idx")) }, "it was written as delta-00000002.idx"},
		{"a delta, another", func(in func(string) string) error {
			return os.Rename(in("delta-00000004.idx"), in("delta-00000005.idx"))
		}, "it was written as delta-00000004.idx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.build(extract(ps[:10]))
			for i := 10; i < 40; i += 10 {
				if _, err := index.Add(t.Context(), s.options(), strings.NewReader(extract(ps[i:i+10]))); err != nil {
					t.Fatal(err)
				}
			}
			_ = s.open()
			if err := tt.spoil(func(name string) string { return filepath.Join(s.dir, name) }); err != nil {
				t.Fatal(err)
			}
			if _, err := index.Open(s.dir, s.key); !errors.Is(err, index.ErrDamaged) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrDamaged with %q", err, tt.want)
			}
			if _, err := index.Add(t.Context(), s.options(), strings.NewReader(extract(ps[:1]))); !errors.Is(err, index.ErrDamaged) {
				t.Errorf("add: got %v, want ErrDamaged", err)
			}
			s.build(extract(ps))
			ix := s.open()
			for i, p := range ps {
				if len(find(t, ix, "mrn", p.MRN)) != 1 {
					t.Errorf("patient %d is not found after a build", i)
				}
			}
		})
	}
}

// flip changes a byte of the file at path.
func flip(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at] ^= 1
	return os.WriteFile(path, b, 0o600)
}

// TestNewestOfAnother: what says which file is the newest counts for the main file it
// was written beside: an index carried here from elsewhere, one that an older stanch
// wrote, and one under another key are read as they are.
func TestNewestOfAnother(t *testing.T) {
	ps := synth.New(6).Patients(30)
	s := newSite(t)
	s.build(extract(ps[:10]))
	for range 2 {
		if _, err := index.Add(t.Context(), s.options(), strings.NewReader(extract(ps[10:]))); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(s.dir, name) }
	stale, err := os.ReadFile(in("newest"))
	if err != nil {
		t.Fatal(err)
	}
	other := index.Options{Dir: t.TempDir(), Key: s.key, Now: s.options().Now}
	if _, err := index.Build(t.Context(), other, strings.NewReader(extract(ps))); err != nil {
		t.Fatal(err)
	}
	carried, err := os.ReadFile(filepath.Join(other.Dir, "main.idx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(in("delta-00000002.idx")), os.Remove(in("delta-00000003.idx")), os.WriteFile(in("main.idx"), carried, 0o600)); err != nil {
		t.Fatal(err)
	}
	if ix := s.open(); len(find(t, ix, "mrn", ps[29].MRN)) != 1 {
		t.Error("carried from elsewhere: a patient is not found")
	}
	if err := os.Remove(in("newest")); err != nil {
		t.Fatal(err)
	}
	_ = s.open()
	s.key = index.NewKey() // as after a key was moved away, and a build that was killed before it wrote newest
	s.build(extract(ps))
	if err := os.WriteFile(in("newest"), stale, 0o600); err != nil {
		t.Fatal(err)
	}
	if ix := s.open(); len(find(t, ix, "mrn", ps[29].MRN)) != 1 {
		t.Error("under another key: a patient is not found")
	}
}
