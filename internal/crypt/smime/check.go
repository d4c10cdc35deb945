package smime

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/net/idna"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Reason says why a certificate cannot be encrypted to. It is a closed set and
// tells nothing of whose certificate it is.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ReasonKey         Reason = "key"           // neither RSA of 2048 bits or more nor ECDH on a NIST curve
	ReasonUsage       Reason = "key_usage"     // it signs only
	ReasonPurpose     Reason = "purpose"       // not for mail
	ReasonNotYetValid Reason = "not_yet_valid" //
	ReasonExpired     Reason = "expired"       //
	ReasonAddress     Reason = "wrong_address" // it is another's
	ReasonCritical    Reason = "critical"      // it says something that must be understood and is not
	ReasonChain       Reason = "chain"         // no root that is trusted stands behind it
	ReasonRevoked     Reason = "revoked"       //
	ReasonNoStatus    Reason = "no_status"     // whether it was revoked is not known
)

// Unfit is the error of a certificate that is not used.
type Unfit struct{ Reason Reason }

func (u Unfit) Error() string { return "smime: certificate not used: " + string(u.Reason) }

// Trust says what a certificate must prove.
type Trust struct {
	// Roots are the authorities that are trusted. Nil is nobody: the system's
	// are for web servers.
	Roots *x509.CertPool
	// Pinned certificates are trusted for themselves, whatever their chain. They
	// have to name the address all the same: who pinned one for another passes that
	// finding over.
	Pinned bool
	// Domain certificates stand for every address of a domain, as a gateway's do.
	// By its chain alone one does if it names the domain, or
	// domain-confidentiality-authority there (RFC 3183 3.1.1): that of a person does not.
	Domain bool
	// Status says of a certificate of the chain what issuer, the next in it, says
	// of it: "", ReasonRevoked or ReasonNoStatus. It is asked once the chain holds.
	// Nil asks nothing.
	Status func(cert, issuer *x509.Certificate) Reason
}

// Check tells whether mail to address can be encrypted to cert at the time now;
// the error is Unfit. chain are certificates that may stand between it and a
// root, in any order.
//
// An address is compared without regard to the case of ASCII letters, its domain in its
// ASCII form.
//
// Source: RFC 8550 3 (addresses), 4.4 (extensions); RFC 8398 (SmtpUTF8Mailbox);
// RFC 5280 4.2.1.3 (keyUsage), 6.1 (chains).
func (t Trust) Check(cert *x509.Certificate, chain []*x509.Certificate, address dlp.Address, now time.Time) error {
	if err := cms.KeyUsable(cert); err != nil {
		return Unfit{ReasonKey}
	}
	if !CanEncrypt(cert) {
		return Unfit{ReasonUsage}
	}
	if !forMail(cert) {
		return Unfit{ReasonPurpose}
	}
	if now.Before(cert.NotBefore) {
		return Unfit{ReasonNotYetValid}
	}
	if now.After(cert.NotAfter) {
		return Unfit{ReasonExpired}
	}
	if !t.standsFor(cert, address) {
		return Unfit{ReasonAddress}
	}
	plain := *cert // what we read of the alternative names, crypto/x509 does not
	plain.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions), oidSubjectAltName.Equal)
	if len(plain.UnhandledCriticalExtensions) > 0 {
		return Unfit{ReasonCritical}
	}
	if t.Pinned {
		return nil
	}
	if t.Roots == nil {
		return Unfit{ReasonChain}
	}
	between := x509.NewCertPool()
	for _, c := range chain {
		between.AddCert(c)
	}
	chains, err := plain.Verify(x509.VerifyOptions{
		Roots: t.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	})
	chains = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool {
		return slices.ContainsFunc(chain[1:], bounded) && !t.among(cert.EmailAddresses, address)
	})
	if err != nil || len(chains) == 0 {
		return Unfit{ReasonChain}
	}
	return t.status(chains)
}

// bounded reports an authority that may vouch for some mail addresses only. Its bounds
// crypto/x509 holds against the addresses among the alternative names, not against
// those in a subject or outside ASCII, nor a domain's name. RFC 5280 4.2.1.10.
func bounded(authority *x509.Certificate) bool {
	return len(authority.PermittedEmailAddresses)+len(authority.ExcludedEmailAddresses) > 0
}

