package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

const (
	fetchTimeout = 15 * time.Second // RFC 8461 3.3 advises a minute; a client waits for us
	askAgain     = 5 * time.Minute  // between looks at a domain's TXT record; RFC 8461 3.3
	refreshAfter = 24 * time.Hour   // a policy is fetched anew, also under the same id, so that it does not run out
	maxDomains   = 10_000           // policies that are kept
)

// Keys seals what is kept: which domains get mail is nobody's business.
type Keys interface {
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// Options are what a Store needs. TXT is; the rest may be left out.
type Options struct {
	TXT  func(ctx context.Context, name string) ([]string, error)
	File string // where policies are kept; "": in memory only
	Keys Keys   // with File
	Now  func() time.Time

	// Dial connects to the policy host; nil: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Roots are what its certificate must go back to; nil: the system's.
	Roots *x509.CertPool
}

// Store asks for policies and keeps them as long as they say. It is safe for
// use by many goroutines.
type Store struct {
	o    Options
	http *http.Client

	writing sync.Mutex // held by who writes File; nobody who asks waits for it

	mu       sync.Mutex // guards all below
	policies map[string]Policy
	asked    map[string]time.Time // when a domain's record was last looked at
}

// sealed binds what is kept to its place.
const sealed = "mta-sts policies"

// Open loads what is kept. A file that cannot be read is begun anew: what it
// said is asked for again.
func Open(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	s := &Store{o: o, policies: map[string]Policy{}, asked: map[string]time.Time{}}
	s.http = &http.Client{
		// RFC 8461 3.3: no redirects are followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: o.Dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
			TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		},
	}
	if o.File == "" {
		return s, nil
	}
	b, err := os.ReadFile(o.File)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, errors.New("mtasts: the policies kept cannot be read")
	}
	if b, err = o.Keys.Open(sealed, b); err == nil {
		err = json.Unmarshal(b, &s.policies)
	}
	if err != nil || s.policies == nil {
		s.policies = map[string]Policy{}
	}
	return s, nil
}

// Policy returns what domain promises now; false for nothing. A policy that was
// fetched holds until it runs out, whatever becomes of DNS and the policy host
// meanwhile: RFC 8461 5.1. One that was never had is no promise: 10.2.
func (s *Store) Policy(ctx context.Context, domain string) (Policy, bool) {
	now := s.o.Now()
	kept, has, fresh := s.kept(domain, now)
	if fresh {
		return kept, has
	}
	// Only once there is an answer: who asks meanwhile asks too, and is not
	// told that there is no promise.
	defer s.noteAsked(domain, now)
	texts, err := s.o.TXT(ctx, "_mta-sts."+domain)
	id, promised := recordID(texts)
	switch {
	case err != nil || !promised:
		return kept, has
	case has && id == kept.ID && now.Sub(kept.Fetched) < refreshAfter && now.Before(kept.Expires):
		return kept, has
	}
	p, err := s.fetch(ctx, domain, now)
	if err != nil {
		return kept, has
	}
	p.ID = id
	s.keep(domain, p)
	return p, true
}

// kept returns the policy in force, and whether the domain was asked lately.
func (s *Store) kept(domain string, now time.Time) (p Policy, has, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, has = s.policies[domain]
	if has && !now.Before(p.Expires) {
		delete(s.policies, domain)
		p, has = Policy{}, false
	}
	since := now.Sub(s.asked[domain])
	return p, has, since >= 0 && since < askAgain
}

// noteAsked notes that the domain's record was looked at.
func (s *Store) noteAsked(domain string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) >= maxDomains {
		clear(s.asked)
	}
	s.asked[domain] = now
}

// keep puts p in force. That it cannot be written down is no reason to forget
// it now.
func (s *Store) keep(domain string, p Policy) {
	s.mu.Lock()
	if len(s.policies) >= maxDomains {
		s.dropOne()
	}
	s.policies[domain] = p
	s.mu.Unlock()
	if s.o.File == "" {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	all := maps.Clone(s.policies) // what others have added meanwhile, too
	s.mu.Unlock()
	b, err := json.Marshal(all)
	if err == nil {
		b, err = s.o.Keys.Seal(sealed, b)
	}
	if err == nil {
		err = safefile.MkdirAll(filepath.Dir(s.o.File))
	}
	if err == nil {
		err = safefile.WriteFile(s.o.File, b, 0o600)
	}
	_ = err // asked for again after a restart
}

// dropOne forgets the policy that runs out first. The caller holds mu.
func (s *Store) dropOne() {
	first := ""
	for d, p := range s.policies {
		if first == "" || p.Expires.Before(s.policies[first].Expires) {
			first = d
		}
	}
	delete(s.policies, first)
}

// fetch gets the policy from the domain's own policy host.
func (s *Store) fetch(ctx context.Context, domain string, now time.Time) (Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+wellKnown, nil)
	if err != nil {
		return Policy{}, errPolicy
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return Policy{}, errors.New("mtasts: policy host not reached")
	}
	defer resp.Body.Close()
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || err != nil || kind != "text/plain" {
		return Policy{}, fmt.Errorf("mtasts: policy host answered %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	// A host that ends its answer as the client lets go of the connection makes what
	// came so far look whole.
	if err != nil || ctx.Err() != nil || len(b) > maxPolicy {
		return Policy{}, errPolicy
	}
	return Parse(string(b), now)
}
