package formats_test

import (
	"runtime"
	"strings"
	"testing"
)

// TestPageAsShown holds that a number is read as a browser shows it, whatever
// stands hidden in it and however its pieces are put side by side.
func TestPageAsShown(t *testing.T) {
	for name, page := range map[string]string{
		"hidden digits":              `<p>SSN 536-<span style="display:none">9</span>22-8145`,
		"the attribute":              `<p>SSN 536-<span hidden>9</span>22-8145`,
		"a hidden block":             `<p>SSN 536-<div style="display: none !important">9</div>22-8145`,
		"by class":                   `<style>/* x */ @media all { .n { color:red; display:none } }</style><p>SSN 536-<b class="m n">9</b>22-8145`,
		"by id":                      `<style>b#n{visibility:hidden}</style><p>SSN 536-<b id=n>9</b>22-8145`,
		"of no size":                 `<p>SSN 536-<span style="font-size:0px">9</span>22-8145`,
		"clipped":                    `<p>SSN 536-<span style="width:0;overflow:hidden;display:inline-block">9</span>22-8145`,
		"within hidden":              `<p>SSN 536-<span style="display:none">9<b>8</b></span>22-8145`,
		"in a cell":                  `<table><tr><td>SSN <td>536-<i hidden>9</i>22-8145</table>`,
		"flex":                       `<p>SSN<div style="display:flex"><div>536-</div><div>22-</div><div>8145</div></div>`,
		"flex by class":              `<style>.r{display:flex}</style><div class=r><div>SSN 536-</div><div>22-</div><div>8145</div></div>`,
		"in another order":           `<div style="display:flex"><div style="order:3">8145</div><div style="order:1">536-</div><div style="order:2">22-</div></div>`,
		"the other way":              `<div style="display:flex;flex-direction:row-reverse"><p>8145</p><p>22-</p><p>536-</p></div>`,
		"inline blocks":              `<div>SSN <div style="display:inline-block">536-</div><div style="display:inline-block">22-</div><div style="display:inline">8145</div></div>`,
		"floats":                     `<div><div style="float:left">536-</div><div style="float:left">22-</div><div style="float:left">8145</div></div>`,
		"places":                     `<div><p style="position:absolute;left:90px">8145</p><p style="position:absolute;left:10px">536-</p><p style="position:absolute;left:50px">22-</p></div>`,
		"before and after":           `<style>.a::before{content:"536-"} .a:after{content:'\38 145'}</style><p>SSN <span class=a>22-</span>`,
		"a counter":                  `<style>div{counter-reset:a 535 b 8145} i{counter-increment:a} .a::before{content:counter(a) "-"} .a::after{content:"-" counter(b)}</style><div>SSN <i></i><span class=a>22</span>`,
		"a counter of its own":       `<style>p::before{counter-increment:a 536;content:"SSN " counter(a, decimal) "-"}</style><p>22-8145`,
		"counters, joined":           `<style>div{counter-reset:a 536} p{counter-reset:a 22} b{counter-reset:a 8145} u::before{content:counters(a,"-")}</style><div><p><b><u>!</u></b></div>`,
		"a counter begun again":      `<style>u{counter-reset:a 536} s{counter-reset:a 22} b::before{content:counter(a)"-"}</style><p>SSN <u></u><b></b><s></s><b></b>8145`,
		"counters not of the hidden": `<style>i{counter-increment:a} b::before{content:counter(a)}</style><p style="counter-reset:a 535">SSN <i></i><i hidden></i><i style="display:none"></i><b>-22-8145</b>`,
		"an attribute":               `<style>b::before{content:attr(data-x) '-'}</style><p>SSN <b data-x=536>22-8145</b>`,
		"a marker":                   `<style>li::marker{content:counter(list-item)"-"}</style><ol start=536><li>22-8145</ol>`,
		"cells, cut anywhere":        `<table><tr><td>SSN 536-<td>22-81<td>45</table>`,
		"lines":                      `<p>SSN<p>536-<p>22-<p>8145`,
		"behind unclosed children":   `<p>SSN 536-<span hidden>9` + strings.Repeat("<u>9", 100) + `</span>22-8145`,
		"behind a paragraph":         `<p hidden>1234567<p>SSN 536-<b hidden>9</b>22-8145`,
		"behind a hidden item":       `<ul><li hidden>1234567<li>SSN 536-<b hidden>9</b>22-8145</ul>`,
		"behind a head":              `<head><title>x</title><meta a><p>SSN 536-<b hidden>9</b>22-8145`,
		"a hidden one amid bdo":      `<p>SSN <span style="unicode-bidi:bidi-override;direction:rtl">5418-22-635</span>`,
		"a hidden cell's own lines":  `<table><tr><td>SSN<td>536-22-81<div style="display:none">x<br>y</div>45</table>`,
	} {
		a := serve(t, false, limits, []byte("<html><body>"+page+"</body></html>"))
		if !strings.Contains(a.texts[""], "536-22-8145") {
			t.Errorf("%s: read %q", name, a.texts[""])
		}
	}
	for name, page := range map[string]string{
		"tables within one another": `<table><tr><td>SSN</td><td><table><tr><td>536</td></tr></table></td><td><table><tr><td>22</td></tr></table></td><td>8145</td></tr></table>`,
		"a digit a row":             `<table><tr><td>SSN</td></tr><tr><td>5<tr><td>3<tr><td>6<tr><td>2<tr><td>2<tr><td>8<tr><td>1<tr><td>4<tr><td>5</table>`,
	} {
		a := serve(t, false, limits, []byte("<html><body>"+page+"</body></html>"))
		if !strings.Contains(a.texts[""], "SSN 536228145") {
			t.Errorf("%s: read %q", name, a.texts[""])
		}
	}
	for page, want := range map[string]string{ // what a browser shows before the items of lists
		`<ol start=536><li> 22-8145`:                                      "536. 22-8145",
		`<ol start=530><li>x<li>y<li value=536>22-8145<li>33-9256`:        "536. 22-8145|537. 33-9256",
		`<ol reversed start=536><li>22-8145<li>33-9256`:                   "536. 22-8145|535. 33-9256",
		`<ol start=536><li>x<ul><li>y</ul><li>22-8145`:                    "537. 22-8145",
		`<ul style="list-style:decimal"><li value=536>22-8145`:            "536. 22-8145",
		`<ol style="counter-reset: list-item 535"><li>22-8145`:            "536. 22-8145",
		`<ol>` + strings.Repeat("<li>x", 535) + `<li>22-8145`:             "536. 22-8145",
		`<ol start=536 style="list-style-type:none"><li>22-8145`:          "",
		`<ol start=536><li style="list-style:disc inside">22-8145`:        "",
		`<ol type=A start=536><li>22-8145`:                                "",
		`<ol><li>22-8145<li>555-0100<li>Order 1234567</ol>`:               "",
		`<ul><li value=3>22-8145</ul><ol start=536></ol><p>Order 7654321`: "",
	} {
		a := serve(t, false, limits, []byte("<html><body>"+page+"</body></html>"))
		_, below, _ := strings.Cut(a.texts[""], "\n\n")
		for _, line := range strings.Split(want, "|") {
			if !strings.Contains(below, line) || want == "" && strings.Contains(below, "-") {
				t.Errorf("%s: below the text: %q, want %q", page, below, line)
			}
		}
	}
	for name, page := range map[string]string{
		"what is not hidden": `<p>Call <b>555-0100</b> or 555-0101, ext. <i>12345</i></p><div>12345</div><div>67890</div>`,
		"a preheader":        `<div style="display:none">Order 1234567890 has shipped</div><p>Order 1234567890 has shipped</p>`,
		"small, not nothing": `<p>536<span style="font-size:0.9em">12345</span>6</p>`,
	} {
		a := serve(t, false, limits, []byte("<html><body>"+page+"</body></html>"))
		if _, below, _ := strings.Cut(a.texts[""], "\n\n"); below != "" {
			t.Errorf("%s: below the text: %q", name, below)
		}
	}
}

