package formats

import (
	"strings"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/structs"
)

// maxOptions bounds the entries of a list that are looked at.
const maxOptions = 2000

// annotations notes the words of a page's notes and form fields, and the files
// pinned to it.
func (d *pdfDoc) annotations(page requests.Page, notes *pageNotes) error {
	n, err := d.in.FPDFPage_GetAnnotCount(&requests.FPDFPage_GetAnnotCount{Page: page})
	if err != nil {
		return err
	}
	if n.Count > 0 {
		if err := d.links(page, notes); err != nil {
			return err
		}
	}
	for i := range min(n.Count, maxAnnots) {
		a, err := d.in.FPDFPage_GetAnnot(&requests.FPDFPage_GetAnnot{Page: page, Index: i})
		if trapped(err) {
			return err
		}
		if err != nil {
			continue // an entry of the list that is no annotation shows nothing
		}
		if err := d.annotation(a.Annotation, notes); err != nil {
			return err
		}
		if _, err := d.in.FPDFPage_CloseAnnot(&requests.FPDFPage_CloseAnnot{Annotation: a.Annotation}); trapped(err) {
			return err
		}
	}
	return nil
}

// annotation notes one annotation's words and file.
func (d *pdfDoc) annotation(a references.FPDF_ANNOTATION, notes *pageNotes) error {
	value := false
	for _, key := range []string{"Contents", "V", "T", "TU", "Subj", "RC", "DV"} {
		s, err := d.in.FPDFAnnot_GetStringValue(&requests.FPDFAnnot_GetStringValue{Annotation: a, Key: key})
		if trapped(err) {
			return err
		}
		if err == nil && strings.TrimSpace(s.Value) != "" {
			value = value || key == "V"
			notes.notes = append(notes.notes, s.Value)
		}
	}
	t, err := d.in.FPDFAnnot_GetSubtype(&requests.FPDFAnnot_GetSubtype{Annotation: a})
	switch {
	case trapped(err):
		return err
	case err != nil:
	case t.Subtype == enums.FPDF_ANNOT_SUBTYPE_WIDGET && !value:
		if err := d.field(a, notes); err != nil {
			return err
		}
		fallthrough
	case t.Subtype != enums.FPDF_ANNOT_SUBTYPE_LINK && t.Subtype != enums.FPDF_ANNOT_SUBTYPE_POPUP && !notes.drawn:
		k, err := d.in.FPDFAnnot_HasKey(&requests.FPDFAnnot_HasKey{Annotation: a, Key: "AP"})
		if trapped(err) {
			return err
		}
		notes.drawn = notes.drawn || err == nil && k.HasKey
	}
	f, err := d.in.FPDFAnnot_GetFileAttachment(&requests.FPDFAnnot_GetFileAttachment{Document: d.doc, Annotation: a})
	if err != nil || len(notes.files) >= maxAnnots {
		return nil // it has none
	}
	file, err := d.attachment(f.Attachment)
	if err == nil {
		notes.files = append(notes.files, file)
	}
	return err
}

