package formats_test

import (
	"strings"
	"testing"
)

// TestJoinedCells holds that a number which cells spread is told once more as one,
// and that numbers which only stand side by side are not.
func TestJoinedCells(t *testing.T) {
	row := func(cells ...string) string { return `\trowd\intbl ` + strings.Join(cells, `\cell `) + `\cell\row ` }
	for _, c := range []struct{ name, rtf, want string }{
		{"groups", row("SSN", "536", "22", "8145"), "SSN 536228145"},
		{"with hyphens in cells", row("SSN", "536", "-", "22", "-", "8145"), "SSN 536-22-8145"},
		{"anywhere", row("SSN 536-", "22-81", "45"), "SSN 536-22-8145"},
		{"words behind", row("SSN 536-", "22-81", "45 (patient)"), "SSN 536-22-8145"},
		{"a digit a cell", row("SSN", "5", "3", "6", "2", "2", "8", "1", "4", "5"), "SSN 536228145"},
		{"two numbers", row("SSN", "536", "22", "8145", "536", "22", "8146"), "SSN 536228146"},
		{"below a heading", row("Name", "SSN") + row("Ada", "536", "22", "8145"), "SSN Ada 536228145"},
		{"lines", `SSN\par 536-\par 22-\par 8145\par `, "SSN 536-22-8145"},
		{"a column", row("Name", "SSN") + row("", "5") + row("", "3") + row("", "6") + row("", "2") + row("", "2") + row("", "8") + row("", "1") + row("", "4") + row("", "5"), "SSN 536228145"},
	} {
		a := serve(t, false, limits, []byte(`{\rtf1 `+c.rtf+`}`))
		if !strings.Contains(a.texts[""], "\n"+c.want+"\n") {
			t.Errorf("%s: no %q in %q", c.name, c.want, a.texts[""])
		}
	}
	for name, cells := range map[string]string{
		"ten digits": row("SSN", "536", "22", "81450"), "eight digits": row("SSN", "536", "22", "814"), "dates": row("1/2/2020", "12345", "x"),
		"decimals": row("SSN 1.2345", "12345"), "words between": row("SSN", "536", "and", "228145"), "of two rows": row("a", "SSN", "536") + row("22", "8145"),
		"hyphens elsewhere": row("SSN", "5-36", "22-8145"),
	} {
		a := serve(t, false, limits, []byte(`{\rtf1 `+cells+`}`))
		for line := range strings.Lines(a.texts[""]) {
			if !strings.Contains(line, "\t") {
				t.Errorf("%s: told %q", name, line)
			}
		}
	}
}
