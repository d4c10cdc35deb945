package policy

import "github.com/stanch-dlp/stanch/internal/dlp"

// Patients counts the distinct patients that identifiers found at medium or above
// point at, as min_patients of a condition on the tag identifier does; 0 for none.
func Patients(found []dlp.Finding) int {
	c := condition{tag: dlp.TagIdentifier, confidence: dlp.Medium}
	k := &known{findings: found}
	var of []int
	for i := range found {
		if c.finding(&found[i]) {
			of = append(of, i)
		}
	}
	if len(of) == 0 {
		return 0
	}
	return k.patients(&c, of)
}
