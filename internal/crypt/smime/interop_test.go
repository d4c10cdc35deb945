package smime_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
)

// kinds are the keys that people have, strangers the keys of the same kinds that
// others have. Each is made once.
var kinds, strangers = sync.OnceValue(keysOfEachKind), sync.OnceValue(keysOfEachKind)

func keysOfEachKind() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"RSA-2048": rsaKey(2048), "RSA-3072": rsaKey(3072), "RSA-4096": rsaKey(4096),
		"P-256": ecKey(elliptic.P256()), "P-384": ecKey(elliptic.P384()), "P-521": ecKey(elliptic.P521()),
	}
}

var ciphers = map[string]cms.Cipher{"CBC": cms.AES256CBC, "GCM": cms.AES256GCM}

// opener gives another program the key of one person. What comes back opens a
// message with it: msg as it is mailed, der what is in it.
type opener func(t *testing.T, p *person) func(msg, der []byte) ([]byte, error)

// programs are others that open messages, and of which keys and ciphers they do.
// docs/adr/0033-cms-envelope.md says what they do with the rest; Bouncy Castle is
// asked of all of it at once.
var programs = map[string]struct {
	open  opener
	opens []string
}{
	"openssl": {openssl, []string{"RSA-2048 CBC", "RSA-3072 CBC", "RSA-4096 CBC", "P-256 CBC", "P-384 CBC", "P-521 CBC",
		"RSA-2048 GCM", "RSA-3072 GCM", "RSA-4096 GCM", "P-256 GCM", "P-384 GCM", "P-521 GCM"}},
	"gpgsm":   {gpgsm, []string{"RSA-2048 CBC", "RSA-4096 CBC"}},
	"cmsutil": {nss, []string{"RSA-2048 CBC", "RSA-3072 CBC", "RSA-4096 CBC"}},
}

// withEach runs a test for each program with each kind of key and cipher that it
// opens messages of.
func withEach(t *testing.T, test func(t *testing.T, key, cipher string, open opener)) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs other programs")
	}
	for program, how := range programs {
		for _, what := range how.opens {
			key, cipher, _ := strings.Cut(what, " ")
			t.Run(program+" "+what, func(t *testing.T) {
				t.Parallel() // gpgsm waits for its agent
				test(t, key, cipher, how.open)
			})
		}
	}
}

// TestOtherProgramsOpen gives each program the messages that it reads, and lets
// openssl verify the signature inside.
func TestOtherProgramsOpen(t *testing.T) {
	a := newAuthority()
	root := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, root, "CERTIFICATE", a.cert.Raw)
	signer := a.person(t, "alice@clinic.example", rsaKey(2048))
	withEach(t, func(t *testing.T, key, cipher string, open opener) {
		bob, p := a.person(t, "bob@partner.example", kinds()[key]), protected(t, mailText)
		msg, der := encrypted(t, p, class(ciphers[cipher], bob), &cms.Signer{Key: signer.key, Cert: signer.cert})
		var payload bytes.Buffer
		if _, err := p.WriteTo(&payload); err != nil {
			t.Fatal(err)
		}
		signed, err := open(t, bob)(msg, der)
		if err != nil {
			t.Fatal(err)
		}
		got, err := run(t, signed, "openssl", "cms", "-verify", "-CAfile", root)
		if err != nil || string(got) != payload.String() {
			t.Errorf("signed\n%s\n%v", got, err)
		}
	})
}

