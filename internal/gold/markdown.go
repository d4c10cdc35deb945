package gold

import (
	"fmt"
	"strings"
)

// Markdown returns the table as a page has it: one row a type, prose and
// structured sources apart.
func (t Table) Markdown() string {
	var b strings.Builder
	section := func(title string, rows []Count, clean bool) {
		fmt.Fprintf(&b, "%s\n\n| type | found | false | missed | precision | recall | F1 |", title)
		line := "|---|--:|--:|--:|--:|--:|--:|"
		if clean {
			b.WriteString(" false/MB |")
			line += "--:|"
		}
		fmt.Fprintf(&b, "\n%s\n", line)
		for _, c := range rows {
			if c.TP+c.FP+c.FN+c.Clean == 0 {
				continue
			}
			fmt.Fprintf(&b, "| `%s` | %d | %d | %d | %.3f | %.3f | %.3f |", c.Type, c.TP, c.FP, c.FN, c.Precision(), c.Recall(), c.F1())
			switch {
			case clean && CountsClean(c.Type):
				fmt.Fprintf(&b, " %.3f |", t.PerMB(c.Clean))
			case clean:
				b.WriteString(" |")
			}
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	section(fmt.Sprintf("All %d documents, and %.1f MB of text without patients:", t.Docs, float64(t.CleanBytes)/1e6), t.Types, true)
	section("Prose and single examples alone:", t.Prose, false)
	section("HL7 v2, X12 and C-CDA alone:", t.Structured, false)
	fmt.Fprintf(&b, "SSN with every label, those that count neither way included: found %d, false %d, missed %d, F1 %.3f.\n",
		t.EverySSN.TP, t.EverySSN.FP, t.EverySSN.FN, t.EverySSN.F1())
	if len(t.Unsought) > 0 {
		var names []string
		for _, c := range t.Unsought {
			if c.Type != Other {
				names = append(names, fmt.Sprintf("`%s` %d", c.Type, c.FN))
			}
		}
		fmt.Fprintf(&b, "\nLabelled, and looked for by no rule: %s.\n", strings.Join(names, ", "))
	}
	return b.String()
}
