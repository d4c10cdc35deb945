package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestDigests: a value has one digest however it is written, which a ring of the
// same folder gives too, and another site another.
func TestDigests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	ring, err := crypt.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	other, err := crypt.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := crypt.ValueDigests(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	ssn := func(line string) []byte { return scanner.Canonical("SSN", line) }
	if err := printDigests(strings.NewReader("536-22-8145\n\n 536 22 8145 \n536228146\n"), &out, ssn, digest); err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(out.String())
	if len(got) != 3 || got[0] != got[1] || got[1] == got[2] || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(got[0]) {
		t.Fatalf("printed %q", got)
	}
	if ring.ValueDigest([]byte("536228145")) != got[0] || other.ValueDigest([]byte("536228145")) == got[0] {
		t.Error("the digest is not this site's alone")
	}
	for _, in := range []string{"", "\n", "--\n"} {
		if err := printDigests(strings.NewReader(in), &out, ssn, digest); !errors.Is(err, errNoValue) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := crypt.ValueDigests(t.TempDir()); !errors.Is(err, crypt.ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
}
