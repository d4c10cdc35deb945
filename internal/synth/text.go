package synth

import (
	"fmt"
	"strings"
)

// CleanLetter returns a letter without anything about a patient, one string a
// paragraph.
func CleanLetter() []string {
	return []string{
		"Dear colleagues,",
		"the new parking rules come into force next week. Visitors leave their cars on the upper deck; the lower deck is kept for deliveries and for the ambulance bay.",
		"The canteen has moved its opening hours by half an hour. Please pass this on to the teams on the second floor.",
		"Kind regards,",
		"Facilities, Alder Clinic",
	}
}

// Referral returns a letter that refers the patient to a colleague: name, date
// of birth, record number and diagnoses, no SSN. One string a paragraph.
func Referral(p Patient) []string {
	return []string{
		"Dear colleague,",
		fmt.Sprintf("thank you for seeing %s, born %s, medical record number %s.", p.Name(), usDate(p.Born), p.MRN),
		"Diagnoses: " + diagnosisList(p) + ".",
		fmt.Sprintf("The patient lives at %s, %s, %s %s and is reached under %s.", p.Street, p.Town, p.State, p.ZIP, p.Phone),
		"Please send your findings to our office.",
		p.Physician + ", NPI " + p.NPI,
	}
}

// BillingNote returns the kind of message that should never be written: an SSN
// in the body. One string a paragraph.
func BillingNote(p Patient) []string {
	return []string{
		"Hello,",
		fmt.Sprintf("the claim for %s came back. Her social security number is %s, please file it again today.", p.Name(), p.SSN),
		"Thanks,",
		"Billing, Alder Clinic",
	}
}

// DischargeSummary returns the pages of a summary, one string a line: who on
// the first page, what on the second.
func DischargeSummary(p Patient) [][]string {
	first := []string{
		"DISCHARGE SUMMARY",
		"Alder Clinic, Port Alder",
		"",
		"Patient: " + p.Name(),
		"DOB: " + usDate(p.Born),
		"MRN: " + p.MRN,
		"Medicare number: " + p.DashedMBI(),
		"Phone: " + p.Phone,
		"",
		"Admitted: " + usDate(p.Admitted),
		"Discharged: " + usDate(p.Discharged),
	}
	second := []string{"Diagnoses (ICD-10-CM)"}
	for _, d := range p.Diagnoses {
		second = append(second, d.Code+"  "+d.Text)
	}
	second = append(second, "", "Course: uneventful. Follow-up in two weeks.", "", p.Physician, "NPI "+p.NPI)
	return [][]string{first, second}
}

// Register returns a table of patients with its header row: record number,
// name, date of birth, diagnosis; with an SSN column if ssn is set.
func Register(ps []Patient, ssn bool) [][]string {
	header := []string{"MRN", "Last name", "First name", "DOB", "Diagnosis"}
	if ssn {
		header = append(header, "SSN")
	}
	rows := [][]string{header}
	for _, p := range ps {
		row := []string{p.MRN, p.Family, p.Given, usDate(p.Born), p.Diagnoses[0].Code}
		if ssn {
			row = append(row, p.SSN)
		}
		rows = append(rows, row)
	}
	return rows
}

// PriceList returns a table without anything about a patient.
func PriceList() [][]string {
	return [][]string{
		{"Item", "Unit", "Price"},
		{"Printer paper, A4", "box", "31.50"},
		{"Nitrile gloves, medium", "carton", "84.00"},
		{"Hand soap", "litre", "4.20"},
	}
}

func diagnosisList(p Patient) string {
	var ds []string
	for _, d := range p.Diagnoses {
		ds = append(ds, d.Text+" ("+d.Code+")")
	}
	return strings.Join(ds, "; ")
}
