package formats_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// dicomForm is how a data set is written.
type dicomForm struct {
	order    binary.AppendByteOrder
	explicit bool
}

var (
	explicitLE = dicomForm{binary.LittleEndian, true}
	implicitLE = dicomForm{binary.LittleEndian, false}
	explicitBE = dicomForm{binary.BigEndian, true}
)

func (f dicomForm) tag(b []byte, tag uint32) []byte {
	return f.order.AppendUint16(f.order.AppendUint16(b, uint16(tag>>16)), uint16(tag))
}

// el writes an element of a length of its own, or of that of its value for -1.
func (f dicomForm) el(tag uint32, vr, value string, length int64) string {
	if len(value)%2 == 1 {
		value += " "
	}
	n := uint32(len(value))
	if length >= 0 {
		n = uint32(length)
	}
	b := f.tag(nil, tag)
	if !f.explicit {
		return string(f.order.AppendUint32(b, n)) + value
	}
	b = append(b, vr...)
	if strings.Contains("OB OW SQ UN UT UC", vr) {
		return string(f.order.AppendUint32(append(b, 0, 0), n)) + value
	}
	return string(f.order.AppendUint16(b, uint16(n))) + value
}

// sq writes a sequence, with lengths or with ends.
func (f dicomForm) sq(tag uint32, lengths bool, items ...string) string {
	var b []byte
	for _, it := range items {
		b = f.tag(b, 0xfffee000)
		if lengths {
			b = append(f.order.AppendUint32(b, uint32(len(it))), it...)
			continue
		}
		b = append(f.order.AppendUint32(b, 1<<32-1), it...)
		b = f.order.AppendUint32(f.tag(b, 0xfffee00d), 0)
	}
	if lengths {
		return f.el(tag, "SQ", string(b), -1)
	}
	b = f.order.AppendUint32(f.tag(b, 0xfffee0dd), 0)
	return f.el(tag, "SQ", string(b), 1<<32-1)
}

// part10 puts the head of a file in front of a data set.
func part10(syntax, data string) string {
	return strings.Repeat("\x00", 128) + "DICM" + explicitLE.el(0x00020010, "UI", syntax, -1) + data
}

// patient is a data set with most that there is.
func (f dicomForm) patient(lengths bool) string {
	return f.el(0x00080005, "CS", "ISO_IR 100", -1) + f.el(0x00080050, "SH", "A778812", -1) + f.el(0x00080060, "CS", "CT", -1) + f.el(0x00080090, "PN", "House^Greg", -1) +
		f.el(0x00090010, "LO", "ACME 1.0", -1) + f.el(0x00091001, "UN", "private note 7", -1) +
		f.el(0x00100010, "PN", "R\xf6e^Jane^Q^Dr", -1) + f.el(0x00100020, "LO", "E1234567", -1) + f.el(0x00100030, "DA", "19610304", -1) +
		f.sq(0x00101002, lengths, f.el(0x00100020, "LO", "E7654321", -1)+f.el(0x00100021, "LO", "North", -1), f.el(0x00100020, "LO", "77812", -1)) +
		f.el(0x00101010, "AS", "091Y", -1) + f.el(0x00101040, "LO", "100 Low Street", -1) + f.el(0x00102154, "SH", `937-555-0142\937-555-0143`, -1) +
		f.sq(0x00291140, lengths, f.el(0x00291010, "LO", "inner", -1)) +
		f.el(0x00280010, "US", "\x10\x00", -1) + f.el(0x7fe00010, "OW", "\x01\x02\x03\x04", -1)
}

// patientMeans is what it says, patientText how it is written.
var (
	patientMeans = []string{
		"ACCOUNT=A778812@1", "NAME=Röe@1", "NAME=Jane@1", "NAME=Q@1", "MRN=E1234567@1", "DOB=19610304@1", "MRN=E7654321@1", "MRN=77812@1", "AGE_OVER_89=091Y@1",
		"ADDRESS=100 Low Street@1", "PHONE=937-555-0142@1", "PHONE=937-555-0143@1",
	}
	patientText = "SpecificCharacterSet: ISO_IR 100\nAccessionNumber: A778812\nModality: CT\nReferringPhysicianName: House^Greg\n" +
		"Tag_0009_0010: ACME 1.0\nTag_0009_1001: private note 7\nPatientName: Röe^Jane^Q^Dr\nPatientID: E1234567\nPatientBirthDate: 19610304\n" +
		">PatientID: E7654321\n>IssuerOfPatientID: North\n>PatientID: 77812\nPatientAge: 091Y\nPatientAddress: 100 Low Street\n" +
		"PatientTelephoneNumbers: 937-555-0142\\937-555-0143\n>Tag_0029_1010: inner\n"
)

