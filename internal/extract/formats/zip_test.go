package formats_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

func zipOfTexts(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, text := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d.txt", i), Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipMembersNobodyLists(t *testing.T) {
	one, two, none := zipOfTexts(t, "one"), zipOfTexts(t, "two"), zipOfTexts(t)
	tests := []struct {
		name string
		doc  []byte
		want bool // a gap
	}{
		{"a zip", zipOfTexts(t, "one", "two"), false},
		{"a zip without members", none, false},
		{"a stored zip inside", zipOfTexts(t, string(one)), false},
		{"a program in front", append([]byte("\x7fELF\x00\x01\x02"+strings.Repeat("\x90\x00\xff", 200)), one...), false},
		{"a zip in front of another", slices.Concat(one, two), true},
		{"a zip in front of a longer one", slices.Concat(one, zipOfTexts(t, "two", "three")), true},
		{"a zip in front of an empty one", slices.Concat(one, none), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := serve(t, false, limits, tt.doc)
			got := slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Ambiguous })
			if got != tt.want {
				t.Errorf("ambiguous: %v, want %v; gaps %v", got, tt.want, a.gaps)
			}
		})
	}
}

func TestEBCDICOfAnyCountry(t *testing.T) {
	const text = "\xe2\xe2\xd5\x40\xf5\xf3\xf6\x60\xf2\xf2\x60\xf8\xf1\xf4\xf5" // SSN 536-22-8145
	for _, charset := range []string{"cp500", "IBM500", "ibm-1148", "ebcdic-international", "CP00875", "cp037"} {
		doc := "From: a@b.example\r\nSubject: x\r\nContent-Type: text/plain; charset=" + charset + "\r\n\r\n" + text
		a := serve(t, true, limits, []byte(doc))
		if got := a.texts["1"]; !strings.HasPrefix(got, "SSN 536-22-8145") {
			t.Errorf("%s: read as %q", charset, got)
		}
	}
}
