package arch

import (
	"go/ast"
	"strings"
)

const (
	maxFileLines = 600 // a file one can read in a sitting (CONTRIBUTING.md)
	maxFuncLines = 80  // a function one can see whole (CONTRIBUTING.md)
)

// PackageComments checks that each package says once what it is for: one file
// with a comment that begins "Package NAME", or for a program "Command NAME"
// or the name of the program.
func (t *Tree) PackageComments() []string {
	var out []string
	for _, pkg := range t.sorted() {
		var with int
		var last *File
		for _, file := range t.packages[pkg] {
			if file.Test && strings.HasSuffix(file.Syntax.Name.Name, "_test") {
				continue // the package comment of x_test is nobody's reading
			}
			last = file
			if file.Syntax.Doc == nil {
				continue
			}
			with++
			name := file.Syntax.Name.Name
			if text := file.Syntax.Doc.Text(); name != "main" && !strings.HasPrefix(text, "Package "+name+" ") {
				out = append(out, t.problemf(file.Syntax.Package, "package comment begins %q: want %q", firstWords(text), "Package "+name+" …"))
			}
		}
		if last != nil && with != 1 {
			out = append(out, t.problemf(last.Syntax.Package, "package %s has %d package comments: want one", pkg, with))
		}
	}
	return out
}

// Sizes checks the length of files and of functions outside tests. A function
// whose doc comment has a line "long: REASON" may be longer.
func (t *Tree) Sizes() []string {
	var out []string
	t.each(func(_ string, file *File) {
		if file.Generated {
			return
		}
		if file.Lines > maxFileLines {
			out = append(out, t.problemf(file.Syntax.Package, "%d lines: want at most %d", file.Lines, maxFileLines))
		}
		for _, decl := range file.Syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || file.Test || strings.Contains(fn.Doc.Text(), "long: ") {
				continue
			}
			if n := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1; n > maxFuncLines {
				out = append(out, t.problemf(fn.Pos(), "%s has %d lines: want at most %d, or a `// long:` reason", fn.Name.Name, n, maxFuncLines))
			}
		}
	})
	return out
}

// Plain checks what needs no types: no init functions, no packages named for
// nothing, go-smtp under the name gosmtp, no notes to self.
func (t *Tree) Plain() []string {
	var out []string
	t.each(func(pkg string, file *File) {
		switch name := file.Syntax.Name.Name; name {
		case "util", "utils", "common", "helpers", "types":
			out = append(out, t.problemf(file.Syntax.Package, "package %s: want a name that says what it does", name))
		}
		if spec, name := importOf(file.Syntax, "github.com/emersion/go-smtp"); spec != nil && name != "gosmtp" {
			out = append(out, t.problemf(spec.Pos(), "go-smtp imported as %s: want gosmtp", name))
		}
		for _, decl := range file.Syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, t.problemf(fn.Pos(), "func init: want the work done where it is asked for"))
			}
		}
		for _, group := range file.Syntax.Comments {
			for _, c := range group.List {
				for _, note := range []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"} {
					if strings.Contains(c.Text, note) {
						out = append(out, t.problemf(c.Pos(), "comment says %s: want an issue", note))
					}
				}
			}
		}
	})
	return out
}

func firstWords(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(3, len(words))], " ")
}
