package policy

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// nullSender is how a pattern names the null reverse-path.
const nullSender = "<>"

// pattern is an address pattern: each half is matched by itself, so that a `*`
// never reaches over the @.
type pattern struct{ local, domain string }

var (
	errEmptyPattern  = errors.New("it is empty")
	errPatternSpace  = errors.New("it has a space or an angle bracket")
	errPatternDomain = errors.New("it has no domain")
	errPatternASCII  = errors.New("a domain is written in ASCII (xn--…)")
)

// parsePattern reads `local@domain` or `domain`, either half with any number
// of `*`, each of which stands for any run of characters.
func parsePattern(s string) (pattern, error) {
	if s == "" {
		return pattern{}, errEmptyPattern
	}
	if strings.ContainsAny(s, " \t\r\n<>,") {
		return pattern{}, errPatternSpace
	}
	p := pattern{local: "*", domain: s}
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		p = pattern{local: s[:at], domain: s[at+1:]}
	}
	if p.domain == "" || p.local == "" {
		return pattern{}, errPatternDomain
	}
	for i := range len(p.domain) {
		if p.domain[i] >= 0x80 {
			return pattern{}, errPatternASCII
		}
	}
	p.local, p.domain = dlp.FoldAddress(p.local), dlp.FoldAddress(p.domain)
	return p, nil
}

// match reports whether a is meant. The null reverse-path never is.
func (p pattern) match(a dlp.Address) bool {
	return !a.IsNull() && p.matchFolded(dlp.Address{Local: dlp.FoldAddress(a.Local), Domain: dlp.FoldAddress(a.Domain)})
}

// matchFolded is match for an address in small letters that is not null.
func (p pattern) matchFolded(a dlp.Address) bool {
	return glob(p.domain, a.Domain) && glob(p.local, a.Local)
}

// glob reports whether s is what pattern describes; `*` stands for any run of
// bytes. Time is at most len(pattern) × len(s).
func glob(pattern, s string) bool {
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// domains says which recipients are internal.
type domains []string

// internal reports whether a is one of ours: its domain is exactly one of the
// configured ones, or is described by one with a `*` such as
// "*.clinic.example". A recipient without a domain, and an address literal
// that is not listed, are external: the careful side.
func (d domains) internal(a dlp.Address) bool {
	host := dlp.FoldAddress(a.Domain)
	return host != "" && slices.ContainsFunc(d, func(own string) bool { return glob(own, host) })
}

// Internal reports whether a is of one of smtp.internal_domains.
func Internal(internalDomains []string, a dlp.Address) bool {
	var own domains
	for _, d := range internalDomains {
		if p, err := parsePattern(d); err == nil { // New tells of the others
			own = append(own, p.domain)
		}
	}
	return own.internal(a)
}

// matcher is a compiled Match.
type matcher struct {
	channels   []dlp.Channel
	words      []string
	recipients []pattern
	senders    []pattern
	nullSender bool
	folders    []string
	given      bool // any key at all
}

// compile takes a Match that Validate has passed.
func (m *Match) compile() matcher {
	c := matcher{
		folders: m.Folders,
		given:   len(m.Channels)+len(m.Recipients)+len(m.Senders)+len(m.Folders) > 0,
	}
	for _, name := range m.Channels {
		for _, ch := range []dlp.Channel{dlp.Mail, dlp.File} {
			if ch.String() == name {
				c.channels = append(c.channels, ch)
			}
		}
	}
	for _, r := range m.Recipients {
		if r == wordExternal || r == wordInternal || r == wordAny {
			c.words = append(c.words, r)
		} else if p, err := parsePattern(r); err == nil {
			c.recipients = append(c.recipients, p)
		}
	}
	for _, s := range m.Senders {
		if s == nullSender {
			c.nullSender = true
		} else if p, err := parsePattern(s); err == nil {
			c.senders = append(c.senders, p)
		}
	}
	return c
}

// where reports whether a policy with this `where` speaks of doc on its way to
// rcpt. What a document of this channel does not have is ignored.
func (m *matcher) where(doc *dlp.Document, rcpt dlp.Address, own domains) bool {
	if !m.channel(doc.Channel) {
		return false
	}
	if doc.Channel == dlp.File {
		return len(m.folders) == 0 || m.folder(doc)
	}
	return (!m.namesRcpts() || m.rcpt(rcpt, own)) && (!m.namesSenders() || m.sender(doc.Sender))
}

// except reports whether a policy with this `except` leaves doc on its way to
// rcpt alone. A key that this channel has nothing for excepts nothing, and
// neither does an `except` without keys.
func (m *matcher) except(doc *dlp.Document, rcpt dlp.Address, own domains) bool {
	if !m.given || !m.channel(doc.Channel) {
		return false
	}
	if doc.Channel == dlp.File {
		return !m.namesRcpts() && !m.namesSenders() && (len(m.folders) == 0 || m.folder(doc))
	}
	return len(m.folders) == 0 && (!m.namesRcpts() || m.rcpt(rcpt, own)) && (!m.namesSenders() || m.sender(doc.Sender))
}

func (m *matcher) namesRcpts() bool { return len(m.words)+len(m.recipients) > 0 }

func (m *matcher) namesSenders() bool { return len(m.senders) > 0 || m.nullSender }

func (m *matcher) channel(c dlp.Channel) bool {
	return len(m.channels) == 0 || slices.Contains(m.channels, c)
}

func (m *matcher) rcpt(a dlp.Address, own domains) bool {
	for _, w := range m.words {
		if w == wordAny || (w == wordInternal) == own.internal(a) {
			return true
		}
	}
	return slices.ContainsFunc(m.recipients, func(p pattern) bool { return p.match(a) })
}

func (m *matcher) sender(a dlp.Address) bool {
	if a.IsNull() {
		return m.nullSender
	}
	return slices.ContainsFunc(m.senders, func(p pattern) bool { return p.match(a) })
}

// folder reports whether doc lies in or below one of the folders, by its path
// as watched: nothing is looked up on disk.
func (m *matcher) folder(doc *dlp.Document) bool {
	path := filepath.Join(doc.Root, filepath.FromSlash(doc.Name))
	return slices.ContainsFunc(m.folders, func(dir string) bool {
		rel, err := filepath.Rel(dir, path)
		return err == nil && filepath.IsLocal(rel)
	})
}
