package xls

import "strings"

// aside reads one record of what a workbook shows outside its cells.
func (k *book) aside(id uint16, b []byte) {
	switch id {
	case 0x1be: // validation: four texts that users see
		rest := from(b, 4)
		for range 4 {
			var s string
			if s, rest = k.long(rest); len(s) > 1 {
				k.line(s)
			}
		}
		for range 2 { // what it allows
			n := min(int(u16(rest, 0)), len(from(rest, 4)))
			k.rule(from(rest, 4)[:n])
			rest = from(rest, 4+n)
		}
	case 0x1b1: // format on a condition, which stands behind it
		k.rule(from(b, len(b)-min(len(b), int(u16(b, 2))+int(u16(b, 4)))))
	case 0x87a: // one of Excel 2007
		at := 22 + int(min(u32(b, 18), uint32(len(b)))) // with or without a format
		if at == 22 {
			at = 24
		}
		k.rule(from(b, at))
	case 0x9e:
		k.filter(b)
	case 0x4bc, 0x221: // formulas of several cells
		at := 8
		if id == 0x221 {
			at = 12
		}
		k.words(b, at)
	case 0x17, 0x1ae:
		k.elsewhere(id, b)
	case 0x23: // a name in another file
		k.named(k.short(from(b, 6)))
	case 0x5c: // who wrote it
		s := k.short(b)
		if k.biff == biff8 {
			s, _ = k.long(b)
		}
		k.line(strings.TrimSpace(s))
	case 0x894: // a comment on a name
		_, rest := letters(from(b, 16), int(u16(b, 12)))
		s, _ := letters(rest, int(u16(b, 14)))
		k.line(s)
	}
}

// named gives a name that somebody made up.
func (k *book) named(s string) {
	if len(s) > 1 && !strings.HasPrefix(s, "_xl") {
		k.line(s)
	}
}

// rule gives the texts in the formula of a rule; those of a list have NULs between
// them. [MS-XLS] 2.5.198.89.
func (k *book) rule(b []byte) {
	for _, s := range k.texts(b) {
		k.line(strings.ReplaceAll(s, "\x00", ", "))
	}
}

// filter gives the texts that a column is filtered by. [MS-XLS] 2.4.6.
func (k *book) filter(b []byte) {
	rest := from(b, 24)
	for at := 4; at <= 14 && len(b) > 24; at += 10 {
		if b[at] == 6 {
			var s string
			s, rest = k.unmeasured(rest, int(b[at+6]))
			k.line(s)
		}
	}
}

// elsewhere gives the name of another file and of its sheets. What parts folders
// is a control character. [MS-XLS] 2.4.271, 2.5.277.
func (k *book) elsewhere(id uint16, b []byte) {
	path := func(s string) string {
		return strings.TrimLeft(strings.Map(func(r rune) rune {
			if r < ' ' {
				return '\\'
			}
			return r
		}, s), "\\")
	}
	switch n := u16(b, 2); {
	case id == 0x17 && k.biff < biff8:
		k.named(path(k.bytes(b)))
	case id == 0x1ae && n > 0 && n <= 0xff: // this file, and functions, have others
		s, rest := k.long(b[2:])
		k.named(path(s))
		for i := u16(b, 0); i > 0 && len(rest) > 2; i-- {
			s, rest = k.long(rest)
			k.named(s)
		}
	}
}
