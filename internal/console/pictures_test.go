package console_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/console"
)

// noPages are routes by GET that show no page of their own.
var noPages = map[string]string{
	"GET /{$}":              "leads to the queue",
	"GET /":                 "no page: says so",
	"GET /report.csv":       "a table of numbers",
	"GET /departments.csv":  "a table of numbers",
	"GET /signin/oidc":      "leads to the provider",
	"GET /signin/oidc/done": "leads on from it",

	"GET /items/{id}/next":     "leads to an item",
	"GET /items/{id}/previous": "leads to an item",
}

// TestPictureOfEachPage: docs/screenshots has a picture of each page of the console, and
// docs/pages.md shows it; there is none of what is no page any more. make screenshots
// writes them.
func TestPictureOfEachPage(t *testing.T) {
	const folder = "../../docs/screenshots"
	text, err := os.ReadFile("../../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for route := range console.Routes() {
		path, isGet := strings.CutPrefix(route, "GET /")
		if !isGet || noPages[route] != "" {
			continue
		}
		want["console-"+strings.NewReplacer("/", "-", "{id}", "one").Replace(path)+".webp"] = true
	}
	for name := range want {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Errorf("%s: no picture of this page: add it to TestScreenshots, and run make screenshots", name)
		}
	}
	for _, name := range []string{"sender", "sender-done", "recipient-ask", "recipient-code", "recipient-message"} { // the other pages
		if _, err := os.Stat(filepath.Join(folder, name+".webp")); err != nil {
			t.Errorf("%s: no picture of this page", name)
		}
	}
	es, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if strings.HasPrefix(e.Name(), "console-") && !want[strings.Replace(e.Name(), "-phone", "", 1)] {
			t.Errorf("%s: there is no such page", e.Name())
		}
		if !strings.Contains(string(text), "screenshots/"+e.Name()) {
			t.Errorf("docs/pages.md does not show %s", e.Name())
		}
	}
	for route := range noPages {
		if _, ok := console.Routes()[route]; !ok {
			t.Errorf("%s is no route", route)
		}
	}
}
