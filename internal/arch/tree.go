package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// File is one parsed Go file.
type File struct {
	Path      string // relative to the module's root, slash-separated
	Test      bool
	Generated bool
	Lines     int
	Syntax    *ast.File
}

// Tree is the module's source.
type Tree struct {
	fset     *token.FileSet
	packages map[string][]*File // by folder relative to the root, files by name
}

// Load parses every Go file under fsys, the module's root; testdata, bin, var
// and hidden folders are left out. An error means that a file does not parse.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet(), packages: map[string][]*File{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || name == "bin" || name == "var") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		t.packages[dir] = append(t.packages[dir], &File{
			Path:      name,
			Test:      strings.HasSuffix(base, "_test.go"),
			Generated: ast.IsGenerated(syntax),
			Lines:     bytes.Count(src, []byte("\n")),
			Syntax:    syntax,
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("arch: load: %w", err)
	}
	return t, nil
}

// each calls f for every file, in the order of paths.
func (t *Tree) each(f func(pkg string, file *File)) {
	for _, pkg := range t.sorted() {
		for _, file := range t.packages[pkg] {
			f(pkg, file)
		}
	}
}

// sorted returns the folders that hold Go files, in order.
func (t *Tree) sorted() []string {
	var pkgs []string
	for pkg := range t.packages {
		pkgs = append(pkgs, pkg)
	}
	slices.Sort(pkgs)
	return pkgs
}

// problemf words one breach at pos.
func (t *Tree) problemf(pos token.Pos, format string, args ...any) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}
