package department

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// Bounds on what is configured.
const (
	maxDepartments = 200
	maxPatterns    = 1000 // of all departments together
	maxGlobs       = 200  // of these, with a *: each is tried for each message
	maxName        = 60   // bytes
	maxLeast       = 100
)

// Config is the section [departments].
type Config struct {
	// File is a CSV file that says whose department is which: a line `ADDRESS,DEPARTMENT` for each sender, in UTF-8, at most 200,000 of them and 16 MiB. An empty line, one that begins with `#`, and a first line
	// `address,department` say nothing. It goes before `list`, and is read again with the configuration: a file with a mistake leaves in force what was.
	File string `toml:"file"`
	// LeastSenders is the fewest senders that a department is shown alone with to those who may not see names (viewers, auditors). Smaller ones are shown together, see docs/console.md.
	LeastSenders int `toml:"least_senders"`
	// List are departments by patterns of their senders, one [[departments.list]] for each, at most 200 with those of `file`. The first that means a sender is theirs.
	List []Named `toml:"list"`
}

// Named is one [[departments.list]] table.
type Named struct {
	// Name is what the department is called: at most 60 bytes, beginning with a letter or digit.
	Name string `toml:"name"`
	// Senders lists patterns for the envelope sender as policies have them: `dr.lee@clinic.example`, `rad-*@clinic.example`, `radiology.clinic.example` for everybody there, `*.radiology.clinic.example` for the domains below it. At most 1,000 in all, 200 of them with a `*`.
	Senders []string `toml:"senders"`
}

// Default returns the defaults: no departments.
func Default() Config { return Config{LeastSenders: 5} }

// On reports whether there are departments.
func (c *Config) On() bool { return c.File != "" || len(c.List) > 0 }

// Validate reports what is wrong, as *dlp.KeyErrors. The file is not looked at.
func (c *Config) Validate() error {
	var errs []error
	want := func(key, want string) { errs = append(errs, &dlp.KeyError{Key: "departments." + key, Want: want}) }
	if c.LeastSenders < 2 || c.LeastSenders > maxLeast {
		want("least_senders", fmt.Sprintf("a number from 2 to %d: of one sender alone everything is about that person", maxLeast))
	}
	if len(c.List) > maxDepartments {
		want("list", fmt.Sprintf("at most %d departments", maxDepartments))
	}
	var names []string
	patterns, globs := 0, 0
	for i, d := range c.List {
		at := fmt.Sprintf("list[%d]", i)
		switch {
		case !goodName(d.Name):
			want(at+".name", fmt.Sprintf("a name of at most %d bytes that begins with a letter or digit, without control characters", maxName))
		case slices.Contains(names, d.Name):
			want(at+".name", "a name that no other department has: give one all of its patterns")
		}
		names = append(names, d.Name)
		if len(d.Senders) == 0 {
			want(at+".senders", `patterns such as "rad-*@clinic.example" or "radiology.clinic.example"`)
		}
		for k, s := range d.Senders {
			if strings.Contains(s, "*") {
				globs++
			}
			if _, err := policy.ParseSenders([]string{s}); err != nil || s == "<>" {
				want(fmt.Sprintf("%s.senders[%d]", at, k), `a pattern such as "dr.lee@clinic.example", "rad-*@clinic.example" or "radiology.clinic.example"`)
			}
		}
		patterns += len(d.Senders)
	}
	if patterns > maxPatterns || globs > maxGlobs {
		want("list", fmt.Sprintf("at most %d patterns in all, %d of them with a *: list addresses in departments.file", maxPatterns, maxGlobs))
	}
	return errors.Join(errs...)
}

// goodName reports a name that can stand on a page and in a CSV file, where what
// begins with a sign may be taken for a formula.
func goodName(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return len(s) <= maxName && utf8.ValidString(s) && s == strings.TrimSpace(s) && (unicode.IsLetter(first) || unicode.IsDigit(first)) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
