package keydir_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/keydir"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// issued returns a certificate, signed by itself, and its key in PEM.
func issued(t *testing.T, tpl *x509.Certificate) (der, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl.SerialNumber, tpl.NotBefore, tpl.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if der, err = x509.CreateCertificate(rand.Reader, tpl, tpl, k.Public(), k); err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

// carrying is a SignedData with nothing but certificates.
func carrying(t *testing.T, certs ...[]byte) []byte {
	t.Helper()
	type signed struct {
		Version int
		Algs    []asn1.RawValue `asn1:"set"`
		Content struct{ Type asn1.ObjectIdentifier }
		Certs   asn1.RawValue
		Signers []asn1.RawValue `asn1:"set"`
	}
	s := signed{Version: 1, Certs: asn1.RawValue{Class: 2, IsCompound: true, Bytes: bytes.Join(certs, nil)}}
	s.Content.Type = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	b, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content signed `asn1:"explicit,tag:0"`
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, s})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// slapd runs OpenLDAP's server on loopback, with ldif in it, and returns its two
// addresses, ldap and ldaps.
func slapd(t *testing.T, cert, key []byte, ldif string) (plain, secure string) {
	t.Helper()
	program, err := exec.LookPath("slapd")
	if err != nil {
		program = "/usr/sbin/slapd"
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("slapd is not installed: .ci/deps installs it")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(at(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	write("key.pem", key)
	write("data.ldif", []byte(ldif))
	if err := os.Mkdir(at("db"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("slapd.conf", fmt.Appendf(nil, `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
TLSCACertificateFile %[1]s/cert.pem
pidfile %[1]s/pid
database mdb
maxsize 1048576
suffix "dc=partner,dc=example"
rootdn "cn=reader,dc=partner,dc=example"
rootpw agreed
directory %[1]s/db
access to dn.subtree="ou=private,dc=partner,dc=example" by * none
access to * by * read
`, dir))
	if out, err := exec.Command(program, "-T", "add", "-f", at("slapd.conf"), "-l", at("data.ldif")).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v: %s", err, out)
	}
	free := func() string { // one that no outgoing connection is given meanwhile
		for {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(22_000)))
			if err == nil {
				defer l.Close()
				return l.Addr().String()
			}
		}
	}
	plain, secure = "ldap://"+free(), "ldaps://"+free()
	cmd := exec.Command(program, "-f", at("slapd.conf"), "-h", plain+" "+secure, "-d", "0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // its folder goes with it
		cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // it does not say when it listens
		c, err := net.Dial("tcp", strings.TrimPrefix(secure, "ldaps://"))
		if err == nil {
			c.Close()
			return plain, secure
		}
		if time.Now().After(end) {
			t.Fatalf("slapd does not listen: %s", said.String())
		}
	}
}

// TestLDAP asks OpenLDAP's server, by StartTLS and by ldaps, for whom it has and for
// whom it has not.
//
// long: one server, asked for everything
func TestLDAP(t *testing.T) {
	person := func(mail string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: mail}, EmailAddresses: []string{mail}, KeyUsage: x509.KeyUsageKeyAgreement}
	}
	server, key := issued(t, &x509.Certificate{DNSNames: []string{"ldap.partner.example"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign})
	bob, _ := issued(t, person("bob@partner.example"))
	old, _ := issued(t, person("bob@partner.example"))
	sam, _ := issued(t, person("sam@partner.example"))
	encode := base64.StdEncoding.EncodeToString
	entry := func(dn, mail, more string) string {
		return fmt.Sprintf("dn: cn=%s,dc=partner,dc=example\nobjectClass: inetOrgPerson\ncn: %s\nsn: x\nmail: %s\n%s\n", dn, strings.Split(dn, ",")[0], mail, more)
	}
	ldif := "dn: dc=partner,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: partner\ndc: partner\n\n" +
		"dn: ou=private,dc=partner,dc=example\nobjectClass: organizationalUnit\nou: private\n\n" +
		entry("bob", "bob@partner.example", "userCertificate;binary:: "+encode(bob)+"\nuserCertificate;binary:: "+encode(old)+"\n") +
		entry("sam", "sam@partner.example", "userSMIMECertificate:: "+encode(carrying(t, server, sam))+"\n") +
		entry("star", "*@partner.example", "") +
		entry("hidden,ou=private", "hidden@partner.example", "userCertificate;binary:: "+encode(bob)+"\n")
	plain, secure := slapd(t, server, key, ldif)
	hosts := map[string]string{}
	for _, a := range []string{plain, secure} {
		scheme, addr, _ := strings.Cut(a, "://")
		hosts[scheme] = addr
	}
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(server)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(cert)
	const base = "ldap.partner.example/dc=partner,dc=example"
	reader := keydir.Binding{DN: "cn=reader,dc=partner,dc=example", Password: "agreed"}
	for _, scheme := range []string{"ldap", "ldaps"} {
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, hosts[scheme])
		}
		f := keydir.Finder{Roots: roots, Dial: dial}
		for _, tc := range []struct {
			name, local, address string
			f                    keydir.Finder
			as                   keydir.Binding
			want                 [][]byte
			err                  error
		}{
			{"two certificates", "bob", scheme + "://" + base, f, keydir.Binding{}, [][]byte{bob, old}, nil},
			{"those of a signature", "sam", scheme + "://" + base, f, keydir.Binding{}, [][]byte{server, sam}, nil},
			{"nobody", "carol", scheme + "://" + base, f, keydir.Binding{}, nil, keydir.ErrNone},
			{"no certificate, and a star is a star", "*", scheme + "://" + base, f, keydir.Binding{}, nil, keydir.ErrNone},
			{"what is a filter is a name", "x)(mail=bob", scheme + "://" + base, f, keydir.Binding{}, nil, keydir.ErrNone},
			{"who may not be read", "hidden", scheme + "://" + base, f, keydir.Binding{}, nil, keydir.ErrNone},
			{"asked as who may", "hidden", scheme + "://" + base, f, reader, [][]byte{bob}, nil},
			{"another password", "bob", scheme + "://" + base, f, keydir.Binding{DN: reader.DN, Password: "guessed"}, nil, keydir.ErrAnswer},
			{"no password", "bob", scheme + "://" + base, f, keydir.Binding{DN: reader.DN}, nil, keydir.ErrAnswer},
			{"another base", "bob", scheme + "://ldap.partner.example/dc=other", f, keydir.Binding{}, nil, keydir.ErrNone},
			{"another host's certificate", "bob", scheme + "://ldap.other.example/dc=partner,dc=example", f, keydir.Binding{}, nil, keydir.ErrAnswer},
			{"an authority that is not trusted", "bob", scheme + "://" + base, keydir.Finder{Roots: x509.NewCertPool(), Dial: dial}, keydir.Binding{}, nil, keydir.ErrAnswer},
		} {
			got, from, err := tc.f.LDAP(t.Context(), tc.address, tc.as, dlp.Address{Local: tc.local, Domain: "partner.example"})
			if !errors.Is(err, tc.err) || len(got) != len(tc.want) || err == nil && from != "ldap.partner.example" {
				t.Errorf("%s, %s: %d certificates from %q, %v; want %d, %v", scheme, tc.name, len(got), from, err, len(tc.want), tc.err)
				continue
			}
			for i, b := range got {
				if block, _ := pem.Decode(b); block == nil || !bytes.Equal(block.Bytes, tc.want[i]) {
					t.Errorf("%s, %s: certificate %d is another", scheme, tc.name, i)
				}
			}
		}
	}
	// A server without TLS is told nothing: ldap where ldaps is, and the other way round.
	for scheme, other := range map[string]string{"ldap": "ldaps", "ldaps": "ldap"} {
		f := keydir.Finder{Roots: roots, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, hosts[other])
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		if _, _, err := f.LDAP(ctx, scheme+"://"+base, reader, dlp.Address{Local: "bob", Domain: "partner.example"}); !errors.Is(err, keydir.ErrAnswer) {
			t.Errorf("%s to %s: %v", scheme, other, err)
		}
		cancel()
	}
}

