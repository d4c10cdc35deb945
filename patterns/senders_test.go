package patterns_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// TestLowFrom: a sender that a rule lists, by address or by digest, is that one in
// whatever case, for that rule alone, and until its day is over.
func TestLowFrom(t *testing.T) {
	digest := func(b []byte) string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:16])
	}
	load := func(text string) (*patterns.Set, error) {
		path := filepath.Join(t.TempDir(), "site.toml")
		if err := os.WriteFile(path, []byte("schema = 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return patterns.Load(t.Context(), patterns.Source{BuiltIn: true, Paths: []string{path}, Digest: digest}, nil)
	}
	set, err := load("[[rules]]\nextends = \"us-ssn\"\n[[rules.allowlists]]\ndescription = \"order numbers\"\nsenders = [\"Orders@Lab.example\", \"" +
		digest(patterns.SenderValue("ward@lab.example")) + "\"]\nexpires = \"2027-01-31\"\n")
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		local string
		at    time.Time
		want  int
	}{{"orders", last, 1}, {"ORDERS", last, 1}, {"Ward", last, 1}, {"ward", last.Add(time.Hour), 0}, {"others", last, 0}} {
		got := set.LowFrom(dlp.Address{Local: c.local, Domain: "LAB.example"}, c.at)
		if len(got) != c.want || c.want == 1 && got[0] != "us-ssn" {
			t.Errorf("%s at %s: %v, want %d", c.local, c.at, got, c.want)
		}
	}
	if got := set.LowFrom(dlp.Address{}, last); len(got) != 0 {
		t.Errorf("the null reverse-path: %v", got)
	}
	for _, c := range []struct{ keys, want string }{
		{`senders = ["*@lab.example"]`, ":6: rules[0].allowlists[0].senders[0]: a whole address"},
		{`senders = ["lab.example"]`, "senders[0]: a whole address"},
		{"senders = [\"a@lab.example\"]\nvalues = [\"1\"]", "values, digests or senders"},
		{`senders = []`, "values: an array of values"},
	} {
		_, err := load("[[rules]]\nextends = \"us-ssn\"\n[[rules.allowlists]]\ndescription = \"d\"\n" + c.keys + "\n")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.keys, err, c.want)
		}
	}
}
