package patterns_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// TestCoaching: a site gives a built-in rule words for senders without touching
// what it finds, a later file replaces them, and its address with them.
func TestCoaching(t *testing.T) {
	first := write(t, "1.toml", "schema = 1\n[[rules]]\nextends = \"us-ssn\"\ncoaching = \" Use the member number. \"\ncoaching_url = \"https://intranet.clinic.example/ssn?a=b#c\"\n")
	second := write(t, "2.toml", "schema = 1\n[[rules]]\nextends = \"us-ssn\"\ncoaching = \"Ask first.\"\n")
	plain, err := load(t, patterns.Source{BuiltIn: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		paths []string
		want  dlp.Coaching
	}{
		{nil, dlp.Coaching{}},
		{[]string{first}, dlp.Coaching{Text: "Use the member number.", URL: "https://intranet.clinic.example/ssn?a=b#c"}},
		{[]string{first, second}, dlp.Coaching{Text: "Ask first."}},
	} {
		set, err := load(t, patterns.Source{BuiltIn: true, Paths: tt.paths})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Coaching()["us-ssn"]; got != tt.want {
			t.Errorf("%d files: %+v, want %+v", len(tt.paths), got, tt.want)
		}
		if set.Digest() != plain.Digest() {
			t.Errorf("%d files: the digest changed, though nothing else is found", len(tt.paths))
		}
	}
}