// TestLDAPAnswersAreBounded: a server that never ends is not heard to the end.
func TestLDAPAnswersAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		n := int64(0)
		for junk := bytes.Repeat([]byte{0x30, 0x00}, 32<<10); ; { // messages that are none
			m, err := c.Write(junk)
			n += int64(m)
			if err != nil || n > 1<<30 {
				sent <- n
				return
			}
		}
	}()
	f := keydir.Finder{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}}
	if _, _, err := f.LDAP(t.Context(), "ldap://ldap.partner.example/dc=x", keydir.Binding{}, dlp.Address{Local: "bob", Domain: "partner.example"}); !errors.Is(err, keydir.ErrAnswer) {
		t.Errorf("%v", err)
	}
	if n := <-sent; n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

func TestLDAPAddress(t *testing.T) {
	for s, want := range map[string]bool{
		"ldaps://ldap.partner.example/dc=partner,dc=example": true, "ldap://ldap.partner.example:3389/o=x": true,
		"ldaps://ldap.partner.example/": false, "ldaps://ldap.partner.example": false, "ldaps:///o=x": false, "https://a.example/o=x": false,
		"ldaps://ann:secret@a.example/o=x": false, "ldaps://a.example/o=x?mail?sub?(mail=*)": false, "ldaps://a.example/x": false, "": false,
	} {
		if got := keydir.LDAPAddress(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}
