package formats_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/formats"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// answer is what Serve told of one document.
type answer struct {
	paths []string
	parts map[string]dlp.PartInfo
	texts map[string]string
	spans map[string][]dlp.Span
	gaps  []dlp.Gap
}

var limits = wire.Limits{Depth: 16, Members: 200, Decoded: 64 << 20, Memory: 32 << 20, Ratio: 100}

// serve has Serve read one document, and checks what every answer must be: the
// frames decode, windows join, units nest, no part comes twice.
func serve(t testing.TB, mail bool, lim wire.Limits, doc []byte) *answer {
	t.Helper()
	return serveJob(t, &wire.Job{Mail: mail, Limits: lim}, doc)
}

// serveJob is serve with a job of one's own.
func serveJob(t testing.TB, head *wire.Job, doc []byte) *answer {
	t.Helper()
	head.Size = int64(len(doc))
	var in, out bytes.Buffer
	send := func(op wire.Op, b []byte) {
		if err := wire.Write(&in, op, b); err != nil {
			t.Fatal(err)
		}
	}
	send(wire.OpJob, wire.AppendJob(nil, head))
	for c := range slices.Chunk(doc, 100<<10) {
		send(wire.OpData, c)
	}
	send(wire.OpEnd, nil)
	err := formats.Child{In: &in, Out: &out}.Serve()
	a := &answer{parts: map[string]dlp.PartInfo{}, texts: map[string]string{}, spans: map[string][]dlp.Span{}}
	frames, open, depth := wire.NewReader(&out), "", 0
	for {
		op, b, ferr := frames.Next()
		if ferr != nil {
			t.Fatalf("answer ends: %v, Serve: %v", ferr, err)
		}
		switch op {
		case wire.OpBegin:
			depth++
			_, ferr = wire.DecodeUnit(b)
		case wire.OpFinish:
			depth--
		case wire.OpPart:
			var p dlp.PartInfo
			p, ferr = wire.DecodePart(b)
			if _, twice := a.parts[p.Path]; twice {
				t.Errorf("part %q twice", p.Path)
			}
			open = p.Path
			a.paths = append(a.paths, open)
			a.parts[open], a.texts[open] = p, ""
		case wire.OpText:
			var w dlp.Window
			w, ferr = wire.DecodeWindow(b)
			if w.Offset != int64(len(a.texts[open])) {
				t.Errorf("part %q: window at %d, want %d", open, w.Offset, len(a.texts[open]))
			}
			a.texts[open] += string(w.Text)
			a.spans[open] = append(a.spans[open], w.Spans...)
		case wire.OpGap:
			var g dlp.Gap
			g, ferr = wire.DecodeGap(b)
			a.gaps = append(a.gaps, g)
		case wire.OpDone:
			if depth != 0 {
				t.Errorf("%d units are open at the end", depth)
			}
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
			return a
		}
		if ferr != nil {
			t.Fatalf("frame %q: %v", op, ferr)
		}
	}
}

func (a *answer) told() []string {
	s := []string{}
	for _, g := range a.gaps {
		s = append(s, strings.TrimSpace(g.Path+" "+g.Cause.String()+" "+g.Detail))
	}
	return s
}

