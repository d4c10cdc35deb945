package codepage_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name string
		page int
		in   string
		want string
	}{
		{"windows-1252", 1252, "M\xfcller \x80", "Müller €"},
		{"windows-1250", 1250, "\xc8l\xe1nek", "Článek"},
		{"shift jis", 932, "\x93\x8c\x8b\x9e 536-22-8145", "東京 536-22-8145"},
		{"big5", 950, "\xb1i\xb7\xb6\xad\xdb", "張毓倫"},
		{"macintosh", 10000, "M\x9fller", "Müller"},
		{"utf-16", 1200, "A\x00\x3d\xd8\x00\xde\xfc\x00x", "A😀ü"},
		{"a lone surrogate", 1200, "\x3d\xd8A\x00", "\ufffdA"},
		{"utf-8", 65001, "Mü", "Mü"},
		{"utf-8 that is none", 65001, "M\xfc", "Mü"},
		{"not known", 4711, "M\xfc", "Mü"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := codepage.Decode(c.page, []byte(c.in)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOfLanguage(t *testing.T) {
	for lang, want := range map[uint16]int{0x0409: 1252, 0x0419: 1251, 0x0c1a: 1251, 0x081a: 1250, 0x0804: 936, 0x0404: 950, 0: 1252} {
		if got := codepage.OfLanguage(lang); got != want {
			t.Errorf("%#x: got %d, want %d", lang, got, want)
		}
	}
}
