package patterns_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/patterns"
)

var longDigits = regexp.MustCompile(`\d{5,}`)

// TestRefusals: a reason is given exactly where the check refuses, and holds
// nothing of the value beyond the few numbers that the checks themselves name.
func TestRefusals(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 27))
	letters := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "9", "-", "-", " ", ".", "/", "A", "B", "d", "E", "X", "Mar", "é"}
	seeds := []string{"536-22-8145", "536-22-8145A", "36228145", "912-70-1234", "1EG4-TE5-MK73", "1234567893", "AB1234563", "4111 1111 1111 1111",
		"DE89370400440532013000", "021000021", "212-555-0142", "03/04/1961", "March 3, 1961", "RB-123456", "E11.9", ""}
	for _, name := range append(patterns.Validators(), patterns.Dictionaries()...) {
		p := patterns.Pattern{Validator: name}
		if slices.Contains(patterns.Dictionaries(), name) {
			p = patterns.Pattern{Dictionary: name}
		}
		for range 4000 {
			s := []byte(seeds[r.IntN(len(seeds))])
			for range r.IntN(4) {
				i := r.IntN(len(s) + 1)
				switch at := letters[r.IntN(len(letters))]; {
				case i == len(s) || r.IntN(3) == 0:
					s = append(s[:i:i], append([]byte(at), s[i:]...)...)
				case r.IntN(2) == 0:
					s = append(s[:i:i], s[i+1:]...)
				default:
					s[i] = at[0]
				}
			}
			refused := p.Refusals(string(s), false)
			if (len(refused) == 0) != p.Valid(string(s)) {
				t.Fatalf("%s: valid %t of %q, and refusals %v", name, p.Valid(string(s)), s, refused)
			}
			for _, x := range refused {
				if x.Check != name || x.Why == "" {
					t.Fatalf("%s refuses %q without a reason", name, s)
				}
				if d := longDigits.FindString(x.Why); d != "" && d != "80840" {
					t.Fatalf("%s of %q tells %q", name, s, x.Why)
				}
			}
		}
	}
}
