package portal

import (
	"net/url"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/stanch-dlp/stanch/internal/pickup"
)

// passkeySite makes and verifies what authenticators are asked, for the pages at
// one address. It holds no state.
//
// Source: W3C Web Authentication Level 3, 7.1 and 7.2.
type passkeySite struct{ rp *webauthn.WebAuthn }

// newPasskeySite returns nil where the address is none that passkeys are for: an
// IP address, or a name of one label that is not localhost. WebAuthn 5.1.2.
func newPasskeySite(cfg *pickup.Config) *passkeySite {
	u, err := url.Parse(cfg.URL)
	if err != nil || cfg.PasskeyExpiry == 0 {
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
	lasts := webauthn.TimeoutConfig{Timeout: ceremonyLasts, TimeoutUVD: ceremonyLasts} // for the browser; ceremonies hold to it here
	rp, err := webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: cfg.Site, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationRequired},
		Timeouts: webauthn.TimeoutsConfig{Login: lasts, Registration: lasts},
		// Nothing is asked for and nothing is made of it.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore})
	if err != nil {
		return nil
	}
	return &passkeySite{rp}
}

// reader is who has a mailbox, as the library asks for them.
type reader struct {
	id   []byte
	name string
	keys []webauthn.Credential
}

func (r reader) WebAuthnID() []byte                         { return r.id }
func (r reader) WebAuthnName() string                       { return r.name }
func (r reader) WebAuthnDisplayName() string                { return r.name }
func (r reader) WebAuthnCredentials() []webauthn.Credential { return r.keys }

func readerOf(user []byte, name string, keys []pickup.Passkey) reader {
	r := reader{id: user, name: name}
	for _, k := range keys {
		c := webauthn.Credential{ID: k.Handle, PublicKey: k.Key, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
			Authenticator: webauthn.Authenticator{SignCount: k.Count}}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		r.keys = append(r.keys, c)
	}
	return r
}

func (s *passkeySite) beginSet(user []byte, name string, keys []pickup.Passkey) (options any, asked webauthn.SessionData, err error) {
	r := readerOf(user, name, keys)
	creation, session, err := s.rp.BeginRegistration(r, webauthn.WithCredentialParameters(algorithms),
		webauthn.WithExclusions(webauthn.Credentials(r.keys).CredentialDescriptors()))
	if err != nil {
		return nil, asked, errNotOffered(err)
	}
	return creation.Response, *session, nil
}

// maxHandle is how long a credential's ID may be, in bytes. WebAuthn 7.1, step 25.
const maxHandle = 1023

// endSet returns the credential that was made for the ceremony c. pickup.ErrPasskey.
func (s *passkeySite) endSet(c ceremony, credential []byte) (pickup.Credential, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return pickup.Credential{}, pickup.ErrPasskey // the library's errors quote what was sent
	}
	made, err := s.rp.CreateCredential(reader{id: c.user}, c.asked, parsed)
	if err != nil || len(made.ID) == 0 || len(made.ID) > maxHandle {
		return pickup.Credential{}, pickup.ErrPasskey
	}
	k := pickup.Credential{Handle: made.ID, Key: made.PublicKey, Count: made.Authenticator.SignCount, Flags: byte(made.Flags.ProtocolValue())}
	for _, t := range made.Transport {
		if known := []protocol.AuthenticatorTransport{protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal}; slices.Contains(known, t) && !slices.Contains(k.Transports, string(t)) {
			k.Transports = append(k.Transports, string(t))
		}
	}
	return k, nil
}

func (s *passkeySite) beginUse(user []byte, keys []pickup.Passkey) (options any, asked webauthn.SessionData, err error) {
	assertion, session, err := s.rp.BeginLogin(readerOf(user, "", keys))
	if err != nil {
		return nil, asked, errNotOffered(err)
	}
	return assertion.Response, *session, nil
}

// endUse returns that of keys which has answered the ceremony c, as it is to be
// kept now. A counter that does not go on is that of a copy. pickup.ErrPasskey.
func (s *passkeySite) endUse(c ceremony, keys []pickup.Passkey, credential []byte) (pickup.Passkey, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return pickup.Passkey{}, pickup.ErrPasskey // the library's errors quote what was sent
	}
	got, err := s.rp.ValidateLogin(readerOf(c.user, "", keys), c.asked, parsed)
	if err != nil || got.Authenticator.CloneWarning {
		return pickup.Passkey{}, pickup.ErrPasskey
	}
	for _, k := range keys {
		if slices.Equal(k.Handle, got.ID) {
			k.Count, k.Flags = got.Authenticator.SignCount, byte(got.Flags.ProtocolValue())
			return k, nil
		}
	}
	return pickup.Passkey{}, pickup.ErrPasskey
}
