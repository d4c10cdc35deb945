// Package revocation asks the authority that issued a certificate whether it was
// revoked: by OCSP, then by its list (CRL).
//
// It promises that nothing counts as an answer but what the authority, or a
// responder that it named, signed and that is current; that an answer is bounded
// in time and size; and that nobody is asked again before the answer is old.
package revocation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Answer is what is known of a certificate.
type Answer int

// The answers.
const (
	NotKnown Answer = iota // nobody could be asked, or nothing current was heard
	Good
	Revoked
)

// Bounds.
const (
	within   = 5 * time.Second  // of one request, its body included
	maxOCSP  = 64 << 10         // bytes of an answer
	maxList  = 8 << 20          // bytes of a list
	perKind  = 2                // addresses of each kind that a certificate is asked at
	atOnce   = 4                // certificates that are asked about at a time
	keepMost = 24 * time.Hour   // an answer is not kept for longer, whatever it says of itself
	keepNone = time.Minute      // that there is none is kept for this long
	skew     = 5 * time.Minute  // a clock may be wrong by this much
	undated  = 10 * time.Minute // RFC 6960 4.2.2.1: an answer without nextUpdate is of that moment; older ones are not taken

	maxAnswers = 20_000    // certificates that answers are kept of
	maxSerials = 1_000_000 // certificates on the lists that are kept
	maxDown    = 1_000     // addresses of which it is kept that they do not answer
)

// Asker asks, and keeps the answers. It is safe for use by many goroutines.
type Asker struct {
	now  func() time.Time
	http *http.Client
	slot chan struct{}

	mu      sync.Mutex // the rest
	answers map[of]kept
	lists   map[at]*list
	serials int              // on lists
	down    map[at]time.Time // until when it is not asked
}

// of names a certificate: its issuer's key and its serial number.
type of struct {
	issuer [sha256.Size]byte
	serial string
}

// at names where something is asked of an issuer.
type at struct {
	issuer [sha256.Size]byte
	url    string
}

type kept struct {
	answer Answer
	until  time.Time
}

// New has nothing yet. now is the time.
func New(now func() time.Time) *Asker {
	return &Asker{now: now, slot: make(chan struct{}, atOnce), answers: map[of]kept{}, lists: map[at]*list{}, down: map[at]time.Time{}, http: &http.Client{
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > 3 || to.URL.Scheme != via[0].URL.Scheme {
				return errNoAnswer
			}
			return nil
		},
		// No proxy from the environment, and no connection that outlives its answer.
		Transport: &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: within, MaxResponseHeaderBytes: 64 << 10},
	}}
}

var errNoAnswer = errors.New("revocation: no answer")

// Ask tells what issuer says of cert, which issuer is known to have signed. It
// asks at the addresses that cert names (http and https): so cert has to be
// trusted that far.
func (a *Asker) Ask(ctx context.Context, cert, issuer *x509.Certificate) Answer {
	id := of{sha256.Sum256(issuer.RawSubjectPublicKeyInfo), cert.SerialNumber.String()}
	if got, ok := a.kept(id); ok {
		return got
	}
	select {
	case a.slot <- struct{}{}:
		defer func() { <-a.slot }()
	case <-ctx.Done():
		return NotKnown
	}
	if got, ok := a.kept(id); ok { // by another who waited
		return got
	}
	got, until := a.ocsp(ctx, id, cert, issuer)
	if got == NotKnown {
		got, until = a.fromLists(ctx, id, cert, issuer)
	}
	now := a.now()
	if got == NotKnown && ctx.Err() != nil {
		return got // who asks next may have more time
	}
	if got == NotKnown || until.Before(now.Add(keepNone)) {
		until = now.Add(keepNone)
	}
	if most := now.Add(keepMost); until.After(most) {
		until = most
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) >= maxAnswers {
		clear(a.answers)
	}
	a.answers[id] = kept{got, until}
	return got
}

// kept returns an answer that is not old.
func (a *Asker) kept(id of) (Answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := a.answers[id]
	return k.answer, ok && a.now().Before(k.until)
}

// ocsp asks the responders of cert.
//
// Source: RFC 6960; RFC 5019.
func (a *Asker) ocsp(ctx context.Context, id of, cert, issuer *x509.Certificate) (Answer, time.Time) {
	question, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		return NotKnown, time.Time{} // an issuer's key of a kind that it does not know
	}
	for _, u := range cert.OCSPServer[:min(len(cert.OCSPServer), perKind)] {
		b, err := a.fetch(ctx, at{id.issuer, u}, question, maxOCSP)
		if err != nil {
			continue
		}
		now := a.now()
		r, err := ocsp.ParseResponseForCert(b, cert, issuer)
		if err != nil || r.Certificate != nil && !speaksFor(r.Certificate, issuer, now) {
			continue
		}
		if r.Status == ocsp.Revoked {
			return Revoked, r.NextUpdate // an old answer too: nobody is taken back
		}
		if r.Status != ocsp.Good || r.ThisUpdate.After(now.Add(skew)) {
			continue
		}
		if r.NextUpdate.IsZero() && now.Sub(r.ThisUpdate) < undated || now.Before(r.NextUpdate) {
			return Good, r.NextUpdate
		}
	}
	return NotKnown, time.Time{}
}

// speaksFor reports a responder that issuer, which signed its certificate, made
// one. RFC 6960 4.2.2.2: by the purpose, which crypto/ocsp does not look at.
func speaksFor(responder, issuer *x509.Certificate, now time.Time) bool {
	if responder.Equal(issuer) {
		return true
	}
	return slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) && bytes.Equal(responder.RawIssuer, issuer.RawSubject) &&
		!now.Before(responder.NotBefore) && !now.After(responder.NotAfter)
}

// fetch asks at a place: by GET, or with a question by POST. One that does not
// answer is not asked again for a while.
func (a *Asker) fetch(ctx context.Context, place at, question []byte, max int64) ([]byte, error) {
	a.mu.Lock()
	until := a.down[place]
	a.mu.Unlock()
	if a.now().Before(until) {
		return nil, errNoAnswer
	}
	b, err := a.get(ctx, place.url, question, max)
	if err != nil && ctx.Err() == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.down) >= maxDown {
			clear(a.down)
		}
		a.down[place] = a.now().Add(keepNone)
	}
	return b, err
}

func (a *Asker) get(ctx context.Context, where string, question []byte, max int64) ([]byte, error) {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errNoAnswer // ldap too
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if question != nil {
		method, body = http.MethodPost, bytes.NewReader(question)
	}
	req, err := http.NewRequestWithContext(ctx, method, where, body)
	if err != nil {
		return nil, errNoAnswer
	}
	if question != nil {
		req.Header.Set("Content-Type", "application/ocsp-request")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, errNoAnswer // its text quotes the address, which names a certificate
	}
	defer resp.Body.Close() // read only
	b, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if err != nil || resp.StatusCode != http.StatusOK || int64(len(b)) > max {
		return nil, errNoAnswer
	}
	return b, nil
}