// TestDICOMForms: a data set says the same however it is written, with the head
// of a file or without.
func TestDICOMForms(t *testing.T) {
	for name, f := range map[string]dicomForm{"explicit little endian": explicitLE, "implicit little endian": implicitLE, "explicit big endian": explicitBE} {
		for _, lengths := range []bool{true, false} {
			for _, head := range []bool{true, false} {
				in, want := f.patient(lengths), patientText
				if head {
					in, want = part10("1.2.3", in), "TransferSyntaxUID: 1.2.3\n"+want
				}
				a := serve(t, false, limits, []byte(in))
				if a.parts[""].MediaType != "application/dicom" || a.texts[""] != want {
					t.Errorf("%s, lengths %v, head %v: a part of type %s, text %q\nwant %q", name, lengths, head, a.parts[""].MediaType, a.texts[""], want)
				}
				if got := a.meanings(""); !slices.Equal(got, patientMeans) {
					t.Errorf("%s, lengths %v, head %v: got %q", name, lengths, head, got)
				}
				if got, want := a.told(), []string{"image dicom pixel data"}; !slices.Equal(got, want) {
					t.Errorf("%s, lengths %v, head %v: gaps %q, want %q", name, lengths, head, got, want)
				}
			}
		}
	}
}

// TestDICOM: what stands in values is read as they are meant, and what is not
// read is told.
func TestDICOM(t *testing.T) {
	f := explicitLE
	id := f.el(0x00100020, "LO", "E1234567", -1)
	detector := f.el(0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`, -1)
	code := func(value, scheme, meaning string) string {
		return f.el(0x00080100, "SH", value, -1) + f.el(0x00080102, "SH", scheme, -1) + f.el(0x00080104, "LO", meaning, -1)
	}
	deep := id
	for range 200 {
		deep = f.sq(0x0040a730, false, deep)
	}
	pixels := f.el(0x7fe00010, "OW", "\x01\x02", -1)
	for _, c := range []struct {
		name, in string
		holds    string   // text
		fields   []string // among the labelled ones
		gaps     []string
	}{
		{"UTF-8", f.el(0x00080005, "CS", "ISO_IR 192", -1) + f.el(0x00100010, "PN", "Wang^XiaoDong=王^小東", -1), "PatientName: Wang^XiaoDong=王^小東\n", []string{"PatientName=王@1"}, nil},
		{"Japanese", f.el(0x00080005, "CS", `\ISO 2022 IR 87`, -1) + f.el(0x00100010, "PN", "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B", -1),
			"PatientName: Yamada^Tarou=山田^太郎=やまだ^たろう\n", []string{"PatientName=太郎@1"}, nil},
		{"Korean", f.el(0x00080005, "CS", `\ISO 2022 IR 149`, -1) + f.el(0x00100010, "PN", "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", -1), "PatientName: Hong^Gildong=洪^吉洞\n", nil, nil},
		{"Cyrillic", f.el(0x00080005, "CS", "ISO_IR 144", -1) + f.el(0x00100010, "PN", "\xbb\xee\xdascegorov", -1), "PatientName: Люк", nil, nil},
		{"a set of an item's own", f.el(0x00080005, "CS", "ISO_IR 144", -1) + f.sq(0x00101002, true, f.el(0x00080005, "CS", "ISO_IR 100", -1)+f.el(0x00100021, "LO", "\xe4", -1)) + f.el(0x00104000, "LT", "\xd0", -1),
			"IssuerOfPatientID: ä\nPatientComments: а\n", nil, nil},
		{"a report", f.el(0x00080060, "CS", "SR", -1) + id + f.sq(0x0040a730, false, f.sq(0x0040a043, true, code("121029", "DCM", "Mother's MRN"))+f.el(0x0040a160, "UT", `E99\8`, -1)),
			`>TextValue: E99\8`, []string{`Mother's MRN=E99\8@1`}, nil},
		{"a diagnosis", id + f.sq(0x00081084, true, code("E11.9", "I10", "Diabetes")), "CodeMeaning: Diabetes", []string{"CodeValue=E11.9@1"}, nil},
		{"a directory", f.sq(0x00041220, false, f.el(0x00041430, "CS", "PATIENT", -1)+id, f.el(0x00041430, "CS", "PATIENT", -1)+id), "PatientID", []string{"PatientID=E1234567@2", "PatientID=E1234567@3"}, nil},
		{"text in private bytes", id + f.el(0x00291010, "OB", "SV10\x00\x00\x00\x00SSN 536-22-8145\x00\x00\x00\x01\x02", -1), "SV10 SSN 536-22-8145", nil, nil},
		{"words in the preamble", "MRN E1234567" + part10("1.2.3", id)[12:], "preamble: MRN E1234567 \n", nil, nil},
		{"a detector's picture", detector + f.el(0x00280301, "CS", "NO", -1) + pixels, "BurnedInAnnotation", nil, []string{"image dicom pixel data"}},
		{"a picture of a screen", f.el(0x00080008, "CS", `DERIVED\SECONDARY`, -1) + f.el(0x00280301, "CS", "NO", -1) + pixels, "", nil, []string{"image dicom pixel data"}},
		{"a face", detector + f.el(0x00280301, "CS", "NO", -1) + f.el(0x00280302, "CS", "YES", -1) + pixels, "", nil, []string{"image dicom pixel data"}},
		{"an overlay", id + f.el(0x60003000, "OW", "\x01\x02", -1), "", nil, []string{"image dicom overlay"}},
		{"sealed attributes", id + f.sq(0x04000500, true, f.el(0x04000520, "OB", "\x01\x02", -1)), "", nil, []string{"encrypted dicom attributes"}},
		{"fragments", id + f.el(0x7fe00010, "OB", "\xfe\xff\x00\xe0\x02\x00\x00\x00ab\xfe\xff\xdd\xe0\x00\x00\x00\x00", 1<<32-1) + f.el(0x7fe10010, "LO", "behind", -1), "Tag_7fe1_0010: behind\n", nil, []string{"image dicom pixel data"}},
		{"cut in a value", id + f.el(0x00104000, "LT", "half of it", 4000), "PatientComments: half of it\n", []string{"PatientID=E1234567@1"}, []string{"corrupt dicom cut short"}},
		{"cut in a head", id + "\x10\x00", "PatientID", nil, []string{"corrupt dicom cut short"}},
		{"a hostile length", id + f.el(0x00291010, "OB", "x", 1<<31), "PatientID", nil, []string{"corrupt dicom cut short"}},
		{"an item past its sequence", id + f.el(0x00101002, "SQ", "\xfe\xff\x00\xe0\xf0\x00\x00\x00"+f.el(0x00100020, "LO", "77", -1), -1) + f.el(0x00104000, "LT", "behind", -1),
			"behind", []string{"PatientID=77@1"}, []string{"corrupt dicom"}},
		{"sequences in sequences", id + deep, "PatientID: E1234567\n", nil, []string{"too_deep dicom sequence"}},
		{"what is no item", id + f.el(0x00101002, "SQ", "abcdefgh", -1), "PatientID", nil, []string{"corrupt dicom sequence"}},
		{"sequence without a VR", id + f.el(0x00291140, "UN", "\xfe\xff\x00\xe0\x0c\x00\x00\x00"+implicitLE.el(0x00100020, "LO", "E778", -1), -1), ">PatientID: E778\n", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.in
			if !strings.Contains(in[:min(len(in), 200)], "DICM") {
				in = part10("1.2.840.10008.1.2.1", in)
			}
			a := serve(t, false, limits, []byte(in))
			if !strings.Contains(a.texts[""], c.holds) {
				t.Errorf("text %q, want it to hold %q", a.texts[""], c.holds)
			}
			for _, want := range c.fields {
				if !slices.Contains(a.fieldsOf(""), want) {
					t.Errorf("fields %q, want %q among them", a.fieldsOf(""), want)
				}
			}
			if got := a.told(); !slices.Equal(got, append([]string{}, c.gaps...)) {
				t.Errorf("gaps %q, want %q", got, c.gaps)
			}
		})
	}
}

