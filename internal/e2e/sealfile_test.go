package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// output runs an independent program and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	need(t, args[0])
	var errs strings.Builder
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, errs.String())
	}
	return string(out)
}

// TestFileEncryptedWithOpenPGP: gpg opens what stands there, and stanch brings it
// back; an altered one brings nothing back.
func TestFileEncryptedWithOpenPGP(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "records@clinic.example")
	dir := t.TempDir()
	pub, secret := filepath.Join(dir, "pub.asc"), filepath.Join(dir, "secret.asc")
	write(t, pub, p.key, 0o600)
	write(t, secret, p.gpg("", "--armor", "--export-secret-keys", "records@clinic.example"), 0o600)
	g := newGateway(t, options{watch: fmt.Sprintf("pgp_recipients = [%q]", pub), extra: encryptPolicy})
	g.must("config", "check")
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	note := path + ".stanch.txt"
	eventually(t, "the file is encrypted in place, with its note", func() bool { return !exists(path) && exists(path+".gpg") && exists(note) })
	g.stop()
	_, fpr, _ := strings.Cut(p.gpg("", "--with-colons", "--fingerprint", "records@clinic.example"), "\nfpr:::::::::")
	if fpr, _, ok := strings.Cut(fpr, ":"); !ok || !strings.Contains(strings.ToUpper(read(t, note)), "OPENPGP KEY: "+fpr+"\n") || strings.Contains(read(t, note), "536-") {
		t.Errorf("the note does not say that %s opens it: %q", fpr, read(t, note))
	}
	if got := p.gpg("", "--decrypt", path+".gpg"); got != phiFile {
		t.Fatalf("gpg gives %q", got)
	}
	good := read(t, path+".gpg")
	altered := []byte(good)
	altered[len(altered)-30] ^= 1
	write(t, path+".gpg", string(altered), 0o640)
	if _, err := p.run("", "--decrypt", path+".gpg"); err == nil { // it may have written by then; its exit tells
		t.Error("gpg takes an altered file")
	}
	if out, code := runStanch(t, "decrypt", path+".gpg", "--identity", secret); code == 0 || exists(path) || !exists(note) {
		t.Fatalf("an altered file came back: exit %d: %s", code, out)
	}
	write(t, path+".gpg", good, 0o640)
	if out, code := runStanch(t, "decrypt", path+".gpg", "--identity", secret); code != 0 || read(t, path) != phiFile || exists(path+".gpg") || exists(note) {
		t.Errorf("stanch decrypt: exit %d: %s", code, out)
	}
}

