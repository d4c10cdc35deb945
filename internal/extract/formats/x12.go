package formats

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// x12Meaning is what a qualifier makes of the element it stands before.
type x12Meaning struct {
	label string
	typ   dlp.Type
}

// x12Names are the qualifiers of NM108 for the id in NM109.
//
// Source: ASC X12 005010X222A1, X223A2, X279A1 (NM1); data element 66.
var x12Names = map[string]x12Meaning{
	"MI": {"NM109 member identification number", "HEALTH_PLAN_ID"}, "II": {"NM109 standard unique health identifier", "HEALTH_PLAN_ID"},
	"XX": {"NM109 national provider identifier", "NPI"}, "34": {"NM109 social security number", "SSN"},
	"MR": {"NM109 Medicaid recipient identification number", "MEDICAID_ID"}, "ZZ": {"NM109 mutually defined", ""},
}

// x12References are the qualifiers of REF01 for the id in REF02.
//
// Source: ASC X12 005010X222A1, X223A2, X279A1 (REF); data element 128.
var x12References = map[string]x12Meaning{
	"SY": {"REF02 social security number", "SSN"}, "EA": {"REF02 medical record identification number", "MRN"},
	"0F": {"REF02 subscriber number", "HEALTH_PLAN_ID"}, "1W": {"REF02 member identification number", "HEALTH_PLAN_ID"}, "IG": {"REF02 insurance policy number", "HEALTH_PLAN_ID"},
	"F6": {"REF02 health insurance claim number", "HEALTH_PLAN_ID"}, "49": {"REF02 family unit number", "HEALTH_PLAN_ID"},
	"NQ": {"REF02 Medicaid recipient identification number", "MEDICAID_ID"}, "EJ": {"REF02 patient account number", "ACCOUNT"},
	"0B": {"REF02 state license number", "LICENSE"}, "HPI": {"REF02 national provider identifier", "NPI"}, "GH": {"REF02 identification card serial number", "HEALTH_PLAN_ID"},
}

// x12Contacts are the qualifiers of PER for the number behind each.
//
// Source: ASC X12 005010X222A1 (PER); data element 365.
var x12Contacts = map[string]x12Meaning{
	"TE": {"PER telephone", "PHONE"}, "HP": {"PER home phone", "PHONE"}, "WP": {"PER work phone", "PHONE"}, "CP": {"PER cellular phone", "PHONE"},
	"FX": {"PER fax", "PHONE"}, "EM": {"PER electronic mail", "EMAIL"}, "UR": {"PER uniform resource locator", "URL"},
}

// x12Codes are the qualifiers of a code in HI and SV1.
//
// Source: ASC X12 005010X222A1 (HI, SV1); data elements 1270 and 235.
var x12Codes = map[string]x12Meaning{
	"ABK": {"HI principal diagnosis", "ICD10"}, "ABF": {"HI diagnosis", "ICD10"}, "ABJ": {"HI admitting diagnosis", "ICD10"},
	"APR": {"HI reason for visit", "ICD10"}, "ABN": {"HI external cause of injury", "ICD10"},
	"BK": {"HI principal diagnosis", "ICD9"}, "BF": {"HI diagnosis", "ICD9"}, "BJ": {"HI admitting diagnosis", "ICD9"},
	"PR": {"HI reason for visit", "ICD9"}, "BN": {"HI external cause of injury", "ICD9"}, "HC": {"procedure code", "HCPCS"}, "N4": {"national drug code", "NDC"},
}

// isaElements and isaLength are the elements and the bytes of an interchange
// header. Its elements have fixed lengths, which not every writer keeps; the
// last is the sub-element separator, and the segment's end follows it.
//
// Source: ASC X12.5, ISA.
const (
	isaElements = 16
	isaLength   = 106
)

// x12Separators returns the separators of an interchange that begins with t.
func x12Separators(t string) (element, component, end byte, ok bool) {
	if len(t) < 4 || t[:3] != "ISA" || !separates(t[3]) {
		return 0, 0, 0, false
	}
	n := 0
	for i := 3; i < min(len(t)-2, 2*isaLength); i++ {
		if t[i] != t[3] {
			continue
		}
		if n++; n == isaElements {
			component, end = t[i+1], t[i+2]
			return t[3], component, end, separates(component) && separates(end)
		}
	}
	return 0, 0, 0, false
}

// separates reports what may part the pieces of an interchange: a sign, or a
// control character, such as the information separators 1C to 1F.
//
// Source: ASC X12.5 and X12.6 (delimiters); ISO/IEC 646.
func separates(c byte) bool { return sign(c) || c > 0 && c < ' ' }

// x12 marks the elements of an interchange.
type x12 struct {
	segmenter
	element, component byte
	odd                bool // a separator is one of ofNumbers
}

// newX12 returns a reader of an interchange that begins with isa.
func newX12(out *emitter, isa string) *x12 {
	element, component, end, _ := x12Separators(isa)
	x := &x12{element: element, component: component, odd: strings.ContainsAny(string([]byte{element, component, end}), ofNumbers)}
	x.out = out
	x.ends = func(c byte) bool { return c == end }
	x.mark = x.segment
	return x
}

// looksX12 reports an interchange by its header.
func looksX12(t string) bool {
	_, _, _, ok := x12Separators(t)
	return ok
}

// segment marks one segment.
func (x *x12) segment(seg []byte) {
	from := 0
	for from < len(seg) && (seg[from] == '\r' || seg[from] == '\n' || seg[from] == ' ') {
		from++
	}
	to := len(seg)
	if from >= to {
		return
	}
	es := split(seg, cut{from, to}, x.element)
	text := func(i int) string { c := at(es, i+1); return strings.TrimSpace(string(seg[c.from:c.to])) }
	mark := func(i int, m x12Meaning) {
		if c := at(es, i+1); m.label != "" {
			x.field(c.from, c.to, m.label, m.typ)
		}
	}
	switch text(0) {
	case "ST", "HL": // a transaction; a level of it: a payer, a subscriber, a patient
		x.next()
	case "NM1":
		if text(2) == "1" {
			mark(3, x12Meaning{"NM103 last name", "NAME"})
			mark(4, x12Meaning{"NM104 first name", "NAME"})
		}
		mark(9, x12Names[text(8)])
	case "REF":
		mark(2, x12References[text(1)])
	case "DMG":
		mark(2, x12Meaning{"DMG02 date of birth", "DOB"})
	case "DTP":
		mark(3, x12Meaning{"DTP03 date of service", "DATE"})
	case "PER":
		for i := 3; i <= 7; i += 2 {
			mark(i+1, x12Contacts[text(i)])
		}
	case "N3":
		mark(1, x12Meaning{"N301 address", "ADDRESS"})
	case "N4":
		mark(3, x12Meaning{"N403 postal code", "ZIP"})
	case "CLM":
		mark(1, x12Meaning{"CLM01 patient account number", "ACCOUNT"})
	case "LIN":
		mark(3, x12Codes[text(2)])
	case "HI", "SV1":
		for _, e := range es[1:] {
			x.code(seg, e)
		}
	case "SV2":
		x.code(seg, at(es, 3))
	}
}

// code marks the code in an element that begins with its qualifier.
func (x *x12) code(seg []byte, e cut) {
	cs := split(seg, e, x.component)
	m, ok := x12Codes[string(seg[at(cs, 1).from:at(cs, 1).to])]
	if c := at(cs, 2); ok {
		x.field(c.from, c.to, m.label, m.typ)
	}
}
