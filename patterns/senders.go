package patterns

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// SenderValue is what the digest of a sender is made of, so that it is none of a value's.
func SenderValue(address string) []byte { return []byte("\x00sender " + dlp.FoldAddress(address)) }

// isDigest reports whether s has the form of what Source.Digest gives.
func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16 && s == strings.ToLower(s)
}

// isSender reports whether s can be in senders: one whole address, or its digest.
func isSender(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return isDigest(s) || at > 0 && at < len(s)-1 && !strings.ContainsAny(s, " \t\r\n<>,*")
}

// LowFrom returns the rules that list sender as of now: what they find in mail with
// that reverse-path counts as low.
func (s *Set) LowFrom(sender dlp.Address, now time.Time) (ids []dlp.RuleID) {
	if sender.IsNull() {
		return nil
	}
	address := dlp.FoldAddress(sender.String())
	digest := ""
	is := func(listed string) bool {
		if strings.Contains(listed, "@") {
			return dlp.FoldAddress(listed) == address
		}
		if digest == "" {
			digest = s.ValueDigest(SenderValue(address))
		}
		return listed == digest
	}
	for _, r := range s.rules {
		if slices.ContainsFunc(r.Allowlists, func(a Allowlist) bool { return a.holds(now) && slices.ContainsFunc(a.Senders, is) }) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// holds reports whether a has not ended as of now.
func (a *Allowlist) holds(now time.Time) bool {
	return a.Expires.IsZero() || now.Before(a.Expires.AddDate(0, 0, 1))
}
