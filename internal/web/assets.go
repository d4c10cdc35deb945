package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed assets
var own embed.FS

// AssetsPath is the path prefix that Assets is to be mounted at.
const AssetsPath = "/assets/"

// Assets serves files that are part of the program, each under a URL that
// changes with its content, so that a browser may keep it for ever.
type Assets struct {
	urls  map[string]string // file name to URL
	files map[string]asset  // URL to content
	icons []string
}

type asset struct {
	kind string
	body []byte
}

// assetKinds are the types of file that may be an asset.
var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// iconID finds the names in icons.svg.
var iconID = regexp.MustCompile(`<symbol id="([a-z]+)"`)

// NewAssets returns the shared assets and those of extra, whose files lie at
// their root. A file of a type that no page uses, or a name given twice, is an
// error.
func NewAssets(extra ...fs.FS) (*Assets, error) {
	a := &Assets{urls: map[string]string{}, files: map[string]asset{}}
	shared, err := fs.Sub(own, "assets")
	if err != nil {
		return nil, fmt.Errorf("web: assets: %w", err)
	}
	for _, from := range append([]fs.FS{shared}, extra...) {
		if err := a.add(from); err != nil {
			return nil, fmt.Errorf("web: assets: %w", err)
		}
	}
	for _, m := range iconID.FindAllSubmatch(a.files[a.urls["icons.svg"]].body, -1) {
		a.icons = append(a.icons, string(m[1]))
	}
	return a, nil
}

func (a *Assets) add(from fs.FS) error {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		ext := path.Ext(e.Name())
		kind, known := assetKinds[ext]
		if _, twice := a.urls[e.Name()]; !known || twice {
			return fmt.Errorf("%s: want one .css, .js or .svg of that name", e.Name())
		}
		body, err := fs.ReadFile(from, e.Name())
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		url := AssetsPath + strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:8]) + ext
		a.urls[e.Name()], a.files[url] = url, asset{kind, body}
	}
	return nil
}

// URL returns where the asset of that file name is served. An unknown name is
// an error, which ends the template that asked.
func (a *Assets) URL(name string) (string, error) {
	url, ok := a.urls[name]
	if !ok {
		return "", fmt.Errorf("web: no asset %q", name)
	}
	return url, nil
}

// Icon returns the svg element of a symbol of icons.svg, hidden from screen
// readers: the word beside it says the same. An unknown name is an error.
func (a *Assets) Icon(name string) (template.HTML, error) {
	if !slices.Contains(a.icons, name) {
		return "", fmt.Errorf("web: no icon %q", name)
	}
	return template.HTML(`<svg class="icon" aria-hidden="true"><use href="` + a.urls["icons.svg"] + "#" + name + `"/></svg>`), nil
}

// ServeHTTP answers with one asset.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
