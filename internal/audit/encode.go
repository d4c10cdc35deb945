package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// formatVersion stands in every line as "v"; docs/audit.md has the bytes.
const formatVersion = 1

const (
	// maxLine bounds a line with its LF: the lists of maxListed entries, none
	// longer than 67 bytes.
	maxLine = 256 << 10
	// macLength is the length of what is appended to a line's fields.
	macLength = len(`,"mac":"0123456789abcdef"}` + "\n")
	timeForm  = "2006-01-02T15:04:05.000000Z"
)

// fields appends the event's fields, in the order of docs/audit.md, each with
// a comma before it. All strings have passed validate: none needs escaping.
func (e *Event) fields(b []byte) []byte {
	b = append(b, `,"time":"`...)
	b = e.Time.UTC().AppendFormat(b, timeForm)
	b = append(b, '"')
	b = text(b, "kind", string(e.Kind))
	b = text(b, "doc", string(e.Doc))
	b = text(b, "of", string(e.Of))
	if e.Channel != 0 {
		b = text(b, "channel", e.Channel.String())
	}
	b = text(b, "action", e.Action)
	b = text(b, "monitored", e.Monitored)
	b = text(b, "monitored_policy", e.MonitoredPolicy)
	b = list(b, "monitored_rules", e.MonitoredRules)
	b = text(b, "policy", e.Policy)
	b = list(b, "rules", e.Rules)
	b = list(b, "causes", e.Causes)
	b = list(b, "ways", e.Ways)
	b = number(b, "findings", uint64(e.Findings))
	b = number(b, "gaps", uint64(e.Gaps))
	b = number(b, "rcpts", uint64(e.Rcpts))
	b = text(b, "sender", e.Sender)
	b = text(b, "department", e.Department)
	b = list(b, "rcpt_keys", e.RcptKeys)
	b = text(b, "actor", e.Actor)
	b = text(b, "for", e.For)
	b = text(b, "reason", e.Reason)
	b = text(b, "ruleset", e.RuleSet)
	b = text(b, "policy_digest", e.PolicyDigest)
	b = text(b, "digest", e.Digest)
	if !e.Until.IsZero() {
		b = text(b, "until", e.Until.UTC().Format(timeForm))
	}
	b = text(b, "result", e.Result)
	return number(b, "ref", e.Ref)
}

func text(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	b = append(append(append(b, `,"`...), key...), `":"`...)
	return append(append(b, s...), '"')
}

func number(b []byte, key string, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), key...), `":`...)
	return strconv.AppendUint(b, n, 10)
}

func list[S ~string](b []byte, key string, ss []S) []byte {
	if len(ss) == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), key...), `":[`...)
	for i, s := range ss[:min(len(ss), maxListed)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), s...), '"')
	}
	return append(b, ']')
}

// sealLine appends a whole line to b: version, sequence number, the fields,
// and the MAC over all that stands before it.
func sealLine(b []byte, mac hash.Hash, seq uint64, fields []byte) []byte {
	start := len(b)
	b = append(b, `{"v":`...)
	b = strconv.AppendUint(b, formatVersion, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, fields...)
	sum := lineMAC(mac, b[start:])
	b = append(b, `,"mac":"`...)
	b = hex.AppendEncode(b, sum[:])
	return append(b, '"', '}', '\n')
}

// lineMAC is the first 8 bytes of HMAC-SHA-256: enough to tell a line that was
// torn or spliced in a crash, or slipped in behind the signed head.
func lineMAC(mac hash.Hash, b []byte) [8]byte {
	mac.Reset()
	mac.Write(b) // a Hash never returns an error
	var sum [sha256.Size]byte
	return [8]byte(mac.Sum(sum[:0]))
}

// checkMAC reports whether the line, with its LF, was sealed by mac.
func checkMAC(mac hash.Hash, line []byte) bool {
	cut := len(line) - macLength
	if cut < 0 || !bytes.HasPrefix(line[cut:], []byte(`,"mac":"`)) || !bytes.HasSuffix(line, []byte("\"}\n")) {
		return false
	}
	got, err := hex.DecodeString(string(line[cut+8 : cut+24]))
	want := lineMAC(mac, line[:cut])
	return err == nil && hmac.Equal(got, want[:])
}

// parsed is what is read back of a line.
type parsed struct {
	V       int       `json:"v"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"kind"`
	Doc     dlp.ID    `json:"doc"`
	Channel string    `json:"channel"`
	Ref     uint64    `json:"ref"`
	Format  string    `json:"format"`
	Key     string    `json:"key"`
}

func (p *parsed) channel() dlp.Channel {
	switch p.Channel {
	case dlp.Mail.String():
		return dlp.Mail
	case dlp.File.String():
		return dlp.File
	}
	return 0
}

// parseLine reads a line and checks that it is event seq.
func parseLine(line []byte, seq uint64) (parsed, bool) {
	var p parsed
	if err := json.Unmarshal(line, &p); err != nil || p.V != formatVersion || p.Seq != seq {
		return p, false
	}
	return p, true
}

// genesis is line 0: it names format, version and key.
func genesis(mac hash.Hash, at time.Time, verifier string) []byte {
	b := append([]byte(`,"time":"`), at.UTC().Format(timeForm)...)
	b = append(b, `","format":"stanch-audit","key":"`...)
	b = append(b, verifier...)
	return sealLine(nil, mac, 0, append(b, '"'))
}