// field notes the value of a form field that does not say it itself: it stands in a
// field above it, or is a choice of several. An error means that pdfium broke.
//
// Source: ISO 32000-1 12.7.3.1, 12.7.4.4.
func (d *pdfDoc) field(a references.FPDF_ANNOTATION, notes *pageNotes) error {
	if d.form == nil {
		f, err := d.in.FPDFDOC_InitFormFillEnvironment(&requests.FPDFDOC_InitFormFillEnvironment{Document: d.doc, FormFillInfo: formCalls})
		if err != nil {
			return onlyTrapped(err)
		}
		d.form = &f.FormHandle
	}
	t, err := d.in.FPDFAnnot_GetFormFieldType(&requests.FPDFAnnot_GetFormFieldType{FormHandle: *d.form, Annotation: a})
	if err != nil {
		return onlyTrapped(err)
	}
	switch t.FormFieldType {
	case enums.FPDF_FORMFIELD_TYPE_TEXTFIELD, enums.FPDF_FORMFIELD_TYPE_COMBOBOX, enums.FPDF_FORMFIELD_TYPE_LISTBOX:
	default:
		return nil // a button's value is a name that it does not show
	}
	v, err := d.in.FPDFAnnot_GetFormFieldValue(&requests.FPDFAnnot_GetFormFieldValue{FormHandle: *d.form, Annotation: a})
	if err != nil {
		return onlyTrapped(err)
	}
	if strings.TrimSpace(v.FormFieldValue) != "" {
		notes.notes = append(notes.notes, v.FormFieldValue)
	}
	if t.FormFieldType == enums.FPDF_FORMFIELD_TYPE_TEXTFIELD {
		return nil
	}
	n, err := d.in.FPDFAnnot_GetOptionCount(&requests.FPDFAnnot_GetOptionCount{FormHandle: *d.form, Annotation: a})
	if err != nil {
		return onlyTrapped(err)
	}
	for i := range min(n.OptionCount, maxOptions) {
		on, err := d.in.FPDFAnnot_IsOptionSelected(&requests.FPDFAnnot_IsOptionSelected{FormHandle: *d.form, Annotation: a, Index: i})
		if trapped(err) {
			return err
		}
		if err != nil || !on.IsOptionSelected {
			continue
		}
		l, err := d.in.FPDFAnnot_GetOptionLabel(&requests.FPDFAnnot_GetOptionLabel{FormHandle: *d.form, Annotation: a, Index: i})
		if trapped(err) {
			return err
		}
		if err == nil && l.OptionLabel != v.FormFieldValue && strings.TrimSpace(l.OptionLabel) != "" {
			notes.notes = append(notes.notes, l.OptionLabel)
		}
	}
	return nil
}

func onlyTrapped(err error) error {
	if trapped(err) {
		return err
	}
	return nil
}

// formCalls is what pdfium asks of one that fills a form in: nothing of it comes up
// where its fields are only read.
var formCalls = structs.FPDF_FORMFILLINFO{
	FFI_Invalidate:         func(references.FPDF_PAGE, float64, float64, float64, float64) {},
	FFI_SetCursor:          func(enums.FXCT) {},
	FFI_SetTimer:           func(int, func(int)) int { return 0 },
	FFI_KillTimer:          func(int) {},
	FFI_GetLocalTime:       func() structs.FPDF_SYSTEMTIME { return structs.FPDF_SYSTEMTIME{} },
	FFI_GetPage:            func(references.FPDF_DOCUMENT, int) *references.FPDF_PAGE { return nil },
	FFI_GetRotation:        func(references.FPDF_PAGE) enums.FPDF_PAGE_ROTATION { return enums.FPDF_PAGE_ROTATION_NONE },
	FFI_ExecuteNamedAction: func(string) {},
}

// closeForm ends what field began. It comes before the document's end.
func (d *pdfDoc) closeForm() {
	if d.form == nil {
		return
	}
	if _, err := d.in.FPDFDOC_ExitFormFillEnvironment(&requests.FPDFDOC_ExitFormFillEnvironment{FormHandle: *d.form}); err != nil {
		d.j.pdf.drop()
	}
	d.form = nil
}

// appearances notes the lines that annotations and fields show and that neither the
// page's text nor their own values say, and a picture among them on a page of few
// letters. It draws them into the page.
//
// Source: ISO 32000-1 12.5.5.
func (d *pdfDoc) appearances(page requests.Page, text string, few bool, notes *pageNotes) error {
	f, err := d.in.FPDFPage_Flatten(&requests.FPDFPage_Flatten{Page: page})
	if err != nil || f.Result == 0 {
		return onlyTrapped(err) // it shows nothing but itself
	}
	all, err := d.pageText(page)
	if err != nil {
		return onlyTrapped(err)
	}
	known := map[string]bool{"": true}
	for _, s := range append([]string{text}, notes.notes...) {
		for line := range strings.Lines(s) {
			known[strings.TrimSpace(line)] = true
		}
	}
	for line := range strings.Lines(all) {
		if s := strings.TrimSpace(line); !known[s] {
			known[s] = true
			notes.notes = append(notes.notes, s)
		}
	}
	if few && !notes.picture {
		notes.picture = d.shows(page, false) // the frame of an empty field is nothing to be read
	}
	return nil
}
