package synth

import (
	"bytes"
	"fmt"

	"github.com/stanch-dlp/stanch/scanner/check"
)

// OrderFile is a list of ICD-10-CM as CMS's order file has it, with invented
// codes and words: in each category that there is ten headings of four codes
// each, and at the end the categories of more, one code each: "A10" has A101.
func OrderFile(more ...string) []byte {
	var b bytes.Buffer
	n := 0
	line := func(code string, billable int) {
		n++
		fmt.Fprintf(&b, "%05d %-7s %d %-60s %s\r\n", n, code, billable, "Invented condition "+code, "Invented condition "+code+", in full")
	}
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, x := range letters[10:] {
		for _, y := range letters {
			for _, z := range letters {
				category := string([]rune{x, y, z})
				if !check.ICD10CM(category) {
					continue
				}
				line(category, 0)
				for d := range 10 {
					line(fmt.Sprintf("%s%d", category, d), 0)
					for e := range 4 {
						line(fmt.Sprintf("%s%d%d", category, d, e), 1)
					}
				}
			}
		}
	}
	for _, category := range more {
		line(category, 0)
		line(category+"1", 1)
	}
	return b.Bytes()
}