// TestFileEncryptedWithCMS: openssl opens what stands there with an RSA key and
// with one on a curve, and nobody else's key opens it.
func TestFileEncryptedWithCMS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, kind := range map[string][]string{"rsa": {"-newkey", "rsa:2048"}, "ec": {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, "other": {"-newkey", "rsa:2048"}} {
		output(t, append([]string{"openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=" + name, "-keyout", at(name + ".key"), "-out", at(name + ".pem")}, kind...)...)
	}
	g := newGateway(t, options{watch: fmt.Sprintf("cms_recipients = [%q, %q]", at("rsa.pem"), at("ec.pem")), extra: encryptPolicy})
	g.start("GODEBUG=fips140=on")
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	note := path + ".stanch.txt"
	eventually(t, "the file is encrypted in place, with its note", func() bool { return !exists(path) && exists(path+".p7m") && exists(note) })
	for _, who := range []string{"rsa", "ec"} {
		if sum := sha256Of(t, at(who+".pem")); !strings.Contains(read(t, note), sum) || strings.Contains(read(t, note), "536-") {
			t.Errorf("the note does not say that %s opens it: %q", sum, read(t, note))
		}
	}
	for _, who := range []string{"rsa", "ec"} {
		got := output(t, "openssl", "cms", "-decrypt", "-inform", "DER", "-binary", "-in", path+".p7m", "-recip", at(who+".pem"), "-inkey", at(who+".key"))
		if got != phiFile {
			t.Errorf("openssl with the %s key gives %q", who, got)
		}
	}
	if out, err := exec.Command("openssl", "cms", "-decrypt", "-inform", "DER", "-binary", "-in", path+".p7m", "-recip", at("other.pem"), "-inkey", at("other.key")).Output(); err == nil || strings.Contains(string(out), "536-22") {
		t.Errorf("somebody else's key opens it: %q", out)
	}
	g.stop()
	good := read(t, path+".p7m")
	altered := []byte(good)
	altered[len(altered)-30] ^= 1
	write(t, path+".p7m", string(altered), 0o640)
	for _, who := range []string{"rsa", "ec"} {
		if out, code := runStanch(t, "decrypt", path+".p7m", "--identity", at(who+".key")); code == 0 || exists(path) {
			t.Fatalf("an altered file came back: exit %d: %s", code, out)
		}
	}
	write(t, path+".p7m", good, 0o640)
	if out, code := runStanch(t, "decrypt", path+".p7m", "--identity", at("other.key")); code == 0 || exists(path) {
		t.Fatalf("with somebody else's key: exit %d: %s", code, out)
	}
	if out, code := runStanch(t, "decrypt", path+".p7m", "--identity", at("other.key"), "--identity", at("ec.key")); code != 0 || read(t, path) != phiFile || exists(path+".p7m") || exists(note) {
		t.Errorf("stanch decrypt: exit %d: %s", code, out)
	}
}

// sha256Of is the fingerprint of a certificate as openssl gives it, in one word.
func sha256Of(t *testing.T, cert string) string {
	t.Helper()
	_, sum, _ := strings.Cut(strings.TrimSpace(output(t, "openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", cert)), "=")
	return strings.ToLower(strings.ReplaceAll(sum, ":", ""))
}

// TestRecipientWithExpiredCertificate: nothing is encrypted to it, and the file
// does not stay.
func TestRecipientWithExpiredCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert := filepath.Join(dir, "old.pem")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, old, old, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
	g := newGateway(t, options{watch: fmt.Sprintf("cms_recipients = [%q]", cert), extra: encryptPolicy})
	if out, code := runStanch(t, "config", "check", "--config", g.config); code != 1 {
		t.Errorf("config check: exit %d: %s", code, out)
	}
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	eventually(t, "the file is held", func() bool { return !exists(path) && len(g.held()) == 1 })
	if exists(path + ".p7m") {
		t.Error("encrypted to an expired certificate")
	}
}

// TestFileWithSeveralNamesIsHeld: encrypted under one name it would stay in the
// clear under the other, so each name that is watched is held, and the audit log
// says why. Where a symbolic link leads is not touched.
func TestFileWithSeveralNamesIsHeld(t *testing.T) {
	t.Parallel()
	_, recipient := ageKey(t)
	g := newGateway(t, options{watch: fmt.Sprintf("age_recipients = [%q]", recipient), extra: encryptPolicy})
	one, two, link := filepath.Join(g.share, "one.csv"), filepath.Join(g.share, "two.csv"), filepath.Join(g.share, "link.csv")
	elsewhere := filepath.Join(g.dir, "elsewhere.csv")
	write(t, elsewhere, phiFile, 0o640)
	write(t, one, phiFile, 0o640)
	if err := os.Link(one, two); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	g.start()
	// The second is the only name by then, and is encrypted or held.
	eventually(t, "neither name is in the clear", func() bool { return !exists(one) && !exists(two) })
	eventually(t, "one is held", func() bool { return len(g.held()) > 0 })
	if exists(one+".age") && exists(two+".age") {
		t.Error("encrypted though it had two names")
	}
	if got := read(t, elsewhere); got != phiFile || !exists(link) {
		t.Errorf("behind the link: %q", got)
	}
	g.stop()
	if out, _ := runStanch(t, "audit", "export", "--config", g.config); !strings.Contains(out, `"reason":"hard_link"`) {
		t.Errorf("the audit log does not say why: %s", out)
	}
	if log := g.logged(); !strings.Contains(log, `"reason":"symlink","count":1,`) || strings.Contains(log, "link.csv") {
		t.Errorf("the log does not say why the link stays: %s", log)
	}
}

