package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// age says how old something is: "4 min", "2 h 10", "3 d 4 h".
func age(d time.Duration) string {
	switch m := int(d.Minutes()); {
	case m < 60:
		return fmt.Sprintf("%d min", max(m, 0))
	case m < 24*60:
		return fmt.Sprintf("%d h %02d", m/60, m%60)
	default:
		return fmt.Sprintf("%d d %d h", m/60/24, m/60%24)
	}
}

// size says how large something is.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%d KB", (n+500)/1000)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}

func initials(name string) string {
	a, b, _ := strings.Cut(name, ".")
	if b == "" {
		return strings.ToUpper(name[:min(2, len(name))])
	}
	return strings.ToUpper(a[:1] + b[:1])
}

// codeWords turns a code of ours into words: "not_phi" is "not PHI".
func codeWords(code string) string {
	if code == "not_phi" {
		return "not PHI"
	}
	return strings.ReplaceAll(code, "_", " ")
}

// wayWords says on what way mail would go encrypted, "" for none.
func wayWords(way dlp.Way) string {
	switch way {
	case "":
		return "no way to encrypt"
	case dlp.SMIME:
		return "S/MIME"
	case dlp.OpenPGP:
		return "OpenPGP"
	case dlp.VerifiedTLS:
		return "proved TLS"
	case dlp.Portal:
		return "pickup page"
	case dlp.PDF:
		return "encrypted PDF"
	}
	return string(way)
}

// deliveryWords says how released mail stands in the outbox, "" where that is not known.
func deliveryWords(state string) string {
	switch state {
	case "queued":
		return "on its way: the next hop has not taken it yet, and it is tried again"
	case "poison":
		return "set aside in the outbox: somebody must look (stanch queue list)"
	case "delivered":
		return "taken by the next hop"
	case "failed":
		return "not delivered to everybody"
	case "dropped":
		return "dropped from the outbox by a person"
	}
	return ""
}

// bars draws a confidence: one to three bars. The word stands beside it.
func bars(confidence string) template.HTML {
	n := map[string]int{"low": 1, "medium": 2, "high": 3}[confidence]
	class := func(i int) string {
		if i > n {
			return ` class="off"`
		}
		return ""
	}
	return template.HTML(`<svg viewBox="0 0 14 12" aria-hidden="true"><rect x="0" y="8" width="3.5" height="4" rx=".8"` + class(1) +
		`/><rect x="5" y="4" width="3.5" height="8" rx=".8"` + class(2) + `/><rect x="10" y="0" width="3.5" height="12" rx=".8"` + class(3) + `/></svg>`)
}

// domains says to how many and where: "2 at partner.example", "3 at 2 domains".
func domains(rcpts []string) string {
	seen := map[string]bool{}
	one := ""
	for _, r := range rcpts {
		one = domainOf(r)
		seen[one] = true
	}
	switch len(seen) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%d at %s", len(rcpts), one)
	}
	return fmt.Sprintf("%d at %d domains", len(rcpts), len(seen))
}

// domainOf is the part of an address behind its last @, lower-case.
func domainOf(addr string) string {
	return strings.ToLower(addr[strings.LastIndexByte(addr, '@')+1:])
}

// person is who an actor of the audit log is: an account, or a user of the machine;
// and in whose place.
func person(actor string) string {
	if by, of := audit.Actors(actor); of != "" {
		return person(by) + " for " + person(of)
	}
	if uid, ok := strings.CutPrefix(actor, "uid:"); ok {
		return "user " + uid + " of the server"
	}
	if actor == "sender" {
		return "its sender"
	}
	return strings.TrimPrefix(actor, "user:")
}
