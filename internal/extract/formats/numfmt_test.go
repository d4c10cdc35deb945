package formats

import "testing"

// A cell is told as its format shows it, with the words that are in the format.
func TestNumberFormats(t *testing.T) {
	for _, c := range []struct{ format, value, want string }{
		{`000-00-0000`, "536228145", "536-22-8145"},
		{`"SSN "000-00-0000`, "536228145", "SSN 536-22-8145"},
		{`"SSN 536-22-"General`, "8145", "SSN 536-22-8145"},
		{`"536-22-"0000`, "8145", "536-22-8145"},
		{`"536-22-8145"`, "1", "536-22-8145"},
		{`"SSN 536-22-8145 "General`, "1", "SSN 536-22-8145 1"},
		{`\S\S\N 000-00-0000`, "536228145", "SSN 536-22-8145"},
		{`[$SSN 536-22-8145-409]0`, "1", "SSN 536-22-81451"},
		{`0;"SSN 536-22-"0000`, "-8145", "SSN 536-22-8145"},
		{`0;0;"SSN 536-22-8145"`, "0", "SSN 536-22-8145"},
		{`[<10]0;"SSN 536-22-"0000`, "8145", "SSN 536-22-8145"},
		{`"SSN 536-22-8145 on "yyyy-mm-dd`, "29379", "SSN 536-22-8145 on 1980-06-07"},
		{`yyyy"y"mm"m"dd"d"`, "29379", "1980-06-07"},
		{`"SSN "0.00`, "1.5", "SSN 1.50"},
		{`0`, "536228145.2", "536228145"},
		{`0%`, "5362281.45", "536228145%"},
		{`#,##0.00`, "12.345", ""},
		{`"kg" 0`, "5", "kg 5"},
		{`0" m"`, "5", ""},
		{`General`, "5", ""},
		{`"`, "5", ""},
		{`\`, "5", ""},
		{`[`, "5", ""},
		{`;;;`, "5", ""},
	} {
		if got := (&workbook{}).show(c.value, c.format); got != c.want {
			t.Errorf("%s of %s: got %q, want %q", c.format, c.value, got, c.want)
		}
	}
	for _, c := range []struct{ format, value, want string }{
		{`"SSN "@`, "536-22-8145", "SSN 536-22-8145"},
		{`0;0;0;"SSN 536-22-"@`, "8145", "SSN 536-22-8145"},
		{`0;0;0;"SSN 536-22-8145"`, "x", "SSN 536-22-8145"},
		{`"SSN "0`, "x", ""},
		{`@`, "x", ""},
	} {
		if got := showText(c.value, c.format); got != c.want {
			t.Errorf("%s of text %s: got %q, want %q", c.format, c.value, got, c.want)
		}
	}
}