// TestContentIsBounded holds that what style sheets add to an element does not grow
// with the number of their rules, nor with that of its classes.
func TestContentIsBounded(t *testing.T) {
	const most = 1 << 30 // bytes allocated; some gigabytes where it grows, and half of this beneath the race detector
	sheet := "<style>" + strings.Repeat(`.a:before{content:"1234567 "}`, 2000) + "</style>"
	for name, page := range map[string]string{
		"rules":   strings.Repeat(sheet, 20) + "<b class=a>x</b>",
		"classes": sheet + "<b class='" + strings.Repeat("a ", 2000) + "'>x</b>",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		serve(t, false, limits, []byte("<html><body>"+page+"</body></html>"))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d MiB allocated", name, n>>20)
		}
	}
}

// TestContentOfManyIsBounded holds that a page is read whose style sheet adds much to
// each of many elements: what is past a bound is told.
func TestContentOfManyIsBounded(t *testing.T) {
	page := `<style>.a:before{content:"` + strings.Repeat("12345 ", 600) + `"} .b:after{content:"` + strings.Repeat("6789 ", 600) + `"}</style>` +
		strings.Repeat(`<b class="a b">x</b>`, 100_000) + `<p>SSN 536-<b hidden>9</b>22-8145`
	a := serve(t, false, limits, []byte("<html><body>"+page+"</body></html>"))
	if got := a.told(); len(got) != 1 || got[0] != "too_large content of styles" {
		t.Errorf("gaps %v", got)
	}
	if text := a.texts[""]; !strings.Contains(text, "536-22-8145") || len(text) > 8<<20 {
		t.Errorf("read %d bytes", len(text))
	}
	a = serve(t, false, limits, []byte(`<html><head><style>.a:before{content:"\2022 "}</style><body>`+strings.Repeat("<p class=a>item", 1000)))
	if len(a.gaps) > 0 {
		t.Errorf("gaps %v", a.told())
	}
}

// TestPageWithoutCharset holds that a page is read in the charset that its bytes show,
// where nothing declares one.
func TestPageWithoutCharset(t *testing.T) {
	const word = "\xcf\xe0\xf6\xe8\xe5\xed\xf2 \xc8\xe2\xe0\xed\xee\xe2 \xef\xee\xf1\xf2\xf3\xef\xe8\xeb \xe2 \xee\xf2\xe4\xe5\xeb\xe5\xed\xe8\xe5" // windows-1251
	for name, doc := range map[string]string{
		"HTML": "<html><body><p>" + word + "</p></body></html>",
		"XML":  "<?xml version=\"1.0\"?><a><b>" + word + "</b></a>",
	} {
		a := serve(t, false, limits, []byte(doc))
		if !strings.Contains(a.texts["~2"], "Пациент Иванов") {
			t.Errorf("%s: read %q", name, a.texts)
		}
	}
}
