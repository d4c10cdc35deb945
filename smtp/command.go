package smtp

import (
	"errors"
	"math"
	"strconv"
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// What a command is refused for. Each is a *gosmtp.SMTPError.
var (
	errSyntax   = refusal(501, gosmtp.EnhancedCode{5, 5, 4}, "Wrong argument")
	errParam    = refusal(555, gosmtp.EnhancedCode{5, 5, 4}, "Parameter not recognised")
	errSender   = refusal(501, gosmtp.EnhancedCode{5, 1, 7}, "Bad sender address syntax")
	errRouted   = refusal(550, gosmtp.EnhancedCode{5, 7, 1}, "Addresses that name a route are not relayed")
	errControls = refusal(500, gosmtp.EnhancedCode{5, 5, 2}, "Control character in a command")
)

// parseCommand splits a line into its verb, in capitals, and its argument.
func parseCommand(line string) (verb, arg string, err error) {
	for i := range len(line) {
		if line[i] < ' ' && line[i] != '\t' || line[i] == 0x7f {
			return "", "", errControls
		}
	}
	verb, arg, _ = strings.Cut(line, " ")
	return upper(verb), strings.Trim(arg, " \t"), nil
}

// parseMail reads the argument of MAIL. RFC 5321 4.1.1.2; what may be outside
// ASCII the parameters say: RFC 6531 3.4.
func parseMail(arg string) (from dlp.Address, opt MailOptions, err error) {
	inner, params, err := cutArgument(arg, "FROM:")
	if err != nil {
		return from, opt, err
	}
	if err := parseParams(params, opt.set); err != nil {
		return from, MailOptions{}, err
	}
	if from, err = parseInner(inner, opt.UTF8); err != nil || from.Domain == "" && !from.IsNull() {
		if !errors.Is(err, errNonASCII) {
			err = errSender // RFC 3463 3.2 has a code of its own for the sender
		}
		return dlp.Address{}, MailOptions{}, err
	}
	return from, opt, nil
}

// parseRcpt reads the argument of RCPT. RFC 5321 4.1.1.3.
func parseRcpt(arg string, beyondASCII bool) (rcpt dlp.Address, p dlp.RcptParams, err error) {
	inner, params, err := cutArgument(arg, "TO:")
	if err != nil {
		return dlp.Address{}, p, err
	}
	rcpt, err = parseInner(inner, beyondASCII)
	switch {
	case err != nil:
	case rcpt.IsNull():
		err = errAddress
	case routed(rcpt):
		err = errRouted
	default:
		err = parseParams(params, func(key, value string, has bool) error { return setRcpt(&p, key, value, has) })
	}
	if err != nil {
		return dlp.Address{}, dlp.RcptParams{}, err
	}
	return rcpt, p, nil
}

// cutArgument splits "FROM:<path> params". Spaces after the colon, which the
// standard forbids and old clients send, are let through.
func cutArgument(arg, prefix string) (inner string, params []string, err error) {
	if len(arg) < len(prefix) || upper(arg[:len(prefix)]) != prefix {
		return "", nil, errSyntax
	}
	inner, rest, ok := cutPath(strings.TrimLeft(arg[len(prefix):], " "))
	if !ok {
		return "", nil, errAddress
	}
	if rest != "" && rest[0] != ' ' {
		return "", nil, errSyntax
	}
	return inner, strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' }), nil
}

// parseSize reads up to 20 digits. A number past what an int64 holds is as
// large as can be said. RFC 1870 3.
func parseSize(s string) (int64, error) {
	if s == "" || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return 0, errSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, nil
	}
	return n, nil
}

// parseBdat reads the argument of BDAT. RFC 3030 2.
func parseBdat(arg string) (size int64, last bool, err error) {
	num, flag, _ := strings.Cut(arg, " ")
	flag = strings.TrimSpace(flag)
	if flag != "" && upper(flag) != "LAST" {
		return 0, false, errSyntax
	}
	size, err = parseSize(num)
	return size, flag != "", err
}

// parseHello takes the name a client gives itself, which devices and desktop
// machines write as they like. No name is refused, as RFC 5321 4.1.4 has it: what
// is no host name, tellable keeps out of all that goes on.
func parseHello(arg string) (string, error) {
	if arg == "" {
		return "", errSyntax
	}
	return arg, nil
}

// upper folds ASCII letters only: in Unicode a long s is a capital S too, which
// other servers may see differently.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}
