package formats_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// plainPDF is a PDF of ASCII alone that shows one line.
func plainPDF(line string) string {
	var b strings.Builder
	var at []int
	b.WriteString("%PDF-1.4\n")
	content := "BT /F1 12 Tf 72 700 Td (" + line + ") Tj ET"
	for i, o := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(content), content), "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	b.WriteString("xref\n0 6\n0000000000 65535 f \n")
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", xref)
	return b.String()
}

// TestBehind holds that a package is read that stands behind a text, a page or a
// picture of any size, and that the mark of one alone is nothing.
func TestBehind(t *testing.T) {
	const secret = "SSN 536-22-8145"
	zipped := zipOf(t, member{"a.txt", strings.Repeat("nothing to see\n", 50) + secret})
	lines := strings.Repeat("Nothing of interest stands in this line.\n", 3000) // past the head
	long := strings.Repeat(lines, 20)                                           // past what is held of a text
	csv := "id,note\n" + strings.Repeat("1,nothing at all\n", 6000)
	page := "<html><body>" + strings.Repeat("<p>nothing at all</p>\n", 6000)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string]string{
		"a zip behind a text":        lines + string(zipped),
		"a zip behind a long text":   long + string(zipped),
		"a zip and more":             lines + string(zipped) + lines,
		"a zip behind a table":       csv + string(zipped),
		"a zip behind a page":        page + string(zipped),
		"a zip behind a long page":   strings.Repeat(page, 10) + string(zipped),
		"a zip behind a false mark":  lines + "PK\x03\x04 7z\xbc\xaf\x27\x1c Rar!\x1a\x07 %PDF-1.4 " + string(zipped),
		"a zip behind base64's text": base64.StdEncoding.EncodeToString([]byte(lines + string(zipped))),
		"at a cut":                   strings.Repeat("x", 2<<20-2) + string(zipped),
	} {
		if a := serve(t, false, limits, []byte(doc)); !strings.Contains(a.all(), secret) || len(a.gaps) > 0 {
			t.Errorf("%s: %v, gaps %v", name, a.paths, a.told())
		}
	}
	if a := serve(t, false, limits, []byte(picture.String()+string(zipped))); !strings.Contains(a.all(), secret) {
		t.Errorf("a zip behind a picture: %v, gaps %v", a.paths, a.told())
	}
	if a := serve(t, false, limits, []byte(lines+plainPDF(secret))); strings.Count(a.all(), secret) < 2 && len(a.gaps) == 0 {
		t.Errorf("a PDF behind a text: %v, gaps %v", a.paths, a.told())
	}
	for name, doc := range map[string]string{
		"marks":       lines + "PK\x03\x04 7z\xbc\xaf\x27\x1c Rar!\x1a\x07\x00 %PDF-1.4 MSCF\x00\x00\x00\x00 \xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
		"about PDF":   lines + "A file begins with %PDF-1.4\nand an object as 1 0 obj\n<<>>\nendobj\n",
		"many marks":  lines + strings.Repeat("PK\x03\x04", 20000),
		"about files": lines + "zip begins with PK, 7z with 7z, rar with Rar!, cab with MSCF.\n",
	} {
		a := serve(t, false, limits, []byte(doc))
		for _, p := range a.paths {
			if p != "" && a.parts[p].MediaType != "text/plain" || len(a.gaps) > 0 {
				t.Errorf("%s: %v %v, gaps %v", name, p, a.parts[p].MediaType, a.told())
			}
		}
	}
	less := limits
	less.Memory = 2 << 20
	if a := serve(t, false, less, []byte(lines+string(zipped)+long)); len(a.gaps) == 0 {
		t.Errorf("more than may be held: %v", a.paths)
	}
}

// TestBehindArchive holds the same of what archivers make.
func TestBehindArchive(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(strings.Repeat("nothing to see\n", 50)+"SSN 536-22-8145"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := strings.Repeat("Nothing of interest stands in this line.\n", 3000)
	for name, cmd := range map[string][]string{"a.7z": {"7z", "a", "a.7z", "a.txt"}, "a.cab": {"lcab", "a.txt", "a.cab"}} {
		if _, err := exec.LookPath(cmd[0]); err != nil {
			t.Logf("%s is not installed", cmd[0])
			continue
		}
		c := exec.Command(cmd[0], cmd[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", cmd, err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if a := serve(t, false, limits, []byte(lines+string(b))); !strings.Contains(a.all(), "536-22-8145") {
			t.Errorf("%s: %v, gaps %v", name, a.paths, a.told())
		}
	}
}
