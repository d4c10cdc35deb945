package formats_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// inPieces writes s in pieces of n letters.
func inPieces(s, between string, n int) string { return folded(s, between, n) }

func deflated(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// TestRunsInPieces holds that base64 and hexadecimal are read whatever parts them
// into pieces of twelve letters and more, and deflate without a gzip around it, and
// that what only looks so is not.
func TestRunsInPieces(t *testing.T) {
	const secret = "Patient record SSN 536-22-8145 and more words here for all"
	std, hexed := base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))
	zipped := base64.StdEncoding.EncodeToString(gz(t, secret+strings.Join(strings.Split(hashes(40, hex.EncodeToString), "\n"), " ")))
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("The patient was seen in clinic today; no complaints.\n", 4000) + secret))
	words := secret + strings.Repeat(" and then some other words of another length follow", 8)
	for name, doc := range map[string]string{
		"an array of strings":     `["` + inPieces(std, "\",\n\"", 16) + `"]`,
		"an array on one line":    `{"a":["` + inPieces(std, `","`, 13) + `"]}`,
		"an array, indented":      "[\n  \"" + inPieces(std, "\",\n  \"", 20) + "\"\n]\n",
		"blanks":                  "x " + inPieces(std, " ", 12),
		"blanks, words behind":    "x " + inPieces(std, " ", 20) + " as you know it.",
		"a file with blanks":      "x " + inPieces(zipped, " ", 32),
		"a file in an array":      `["` + inPieces(zipped, `", "`, 60) + `"]`,
		"quoted lines":            "s = \"" + inPieces(std, "\"\n    \"", 20) + "\"\n",
		"a program's strings":     "s = \"" + inPieces(std, "\" + \"", 12) + "\";",
		"lines of another length": "x:\n" + inPieces(std, "\n", 30) + "\n",
		"quoted, behind a sign":   "Hi\n| " + inPieces(std, "\n| ", 30) + "\nbye\n",
		"a comment":               "// " + inPieces(std, "\n// ", 22) + "\n",
		"a shell's comment":       "# " + inPieces(std, "\n# ", 22) + "\n",
		"cells":                   "<html><table><tr><td>" + inPieces(std, "</td><td>", 15) + "</td></tr></table></html>",
		"with colons":             "x " + inPieces(hexed, ":", 16) + ".",
		"with 0x":                 "{0x" + inPieces(hexed, ", 0x", 16) + "}",
		"in longer pieces":        strings.ToUpper(inPieces(hexed, " ", 32)),
		"zlib":                    "x " + deflated(t, secret),
		"zlib in lines":           "x\n" + inPieces(deflated(t, words+hashes(20, hex.EncodeToString)), "\n", 76),
		"far in":                  strings.Repeat("Nothing of interest stands in this line.\n", 20000) + inPieces(std, " ", 16),
	} {
		a := serve(t, false, limits, []byte(doc))
		if !strings.Contains(a.all(), "536-22-8145") || len(a.gaps) > 0 {
			t.Errorf("%s: %v, gaps %v: %.200q", name, a.paths, a.told(), a.all())
		}
	}
	for at := range 100 { // wherever a window is cut
		doc := strings.Repeat("x ", 32<<10-at) + inPieces(std, " ", 16) + " bye"
		if a := serve(t, false, limits, []byte(doc)); !strings.Contains(a.all(), "536-22-8145") {
			t.Errorf("%d before a cut: %v", at, a.paths)
		}
	}
	far := strings.Repeat("x ", 32<<10-20) // the pieces end in another window than the first one
	if a := serve(t, false, limits, []byte(far+`["`+inPieces(zipped, `", "`, 60)+`"]`)); !strings.Contains(a.all(), "536-22-8145") || len(a.gaps) > 0 {
		t.Errorf("a file over windows: %v, gaps %v", a.paths, a.told())
	}
	cut := inPieces(zipped[:len(zipped)*3/4/60*60], `", "`, 60) // but what is cut is told
	if a := serve(t, false, limits, []byte(`["`+cut+`"]`)); len(a.gaps) != 1 || a.gaps[0].Cause != dlp.Corrupt {
		t.Errorf("a file that is cut: %v, gaps %v", a.paths, a.told())
	}
	if a := serve(t, false, limits, []byte(`["`+inPieces(long, `","`, 50)+`"]`)); !strings.Contains(a.all(), "536-22-8145") {
		t.Errorf("over windows: %v", a.paths)
	}
	for name, doc := range map[string]string{
		"hashes":       hashes(4000, base64.StdEncoding.EncodeToString),
		"an array":     `["` + strings.Join(strings.Fields(hashes(400, base64.StdEncoding.EncodeToString)), `","`) + `"]`,
		"fingerprints": inPieces(hex.EncodeToString([]byte(hashes(4, func(b []byte) string { return string(b) }))), ":", 2),
		"identifiers":  strings.Repeat("getPatientName setPatientName toString valueOf fooBar bazQux myClass iPhone ", 500),
		"numbers":      strings.Repeat("10 20 30 40 50 60 70 80 90 11\n12,13,14,15,16,17,18\n2026-01-02 10:20:30\n", 300),
		"UUIDs":        strings.Repeat("3F2504E0-4F89-11D3-9A0C-0305E82C3301,f81d4fae-7dec-11d0-a765-00a0c91e6bf6\n", 300),
		"a git log":    strings.Repeat("commit 3f2504e04f8911d39a0c0305e82c33013f2504e0\nindex 1a2b3c4..5d6e7f8 100644\n@@ -10,7 +10,8 @@ func TestA3B\n", 300),
		"MACs":         strings.Repeat("00:1B:44:11:3A:B7 00-1b-44-11-3a-b7 fe80::21b:44ff:fe11:3ab7\n", 300),
		"capitals":     strings.Repeat("THE PATIENT WAS SEEN IN CLINIC TODAY, SEE HL7 V2.5 ADT^A01 PV1 DG1 ICD10\n", 300),
		"words":        strings.Repeat("The McDonald report by DeShawn was filed with LaTeX and iOS tools.\n", 300),
	} {
		if a := serve(t, false, limits, []byte(doc)); len(a.paths) != 1 || len(a.gaps) > 0 {
			t.Errorf("%s: %v, gaps %v: %.200q", name, a.paths, a.told(), a.texts[a.paths[len(a.paths)-1]])
		}
	}
}

