package revocation

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"
)

// list is a list of revoked certificates whose signature holds.
type list struct {
	issuer  string // RawIssuer
	from    time.Time
	until   time.Time
	revoked map[string]bool // by serial number
	scope   *scope          // nil: of all the issuer's certificates
	other   bool            // it is critical and not understood, a delta for one
}

// oidDistributionPoint is the extension that says of which certificates a list is.
// RFC 5280 5.2.5.
var oidDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}

// scope is an IssuingDistributionPoint.
type scope struct {
	Point struct {
		FullName []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
	User     bool           `asn1:"optional,tag:1"`
	CA       bool           `asn1:"optional,tag:2"`
	Reasons  asn1.BitString `asn1:"optional,tag:3"`
	Indirect bool           `asn1:"optional,tag:4"`
	Attrs    bool           `asn1:"optional,tag:5"`
}

// covers reports that a list of this scope, which cert points to, speaks of cert.
// RFC 5280 6.3.3 (b).
func (s *scope) covers(cert *x509.Certificate) bool {
	if s.Indirect || s.Attrs || s.Reasons.BitLength > 0 || s.User && cert.IsCA || s.CA && !cert.IsCA {
		return false
	}
	return len(s.Point.FullName) == 0 || slices.ContainsFunc(s.Point.FullName, func(n asn1.RawValue) bool {
		return n.Class == asn1.ClassContextSpecific && n.Tag == 6 && slices.Contains(cert.CRLDistributionPoints, string(n.Bytes)) // uniformResourceIdentifier
	})
}

// readList reads a list that issuer signed.
func readList(der []byte, issuer *x509.Certificate) (*list, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, errNoAnswer
	}
	if err := l.CheckSignatureFrom(issuer); err != nil {
		return nil, errNoAnswer
	}
	out := &list{issuer: string(l.RawIssuer), from: l.ThisUpdate, until: l.NextUpdate, revoked: map[string]bool{}}
	for _, e := range l.RevokedCertificateEntries {
		if e.ReasonCode != 8 { // removeFromCRL
			out.revoked[e.SerialNumber.String()] = true
		}
	}
	for _, e := range l.Extensions {
		switch {
		case !e.Critical:
		case e.Id.Equal(oidDistributionPoint):
			out.scope = &scope{}
			if rest, err := asn1.Unmarshal(e.Value, out.scope); err != nil || len(rest) > 0 {
				out.other = true
			}
		default:
			out.other = true
		}
	}
	return out, nil
}

// says is what l says of cert at now.
func (l *list) says(cert *x509.Certificate, now time.Time) Answer {
	switch {
	case l.issuer != string(cert.RawIssuer):
		return NotKnown
	case l.revoked[cert.SerialNumber.String()]:
		return Revoked // on an old list too
	case l.other || l.scope != nil && !l.scope.covers(cert), l.from.After(now.Add(skew)), !now.Before(l.until):
		return NotKnown
	}
	return Good
}

// fromLists looks for cert on the lists that it points to.
//
// Source: RFC 5280 6.3.
func (a *Asker) fromLists(ctx context.Context, id of, cert, issuer *x509.Certificate) (Answer, time.Time) {
	for _, u := range cert.CRLDistributionPoints[:min(len(cert.CRLDistributionPoints), perKind)] {
		place := at{id.issuer, u}
		a.mu.Lock()
		l := a.lists[place]
		a.mu.Unlock()
		if l == nil || !a.now().Before(l.until) {
			b, err := a.fetch(ctx, place, nil, maxList)
			if err != nil {
				continue
			}
			if l, err = readList(b, issuer); err != nil {
				continue
			}
			a.keep(place, l)
		}
		if got := l.says(cert, a.now()); got != NotKnown {
			return got, l.until
		}
	}
	return NotKnown, time.Time{}
}

// keep keeps a list, of all lists as many as memory is meant for.
func (a *Asker) keep(place at, l *list) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if most := a.now().Add(keepMost); l.until.After(most) {
		l = &list{issuer: l.issuer, from: l.from, until: most, revoked: l.revoked, scope: l.scope, other: l.other}
	}
	if old := a.lists[place]; old != nil {
		a.serials -= len(old.revoked) + 1
	}
	if a.serials+len(l.revoked)+1 > maxSerials {
		clear(a.lists)
		a.serials = 0
	}
	a.lists[place] = l
	a.serials += len(l.revoked) + 1
}
