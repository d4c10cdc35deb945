package formats

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// scriptXML is the vocabulary of an electronic prescription: the text of each
// element goes under its name, each message is a group, and identification,
// birth, names, addresses, telephone numbers and codes go with their meaning.
//
// Source: NCPDP SCRIPT 10.6 and 2017071 (patient, prescriber, benefits
// coordination, diagnosis, drug coded).
type scriptXML struct {
	code, number int // the spans of the code and the number at hand, from 1; 0 for none
}

// looksSCRIPT reports a prescription by its name space, or by its root and the
// version that it names.
func looksSCRIPT(head string) bool {
	head = head[:min(len(head), 4096)]
	if strings.Contains(head, "ncpdp.org/schema/") {
		return true
	}
	i := strings.Index(head, "Message")
	return i > 0 && (head[i-1] == '<' || head[i-1] == ':') && strings.Contains(head, "<Header") && (strings.Contains(head, "NCPDP") || strings.Contains(head, "StructuresVersion"))
}

// scriptElements say what the text of an element is.
var scriptElements = map[string]dlp.Type{
	"MedicalRecordIdentificationNumberEHR": "MRN", "PatientAccountNumber": "ACCOUNT", "SocialSecurity": "SSN", "MedicareNumber": "MBI", "MedicaidNumber": "MEDICAID_ID",
	"DriversLicense": "DRIVER_LICENSE", "DriversLicenseNumber": "DRIVER_LICENSE", "REMSPatientID": "MRN", "NPI": "NPI", "DEANumber": "DEA",
	"StateLicenseNumber": "LICENSE", "CardholderID": "HEALTH_PLAN_ID", "PBMMemberID": "HEALTH_PLAN_ID", "DateOfBirth": "DOB",
	"ElectronicMail": "EMAIL", "Email": "EMAIL", "NDC": "NDC",
}

// scriptOfPatient say the same of the patient's elements alone.
var scriptOfPatient = map[string]dlp.Type{
	"LastName": "NAME", "FirstName": "NAME", "MiddleName": "NAME", "AddressLine1": "ADDRESS", "AddressLine2": "ADDRESS", "PostalCode": "ZIP", "ZipCode": "ZIP",
	"FileID": "MRN", "PatientID": "MRN",
}

// scriptQualifiers say what a code is by the qualifier beside it: of a
// diagnosis, of a drug, of a number.
//
// Source: NCPDP External Code List; X12 data element 365.
var scriptQualifiers = map[string]dlp.Type{
	"ABF": "ICD10", "DX": "ICD9", "LD": "SNOMED", "ND": "NDC", "TE": "PHONE", "FX": "PHONE", "CP": "PHONE", "HP": "PHONE", "NP": "PHONE", "WP": "PHONE", "BN": "PHONE", "EM": "EMAIL",
}

// together implements vocabulary.
func (s *scriptXML) together() bool { return s.code > 0 || s.number > 0 }

// flushed implements vocabulary.
func (s *scriptXML) flushed() { s.code, s.number = 0, 0 }

// open implements vocabulary.
func (*scriptXML) open(x *xmlFields, name string) {
	if name == "Message" || name == "Patient" && !x.within("Message") {
		x.group++
	}
}

// shut implements vocabulary.
func (s *scriptXML) shut(_ *xmlFields, name string) {
	if name != "Code" && name != "Number" && name != "Qualifier" && name != "Extension" { // what stands beside each other has ended
		s.code, s.number = 0, 0
	}
}

// content implements vocabulary.
func (s *scriptXML) content(x *xmlFields, from, to int) {
	name := x.name(0)
	typ := scriptElements[name]
	switch {
	case name == "Date" && x.name(1) == "DateOfBirth":
		typ = "DOB"
	case name == "Number" && strings.Contains(x.name(1), "Telephone") || name == "Number" && x.name(1) == "Fax":
		typ = "PHONE"
	case typ == "" && x.within("Patient"):
		typ = scriptOfPatient[name]
	}
	n := x.mark(from, to, name, typ)
	switch name {
	case "Code":
		s.code = n
	case "Number":
		s.number = n
	case "Qualifier":
		q := scriptQualifiers[strings.ToUpper(x.value(from, to))]
		for _, beside := range []int{s.code, s.number} {
			if beside > 0 && q != "" {
				x.spans[beside-1].Type = q
			}
		}
	}
}