// TestDecryptRefusesALink: decrypt says of a symbolic link to an encrypted file that it
// is one, and both stay as they are; by its own name the file comes back.
func TestDecryptRefusesALink(t *testing.T) {
	t.Parallel()
	for suffix, with := range sealers(t) {
		dir := t.TempDir()
		path, link := filepath.Join(dir, "elsewhere.csv"), filepath.Join(dir, "link.csv"+suffix)
		write(t, path, phiFile, 0o640)
		with.seals(path, path+suffix)
		if err := errors.Join(os.Remove(path), os.Symlink(path+suffix, link)); err != nil {
			t.Fatal(err)
		}
		sealed := read(t, path+suffix)
		out, refused := exec.Command(stanch, "decrypt", link, "--identity", with.key).CombinedOutput()
		if es, err := os.ReadDir(dir); refused == nil || !strings.Contains(string(out), "it is a symbolic link") || err != nil || len(es) != 2 || read(t, path+suffix) != sealed {
			t.Errorf("%s: %v, %v, %v: %s", suffix, refused, es, err, out)
		}
		if out, code := runStanch(t, "decrypt", path+suffix, "--identity", with.key); code != 0 || read(t, path) != phiFile {
			t.Errorf("%s, by its own name: exit %d: %s", suffix, code, out)
		}
	}
}

// sealer is another program that encrypts the file at path to sealed, and the key
// that opens it.
type sealer struct {
	key   string
	seals func(path, sealed string)
}

