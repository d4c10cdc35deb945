package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// row is one line of the answer.
type row struct {
	what, to, became, why string
	id                    string // of the held document, "" for none
	expected              bool
}

// mailRows says for each message, and each recipient where they differ, what
// became of it.
func mailRows(ms []message, s sight) []row {
	var rows []row
	for _, m := range ms {
		h, isHeld := s.held[m.id]
		for _, to := range m.to {
			r := row{what: m.what, to: to}
			forThis := isHeld && (len(h.Recipients) == 0 || slices.Contains(h.Recipients, to))
			switch copies := s.delivered[m.id]; {
			case forThis:
				r.became, r.why, r.id = h.State, because(h), h.ID
				r.expected = slices.Contains(m.held, to) && h.State == "held"
			case copies == 1:
				r.became, r.why = "delivered", "nothing a policy names"
				if isHeld {
					r.why = "stays inside the clinic"
				}
				r.expected = slices.Contains(m.passes, to)
			case copies > 1:
				r.became = fmt.Sprintf("delivered %d times", copies)
			default:
				r.became = "nowhere to be seen"
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// fileRows says for each file what became of it.
func fileRows(fs []dropped, s sight) []row {
	var rows []row
	for _, f := range fs {
		r := row{what: f.what, to: f.name}
		h, isHeld := s.held[f.name]
		switch {
		case isHeld && s.present[f.name]:
			r.became, r.why, r.id = "held, and still there", because(h), h.ID
		case isHeld:
			r.became, r.why, r.id = h.State, because(h), h.ID
			r.expected = f.taken && h.State == "held"
		case s.present[f.name]:
			r.became, r.why = "left in place", "nothing a policy names"
			r.expected = !f.taken
		default:
			r.became = "nowhere to be seen"
		}
		rows = append(rows, r)
	}
	return rows
}

// because names the policy and the rules behind a hold, or what could not be
// read.
func because(h held) string {
	why := h.Policy
	if why == "" {
		why = "on_gap"
	}
	if reasons := slices.Concat(h.Rules, h.Causes); len(reasons) > 0 {
		return why + ": " + strings.Join(reasons, ", ")
	}
	if h.Policy == "" {
		return "on_gap: could not be read"
	}
	return why
}

// printTable aligns the rows under their headings.
func printTable(out io.Writer, rows []row, colour bool) {
	cells := [][]string{{"WHAT", "TO / FILE", "WHAT BECAME OF IT", "WHY"}}
	for _, r := range rows {
		cells = append(cells, []string{r.what, r.to, r.became, r.why})
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	fmt.Fprintln(out)
	for n, line := range cells {
		var b strings.Builder
		for i, c := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2)
			if colour && i == 2 && n > 0 {
				c = paint(rows[n-1], c)
			}
			b.WriteString(c + pad)
		}
		text := strings.TrimRight(b.String(), " ")
		if n > 0 && !rows[n-1].expected {
			text += "  << not as expected"
		}
		fmt.Fprintln(out, text)
	}
}

// paint colours what became of a row: green where it went on, yellow where it
// was taken, red where that is not as expected.
func paint(r row, s string) string {
	code := "32"
	switch {
	case !r.expected:
		code = "31"
	case r.id != "":
		code = "33"
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// printFurther prints the commands to look further, with an id of this run.
func printFurther(out io.Writer, s site, bin, folder string, rows []row) {
	id := "ID"
	for _, r := range rows {
		if r.id != "" {
			id = r.id
			break
		}
	}
	with := " --config " + s.config
	fmt.Fprintf(out, "\nTo look further:\n")
	for _, line := range [][2]string{
		{"what is held", bin + " quarantine list" + with},
		{"one of them", bin + " quarantine show " + id + with},
		{"let it go", bin + " quarantine release " + id + with},
		{"scan files by hand", bin + " scan" + with + " " + folder},
		{"is the record whole", bin + " audit verify" + with},
		{"what passed, notices", "ls " + filepath.Join(s.maildir, "new")},
		{"counters", "curl -s http://" + s.metrics + "/metrics | grep ^stanch_"},
	} {
		fmt.Fprintf(out, "  %-21s %s\n", line[0], line[1])
	}
}
