package dlp

import "slices"

// Type is what a Finding is. The vocabulary is closed (docs/contract.md, scan).
type Type string

// Definition is of a Span, never of a Finding: the field names a system, a profile or
// a name space and says nothing of anybody.
const Definition Type = "definition"

// Types lists the vocabulary.
func Types() []Type { return slices.Clone(types) }

var types = []Type{
	"SSN", "ITIN", "MRN", "HEALTH_PLAN_ID", "MBI", "MEDICAID_ID", "NPI", "DEA", "ACCOUNT", "CREDIT_CARD", "IBAN",
	"US_BANK", "PASSPORT", "DRIVER_LICENSE", "LICENSE", "NATIONAL_ID", "VIN", "DEVICE_ID", "UDI", "IP", "MAC", "URL",
	"EMAIL", "PHONE", "FAX", "NAME", "ADDRESS", "ZIP", "DOB", "DATE", "AGE_OVER_89", "BIOMETRIC", "PHOTO", "ICD10",
	"ICD9", "NDC", "LOINC", "SNOMED", "HCPCS", "DRUG", "CONDITION", "LAB", "PATIENT", "SECRET", "CUSTOM",
}

// KnownType reports whether t is in the vocabulary.
func KnownType(t Type) bool { return slices.Contains(types, t) }
