package formats

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// rootTypes are what identifiers are by their root: each is the OID under which its
// issuer registered it with HL7.
//
// Source: HL7's OID registry.
var rootTypes = map[string]dlp.Type{
	"2.16.840.1.113883.4.1": "SSN", "2.16.840.1.113883.4.6": "NPI", "2.16.840.1.113883.4.927": "MBI", "2.16.840.1.113883.4.814": "DEA",
	"2.16.840.1.113883.4.572": "HEALTH_PLAN_ID", "2.16.840.1.113883.2.1.4.1": "NATIONAL_ID",
}

// licenceRoot is the root of drivers' licences; a state's own is one number below.
const licenceRoot = "2.16.840.1.113883.4.3."

// rootType returns what an identifier is by its root.
func rootType(root string) (typ dlp.Type, known bool) {
	if typ, known = rootTypes[root]; known {
		return typ, true
	}
	if state, ok := strings.CutPrefix(root, licenceRoot); ok && state != "" && strings.Trim(state, "0123456789") == "" {
		return "DRIVER_LICENSE", true
	}
	return "", false
}

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
		switch typ, known := rootType(root); {
		case known && (typ != "SSN" || nineDigits(x.value(from, to))):
			x.mark(from, to, "id "+string(typ), typ)
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
