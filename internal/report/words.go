package report

import "github.com/stanch-dlp/stanch/internal/dlp"

// words say what a word of ours means to whoever reads a report.
type words struct{ Short, Means string }

// causeWords returns what a gap's cause means.
func causeWords(cause string) words {
	c, _ := dlp.ParseCause(cause)
	switch c {
	case dlp.Encrypted:
		return words{"encrypted", "It opens with a password or key only, so nothing is known of what is in it."}
	case dlp.TooDeep:
		return words{"packed too deep", "Files are packed inside each other deeper than the limit; what is below it was not looked at."}
	case dlp.TooLarge:
		return words{"too large", "It is larger than the limit; what is beyond it was not looked at."}
	case dlp.TooMany:
		return words{"too many pieces", "There are more pieces than the limit; those beyond it were not looked at."}
	case dlp.Timeout:
		return words{"took too long", "Reading or checking it took longer than the limit; the rest of it was not looked at."}
	case dlp.Unsupported:
		return words{"a kind that cannot be read", "Its format, or a feature that it uses, is not one that is read."}
	case dlp.Image:
		return words{"a picture", "Text in pictures is not read, so it may show anything."}
	case dlp.Crashed:
		return words{"the reader broke off", "The program that reads it ended over it; what came after was not looked at."}
	case dlp.Ambiguous:
		return words{"can be read in more than one way", "Programs differ in what they show of it, and not every reading was looked at."}
	}
	return words{"damaged", "It is not formed as its kind has to be, so some or all of it was not looked at."}
}

// verdictWords returns what would become of a document.
func verdictWords(verdict string) string {
	switch verdict {
	case "allow":
		return "Would pass"
	case "tag":
		return "Would pass with a tag"
	case "encrypt":
		return "Would go encrypted"
	case "reject":
		return "Would be refused"
	}
	return "Would be held"
}
