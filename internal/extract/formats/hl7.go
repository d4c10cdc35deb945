package formats

import (
	"bytes"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// hl7Kind says how a field of HL7 v2 is built.
type hl7Kind uint8

const (
	hl7Plain  hl7Kind = iota
	hl7ID             // CX: the id, and its type in the fifth component
	hl7Person         // XCN: the id of somebody, and its type in the thirteenth component
	hl7Phone          // XTN: as one text, an address of mail, or in pieces
	hl7Place          // XAD: street and ZIP code
	hl7Code           // CWE, CE: code, text, system
)

// hl7Field is what the standard says of a field.
type hl7Field struct {
	kind  hl7Kind
	label string
	typ   dlp.Type
}

// hl7Fields are the fields that tell of a person, by segment and number.
//
// Source: HL7 v2.5.1, chapter 3 (PID, PV1, NK1, MRG), 4 (ORC, OBR), 6 (DG1, GT1,
// IN1, IN2), 7 (OBX).
var hl7Fields = map[string]hl7Field{
	"PID-2": {hl7ID, "PID-2 patient ID", "MRN"}, "PID-3": {hl7ID, "PID-3 patient identifier list", "MRN"},
	"PID-4": {hl7ID, "PID-4 alternate patient ID", "MRN"}, "PID-5": {hl7Plain, "PID-5 patient name", "NAME"},
	"PID-7": {hl7Plain, "PID-7 date of birth", "DOB"}, "PID-11": {hl7Place, "PID-11 patient address", "ADDRESS"},
	"PID-13": {hl7Phone, "PID-13 home phone", "PHONE"}, "PID-14": {hl7Phone, "PID-14 business phone", "PHONE"},
	"PID-18": {hl7ID, "PID-18 patient account number", "ACCOUNT"}, "PID-19": {hl7Plain, "PID-19 SSN number", "SSN"},
	"PID-20": {hl7Plain, "PID-20 driver's license number", "DRIVER_LICENSE"}, "PID-29": {hl7Plain, "PID-29 date of death", "DATE"},
	"PID-40": {hl7Phone, "PID-40 patient telecommunication", "PHONE"},

	"MRG-1": {hl7ID, "MRG-1 prior patient identifier list", "MRN"}, "MRG-2": {hl7ID, "MRG-2 prior alternate patient ID", "MRN"},
	"MRG-3": {hl7ID, "MRG-3 prior patient account number", "ACCOUNT"}, "MRG-4": {hl7ID, "MRG-4 prior patient ID", "MRN"},

	"NK1-2": {hl7Plain, "NK1-2 name", "NAME"}, "NK1-4": {hl7Place, "NK1-4 address", "ADDRESS"},
	"NK1-5": {hl7Phone, "NK1-5 phone", "PHONE"}, "NK1-6": {hl7Phone, "NK1-6 business phone", "PHONE"},
	"NK1-16": {hl7Plain, "NK1-16 date of birth", "DOB"}, "NK1-37": {hl7Plain, "NK1-37 contact SSN", "SSN"},

	"GT1-2": {hl7ID, "GT1-2 guarantor number", "ACCOUNT"}, "GT1-3": {hl7Plain, "GT1-3 guarantor name", "NAME"},
	"GT1-5": {hl7Place, "GT1-5 guarantor address", "ADDRESS"}, "GT1-6": {hl7Phone, "GT1-6 guarantor phone", "PHONE"},
	"GT1-7": {hl7Phone, "GT1-7 guarantor business phone", "PHONE"}, "GT1-8": {hl7Plain, "GT1-8 guarantor date of birth", "DOB"},
	"GT1-12": {hl7Plain, "GT1-12 guarantor SSN", "SSN"},

	"IN1-5": {hl7Place, "IN1-5 insurance company address", "ADDRESS"}, "IN1-7": {hl7Phone, "IN1-7 insurance company phone", "PHONE"},
	"IN1-16": {hl7Plain, "IN1-16 name of insured", "NAME"}, "IN1-18": {hl7Plain, "IN1-18 insured's date of birth", "DOB"},
	"IN1-19": {hl7Place, "IN1-19 insured's address", "ADDRESS"}, "IN1-36": {hl7Plain, "IN1-36 policy number", "HEALTH_PLAN_ID"},
	"IN1-49": {hl7ID, "IN1-49 insured's ID number", "HEALTH_PLAN_ID"},
	"IN2-2":  {hl7Plain, "IN2-2 insured's SSN", "SSN"}, "IN2-6": {hl7Plain, "IN2-6 Medicare number", "MBI"},
	"IN2-8": {hl7Plain, "IN2-8 Medicaid number", "MEDICAID_ID"}, "IN2-61": {hl7ID, "IN2-61 patient member number", "HEALTH_PLAN_ID"},

	"PV1-7": {hl7Person, "PV1-7 attending doctor", ""}, "PV1-8": {hl7Person, "PV1-8 referring doctor", ""},
	"PV1-9": {hl7Person, "PV1-9 consulting doctor", ""}, "PV1-17": {hl7Person, "PV1-17 admitting doctor", ""},
	"PV1-19": {hl7ID, "PV1-19 visit number", "ACCOUNT"}, "PV1-44": {hl7Plain, "PV1-44 admission date", "DATE"},
	"PV1-45": {hl7Plain, "PV1-45 discharge date", "DATE"}, "PD1-4": {hl7Person, "PD1-4 primary care provider", ""},
	"ORC-12": {hl7Person, "ORC-12 ordering provider", ""}, "OBR-16": {hl7Person, "OBR-16 ordering provider", ""},
	"OBX-16": {hl7Person, "OBX-16 responsible observer", ""}, "TXA-5": {hl7Person, "TXA-5 primary activity provider", ""},

	"DG1-3": {hl7Code, "DG1-3 diagnosis code", "ICD10"}, "OBX-3": {hl7Code, "OBX-3 observation identifier", ""},
	"OBR-4": {hl7Code, "OBR-4 universal service identifier", ""}, "RXE-2": {hl7Code, "RXE-2 give code", ""}, "RXO-1": {hl7Code, "RXO-1 requested give code", ""},
	"AL1-3": {hl7Code, "AL1-3 allergen code", ""}, "PRB-3": {hl7Code, "PRB-3 problem", ""},
}

// hl7IDTypes say what an id is where its own type tells. An id of another type
// is none that we know.
//
// Source: HL7 v2.5.1, table 0203.
var hl7IDTypes = map[string]dlp.Type{
	"MR": "MRN", "MRN": "MRN", "MRT": "MRN", "PI": "MRN", "PT": "MRN", "PN": "MRN", "PNT": "MRN",
	"AN": "ACCOUNT", "ANC": "ACCOUNT", "AND": "ACCOUNT", "ANT": "ACCOUNT", "VN": "ACCOUNT", "SS": "SSN", "MA": "MEDICAID_ID", "MC": "MBI",
	"MB": "HEALTH_PLAN_ID", "HC": "HEALTH_PLAN_ID", "SN": "HEALTH_PLAN_ID", "DL": "DRIVER_LICENSE", "PPN": "PASSPORT", "NPI": "NPI", "DEA": "DEA",
	"DN": "LICENSE", "LN": "LICENSE", "MD": "LICENSE", "NI": "NATIONAL_ID", "JHN": "HEALTH_PLAN_ID", "TAX": "ITIN",
}

// hl7Systems say of what system a code is.
//
// Source: HL7 v2.5.1, table 0396.
var hl7Systems = map[string]dlp.Type{
	"I10": "ICD10", "I10C": "ICD10", "ICD10": "ICD10", "ICD-10": "ICD10", "ICD10CM": "ICD10", "I9": "ICD9", "I9C": "ICD9", "I9CDX": "ICD9", "ICD9": "ICD9", "ICD-9": "ICD9", "ICD-9-CM": "ICD9",
	"LN": "LOINC", "SCT": "SNOMED", "SNM": "SNOMED", "NDC": "NDC", "HPC": "HCPCS", "HCPCS": "HCPCS",
}

// looksHL7 reports a message, file or batch: the header's name, a separator,
// and up to five signs before the separator again.
//
// Source: HL7 v2.5.1, 2.5.4 (encoding characters), 2.10.3 (batches).
func looksHL7(t string) bool {
	t = strings.TrimLeft(t, "\v")
	if len(t) < 8 || t[:3] != "MSH" && t[:3] != "FHS" && t[:3] != "BHS" || !sign(t[3]) {
		return false
	}
	i := strings.IndexByte(t[4:min(len(t), 10)], t[3])
	if i < 1 {
		return false
	}
	for k := range i {
		if !sign(t[4+k]) {
			return false
		}
	}
	return true
}

// sign reports a printable ASCII byte that is neither letter, digit nor space.
func sign(c byte) bool {
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
}

// hl7 marks the fields of a message.
type hl7 struct {
	segmenter
	fieldSep, componentSep, repeatSep byte
	escapes                           hl7Escapes
	odd                               bool // a header declared a separator of ofNumbers
	hides                             bool // an escape stands for a part of a number, or between two
}

func newHL7(out *emitter) *hl7 {
	h := &hl7{fieldSep: '|', componentSep: '^', repeatSep: '~'}
	h.out = out
	h.ends = func(c byte) bool { return c == '\r' || c == '\n' }
	h.mark = h.segment
	return h
}

// segment marks one segment.
func (h *hl7) segment(seg []byte) {
	from := 0
	for from < len(seg) && (seg[from] == '\v' || seg[from] == 0x1c || seg[from] == ' ') { // MLLP puts them around a message
		from++
	}
	to := len(seg)
	if to-from < 4 {
		return
	}
	name := string(seg[from : from+3])
	if name == "MSH" || name == "FHS" || name == "BHS" {
		if !looksHL7(string(seg[from:min(to, from+16)])) {
			return
		}
		h.fieldSep, h.componentSep = seg[from+3], seg[from+4]
		h.escapes = declaredEscapes(seg[from:to])
		h.odd = h.odd || bytes.ContainsAny(hl7Declared(seg[from:to]), ofNumbers)
		if seg[from+5] != h.fieldSep {
			h.repeatSep = seg[from+5]
		}
		h.next()
		return
	}
	if _, hides := h.escapes.resolve(seg[from:to]); hides {
		h.hides = true
	}
	if name == "PID" {
		h.next()
	}
	if seg[from+3] != h.fieldSep {
		return
	}
	for i, c := range split(seg, cut{from + 4, to}, h.fieldSep) {
		f, known := hl7Fields[name+"-"+itoa(i+1)]
		if !known || c.from == c.to {
			continue
		}
		for _, r := range split(seg, c, h.repeatSep) {
			h.repetition(seg, r, f)
		}
	}
}

// repetition marks one repetition of a field.
func (h *hl7) repetition(seg []byte, r cut, f hl7Field) {
	cs := split(seg, r, h.componentSep)
	first := at(cs, 1)
	text := func(i int) string {
		c := at(cs, i)
		return strings.ToUpper(strings.TrimSpace(string(seg[c.from:c.to])))
	}
	switch f.kind {
	case hl7Plain:
		h.field(first.from, first.to, f.label, f.typ)
	case hl7ID:
		h.id(first, f, text(5))
	case hl7Person:
		h.id(first, f, text(13))
	case hl7Phone:
		for _, i := range []int{1, 7, 12} {
			h.field(at(cs, i).from, at(cs, i).to, f.label, f.typ)
		}
		h.field(at(cs, 4).from, at(cs, 4).to, f.label, "EMAIL")
	case hl7Place:
		h.field(first.from, first.to, f.label, f.typ)
		h.field(at(cs, 5).from, at(cs, 5).to, f.label, "ZIP")
	case hl7Code:
		for _, i := range []int{1, 4} { // the code and the one beside it
			typ := f.typ
			if t := text(i + 2); t != "" {
				typ = hl7Systems[t]
			}
			h.field(at(cs, i).from, at(cs, i).to, f.label, typ)
		}
	}
}

// id marks an id whose own type is code, "" for none: then it is what the
// field is for. Of an id of a type that we do not know the field says nothing.
func (h *hl7) id(c cut, f hl7Field, code string) {
	switch typ, known := hl7IDTypes[code]; {
	case code == "":
		h.field(c.from, c.to, f.label, f.typ)
	case known:
		h.field(c.from, c.to, f.label, typ)
	default:
		name, _, _ := strings.Cut(f.label, " ")
		h.field(c.from, c.to, name, "")
	}
}
