package smtp

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	gosmtp "github.com/emersion/go-smtp"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	maxLocal  = 64  // bytes, RFC 5321 4.5.3.1.1
	maxDomain = 255 // bytes, RFC 5321 4.5.3.1.2
	maxLabel  = 63  // bytes, RFC 1035 2.3.4
	maxRoute  = 32  // hosts of a source route that is read, only to be dropped
)

// What an address is refused for. Each is a *gosmtp.SMTPError.
var (
	errAddress  = refusal(501, gosmtp.EnhancedCode{5, 1, 3}, "Bad address syntax")
	errNonASCII = refusal(553, gosmtp.EnhancedCode{5, 6, 7}, "Addresses outside ASCII need SMTPUTF8")
)

// ParseAddress reads a mailbox as it stands between angle brackets: Dot-string
// or Quoted-string, "@", domain or address literal; a source route before it is
// dropped. What it returns is written by dlp.Address.String so that it reads
// back as the same. It is stricter than the standard where servers disagree:
// no "<" or ">" inside quotes, no empty local part.
//
// The error is a *gosmtp.SMTPError: 501 5.1.3, or 553 5.6.7 outside ASCII.
//
// Source: RFC 5321 4.1.2, 4.1.3; source routes: appendix C.
func ParseAddress(s string) (dlp.Address, error) { return parseMailbox(s, false) }

// ParseUTF8Address is ParseAddress for a message with SMTPUTF8: the local part
// may be outside ASCII and comes back in Normalization Form C, a domain as its
// A-labels.
//
// Source: RFC 6531 3.3; the form: RFC 6532 3.1; the labels: RFC 5891 5, UTS 46.
func ParseUTF8Address(s string) (dlp.Address, error) { return parseMailbox(s, true) }

func parseMailbox(s string, beyondASCII bool) (dlp.Address, error) {
	switch {
	case isASCII(s):
	case !beyondASCII:
		return dlp.Address{}, errNonASCII
	case !isPrintableUTF8(s):
		return dlp.Address{}, errAddress
	}
	s, ok := dropRoute(s)
	if !ok {
		return dlp.Address{}, errAddress
	}
	local, rest, ok := cutLocal(s)
	if !ok || rest == "" || rest[0] != '@' {
		return dlp.Address{}, errAddress
	}
	domain, ok := parseDomain(rest[1:])
	a := dlp.Address{Local: norm.NFC.String(local), Domain: domain}
	if !ok || len(a.String())-len(domain)-1 > maxLocal {
		return dlp.Address{}, errAddress
	}
	return a, nil
}

// parseInner reads what stands between the brackets of a path. Nothing is the
// null reverse-path, "postmaster" the one mailbox without a domain. Errors as
// ParseAddress.
//
// Source: RFC 5321 4.1.2; postmaster: 4.5.1.
func parseInner(s string, beyondASCII bool) (dlp.Address, error) {
	if s == "" {
		return dlp.Address{}, nil
	}
	if strings.EqualFold(s, "postmaster") {
		return dlp.Address{Local: "postmaster"}, nil
	}
	return parseMailbox(s, beyondASCII)
}

// cutPath takes the path between angle brackets off the front of s. A bracket
// inside quotes is no end.
func cutPath(s string) (inner, rest string, ok bool) {
	if s == "" || s[0] != '<' {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		case '>':
			if !quoted {
				return s[1:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// dropRoute takes a source route off the front. Its hosts must be domains all
// the same. RFC 5321 4.1.1.3: it is accepted and ignored.
func dropRoute(s string) (string, bool) {
	if !strings.HasPrefix(s, "@") {
		return s, true
	}
	route, rest, ok := strings.Cut(s, ":")
	hosts := strings.Split(route, ",")
	if !ok || strings.HasPrefix(rest, "@") || len(hosts) > maxRoute {
		return "", false
	}
	for _, h := range hosts {
		d, at := strings.CutPrefix(h, "@")
		if _, ok := parseDomain(d); !at || !ok {
			return "", false
		}
	}
	return rest, true
}

// cutLocal takes the local part off the front of s and returns it unquoted.
func cutLocal(s string) (local, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '@')
		if i <= 0 || !isDotString(s[:i]) {
			return "", "", false
		}
		return s[:i], s[i:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return b.String(), s[i+1:], b.Len() > 0
		case c == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			c = s[i]
		}
		if c < ' ' || c == 0x7f || c == '<' || c == '>' {
			return "", "", false
		}
		b.WriteByte(c)
	}
	return "", "", false
}

// isDotString reports whether s is atoms joined by single dots. RFC 5321 4.1.2.
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if !isAtext(atom[i]) {
				return false
			}
		}
	}
	return true
}

// isAtext is RFC 5322 3.2.3, and RFC 6531 3.3 for what is outside ASCII: who
// may have that there is asked before.
func isAtext(c byte) bool {
	return isAlnum(c) || c >= utf8.RuneSelf || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// parseDomain returns a domain in lower case, or an address literal in the one
// form that netip gives it. U-labels come back as A-labels, so that one domain
// has one form for policy, the next hop and the record. Underscores are let
// through: hosts that have them get mail.
func parseDomain(s string) (string, bool) {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	if !isASCII(s) {
		var err error
		if s, err = lookup().ToASCII(s); err != nil {
			return "", false
		}
	}
	if s == "" || len(s) > maxDomain {
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return "", false
			}
		}
		if !isLabel(strings.ToLower(label)) {
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// lookup maps a domain as a resolver would: case, width and the dots of other
// scripts are folded, nothing is left to the next hop to fold differently.
func lookup() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))
}

// isLabel refuses a label that only looks like an A-label: one that stands for
// ASCII, or for nothing, may be taken for another domain by who decodes it.
func isLabel(label string) bool {
	if !strings.HasPrefix(label, "xn--") {
		return true
	}
	u, err := idna.Punycode.ToUnicode(label)
	return err == nil && !isASCII(u)
}

// parseLiteral reads "[192.0.2.1]" and "[IPv6:2001:db8::1]". RFC 5321 4.1.3.
func parseLiteral(s string) (string, bool) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", false
	}
	const tag = "ipv6:"
	if len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag) {
		a, err := netip.ParseAddr(inner[len(tag):])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "", false
		}
		return "[IPv6:" + a.String() + "]", true
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || !a.Is4() {
		return "", false
	}
	return "[" + a.String() + "]", true
}

// isPrintableUTF8 reports well-formed UTF-8 in which nothing outside ASCII is
// invisible, turns the direction of text or is not assigned. The joiners pass:
// words of some scripts need them.
func isPrintableUTF8(s string) bool {
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			return false
		case r < utf8.RuneSelf:
			if s[i] < ' ' || s[i] == 0x7f {
				return false
			}
		case r == '\u200c', r == '\u200d':
		case !unicode.IsGraphic(r), unicode.IsSpace(r):
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > '~'+1 {
			return false
		}
	}
	return true
}

// routed reports whether a's local part asks the next hop to send the message
// somewhere other than a's own domain: user%host, host!user, "user@host".
// Postfix and Sendmail know these forms, policy does not. The wide and small
// forms of the signs count as the signs.
//
// Source: RFC 5321 appendix F.2 calls them deprecated.
func routed(a dlp.Address) bool { return strings.ContainsAny(norm.NFKC.String(a.Local), "%!@") }
