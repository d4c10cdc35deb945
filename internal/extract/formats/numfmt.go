package formats

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// builtinFormat returns the formats that files name by number. ECMA-376-1 18.8.30.
func builtinFormat(id string) string {
	switch id {
	case "1", "3", "37", "38", "41", "42": // thousands and signs say nothing
		return "0"
	case "2", "4", "39", "40", "43", "44":
		return "0.00"
	case "9":
		return "0%"
	case "10":
		return "0.00%"
	case "14", "15", "16", "17":
		return "yyyy-mm-dd"
	case "22":
		return "yyyy-mm-dd hh:mm"
	case "18", "19", "20", "21", "45", "46", "47":
		return "hh:mm"
	case "27", "30", "36", "50", "57":
		return "yyyy-mm-dd"
	}
	return ""
}

// section is what of a number format stands between semicolons: code, in which
// literalMark stands for each letter of literals.
//
// Source: ECMA-376-1 18.8.31.
type section struct {
	code     string
	literals []string // in their order
	op       string   // of a condition, "" for none
	than     float64
}

// literalMark stands in a section's code where its next literal does.
const literalMark = '\x00'

// told reports literals that say something: letters or digits.
func (s *section) told() bool {
	for _, l := range s.literals {
		if says(l) {
			return true
		}
	}
	return false
}

// says reports a literal of a digit, or of letters that are no mere unit.
func says(l string) bool {
	letters := 0
	for _, r := range l {
		if unicode.IsDigit(r) {
			return true
		}
		if unicode.IsLetter(r) {
			letters++
		}
	}
	return letters > 1
}

func (s *section) dated() (day, clock bool) {
	low := strings.ToLower(s.code)
	return strings.ContainsAny(low, "yd") || strings.Contains(low, "mmm"), strings.ContainsAny(low, "hs")
}

// sections parses a format. Colours, locales and fill marks are left out.
//
// long: a case a sign
func sections(f string) []section {
	var all []section
	var s section
	var code strings.Builder
	literal := func(text string) {
		if text != "" {
			code.WriteByte(literalMark)
			s.literals = append(s.literals, text)
		}
	}
	end := func() {
		s.code = code.String()
		all = append(all, s)
		s = section{}
		code.Reset()
	}
	r := []rune(f)
	for i := 0; i < len(r); i++ {
		switch c := r[i]; c {
		case ';':
			end()
		case '"':
			k := i + 1
			for k < len(r) && r[k] != '"' {
				k++
			}
			literal(string(r[i+1 : k]))
			i = k
		case '\\', '!':
			if i++; i < len(r) {
				literal(string(r[i]))
			}
		case '[':
			k := i + 1
			for k < len(r) && r[k] != ']' {
				k++
			}
			in := string(r[i+1 : k])
			i = k
			switch {
			case strings.HasPrefix(in, "$"):
				in = in[1:]
				if at := strings.LastIndexByte(in, '-'); at >= 0 { // the language
					in = in[:at]
				}
				literal(in)
			case strings.HasPrefix(in, "<"), strings.HasPrefix(in, ">"), strings.HasPrefix(in, "="):
				n := len(in) - len(strings.TrimLeft(in, "<>="))
				if x, err := strconv.ParseFloat(strings.TrimSpace(in[n:]), 64); err == nil {
					s.op, s.than = in[:n], x
				}
			case strings.Trim(strings.ToLower(in), "hms") == "": // time that has passed
				code.WriteString(in)
			}
		case '_', '*':
			i++
		case literalMark:
		default:
			code.WriteRune(c)
		}
	}
	end()
	return all
}

// holds reports whether a number is one of the section's condition.
func (s *section) holds(x float64) bool {
	switch s.op {
	case "<":
		return x < s.than
	case "<=":
		return x <= s.than
	case ">":
		return x > s.than
	case ">=":
		return x >= s.than
	case "=":
		return x == s.than
	case "<>":
		return x != s.than
	}
	return false
}

// choose returns the section that shows a number.
func choose(all []section, x float64) *section {
	numeric := all[:min(len(all), 3)]
	if n := len(numeric); n > 1 && strings.Contains(numeric[n-1].code, "@") {
		numeric = numeric[:n-1]
	}
	conditions := false
	for i := range numeric {
		if conditions = conditions || numeric[i].op != ""; numeric[i].holds(x) {
			return &numeric[i]
		}
	}
	switch {
	case conditions:
		return &numeric[len(numeric)-1]
	case x < 0 && len(numeric) > 1:
		return &numeric[1]
	case x == 0 && len(numeric) > 2:
		return &numeric[2]
	}
	return &numeric[0]
}