func openssl(t *testing.T, p *person) func(msg, der []byte) ([]byte, error) {
	return func(msg, _ []byte) ([]byte, error) {
		return run(t, msg, "openssl", "cms", "-decrypt", "-recip", p.certFile, "-inkey", p.keyFile)
	}
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

func gpgsm(t *testing.T, p *person) func(msg, der []byte) ([]byte, error) {
	home, err := os.MkdirTemp("", "g") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // the agent; it ends with its folder too
		os.RemoveAll(home)
	})
	write(t, filepath.Join(home, "gpg-agent.conf"), []byte("allow-loopback-pinentry\n"))
	// It returns once the agent answers; gpgsm gives one that it starts itself 5 s for that.
	if err := exec.Command("gpg-agent", "--homedir", home, "--daemon").Run(); err != nil {
		t.Fatalf("gpg-agent: %v", err)
	}
	// GnuPG 2.2.40 takes the passphrase of some PKCS#12 files, one in about a
	// hundred, for a wrong one: those made anew, with another salt, it reads.
	for try := 1; ; try++ {
		_, err := run(t, []byte("x\n"), "gpgsm", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", pkcs12(t, p))
		if err == nil {
			break
		}
		if try == 5 {
			t.Fatal(err)
		}
	}
	return func(_, der []byte) ([]byte, error) {
		file := filepath.Join(home, "m")
		write(t, file, der)
		return run(t, []byte("x\n"), "gpgsm", "--homedir", home, "--batch", "--yes", "--disable-crl-checks", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", file)
	}
}

func nss(t *testing.T, p *person) func(msg, der []byte) ([]byte, error) {
	db := "sql:" + t.TempDir()
	if _, err := run(t, nil, "certutil", "-N", "-d", db, "--empty-password"); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, nil, "pk12util", "-i", pkcs12(t, p), "-d", db, "-K", "", "-W", "x"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "m")
	return func(_, der []byte) ([]byte, error) {
		write(t, file, der)
		return run(t, nil, "cmsutil", "-D", "-d", db, "-i", file)
	}
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
	give := func(name string, der []byte, p *person) {
		write(t, filepath.Join(dir, name+".p7m"), der)
		write(t, filepath.Join(dir, name+".p8"), p.p8)
	}
	var opens, refuses []string
	for name, key := range kinds() {
		bob, eve := a.person(t, "bob@partner.example", key), a.person(t, "eve@partner.example", strangers()[name])
		for cipher, c := range ciphers {
			_, der := encrypted(t, p, class(c, bob), nil)
			give(name+cipher, der, bob)
			give(name+cipher+"-wrong", der, eve)
			opens, refuses = append(opens, name+cipher), append(refuses, name+cipher+"-wrong")
			if c == cms.AES256CBC { // nothing in it tells
				continue
			}
			for at, back := range map[string]int{"-text": 40, "-tag": 1} {
				altered := bytes.Clone(der)
				altered[len(altered)-back] ^= 1
				give(name+cipher+at, altered, bob)
				refuses = append(refuses, name+cipher+at)
			}
		}
	}

	out, err := exec.Command(java, "-cp", jars, "testdata/Open.java", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for _, name := range opens {
		if got, err := os.ReadFile(filepath.Join(dir, name+".out")); err != nil || !bytes.Equal(got, payload.Bytes()) {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
	for _, name := range refuses {
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

// TestStrangersDoNotOpen: with the key of somebody else, of the same kind, no
// program gives anything.
func TestStrangersDoNotOpen(t *testing.T) {
	a := newAuthority()
	withEach(t, func(t *testing.T, key, cipher string, open opener) {
		bob, eve := a.person(t, "bob@partner.example", kinds()[key]), a.person(t, "eve@partner.example", strangers()[key])
		msg, der := encrypted(t, protected(t, mailText), class(ciphers[cipher], bob), nil)
		if got, err := open(t, eve)(msg, der); err == nil || len(got) > 0 {
			t.Errorf("opens: %d bytes, %v", len(got), err)
		}
	})
}

// TestAlteredIsRefused changes the sealed key, the ciphertext and its end: AES-GCM
// opens for nobody, and with AES-CBC the signature inside does not hold.
func TestAlteredIsRefused(t *testing.T) {
	a := newAuthority()
	root := filepath.Join(t.TempDir(), "root.pem")
	writePEM(t, root, "CERTIFICATE", a.cert.Raw)
	signer := a.person(t, "alice@clinic.example", rsaKey(2048))
	text := mailText + strings.Repeat("more text of the letter\r\n", 500)
	withEach(t, func(t *testing.T, key, cipher string, open opener) {
		bob := a.person(t, "bob@partner.example", kinds()[key])
		_, der := encrypted(t, protected(t, text), class(ciphers[cipher], bob), &cms.Signer{Key: signer.key, Cert: signer.cert})
		sealedKey := bytes.Index(der, bob.cert.RawIssuer) + len(bob.cert.RawIssuer) + 20 // behind the name that it is for
		if strings.HasPrefix(key, "RSA") {
			sealedKey += 120 // and the parameters of OAEP
		}
		opens := open(t, bob)
		for what, at := range map[string]int{"the key": sealedKey, "the text": len(der) / 2, "its end": len(der) - 20} {
			bad := bytes.Clone(der)
			bad[at] ^= 1
			got, err := opens(asMail(bad), bad)
			if err != nil { // openssl has written by the time that it looks at the tag; Bouncy Castle has not
				continue
			}
			if cipher == "GCM" {
				t.Errorf("%s altered: it opens to %d bytes", what, len(got))
			} else if got, err := run(t, got, "openssl", "cms", "-verify", "-CAfile", root); err == nil {
				t.Errorf("%s altered: the signature holds: %q", what, got)
			}
		}
	})
}

// asMail is an envelope as it is mailed.
func asMail(der []byte) []byte {
	var b bytes.Buffer
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(der)), 64) {
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.Bytes()
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