func crlf(lines ...string) string {
	return strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\r\n")
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestMail holds what is read of a message, part by part.
func TestMail(t *testing.T) {
	for _, c := range []struct {
		name string
		mail string
		want map[string]string // text of a part, whole
		gaps []string
	}{
		{"one part", crlf("Subject: =?utf-8?B?"+b64("Grüße")+"?= =?iso-8859-1?Q?f=FCr_Ada?=", "", "body\n"),
			map[string]string{"HEADER": "Subject: Grüßefür Ada\n", "1": "body\r\n"}, nil},
		{"numbers", crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/alternative; boundary=i", "", "--i", "", "plain", "--i",
			"Content-Type: text/html", "", "<b>ht</b>ml", "--i--", "--o", "Content-Type: message/rfc822", "", "Subject: in", "", "deep", "--o--"),
			map[string]string{"1.1": "plain", "1.2": "html\n", "2.HEADER": "Subject: in\n", "2.1": "deep"}, nil},
		{"names", crlf("Content-Type: multipart/mixed; boundary=o", "", "--o",
			"Content-Disposition: attachment; filename*0*=utf-8''J%C3%BC; filename*1=rgen.txt", "", "x", "--o--"),
			map[string]string{"1.MIME": "Content-Disposition: attachment; filename*0*=utf-8''J%C3%BC; filename*1=rgen.txt\nfilename: Jürgen.txt\n", "1": "x"}, nil},
		{"quoted-printable", crlf("Content-Transfer-Encoding: quoted-printable", "Content-Type: text/plain; charset=iso-8859-15", "", "a=a4=3D= \n b=\nc"),
			map[string]string{"1": "a€= bc"}, nil},
		{"base64 with junk", crlf("Content-Transfer-Encoding: base64", "", "aGVs!bG8\ngd29y*bGQ"), map[string]string{"1": "hello world"}, nil},
		{"base64 undeclared", crlf("", b64("Hidden number 536-22-8145 is in here")), map[string]string{"1~2": "Hidden number 536-22-8145 is in here"}, nil},
		{"two encodings", crlf("Content-Transfer-Encoding: quoted-printable", "Content-Transfer-Encoding: base64", "", b64("hello there")),
			map[string]string{"1~2": "hello there"}, nil},
		{"preamble and epilogue", crlf("Content-Type: multipart/mixed; boundary=o", "", "before", "--o", "", "x", "--o--", "after"),
			map[string]string{"TEXT": "before\nafter\n", "1": "x"}, nil},
		{"part after the end", crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "", "x", "--o--", "--o", "", "late"),
			map[string]string{"1": "x", "2": "late"}, nil},
		{"two boundaries", crlf("Content-Type: multipart/mixed; boundary=o; boundary=p", "", "--o", "", "x", "--p", "", "y"),
			map[string]string{"1": "x", "2": "y"}, []string{"ambiguous two boundaries"}},
		{"boundary that is not there", crlf("Content-Type: multipart/mixed; boundary=o", "", "no part\n"), map[string]string{"1": "no part\r\n"}, nil},
		{"unknown charset", crlf("Content-Type: text/plain; charset=x-none", "", "na\xefve"), map[string]string{"1": "naïve"}, nil},
		{"utf-7", crlf("Content-Type: text/plain; charset=utf-7", "", "1 +- 2 +AOQ-"), map[string]string{"1": "1 + 2 ä"}, nil},
		{"xxencode", crlf("", "see:", "begin 644 a.txt", "DIpBC61InBWomAWosAHEp", "+", "end"), map[string]string{"1/1": "SSN 536-22-8145"}, nil},
		{"uuencode", crlf("", "see:", "begin 644 a.txt", "#0V%T", "`", "end"), map[string]string{"1/1": "Cat"}, nil},
		{"external body", crlf("Content-Type: message/external-body; access-type=URL", "", "x"),
			map[string]string{"1": "", "1~2": "x"}, []string{"1 unsupported message/external-body"}},
		{"openpgp", crlf("", "-----BEGIN PGP MESSAGE-----", "", "hQEMA"), nil, []string{"1 encrypted openpgp"}},
		{"picture shown", crlf("Content-Type: multipart/related; boundary=o", "", "--o", "Content-Type: text/html", "", `<img src="cid:l%40x">`, "--o",
			"Content-ID: <l@x>", "", "GIF89a", "--o", "Content-ID: <m@x>", "", "GIF89a", "--o--"), nil, []string{"2 image image/gif", "3 image image/gif"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, true, limits, []byte(c.mail))
			for path, want := range c.want {
				if got, ok := a.texts[path]; !ok || got != want {
					t.Errorf("part %q: got %q, want %q; parts %q", path, got, want, a.paths)
				}
			}
			if got := a.told(); !slices.Equal(got, c.gaps) && len(got)+len(c.gaps) > 0 {
				t.Errorf("gaps: got %q, want %q", got, c.gaps)
			}
			if c.name == "picture shown" && (!a.gaps[0].Inline || a.gaps[1].Inline) {
				t.Errorf("inline: got %v and %v, want true and false", a.gaps[0].Inline, a.gaps[1].Inline)
			}
		})
	}
}