// show writes a number as its format shows it, where that is a date, a time, a
// mask of digits, has leading zeros or words, or rounds; "" elsewhere.
func (wb *workbook) show(v, format string) string {
	if format == "" || format == "General" || v == "" || format == "@" {
		return ""
	}
	x, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return ""
	}
	all := sections(format)
	s := choose(all, x)
	if x < 0 && len(all) > 1 && s == &all[1] {
		x = -x
	}
	day, clock := s.dated()
	var shown string
	switch {
	case math.Abs(x) > 1e15:
	case strings.Contains(strings.ToLower(s.code), "general"):
	case day || clock:
		shown = wb.date(x, day, clock)
	default:
		if shown = mask(x, s); shown == "" {
			shown = rounded(x, s)
		} else {
			return shown
		}
	}
	if !s.told() {
		return shown
	}
	if shown == "" && strings.Trim(s.code, "\x00 -/().,:") != "" {
		shown = v
	}
	return inWords(s, shown)
}

// showText writes a text as its format shows it, "" where that is as it stands.
func showText(v, format string) string {
	if v == "" || !strings.ContainsAny(format, "@;") || format == "@" {
		return ""
	}
	all := sections(format)
	s := &all[len(all)-1]
	if len(all) < 4 && !strings.Contains(s.code, "@") || !s.told() {
		return ""
	}
	if !strings.Contains(s.code, "@") {
		v = ""
	}
	return inWords(s, v)
}

// inWords writes what is shown between the literals that stand before and
// behind its place.
func inWords(s *section, shown string) string {
	var out strings.Builder
	next, put := 0, false
	for _, c := range s.code {
		switch {
		case c == literalMark:
			out.WriteString(s.literals[next])
			next++
		case strings.ContainsRune(" -/().,:", c) && !put:
			out.WriteRune(c)
		case strings.ContainsRune(" -/().,:", c):
		case !put:
			out.WriteString(shown)
			put = true
		}
	}
	return validString(out.String())
}

// rounded shows a number that a format without masks rounds to other digits:
// 0 shows 536221234.3 as 536221234, 0% shows 5362212.34 as 536221234%.
func rounded(x float64, s *section) string {
	const few = 1e6 // what has fewer digits is no number of anybody's
	code := strings.ReplaceAll(s.code, string(literalMark), "")
	if strings.ContainsAny(code, "Ee/@") || !strings.ContainsAny(code, "0#?") {
		return ""
	}
	unit := ""
	if strings.Contains(code, "%") {
		x, unit = x*100, "%"
	}
	places := 0
	if _, frac, ok := strings.Cut(code, "."); ok {
		places = strings.Count(frac, "0") + strings.Count(frac, "#") + strings.Count(frac, "?")
	}
	if unit == "" && x == math.Trunc(x) || math.Abs(x) < few && !s.told() {
		return ""
	}
	return strconv.FormatFloat(x, 'f', min(places, 30), 64) + unit
}

// date shows a serial number. ECMA-376-1 18.17.4: day 1 is 1900-01-01, and
// 1900 counts as a leap year.
func (wb *workbook) date(x float64, day, clock bool) string {
	if x < 0 || x > 2958466 { // the year 9999
		return ""
	}
	base := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if wb.date04 {
		base = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	} else if x < 60 {
		base = base.AddDate(0, 0, 1)
	}
	whole, frac := math.Modf(x)
	t := base.AddDate(0, 0, int(whole)).Add(time.Duration(math.Round(frac*86400)) * time.Second)
	switch {
	case day && clock && frac != 0:
		return t.Format("2006-01-02 15:04:05")
	case day:
		return t.Format("2006-01-02")
	}
	return t.Format("15:04:05")
}

// mask fills a format of digit places with the digits of a whole number:
// 000-00-0000 shows 536221234 as 536-22-1234, words before and behind as well.
func mask(x float64, s *section) string {
	code := []rune(s.code)
	places := strings.Count(s.code, "0") + strings.Count(s.code, "#")
	if x != math.Trunc(x) || x < 0 || math.Abs(x) > 1e15 || strings.ContainsAny(s.code, ".%Ee/?,@") ||
		places == 0 || strings.Count(s.code, "0") < 2 && !s.told() {
		return ""
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	next := len(s.literals)
	out := "" // written from its end
	for i := len(code) - 1; i >= 0; i-- {
		switch c := code[i]; c {
		case literalMark:
			next--
			out = s.literals[next] + out
		case '0', '#':
			places--
			switch {
			case places == 0: // the first place takes all that is left
				if digits == "" && c == '0' {
					digits = "0"
				}
				out, digits = digits+out, ""
			case digits != "":
				out, digits = digits[len(digits)-1:]+out, digits[:len(digits)-1]
			case c == '0':
				out = "0" + out
			}
		default:
			out = string(c) + out
		}
	}
	return validString(out)
}
