package watch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Names that stanch gives to files in a root.
const (
	claimFolder = ".stanch"     // the root's own folder
	stubSuffix  = ".stanch.txt" // of a stub, after the whole name of the file it stands for

	labelPutBack  = "put back" // a newer file stood in the place of one put back
	labelReleased = "released" // or of a released one
	labelNumber   = ""         // stubs and encrypted files are numbered only

	maxVariants = 1000 // names tried before giving up
	maxName     = 255  // bytes: NAME_MAX of the file systems of Linux
)

// Suffixes of files in the root's own folder, after the claim's ID.
const (
	tempSealed  = ".age" // whatever the encrypted form is
	tempStub    = ".stub"
	tempRestore = ".restore"
	tempGone    = ".gone" // a stub on its way out
)

// variant returns the i-th name to try for name: name itself, then
// "NAME (label).EXT", "NAME (label 2).EXT" and so on; without a label
// "NAME (2).EXT", "NAME (3).EXT". It is shortened to 255 bytes at a rune's
// boundary, keeping the extension.
func variant(name, label string, i int) string {
	base, ext := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && len(name)-dot <= 32 {
		base, ext = name[:dot], name[dot:]
	}
	note := ""
	switch {
	case i == 0:
	case label == "":
		note = fmt.Sprintf(" (%d)", i+1)
	case i == 1:
		note = " (" + label + ")"
	default:
		note = fmt.Sprintf(" (%s %d)", label, i)
	}
	return cut(base, maxName-len(note)-len(ext)) + note + ext
}

// withSuffix returns name + suffix, name shortened so that it fits.
func withSuffix(name, suffix string) string { return cut(name, maxName-len(suffix)) + suffix }

// cut shortens s to at most n bytes without splitting a rune; bytes that are
// not UTF-8 are cut anywhere.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[:n]
	for i := 0; i < utf8.UTFMax && len(s) > 0; i++ {
		if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size != 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}
