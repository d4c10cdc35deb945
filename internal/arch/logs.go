package arch

import (
	"go/ast"
	"go/token"
	"maps"
	"strconv"
)

// Logs checks, in packages that import log/slog, that messages and the keys of
// attributes are literals or constants: what is not written in the source can
// hold PHI. A function that hands a string parameter on as the message is held
// to the same at its own calls within the package.
func (t *Tree) Logs() []string {
	var out []string
	for _, pkg := range t.sorted() {
		if pkg == "internal/safelog" {
			continue // the handler that withholds the rest is handed what others computed
		}
		l := logCalls{tree: t, consts: t.constants(pkg), methods: logMethods()}
		var files []*File
		for _, file := range t.packages[pkg] {
			if !file.Test {
				files = append(files, file)
			}
		}
		for grown := -1; grown != len(l.methods); { // until no further forwarder is found
			grown = len(l.methods)
			l.problems = nil
			for _, file := range files {
				l.check(file)
			}
		}
		out = append(out, l.problems...)
	}
	return out
}

// logCalls is the check of one package.
type logCalls struct {
	tree     *Tree
	consts   map[string]bool
	imports  map[string]bool // names by which the file at hand knows other packages, log/slog left out
	methods  map[string]int  // index of the argument that must be constant, by function name
	problems []string
}

// logMethods are the methods of slog.Logger that log, with the index of the
// message among their arguments.
func logMethods() map[string]int {
	return map[string]int{
		"Debug": 0, "Info": 0, "Warn": 0, "Error": 0,
		"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
		"Log": 2, "LogAttrs": 2,
	}
}

// check notes the calls in file whose message or key is computed.
func (l *logCalls) check(file *File) {
	spec, slog := importOf(file.Syntax, "log/slog")
	l.imports = map[string]bool{}
	for _, i := range file.Syntax.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && p != "log/slog" {
			_, name := importOf(file.Syntax, p)
			l.imports[name] = true
		}
	}
	std := logMethods()
	for _, decl := range file.Syntax.Decls {
		fn, _ := decl.(*ast.FuncDecl)
		ast.Inspect(decl, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, on := callee(call)
			if _, isStd := std[name]; isStd && (spec == nil || on == nil || l.imported(on)) {
				return true // no logger in sight: http.Error and the like
			}
			arg, ok := l.constantArg(call, name, on, slog)
			if !ok || l.isConstant(arg) || l.forwards(fn, arg) {
				return true
			}
			l.problems = append(l.problems, l.tree.problemf(arg.Pos(), "%s is given a computed string: want a constant", name))
			return true
		})
	}
}

// callee returns the name of the called function, and what it is selected from
// if anything.
func callee(call *ast.CallExpr) (string, ast.Expr) {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name, f.X
	case *ast.Ident:
		return f.Name, nil
	}
	return "", nil
}

// constantArg returns the argument of a logging call, or of an attribute's
// constructor, that must be constant.
func (l *logCalls) constantArg(call *ast.CallExpr, name string, on ast.Expr, slog string) (ast.Expr, bool) {
	if on != nil && slog != "" && isIdent(on, slog) {
		switch name {
		case "String", "Int", "Int64", "Uint64", "Bool", "Float64", "Duration", "Time", "Any", "Group":
			return call.Args[0], len(call.Args) >= 2
		}
	}
	i, ok := l.methods[name]
	if !ok || len(call.Args) <= i {
		return nil, false
	}
	return call.Args[i], true
}

// forwards reports whether arg is a string parameter of fn, and if so holds
// the calls of fn to a constant there.
func (l *logCalls) forwards(fn *ast.FuncDecl, arg ast.Expr) bool {
	id, ok := arg.(*ast.Ident)
	if !ok || fn == nil {
		return false
	}
	var i int
	for _, field := range fn.Type.Params.List {
		for _, name := range field.Names {
			if name.Name == id.Name && isIdent(field.Type, "string") && !fn.Name.IsExported() {
				l.methods[fn.Name.Name] = i
				return true
			}
			i++
		}
	}
	return false
}

// constants returns the names of a package's constants.
func (t *Tree) constants(pkg string) map[string]bool {
	names := map[string]bool{}
	for _, file := range t.packages[pkg] {
		maps.Copy(names, constantsOf(file.Syntax))
	}
	return names
}

func constantsOf(file *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		gen, ok := n.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			return true
		}
		for _, spec := range gen.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok {
				for _, id := range v.Names {
					names[id.Name] = true
				}
			}
		}
		return true
	})
	return names
}

// isConstant reports a string literal, a constant of the package or of another
// one, or a sum of them.
func (l *logCalls) isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.Ident:
		return l.consts[e.Name]
	case *ast.SelectorExpr:
		return l.imported(e.X)
	case *ast.BinaryExpr:
		return l.isConstant(e.X) && l.isConstant(e.Y)
	case *ast.ParenExpr:
		return l.isConstant(e.X)
	}
	return false
}

// imported reports whether e is the name of an imported package.
func (l *logCalls) imported(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && l.imports[id.Name]
}
