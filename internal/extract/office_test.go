package extract_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// convert has LibreOffice turn content into another format.
func convert(t *testing.T, name, content, to string) []byte {
	t.Helper()
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("no soffice here")
	}
	dir := t.TempDir()
	in := filepath.Join(dir, name)
	if err := os.WriteFile(in, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", to, "--outdir", dir, in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("soffice does not run here: %v %s", err, out)
	}
	ext, _, _ := strings.Cut(to, ":")
	b, err := os.ReadFile(strings.TrimSuffix(in, filepath.Ext(in)) + "." + ext)
	if err != nil {
		t.Skipf("soffice made no %s: %v", ext, err)
	}
	return b
}

const page = `<html><body><p>Discharge summary of <b>Ada</b> Example</p>
<table><tr><td>MRN</td><td>E1234567</td></tr><tr><td>SSN</td><td>536-22-8145</td></tr></table>
<p>Seen on <i>2026-03-04</i>.</p></body></html>`

func TestLibreOffice(t *testing.T) {
	p := newPool(t, nil)
	t.Run("docx", func(t *testing.T) {
		r := get(t, p, dlp.File, convert(t, "a.html", page, "docx:MS Word 2007 XML"))
		holds(t, r, "", "Discharge summary of Ada Example", "MRN\tE1234567", "SSN\t536-22-8145", "Seen on 2026-03-04.")
		if r.parts[""].MediaType != "application/vnd.openxmlformats-officedocument.wordprocessingml.document" {
			t.Errorf("type: got %q", r.parts[""].MediaType)
		}
	})
	t.Run("pdf", func(t *testing.T) {
		docx := convert(t, "a.html", page, "docx:MS Word 2007 XML")
		r := get(t, p, dlp.File, convert(t, "b.docx", string(docx), "pdf"))
		holds(t, r, "", "Discharge summary of Ada Example", "E1234567", "536-22-8145", "Seen on 2026-03-04.")
	})
	t.Run("xlsx", func(t *testing.T) {
		r := get(t, p, dlp.File, convert(t, "a.csv", "Name,MRN,Born\nAda,1234567,1980-02-03\nBob,2345678,1979-12-31\n", "xlsx"))
		holds(t, r, "", "Name\tMRN\tBorn\nAda\t1234567\t1980-02-03", "Bob\t2345678\t1979-12-31")
		span := slices.IndexFunc(r.spans[""], func(s dlp.Span) bool { return r.text("")[s.Start:s.End] == "2345678" })
		if span < 0 || r.spans[""][span].Label != "MRN" || r.spans[""][span].Group != 2 {
			t.Errorf("span of 2345678: got %+v", r.spans[""])
		}
	})
	t.Run("xls", func(t *testing.T) {
		r := get(t, p, dlp.File, convert(t, "a.csv", "Name,MRN,Born\nAda,1234567,1980-02-03\nBob,2345678,1979-12-31\n", "xls:MS Excel 97"))
		holds(t, r, "", "Name\tMRN\tBorn\nAda\t1234567\t1980-02-03 (", "Bob\t2345678\t1979-12-31 (")
		span := slices.IndexFunc(r.spans[""], func(s dlp.Span) bool { return r.text("")[s.Start:s.End] == "2345678" })
		if span < 0 || r.spans[""][span].Label != "MRN" || r.spans[""][span].Group != 2 {
			t.Errorf("span of 2345678: got %+v", r.spans[""])
		}
	})
	t.Run("doc", func(t *testing.T) {
		r := get(t, p, dlp.File, convert(t, "a.html", page, "doc:MS Word 97"))
		holds(t, r, "", "Discharge summary of Ada Example", "MRN\tE1234567", "SSN\t536-22-8145", "Seen on 2026-03-04.")
		if r.parts[""].MediaType != "application/msword" {
			t.Errorf("type: got %q", r.parts[""].MediaType)
		}
	})
	t.Run("mail", func(t *testing.T) {
		b := base64.StdEncoding.EncodeToString(convert(t, "a.html", page, "docx:MS Word 2007 XML"))
		r := get(t, p, dlp.Mail, mail("Subject: x", "Content-Type: application/pdf; name=lies.pdf", "Content-Transfer-Encoding: base64", "", b))
		holds(t, r, "1", "536-22-8145")
	})
}

// TestWordListsOfLibreOffice holds that the numbers of lists are read as LibreOffice
// writes them: a level's text in front, its first number, levels within one another.
func TestWordListsOfLibreOffice(t *testing.T) {
	p := newPool(t, nil)
	const space = "urn:oasis:names:tc:opendocument:xmlns:"
	const in = `<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="` + space + `office:1.0" xmlns:text="` + space + `text:1.0" xmlns:style="` + space + `style:1.0" xmlns:fo="` + space +
		`xsl-fo-compatible:1.0" office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text"><office:automatic-styles>` +
		`<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1" style:num-prefix="536-22-" text:start-value="8144">` +
		`<style:list-level-properties text:list-level-position-and-space-mode="label-alignment"><style:list-level-label-alignment text:label-followed-by="listtab"/></style:list-level-properties></text:list-level-style-number>` +
		`<text:list-level-style-number text:level="2" style:num-format="i" style:num-suffix=")"><style:list-level-properties text:list-level-position-and-space-mode="label-alignment">` +
		`<style:list-level-label-alignment text:label-followed-by="space"/></style:list-level-properties></text:list-level-style-number></text:list-style></office:automatic-styles>` +
		`<office:body><office:text><text:list text:style-name="L1"><text:list-item><text:p>Ada</text:p><text:list><text:list-item><text:p>Aspirin</text:p></text:list-item>` +
		`<text:list-item><text:p>Statin</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>Ben</text:p></text:list-item></text:list></office:text></office:body></office:document>`
	holds(t, get(t, p, dlp.File, convert(t, "a.fodt", in, "docx:MS Word 2007 XML")), "", "536-22-8144 Ada\ni) Aspirin\nii) Statin\n536-22-8145 Ben\n")
}

