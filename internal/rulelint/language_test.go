package rulelint

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

func languageOf(tb testing.TB, expr string) *language {
	tb.Helper()
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := newLanguage(expr, re)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func TestIncludes(t *testing.T) {
	for _, tt := range []struct {
		wide, narrow string
		want         bool
	}{
		{`[A-Z]\d{6,7}`, `[A-C]\d{6}`, true},
		{`[A-C]\d{6}`, `[A-Z]\d{6,7}`, false},
		{`\d{3}-?\d{2}-?\d{4}`, `\d{3}-\d{2}-\d{4}|\d{9}`, true},
		{`\d{3}-\d{2}-\d{4}|\d{9}`, `\d{3}-?\d{2}-?\d{4}`, false},
		{`(?i)mrn\d`, `MRN7`, true},
		{`(?i)mrn\d`, `MRNx`, false},
		{`é{1,3}`, `éé`, true},
		{`[^a]`, `[^ab]`, true},
		{`[^ab]`, `[^a]`, false},
		{`ab|a`, `a|ab`, true},
		{`.`, `\pL`, true},
	} {
		if got, known := languageOf(t, tt.wide).includes(languageOf(t, tt.narrow)); !known || got != tt.want {
			t.Errorf("%s includes %s: %t, known %t, want %t", tt.wide, tt.narrow, got, known, tt.want)
		}
	}
	if _, known := languageOf(t, `\b\d`).includes(languageOf(t, `\d`)); known {
		t.Error(`\b was decided by an automaton that does not know it`)
	}
	blowUp := `(?:[ab]{0,40}a[ab]{30}){1,3}`
	if all, known := languageOf(t, blowUp).includes(languageOf(t, `[ab]{31,120}`)); known && all {
		t.Error("an inclusion that is none")
	}
}

// expression writes one at random.
func expression(r *rand.Rand, depth int) string {
	atoms := []string{`\d`, `[A-F]`, `[a-z]`, `-`, `[- ]`, `a`, `B`, `[0-4]`, `[^a]`, `\w`}
	var b strings.Builder
	for range 1 + r.IntN(3) {
		atom := atoms[r.IntN(len(atoms))]
		if depth > 0 && r.IntN(3) == 0 {
			atom = "(?:" + expression(r, depth-1) + "|" + expression(r, depth-1) + ")"
		}
		b.WriteString(atom)
		switch r.IntN(5) {
		case 0:
			b.WriteString("?")
		case 1:
			fmt.Fprintf(&b, "{%d,%d}", r.IntN(2), 1+r.IntN(3))
		}
	}
	return b.String()
}

// TestAgainstExpressions: texts made from an expression match it; what is included
// matches what includes it, and what is not has a text that does not; texts of a
// meeting match both, and where there is none no text of the one matches the
// other.
func TestAgainstExpressions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 27))
	included, met := 0, 0
	for range 400 {
		x, y := expression(r, 2), expression(r, 2)
		if r.IntN(3) == 0 {
			x = x + "|" + y
		}
		a, b := languageOf(t, x), languageOf(t, y)
		wholeX, wholeY := regexp.MustCompile(`\A(?:`+x+`)\z`), regexp.MustCompile(`\A(?:`+y+`)\z`)
		all, known := a.includes(b)
		if !known {
			t.Fatalf("%s and %s: not known", x, y)
		}
		if all {
			included++
		}
		m := meet(a, b)
		for range 200 {
			text := b.text(r)
			if !wholeY.MatchString(text) {
				t.Fatalf("%q was made from %s, which does not match it", text, y)
			}
			in := wholeX.MatchString(text)
			if all && !in && text != "" { // no expression of a rule matches nothing
				t.Fatalf("%s includes %s, and does not match its %q", x, y, text)
			}
			if m == nil && in && text != "" {
				t.Fatalf("%s and %s do not meet, and both match %q", x, y, text)
			}
		}
		if m == nil {
			continue
		}
		met++
		for range 20 {
			if text := m.text(r); !wholeX.MatchString(text) || !wholeY.MatchString(text) {
				t.Fatalf("%s and %s meet in %q, which one does not match", x, y, text)
			}
		}
	}
	if included < 40 || met < 40 || included > 390 || met > 390 {
		t.Errorf("%d of 400 included, %d met: the pairs show little", included, met)
	}
}
