package formats_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"unicode/utf16"
)

// unknown is a file of a form that nobody reads, with these words in it.
func unknown(words ...[]byte) []byte {
	b := []byte{0x01, 0x80, 0xfe, 0x00}
	for i, w := range words {
		h := sha256.Sum256([]byte{byte(i)})
		for k := range h {
			h[k] |= 0x80
		}
		b = append(append(append(append(b, h[:16]...), 0xff, 0x00), w...), 0x00, 0xff)
	}
	return b
}

func utf16le(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// TestLooseWords holds that words in a file of no known form are text, in either
// encoding and at any offset, and that the file stays a gap.
func TestLooseWords(t *testing.T) {
	doc := unknown([]byte("SSN 536-22-8145"), utf16le("Müller, Ana 536-22-8146"), append([]byte{0x01}, utf16le("MRN 0042137")...), []byte("Łódź ward"), []byte("x\x01y\x02{[}]^~|"))
	a := serve(t, false, limits, doc)
	lines := strings.Split(a.all(), "\n")
	for _, want := range []string{"SSN 536-22-8145", "Müller, Ana 536-22-8146", "MRN 0042137", "Łódź ward"} {
		if !strings.Contains("\n"+strings.Join(lines, "\n")+"\n", want+"\n") {
			t.Errorf("got %q, want a line with %q", lines, want)
		}
	}
	if strings.Contains(a.all(), "{[}]") {
		t.Errorf("signs that are no words are told: %q", a.all())
	}
	if told := a.told(); len(told) != 1 || !strings.Contains(told[0], "unsupported") {
		t.Errorf("gaps: got %v, want the file as unsupported", told)
	}
}

// TestLooseWordsBounded: however large an unknown file is, its words are a MiB at most.
func TestLooseWordsBounded(t *testing.T) {
	doc := append(unknown(), bytes.Repeat([]byte("many words\x00\xff"), 300_000)...)
	if n := len(serve(t, false, limits, doc).all()); n < 900<<10 || n > 1<<20+100 {
		t.Errorf("got %d bytes of words, want about a MiB", n)
	}
}