// CanEncrypt reports a key usage that allows it; one that is not stated allows
// all. RFC 5280 4.2.1.3: keyEncipherment for RSA, keyAgreement for ECDH.
func CanEncrypt(cert *x509.Certificate) bool {
	if !has(cert, oidKeyUsage) {
		return true
	}
	switch cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return cert.KeyUsage&x509.KeyUsageKeyEncipherment != 0
	case *ecdsa.PublicKey:
		return cert.KeyUsage&x509.KeyUsageKeyAgreement != 0 && cert.KeyUsage&x509.KeyUsageDecipherOnly == 0
	}
	return false
}

// forMail reports an extended key usage that allows mail. RFC 8550 4.4.4.
func forMail(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func has(cert *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal(id) {
			return true
		}
	}
	return false
}

// standsFor reports a certificate of the address, or of its domain.
func (t Trust) standsFor(cert *x509.Certificate, address dlp.Address) bool {
	domain := asciiDomain(address.Domain)
	if domain != "" && t.Domain && slices.ContainsFunc(cert.DNSNames, func(n string) bool { return asciiDomain(n) == domain }) {
		return true
	}
	return t.among(Addresses(cert), address)
}

// among reports whether one of addresses is address, or for its domain.
func (t Trust) among(addresses []string, address dlp.Address) bool {
	domain := asciiDomain(address.Domain)
	if domain == "" {
		return false
	}
	for _, a := range addresses {
		i := strings.LastIndexByte(a, '@')
		if i < 0 || asciiDomain(a[i+1:]) != domain {
			continue
		}
		if t.Domain && (t.Pinned || strings.EqualFold(a[:i], "domain-confidentiality-authority")) || !t.Domain && dlp.FoldAddress(a[:i]) == dlp.FoldAddress(address.Local) {
			return true
		}
	}
	return false
}

// asciiDomain returns a domain in the form that is compared, "" for what is
// none.
func asciiDomain(domain string) string {
	d, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil {
		d = "" // names with an underscore too: none of mail's
	}
	return strings.ToLower(d)
}

var (
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidKeyUsage        = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSmtpUTF8Mailbox = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}  // RFC 8398 3
	oidEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1} // RFC 5280 4.1.2.6
)

// Addresses returns the mail addresses that a certificate names: those among
// its alternative names, also outside ASCII, and that of its subject.
//
// Source: RFC 8550 3; RFC 8398 3.
func Addresses(cert *x509.Certificate) []string {
	all := slices.Clone(cert.EmailAddresses)
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidSubjectAltName) {
			all = append(all, utf8Mailboxes(e.Value)...)
		}
	}
	for _, n := range cert.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(oidEmailAddress) {
			all = append(all, s)
		}
	}
	return all
}

// utf8Mailboxes returns the SmtpUTF8Mailbox names among alternative names.
func utf8Mailboxes(der []byte) []string {
	var all []string
	in := cryptobyte.String(der)
	var names cryptobyte.String
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) {
		return nil
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return all
		}
		if tag != cbasn1.Tag(0).Constructed().ContextSpecific() { // otherName
			continue
		}
		var id asn1.ObjectIdentifier
		var value, text cryptobyte.String
		if name.ReadASN1ObjectIdentifier(&id) && id.Equal(oidSmtpUTF8Mailbox) &&
			name.ReadASN1(&value, cbasn1.Tag(0).Constructed().ContextSpecific()) && value.ReadASN1(&text, cbasn1.UTF8String) {
			all = append(all, string(text))
		}
	}
	return all
}

// status asks of each of a chain whether it was revoked. RFC 5280 6.3.3.
func (t Trust) status(chains [][]*x509.Certificate) error {
	if t.Status == nil {
		return nil
	}
	for _, chain := range chains {
		known := true
		for i, cert := range chain[:len(chain)-1] {
			switch t.Status(cert, chain[i+1]) {
			case ReasonRevoked:
				return Unfit{ReasonRevoked} // whatever another chain says
			case "":
			default:
				known = false
			}
		}
		if known {
			return nil
		}
	}
	return Unfit{ReasonNoStatus}
}
