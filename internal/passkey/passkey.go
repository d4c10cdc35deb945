// Package passkey makes what authenticators are asked and verifies what they answer,
// for the pages of one address.
//
// Source: W3C Web Authentication Level 3, 7.1 and 7.2.
package passkey

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// ErrAnswer says that what was answered does not hold. The library's own errors
// quote what was sent.
var ErrAnswer = errors.New("passkey: the answer did not hold")

// Credential is what is kept of a passkey.
type Credential struct {
	Handle     []byte   `json:"handle"`               // the credential's ID, as its authenticator knows it
	Key        []byte   `json:"key"`                  // public, as a COSE_Key; RFC 9052 7
	Count      uint32   `json:"count,omitempty"`      // of signatures, 0 where the authenticator counts none
	Flags      byte     `json:"flags,omitempty"`      // of authenticator data; WebAuthn 6.1
	Transports []string `json:"transports,omitempty"` // by which the browser reaches it
}

// Site holds no state but the address.
type Site struct{ rp *webauthn.WebAuthn }

// NewSite returns nil where the address is none that passkeys are for: an IP address,
// or a name of one label that is not localhost. WebAuthn 5.1.2. name is what
// authenticators call it.
func NewSite(address, name string) *Site {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	host := strings.ToLower(u.Hostname())
	if u.Scheme != "https" && host != "localhost" || protocol.ValidateRPID(host) != nil {
		return nil
	}
	origin := u.Scheme + "://" + host
	if port := u.Port(); port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		origin += ":" + port
	}
	lasts := webauthn.TimeoutConfig{Timeout: Lasts, TimeoutUVD: Lasts} // for the browser; ceremonies hold to it here
	rp, err := webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: name, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationRequired},
		Timeouts: webauthn.TimeoutsConfig{Login: lasts, Registration: lasts},
		// Nothing is made of what an extension says here.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore})
	if err != nil {
		return nil
	}
	return &Site{rp}
}

// owner is whose passkeys they are, as the library asks for them.
type owner struct {
	id   []byte
	name string
	keys []webauthn.Credential
}

func (o owner) WebAuthnID() []byte                         { return o.id }
func (o owner) WebAuthnName() string                       { return o.name }
func (o owner) WebAuthnDisplayName() string                { return o.name }
func (o owner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

func ownerOf(user []byte, name string, keys []Credential) owner {
	o := owner{id: user, name: name}
	for _, k := range keys {
		c := webauthn.Credential{ID: k.Handle, PublicKey: k.Key, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
			Authenticator: webauthn.Authenticator{SignCount: k.Count}}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		o.keys = append(o.keys, c)
	}
	return o
}

// algorithms are what a passkey may sign by.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: -7},   // ES256
	{Type: protocol.PublicKeyCredentialType, Algorithm: -8},   // EdDSA
	{Type: protocol.PublicKeyCredentialType, Algorithm: -257}, // RS256
}

// BeginSet asks for another passkey of user, beside keys. found: their authenticator
// finds it without being told whose is asked for, and says whether it has a PRF.
func (s *Site) BeginSet(user []byte, name string, keys []Credential, found bool) (options any, c Ceremony, err error) {
	o := ownerOf(user, name, keys)
	opts := []webauthn.RegistrationOption{webauthn.WithCredentialParameters(algorithms), webauthn.WithExclusions(webauthn.Credentials(o.keys).CredentialDescriptors())}
	if found {
		opts = append(opts, webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementRequired), webauthn.WithExtensions(webauthn.WithExtensionPRFSupport()))
	}
	creation, session, err := s.rp.BeginRegistration(o, opts...)
	if err != nil {
		return nil, c, fmt.Errorf("passkey: offer to set one: %w", err)
	}
	return creation.Response, Ceremony{User: user, asked: *session}, nil
}

// maxHandle is how long a credential's ID may be, in bytes. WebAuthn 7.1, step 25.
const maxHandle = 1023

// EndSet returns the credential that was made for the ceremony c. ErrAnswer.
func (s *Site) EndSet(c Ceremony, credential []byte) (Credential, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return Credential{}, ErrAnswer
	}
	made, err := s.rp.CreateCredential(owner{id: c.User}, c.asked, parsed)
	if err != nil || len(made.ID) == 0 || len(made.ID) > maxHandle {
		return Credential{}, ErrAnswer
	}
	k := Credential{Handle: made.ID, Key: made.PublicKey, Count: made.Authenticator.SignCount, Flags: byte(made.Flags.ProtocolValue())}
	for _, t := range made.Transport {
		if known := []protocol.AuthenticatorTransport{protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal}; slices.Contains(known, t) && !slices.Contains(k.Transports, string(t)) {
			k.Transports = append(k.Transports, string(t))
		}
	}
	return k, nil
}

// BeginUse asks for an answer by one of keys, which are user's. With salt the
// authenticator is also asked for what its PRF makes of that, which the page alone
// is told. WebAuthn 10.1.4.
func (s *Site) BeginUse(user []byte, keys []Credential, salt []byte) (options any, c Ceremony, err error) {
	return begun(s.rp.BeginLogin(ownerOf(user, "", keys), withPRF(salt)...))(user)
}

// BeginFind asks for an answer by any passkey of this site, whosever it is.
func (s *Site) BeginFind() (options any, c Ceremony, err error) {
	return begun(s.rp.BeginDiscoverableLogin())(nil)
}

func withPRF(salt []byte) (opts []webauthn.LoginOption) {
	if salt != nil {
		opts = append(opts, webauthn.WithAssertionExtensions(webauthn.WithExtensionPRF(protocol.PRFValues{First: salt})))
	}
	return opts
}

func begun(assertion *protocol.CredentialAssertion, session *webauthn.SessionData, err error) func(user []byte) (any, Ceremony, error) {
	return func(user []byte) (any, Ceremony, error) {
		if err != nil {
			return nil, Ceremony{}, fmt.Errorf("passkey: offer to use one: %w", err)
		}
		return assertion.Response, Ceremony{User: user, asked: *session}, nil
	}
}

// EndUse returns that of keys which has answered the ceremony c, as it is to be kept
// now. A counter that does not go on is that of a copy. ErrAnswer.
func (s *Site) EndUse(c Ceremony, keys []Credential, credential []byte) (Credential, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return Credential{}, ErrAnswer
	}
	got, err := s.rp.ValidateLogin(ownerOf(c.User, "", keys), c.asked, parsed)
	return usedOf(keys, got, err)
}

// EndFind is EndUse of BeginFind: keysOf returns the passkeys of whom the
// authenticator says that it is, none for nobody.
func (s *Site) EndFind(c Ceremony, keysOf func(user []byte) []Credential, credential []byte) (Credential, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return Credential{}, ErrAnswer
	}
	var keys []Credential
	got, err := s.rp.ValidateDiscoverableLogin(func(_, user []byte) (webauthn.User, error) {
		if keys = keysOf(user); len(keys) == 0 {
			return nil, ErrAnswer
		}
		return ownerOf(user, "", keys), nil
	}, c.asked, parsed)
	return usedOf(keys, got, err)
}

func usedOf(keys []Credential, got *webauthn.Credential, err error) (Credential, error) {
	if err != nil || got.Authenticator.CloneWarning {
		return Credential{}, ErrAnswer
	}
	for _, k := range keys {
		if slices.Equal(k.Handle, got.ID) {
			k.Count, k.Flags = got.Authenticator.SignCount, byte(got.Flags.ProtocolValue())
			return k, nil
		}
	}
	return Credential{}, ErrAnswer
}
