package message

import (
	"strconv"
	"strings"
)

// UTF8Xtext writes an address outside ASCII in ASCII: the form of delivery
// reports, and of ORCPT where a server does not take SMTPUTF8.
//
// Source: RFC 6533 3, utf-8-addr-xtext.
func UTF8Xtext(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < '!' || r > '~' || r == '+' || r == '=' || r == '\\' {
			hex := strings.ToUpper(strconv.FormatInt(int64(r), 16))
			if len(hex) < 2 {
				hex = "0" + hex
			}
			b.WriteString(`\x{` + hex + "}")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
