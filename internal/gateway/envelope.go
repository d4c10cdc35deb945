package gateway

import (
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// envelopePart is the path under which findings in the envelope are reported.
const envelopePart = "ENVELOPE"

// addrTypes are the types of address in an ORCPT, in lower case as dlp.RcptParams
// has them. Source: IANA, "Mail Address Types"; unknown: RFC 3798 2.1.
var addrTypes = []string{"rfc822", "utf-8", "x400", "unknown"}

// readEnvelope hands sink what a client may write into the envelope at will:
// ENVID, each ORCPT that says other than the recipient, the type of an ORCPT that
// is no known one, and local parts that only quotes make one: they may be any text. All leave with the message, and stand
// in reports to its sender. Addresses are taken apart, so that they are not
// found for being addresses, and read with and without their quotes.
func readEnvelope(doc *dlp.Document, sink dlp.Sink) error {
	var text []byte
	var at int64
	begun := false
	flush := func() error {
		if len(text) == 0 {
			return nil
		}
		if !begun {
			begun = true
			if err := sink.Part(dlp.PartInfo{Path: envelopePart, MediaType: "text/plain"}); err != nil {
				return err
			}
		}
		err := sink.Text(dlp.Window{Offset: at, Text: text})
		at += int64(len(text))
		text = text[:0]
		return err
	}
	add := func(s string) error {
		if s == "" {
			return nil
		}
		if s = strings.ToValidUTF8(s, "?") + "\n"; len(text)+len(s) > dlp.MaxWindow {
			if err := flush(); err != nil {
				return err
			}
		}
		text = append(text, s...)
		return nil
	}
	if err := add(doc.Params.EnvID); err != nil {
		return err
	}
	for _, a := range append([]dlp.Address{doc.Sender}, doc.Rcpts...) {
		if strings.HasPrefix(a.String(), `"`) {
			if err := add(strings.ReplaceAll(a.Local, "@", " ")); err != nil {
				return err
			}
		}
	}
	for i, p := range doc.RcptParams {
		kind, addr, _ := strings.Cut(p.ORcpt, ";")
		if !slices.Contains(addrTypes, kind) {
			if err := add(kind); err != nil {
				return err
			}
		}
		if strings.EqualFold(addr, doc.Rcpts[i].String()) {
			continue
		}
		addr = strings.ReplaceAll(addr, "@", " ")
		if err := add(addr); err != nil {
			return err
		}
		if bare := unquote(addr); bare != addr {
			if err := add(bare); err != nil {
				return err
			}
		}
	}
	return flush()
}

// unquote returns s without the quotes and backslashes of a Quoted-string.
// RFC 5321 4.1.2.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		} else if s[i] == '"' {
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
