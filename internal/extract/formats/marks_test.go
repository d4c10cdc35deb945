package formats_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const markedSSN = "SSN: 536-22-8145 and more"

func encoded(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// readsSSN reports whether any part says the number, control characters aside.
func (a *answer) readsSSN() bool {
	for _, text := range a.texts {
		if strings.Contains(strings.ReplaceAll(text, "\x00", ""), "536-22-8145") {
			return true
		}
	}
	return false
}

// TestFalseByteOrderMark holds that a byte order mark hides no text that a
// program reads by its charset, or as the bytes it is.
func TestFalseByteOrderMark(t *testing.T) {
	ebcdic := encoded(t, charmap.CodePage037, markedSSN)
	le := encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), markedSSN)
	be := encoded(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), markedSSN)
	type form struct {
		name, doc string
		mail      bool
	}
	var forms []form
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff", "\xff\xfe\x00\x00", "\xff\xfe\xfe\xff"} {
		for _, declared := range []string{"text/plain; charset=utf-8", "text/plain", "text/plain; charset=x-none", "text/plain; charset=gb2312",
			"text/html; charset=utf-8", "application/octet-stream", "text/csv; charset=windows-1252"} {
			for _, body := range []string{markedSSN, markedSSN + "!", markedSSN + strings.Repeat(" and this is more of it", 60_000)} {
				forms = append(forms, form{declared, "Content-Type: " + declared + "\r\n\r\n" + mark + body, true})
			}
		}
		forms = append(forms,
			form{"a table", mark + "mrn,ssn\n4482913,536-22-8145\n", false},
			form{"a page", mark + "<html><meta charset=utf-8><p>" + markedSSN, false},
			form{"a page that names none", mark + "<p>" + markedSSN, false},
			form{"behind text that is", mark + strings.Repeat("o\x00k\x00 \x00", 100) + markedSSN, false},
			form{"ebcdic", "Content-Type: text/plain; charset=cp037\r\n\r\n" + mark + ebcdic, true},
			form{"the other order", "Content-Type: text/plain; charset=utf-16be\r\n\r\n" + mark + be, true},
			form{"a NUL in each pair", "Content-Type: text/plain; charset=utf-8\r\n\r\n" + mark + "53\x006\x00-22\x00-\x0081\x004\x005" + strings.Repeat(" and more", 20), true},
		)
	}
	forms = append(forms,
		form{"no mark, behind text that is UTF-16", strings.Repeat("o\x00k\x00 \x00", 100) + markedSSN, false},
		form{"no mark, bytes declared UTF-16", "Content-Type: text/plain; charset=utf-16\r\n\r\n" + markedSSN, true},
		form{"UTF-32's mark before UTF-16", "\xff\xfe\x00\x00" + le, false},
		form{"UTF-8's mark before EBCDIC", "Content-Type: text/plain; charset=cp037\r\n\r\n\xef\xbb\xbf" + ebcdic, true},
		form{"UTF-8's mark before UTF-7", "Content-Type: text/plain; charset=utf-7\r\n\r\n\xef\xbb\xbf+ADUAMwA2-+AC0-22+AC0-8145", true},
		form{"UTF-16's mark before UTF-7", "Content-Type: text/plain; charset=utf-7\r\n\r\n\xff\xfe+ADUAMwA2-+AC0-22+AC0-8145", true},
	)
	for _, f := range forms {
		a := serve(t, f.mail, limits, []byte(f.doc))
		if !a.readsSSN() {
			t.Errorf("%s: %q: the number is in none of %q", f.name, f.doc[:min(len(f.doc), 80)], a.paths)
		}
	}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff", "\xff\xfe\x00\x00"} { // a file too long to be held
		for _, start := range []string{"", "<html><p>"} {
			a := serve(t, false, limits, []byte(mark+start+strings.Repeat(markedSSN+"\n", 60_000)))
			if !slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Ambiguous }) {
				t.Errorf("% x, %q, a long file: gaps %v, want ambiguous", mark, start, a.gaps)
			}
		}
	}
}

// TestByteOrderMark holds that a text that is what its mark says is read once.
func TestByteOrderMark(t *testing.T) {
	latin := "Name\tSSN\tNote\r\nZoë “Ada” Example\t536-22-8145\t≤ 5 mg – 20 °C … • ok ☺ 😀\r\n"
	chinese := "患者姓名：山田太郎，出生日期一九八〇年三月四日，身份证号码，请速与本院联系。血压正常，心率稳定。\n"
	for name, e := range map[string]encoding.Encoding{
		"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf-16be": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
		"utf-32le": utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), "utf-32be": utf32.UTF32(utf32.BigEndian, utf32.UseBOM),
		"utf-8": unicode.UTF8BOM,
	} {
		wide := strings.TrimRight(name, "bel")
		once := func(what string, mail bool, head, text string) {
			t.Helper()
			a := serve(t, mail, limits, []byte(head+encoded(t, e, text)))
			if at := slices.IndexFunc(a.paths, func(p string) bool { return strings.Contains(p, "~") }); at >= 0 || len(a.gaps) > 0 {
				t.Errorf("%s, %s: parts %q, gaps %v, want one reading", name, what, a.paths, a.gaps)
			}
			if p := a.paths[len(a.paths)-1]; !strings.Contains(a.texts[p], strings.TrimSpace(strings.SplitN(text, "\t", 2)[0])) {
				t.Errorf("%s, %s: read as %q", name, what, a.texts[p][:min(len(a.texts[p]), 80)])
			}
		}
		once("a file", false, "", latin)
		once("a Chinese file", false, "", strings.Repeat(chinese, 20))
		once("a long file", false, "", strings.Repeat(latin, 20_000))
		once("nothing but the mark and a letter", false, "", "x")
		for _, declared := range []string{"text/plain", "text/plain; charset=" + name, "text/plain; charset=" + wide, "text/plain; charset=utf-8", "application/octet-stream"} {
			once(declared, true, "Content-Type: "+declared+"\r\n\r\n", latin)
		}
		once("Chinese, declared", true, "Content-Type: text/plain; charset="+wide+"\r\n\r\n", strings.Repeat(chinese, 20))
	}
}
