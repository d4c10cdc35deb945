package formats

import "strings"

// Roots of identifiers in clinical documents: each is the OID under which its
// issuer registered it with HL7.
const (
	oidSSN = "2.16.840.1.113883.4.1"
	oidNPI = "2.16.840.1.113883.4.6"
	oidMBI = "2.16.840.1.113883.4.927"
)

// cda is the vocabulary of a clinical document: ids by their root, birth,
// telephone, ZIP and street.
//
// Source: HL7 CDA R2, and Consolidated CDA R2.1, 1.1 (US realm header).
type cda struct{}

func (cda) together() bool { return false }

func (cda) flushed() {}

func (cda) shut(*xmlFields, string) {}

// looksCDA reports a clinical document by its first element.
func looksCDA(head string) bool {
	i := strings.Index(head, "ClinicalDocument")
	return i > 0 && (head[i-1] == '<' || head[i-1] == ':') && strings.Contains(head, "urn:hl7-org:v3")
}

// content implements vocabulary.
func (cda) content(x *xmlFields, from, to int) {
	switch x.name(0) {
	case "postalCode":
		x.mark(from, to, "postalCode", "ZIP")
	case "streetAddressLine":
		x.mark(from, to, "streetAddressLine", "ADDRESS")
	}
}

// open implements vocabulary.
func (cda) open(x *xmlFields, name string) {
	switch name {
	case "patientRole":
		x.group++
	case "birthTime":
		from, to := x.attribute("value")
		x.mark(from, to, "birthTime", "DOB")
	case "telecom":
		from, to := x.attribute("value")
		if v := x.value(from, to); strings.HasPrefix(v, "tel:") || strings.HasPrefix(v, "fax:") {
			x.mark(from+4, to, "telecom", "PHONE")
		}
	case "id":
		root := x.value(x.attribute("root"))
		from, to := x.attribute("extension")
		switch {
		case root == oidNPI:
			x.mark(from, to, "id NPI", "NPI")
		case root == oidMBI:
			x.mark(from, to, "id MBI", "MBI")
		case root == oidSSN && nineDigits(x.value(from, to)):
			x.mark(from, to, "id SSN", "SSN")
		case x.name(0) == "patientRole":
			x.mark(from, to, "patientRole id", "MRN")
		}
	}
}

// nineDigits reports an SSN's number of digits and separators.
func nineDigits(s string) bool {
	d := strings.NewReplacer("-", "", " ", "", ".", "").Replace(s)
	return len(d) == 9 && strings.Trim(d, "0123456789") == ""
}