// TestDICOMIsBelieved: only where the configuration says so is a file's own word
// about its pixels taken, and only of a detector's picture.
func TestDICOMIsBelieved(t *testing.T) {
	f := explicitLE
	detector := f.el(0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`, -1)
	burnt, pixels := f.el(0x00280301, "CS", "NO", -1), f.el(0x7fe00010, "OW", "\x01\x02", -1)
	for name, c := range map[string]struct {
		in   string
		gaps []string
	}{
		"a detector's picture":  {detector + burnt + pixels, []string{}},
		"a picture of a screen": {f.el(0x00080008, "CS", `DERIVED\SECONDARY`, -1) + burnt + pixels, []string{"image dicom pixel data"}},
		"a face":                {detector + burnt + f.el(0x00280302, "CS", "YES", -1) + pixels, []string{"image dicom pixel data"}},
		"no word":               {detector + pixels, []string{"image dicom pixel data"}},
	} {
		a := serveJob(t, &wire.Job{Burned: true, Limits: limits}, []byte(part10("1.2.840.10008.1.2.1", c.in)))
		if got := a.told(); !slices.Equal(got, c.gaps) {
			t.Errorf("%s: gaps %q, want %q", name, got, c.gaps)
		}
	}
}

// TestDICOMOfDCMTK: what another program writes is read, in each of its transfer
// syntaxes, and the documents that it puts into files are parts.
func TestDICOMOfDCMTK(t *testing.T) {
	if _, err := exec.LookPath("dump2dcm"); err != nil {
		t.Skip("dump2dcm of dcmtk is not installed")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v %s", name, args, err, out)
		}
	}
	write := func(name, s string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) *answer {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return serve(t, false, limits, b)
	}
	write("dump", `(0008,0005) CS [ISO_IR 192]
(0008,0016) UI =SecondaryCaptureImageStorage
(0008,0018) UI [1.2.3.4]
(0008,0050) SH [A778812]
(0010,0010) PN [Röe^Jane]
(0010,0020) LO [E1234567]
(0010,0030) DA [19610304]
(0010,1002) SQ
(fffe,e000) na
(0010,0020) LO [E7654321]
(0010,0022) CS [TEXT]
(fffe,e00d) na
(fffe,e0dd) na
(0010,2154) SH [937-555-0142]
`)
	want := []string{"ACCOUNT=A778812@1", "NAME=Röe@1", "NAME=Jane@1", "MRN=E1234567@1", "DOB=19610304@1", "MRN=E7654321@1", "PHONE=937-555-0142@1"}
	for _, syntax := range []string{"+te", "+tb", "+ti", "+td"} {
		for _, form := range [][]string{{"+F", "+e"}, {"+F", "-e"}, {"-F", "+e"}} {
			if syntax == "+td" && form[0] == "-F" {
				continue // nothing says that it is one
			}
			run("dump2dcm", append(form, syntax, "dump", "out.dcm")...)
			a := read("out.dcm")
			if got := a.meanings(""); !slices.Equal(got, want) || len(a.gaps) > 0 {
				t.Errorf("dump2dcm %s %q: got %q, gaps %q\nwant %q", syntax, form, got, a.told(), want)
			}
		}
	}

	write("page.pdf", "%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")
	run("pdf2dcm", "+pi", "E1234567", "+pn", "Roe^Jane", "page.pdf", "pdf.dcm")
	if a := read("pdf.dcm"); a.parts["1"].MediaType != "application/pdf" || !slices.Contains(a.meanings(""), "MRN=E1234567@1") {
		t.Errorf("a PDF within: parts %+v, meanings %q", a.parts, a.meanings(""))
	}
	write("note.xml", cdaDocument)
	if _, err := exec.LookPath("cda2dcm"); err == nil {
		run("cda2dcm", "+pi", "E1234567", "+pn", "Roe^Jane", "+ov", "note.xml", "cda.dcm")
		if a := read("cda.dcm"); !slices.Contains(a.meanings("1"), "SSN=536-22-8145@1") {
			t.Errorf("a C-CDA within: parts %+v, meanings %q", a.parts, a.meanings("1"))
		}
	}
}

// FuzzDICOM: whatever is read as DICOM ends, with spans inside its text (which
// decoding a window holds) and within the bounds.
func FuzzDICOM(f *testing.F) {
	f.Add([]byte(part10("1.2.840.10008.1.2.1", explicitLE.patient(true))))
	f.Add([]byte(part10("1.2.840.10008.1.2", implicitLE.patient(false))))
	f.Add([]byte(explicitBE.patient(false)))
	f.Add([]byte(part10("1.2.840.10008.1.2.1.99", "\xe3\x60\x60")))
	f.Add([]byte(part10("1.2.3", explicitLE.el(0x00080005, "CS", `\ISO 2022 IR 87`, -1)+explicitLE.el(0x00100010, "PN", "a=\x1b$B;3\x1b", -1)+explicitLE.el(0x00420011, "OB", "%PDF-1.4", -1))))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := serve(t, false, small, b)
		if n := len(a.texts[""]); n > int(small.Decoded) {
			t.Errorf("%d bytes of text, past the bound", n)
		}
	})
}
