package formats_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// packageOf is a small OOXML document of one paragraph, with further members.
func packageOf(t testing.TB, paragraph string, more ...member) string {
	t.Helper()
	return zipOf(t, append([]member{{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`},
		{"word/document.xml", `<w:document><w:body><w:p><w:r><w:t>` + paragraph + `</w:t></w:r></w:p></w:body></w:document>`}}, more...)...)
}

// textPackageOf is the same of OpenDocument.
func textPackageOf(t testing.TB, paragraph string) string {
	t.Helper()
	return zipOf(t, member{"mimetype", "application/vnd.oasis.opendocument.text"}, member{"META-INF/manifest.xml", "<manifest:manifest/>"},
		member{"content.xml", "<office:document-content><text:p>" + paragraph + "</text:p></office:document-content>"})
}

// commented gives a zip an archive comment.
func commented(b, comment string) string {
	return b[:len(b)-2] + string(binary.LittleEndian.AppendUint16(nil, uint16(len(comment)))) + comment
}

// unlistedIn takes the last member out of a zip's directory, and leaves it where
// it stands.
func unlistedIn(t *testing.T, b string) string {
	t.Helper()
	last, end := strings.LastIndex(b, "PK\x01\x02"), strings.LastIndex(b, "PK\x05\x06")
	if last < 0 || end < last {
		t.Fatal("no directory")
	}
	e := []byte(b[end:])
	n := binary.LittleEndian.Uint16(e[10:]) - 1
	binary.LittleEndian.PutUint16(e[8:], n)
	binary.LittleEndian.PutUint16(e[10:], n)
	binary.LittleEndian.PutUint32(e[12:], binary.LittleEndian.Uint32(e[12:])-uint32(end-last))
	return b[:last] + string(e)
}

// TestPackageHidesNothing holds that an office package is a zip as any other is:
// what stands beside it, or in it and not in its directory, is read or told.
func TestPackageHidesNothing(t *testing.T) {
	const secret = "SSN 536-22-8145"
	page := "<html><body><p>Patient SSN 536-22-<!-- "
	word, odt, other := packageOf(t, "hello"), textPackageOf(t, "hello"), zipOf(t, member{"a.txt", secret})
	mail := func(media, body string) string {
		return crlf("From: a@b.example", "To: c@d.example", "Subject: s", "MIME-Version: 1.0", "Content-Type: "+media,
			"Content-Transfer-Encoding: base64", "", b64(body), "")
	}
	const ambiguous = "ambiguous zip directory and local headers differ"
	tests := []struct {
		name string
		mail bool
		doc  string
		gap  string // "": the secret is read
	}{
		{"a page in front of a package", false, "<html><p>" + secret + "</p><!-- " + word + " -->", ""},
		{"a page around a package", false, page + word + " -->8145</p>", ""},
		{"a page around a zip", false, page + zipOf(t, member{"a.txt", "hello"}) + " -->8145</p>", ""},
		{"a page around an OpenDocument", false, page + odt + " -->8145</p>", ""},
		{"a table in front of a package", false, "name,ssn\nA B,536-22-8145\n" + word, ""},
		{"text in front of an OpenDocument", false, secret + "\n" + odt, ""},
		{"text behind a package", false, word + "\n" + secret, ""},
		{"text behind an OpenDocument", false, odt + "\n" + secret, ""},
		{"a comment on a package", false, commented(word, secret), ""},
		{"a comment on an OpenDocument", false, commented(odt, secret), ""},
		{"a zip in front of a package", false, other + word, ambiguous},
		{"a package in front of a package", false, packageOf(t, secret) + word, ambiguous},
		{"a package behind a package", false, word + packageOf(t, secret), ambiguous},
		{"a member of a package that is not listed", false, unlistedIn(t, packageOf(t, "hello", member{"a.txt", secret})), ambiguous},
		{"a mail's page in front of a package", true, mail("text/html; charset=utf-8", "<html><p>"+secret+"</p><!-- "+word+" -->"), ""},
		{"a mail's page around a package", true, mail("text/html; charset=utf-8", page+word+" -->8145</p>"), ""},
		{"a mail's text in front of a package", true, mail("text/plain; charset=utf-8", secret+strings.Repeat("\n", 30)+word), ""},
		{"a mail's text inside a package", true, mail("text/plain; charset=utf-8", strings.Replace(word, "PK\x01\x02", "\n"+secret+"\nPK\x01\x02", 1)), ""},
		{"a mail's attachment of a page around a package", true, mail(`application/octet-stream; name="a.html"`, page+word+" -->8145</p>"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := serve(t, tt.mail, limits, []byte(tt.doc))
			if tt.gap == "" && !strings.Contains(a.all(), "536-22-8145") {
				t.Errorf("it was not read: parts %q, gaps %q", a.paths, a.told())
			}
			if tt.gap != "" && !slices.Contains(a.told(), tt.gap) {
				t.Errorf("gaps %q, want %q", a.told(), tt.gap)
			}
		})
	}
}

// TestPackageListedTwice holds that a second name of one member makes up for no
// member without a name.
func TestPackageListedTwice(t *testing.T) {
	b := unlistedIn(t, packageOf(t, "hello", member{"a.txt", "SSN 536-22-8145"}))
	last, end := strings.LastIndex(b, "PK\x01\x02"), strings.LastIndex(b, "PK\x05\x06")
	again, e := b[last:end], []byte(b[end:])
	binary.LittleEndian.PutUint16(e[8:], 3)
	binary.LittleEndian.PutUint16(e[10:], 3)
	binary.LittleEndian.PutUint32(e[12:], binary.LittleEndian.Uint32(e[12:])+uint32(len(again)))
	doc := b[:end] + again + string(e)
	if z, err := zip.NewReader(bytes.NewReader([]byte(doc)), int64(len(doc))); err != nil || len(z.File) != 3 {
		t.Fatalf("the test's own zip: %v", err)
	}
	a := serve(t, false, limits, []byte(doc))
	if !slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Ambiguous }) {
		t.Errorf("gaps %q", a.told())
	}
}

// TestPackageAlone holds that a document as programs write it is one part, and
// nothing is told of it.
func TestPackageAlone(t *testing.T) {
	for name, doc := range map[string]string{"OOXML": packageOf(t, "hello"), "OpenDocument": textPackageOf(t, "hello"),
		"padded": packageOf(t, "hello") + strings.Repeat("\x00", 600)} {
		a := serve(t, false, limits, []byte(doc))
		if len(a.paths) != 1 || len(a.gaps) != 0 || !strings.Contains(a.all(), "hello") {
			t.Errorf("%s: parts %q, gaps %q", name, a.paths, a.told())
		}
	}
}
