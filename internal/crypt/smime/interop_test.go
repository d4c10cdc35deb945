package smime_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
)

// kinds are the keys that people have.
func kinds() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"RSA-2048": rsaKey(2048), "RSA-4096": rsaKey(4096), "P-256": ecKey(elliptic.P256()), "P-384": ecKey(elliptic.P384()), "P-521": ecKey(elliptic.P521()),
	}
}

// opener opens a message of one person with another program: msg as it is
// mailed, der what is in it.
type opener func(t *testing.T, p *person, msg, der []byte) ([]byte, error)

// TestOtherProgramsOpen gives each program the messages that it is known to
// read (docs/adr/0033-cms-envelope.md says what it does with others), and lets
// openssl verify the signature inside.
func TestOtherProgramsOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	a := newAuthority()
	root := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, root, "CERTIFICATE", a.cert.Raw)
	signer := a.person(t, "alice@clinic.example", rsaKey(2048))
	programs := map[string]struct {
		open  opener
		opens []string
	}{
		"openssl": {openssl, []string{"RSA-2048 CBC", "RSA-4096 CBC", "P-256 CBC", "P-384 CBC", "P-521 CBC", "RSA-2048 GCM", "RSA-4096 GCM", "P-256 GCM", "P-384 GCM", "P-521 GCM"}},
		"gpgsm":   {gpgsm, []string{"RSA-2048 CBC", "RSA-4096 CBC"}},
		"cmsutil": {nss, []string{"RSA-2048 CBC", "RSA-4096 CBC"}},
	}
	for name, key := range kinds() {
		bob := a.person(t, "bob@partner.example", key)
		for cipher, c := range map[string]cms.Cipher{"CBC": cms.AES256CBC, "GCM": cms.AES256GCM} {
			p := protected(t, mailText)
			msg, der := encrypted(t, p, class(c, bob), &cms.Signer{Key: signer.key, Cert: signer.cert})
			var payload bytes.Buffer
			if _, err := p.WriteTo(&payload); err != nil {
				t.Fatal(err)
			}
			for program, how := range programs {
				what := name + " " + cipher
				if !slices.Contains(how.opens, what) {
					continue
				}
				t.Run(program+" "+what, func(t *testing.T) {
					signed, err := how.open(t, bob, msg, der)
					if err != nil {
						t.Fatal(err)
					}
					got, err := run(t, signed, "openssl", "cms", "-verify", "-CAfile", root)
					if err != nil || string(got) != payload.String() {
						t.Errorf("signed\n%s\n%v", got, err)
					}
				})
			}
		}
	}
}

func openssl(t *testing.T, p *person, msg, _ []byte) ([]byte, error) {
	return run(t, msg, "openssl", "cms", "-decrypt", "-recip", p.certFile, "-inkey", p.keyFile)
}

// pkcs12 returns a file with the person's key, in a form that old programs read.
func pkcs12(t *testing.T, p *person) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.p12")
	if _, err := run(t, nil, "openssl", "pkcs12", "-export", "-in", p.certFile, "-inkey", p.keyFile, "-out", file, "-passout", "pass:x", "-name", "bob",
		"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"); err != nil {
		t.Fatal(err)
	}
	return file
}

func gpgsm(t *testing.T, p *person, _, der []byte) ([]byte, error) {
	home, err := os.MkdirTemp("", "g") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		exec.Command("gpgconf", "--kill", "all").Run() // the agent that gpgsm started; it ends with its folder too
		os.RemoveAll(home)
	})
	write(t, filepath.Join(home, "gpg-agent.conf"), []byte("allow-loopback-pinentry\n"))
	if _, err := run(t, []byte("x\n"), "gpgsm", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", pkcs12(t, p)); err != nil {
		return nil, err
	}
	file := filepath.Join(home, "m")
	write(t, file, der)
	return run(t, []byte("x\n"), "gpgsm", "--batch", "--yes", "--disable-crl-checks", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", file)
}