// TestText holds that text passes as it is, whatever it is encoded in.
func TestText(t *testing.T) {
	utf16le, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String("Ada Example 1234\r\nSecond line\r\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, in, want, media string }{
		{"mark and line ends", "\ufeffä\r\nb\rc\n", "\ufeffä\r\nb\rc\n", "text/plain"},
		{"windows-1252", "na\xefve \x80 5", "naïve € 5", "text/plain"},
		{"utf-16 without mark", utf16le, "Ada Example 1234\r\nSecond line\r\n", "text/plain"},
		{"stray NUL", "a fairly long line of text with one NUL \x00 in it", "a fairly long line of text with one NUL \x00 in it", "text/plain"},
		{"stray NUL in a short line", "a\x00b\r\n", "a\x00b\r\n", "text/plain"},
		{"hl7", "MSH|^~\\&|A\rPID|1||E1234567\r", "MSH|^~\\&|A\rPID|1||E1234567\r", "x-application/hl7-v2+er7"},
		{"json", `{"ssn": "536-22-8145"}`, `{"ssn": "536-22-8145"}`, "application/json"},
		{"empty", "", "", "text/plain"},
		{"html", "<html><p>a&#49;<b>b</b><wbr>c<td>d<td>e<script>s</script><!-- n --></html>", "a1bc\td\te\n\ns\nn\n", "text/html"},
		{"svg", `<svg><text><tspan>53</tspan><tspan>6-22</tspan></text></svg>`, "536-22\n", "image/svg+xml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.in))
			if got := a.texts[""]; got != c.want || a.parts[""].MediaType != c.media {
				t.Errorf("got %q (%s), want %q (%s)", got, a.parts[""].MediaType, c.want, c.media)
			}
			if len(a.gaps) > 0 {
				t.Errorf("gaps: %q", a.told())
			}
		})
	}
}

func TestDeclaredCharsets(t *testing.T) {
	jp, err := japanese.ISO2022JP.NewEncoder().String("患者 山田")
	if err != nil {
		t.Fatal(err)
	}
	ebcdic, err := charmap.CodePage037.NewEncoder().String("SSN 536-22-8145")
	if err != nil {
		t.Fatal(err)
	}
	for charset, c := range map[string]struct{ in, want string }{
		"iso-2022-jp": {jp, "患者 山田"}, "cp037": {ebcdic, "SSN 536-22-8145"}, "gb2312": {"\xba\xc5", "号"},
	} {
		a := serve(t, true, limits, []byte(crlf("Content-Type: text/plain; charset="+charset, "", c.in)))
		if got := a.texts["1"]; got != c.want {
			t.Errorf("%s: got %q, want %q", charset, got, c.want)
		}
	}
}

