package formats

import (
	"cmp"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// fhirSystems say what an identifier or a code is.
//
// Source: HL7 FHIR R4, 2.17 (terminologies), 2.18 (identifier systems).
var fhirSystems = map[string]dlp.Type{
	"http://hl7.org/fhir/sid/us-ssn": "SSN", "http://hl7.org/fhir/sid/us-npi": "NPI", "http://hl7.org/fhir/sid/us-mbi": "MBI", "http://hl7.org/fhir/sid/us-medicare": "HEALTH_PLAN_ID",
	"https://fhir.nhs.uk/id/nhs-number": "NATIONAL_ID", "https://fhir.nhs.net/id/nhs-number": "NATIONAL_ID", "http://fhir.nhs.net/id/nhs-number": "NATIONAL_ID",
	"http://hl7.org/fhir/sid/icd-10-cm": "ICD10", "http://hl7.org/fhir/sid/icd-10": "ICD10", "http://hl7.org/fhir/sid/icd-9-cm": "ICD9",
	"http://loinc.org": "LOINC", "http://snomed.info/sct": "SNOMED", "http://hl7.org/fhir/sid/ndc": "NDC",
	"urn:oid:2.16.840.1.113883.6.90": "ICD10", "urn:oid:2.16.840.1.113883.6.3": "ICD10", "urn:oid:2.16.840.1.113883.6.103": "ICD9", "urn:oid:2.16.840.1.113883.6.1": "LOINC",
	"urn:oid:2.16.840.1.113883.6.96": "SNOMED", "urn:oid:2.16.840.1.113883.6.69": "NDC",
}

// fhirSystem returns what a system, in small letters, makes of an identifier or a
// code.
//
// Source: HL7 FHIR R4, 2.18; HL7 Terminology, NamingSystems of passports (one for
// each country).
func fhirSystem(system string) (typ dlp.Type, known bool) {
	if typ, known = fhirSystems[system]; known {
		return typ, true
	}
	if oid, ok := strings.CutPrefix(system, "urn:oid:"); ok {
		return rootType(oid)
	}
	if strings.HasPrefix(system, "http://hl7.org/fhir/sid/passport-") {
		return "PASSPORT", true
	}
	return "", false
}

// fhirTelecom says what a contact point's system makes of its value.
var fhirTelecom = map[string]dlp.Type{"phone": "PHONE", "fax": "PHONE", "sms": "PHONE", "pager": "PHONE", "email": "EMAIL", "url": "URL"}

// fhirWords say what an identifier is where only the text of its type does, the
// first that stands in it.
var fhirWords = []struct {
	word string
	typ  dlp.Type
}{
	{"ssn", "SSN"}, {"social security", "SSN"}, {"soc sec", "SSN"}, {"mbi", "MBI"}, {"medicare beneficiary", "MBI"}, {"medicaid", "MEDICAID_ID"},
	{"npi", "NPI"}, {"national provider", "NPI"}, {"dea", "DEA"}, {"driver", "DRIVER_LICENSE"}, {"passport", "PASSPORT"}, {"itin", "ITIN"},
	{"mrn", "MRN"}, {"medical record", "MRN"}, {"med rec", "MRN"}, {"chart", "MRN"}, {"patient id", "MRN"},
	{"member", "HEALTH_PLAN_ID"}, {"subscriber", "HEALTH_PLAN_ID"}, {"insurance", "HEALTH_PLAN_ID"}, {"health plan", "HEALTH_PLAN_ID"},
	{"medicare", "HEALTH_PLAN_ID"}, {"policy", "HEALTH_PLAN_ID"}, {"account", "ACCOUNT"},
	{"visit", ""}, {"encounter", ""}, {"order", ""}, {"accession", ""}, {"specimen", ""}, {"case", ""}, {"phone", ""}, {"version", ""},
}

// fhirWord returns what the text of an identifier's type says that it is; ok is
// false where it says nothing that is known.
func fhirWord(text string) (typ dlp.Type, ok bool) {
	text = " " + strings.Join(strings.FieldsFunc(strings.ToLower(strings.ReplaceAll(text, ".", "")), func(r rune) bool { return r < '0' || r > 'z' || r > '9' && r < 'a' }), " ")
	for _, w := range fhirWords {
		if strings.Contains(text, " "+w.word) {
			return w.typ, true
		}
	}
	return "", false
}

// fhirMeaning returns what the value of an element is, by the element's name,
// its system in lower case, the code of its type in upper case, its type in words,
// and whether a patient is told of. ok is false where the element says nothing of
// its value.
func fhirMeaning(name, system, code, text string, ofPatient bool) (typ dlp.Type, ok bool) {
	typ, known := fhirSystem(system)
	switch name {
	case "identifier", "valueIdentifier":
		if !known && code != "" {
			typ, known = hl7IDTypes[code]
		}
		if !known {
			typ, known = fhirWord(text)
		}
		if !known && code == "" && ofPatient {
			typ = "MRN"
		}
	case "telecom":
		typ = fhirTelecom[system]
	case "subscriberId":
		typ = "HEALTH_PLAN_ID"
	case "coding", "valueCoding":
	default:
		return "", false
	}
	return typ, true
}

// fhirElement returns what a value is by the name of its element and of the one
// around it.
//
// Source: HL7 FHIR R4, 2.24.0.1 (uri), 2.24.0.12 (Identifier.system), 2.5.1
// (Extension.url), 2.27.1 (Meta.profile).
func fhirElement(name, parent string, ofPatient bool) dlp.Type {
	switch {
	case name == "system", name == "profile" && parent == "meta", name == "url" && (parent == "extension" || parent == "modifierExtension"):
		return dlp.Definition
	case name == "birthDate":
		return "DOB"
	case name == "postalCode":
		return "ZIP"
	case name == "line":
		return "ADDRESS"
	case name == "subscriberId": // of a Coverage; R5's is an identifier
		return "HEALTH_PLAN_ID"
	case (name == "family" || name == "given") && parent == "name" && ofPatient:
		return "NAME"
	}
	return ""
}

// fhirXML is the vocabulary of FHIR in XML: each value goes under its element's
// name, each resource is a group, and identifiers, codes, telephone numbers,
// names and addresses go with their meaning.
//
// Source: HL7 FHIR R4, 2.6.1 (XML representation), 2.24 (data types), 8.1 (Patient).
type fhirXML struct {
	stack []fhirFrame // as xmlFields.names
	next  uint32      // the last group that was given
}

// fhirFrame is an open element.
type fhirFrame struct {
	system, code string
	text         string // of its type: what a person reads
	value        int    // the span of its value or code, from 1; 0 for none
	outer        uint32 // of a resource: the group around it
	resource     bool
}

// looksFHIR reports FHIR in XML: its name space stands in the first element.
func looksFHIR(head string) bool {
	return strings.Contains(head[:min(len(head), 4096)], `"http://hl7.org/fhir"`) || strings.Contains(head[:min(len(head), 4096)], `'http://hl7.org/fhir'`)
}

// together implements vocabulary.
func (f *fhirXML) together() bool {
	for i := range f.stack {
		if f.stack[i].value > 0 {
			return true
		}
	}
	return false
}

// content implements vocabulary: FHIR has its values in attributes, and text
// only in the narrative.
func (*fhirXML) content(*xmlFields, int, int) {}

// open implements vocabulary.
func (f *fhirXML) open(x *xmlFields, name string) {
	frame := fhirFrame{outer: x.group}
	if c := name[:min(len(name), 1)]; c >= "A" && c <= "Z" { // only resources have such names
		frame.resource = true
		f.next++
		x.group = f.next
	}
	if len(f.stack) < maxNames {
		f.stack = append(f.stack, frame)
	}
	if url, end := x.attribute("url"); name == "extension" || name == "modifierExtension" {
		x.mark(url, end, "url", dlp.Definition)
	}
	from, to := x.attribute("value")
	if from >= to || len(f.stack) < 2 {
		return
	}
	n := x.mark(from, to, name, fhirElement(name, x.name(0), f.ofPatient(x)))
	up := &f.stack[len(f.stack)-2]
	switch value := x.value(from, to); name {
	case "system":
		up.system = strings.ToLower(value)
	case "value":
		up.value = n
	case "code":
		up.value, up.code = n, strings.ToUpper(value)
	case "text", "display": // the text of a type comes behind its coding and is the author's own
		up.text = value
	}
}

// shut implements vocabulary.
func (f *fhirXML) shut(x *xmlFields, name string) {
	if len(f.stack) == 0 || len(f.stack) > len(x.names)+1 {
		return
	}
	closed := f.stack[len(f.stack)-1]
	f.stack = f.stack[:len(f.stack)-1]
	if closed.resource {
		x.group = closed.outer
	}
	if closed.value > 0 && closed.value <= len(x.spans) {
		if typ, ok := fhirMeaning(name, closed.system, closed.code, closed.text, f.ofPatient(x)); ok {
			x.spans[closed.value-1].Type = typ
		}
	}
	if len(f.stack) == 0 {
		return
	}
	if up := &f.stack[len(f.stack)-1]; name == "coding" && x.name(0) == "type" || name == "type" && x.name(0) == "identifier" {
		up.code, up.text = cmp.Or(closed.code, up.code), cmp.Or(closed.text, up.text)
	}
}

// ofPatient reports whether the innermost open resource is a patient.
func (f *fhirXML) ofPatient(x *xmlFields) bool {
	for i := min(len(f.stack), len(x.names)) - 1; i >= 0; i-- {
		if f.stack[i].resource {
			return x.names[i] == "Patient"
		}
	}
	return false
}

// flushed implements vocabulary.
func (f *fhirXML) flushed() {
	for i := range f.stack {
		f.stack[i].value = 0
	}
}