func nss(t *testing.T, p *person, _, der []byte) ([]byte, error) {
	db := "sql:" + t.TempDir()
	if _, err := run(t, nil, "certutil", "-N", "-d", db, "--empty-password"); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, nil, "pk12util", "-i", pkcs12(t, p), "-d", db, "-K", "", "-W", "x"); err != nil {
		return nil, err
	}
	file := filepath.Join(t.TempDir(), "m")
	write(t, file, der)
	return run(t, nil, "cmsutil", "-D", "-d", db, "-i", file)
}

// TestBouncyCastleOpens gives all messages to one Java program.
func TestBouncyCastleOpens(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("java is not installed")
	}
	const jars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar"
	for jar := range strings.SplitSeq(jars, ":") {
		if _, err := os.Stat(jar); err != nil {
			t.Skipf("Bouncy Castle is not installed (libbcmail-java): no %s", filepath.Base(jar))
		}
	}
	a := newAuthority()
	dir := t.TempDir()
	p := protected(t, mailText)
	var payload bytes.Buffer
	if _, err := p.WriteTo(&payload); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, key := range kinds() {
		bob := a.person(t, "bob@partner.example", key)
		for cipher, c := range map[string]cms.Cipher{"CBC": cms.AES256CBC, "GCM": cms.AES256GCM} {
			_, der := encrypted(t, p, class(c, bob), nil)
			base := filepath.Join(dir, name+cipher)
			write(t, base+".p7m", der)
			write(t, base+".p8", bob.p8)
			names = append(names, name+cipher)
		}
	}
	_, der := encrypted(t, p, class(cms.AES256GCM, a.person(t, "carol@partner.example", rsaKey(2048))), nil)
	write(t, filepath.Join(dir, "wrong.p7m"), der)
	write(t, filepath.Join(dir, "wrong.p8"), a.person(t, "dave@partner.example", rsaKey(2048)).p8)
	_, der = encrypted(t, p, class(cms.AES256CBC, a.person(t, "erin@partner.example", ecKey(elliptic.P256()))), nil)
	write(t, filepath.Join(dir, "wrong-ec.p7m"), der)
	write(t, filepath.Join(dir, "wrong-ec.p8"), a.person(t, "fay@partner.example", ecKey(elliptic.P256())).p8)
	bob := a.person(t, "bob@partner.example", ecKey(elliptic.P256()))
	_, der = encrypted(t, p, class(cms.AES256GCM, bob), nil)
	der[len(der)-40] ^= 1
	write(t, filepath.Join(dir, "altered.p7m"), der)
	write(t, filepath.Join(dir, "altered.p8"), bob.p8)

	out, err := exec.Command(java, "-cp", jars, "testdata/Open.java", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for _, name := range names {
		if got, err := os.ReadFile(filepath.Join(dir, name+".out")); err != nil || !bytes.Equal(got, payload.Bytes()) {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
	for _, name := range []string{"wrong", "wrong-ec", "altered"} {
		if got, err := os.ReadFile(filepath.Join(dir, name+".out")); err == nil {
			t.Errorf("%s opens: %q", name, got)
		}
	}
}

// TestMixedRecipients sends one message to people of several kinds: each class
// opens for each of its people, and not for those of the other.
func TestMixedRecipients(t *testing.T) {
	a := newAuthority()
	var people []*person
	var rcpts []smime.Recipient
	for name, key := range kinds() {
		p := a.person(t, strings.ToLower(name)+"@partner.example", key)
		people = append(people, p)
		rcpts = append(rcpts, smime.Recipient{Cert: p.cert, Capabilities: smime.Capabilities{AES256GCM: strings.HasPrefix(name, "P-")}})
	}
	classes := smime.Classes(rcpts)
	if len(classes) != 2 {
		t.Fatalf("%d classes, want 2", len(classes))
	}
	opened := 0
	for _, c := range classes {
		msg, _ := encrypted(t, protected(t, mailText), c, nil)
		for _, p := range people {
			mine := false
			for _, r := range c.Recipients {
				mine = mine || r.Cert.Equal(p.cert)
			}
			got, err := run(t, msg, "openssl", "cms", "-decrypt", "-recip", p.certFile, "-inkey", p.keyFile)
			if ok := err == nil && strings.Contains(string(got), "Befund Erna Example"); ok != mine {
				t.Errorf("%s: opens = %t, want %t", p.cert.Subject.CommonName, ok, mine)
			} else if ok {
				opened++
			}
		}
	}
	if opened != len(people) {
		t.Errorf("%d of %d people can read it", opened, len(people))
	}
}

// TestStrangersDoNotOpen: with the key of somebody else no program gives anything.
func TestStrangersDoNotOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	a := newAuthority()
	bob, eve := a.person(t, "bob@partner.example", rsaKey(2048)), a.person(t, "eve@partner.example", rsaKey(2048))
	for cipher, c := range map[string]cms.Cipher{"CBC": cms.AES256CBC, "GCM": cms.AES256GCM} {
		msg, der := encrypted(t, protected(t, mailText), class(c, bob), nil)
		for program, open := range map[string]opener{"openssl": openssl, "gpgsm": gpgsm, "cmsutil": nss} {
			if c == cms.AES256GCM && program != "openssl" {
				continue // these open it for nobody
			}
			t.Run(program+" "+cipher, func(t *testing.T) {
				if got, err := open(t, eve, msg, der); err == nil || len(got) > 0 {
					t.Errorf("opens: %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

// TestAlteredIsRefused changes the ciphertext: AES-GCM opens for nobody, and
// with AES-CBC the signature inside does not hold.
func TestAlteredIsRefused(t *testing.T) {
	a := newAuthority()
	root := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, root, "CERTIFICATE", a.cert.Raw)
	bob := a.person(t, "bob@partner.example", rsaKey(2048))
	signer := a.person(t, "alice@clinic.example", rsaKey(2048))
	for _, c := range []cms.Cipher{cms.AES256GCM, cms.AES256CBC} {
		_, der := encrypted(t, protected(t, mailText+strings.Repeat("more text of the letter\r\n", 500)), class(c, bob), &cms.Signer{Key: signer.key, Cert: signer.cert})
		der[len(der)/2] ^= 1
		got, err := run(t, der, "openssl", "cms", "-decrypt", "-inform", "DER", "-recip", bob.certFile, "-inkey", bob.keyFile)
		if c == cms.AES256GCM {
			if err == nil { // it writes what it has before it looks at the tag; Bouncy Castle does not
				t.Errorf("openssl opens it: %d bytes", len(got))
			}
			continue
		}
		if err == nil {
			if got, err := run(t, got, "openssl", "cms", "-verify", "-CAfile", root); err == nil {
				t.Errorf("the signature holds: %q", got)
			}
		}
		if testing.Short() {
			continue
		}
		for program, open := range map[string]opener{"gpgsm": gpgsm, "cmsutil": nss} {
			t.Run(program, func(t *testing.T) {
				got, err := open(t, bob, nil, der)
				if err != nil {
					return
				}
				if got, err := run(t, got, "openssl", "cms", "-verify", "-CAfile", root); err == nil {
					t.Errorf("the signature holds: %q", got)
				}
			})
		}
	}
}

// TestSignatureOverForeignBytes signs a message that holds another, which may
// not be changed, with bytes outside ASCII: the signature holds as mail programs
// verify it, by lines.
func TestSignatureOverForeignBytes(t *testing.T) {
	a := newAuthority()
	root := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, root, "CERTIFICATE", a.cert.Raw)
	bob := a.person(t, "bob@partner.example", ecKey(elliptic.P256()))
	signer := a.person(t, "alice@clinic.example", ecKey(elliptic.P384()))
	text := "From: alice@clinic.example\r\nSubject: Fwd\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nsee below  \r\n--o\r\n" +
		"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe \r\n\r\n\r\n--o--"
	p := protected(t, text)
	msg, _ := encrypted(t, p, class(cms.AES256CBC, bob), &cms.Signer{Key: signer.key, Cert: signer.cert})
	signed, err := run(t, msg, "openssl", "cms", "-decrypt", "-recip", bob.certFile, "-inkey", bob.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	var payload bytes.Buffer
	if _, err := p.WriteTo(&payload); err != nil {
		t.Fatal(err)
	}
	if got, err := run(t, signed, "openssl", "cms", "-verify", "-CAfile", root); err != nil || !bytes.Equal(got, payload.Bytes()) {
		t.Errorf("%v\n%q\nwant\n%q", err, got, payload.Bytes())
	}
}
