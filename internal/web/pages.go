package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strings"
)

// Pages are the templates of one face.
type Pages struct {
	of map[string]*template.Template // by file name without ".html"
}

// NewPages reads every *.html of from. Files whose name begins with "_" are
// shared by all others: layouts and pieces. Each other file is a page of that
// name; what it defines is its own, so that a layout's piece may differ by page.
// Templates may call "asset NAME" and "icon NAME" beside funcs.
func NewPages(from fs.FS, a *Assets, funcs template.FuncMap) (*Pages, error) {
	all := template.FuncMap{"asset": a.URL, "icon": a.Icon}
	maps.Copy(all, funcs)
	names, err := fs.Glob(from, "*.html")
	if err != nil {
		return nil, fmt.Errorf("web: pages: %w", err)
	}
	shared := template.New("").Option("missingkey=error").Funcs(all)
	var pages []string
	for _, n := range names {
		if !strings.HasPrefix(n, "_") {
			pages = append(pages, n)
			continue
		}
		if _, err := shared.ParseFS(from, n); err != nil {
			return nil, fmt.Errorf("web: pages: %w", err)
		}
	}
	p := &Pages{of: map[string]*template.Template{}}
	for _, n := range pages {
		t, err := shared.Clone()
		if err == nil {
			_, err = t.ParseFS(from, n)
		}
		if err != nil {
			return nil, fmt.Errorf("web: pages: %w", err)
		}
		p.of[strings.TrimSuffix(n, ".html")] = t.Lookup(path.Base(n))
	}
	return p, nil
}

// Render runs the page name over data and answers with it, whole or not at all:
// on an error nothing has been written.
func (p *Pages) Render(w http.ResponseWriter, status int, name string, data any) error {
	t := p.of[name]
	if t == nil {
		return fmt.Errorf("web: no page %q", name)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("web: page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // whoever asked has gone
	return nil
}
