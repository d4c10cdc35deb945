package seen

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/publicsuffix"
)

// Bounds of signatures.
const (
	maxSignatures = 20 // of a message that are looked at
	maxLookups    = 5  // keys of domains that are asked for
	minRSA        = 2048
)

// proof is a signature that holds, of the domain of the From address.
type proof struct {
	domain, selector string
	covers           []string // names of fields, in lower case
}

// covering is the first proof that covers all of names.
func covering(proofs []proof, names ...string) (proof, bool) {
	i := slices.IndexFunc(proofs, func(p proof) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(p.covers, n) })
	})
	if i < 0 {
		return proof{}, false
	}
	return proofs[i], true
}

// aligned reports a domain that speaks for another: itself or one that it is in,
// and not one in which strangers have theirs, such as co.uk. Who has the upper one
// has the lower one too: it is theirs to delegate.
//
// Source: RFC 7489 3.2; publicsuffix.org.
func aligned(signs, from string) bool {
	signs = strings.ToLower(signs)
	if suffix, _ := publicsuffix.PublicSuffix(signs); suffix == signs && signs != from {
		return false
	}
	return strings.Contains(signs, ".") && (signs == from || strings.HasSuffix(from, "."+signs))
}

// errNotAsked says that a key is not asked for, or is not one that counts.
var errNotAsked = errors.New("seen: not asked")

// prove returns the signatures of raw by from, or by a domain that it is in, that
// hold at now and cover From and Date: NotSigned, or NoAnswer.
//
// A signature of a part of the body (l=), over its time (x=), by SHA-1, by a key
// of less than 2048 bits or of a domain that says it only tries (t=y) does not count.
//
// Source: RFC 6376 3.5, 3.6.1, 6.1; RFC 8301 3.
func prove(ctx context.Context, raw []byte, fs fields, from string, lookup Lookup, now time.Time) ([]proof, error) {
	var mu sync.Mutex // guards what follows: signatures are looked at side by side
	lookups, unanswered := 0, false
	own := map[string]bool{} // names of keys that sign for their very domain only
	verified, err := msgauth.VerifyWithOptions(bytes.NewReader(raw), &msgauth.VerifyOptions{MaxVerifications: maxSignatures, LookupTXT: func(name string) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		_, domain, ok := strings.Cut(strings.ToLower(name), "._domainkey.")
		if lookups++; !ok || !aligned(domain, from) || lookups > maxLookups {
			return nil, errNotAsked
		}
		txts, err := lookup(ctx, name)
		if err != nil {
			unanswered = true
			return nil, errNotAsked
		}
		if len(txts) != 1 || !counts(txts[0]) {
			return nil, errNotAsked
		}
		own[strings.ToLower(name)] = flag(txts[0], "s")
		return txts, nil
	}})
	if err != nil && !errors.Is(err, msgauth.ErrTooManySignatures) {
		return nil, Damaged
	}
	var values []string // of the signatures, in the same order
	for _, f := range fs.all {
		if f.Is("dkim-signature") {
			values = append(values, f.Value())
		}
	}
	var out []proof
	for i, v := range verified {
		p := proof{domain: strings.ToLower(v.Domain), selector: tag(values[i], "s")}
		for _, name := range v.HeaderKeys {
			p.covers = append(p.covers, strings.ToLower(name))
		}
		strict, asked := own[strings.ToLower(p.selector)+"._domainkey."+p.domain]
		_, agent, _ := strings.Cut(strings.ToLower(v.Identifier), "@")
		if v.Err != nil || !asked || !aligned(p.domain, from) || v.Time.After(now.Add(maxAhead)) || strict && agent != p.domain {
			continue
		}
		if _, ok := covering([]proof{p}, "from", "date"); ok {
			out = append(out, p)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case unanswered:
		return nil, NoAnswer
	}
	return nil, NotSigned
}

// counts reports the record of a key whose signatures count here.
func counts(record string) bool {
	if flag(record, "y") {
		return false
	}
	if k := tag(record, "k"); k != "" && k != "rsa" {
		return true // Ed25519: of one strength. What is no key at all go-msgauth tells.
	}
	der, err := base64.StdEncoding.DecodeString(tag(record, "p"))
	if err != nil {
		return false
	}
	if pub, err := x509.ParsePKIXPublicKey(der); err == nil {
		k, ok := pub.(*rsa.PublicKey)
		return ok && k.N.BitLen() >= minRSA
	}
	k, err := x509.ParsePKCS1PublicKey(der)
	return err == nil && k.N.BitLen() >= minRSA
}

// flag reports a flag of a key's record. RFC 6376 3.6.1, t=.
func flag(record, name string) bool {
	return slices.Contains(strings.Split(tag(record, "t"), ":"), name)
}

// tag returns the value of a tag without its white space. RFC 6376 3.2.
func tag(list, name string) string {
	for part := range strings.SplitSeq(list, ";") {
		if k, v, ok := strings.Cut(part, "="); ok && strings.TrimSpace(k) == name {
			return strings.Join(strings.Fields(v), "")
		}
	}
	return ""
}