// TestCells holds which column and row a cell is told to stand in.
func TestCells(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"names", "Name,SSN\n\"Example, Ada\",536-22-8145\nBob,\n", "Name=Example, Ada@1 SSN=536-22-8145@1 Name=Bob@2"},
		{"no names", "1;2;3\n4;5;6\n", "=1@1 =2@1 =3@1 =4@2 =5@2 =6@2"},
		{"single column", "SSN\n512441234", "SSN=512441234@1"},
		{"tabs", "MRN\tDate\r\nE1\t2026-01-02\r\n", "MRN=E1@1 Date=2026-01-02@1"},
		{"a sentence first", "As we said on the phone, here is the form.\n\nID at the desk: license A3540569624, photo matches.\n", ""},
		{"a question heads a column", "MRN,DOB,Do you smoke at present?\n48213377,1961-03-04,no\n", "MRN=48213377@1 DOB=1961-03-04@1 Do you smoke at present?=no@1"},
		{"a question, with blanks", "Chart, Seen, Do you smoke at present?\n48213377, 1961-03-04, no\n", "Chart=48213377@1 Seen=1961-03-04@1 Do you smoke at present?=no@1"},
		{"a question, and answers in words", "DOB, Tell us of the visit:\nSeptember 14 1961, all went very well.\n", "DOB=September 14 1961@1 Tell us of the visit:=all went very well.@1"},
		{"a question, names only", "Who,How was the last visit?\nAda,all went well.\n", "Who=Ada@1 How was the last visit?=all went well.@1"},
		{"prose", "Dear Ada, I write to you, again\nand hope that this, finally, is it\n", ""},
		{"prose with semicolons", "She was seen today; she is well on her dose.\nHe was seen as well; his dose is to be halved.\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.in))
			var got []string
			for _, s := range a.spans[""] {
				got = append(got, fmt.Sprintf("%s=%s@%d", s.Label, a.texts[""][s.Start:s.End], s.Group))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if a.texts[""] != c.in {
				t.Errorf("text: got %q, want it unchanged", a.texts[""])
			}
		})
	}
}

type member struct{ name, data string }

