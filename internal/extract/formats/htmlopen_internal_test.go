package formats

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// followed returns the words of a page that are not hidden, as onPage follows it.
func followed(page string) []string {
	p := &onPage{h: &htmlText{}}
	p.h.shown.h = p.h
	p.cells.tell = func([]byte) {}
	var words []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return words
		case html.TextToken:
			t := z.Text()
			if p.words(t); p.hidden == 0 {
				words = append(words, strings.Fields(string(t))...)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			p.begin(t.Data, t.DataAtom, look{hidden: hasHidden(t.Attr)}, &tagAttrs{}, kind == html.SelfClosingTagToken)
		case html.EndTagToken:
			t := z.Token()
			p.end(t.Data, t.DataAtom)
		}
	}
}

func hasHidden(attrs []html.Attribute) bool {
	for _, a := range attrs {
		if a.Key == "hidden" {
			return true
		}
	}
	return false
}

// inTree returns the same of the tree that golang.org/x/net/html builds.
func inTree(t *testing.T, page string) (words []string) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *html.Node, hidden bool)
	walk = func(n *html.Node, hidden bool) {
		hidden = hidden || hasHidden(n.Attr)
		if n.Type == html.TextNode && !hidden {
			words = append(words, strings.Fields(n.Data)...)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, hidden)
		}
	}
	walk(root, false)
	return words
}

// TestOpenTagsAsTree holds that what is hidden of a page with tags that nothing ends,
// or that end what is not open, is what is hidden in a browser's tree.
func TestOpenTagsAsTree(t *testing.T) {
	for name, page := range map[string]string{
		"children without an end":   `<div hidden>a` + strings.Repeat("<i>b", 100) + `</div>c`,
		"many of them":              `<div hidden>a` + strings.Repeat("<span>b", 400) + `</div>c`,
		"a paragraph without one":   `<p hidden>a<p>b`,
		"before a block":            `<p hidden>a<div>b</div>`,
		"an item":                   `<ul><li hidden>a<li>b</ul>c`,
		"an item with a list":       `<ul><li>a<ul><li hidden>b</ul>c<li>d</ul>`,
		"terms":                     `<dl><dt hidden>a<dd>b<dt>c</dl>`,
		"cells":                     `<table><tr><td hidden>a<td>b<tr><td>c</table>d`,
		"rows":                      `<table><tr hidden><td>a<td>b<tr><td>c</table>d`,
		"a table in a cell":         `<table><tr><td hidden>a<table><tr><td>b</table>c<td>d</table>e`,
		"a heading":                 `<h1 hidden>a</h2>b`,
		"headings":                  `<h1 hidden>a<h2>b</h2>c`,
		"letters go on":             `<p><i hidden>a<p>b</i>c`,
		"crossed":                   `<b hidden>a<i>b</b>c</i>d`,
		"a block in letters":        `<b hidden>a<div>b</b>c</div>d`,
		"a block in a span":         `<span hidden>a<div>b</span>c</div>d</span>e`,
		"an end of nothing":         `<div hidden>a</section>b</div>c`,
		"an end outside the cell":   `<div hidden><table><tr><td>a</div>b</table>c</div>d`,
		"a head without an end":     `<head hidden><meta x><p>a`,
		"a link in a link":          `<a hidden>a<a>b</a>c`,
		"a name that nobody knows":  `<x-y hidden>a<z>b</x-y>c`,
		"a picture's elements":      `<svg><g hidden/><text>a</text></svg>b`,
		"not of a picture":          `<span hidden/>a</span>b`,
		"options":                   `<select><option hidden>a<option>b</select>c`,
		"a paragraph's end, absent": `<div hidden>a</p>b</div>c`,
	} {
		page = "<!doctype html>" + page
		if got, want := fmt.Sprint(followed(page)), fmt.Sprint(inTree(t, page)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestOpenTagsAtRandom holds the same of tags in any order: where a browser moves
// what stands in a table out of it, and adopts what crosses, a page's words may
// differ in one of a hundred pages, no more.
func TestOpenTagsAtRandom(t *testing.T) {
	names := []atom.Atom{atom.P, atom.Div, atom.Span, atom.B, atom.I, atom.Ul, atom.Li, atom.H1, atom.H2, atom.Dl, atom.Dd, atom.Section}
	r := rand.New(rand.NewPCG(1, 2))
	const pages = 3000
	differ := 0
	for range pages {
		var page strings.Builder
		page.WriteString("<!doctype html><body>")
		for n := range 12 {
			switch a := names[r.IntN(len(names))]; r.IntN(5) {
			case 0:
				fmt.Fprintf(&page, "<%s hidden>", a)
			case 1, 2:
				fmt.Fprintf(&page, "<%s>", a)
			default:
				fmt.Fprintf(&page, "</%s>", a)
			}
			fmt.Fprintf(&page, "w%d ", n)
		}
		if got, want := fmt.Sprint(followed(page.String())), fmt.Sprint(inTree(t, page.String())); got != want {
			if differ++; differ < 4 {
				t.Logf("%s\n got %s\nwant %s", &page, got, want)
			}
		}
	}
	if t.Logf("%d of %d pages differ", differ, pages); differ > pages/100 {
		t.Errorf("%d of %d pages differ", differ, pages)
	}
}
