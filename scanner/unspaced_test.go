package scanner

import (
	"slices"
	"strings"
	"testing"
)

// TestKeywordsBesideUnspacedScripts: a letter of a script that puts no space between
// words, or a sign, is no part of a keyword beside it, and words of such a script are
// found within a sentence; a letter of another script is a part of the word.
func TestKeywordsBesideUnspacedScripts(t *testing.T) {
	s := New(loadText(t, `[keywords]
ssn = ["ssn", "社会保障番号", "ประกันสังคม", "soc sec"]
[[rules]]
id = "ssn"
type = "SSN"
boundary = "number"
  [[rules.patterns]]
  confidence = "medium"
  regex = '''\d{9}'''
  supporting = { any = ["@ssn"], proximity = 40 }
`))
	const number = "536228145"
	for text, found := range map[string]bool{
		"SSN号536228145": true, "患者のSSNは536228145です": true, "号SSN 536228145": true, "SSN은 536228145": true, "SSNที่536228145ครับ": true,
		"SSN№ 536228145": true, "SSN→536228145": true, "保soc sec号536228145": true,
		"患者の社会保障番号は536228145です": true, "社会保障番号536228145": true, "社会 保障-番号 536228145": true, "เลขประกันสังคม536228145": true,
		"ßSSN 536228145": false, "SSNé 536228145": false, "SSNи 536228145": false, "ssn2号 536228145": false, "社会保障番 536228145": false, "社会番号 536228145": false,
	} {
		var want []string
		if found {
			want = []string{number}
		}
		for _, padding := range []int{0, 61, 62, 63, 64, 4093, 4094, 4095} { // keywords on the edges of what is looked at together
			text := strings.Repeat("語", padding/3) + strings.Repeat(".", padding%3) + text
			var got []string
			for _, f := range scanFindings(t, s, text) {
				got = append(got, text[f.Start:f.End])
			}
			if !slices.Equal(got, want) {
				t.Errorf("%.80q behind %d bytes: found %q, want %q", text[padding:], padding, got, want)
			}
		}
	}
}
