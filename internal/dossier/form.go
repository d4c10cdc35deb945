package dossier

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// MaxForm bounds a form, in bytes.
const MaxForm = 256 << 10

// form is an Assessment as a file that people fill in, in TOML.
type form struct {
	Version    int                   `toml:"version"` // that it was made from
	Title      string                `toml:"title"`
	Happened   string                `toml:"happened"`
	Discovered string                `toml:"discovered"`
	People     int                   `toml:"people"`
	Conclusion string                `toml:"conclusion"`
	Because    string                `toml:"because"`
	Factors    map[string]formFactor `toml:"factors"`
}

type formFactor struct {
	Risk  string `toml:"risk"`
	Words string `toml:"words"`
}

// Form is v as a file to be filled in, which ParseForm reads. PHI.
func (v *Version) Form() []byte {
	var b bytes.Buffer
	write := func(comment, key, value string) {
		fmt.Fprintf(&b, "# %s\n%s = %s\n", comment, key, quoted(value))
	}
	fmt.Fprintf(&b, "# Dossier %s, 45 CFR 164.402. Text of several lines stands between three quotes, \"\"\" or '''.\n\n", v.ID)
	fmt.Fprintf(&b, "# The version that this was made from: a newer one is not overwritten.\nversion = %d\n", v.N)
	write("What it is about.", "title", v.Title)
	write(`A day such as 2026-01-31; "" where it is not known.`, "happened", v.Happened)
	write(`A day, or "".`, "discovered", v.Discovered)
	fmt.Fprintf(&b, "# How many people are concerned; 0: not counted yet.\npeople = %d\n", v.People)
	write(`"" (open), "low_risk", "breach" (both need all four factors) or "exception" of paragraph (1).`, "conclusion", string(v.Conclusion))
	write("Why that is concluded.", "because", v.Because)
	for i, f := range Factors() {
		fmt.Fprintf(&b, "\n[factors.%s] # %s\n", f.Key, f.Name)
		write(`"low", "medium", "high"; "" where it is not rated yet.`, "risk", v.Factors[i].Risk)
		write(f.More, "words", v.Factors[i].Words)
	}
	return b.Bytes()
}

// quoted is s as a TOML string: of several lines where it has them.
//
// Source: TOML 1.0.0, "String".
func quoted(s string) string {
	var b strings.Builder
	quote := `"`
	if strings.Contains(s, "\n") {
		quote = `"""`
	}
	b.WriteString(quote)
	if quote != `"` {
		b.WriteByte('\n') // right behind the quotes it is not part of the text
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' && r != '\n' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString(quote)
	return b.String()
}

// ParseForm reads a form, and the version that it was made from. Its error says
// where the form is not one, and repeats nothing of what somebody wrote.
func ParseForm(src []byte) (base int, a Assessment, err error) {
	if len(src) > MaxForm {
		return 0, a, fmt.Errorf("want at most %d bytes", MaxForm)
	}
	var f form
	md, err := toml.Decode(string(src), &f)
	if pe, ok := errors.AsType[toml.ParseError](err); ok {
		return 0, a, fmt.Errorf("line %d: want TOML, as the form has it", pe.Position.Line)
	}
	if err != nil {
		return 0, a, errors.New("want numbers for version and people, text for all else")
	}
	if extra := md.Undecoded(); len(extra) > 0 {
		return 0, a, errors.New("want no keys but those of the form")
	}
	if f.Version <= 0 {
		return 0, a, errors.New("version: want the number that the form had")
	}
	a = Assessment{Title: strings.TrimSpace(f.Title), Happened: f.Happened, Discovered: f.Discovered, People: f.People, Conclusion: Conclusion(f.Conclusion), Because: strings.TrimSpace(f.Because)}
	for i, x := range Factors() {
		a.Factors[i] = Factor{Words: strings.TrimSpace(f.Factors[x.Key].Words), Risk: f.Factors[x.Key].Risk}
		delete(f.Factors, x.Key)
	}
	if len(f.Factors) > 0 {
		return 0, a, errors.New("factors: want nature, receiver, acquired and mitigated")
	}
	return f.Version, a, nil
}
