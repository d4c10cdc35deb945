package rtf_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/extract/rtf"
)

// source is a document that LibreOffice turns into RTF. Its words tell where
// they stand.
const source = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"
 office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text">
<office:meta><dc:title>title-word</dc:title><dc:subject>subject-word</dc:subject><meta:keyword>keyword-word</meta:keyword></office:meta>
<office:automatic-styles>
<style:style style:name="H" style:family="text"><style:text-properties text:display="none"/></style:style>
<style:style style:name="B" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>
<style:page-layout style:name="L"><style:header-style/><style:footer-style/></style:page-layout>
</office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="L">
<style:header><text:p>header-word</text:p></style:header><style:footer><text:p>footer-word</text:p></style:footer>
</style:master-page></office:master-styles>
<office:body><office:text>
<text:p>SSN 536-<text:span text:style-name="B">22</text:span>-8145 body-word</text:p>
<text:p>Müller Článek Иван 東京 😀 Ωμ</text:p>
<text:p>shown<text:span text:style-name="H">hidden-word</text:span>number</text:p>
<text:p>left<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>footnote-word</text:p></text:note-body></text:note>right</text:p>
<text:p>x<office:annotation><dc:creator>Ada Creator</dc:creator><text:p>comment-word</text:p></office:annotation>y</text:p>
<text:p><text:a xlink:href="http://link-word.example/">anchor-word</text:a></text:p>
<text:list><text:list-item><text:p>item-word</text:p></text:list-item></text:list>
<table:table><table:table-column table:number-columns-repeated="2"/>
<table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell><table:table-cell><text:p>MRN</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>Ada</text:p></table:table-cell><table:table-cell><text:p>12345678</text:p></table:table-cell></table:table-row>
</table:table>
<text:p>after{brace}\back</text:p>
</office:text></office:body></office:document>`

// libreOffice has LibreOffice make RTF of the source.
func libreOffice(t *testing.T) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("LibreOffice takes seconds")
	}
	if _, err := exec.LookPath("soffice"); err != nil {
		t.Skip("no soffice here: apt install libreoffice-writer")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.fodt"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "soffice", "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", "rtf", "--outdir", dir, filepath.Join(dir, "a.fodt"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("soffice: %v %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "a.rtf"))
	if err != nil {
		t.Skipf("soffice makes no RTF here: %v", err)
	}
	return b
}

// TestLibreOffice reads what LibreOffice writes, and holds that every word that
// the program unrtf finds in it is found.
func TestLibreOffice(t *testing.T) {
	b := libreOffice(t)
	var g got
	if err := rtf.Read(b, &g); err != nil {
		t.Fatal(err)
	}
	text := g.text.String()
	for _, want := range []string{"SSN 536-22-8145 body-word\n", "Müller Článek Иван 東京 😀 Ωμ\n", "shownnumber\n", "shownhidden-wordnumber\n", "leftright\n",
		"footnote-word", "xy\n", "Ada Creator", "comment-word", "http://link-word.example/", "anchor-word", "item-word", "Name\tMRN\t\nAda\t12345678\t\n",
		"after{brace}\\back", "header-word", "footer-word", "title-word", "subject-word", "keyword-word"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	if strings.Contains(text, "Liberation") {
		t.Error("fonts are told as text")
	}
	if _, err := exec.LookPath("unrtf"); err != nil {
		t.Skip("no unrtf here: apt install unrtf")
	}
	cmd := exec.CommandContext(t.Context(), "unrtf", "--text", "--nopict")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("unrtf: %v", err)
	}
	_, body, _ := strings.Cut(string(out), "-----------------\n")
	for _, w := range strings.Fields(body) {
		if strings.ContainsFunc(w, func(r rune) bool { return r >= 0x80 || r == '#' || r == '?' }) || strings.HasPrefix(w, "AUTHOR") {
			continue // its own charset and its comments
		}
		if !strings.Contains(text, w) {
			t.Errorf("unrtf finds %q", w)
		}
	}
}

// TestShownByLibreOffice holds that digits which LibreOffice shows are read, though
// they stand in no text.
func TestShownByLibreOffice(t *testing.T) {
	if testing.Short() {
		t.Skip("LibreOffice takes seconds")
	}
	if _, err := exec.LookPath("soffice"); err != nil {
		t.Skip("no soffice here: apt install libreoffice-writer")
	}
	const list = `{\*\listtable{\list\listtemplateid1{\listlevel\levelnfc0\leveljc0\levelfollow2\levelstartat8145{\leveltext\'0cSSN 536-22-\'00;}{\levelnumbers\'0c;}\fi-360\li720}{\listname ;}\listid1}}`
	dir := t.TempDir()
	args := []string{"-env:UserInstallation=file://" + dir + "/profile", "--headless", "--convert-to", "txt:Text (encoded):UTF8", "--outdir", dir}
	docs := map[string]string{
		"list":     list + `{\*\listoverridetable{\listoverride\listid1\listoverridecount0\ls1}}\pard\ls1\ilvl0 item\par`,
		"override": strings.Replace(list, "startat8145", "startat1", 1) + `{\*\listoverridetable{\listoverride\listid1\listoverridecount1{\lfolevel\listoverridestartat\levelstartat8145}\ls1}}\pard\ls1\ilvl0 item\par`,
		"older":    `\pard{\*\pn\pnlvlbody\pndec\pnstart8145{\pntxtb SSN 536-22-}}item\par`,
		"symbols":  `\pard SSN 536-22-81{\field{\*\fldinst SYMBOL 52 \\f "Arial"}{\fldrslt }}{\field{\*\fldinst SYMBOL 53 \\f "Arial"}{\fldrslt }}\par`,
	}
	for name, body := range docs {
		docs[name] = `{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}` + body + `}`
		file := filepath.Join(dir, name+".rtf")
		if err := os.WriteFile(file, []byte(docs[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "soffice", args...).CombinedOutput(); err != nil {
		t.Fatalf("soffice: %v %s", err, out)
	}
	for name, doc := range docs {
		shown, err := os.ReadFile(filepath.Join(dir, name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		var g got
		if err := rtf.Read([]byte(doc), &g); err != nil {
			t.Fatal(err)
		}
		const secret = "536-22-8145"
		if shown, read := bytes.Contains(shown, []byte(secret)), strings.Contains(g.text.String(), secret); !shown || !read {
			t.Errorf("%s: LibreOffice shows it: %v; it is read: %v, in %q", name, shown, read, g.text.String())
		}
	}
}
