package arch_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stanch-dlp/stanch/internal/arch"
)

// rules are the checks by name.
func rules() map[string]func(*arch.Tree) []string {
	return map[string]func(*arch.Tree) []string{
		"imports":          (*arch.Tree).Imports,
		"guarded":          (*arch.Tree).Guarded,
		"package comments": (*arch.Tree).PackageComments,
		"sizes":            (*arch.Tree).Sizes,
		"plain":            (*arch.Tree).Plain,
		"logs":             (*arch.Tree).Logs,
	}
}

func TestModule(t *testing.T) {
	t.Parallel()
	tree, err := arch.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, problem := range rule(tree) {
				t.Error(problem)
			}
		})
	}
}

func TestLinesAreThere(t *testing.T) {
	t.Parallel()
	tree, err := arch.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range tree.Stale() {
		t.Error(problem)
	}
	if got := new(arch.Tree).Stale(); len(got) == 0 {
		t.Error("an empty tree: got no stale line, want all of them")
	}
}

func TestLinesListOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, line := range arch.Lines() {
		for _, pkg := range line.Packages {
			if at, ok := seen[pkg]; ok {
				t.Errorf("%s is on lines %q and %q, want one", pkg, at, line.Name)
			}
			seen[pkg] = line.Name
		}
	}
}

// TestRules shows each rule a breach and its lawful neighbour.
func TestRules(t *testing.T) {
	t.Parallel()
	const module = arch.Module
	long := "func F() {\n" + strings.Repeat("\t_ = 0\n", 80) + "}\n"
	tests := []struct {
		name string
		rule string
		file string
		src  string
		want []string
	}{
		{"down", "imports", "smtp/a.go", `package smtp; import _ "` + module + `/internal/dlp"`, nil},
		{"up", "imports", "smtp/a.go", "package smtp\nimport _ \"" + module + "/internal/gateway\"",
			[]string{"smtp/a.go:2: smtp imports internal/gateway: want imports of lower lines only"}},
		{"sideways", "imports", "smtp/a.go", "package smtp\nimport _ \"" + module + "/watch\"",
			[]string{"smtp/a.go:2: smtp imports watch: want imports of lower lines only"}},
		{"sideways in a test", "imports", "smtp/a_test.go", "package smtp_test\nimport _ \"" + module + "/watch\"",
			[]string{"smtp/a_test.go:2: smtp imports watch: want imports of lower lines only"}},
		{"own package in a test", "imports", "smtp/a_test.go", `package smtp_test; import _ "` + module + `/smtp"`, nil},
		{"not listed", "imports", "internal/extra/a.go", `package extra`,
			[]string{"internal/extra/a.go:1: package internal/extra is not in the layer list: want a line in internal/arch and a record in docs/adr"}},
		{"parsers outside the child", "guarded", "internal/gateway/a.go", "package gateway\nimport _ \"" + module + "/internal/extract/formats\"",
			[]string{"internal/gateway/a.go:2: internal/gateway imports internal/extract/formats: want only cmd/stanch to"}},
		{"a log of one's own", "guarded", "smtp/a.go", "package smtp\nimport \"" + module + "/internal/safelog\"\nvar _ = safelog.New",
			[]string{"smtp/a.go:3: smtp uses internal/safelog.New: want only cmd/stanch to"}},
		{"no comment", "package comments", "smtp/a.go", "package smtp",
			[]string{"smtp/a.go:1: package smtp has 0 package comments: want one"}},
		{"comment", "package comments", "smtp/a.go", "// Package smtp is a door.\npackage smtp", nil},
		{"long function", "sizes", "smtp/a.go", "package smtp\n" + long,
			[]string{"smtp/a.go:2: F has 82 lines: want at most 80, or a `// long:` reason"}},
		{"long with reason", "sizes", "smtp/a.go", "package smtp\n// F is a table.\n//\n// long: a table\n" + long, nil},
		{"long file", "sizes", "smtp/a.go", "package smtp\n" + strings.Repeat("\n", 600),
			[]string{"smtp/a.go:1: 601 lines: want at most 600"}},
		{"init", "plain", "smtp/a.go", "package smtp\nfunc init() {}",
			[]string{"smtp/a.go:2: func init: want the work done where it is asked for"}},
		{"go-smtp by its own name", "plain", "smtp/a.go", "package smtp\nimport smtp \"github.com/emersion/go-smtp\"",
			[]string{"smtp/a.go:2: go-smtp imported as smtp: want gosmtp"}},
		{"constant message", "logs", "smtp/a.go", "package smtp\nimport \"log/slog\"\nconst m = \"b\"\nfunc f(l *slog.Logger) { l.Info(\"a\"); l.Info(m) }", nil},
		{"message handed on", "logs", "smtp/a.go", "package smtp\nimport \"log/slog\"\nfunc g(l *slog.Logger) { f(l, \"a\") }\nfunc f(l *slog.Logger, m string) { l.Info(m) }", nil},
		{"computed message handed on", "logs", "smtp/a.go", "package smtp\nimport \"log/slog\"\nfunc g(l *slog.Logger, err error) {\n\tf(l, err.Error())\n}\nfunc f(l *slog.Logger, m string) { l.Info(m) }",
			[]string{"smtp/a.go:4: f is given a computed string: want a constant"}},
		{"computed message", "logs", "smtp/a.go", "package smtp\nimport \"log/slog\"\nfunc f(l *slog.Logger, err error) {\n\tl.Info(err.Error())\n}",
			[]string{"smtp/a.go:4: Info is given a computed string: want a constant"}},
		{"computed key", "logs", "smtp/a.go", "package smtp\nimport \"log/slog\"\nfunc F(s string) slog.Attr {\n\treturn slog.String(s, s)\n}",
			[]string{"smtp/a.go:4: String is given a computed string: want a constant"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tree, err := arch.Load(fstest.MapFS{tt.file: {Data: []byte(tt.src)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := rules()[tt.rule](tree); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
