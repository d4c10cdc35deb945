package formats_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fieldsOf lists what the spans of a part cut out of its text, with label and row.
func (a *answer) fieldsOf(path string) (s []string) {
	for _, sp := range a.spans[path] {
		s = append(s, fmt.Sprintf("%s=%s@%d", sp.Label, a.texts[path][sp.Start:sp.End], sp.Group))
	}
	return s
}

// TestHeaderFields holds that each header field is one span under its name,
// decoded and unfolded, so that detection knows addresses and dates of the
// mail itself from those of a patient.
func TestHeaderFields(t *testing.T) {
	a := serve(t, true, limits, []byte(crlf("Received: from a.example (192.0.2.1)\n\tby b.example; Mon, 2 Mar 2026 10:00:00 +0000",
		"From: =?utf-8?Q?J=C3=BCrgen?= <a@clinic.example>", "Date: Mon, 2 Mar 2026 10:00:00 +0000", "Subject: MRN =?utf-8?B?"+b64("E1234567")+"?=",
		"X-Empty:", "", "x")))
	want := []string{"Received=from a.example (192.0.2.1) by b.example; Mon, 2 Mar 2026 10:00:00 +0000@0", "From=Jürgen <a@clinic.example>@0",
		"Date=Mon, 2 Mar 2026 10:00:00 +0000@0", "Subject=MRN E1234567@0"}
	if got := a.fieldsOf("HEADER"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNumbers holds how the parts of a mail with everything in it are numbered
// and named.
func TestNumbers(t *testing.T) {
	box := zipOf(t, member{"patients.csv", "Name,SSN\nAda,536228145\n"}, member{"letter.eml", "From: a@x.example\r\nSubject: s\r\n\r\nletter"})
	locked := []byte(zipOf(t, member{"secret.txt", "x"}))
	locked[6] |= 1
	locked[strings.Index(string(locked), "PK\x01\x02")+8] |= 1
	png := "\x89PNG\r\n\x1a\n"
	file := func(name, data string) string {
		return "--o\nContent-Type: application/octet-stream; name=" + name + "\nContent-Transfer-Encoding: base64\n\n" + b64(data)
	}
	a := serve(t, true, limits, []byte(crlf("Subject: all", "Content-Type: multipart/mixed; boundary=o", "",
		"--o\nContent-Type: multipart/related; boundary=i\n\n--i\nContent-Type: text/html\n\n<img src=cid:logo>text\n--i\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\n"+b64(png)+"\n--i--",
		file("box.zip", box), file("locked.zip", string(locked)), file("scan.png", png),
		"--o\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=n\n\n--n\n\none\n--n\n\ntwo\n--n--", "--o--")))
	want := []string{"HEADER", "1.1", "1.2", "2.MIME", "2", "2/1", "2/2/HEADER", "2/2/1", "3.MIME", "3", "3/1", "4.MIME", "4", "5.HEADER", "5.1", "5.2"}
	if !slices.Equal(a.paths, want) {
		t.Errorf("parts: got %q, want %q", a.paths, want)
	}
	if got, want := a.told(), []string{"3/1 encrypted zip ZipCrypto", "1.2 image image/png", "4 image image/png"}; !slices.Equal(got, want) {
		t.Errorf("gaps: got %q, want %q", got, want)
	}
	if len(a.gaps) == 3 && (!a.gaps[1].Inline || a.gaps[2].Inline) {
		t.Errorf("inline: got %v and %v, want the first alone", a.gaps[1].Inline, a.gaps[2].Inline)
	}
	for path, name := range map[string]string{"2": "box.zip", "2/1": "patients.csv", "3/1": "secret.txt", "4": "scan.png", "5.1": ""} {
		if got := a.parts[path].Name; got != name {
			t.Errorf("name of %s: got %q, want %q", path, got, name)
		}
	}
	if got, want := a.fieldsOf("2/1"), []string{"Name=Ada@1", "SSN=536228145@1"}; !slices.Equal(got, want) {
		t.Errorf("cells: got %q, want %q", got, want)
	}
}

// TestReadings holds that what programs read in two ways is read in both, each
// under a number of its own.
func TestReadings(t *testing.T) {
	hidden := "the number 536-22-8145 is hidden"
	for _, c := range []struct {
		name, in string
		mail     bool
		path     string
		want     string
	}{
		{"two encodings, the last", crlf("Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", "", b64(hidden)), true, "1", hidden},
		{"two encodings", crlf("Content-Transfer-Encoding: quoted-printable", "Content-Transfer-Encoding: base64", "", b64(hidden)), true, "1~2", hidden},
		{"declared 7bit", crlf("Content-Transfer-Encoding: 7bit", "", b64(hidden)), true, "1~2", hidden},
		{"two types", crlf("Content-Type: text/plain", "Content-Type: text/html", "", "the number 536-<b></b>22-8145 is hidden"), true, "1~2", hidden + "\n"},
		{"multipart or text", crlf("Content-Type: multipart/mixed; boundary=o", "Content-Type: text/plain", "", "--o", "", "x", "--o--"), true, "1", "x"},
		{"NUL between two numbers", crlf("Subject: x", "", "the numbers 536-22-8145\x00536-22-8146 are hidden"), true, "1~2", "the numbers 536-22-8145 536-22-8146 are hidden"},
		{"control characters between numbers", "the numbers 536-22-8145\x07536-22-8146\x1b536-22-8147 are hidden, and nothing else is", false, "~2", "the numbers 536-22-8145 536-22-8146 536-22-8147 are hidden, and nothing else is"},
		{"references in XML", `<?xml version="1.0"?><a><n>&#116;he number &#53;36&#x2d;22-8145 is hidden</n></a>`, false, "~2", `<?xml version="1.0"?><a><n>` + hidden + `</n></a>`},
		{"word flat XML", `<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"><w:body><w:p><w:r><w:t>the number 53</w:t></w:r><w:r><w:t>6-22-8145 is hidden</w:t></w:r></w:p></w:body></w:wordDocument>`,
			false, "~2", hidden + "\n"},
		{"word flat XML, a field", `<?xml version="1.0"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"><w:p><w:r><w:t>the number 53</w:t><w:instrText>SEQ x</w:instrText><w:t>6-22-8145 is hidden</w:t></w:r></w:p></w:wordDocument>`,
			false, "~2", hidden + "\nSEQ x\n"},
		{"excel flat XML", `<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"><Table><Row><Cell><Data>the number</Data></Cell><Cell><ss:Data><B>536-22</B>-8145</ss:Data></Cell></Row><Row><Cell><Data>x</Data></Cell></Row></Table></Workbook>`,
			false, "~2", "the number\t536-22-8145\t\nx\t\n"},
		{"flowed lines", crlf("Content-Type: text/plain; format=flowed; DelSp=Yes", "", "> the number 536- ", "> 22-81 ", ">  45 is hidden", "-- ", "x"), true, "1~2", "> the number 536-22-81 45 is hidden\r\n-- \r\nx"},
		{"a card's own encoding", crlf("Content-Type: text/vcard", "", "BEGIN:VCARD", "NOTE;ENCODING=QUOTED-PRINTABLE:the number 536=2D22=", "=2D8145", "END:VCARD"), true, "1~2",
			crlf("BEGIN:VCARD", "NOTE;ENCODING=QUOTED-PRINTABLE:the number 536-22-8145", "END:VCARD")},
		{"a folded calendar", crlf("BEGIN:VCALENDAR", `DESCRIPTION:Hello\nthe number 536-2`, " 2-81", "\t45 is hidden\\, it is", "END:VCALENDAR"), false, "~2",
			"BEGIN:VCALENDAR\r\nDESCRIPTION:Hello\nthe number 536-22-8145 is hidden, it is\r\nEND:VCALENDAR"},
		{"escapes in JSON", `{"note": "the number \u00353\u0036-22-8145 is hidden"}`, false, "~2", `{"note": "` + hidden + `"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, c.mail, limits, []byte(c.in))
			if got, ok := a.texts[c.path]; !ok || got != c.want {
				t.Errorf("part %q: got %q, want %q; parts %q", c.path, got, c.want, a.texts)
			}
			if got := a.told(); len(got) > 0 {
				t.Errorf("gaps %q", got)
			}
		})
	}
}

// TestTablesBelowEachOther holds that each of several tables in one file has the
// names of its own columns, and that rows of words begin none.
func TestTablesBelowEachOther(t *testing.T) {
	first := "Name,Phone,Ward\n" + strings.Repeat("Ada,555-0100,3\n", 30)
	for _, c := range []struct {
		name, below string
		want        []string
	}{
		{"an empty line", "\nMRN,ICD10,Seen\n44,E119,2\n", []string{"MRN=44@31", "ICD10=E119@31", "Seen=2@31"}},
		{"empty cells", ",,\nMRN,ICD10,Seen\n44,E119,2\n", []string{"MRN=44@31", "ICD10=E119@31", "Seen=2@31"}},
		{"other cells", "MRN,ICD10\n44,E119\n", []string{"MRN=44@31", "ICD10=E119@31"}},
		{"a title", "\n\"Diagnoses, coded\"\nMRN,ICD10,Seen\n44,E119,2\n", []string{"Name=Diagnoses, coded@31", "MRN=44@32", "ICD10=E119@32", "Seen=2@32"}},
		{"a title with empty cells", ",,\nDiagnoses,,\nMRN,ICD10,Seen\n44,E119,2\n", []string{"Name=Diagnoses@31", "MRN=44@32", "ICD10=E119@32", "Seen=2@32"}},
		{"words", "\nEve,unknown,none\n", []string{"Name=Eve@31", "Phone=unknown@31", "Ward=none@31"}},
		{"names amid a table", "MRN,ICD10,Seen\n", []string{"Name=MRN@31", "Phone=ICD10@31", "Ward=Seen@31"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(first+c.below))
			got := a.fieldsOf("")
			if len(got) < 90 || !slices.Equal(got[90:], c.want) {
				t.Errorf("got %q, want below the 30 rows %q", got, c.want)
			}
		})
	}
}

// TestDeclaredAsText holds that what a mail declares as a text, or a file is named
// as, is read as one, whatever it is by its first bytes.
func TestDeclaredAsText(t *testing.T) {
	const page = "<html><body><p>the number 536-<b></b>22-8145 is hidden</p></body></html>"
	list := "bplist00" + page + "Qa\x08" + strings.Repeat("\x00", 6) + "\x01\x01" + strings.Repeat("\x00", 7) + "\x01" + strings.Repeat("\x00", 8) + strings.Repeat("\x00", 7) + string(rune(8+len(page)+2))
	for name, c := range map[string]struct{ head, body, want string }{
		"a property list": {"Content-Type: text/html", list, "the number 536-22-8145 is hidden"},
		"an attached one": {"Content-Type: application/octet-stream; name=a.htm", list, "the number 536-22-8145 is hidden"},
		"a PDF":           {"Content-Type: text/html", "<!-- %PDF-1.4 -->" + page, "the number 536-22-8145 is hidden"},
		"a text":          {"Content-Type: text/plain; name=a.txt", list, "the number 536-<b></b>22-8145 is hidden"},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, true, limits, []byte(crlf("Subject: x", c.head, "Content-Transfer-Encoding: base64", "", b64(c.body))))
			if !strings.Contains(a.all(), c.want) {
				t.Errorf("%q was not read: %q", c.want, a.texts)
			}
		})
	}
	a := serve(t, true, limits, []byte(crlf("Subject: x", "Content-Type: text/html", "Content-Transfer-Encoding: base64", "", b64("GIF89a"+page))))
	if !slices.Contains(a.told(), "1 ambiguous a picture declared as text") {
		t.Errorf("a picture declared as text: gaps %q", a.told())
	}
	a = serve(t, true, limits, []byte(crlf("Subject: x", "Content-Type: text/rtf", "Content-Transfer-Encoding: base64", "", b64(`{\rtf1 hello}`))))
	if len(a.paths) != 2 {
		t.Errorf("RTF declared as that: parts %q, want one reading", a.paths)
	}
}

// TestHTMLTables holds that the cells of a table go under the names in its first
// row, those of a page's layout do not, and the text is the same either way.
func TestHTMLTables(t *testing.T) {
	const head, row = "<tr><th>MRN<th>Phone<th>Dx</tr>", "<tr><td>4482913<td><p>212-555-0123</p></td><td>E11.9</td></tr>"
	for _, c := range []struct {
		name, in, text string
		fields         []string
	}{
		{"headings", "<table>" + head + row + "<tr><td>1</td></tr></table>", "MRN\tPhone\tDx\n4482913\t\n212-555-0123\nE11.9\n1\n", []string{"MRN=4482913@1", "Phone=212-555-0123@1", "Dx=E11.9@1", "MRN=1@2"}},
		{"cells that are names", "<table><tr><td>MRN</td><td>Phone</td></tr><tr><td>4482913</td><td>2</td></tr></table>after", "MRN\tPhone\n4482913\t2\nafter\n", []string{"MRN=4482913@1", "Phone=2@1"}},
		{"a title above", "<table><tr><th colspan=3>Patients</th></tr>" + head + row + "</table>", "Patients\nMRN\tPhone\tDx\n4482913\t\n212-555-0123\nE11.9\n", []string{"MRN=4482913@1", "Phone=212-555-0123@1", "Dx=E11.9@1"}},
		{"a cell across two columns", "<table>" + head + "<tr><td colspan=2>1<td>2</table>", "MRN\tPhone\tDx\n1\t2\n", []string{"MRN=1@1", "Dx=2@1"}},
		{"a name beside each value", "<table><tr><th>MRN</th><td>4482913</td></tr><tr><th>Dx</th><td>E11.9</td></tr></table>", "MRN\t4482913\nDx\tE11.9\n", nil},
		{"layout", "<table><tr><td>Dear all</td><td>hello</td></tr><tr><td>4482913</td></tr></table>", "Dear all\thello\n4482913\n", nil},
		{"a table in the layout", "<table><tr><td>Dear all<table>" + head + row + "</table>bye</td></tr></table>", "Dear all\nMRN\tPhone\tDx\n4482913\t\n212-555-0123\nE11.9\nbye\n", []string{"MRN=4482913@1", "Phone=212-555-0123@1", "Dx=E11.9@1"}},
		{"cells across rows", "<table>" + head + "<tr><td rowspan=2>1<td>2</tr><tr><td>3</table>", "MRN\tPhone\tDx\n1\t2\n3\n", nil},
		{"no table", "<p>a<td>b", "a\tb\n", nil},
		{"never ended", "<table>" + head + "<tr><td>4482913", "MRN\tPhone\tDx\n4482913\n", []string{"MRN=4482913@1"}},
	} {
		a := serve(t, false, limits, []byte("<html>"+c.in))
		if a.texts[""] != c.text {
			t.Errorf("%s: text %q, want %q", c.name, a.texts[""], c.text)
		}
		if got := a.fieldsOf(""); !slices.Equal(got, c.fields) {
			t.Errorf("%s: cells %q, want %q", c.name, got, c.fields)
		}
	}
}
