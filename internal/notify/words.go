package notify

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	textWidth = 72 // columns, so that a reply can quote it
	maxPlaces = 8  // parts that are named
)

// typeNames is what people call each kind of data, with its article.
var typeNames = map[dlp.Type]string{
	"SSN":            "a Social Security number",
	"ITIN":           "a taxpayer number",
	"MRN":            "a medical record number",
	"HEALTH_PLAN_ID": "a health plan number",
	"MBI":            "a Medicare number",
	"MEDICAID_ID":    "a Medicaid number",
	"NPI":            "a provider number (NPI)",
	"DEA":            "a DEA number",
	"ACCOUNT":        "an account number",
	"CREDIT_CARD":    "a card number",
	"IBAN":           "a bank account number",
	"US_BANK":        "a bank account number",
	"PASSPORT":       "a passport number",
	"DRIVER_LICENSE": "a driver's license number",
	"LICENSE":        "a license or certificate number",
	"NATIONAL_ID":    "a national identity number",
	"VIN":            "a vehicle number",
	"DEVICE_ID":      "a device number",
	"UDI":            "a device number",
	"IP":             "a network address",
	"MAC":            "a network address",
	"URL":            "a web address",
	"EMAIL":          "an e-mail address",
	"PHONE":          "a telephone number",
	"FAX":            "a fax number",
	"NAME":           "a person's name",
	"ADDRESS":        "a postal address",
	"ZIP":            "a ZIP code",
	"DOB":            "a date of birth",
	"DATE":           "a date",
	"AGE_OVER_89":    "an age over 89",
	"BIOMETRIC":      "biometric data",
	"PHOTO":          "a photograph",
	"ICD10":          "a diagnosis code",
	"ICD9":           "a diagnosis code",
	"SNOMED":         "a diagnosis code",
	"NDC":            "a drug code",
	"LOINC":          "a laboratory code",
	"HCPCS":          "a procedure code",
	"DRUG":           "the name of a drug",
	"CONDITION":      "the name of a condition",
	"LAB":            "a laboratory result",
	"PATIENT":        "data of a patient known here",
	"SECRET":         "a password or key",
}

// TypeWords returns what people call that kind of data, with its article.
func TypeWords(t dlp.Type) string {
	return cmp.Or(typeNames[t], "information that is protected here")
}

// causeWords returns what could not be read and why.
func causeWords(c dlp.Cause) string {
	switch c {
	case dlp.Encrypted:
		return "an encrypted part"
	case dlp.TooDeep:
		return "files packed too deep inside each other"
	case dlp.TooLarge:
		return "a part that is too large"
	case dlp.TooMany:
		return "too many parts"
	case dlp.Timeout:
		return "a part that takes too long to read"
	case dlp.Unsupported:
		return "a part of a kind that cannot be read"
	case dlp.Image:
		return "a picture"
	case dlp.Ambiguous:
		return "a part that mail programs read differently"
	}
	return "a damaged part"
}

// Why says why something was held, as the end of a sentence.
func Why(types []dlp.Type, causes []dlp.Cause) string {
	return reason(Notice{Types: types, Causes: causes})
}

// reason is the end of a sentence: why something was held or refused.
func reason(n Notice) string {
	var found, unread []string
	for _, t := range n.Types {
		found = append(found, TypeWords(t))
	}
	for _, c := range n.Causes {
		unread = append(unread, causeWords(c))
	}
	switch {
	case len(found) > 0 && len(unread) > 0:
		return "it appears to contain " + join(found) + ", and something in it could not be read: " + join(unread) + "."
	case len(found) > 0:
		return "it appears to contain " + join(found) + "."
	case len(unread) > 0:
		return "something in it could not be read: " + join(unread) + "."
	}
	return "the rules for protected information say so."
}

// where names the parts. The text of most mails is part 1 or inside it.
func where(parts []string) string {
	var places []string
	for _, p := range parts {
		if w := place(p); !slices.Contains(places, w) {
			places = append(places, w)
		}
	}
	if len(places) == 0 {
		return ""
	}
	if over := len(places) - maxPlaces; over > 0 {
		places = append(places[:maxPlaces:maxPlaces], strconv.Itoa(over)+" more")
	}
	s := "Where: " + join(places)
	if strings.Contains(s, "part ") {
		s += " (the text of the message is part 1, attachments follow)"
	}
	return s + "."
}

// place words a part's path (dlp.PartInfo.Path).
func place(path string) string {
	path, _, _ = strings.Cut(path, "~") // a further reading of the same part
	outer, inner, packed := strings.Cut(path, "/")
	steps := strings.Split(outer, ".")
	last := steps[len(steps)-1]
	if last == "HEADER" || last == "MIME" {
		steps = steps[:len(steps)-1]
	}
	for _, s := range steps {
		if s != "" && strings.Trim(s, "0123456789") != "" {
			return "the message" // no path of ours
		}
	}
	name := "part " + strings.Join(steps, ".")
	switch {
	case len(steps) == 0:
		return "the subject or another header line"
	case outer == "":
		return "the message"
	case last == "HEADER":
		return "the header of the message in " + name
	case last == "MIME":
		return "the name of " + name
	case packed:
		return "file " + strings.ReplaceAll(digits(inner), "/", " in file ") + " inside " + name
	case outer == "1" || steps[0] == "1":
		return "the text of the message"
	}
	return name
}

// digits keeps the path of an archive's member as far as it is numbers.
func digits(inner string) string {
	n, rest, more := strings.Cut(inner, "/")
	if n == "" || strings.Trim(n, "0123456789.") != "" {
		return "?"
	}
	if !more {
		return n
	}
	if r := digits(rest); r != "?" {
		return r + "/" + n // innermost first: file 2 in file 3
	}
	return n
}

// join lists words as prose, each once.
func join(words []string) string {
	var once []string
	for _, w := range words {
		if !slices.Contains(once, w) {
			once = append(once, w)
		}
	}
	switch n := len(once); n {
	case 0:
		return ""
	case 1:
		return once[0]
	default:
		return strings.Join(once[:n-1], ", ") + " and " + once[n-1]
	}
}

// paragraphs wraps each text to textWidth columns and sets them apart; empty
// ones are left out. A line end inside a text stays.
func paragraphs(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t == "" {
			continue
		}
		var lines []string
		for line := range strings.SplitSeq(t, "\n") {
			lines = append(lines, wrap(line))
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	return strings.Join(out, "\n\n") + "\n"
}

func wrap(s string) string {
	var b strings.Builder
	width := 0
	for _, w := range strings.Fields(s) {
		switch {
		case width == 0:
		case width+1+len(w) > textWidth:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(w)
		width += len(w)
	}
	return b.String()
}
