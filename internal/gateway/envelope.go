package gateway

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
)

// envelopePart is the path under which findings in the envelope are reported.
const envelopePart = "ENVELOPE"

// addrTypes are the types of address in an ORCPT, in lower case as dlp.RcptParams
// has them. Source: IANA, "Mail Address Types"; unknown: RFC 3798 2.1.
var addrTypes = []string{"rfc822", "utf-8", "x400", "unknown"}

// readEnvelope hands sink what a client may write into the envelope at will, as
// envelopeTexts has it. All of it leaves with the message.
func readEnvelope(doc *dlp.Document, rules *Rules, sink dlp.Sink) error {
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
	for s := range envelopeTexts(doc, rules) {
		if s = strings.ToValidUTF8(s, "?") + "\n"; len(text)+len(s) > dlp.MaxWindow {
			if err := flush(); err != nil {
				return err
			}
		}
		text = append(text, s...)
	}
	return flush()
}

// envelopeTexts yields the texts in an envelope: ENVID, each ORCPT that says
// other than the recipient, the type of an ORCPT that is no known one, and local
// parts and domains that may say more than who somebody is. With each it says whether a
// client writes it at will: a local part without quotes, or a domain, is an
// address too.
// Addresses are taken apart, so that they are not found for being addresses, and
// come with and without their quotes.
func envelopeTexts(doc *dlp.Document, rules *Rules) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		add := func(s string, free bool) bool { return s == "" || yield(s, free) }
		if !add(doc.Params.EnvID, true) || !add(localText(doc.Sender, rules)) || !add(domainText(doc.Sender.Domain, rules), false) {
			return
		}
		said := ""
		for _, a := range doc.Rcpts {
			if !add(localText(a, rules)) || a.Domain != said && !add(domainText(a.Domain, rules), false) {
				return
			}
			said = a.Domain
		}
		for i, p := range doc.RcptParams {
			kind, addr, _ := strings.Cut(p.ORcpt, ";")
			if kind != "" && !slices.Contains(addrTypes, kind) && !add(kind, true) {
				return
			}
			if strings.EqualFold(addr, doc.Rcpts[i].String()) {
				continue
			}
			addr = strings.ReplaceAll(addr, "@", " ")
			if !add(addr, true) {
				return
			}
			if bare := unquote(addr); bare != addr && !add(bare, true) {
				return
			}
		}
	}
}

// minDigits is how many digits a name has for it to be text: fewer than a social
// security or telephone number, which need a word near by to be one. Shorter ones
// with a form of their own Rules.Knows tells of.
const minDigits = 8

// localText is what the local part of a says, "" where it is an address and
// nothing else. Text is what only quotes make a local part, one that the rules
// know for its form, and one with many digits, with its words set apart; a
// telephone number is where a fax goes. free is as in envelopeTexts.
func localText(a dlp.Address, rules *Rules) (text string, free bool) {
	if strings.HasPrefix(a.String(), `"`) {
		return strings.ReplaceAll(a.Local, "@", " "), true
	}
	whole := words(a.Local, 0)
	switch {
	case rules.knows(whole):
	case rules.knows(a.Local):
		whole = a.Local
	default:
		whole = ""
	}
	digits, letters, split := countChars(a.Local)
	if digits < minDigits || letters == 0 && digits > 9 {
		return whole, false
	}
	apart := words(a.Local, split)
	if whole == "" || whole == apart {
		return apart, false
	}
	return whole + "\n" + apart, false
}

// knows reports whether the rules know anything in s for its form alone. Without
// rules nothing is known.
func (r *Rules) knows(s string) bool { return s != "" && r != nil && r.Knows != nil && r.Knows(s) }

// domainText is what a domain says, "" where that is an address and nothing
// else: one with many digits, of which an IP address has few or is a literal, and
// one with a label that the rules know for its form. Case says nothing in a domain
// (RFC 1034 3.1), and most programs write it small; so a label is asked about as it
// is and in capitals, and the text is that of which the rules know it.
func domainText(domain string, rules *Rules) string {
	digits, _, split := countChars(domain)
	if digits == 0 || strings.HasPrefix(domain, "[") {
		return ""
	}
	var known []string
	for label := range strings.SplitSeq(domain, ".") {
		if n, _, _ := countChars(label); n == 0 {
			continue
		}
		if upper := strings.ToUpper(label); rules.knows(label) {
			known = append(known, label)
		} else if upper != label && rules.knows(upper) {
			known = append(known, upper)
		}
	}
	whole := strings.Join(known, " ")
	if digits < minDigits {
		return whole
	}
	apart := words(domain, split)
	if whole == "" || strings.Contains(" "+apart+" ", " "+whole+" ") {
		return apart
	}
	return whole + "\n" + apart
}

