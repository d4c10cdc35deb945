// Package mtasts knows what domains promise about their mail servers by
// MTA-STS.
//
// Source: RFC 8461.
package mtasts

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// The modes of a policy. RFC 8461 5.
const (
	Enforce = "enforce" // no mail to a server that does not fit
	Testing = "testing" // as if there were no policy, but for reports
	None    = "none"    // there is no policy any more
)

// Policy is what a domain promises.
type Policy struct {
	ID      string    `json:"id"` // of the TXT record under which it was fetched
	Mode    string    `json:"mode"`
	MX      []string  `json:"mx"` // host names, or "*.example" for one more label; lower case
	Fetched time.Time `json:"fetched"`
	Expires time.Time `json:"expires"`
}

// Fits reports whether a mail server is one of the policy's. RFC 8461 4.1.
func (p Policy) Fits(host string) bool {
	host = strings.ToLower(host)
	for _, m := range p.MX {
		if m == host {
			return true
		}
		if below, ok := strings.CutPrefix(m, "*."); ok {
			if label, rest, _ := strings.Cut(host, "."); label != "" && rest == below {
				return true
			}
		}
	}
	return false
}

const (
	maxPolicy = 64 << 10                   // bytes; RFC 8461 3.3 asks for a limit, and names this one
	maxAge    = 31557600 * time.Second     // a year; RFC 8461 3.2
	maxMX     = 200                        // patterns of one policy
	minAge    = 5 * time.Minute            // a shorter max_age is kept this long: it is no reason to ask for every message
	wellKnown = "/.well-known/mta-sts.txt" // RFC 8461 3.3
)

// errPolicy says that a policy cannot be read.
var errPolicy = errors.New("mtasts: no proper policy")

// Parse reads a policy as it is served. Unknown keys are passed over; of a key
// that stands twice the first counts, but for mx. RFC 8461 3.2.
func Parse(text string, now time.Time) (Policy, error) {
	p := Policy{Fetched: now}
	seen := map[string]bool{}
	var age time.Duration
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.Trim(line, " \t\r")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return Policy{}, errPolicy
		}
		key, value = strings.TrimRight(key, " \t"), strings.Trim(value, " \t")
		if key != "mx" && seen[key] {
			continue
		}
		seen[key] = true
		switch key {
		case "version":
			if value != "STSv1" {
				return Policy{}, errPolicy
			}
		case "mode":
			p.Mode = value
		case "mx":
			if len(p.MX) >= maxMX || !isPattern(value) {
				return Policy{}, errPolicy
			}
			p.MX = append(p.MX, strings.ToLower(value))
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 40)
			if err != nil || len(value) > 10 {
				return Policy{}, errPolicy
			}
			age = time.Duration(min(n, uint64(maxAge/time.Second))) * time.Second
		}
	}
	known := p.Mode == Enforce || p.Mode == Testing || p.Mode == None
	if !seen["version"] || !seen["max_age"] || !known || p.Mode != None && len(p.MX) == 0 {
		return Policy{}, errPolicy
	}
	p.Expires = now.Add(max(age, minAge))
	return p, nil
}

// isPattern reports whether s can be an mx value.
func isPattern(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if s == "" || len(s) > 255 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

// recordID returns the id of the one STSv1 record among a name's texts; none,
// or more than one, is no promise. RFC 8461 3.1.
func recordID(texts []string) (string, bool) {
	id, n := "", 0
	for _, t := range texts {
		if !strings.HasPrefix(t, "v=STSv1;") && t != "v=STSv1" {
			continue
		}
		n++
		for f := range strings.SplitSeq(t, ";") {
			if v, ok := strings.CutPrefix(strings.Trim(f, " \t"), "id="); ok && id == "" {
				id = v
			}
		}
	}
	ok := n == 1 && id != "" && len(id) <= 32
	for _, c := range []byte(id) {
		ok = ok && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
	}
	return id, ok
}
