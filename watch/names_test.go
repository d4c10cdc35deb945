package watch_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/watch"
)

func TestVariant(t *testing.T) {
	for _, c := range []struct {
		name     string
		file     string
		released bool
		i        int
		want     string
	}{
		{"the name itself", "a.csv", true, 0, "a.csv"},
		{"released", "a.csv", true, 1, "a (released).csv"},
		{"released again", "a.csv", true, 2, "a (released 2).csv"},
		{"numbered", "a.csv.age", false, 1, "a.csv (2).age"},
		{"no extension", "README", true, 1, "README (released)"},
		{"hidden", ".profile", true, 1, ".profile (released)"},
		{"a long tail is no extension", "a." + strings.Repeat("x", 40), true, 1, "a." + strings.Repeat("x", 40) + " (released)"},
		{"cut at a rune", strings.Repeat("é", 127), true, 1, strings.Repeat("é", 122) + " (released)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := watch.Variant(c.file, c.released, c.i); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzVariant: a variant is a file name again: it fits, stays UTF-8, gains no
// separator, and no two are equal.
func FuzzVariant(f *testing.F) {
	f.Add("a.csv", true, 1)
	f.Add(strings.Repeat("é", 127)+"x", false, 999)
	f.Add("\xff\xfe.\xff", true, 12)
	f.Fuzz(func(t *testing.T, name string, released bool, i int) {
		if name == "" || len(name) > 255 || strings.ContainsAny(name, "/\x00") || i < 0 || i > 1000 {
			return
		}
		got := watch.Variant(name, released, i)
		if len(got) > 255 || got == "" || strings.ContainsAny(got, "/\x00") || got == "." && name != "." || got == ".." && name != ".." {
			t.Errorf("got %q", got)
		}
		if utf8.ValidString(name) && !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if next := watch.Variant(name, released, i+1); next == got {
			t.Errorf("%q twice", got)
		}
	})
}

// FuzzSplit: a stored path that is accepted names something below the root.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{".", "a/b", "../a", "a/../b", "/a", "a//b", "a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rel string) {
		parts, err := watch.Split(rel)
		if err != nil {
			return
		}
		for _, p := range parts {
			if p == "" || p == "." || p == ".." || strings.ContainsAny(p, "/\x00") {
				t.Errorf("%q has the part %q", rel, p)
			}
		}
	})
}
