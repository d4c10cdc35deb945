package smtp

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

const (
	maxEnvID = 100 // characters, RFC 3461 4.4
	maxORcpt = 500 // characters, RFC 3461 4.2
)

// errValue is what a known parameter with a bad value is refused for.
var errValue = refusal(501, gosmtp.EnhancedCode{5, 5, 4}, "Bad value of a parameter")

// parseParams gives each parameter of a command, its key in capitals, to set.
// Each may come once. RFC 5321 4.1.1.11.
func parseParams(params []string, set func(key, value string, hasValue bool) error) error {
	seen := map[string]bool{}
	for _, p := range params {
		key, value, hasValue := strings.Cut(p, "=")
		key = upper(key)
		if seen[key] {
			return errSyntax
		}
		seen[key] = true
		if err := set(key, value, hasValue); err != nil {
			return err
		}
	}
	return nil
}

// set takes one parameter of MAIL in.
func (o *MailOptions) set(key, value string, hasValue bool) (err error) {
	switch {
	case key == "SIZE" && hasValue:
		o.Size, err = parseSize(value)
	case key == "BODY" && hasValue:
		switch b := gosmtp.BodyType(upper(value)); b {
		case gosmtp.Body7Bit, gosmtp.Body8BitMIME, gosmtp.BodyBinaryMIME:
			o.Body = string(b)
		default:
			return errParam
		}
	case key == "SMTPUTF8" && !hasValue: // RFC 6531 3.4
		o.UTF8 = true
	case key == "AUTH" && hasValue: // RFC 4954 5: to be taken, and need not be believed
		if who, ok := decodeXtext(value); !ok || !isPrintable(who) {
			return errValue
		}
	case key == "RET" && hasValue:
		if o.Ret = upper(value); o.Ret != "FULL" && o.Ret != "HDRS" {
			return errValue
		}
	case key == "ENVID" && hasValue:
		id, ok := decodeXtext(value)
		if !ok || id == "" || len(value) > maxEnvID || !isPrintable(id) {
			return errValue
		}
		o.EnvID = id
	default:
		return errParam
	}
	return err
}

// setRcpt takes one parameter of RCPT in.
func setRcpt(p *dlp.RcptParams, key, value string, hasValue bool) (err error) {
	switch {
	case key == "NOTIFY" && hasValue:
		p.Notify, err = parseNotify(value)
	case key == "ORCPT" && hasValue:
		p.ORcpt, err = parseORcpt(value)
	default:
		return errParam
	}
	return err
}

// parseNotify returns NEVER, or what else was asked for in one fixed order.
// RFC 3461 4.1.
func parseNotify(s string) (string, error) {
	words := strings.Split(upper(s), ",")
	if len(words) == 1 && words[0] == "NEVER" {
		return "NEVER", nil
	}
	var out []string
	for _, known := range []string{"SUCCESS", "FAILURE", "DELAY"} {
		if slices.Contains(words, known) {
			out = append(out, known)
		}
	}
	if len(out) != len(words) { // an unknown word, NEVER among others, or one twice
		return "", errValue
	}
	return strings.Join(out, ","), nil
}

// parseORcpt returns "addr-type;address", the type in lower case and the
// address decoded. RFC 3461 4.2; the type utf-8: RFC 6533 3.
func parseORcpt(s string) (string, error) {
	kind, addr, ok := strings.Cut(s, ";")
	if !ok || kind == "" || len(s) > maxORcpt {
		return "", errValue
	}
	for i := range len(kind) {
		if !isAlnum(kind[i]) && kind[i] != '-' {
			return "", errValue
		}
	}
	kind = strings.ToLower(kind)
	if kind == "utf-8" {
		addr, ok = decodeUTF8Xtext(addr)
		ok = ok && isPrintableUTF8(addr)
	} else {
		addr, ok = decodeXtext(addr)
		ok = ok && isPrintable(addr)
	}
	if !ok || addr == "" {
		return "", errValue
	}
	return kind + ";" + addr, nil
}

// mailCommand is MAIL with those of the parameters that the next hop offers to
// understand. Nothing a client sent goes out as it came: every value was
// decoded and is encoded anew.
func (h *hop) mailCommand(from dlp.Address, opt MailOptions) string {
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + from.String() + ">")
	if h.offersSize && opt.Size > 0 {
		b.WriteString(" SIZE=" + strconv.FormatInt(opt.Size, 10))
	}
	if opt.Body == string(gosmtp.BodyBinaryMIME) && h.ext.Binary || h.offers8Bit && opt.Body != "" && opt.Body != string(gosmtp.BodyBinaryMIME) {
		b.WriteString(" BODY=" + opt.Body)
	}
	if h.ext.UTF8 && opt.UTF8 {
		b.WriteString(" SMTPUTF8")
	}
	if h.ext.DSN && opt.Ret != "" {
		b.WriteString(" RET=" + opt.Ret)
	}
	if h.ext.DSN && opt.EnvID != "" {
		b.WriteString(" ENVID=" + encodeXtext(opt.EnvID))
	}
	return b.String()
}

// rcptCommand is RCPT, as mailCommand. RFC 3461 5.2.1: an ORCPT is passed on
// as it was given, and none is made up.
func (h *hop) rcptCommand(rcpt dlp.Address, p dlp.RcptParams) string {
	var b strings.Builder
	b.WriteString("RCPT TO:<" + rcpt.String() + ">")
	if h.ext.DSN && p.Notify != "" {
		b.WriteString(" NOTIFY=" + p.Notify)
	}
	if h.ext.DSN && p.ORcpt != "" {
		b.WriteString(" ORCPT=" + encodeORcpt(p.ORcpt))
	}
	return b.String()
}

func encodeORcpt(s string) string {
	kind, addr, _ := strings.Cut(s, ";")
	if kind == "utf-8" {
		return kind + ";" + message.UTF8Xtext(addr)
	}
	return kind + ";" + encodeXtext(addr)
}

// encodeXtext writes s so that nothing in it can end a parameter. RFC 3461 4.
func encodeXtext(s string) string {
	const hexits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < '!' || c > '~' || c == '+' || c == '=' {
			b.Write([]byte{'+', hexits[c>>4], hexits[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// decodeXtext is strict: hexits are capitals, and what need not be encoded may
// be. RFC 3461 4.
func decodeXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < '!' || c > '~' || c == '=':
			return "", false
		case c != '+':
			b.WriteByte(c)
		default:
			if i+2 >= len(s) || strings.Trim(s[i+1:i+3], "0123456789ABCDEF") != "" {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			b.WriteByte(byte(n))
			i += 2
		}
	}
	return b.String(), true
}

// decodeUTF8Xtext reads utf-8-addr-xtext and utf-8-addr-unitext. RFC 6533 3.
func decodeUTF8Xtext(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n <= 1, r < '!', r == 0x7f, r == '+', r == '=':
			return "", false
		case r != '\\':
			b.WriteRune(r)
			s = s[n:]
			continue
		}
		hex, rest, ok := strings.Cut(s, "}")
		hex, prefixed := strings.CutPrefix(hex, `\x{`)
		if !ok || !prefixed || len(hex) < 2 || len(hex) > 6 || strings.Trim(hex, "0123456789ABCDEF") != "" {
			return "", false
		}
		point, err := strconv.ParseInt(hex, 16, 32)
		if err != nil || !utf8.ValidRune(rune(point)) {
			return "", false
		}
		b.WriteRune(rune(point))
		s = rest
	}
	return b.String(), true
}

// isPrintable reports graphic ASCII and spaces. RFC 3461 4.4.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
