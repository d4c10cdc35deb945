package arch

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// Imports checks the layers: every package is listed, and imports packages of
// lower lines only. A test may also import its own package, and what
// alsoInTests says.
func (t *Tree) Imports() []string {
	depth := map[string]int{}
	for i, line := range Lines() {
		for _, pkg := range line.Packages {
			depth[pkg] = i
		}
	}
	var out []string
	t.each(func(pkg string, file *File) {
		own, listed := depth[pkg]
		if !listed {
			out = append(out, t.problemf(file.Syntax.Package, "package %s is not in the layer list: want a line in internal/arch and a record in docs/adr", pkg))
			return
		}
		for _, spec := range file.Syntax.Imports {
			target, ours := inModule(spec)
			if !ours {
				continue
			}
			if file.Test && (target == pkg || slices.Contains(alsoInTests()[pkg], target)) {
				continue
			}
			if d, ok := depth[target]; !ok || d <= own {
				out = append(out, t.problemf(spec.Pos(), "%s imports %s: want imports of lower lines only", pkg, target))
			}
		}
	})
	return out
}

// Stale returns the packages of the layer list that the tree does not have.
func (t *Tree) Stale() []string {
	var out []string
	for _, line := range Lines() {
		for _, pkg := range line.Packages {
			if len(t.packages[pkg]) == 0 {
				out = append(out, pkg+" is in the layer list: want a package, or no line")
			}
		}
	}
	return out
}

// Guarded checks that parsers and the log's constructor are used only where
// guarded allows.
func (t *Tree) Guarded() []string {
	var out []string
	t.each(func(pkg string, file *File) {
		for what, who := range guarded() {
			target, function, isFunc := strings.Cut(what, ".")
			if pkg == target || slices.Contains(who, pkg) || file.Test {
				continue
			}
			spec, name := importOf(file.Syntax, Module+"/"+target)
			if spec == nil {
				continue
			}
			if !isFunc {
				out = append(out, t.problemf(spec.Pos(), "%s imports %s: want only %s to", pkg, target, strings.Join(who, ", ")))
				continue
			}
			ast.Inspect(file.Syntax, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == function && isIdent(sel.X, name) {
					out = append(out, t.problemf(sel.Pos(), "%s uses %s: want only %s to", pkg, what, strings.Join(who, ", ")))
				}
				return true
			})
		}
	})
	slices.Sort(out)
	return out
}

// inModule returns the package that spec imports, relative to Module, and
// whether it belongs to the module.
func inModule(spec *ast.ImportSpec) (string, bool) {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "", false // the parser has accepted it, so this cannot be one of ours
	}
	return strings.CutPrefix(p, Module+"/")
}

// importOf returns file's import of path and the name it goes by there, or nil.
func importOf(file *ast.File, path string) (*ast.ImportSpec, string) {
	for _, spec := range file.Imports {
		if spec.Path.Value != strconv.Quote(path) {
			continue
		}
		if spec.Name != nil {
			return spec, spec.Name.Name
		}
		return spec, path[strings.LastIndexByte(path, '/')+1:]
	}
	return nil, ""
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