// countChars counts digits and letters of s, and says where digits first follow
// letters, 0 for nowhere: "ssn536-22-8145".
func countChars(s string) (digits, letters, split int) {
	for i, r := range s {
		switch {
		case '0' <= r && r <= '9':
			if split == 0 && letters > 0 && i > 0 && isLetter(s[i-1]) {
				split = i
			}
			digits++
		case r >= 0x80 || isLetter(byte(r)):
			letters++
		}
	}
	return digits, letters, split
}

// words sets the words of an address apart.
func words(s string, split int) string {
	if split > 0 {
		s = s[:split] + " " + s[split:]
	}
	return spaced.Replace(s)
}

var spaced = strings.NewReplacer(".", " ", "_", " ", "+", " ", "=", " ")

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// Withholds reports whether the envelope of doc, of which there is no message
// yet, may not leave before that is judged: the policy would not let its text
// pass, or what a client wrote at will holds anything that the rules know. It
// reads in this process, since the text is short.
func (g *Gateway) Withholds(ctx context.Context, doc *dlp.Document) bool {
	rules := g.rules.Load()
	if rules != nil && !g.cfg.ScanEnabled { // nothing would be read
		return false
	}
	text, free := false, false
	for _, f := range envelopeTexts(doc, rules) {
		text, free = true, free || f
	}
	if !text {
		return false
	}
	if g.Bypass != nil {
		if _, on := g.Bypass.Status(); on { // not Pass, which counts messages
			return false
		}
	}
	if rules == nil {
		return true
	}
	found, gaps, err := g.detectEnvelope(ctx, doc, rules)
	if err != nil || free && len(found) > 0 {
		return true
	}
	return slices.ContainsFunc(rules.Policy.Decide(doc, found, gaps).Rcpts, func(r dlp.RcptVerdict) bool {
		return r.Action != dlp.Allow && r.Action != dlp.AddTag
	})
}

// says reports whether the envelope of doc holds text in which the rules know
// anything, or that could not be read.
func (g *Gateway) says(ctx context.Context, doc *dlp.Document) bool {
	rules := g.rules.Load()
	if rules != nil && !g.cfg.ScanEnabled {
		return false
	}
	text := false
	for range envelopeTexts(doc, rules) {
		text = true
		break
	}
	if !text || rules == nil {
		return text
	}
	found, gaps, err := g.detectEnvelope(ctx, doc, rules)
	return err != nil || len(found) > 0 || len(gaps) > 0
}

// discreet is d without what says anything that a report must not repeat.
func (g *Gateway) discreet(ctx context.Context, d notify.DSN) notify.DSN {
	d.Hidden = g.hides(ctx, d.To)
	if g.says(ctx, &dlp.Document{Params: dlp.MailParams{EnvID: d.EnvID}}) {
		d.EnvID = ""
	}
	d.Rcpts = slices.Clone(d.Rcpts)
	for i, r := range d.Rcpts {
		d.Rcpts[i].Hidden = g.says(ctx, &dlp.Document{Rcpts: []dlp.Address{r.Rcpt}, RcptParams: []dlp.RcptParams{{ORcpt: r.ORcpt}}})
		if d.Rcpts[i].Hidden && g.hides(ctx, dlp.Address{Domain: r.Rcpt.Domain}) {
			d.Rcpts[i].Rcpt.Domain = "redacted.invalid" // RFC 2606 2: nobody's
		}
	}
	return d
}

// hides reports whether the address of a notice's reader is not to be repeated.
func (g *Gateway) hides(ctx context.Context, a dlp.Address) bool {
	return g.says(ctx, &dlp.Document{Sender: a})
}

// errJudgeBroke says that reading an envelope broke: what it holds is not known.
var errJudgeBroke = errors.New("gateway: reading an envelope broke")

// detectEnvelope reads the envelope of doc and nothing else of it.
func (g *Gateway) detectEnvelope(ctx context.Context, doc *dlp.Document, rules *Rules) (found []dlp.Finding, gaps []dlp.Gap, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "reading an envelope broke", slog.String("stack", string(debug.Stack())))
			err = errJudgeBroke
		}
	}()
	d := rules.Detect()
	if err := readEnvelope(doc, rules, d); err != nil {
		return nil, nil, err
	}
	found, gaps = d.Finish()
	return found, gaps, nil
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
