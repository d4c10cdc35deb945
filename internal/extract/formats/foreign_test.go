package formats_test

import (
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// healthModules is where .ci/deps puts node-x12 and fhir, which write X12 and FHIR.
const healthModules = "/var/cache/stanch-tests/health/node_modules"

// written lets other programs write a document, and takes what they say of it.
func written(t *testing.T, into any, args ...string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(healthModules, "node-x12", "package.json")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node-x12 and fhir are not installed: .ci/deps installs them")
		}
		t.Skip("node-x12 and fhir are not installed: .ci/deps installs them")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"testdata/documents.cjs", healthModules}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatal(err)
	}
}

// TestClaimsOfNodeX12: the elements of claims that another program wrote say what it
// finds in them, one patient a group, with usual separators and others.
func TestClaimsOfNodeX12(t *testing.T) {
	for signs, path := range map[string]string{"*:~": "", "|>!": "", "+:~": "~2"} {
		t.Run(signs, func(t *testing.T) {
			var wrote struct {
				File   string
				Values []string
			}
			written(t, &wrote, "x12", signs)
			a := serve(t, false, limits, []byte(wrote.File))
			groups := map[string]int{}
			var got []string
			for _, m := range a.meanings(path) {
				value, group, _ := strings.Cut(m, "@")
				got = append(got, value)
				groups[group]++
			}
			slices.Sort(got)
			slices.Sort(wrote.Values)
			if !slices.Equal(got, wrote.Values) {
				t.Errorf("got %q, want %q of\n%s", got, wrote.Values, wrote.File)
			}
			if len(groups) != 2 {
				t.Errorf("groups %v, want one for each of two patients", groups)
			}
		})
	}
}

// TestBundlesOfFHIR: a bundle that another program wrote in XML says what it does in
// JSON.
func TestBundlesOfFHIR(t *testing.T) {
	var wrote struct{ JSON, XML string }
	written(t, &wrote, "fhir")
	want := serve(t, false, limits, []byte(wrote.JSON)).meanings("")
	got := serve(t, false, limits, []byte(wrote.XML)).meanings("")
	for i := range got {
		got[i] = html.UnescapeString(got[i])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("XML says %q, JSON %q", got, want)
	}
	if len(want) != 13 || !slices.Contains(want, "MRN=E1234567@2") || !slices.Contains(want, "ICD10=E11.9@4") {
		t.Errorf("%d meanings %q, want all 13 of three resources", len(want), want)
	}
}
