package formats_test

import (
	"encoding/hex"
	"fmt"
	"testing"
)

// TestRTF holds what parts an RTF document makes.
func TestRTF(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want map[string]string
		gaps []string
	}{
		{"text", `{\rtf1 SSN\cell 536-22-8145\cell\row}`, map[string]string{"": "SSN\t536-22-8145\t\n"}, nil},
		{"wrapped HTML", `{\rtf1\ansi\ansicpg1251\fromhtml1{\*\htmltag1 <html><meta charset="windows-1251"><p title="t">}\'c8 5{\*\htmltag1 </p>}}`,
			map[string]string{"": "И 5\n", "~2": "И 5\n\nwindows-1251\nt\n"}, nil},
		{"picture", `{\rtf1 a{\pict\pngblip ` + hex.EncodeToString([]byte("\x89PNG\r\n\x1a\n")) + `}{\pict\wmetafile8 0102}}`,
			map[string]string{"": "a\n", "1": "", "2": ""}, []string{"1 image image/png", "2 image image/wmf"}},
		{"object", `{\rtf1{\object{\*\objdata ` + hex.EncodeToString([]byte("PK\x05\x06"+fmt.Sprintf("%018d", 0))) + `}}}`, map[string]string{"": ""}, []string{"1 corrupt zip directory"}},
		{"an object of text", `{\rtf1{\object{\*\objdata ` + hex.EncodeToString([]byte("SSN 536-22-8145")) + `}}}`, map[string]string{"1": "SSN 536-22-8145"}, nil},
		{"cut", `{\rtf1 a{\pict\pngblip 8950`, map[string]string{"": "a\n"}, []string{"1 image image/png", "corrupt rtf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.in))
			for path, want := range c.want {
				if a.texts[path] != want {
					t.Errorf("part %q: got %q, want %q", path, a.texts[path], want)
				}
			}
			if fmt.Sprint(a.told()) != fmt.Sprint(c.gaps) {
				t.Errorf("gaps: got %q, want %q", a.told(), c.gaps)
			}
		})
	}
}
