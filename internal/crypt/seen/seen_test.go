package seen_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/stanch-dlp/stanch/internal/crypt/seen"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// domain signs, and says by which keys.
type domain struct {
	key     crypto.Signer
	records map[string][]string // by name
	asked   []string
	mute    bool // DNS gives no answer
}

func newDomain(t testing.TB) *domain {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &domain{key: key, records: map[string][]string{}}
	for _, name := range []string{"partner.example", "evil.example", "sub.partner.example", "co.uk", "github.io"} {
		d.records["s1._domainkey."+name] = []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}
	}
	return d
}

func (d *domain) lookup(_ context.Context, name string) ([]string, error) {
	d.asked = append(d.asked, name)
	if d.mute {
		return nil, errors.New("no answer")
	}
	return d.records[name], nil
}

// sign puts the signature of name over text in front of it.
func (d *domain) sign(t testing.TB, name, text string, keys ...string) string {
	t.Helper()
	return d.signWith(t, &msgauth.SignOptions{Domain: name, Selector: "s1", Signer: d.key, HeaderKeys: keys,
		HeaderCanonicalization: msgauth.CanonicalizationRelaxed, BodyCanonicalization: msgauth.CanonicalizationRelaxed}, text)
}

func (d *domain) signWith(t testing.TB, o *msgauth.SignOptions, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := msgauth.Sign(&b, strings.NewReader(text), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var now = time.Now().UTC().Truncate(time.Second) // go-msgauth signs at the time that it is

var usual = []string{"From", "To", "Subject", "Date", "Autocrypt", "Content-Type", "Content-Transfer-Encoding"}

// mail is a message that offers a key by Autocrypt.
func mail(from, autocrypt string) string {
	return "From: " + from + "\r\nTo: ada@clinic.example\r\nSubject: x\r\nDate: " + now.Format(time.RFC1123Z) + "\r\n" + autocrypt + "\r\nHello\r\n"
}

func field(addr, rest string) string {
	return "Autocrypt: addr=" + addr + "; " + rest + "keydata=\r\n " + base64.StdEncoding.EncodeToString([]byte("the key")) + "\r\n"
}

// TestRead: what is told, and why the rest is not.
func TestRead(t *testing.T) {
	const sam = "sam@partner.example"
	good := mail("Sam <"+sam+">", field(sam, "prefer-encrypt=mutual; _note=x; "))
	d := newDomain(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := &domain{key: small, records: map[string][]string{"s1._domainkey.partner.example": {"p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&small.PublicKey))}}}
	var der []byte
	if der, err = x509.MarshalPKIXPublicKey(&small.PublicKey); err != nil {
		t.Fatal(err)
	}
	weak2 := &domain{key: small, records: map[string][]string{"s1._domainkey.partner.example": {"k=rsa; p=" + base64.StdEncoding.EncodeToString(der)}}}
	tries := &domain{key: d.key, records: map[string][]string{"s1._domainkey.partner.example": {d.records["s1._domainkey.partner.example"][0] + "; t=y"}}}
	mute := &domain{key: d.key, mute: true}
	none := &domain{key: d.key}
	twice := &domain{key: d.key, records: map[string][]string{"s1._domainkey.partner.example": slices.Repeat(d.records["s1._domainkey.partner.example"], 2)}}
	signed := d.sign(t, "partner.example", good, usual...)
	oversigned := d.sign(t, "partner.example", mail(sam, ""), append(usual, "Autocrypt", "From")...)
	expired := d.signWith(t, &msgauth.SignOptions{Domain: "partner.example", Selector: "s1", Signer: d.key, HeaderKeys: usual, Expiration: time.Now().Add(-time.Hour)}, good)
	cut := strings.Replace(signed, "v=1", "l=7; v=1", 1)
	for _, tc := range []struct {
		name    string
		d       *domain
		raw     string
		want    error
		refused seen.Reason
	}{
		{"good", d, signed, nil, ""},
		{"good, LF", d, strings.ReplaceAll(signed, "\r\n", "\n"), nil, ""},
		{"by the domain above", d, d.sign(t, "partner.example", mail("sam@ward.partner.example", field("SAM@ward.partner.example", "")), usual...), nil, ""},
		{"behind somebody else's", d, d.sign(t, "evil.example", signed, usual...), nil, ""},

		{"no offer", d, d.sign(t, "partner.example", mail(sam, ""), usual...), seen.Nothing, ""},
		{"not signed", d, good, seen.NotSigned, ""},
		{"by another domain", d, d.sign(t, "evil.example", good, usual...), seen.NotSigned, ""},
		{"by a public suffix", d, d.sign(t, "co.uk", mail("sam@partner.co.uk", field("sam@partner.co.uk", "")), usual...), seen.NotSigned, ""},
		{"by a private suffix", d, d.sign(t, "github.io", mail("sam@partner.github.io", field("sam@partner.github.io", "")), usual...), seen.NotSigned, ""},
		{"by a domain below", d, d.sign(t, "sub.partner.example", good, usual...), seen.NotSigned, ""},
		{"field not signed", d, d.sign(t, "partner.example", good, "From", "Date", "Subject"), nil, seen.NotCovered},
		{"field put in later", d, field(sam, "") + oversigned, seen.NotSigned, ""},
		{"field put in later, not signed", d, field(sam, "") + d.sign(t, "partner.example", mail(sam, ""), "From", "Date"), nil, seen.NotCovered},
		{"two fields", d, field(sam, "") + signed, nil, seen.Several},
		{"Date not signed", d, d.sign(t, "partner.example", good, "From", "Autocrypt"), seen.NotSigned, ""},
		{"two From", d, "From: eve@evil.example\r\n" + signed, seen.NoOneFrom, ""},
		{"two in one From", d, d.sign(t, "partner.example", mail(sam+", eve@evil.example", field(sam, "")), usual...), seen.NoOneFrom, ""},
		{"no From", d, "Subject: x\r\n" + field(sam, "") + "\r\nx\r\n", seen.NoOneFrom, ""},
		{"From changed", d, strings.Replace(signed, "Sam <"+sam, "Sam <pat@partner.example", 1), seen.NotSigned, ""},
		{"body changed", d, signed + "more\r\n", seen.NotSigned, ""},
		{"a part of the body signed", d, cut, seen.NotSigned, ""},
		{"signature over", d, expired, seen.NotSigned, ""},
		{"key of 1024 bits", weak, weak.sign(t, "partner.example", good, usual...), seen.NotSigned, ""},
		{"key of 1024 bits, PKIX", weak2, weak2.sign(t, "partner.example", good, usual...), seen.NotSigned, ""},
		{"domain tries only", tries, signed, seen.NotSigned, ""},
		{"no key", none, signed, seen.NotSigned, ""},
		{"two keys of one name", twice, signed, seen.NotSigned, ""},
		{"DNS is mute", mute, signed, seen.NoAnswer, ""},
		{"too long ago", d, d.sign(t, "partner.example", strings.Replace(good, now.Format(time.RFC1123Z), now.AddDate(0, -4, 0).Format(time.RFC1123Z), 1), usual...), seen.BadDate, ""},
		{"to come", d, d.sign(t, "partner.example", strings.Replace(good, now.Format(time.RFC1123Z), now.Add(2*time.Hour).Format(time.RFC1123Z), 1), usual...), seen.BadDate, ""},
		{"two dates", d, "Date: " + now.Format(time.RFC1123Z) + "\r\n" + signed, seen.BadDate, ""},
		{"another addr, by a letter that Unicode folds", d, d.sign(t, "partner.example", mail(sam, field("\u017fam@partner.example", "")), usual...), nil, seen.OtherAddress},
		{"another addr", d, d.sign(t, "partner.example", mail(sam, field("pat@partner.example", "")), usual...), nil, seen.OtherAddress},
		{"unknown attribute", d, d.sign(t, "partner.example", mail(sam, field(sam, "must=1; ")), usual...), nil, seen.Unreadable},
		{"attribute twice", d, d.sign(t, "partner.example", mail(sam, field(sam, "addr="+sam+"; ")), usual...), nil, seen.Unreadable},
		{"no base64", d, d.sign(t, "partner.example", mail(sam, "Autocrypt: addr="+sam+"; keydata=@@\r\n"), usual...), nil, seen.Unreadable},
		{"no key in it", d, d.sign(t, "partner.example", mail(sam, "Autocrypt: addr="+sam+"\r\n"), usual...), nil, seen.Unreadable},
		{"report", d, d.sign(t, "partner.example", mail(sam, field(sam, "")+"Content-Type: multipart/report; boundary=x\r\n"), usual...), nil, seen.Report},
		{"giant field", d, d.sign(t, "partner.example", mail(sam, strings.Replace(field(sam, ""), "\r\n ", "\r\n "+strings.Repeat("A", 70)+"\r\n "+strings.Repeat("QUFB\r\n ", 9000), 1)), usual...), nil, seen.TooLarge},
		{"giant header", d, strings.Repeat("X: "+strings.Repeat("a", 900)+"\r\n", 300) + signed, seen.TooLarge, ""},
		{"giant message", d, signed + strings.Repeat("x", seen.MaxMessage), seen.TooLarge, ""},
		{"line that is no field", d, "From: " + sam + "\r\nno field\r\n" + signed, seen.Damaged, ""},
		{"white space before the colon", d, "Autocrypt : x\r\n" + signed, seen.Damaged, ""},
		{"bare LF", d, "X: a\nY: b\r\n" + signed, seen.Damaged, ""},
		{"bare CR", d, "X: a\rFrom: b\r\n" + signed, seen.Damaged, ""},
		{"no body", d, "From: " + sam, seen.Damaged, ""},
		{"empty", d, "", seen.Damaged, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.d.asked = nil
			m, err := seen.Read(t.Context(), []byte(tc.raw), tc.d.lookup, now)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			for _, name := range tc.d.asked {
				if strings.HasSuffix(name, "evil.example") || strings.Contains(name, "sub.") || !strings.HasSuffix(name, "partner.example") {
					t.Errorf("%s was asked for", name)
				}
			}
			if err != nil {
				return
			}
			if tc.refused != "" {
				if len(m.Keys) > 0 || !slices.Equal(m.Refused, []seen.Refusal{{Way: dlp.OpenPGP, Reason: tc.refused}}) {
					t.Errorf("got %+v", m)
				}
				return
			}
			if len(m.Keys) != 1 || len(m.Refused) > 0 || !m.At.Equal(now) {
				t.Fatalf("got %+v", m)
			}
			if k := m.Keys[0]; string(k.OpenPGP) != "the key" || k.Domain != "partner.example" || k.Selector != "s1" || k.Mutual != (tc.name != "by the domain above") {
				t.Errorf("got %+v", k)
			}
		})
	}
}

// TestManySignatures: hundreds of signatures have few keys asked for.
func TestManySignatures(t *testing.T) {
	d := newDomain(t)
	raw := mail("sam@partner.example", field("sam@partner.example", ""))
	for range 100 {
		raw = "DKIM-Signature: v=1; a=ed25519-sha256; d=partner.example; s=" + rand.Text() + "; h=from:date:autocrypt; bh=AAAA; b=AAAA\r\n" + raw
	}
	if _, err := seen.Read(t.Context(), []byte(raw), d.lookup, now); !errors.Is(err, seen.NotSigned) {
		t.Errorf("got %v", err)
	}
	if len(d.asked) > 5 {
		t.Errorf("%d keys were asked for", len(d.asked))
	}
}

// smimeMail has openssl sign a mail, by a certificate for addr.
func smimeMail(t testing.TB, from, newkey, addr string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: .ci/deps installs it")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %v: %v", args, err)
		}
		return out
	}
	req := []string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=Sam", "-addext", "subjectAltName=email:" + addr, "-out", "c.pem", "-keyout", "k.pem", "-newkey"}
	run(append(req, strings.Fields(newkey)...)...)
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("Content-Type: text/plain\r\n\r\nHello \xc3\xa4\r\n--x\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(append([]string{"cms", "-sign", "-in", "in", "-signer", "c.pem", "-inkey", "k.pem", "-binary", "-crlfeol"}, args...)...)
	text := strings.ReplaceAll(strings.ReplaceAll(string(out), "\r\n", "\n"), "\n", "\r\n")
	return "From: " + from + "\r\nDate: " + now.Format(time.RFC1123Z) + "\r\n" + text
}

// TestCertificates: what openssl signed, in each form that programs write.
func TestCertificates(t *testing.T) {
	const sam = "sam@partner.example"
	d := newDomain(t)
	rsaKey, ecKey := "rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384"
	for _, tc := range []struct {
		name, newkey string
		args         []string
		change       func(string) string
		refused      seen.Reason
	}{
		{"detached", rsaKey, nil, nil, ""},
		{"opaque, of unsaid length", rsaKey, []string{"-nodetach", "-stream"}, nil, ""},
		{"opaque", ecKey, []string{"-nodetach"}, nil, ""},
		{"ECDSA", ecKey, nil, nil, ""},
		{"SHA-512", rsaKey, []string{"-md", "sha512"}, nil, ""},
		{"PSS", rsaKey, []string{"-keyopt", "rsa_padding_mode:pss"}, nil, ""},
		{"by key identifier", rsaKey, []string{"-keyid"}, nil, ""},
		{"SHA-1", rsaKey, []string{"-md", "sha1"}, nil, seen.Unreadable},
		{"no attributes", rsaKey, []string{"-noattr"}, nil, seen.Unreadable},
		{"no certificate", rsaKey, []string{"-nocerts"}, nil, seen.Unreadable},
		{"made to encrypt alone", rsaKey + " -addext keyUsage=keyEncipherment", nil, nil, seen.Unreadable},
		{"RSA 1024", "rsa:1024", nil, nil, seen.Unreadable},
		{"content changed", rsaKey, nil, func(s string) string { return strings.Replace(s, "Hello", "Hallo", 1) }, seen.BadSignature},
		{"cut short", rsaKey, nil, func(s string) string { return s[:len(s)-400] }, seen.Unreadable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := smimeMail(t, sam, tc.newkey, sam, tc.args...)
			if tc.change != nil {
				text = tc.change(text)
			}
			m, err := seen.Read(t.Context(), []byte(d.sign(t, "partner.example", text, "From", "Date", "Content-Type", "Content-Transfer-Encoding")), (&domain{records: d.records}).lookup, now)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if tc.refused != "" {
				if len(m.Keys) > 0 || !slices.Equal(m.Refused, []seen.Refusal{{Way: dlp.SMIME, Reason: tc.refused}}) {
					t.Errorf("got %+v\n%s", m, text)
				}
				return
			}
			if len(m.Keys) != 1 || len(m.Keys[0].Certs) != 1 || m.Keys[0].Certs[0].EmailAddresses[0] != sam {
				t.Fatalf("got %+v\n%s", m, text)
			}
			if m.Keys[0].Capabilities == nil {
				t.Error("no capabilities")
			}
		})
	}
	t.Run("structure not signed", func(t *testing.T) {
		raw := d.sign(t, "partner.example", smimeMail(t, sam, rsaKey, sam), "From", "Date")
		m, err := seen.Read(t.Context(), []byte(raw), d.lookup, now)
		if err != nil || len(m.Keys) > 0 || !slices.Equal(m.Refused, []seen.Refusal{{Way: dlp.SMIME, Reason: seen.NotCovered}}) {
			t.Errorf("got %+v, %v", m, err)
		}
	})
}

// TestMessages: a mailbox is taken apart, and what one message is stays one.
func TestMessages(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"one", "A: b\n\nbody\n", []string{"A: b\n\nbody\n"}},
		{"one, with a line like a separator's", "A: b\n\n\nFrom x\n", []string{"A: b\n\n\nFrom x\n"}},
		{"mailbox", "From a Mon\nA: b\n\nbody\n\nFrom c\nD: e\n\n>From x\n>>From y\nFrom z\n\n", []string{"A: b\n\nbody\n", "D: e\n\nFrom x\n>From y\nFrom z\n"}},
		{"mailbox, CRLF", "From a\r\nA: b\r\n\r\nbody\r\n\r\nFrom c\r\nD: e\r\n\r\nx", []string{"A: b\r\n\r\nbody\r\n", "D: e\r\n\r\nx"}},
		{"long lines", "From a\nA: b\n\n" + long + "\n\nFrom c\nA: " + long, []string{"A: b\n\n" + long + "\n", "A: " + long}},
		{"no empty line before", "From a\nA: b\n\nbody\nFrom c\n", []string{"A: b\n\nbody\nFrom c\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			if err := seen.Messages(strings.NewReader(tc.in), func(b []byte) error { got = append(got, string(b)); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %.200q, want %.200q", got, tc.want)
			}
		})
	}
	n := 0
	if err := seen.Messages(strings.NewReader("A: b\n\n"+strings.Repeat(long+"\n", 200)), func(b []byte) error { n = len(b); return nil }); err != nil || n != seen.MaxMessage+1 {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	d := newDomain(f)
	f.Add([]byte(d.sign(f, "partner.example", mail("sam@partner.example", field("sam@partner.example", "")), usual...)))
	f.Add([]byte("From: a@partner.example\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n\r\n--x\r\n\r\nAAAA\r\n--x--\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := seen.Read(t.Context(), raw, (&domain{records: d.records}).lookup, now)
		if _, is := errors.AsType[seen.Reason](err); err != nil && !is {
			t.Fatalf("%v is no reason", err)
		}
		if err == nil && !strings.HasSuffix(m.From.Domain, "partner.example") {
			t.Errorf("a signature for %q", m.From.Domain)
		}
	})
}
