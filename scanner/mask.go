package scanner

import (
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	maxShown  = 4  // characters that a masked value shows
	maxMasked = 64 // characters that a masked value has
)

// Mask returns value for people who need not know it: at most its last four
// letters and digits, no more than a third of its characters (to the nearest),
// the rest as asterisks, separators as they are: "***-**-8145". Names, dates, patients and
// secrets show nothing. It is at most 64 characters long.
func Mask(t dlp.Type, value string) string {
	runes := []rune(value)
	shown := min(maxShown, (len(runes)+1)/3)
	if len(runes) < 3 {
		shown = 0
	}
	switch t {
	case "NAME", "ADDRESS", "SECRET", "CONDITION", "DRUG", "LAB", "BIOMETRIC", "PHOTO":
		return "***"
	case "DOB", "DATE", "AGE_OVER_89", "PATIENT":
		shown = 0
	}
	for i := len(runes) - 1; i >= 0; i-- {
		r := runes[i]
		switch {
		case unicode.IsControl(r):
			runes[i] = ' '
		case r < unicode.MaxASCII && !unicode.IsLetter(r) && !unicode.IsDigit(r):
		case shown > 0:
			shown--
		default:
			runes[i] = '*'
		}
	}
	return string(runes[max(0, len(runes)-maxMasked):])
}
