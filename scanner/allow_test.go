package scanner

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// TestListedHoldsForAllOfType: a value that one rule lists is reported by none of
// the same type, whole or in part; elsewhere its parts are, and so are its likes.
// The explanation says so, and agrees with the scan.
func TestListedHoldsForAllOfType(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		listed(t, sealed)
	}
}

// siteDigest stands for the site's keyed digest.
func siteDigest(canonical []byte) string {
	sum := sha256.Sum256(append([]byte("key "), canonical...))
	return hex.EncodeToString(sum[:16])
}

// listed is TestListedHoldsForAllOfType with values, or with their digests.
func listed(t *testing.T, sealed bool) {
	t.Helper()
	for _, tt := range []struct {
		rule, value, text string
		typ               dlp.Type
		found             int // of typ
	}{
		{"dob", "01/01/1900", "DOB 01/01/1900", "DOB", 0},
		{"dob", "01/01/1900", "DOB01/01/1900 and DOB 1900-01-01", "DOB", 0},
		{"dob", "01/01/1900", "DOB 01/02/1900", "DOB", 1},
		{"us-ssn", "531-22-8140", "SSN:531-22-8140DOB", "SSN", 0},
		{"us-ssn", "531-22-8140", "SSN:531-22-8141DOB", "SSN", 1},
		{"us-ssn", "531-22-8140", "member 531 22 8140 x", "SSN", 0},
		{"us-ssn", "531-22-8140", "member 531 22 8141 x", "SSN", 1},
		{"us-mrn", "e-0012345", "MRN: e-0012345", "MRN", 0},
		{"us-mrn", "e-0012345", "MRN: e-0012345, MRN 0012345", "MRN", 1},
		{"us-mrn", "e-0012345", "MRN: e-0012346", "MRN", 1},
	} {
		path := filepath.Join(t.TempDir(), "site.toml")
		site := "schema = 1\n[[rules]]\nextends = \"" + tt.rule + "\"\n[[rules.allowlists]]\ndescription = \"training\"\nvalues = [\"" + tt.value + "\"]\n"
		if sealed {
			site = strings.Replace(site, "values = [\""+tt.value, "digests = [\""+siteDigest(Canonical(tt.typ, tt.value)), 1)
		}
		if err := os.WriteFile(path, []byte(site), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true, Paths: []string{path}, Digest: siteDigest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := New(set)
		e := agree(t, s, tt.text, nil, false)
		n := 0
		for _, f := range e.Findings {
			if f.Type == tt.typ {
				n++
			}
		}
		listed := slices.ContainsFunc(e.Candidates, func(c Candidate) bool {
			return c.StoppedBy == StepAllowlist && c.Outcome == Stopped && slices.ContainsFunc(c.Steps, func(s StepReport) bool {
				return s.Step == "allowlist" && s.Outcome == stepStops && strings.Contains(s.Why, "listed")
			})
		})
		if n != tt.found || listed != strings.Contains(strings.ToLower(tt.text), tt.value) && listed != (tt.found == 0) {
			t.Errorf("%q with %s listed: %d findings of %s, want %d; told as listed: %v", tt.text, tt.value, n, tt.typ, tt.found, listed)
		}
		for _, c := range e.Candidates { // a rule that is explained by itself says the same
			x := s.Explain(ExplainOptions{Rules: []dlp.RuleID{c.Rule.ID}})
			if err := Feed(x, dlp.PartInfo{}, []byte(tt.text)); err != nil {
				t.Fatal(err)
			}
			for _, alone := range x.Finish().Candidates {
				if alone.Start == c.Start && alone.End == c.End && alone.Pattern == c.Pattern && (alone.StoppedBy != c.StoppedBy || alone.Outcome != c.Outcome) {
					t.Errorf("%q: %s: %s by %v, but %s by %v explained alone", tt.text, c.Rule.ID, c.Outcome, c.StoppedBy, alone.Outcome, alone.StoppedBy)
				}
			}
		}
	}
}
