package formats_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const epubContainer = `<container><rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`

// TestEPUB holds that a publication is read in the order of its spine, that its
// metadata goes with its names, and that what is locked is told, unless it can be
// read all the same.
func TestEPUB(t *testing.T) {
	book := zipOf(t, member{"mimetype", "application/epub+zip"}, member{"META-INF/container.xml", epubContainer},
		member{"META-INF/encryption.xml", `<encryption><EncryptedData><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/><CipherData><CipherReference URI="OPS/locked.xhtml"/></CipherData></EncryptedData>` +
			`<EncryptedData><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/><CipherData><CipherReference URI="OPS/a%20b.xhtml"/></CipherData></EncryptedData></encryption>`},
		member{"OPS/a b.xhtml", "<html><body><p>second 536-22-8145</p></body></html>"},
		member{"OPS/c.xhtml", "<html><body><p>first</p></body></html>"},
		member{"OPS/locked.xhtml", "\x01\x9c\xf3\x00\x8e\x11\x00\xfe\x92\xaa\x03\x81\x99\x1f\x80\x00"},
		member{"OPS/book.opf", `<package><metadata><dc:title>Chart of Ana</dc:title><meta name="mrn" content="4482913"/><meta property="dcterms:subject">536-22-8145</meta></metadata>` +
			`<manifest><item id="x" href="a%20b.xhtml"/><item id="y" href="c.xhtml"/></manifest><spine><itemref idref="y"/><itemref idref="x"/></spine></package>`})
	a := serve(t, false, limits, []byte(book))
	for _, want := range []string{"title: Chart of Ana\n", "mrn: 4482913\n", "subject: 536-22-8145\n"} {
		if !strings.Contains(a.texts[""], want) {
			t.Errorf("got %q, want it to hold %q", a.texts[""], want)
		}
	}
	first, second := slices.Index(a.paths, "5"), slices.Index(a.paths, "4")
	if first < 0 || second < first {
		t.Errorf("parts came in the order %q, want 5 before 4", a.paths)
	}
	if got := a.told(); len(got) != 1 || got[0] != "6 encrypted epub" {
		t.Errorf("got gaps %q", got)
	}
	if !strings.Contains(a.texts["4"], "second 536-22-8145") {
		t.Errorf("got %q of a file that is not locked, whatever is said", a.texts["4"])
	}
}

// TestEPUBOfLibreOffice reads one that LibreOffice made.
func TestEPUBOfLibreOffice(t *testing.T) {
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("needs LibreOffice")
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "book.html")
	if err := os.WriteFile(page, []byte("<html><head><title>Visit</title></head><body><h1>One</h1><p>Patient SSN 536-22-<b>8145</b></p><h1>Two</h1><p>last page</p></body></html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--writer", "--convert-to", "epub", "--outdir", dir, page)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "book.epub"))
	if err != nil {
		t.Skip("this LibreOffice writes no EPUB")
	}
	a := serve(t, false, limits, b)
	all := ""
	for _, p := range a.paths {
		all += a.texts[p]
	}
	one, two := strings.Index(all, "536-22-8145"), strings.Index(all, "last page")
	if one < 0 || two < one || len(a.gaps) > 0 {
		t.Errorf("got %q, gaps %v", all, a.told())
	}
	if a.parts[""].MediaType != "application/epub+zip" {
		t.Errorf("got kind %q", a.parts[""].MediaType)
	}
}