// wordArt is a shape whose text LibreOffice writes as WordArt.
const wordArt = `<draw:custom-shape svg:width="10cm" svg:height="2cm"%s><text:p>SSN 536-22-8145</text:p><draw:enhanced-geometry svg:viewBox="0 0 21600 21600" ` +
	`draw:text-path="true" draw:type="fontwork-plain-text" draw:text-path-mode="shape" draw:text-path-scale="path" ` +
	`draw:enhanced-path="M 0 0 L 21600 0 N M 0 21600 L 21600 21600 N"/></draw:custom-shape>`

func TestWordArt(t *testing.T) {
	p := newPool(t, nil)
	const space = "urn:oasis:names:tc:opendocument:xmlns:"
	for to, c := range map[string]struct{ ext, kind, body string }{
		"doc:MS Word 97":       {"fodt", "text", `<text:p>a` + strings.Replace(wordArt, "%s", ` text:anchor-type="paragraph"`, 1) + `</text:p>`},
		"xls:MS Excel 97":      {"fods", "spreadsheet", `<table:table table:name="A"><table:shapes>` + strings.Replace(wordArt, "%s", "", 1) + `</table:shapes><table:table-row><table:table-cell/></table:table-row></table:table>`},
		"ppt:MS PowerPoint 97": {"fodp", "presentation", `<draw:page draw:name="a">` + strings.Replace(wordArt, "%s", "", 1) + `</draw:page>`},
	} {
		in := `<office:document xmlns:office="` + space + `office:1.0" xmlns:text="` + space + `text:1.0" xmlns:table="` + space + `table:1.0" xmlns:draw="` + space +
			`drawing:1.0" xmlns:svg="` + space + `svg-compatible:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.` + c.kind +
			`"><office:body><office:` + c.kind + `>` + c.body + `</office:` + c.kind + `></office:body></office:document>`
		t.Run(to, func(t *testing.T) {
			holds(t, get(t, p, dlp.File, convert(t, "a."+c.ext, in, to)), "", "SSN 536-22-8145")
		})
	}
}

func holds(t *testing.T, r *read, path string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(r.text(path), w) {
			t.Errorf("part %q: got %q, want it to hold %q", path, r.text(path), w)
		}
	}
	if len(r.gaps) > 0 {
		t.Errorf("gaps: got %q, want none", r.told())
	}
}

// encryptedPDF is onePage as qpdf encrypts it, which is told how by flags. It skips
// the test where there is no qpdf.
func encryptedPDF(t *testing.T, flags ...string) []byte {
	t.Helper()
	qpdf, err := exec.LookPath("qpdf")
	if err != nil {
		t.Skip("no qpdf here")
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "out.pdf")
	if err := os.WriteFile(in, []byte(onePage), 0o600); err != nil {
		t.Fatal(err)
	}
	msg, err := exec.CommandContext(t.Context(), qpdf, append(flags, "--", in, out)...).CombinedOutput()
	if err != nil && !bytes.Contains(msg, []byte("warnings")) {
		t.Fatalf("qpdf: %v %s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncryptedPDF(t *testing.T) {
	p := newPool(t, nil)
	for name, c := range map[string]struct {
		user string
		want []string
	}{
		"password":       {"secret", []string{"encrypted pdf"}},
		"empty password": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := get(t, p, dlp.File, encryptedPDF(t, "--encrypt", c.user, "owner", "256"))
			if got := r.told(); !slices.Equal(got, c.want) {
				t.Errorf("gaps: got %q, want %q", got, c.want)
			}
			if c.want == nil && !strings.Contains(r.text(""), "MRN 0123456") {
				t.Errorf("text: got %q", r.text(""))
			}
		})
	}
}

// TestPDFPasswords holds that a candidate opens what qpdf encrypts, by each of its
// ciphers, as the password to read it and as its owner's; and that none does else.
func TestPDFPasswords(t *testing.T) {
	p := newPool(t, nil)
	for name, flags := range map[string][]string{"RC4 of 40 bits": {"40"}, "RC4 of 128 bits": {"128"}, "AES of 128 bits": {"128", "--use-aes=y"}, "AES of 256 bits": {"256"},
		"AES of 256 bits, revision 5": {"256", "--force-R5"}} {
		t.Run(name, func(t *testing.T) {
			b := encryptedPDF(t, slices.Concat([]string{"--allow-weak-crypto", "--encrypt", "Kolibri-77", "Falke-88"}, flags)...)
			for pw, want := range map[string][]string{"Kolibri-77": nil, "Falke-88": nil, "another": {"encrypted pdf"}} {
				p.SetPasswords([]string{"nothing", pw})
				r := get(t, p, dlp.File, b)
				if got := r.told(); !slices.Equal(got, want) || strings.Contains(r.text(""), "MRN 0123456") != (want == nil) || r.parts[""].Opened != (want == nil) {
					t.Errorf("%s: gaps %q, want %q; text %q, opened %v", pw, got, want, r.text(""), r.parts[""].Opened)
				}
			}
		})
	}
}