func zipOf(t testing.TB, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tarOf(t testing.TB, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestContainers(t *testing.T) {
	inner := zipOf(t, member{"a.txt", "inner text"})
	deep := "bottom"
	for range 20 {
		deep = zipOf(t, member{"z", deep})
	}
	locked := []byte(zipOf(t, member{"secret.txt", "x"}))
	locked[6] |= 1
	locked[bytes.Index(locked, []byte("PK\x01\x02"))+8] |= 1
	lying := []byte(zipOf(t, member{"a.txt", "x"}, member{"b.txt", "y"}))
	lying[30] = 'z'
	undirected, _, _ := strings.Cut(zipOf(t, member{"a.txt", "one text that is long enough"}), "PK\x01\x02")
	many := make([]member, 300)
	for i := range many {
		many[i] = member{fmt.Sprint(i), "x"}
	}
	for _, c := range []struct {
		name, in string
		want     map[string]string
		gaps     []string
	}{
		{"members", zipOf(t, member{"a.txt", "one"}, member{"b.zip", inner}, member{"c.eml", "From: a@x.example\r\nSubject: s\r\n\r\nmail text"}),
			map[string]string{"": "a.txt\nb.zip\nc.eml\n", "1": "one", "2/1": "inner text", "3/1": "mail text", "3/HEADER": "From: a@x.example\nSubject: s\n"}, nil},
		{"junk in front", "\x00\x01\x02" + strings.Repeat("\xff\x00", 500) + zipOf(t, member{"a.txt", "one"}), map[string]string{"1": "one"}, nil},
		{"junk behind", zipOf(t, member{"a.txt", "one"}) + strings.Repeat("\x00", 70<<10), map[string]string{"1": "one"}, nil},
		{"no directory", undirected, map[string]string{"1": "one text that is long enough"}, []string{"corrupt zip directory"}},
		{"gzip of tar", gzipOf(t, tarOf(t, member{"a.txt", "one"}, member{"b.txt", "two"})), map[string]string{"1/1": "one", "1/2": "two"}, nil},
		{"gzip members", gzipOf(t, "first ") + gzipOf(t, "second"), map[string]string{"1": "first second"}, nil},
		{"gzip cut", gzipOf(t, strings.Repeat("some text ", 500))[:40], nil, []string{"1 corrupt gzip"}},
		{"depth", deep, nil, []string{strings.Repeat("1/", 16) + "1 too_deep"}},
		{"members bound", zipOf(t, many...), nil, []string{"200 too_many this part and all after it"}},
		{"ratio", zipOf(t, member{"a.txt", strings.Repeat("a", 40<<20)}), nil, []string{"1 too_large unpacks beyond the ratio"}},
		{"encrypted", string(locked), nil, []string{"1 encrypted zip ZipCrypto"}},
		{"two names", string(lying), map[string]string{"1": "x"}, []string{"ambiguous zip directory and local headers differ"}},
		{"kinds", zipOf(t, member{"a", "Rar!\x1a\x07\x01\x00"}, member{"b", "age-encryption.org/v1\n-> X25519 x"}, member{"c", "\x89PNG\r\n\x1a\n"},
			member{"d", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 100) + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"}),
			nil, []string{"1 corrupt rar", "2 encrypted age", "3 image image/png", "4 encrypted ooxml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.in))
			for path, want := range c.want {
				if got, ok := a.texts[path]; !ok || got != want {
					t.Errorf("part %q: got %q, want %q; parts %q", path, got, want, a.paths)
				}
			}
			if got := a.told(); !slices.Equal(got, c.gaps) && len(got)+len(c.gaps) > 0 {
				t.Errorf("gaps: got %q, want %q", got, c.gaps)
			}
		})
	}
}

const contentTypes = `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`

func TestOffice(t *testing.T) {
	docx := zipOf(t, member{"[Content_Types].xml", contentTypes},
		member{"word/header1.xml", `<w:hdr><w:p><w:r><w:t>Head</w:t></w:r></w:p></w:hdr>`},
		member{"word/document.xml", `<w:document><w:p><w:r><w:t>5</w:t></w:r><w:r><w:t>36-22</w:t></w:r><w:del><w:r><w:delText> gone</w:delText></w:r></w:del></w:p>` +
			`<w:tbl><w:tr><w:tc><w:p><w:r><w:t>MRN</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>E1&amp;2</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:document>`},
		member{"docProps/core.xml", `<cp:coreProperties><dc:title>Title</dc:title><dc:creator>Ada</dc:creator></cp:coreProperties>`},
		member{"word/embeddings/a.bin", "Rar!\x1a\x07\x00"})
	a := serve(t, false, limits, []byte(docx))
	if got, want := a.texts[""], "536-22\n gone\nMRN\tE1&2\t\nHead\nTitle\nAda\n\n"; got != want {
		t.Errorf("docx: got %q, want %q", got, want)
	}
	if got := a.told(); !slices.Equal(got, []string{"1 corrupt rar"}) {
		t.Errorf("docx gaps: got %q", got)
	}
	xlsx := zipOf(t, member{"[Content_Types].xml", contentTypes},
		member{"xl/workbook.xml", `<workbook><sheets><sheet name="Patients" state="hidden" r:id="r1"/></sheets></workbook>`},
		member{"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`},
		member{"xl/sharedStrings.xml", `<sst><si><t>Name</t></si><si><r><t>S</t></r><r><t>SN</t></r></si><si><t>Born</t></si><si><t>Ada</t></si></sst>`},
		member{"xl/styles.xml", `<styleSheet><numFmts><numFmt numFmtId="170" formatCode="000\-00\-0000"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="14"/></cellXfs></styleSheet>`},
		member{"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="D1" t="s"><v>2</v></c></row>` +
			`<row><c r="A2" t="s"><v>3</v></c><c r="B2" s="1"><v>36228145</v></c><c r="D2" s="2"><v>29254</v></c></row>` +
			`<row><c r="A3" t="inlineStr"><is><t>Bob</t></is></c></row></sheetData></worksheet>`})
	a = serve(t, false, limits, []byte(xlsx))
	if got, want := a.texts[""], "Patients\nName\tSSN\t\tBorn\nAda\t036-22-8145 (36228145)\t\t1980-02-03 (29254)\nBob\n\n"; got != want {
		t.Errorf("xlsx: got %q, want %q", got, want)
	}
	found := false
	for _, s := range a.spans[""] {
		found = found || a.texts[""][s.Start:s.End] == "036-22-8145" && s.Label == "SSN" && s.Group == 1
	}
	if !found {
		t.Errorf("xlsx spans: got %+v", a.spans[""])
	}
}

// TestSharedStringsByRelation holds that the strings of a workbook are those that it
// names, whatever their part is called, and that others are told as well.
func TestSharedStringsByRelation(t *testing.T) {
	const kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	rels := func(target string) member {
		return member{"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="r2" Type="` + kind + `sharedStrings" Target="` + target + `"/></Relationships>`}
	}
	sheet := member{"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row><c r="A1" t="s"><v>0</v></c></row></sheetData></worksheet>`}
	book := member{"xl/workbook.xml", `<workbook/>`}
	ssn, other := `<sst><si><t>536-22-8145</t></si></sst>`, `<sst><si><t>other</t></si></sst>`
	for name, of := range map[string]struct {
		parts []member
		want  string
	}{
		"another name":  {[]member{book, rels("words.xml"), {"xl/words.xml", ssn}, sheet}, "536-22-8145\n\n"},
		"another case":  {[]member{book, {"xl/SharedStrings.xml", ssn}, sheet}, "536-22-8145\n\n"},
		"beside others": {[]member{book, rels("/xl/words.xml"), {"xl/sharedStrings.xml", other}, {"xl/words.xml", ssn}, sheet}, "536-22-8145\nother\n\n"},
		"no folder":     {[]member{{"workbook.xml", `<workbook><definedNames><definedName name="a">MRN 7</definedName></definedNames></workbook>`}, {"words.xml", ssn}}, "536-22-8145\na\nMRN 7\n"},
	} {
		a := serve(t, false, limits, []byte(zipOf(t, append([]member{{"[Content_Types].xml", contentTypes}}, of.parts...)...)))
		if got := a.texts[""]; got != of.want {
			t.Errorf("%s: got %q, want %q", name, got, of.want)
		}
	}
}

// TestPixelsAreNoText holds that a picture is a gap also where all of it could be
// text, and that its words are read.
func TestPixelsAreNoText(t *testing.T) {
	white := strings.Repeat("\xff", 900)
	for name, b := range map[string]string{
		"netpbm": "P5\n# MRN 1234567\n30 30\n255\n" + white, "bitmap": "P1\n# MRN 1234567\n4 2\n0101\n1010\n", "digits": "P2 2 2\n9\n1 2 3 4\n",
		"pam": "P7\nWIDTH 30\n", "tga": "\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1e\x00\x1e\x00\x08\x20" + white,
		"xpm": "/* XPM */\nstatic char *x[] = {\"2 1 2 1\",\"a c #000\"};", "xbm": "#define x_width 8\n#define x_height 1\nstatic char x_bits[] = {0x3f};",
		"bare": white,
	} {
		a := serve(t, false, limits, []byte(b))
		if told := a.told(); len(told) != 1 || !strings.Contains(told[0], "unsupported") {
			t.Errorf("%s: gaps %q", name, told)
		}
		if strings.Contains(b, "MRN") && !strings.Contains(a.texts[""], "MRN 1234567") {
			t.Errorf("%s: got %q", name, a.texts[""])
		}
	}
	if a := serve(t, false, limits, []byte("%PDF-1.4\n"+white)); slices.ContainsFunc(a.told(), func(s string) bool { return strings.Contains(s, "binary") }) {
		t.Errorf("a white picture in a PDF: gaps %q", a.told())
	}
	for _, s := range []string{"P5 is the second valve, 12 mm\n", "P1 10 mg daily\nP2 20 mg\n", "P3 20 30 mg and so on\n", "#define x_width 8\n", "Tabs\tand \xff one\n"} {
		if a := serve(t, false, limits, []byte(s)); len(a.told()) > 0 {
			t.Errorf("%q: gaps %q", s, a.told())
		}
	}
}

// Fuzz targets hold what serve checks, and more where it is known.

func FuzzMail(f *testing.F) {
	f.Add([]byte(crlf("Subject: =?utf-8?Q?a?=", "Content-Type: multipart/mixed; boundary=\"b\"", "", "--b", "Content-Transfer-Encoding: base64", "", "aGk=", "--b--")))
	f.Add([]byte(crlf("Content-Type: message/rfc822", "", "Content-Type: text/html; charset=utf-7", "", "<p>+AOQ-")))
	f.Add([]byte(crlf("", "begin 644 a", "#0V%T", "end", "=ybegin line=1 size=1 name=x", "k", "=yend")))
	f.Fuzz(func(t *testing.T, b []byte) { serve(t, true, small, b) })
}

var small = wire.Limits{Depth: 6, Members: 50, Decoded: 4 << 20, Memory: 4 << 20, Ratio: 50}

func FuzzHTML(f *testing.F) {
	f.Add("<html><p title=x>a<td>b<pre> c </pre><bdo dir=rtl>d</bdo><img src='data:text/plain,hi'>")
	f.Fuzz(func(t *testing.T, s string) {
		a := serve(t, true, small, []byte("Content-Type: text/html; charset=utf-8\r\n\r\n"+s))
		if !strings.ContainsAny(s, "<>&\x00\r\n\t\f ") && utf8.ValidString(s) && s != "" && a.parts["1"].MediaType == "text/html" && !strings.HasPrefix(s, "\ufeff") {
			if got := strings.TrimSuffix(a.texts["1"], "\n"); got != s {
				t.Errorf("text without a tag: got %q, want %q", got, s)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("a,b\n\"1,\"\"2\",3\n")
	f.Add("SSN\n512441234\n")
	f.Add("na\xefve")
	for _, c := range alignedTables {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := serve(t, false, small, []byte(s))
		switch a.parts[""].MediaType {
		case "text/plain", "text/csv", "text/tab-separated-values", "application/json":
			wide := strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff") || strings.Contains(s, "\x00")
			if utf8.ValidString(s) && !wide && a.texts[""] != s {
				t.Errorf("got %q, want it unchanged: %q", a.texts[""], s)
			}
		}
		for _, sp := range a.spans[""] {
			if sp.End > int64(len(a.texts[""])) {
				t.Errorf("span %+v past the text's %d bytes", sp, len(a.texts[""]))
			}
		}
	})
}

func FuzzOffice(f *testing.F) {
	f.Add(`<w:document><w:p><w:t>a</w:t></w:p></w:document>`, `<worksheet><c t="s"><v>0</v></c></worksheet>`)
	f.Add(`<!DOCTYPE a [<!ENTITY b "c">]><a><![CDATA[x]]>&b;&#x41;</a>`, `<sst><si><t>x</t></si></sst>`)
	f.Fuzz(func(t *testing.T, doc, sheet string) {
		serve(t, false, small, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"word/document.xml", doc},
			member{"xl/sharedStrings.xml", "<sst><si><t>x</t></si></sst>"}, member{"xl/styles.xml", sheet}, member{"xl/worksheets/sheet1.xml", sheet})))
	})
}

func FuzzZip(f *testing.F) {
	f.Add([]byte(zipOf(f, member{"a.txt", "x"}, member{"b/", ""})))
	f.Add([]byte(gzipOf(f, "x")))
	f.Add([]byte(tarOf(f, member{"a", "x"})))
	f.Add([]byte("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80"))
	f.Fuzz(func(t *testing.T, b []byte) { serve(t, false, small, b) })
}
