package extract_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestPDFAppearances holds that what annotations and fields of a form show is read
// where only their appearance says it, or a field above them.
func TestPDFAppearances(t *testing.T) {
	p := newPool(t, nil)
	const head = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[8 0 R 12 0 R]/NeedAppearances true/DA(/F1 9 Tf)/DR<</Font<</F1 5 0 R>>>>>>>>endobj\n" +
		"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
	form := func(n, draws string) string {
		return n + " 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 200 20]/Resources<</Font<</F1 5 0 R>>>>/Length " + strconv.Itoa(len(draws)) + ">>stream\n" + draws + "\nendstream endobj\n"
	}
	for _, c := range []struct {
		name, annots, objects string
		want                  []string
	}{
		{"a stamp", "8 0 R", "8 0 obj<</Type/Annot/Subtype/Stamp/Rect[10 10 210 30]/AP<</N 9 0 R>>>>endobj\n" + form("9", "BT /F1 9 Tf 2 5 Td (MRN 1234567) Tj ET"), []string{"MRN 1234567"}},
		{"a button", "8 0 R", "8 0 obj<</Type/Annot/Subtype/Widget/FT/Btn/Ff 65536/T(b)/Rect[10 10 210 30]/AP<</N 9 0 R>>>>endobj\n" + form("9", "BT /F1 9 Tf 2 5 Td (MRN 2345678) Tj ET"), []string{"MRN 2345678"}},
		{"a field's value above it", "8 0 R", "8 0 obj<</Type/Annot/Subtype/Widget/Parent 12 0 R/Rect[10 10 210 30]>>endobj\n12 0 obj<</FT/Tx/T(mrn)/V(MRN 3456789)/Kids[8 0 R]/DA(/F1 9 Tf)>>endobj\n", []string{"MRN 3456789"}},
		{"a list", "8 0 R", "8 0 obj<</Type/Annot/Subtype/Widget/FT/Ch/Ff 2097152/T(l)/Opt[[(a)(MRN 4567890)][(b)(MRN 5678901)][(c)(MRN 6789012)]]/V[(a)(c)]/Rect[10 10 210 30]/DA(/F1 9 Tf)>>endobj\n", []string{"MRN 4567890", "MRN 6789012"}},
		{"a stamp nobody sees", "8 0 R", "8 0 obj<</Type/Annot/Subtype/Stamp/F 2/Rect[10 10 210 30]/AP<</N 9 0 R>>>>endobj\n" + form("9", "BT /F1 9 Tf 2 5 Td (unseen) Tj ET"), nil},
	} {
		const words = "BT /F1 9 Tf 10 200 Td (Discharge letter) Tj ET"
		got := get(t, p, dlp.File, []byte(head+"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>/Annots["+c.annots+"]>>endobj\n"+
			"4 0 obj<</Length "+strconv.Itoa(len(words))+">>stream\n"+words+"\nendstream endobj\n"+c.objects+"trailer<</Root 1 0 R>>\n"))
		for _, w := range append(c.want, "Discharge letter") {
			if n := strings.Count(got.all(), w); n != 1 {
				t.Errorf("%s: got %q, want %q in it once", c.name, got.all(), w)
			}
		}
		if len(got.gaps) > 0 {
			t.Errorf("%s: gaps %q", c.name, got.told())
		}
	}
}

// TestPDFPictureWithin holds that a picture on a page of few letters is a gap also where a
// form draws it, as programs do that number pages or stamp them, or an annotation.
func TestPDFPictureWithin(t *testing.T) {
	p := newPool(t, nil)
	const words = "BT /F1 9 Tf 10 10 Td (Page 1 of 3) Tj ET "
	for name, c := range map[string][3]string{
		"in a form":   {words + "/X1 Do", "", "image pdf page without text"},
		"in a stamp":  {words, "8 0 R", "image pdf page without text"},
		"no picture":  {words + "/X2 Do", "9 0 R", ""},
		"empty field": {"", "9 0 R", ""},
	} {
		got := get(t, p, dlp.File, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
			"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>/XObject<</X1 6 0 R/X2 10 0 R>>>>/Annots["+c[1]+"]>>endobj\n"+
			"4 0 obj<</Length "+strconv.Itoa(len(c[0]))+">>stream\n"+c[0]+"\nendstream endobj\n5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"+
			"6 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 300 300]/Resources<</XObject<</I1 7 0 R>>>>/Length 28>>stream\nq 200 0 0 200 0 0 cm /I1 Do Q\nendstream endobj\n"+
			"7 0 obj<</Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray/Length 1>>stream\n \nendstream endobj\n"+
			"8 0 obj<</Type/Annot/Subtype/Stamp/Rect[10 10 210 230]/AP<</N 6 0 R>>>>endobj\n"+
			"9 0 obj<</Type/Annot/Subtype/Widget/FT/Tx/T(f)/Rect[10 10 210 230]/AP<</N 10 0 R>>>>endobj\n"+
			"10 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 200 20]/Length 14>>stream\n0 0 200 20 re S\nendstream endobj\ntrailer<</Root 1 0 R>>\n"))
		if told := strings.Join(got.told(), ";"); told != c[2] {
			t.Errorf("%s: gaps %q, want %q", name, told, c[2])
		}
	}
}

// TestPDFUnreadLetters holds that a page is a gap where its font does not say which letters
// its glyphs are.
func TestPDFUnreadLetters(t *testing.T) {
	p := newPool(t, nil)
	for cmap, want := range map[string]string{
		"<31> <39> <0001>": "image pdf page without text",
		"<31> <39> <E031>": "image pdf page without text",
		"<31> <39> <0031>": "",
		"<35> <35> <0001>": "", // one sign
	} {
		const words = "BT /F1 9 Tf 10 10 Td (Discharge letter of a patient, with more than sixty-four letters in it, SSN 536-22-8145) Tj ET"
		m := "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfrange <20> <30> <0020> endbfrange " +
			"1 beginbfrange <3A> <7A> <003A> endbfrange 1 beginbfrange <31> <39> <0031> endbfrange 1 beginbfrange " + cmap + " endbfrange endcmap end"
		got := get(t, p, dlp.File, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
			"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj\n"+
			"4 0 obj<</Length "+strconv.Itoa(len(words))+">>stream\n"+words+"\nendstream endobj\n5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>endobj\n"+
			"6 0 obj<</Length "+strconv.Itoa(len(m))+">>stream\n"+m+"\nendstream endobj\ntrailer<</Root 1 0 R>>\n"))
		if told := strings.Join(got.told(), ";"); told != want {
			t.Errorf("%s: got %q, gaps %q, want %q", cmap, got.all(), told, want)
		}
	}
}
