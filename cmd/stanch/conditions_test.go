package main

import (
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// TestPersons: one person's mail is found however their address is typed, and what
// older events have too.
func TestPersons(t *testing.T) {
	t.Parallel()
	ring, err := crypt.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{node: &node{ring: ring}}
	folded, old := ring.Pseudonym(gateway.AddressKind, "ann@clinic.example"), ring.Pseudonym(gateway.AddressKind, "Ann@clinic.example")
	for typed, want := range map[string][]string{"ann@clinic.example": {folded}, "Ann@Clinic.example": {folded, old}} {
		if got, err := s.persons(typed); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", typed, got, err, want)
		}
	}
	if _, err := s.persons("nobody"); err == nil {
		t.Error("what is no address is a person's")
	}
}
