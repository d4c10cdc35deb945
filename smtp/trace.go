package smtp

import (
	"net/netip"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// traceHeader is what the door puts in front of a message: a Received field
// and our own with the document's id. No recipient stands in it. Times are UTC.
//
// Source: RFC 5321 4.4; "with": RFC 3848.
func traceHeader(hostname, helo, protocol string, client netip.Addr, id dlp.ID, at time.Time) []byte {
	b := make([]byte, 0, 512)
	for _, s := range [...]string{"Received: from ", HeloName(helo, client), " (", addressLiteral(client), ")\r\n\tby ", hostname,
		" with ", protocol, " id ", string(id), ";\r\n\t"} {
		b = append(b, s...)
	}
	b = at.UTC().AppendFormat(b, time.RFC1123Z)
	b = append(append(b, "\r\nX-Stanch-Id: "...), id...)
	return append(b, "\r\n"...)
}

// maxHeloDigits is how many digits a name may have that goes on: nothing by which
// stanch knows a person is as short.
const maxHeloDigits = 4

// HeloName returns what a client called itself where that may go on in a trace
// field, else the client's address, or "unknown".
func HeloName(helo string, client netip.Addr) string {
	if name := tellable(helo); name != "" {
		return name
	}
	return addressLiteral(client)
}

// tellable returns what a client called itself, "" where it could tell of a
// person: nobody judges it before it goes on, in a trace field or by XFORWARD. It
// is told if it is an address literal, or a host name with a dot and few digits;
// a person's device or a number is not.
//
// Source: RFC 5321 4.4 (the name SHOULD stand there), 4.1.4 (it need not be true).
func tellable(helo string) string {
	name, ok := parseDomain(helo)
	if ok && name[0] == '[' {
		return name
	}
	digits := 0
	for i := range len(name) {
		if '0' <= name[i] && name[i] <= '9' {
			digits++
		}
	}
	if !ok || !isASCII(helo) || !strings.Contains(name, ".") || digits > maxHeloDigits {
		return ""
	}
	return name
}

// addressLiteral is RFC 5321 4.1.3; a client that a proxy could not name has
// none.
func addressLiteral(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	if a.Is6() {
		return "[IPv6:" + a.WithZone("").String() + "]"
	}
	return "[" + a.String() + "]"
}

// with is what the "with" clause of a trace field tells.
type with struct {
	lmtp, extended, secured, authenticated, utf8 bool
}

// String is the clause. RFC 3848; UTF8: RFC 6531 4.3.
func (w with) String() string {
	var b strings.Builder
	switch {
	case w.utf8:
		b.WriteString("UTF8")
	case w.lmtp:
	case w.extended || w.secured || w.authenticated:
		b.WriteByte('E')
	}
	if w.lmtp {
		b.WriteString("LMTP")
	} else {
		b.WriteString("SMTP")
	}
	if w.secured {
		b.WriteByte('S')
	}
	if w.authenticated {
		b.WriteByte('A')
	}
	return b.String()
}