// TestPiecesAreBounded holds that passages past the bound of a document are told, not
// passed over in silence.
func TestPiecesAreBounded(t *testing.T) {
	if a := serve(t, false, limits, []byte(strings.Repeat("x U1NOIDUzNi0y Mi04MTQ1IGFu ZCBhbGw= .\n", 70_000))); len(a.gaps) != 1 || !strings.Contains(a.all(), "536-22-8145") {
		t.Errorf("gaps %v", a.told())
	}
}

// FuzzPieces holds that base64 and hexadecimal in pieces are found behind whatever
// text, and that no text breaks the search.
func FuzzPieces(f *testing.F) {
	f.Add("a word", "\",\"", uint8(4))
	f.Add("aB aB aB aB \x00\xff 0x50 0x61 ", " ", uint8(16))
	f.Add("U1NO IDUz Ni0y Mi04 MTQ1", "\r\n# ", uint8(9))
	f.Add("31 32 33 34 35 36 \\x31\\x32 // + \" + \"", ":", uint8(1))
	f.Fuzz(func(t *testing.T, before, between string, n uint8) {
		const secret = "SSN 536-22-8145, a patient of ours here"
		serve(t, false, small, []byte(before+inPieces(b64(secret), between, 12+int(n)%32)+between))
		for _, doc := range []string{
			before + " .\n" + fmt.Sprintf("[%q]", strings.Split(inPieces(b64(secret), " ", 12+int(n)%28), " ")) + " .",
			before + " .\n(" + inPieces(hex.EncodeToString([]byte(secret)), ", ", 12+int(n)%4*2) + ")",
		} {
			a := serve(t, false, small, []byte(doc))
			if a.texts[""] == doc && !strings.Contains(a.all(), secret) && len(a.gaps) == 0 {
				t.Errorf("not found: %q %q", a.paths, doc)
			}
		}
	})
}
