package arch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocuments follows every relative link in the documents, to the heading that it
// names, and looks whether the index names every page and every record.
func TestDocuments(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	link := regexp.MustCompile(`\]\(([^)#:\s]*)(#[^)]*)?\)`)
	for _, page := range pages(t, root) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: got a link to %s, want one to something that is there", page, m[1])
			} else if m[2] != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(t, to), m[2][1:]) {
				t.Errorf("%s: got a link to %s%s, want one to a heading that is there", page, m[1], m[2])
			}
		}
	}
	index, err := os.ReadFile(filepath.Join(root, "docs", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(all, records...) {
		name, err := filepath.Rel(filepath.Join(root, "docs"), page)
		if err != nil {
			t.Fatal(err)
		}
		if name != "README.md" && !strings.Contains(string(index), "("+filepath.ToSlash(name)+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are what links name the headings of a page by.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(linked.ReplaceAllString(m[1], "$1")), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

// TestFixturesListed looks whether each file in a testdata folder has its
// source and licence: a line, or its folder's, in testdata/README.md. Seeds of
// fuzz targets are named as a whole.
func TestFixturesListed(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	listed, err := os.ReadFile(filepath.Join(root, "testdata", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	walk(t, root, func(rel string) {
		if !strings.Contains("/"+rel, "/testdata/") || strings.Contains(rel, "/testdata/fuzz/") || rel == "testdata/README.md" {
			return
		}
		if !strings.Contains(string(listed), "`"+rel+"`") && !strings.Contains(string(listed), "`"+filepath.ToSlash(filepath.Dir(rel))+"/`") {
			t.Errorf("testdata/README.md names neither %s nor its folder", rel)
		}
	})
}

// pages returns the Markdown files of the module.
func pages(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	walk(t, root, func(rel string) {
		if strings.HasSuffix(rel, ".md") {
			all = append(all, filepath.Join(root, rel))
		}
	})
	return all
}

// walk calls f with the slash-separated path of each file that belongs to the
// module.
func walk(t *testing.T, root string, f func(rel string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == ".git" || rel == "bin" || rel == "var" || rel == "dist" {
				return fs.SkipDir
			}
			return nil
		}
		f(filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