// sealers are the programs by the ends of the names of what they encrypt.
func sealers(t *testing.T) map[string]sealer {
	t.Helper()
	keys := t.TempDir()
	at := func(name string) string { return filepath.Join(keys, name) }
	ageSecret, recipient := ageKey(t)
	output(t, "openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=ec", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", at("ec.key"), "-out", at("ec.pem"))
	bob := newPerson(t, "bob@partner.example")
	gpgSecret := at("gpg.key")
	write(t, gpgSecret, bob.gpg("", "--armor", "--export-secret-keys", "bob@partner.example"), 0o600)
	return map[string]sealer{
		".age": {ageSecret, func(path, sealed string) { output(t, "age", "-r", recipient, "-o", sealed, path) }},
		".p7m": {at("ec.key"), func(path, sealed string) {
			output(t, "openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", "-recip", at("ec.pem"), "-keyopt", "ecdh_kdf_md:sha256", "-out", sealed, "-in", path)
		}},
		".gpg": {gpgSecret, func(path, sealed string) {
			bob.gpg("", "--trust-model", "always", "--compress-algo", "none", "--encrypt", "--recipient", "bob@partner.example", "--output", sealed, path)
		}},
	}
}

// TestAlteredFileBringsNothingBack: of a file that was altered anywhere, cut short
// or followed by something nothing comes out, also not what stands before that
// place; and it stays as it is.
func TestAlteredFileBringsNothingBack(t *testing.T) {
	t.Parallel()
	for suffix, with := range sealers(t) {
		dir := t.TempDir()
		path := filepath.Join(dir, "patients.csv")
		write(t, path, strings.Repeat(phiFile, 300_000/len(phiFile)), 0o640) // several of age's chunks
		with.seals(path, path+suffix)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		good := read(t, path+suffix)
		bad := map[string]string{"cut in half": good[:len(good)/2], "cut by one": good[:len(good)-1], "nothing": "", "followed by one": good + "x"}
		for _, at := range []int{0, 100, 1000, len(good) / 4, len(good) / 2, len(good) - 30, len(good) - 1} {
			b := []byte(good)
			b[at] ^= 1
			bad[fmt.Sprintf("byte %d of %d altered", at, len(good))] = string(b)
		}
		for what, sealed := range bad {
			write(t, path+suffix, sealed, 0o640)
			out, code := runStanch(t, "decrypt", path+suffix, "--identity", with.key)
			if es, err := os.ReadDir(dir); code == 0 || err != nil || len(es) != 1 || read(t, path+suffix) != sealed || strings.Contains(out, "536-22") {
				t.Errorf("%s, %s: exit %d, %v, %v: %.500s", suffix, what, code, es, err, out)
				os.Remove(path)
			}
		}
		write(t, path+suffix, good, 0o640)
		if out, code := runStanch(t, "decrypt", path+suffix, "--identity", with.key); code != 0 || !strings.HasPrefix(read(t, path), phiFile) {
			t.Errorf("%s, as it was: exit %d: %s", suffix, code, out)
		}
	}
}

// TestDecryptSurvivesKillAtEachStep: killed before each step, either the
// encrypted file stands or the whole old one, with its mode; and running it again
// ends it. Nothing else is left.
func TestDecryptSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for suffix, with := range sealers(t) {
		for _, step := range []string{"decrypt: write", "decrypt: place", "decrypt: remove", "decrypt: unlink"} {
			dir := t.TempDir()
			path := filepath.Join(dir, "patients.csv")
			sealed := path + suffix
			write(t, path, phiFile, 0o640)
			with.seals(path, sealed)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(sealed, 0o640); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(stanch, "decrypt", sealed, "--identity", with.key)
			cmd.Env = append(os.Environ(), "STANCH_CRASH_AT="+step)
			if err := cmd.Run(); err == nil {
				t.Fatalf("%s: %s was never reached", suffix, step)
			}
			if exists(path) && read(t, path) != phiFile || !exists(path) && !exists(sealed) {
				t.Fatalf("%s, killed before %s: neither stands whole", suffix, step)
			}
			if out, code := runStanch(t, "decrypt", sealed, "--identity", with.key); code != 0 {
				t.Fatalf("%s, again after %s: exit %d: %s", suffix, step, code, out)
			}
			es, err := os.ReadDir(dir)
			if err != nil || len(es) != 1 || read(t, path) != phiFile {
				t.Errorf("%s, after %s: %v, %v", suffix, step, es, err)
			}
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 {
				t.Errorf("%s, after %s: mode %v, %v", suffix, step, fi.Mode(), err)
			}
		}
	}
}

// TestFileTooLargeForCMS: a file past what is sealed whole in memory is held, not left
// and not half encrypted, and the audit log says why; decrypt refuses one as large, and
// leaves all as it was.
func TestFileTooLargeForCMS(t *testing.T) {
	longTest(t)
	t.Parallel()
	dir := t.TempDir()
	output(t, "openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=ec", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-keyout", filepath.Join(dir, "ec.key"), "-out", filepath.Join(dir, "ec.pem"))
	g := newGateway(t, options{watch: fmt.Sprintf("cms_recipients = [%q]", filepath.Join(dir, "ec.pem")), extra: encryptPolicy})
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile+strings.Repeat("\n", 128<<20), 0o640)
	eventually(t, "it is held", func() bool { return !exists(path) && len(g.held()) == 1 })
	if exists(path + ".p7m") {
		t.Error("it is encrypted too")
	}
	if log := g.must("audit", "export"); !strings.Contains(log, "no_way") {
		t.Errorf("the audit log does not say why: %s", log)
	}
	g.stop()
	large := filepath.Join(dir, "large.csv.p7m")
	write(t, large, "", 0o600)
	if err := os.Truncate(large, 140<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(stanch, "decrypt", large, "--identity", filepath.Join(dir, "ec.key")).CombinedOutput(); err == nil || !strings.Contains(string(out), "larger than 128 MiB") {
		t.Errorf("decrypt: %v: %s", err, out)
	}
	if es, err := os.ReadDir(dir); err != nil || len(es) != 3 {
		t.Errorf("beside it: %v, %v", es, err)
	}
}
