package formats_test

import (
	"slices"
	"strings"
	"testing"
)

// TestXPSOrder holds that pages come in the order of their documents, runs as they are
// drawn, and once more as they are seen where that reads otherwise.
func TestXPSOrder(t *testing.T) {
	page := func(inside string) string { return `<FixedPage Width="800" Height="1000">` + inside + `</FixedPage>` }
	run := func(x, y, text string) string {
		return `<Glyphs OriginX="` + x + `" OriginY="` + y + `" FontRenderingEmSize="10" UnicodeString="` + text + `"/>`
	}
	a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes},
		member{"Pages/a.fpage", page(run("10", "10", "page two"))},
		member{"Pages/b.fpage", page(run("10", "20", "page one") + run("10", "40", "below"))},
		member{"Pages/c.fpage", page(run("400", "100", "8145") + run("10", "100", "MRN") + run("10", "200", "SSN 536-22-") + `<Canvas RenderTransform="1,0,0,1,0,100"><Canvas.Resources><MatrixTransform x:Key="m" Matrix="1,0,0,1,66,0"/></Canvas.Resources>` +
			`<Canvas RenderTransform="{StaticResource m}">` + run("0", "300", "later") + run("10", "100", "8145") + `</Canvas></Canvas>` + run("10", "210", "`536"))},
		member{"z.fdoc", `<FixedDocument><PageContent Source="/Pages/b.fpage"/><PageContent Source="Pages/A.fpage"/></FixedDocument>`},
		member{"a.fdoc", `<FixedDocument><PageContent Source="Pages/c.fpage"/></FixedDocument>`},
		member{"Sequence.fdseq", `<FixedDocumentSequence><DocumentReference Source="z.fdoc"/><DocumentReference Source="/a.fdoc"/></FixedDocumentSequence>`})))
	if len(a.gaps) > 0 {
		t.Errorf("got gaps %v", a.told())
	}
	at := 0
	for _, want := range []string{"page one\nbelow\n", "page two\n", "8145\nMRN\n", "MRN\t8145\n", "SSN 536-22-8145\n"} {
		i := strings.Index(a.texts[""][at:], want)
		if i < 0 {
			t.Fatalf("got %q, want %q after %d", a.texts[""], want, at)
		}
		at += i
	}
}

// TestXPSDrawnText holds that a page that draws and has no text is a gap.
func TestXPSDrawnText(t *testing.T) {
	for name, of := range map[string]struct {
		page string
		want []string
	}{
		"curves":       {strings.Repeat(`<Path Fill="#000000" Data="M 70,444 V 445 H 74 V 444 Z"/>`, 8), []string{"image xps page without text"}},
		"with a text":  {strings.Repeat(`<Path Data="M 0,0"/>`, 8) + `<Glyphs FontRenderingEmSize="10" UnicodeString="hello"/>`, nil},
		"a frame only": {strings.Repeat(`<Path Data="M 0,0"/>`, 4), nil},
	} {
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"p.fpage", `<FixedPage>` + of.page + `</FixedPage>`},
			member{"a.fdoc", `<FixedDocument><PageContent Source="/p.fpage"/></FixedDocument>`},
			member{"s.fdseq", `<FixedDocumentSequence><DocumentReference Source="/a.fdoc"/></FixedDocumentSequence>`})))
		if got := a.told(); !slices.Equal(got, of.want) {
			t.Errorf("%s: got gaps %q, want %q", name, got, of.want)
		}
	}
}

// TestNamedOften holds that a document of XPS and a package of EPUB are unpacked
// once, however often they are named.
func TestNamedOften(t *testing.T) {
	lim := limits
	lim.Decoded = 1 << 20
	blank := strings.Repeat(" ", 100<<10)
	for name, file := range map[string]string{
		"xps": zipOf(t, member{"[Content_Types].xml", contentTypes},
			member{"p.fpage", `<FixedPage><Glyphs FontRenderingEmSize="10" UnicodeString="hello"/></FixedPage>`},
			member{"a.fdoc", `<FixedDocument><PageContent Source="/p.fpage"/>` + blank + `</FixedDocument>`},
			member{"s.fdseq", `<FixedDocumentSequence>` + strings.Repeat(`<DocumentReference Source="/a.fdoc"/>`, 200) + `</FixedDocumentSequence>`}),
		"epub": zipOf(t, member{"mimetype", "application/epub+zip"},
			member{"META-INF/container.xml", `<container><rootfiles>` + strings.Repeat(`<rootfile full-path="b.opf"/>`, 90) + `</rootfiles></container>`},
			member{"b.opf", `<package>` + blank + `</package>`}),
	} {
		if a := serve(t, false, lim, []byte(file)); len(a.gaps) > 0 {
			t.Errorf("%s: got gaps %q", name, a.told())
		}
	}
}
