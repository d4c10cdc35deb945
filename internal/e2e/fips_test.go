package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestFIPSModule runs a gateway with Go's FIPS 140-3 module on: mail by S/MIME to a
// recipient whose program reads what is approved, a file by CMS, and a mail that is
// held and released. doctor, which runs without, says so of the running serve, and
// what lies outside all the same.
func TestFIPSModule(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	certificate(t, certs, "new@partner.example", "email:new@partner.example")
	print := openssl(t, certs, "", "x509", "-in", "new@partner.example.pem", "-noout", "-fingerprint", "-sha256")
	_, print, _ = strings.Cut(strings.TrimSpace(print), "=")
	write(t, filepath.Join(certs, "trust.txt"), "modern "+print+"\n", 0o600)
	file := filepath.Join(t.TempDir(), "records.pem") // the same certificate, in a folder of its own
	write(t, file, read(t, filepath.Join(certs, "new@partner.example.pem")), 0o600)
	g := newGateway(t, options{watch: fmt.Sprintf("cms_recipients = [%q]", file),
		extra: encryptMailPolicy + encryptPolicy + fmt.Sprintf("[encrypt]\norder = [\"smime\"]\nsmime_dir = %q\n", certs)})
	g.start()
	if fs, _ := g.doctor("fips"); len(fs) != 1 || !has(fs, "ok", "the running serve runs without", "") || !has(fs, "ok", "vault", "") {
		t.Errorf("without the module: %+v", fs)
	}
	g.stop()
	g.start("GODEBUG=fips140=on")
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	if answer, err := g.send("ada@clinic.example", []string{"new@partner.example", "carol@elsewhere.test"}, strings.Replace(secretMail, "bob@", "new@", 1)); err != nil {
		t.Fatalf("%q, %v", answer, err)
	}
	eventually(t, "the mail is delivered, the file encrypted", func() bool { return len(g.delivered()) == 1 && exists(path+".p7m") && !exists(path) })
	who := []string{"-recip", "new@partner.example.pem", "-inkey", "new@partner.example.key"}
	mail := g.delivered()[0]
	if plain := openssl(t, certs, mail, append([]string{"cms", "-decrypt"}, who...)...); !strings.Contains(mail, "smime-type=authEnveloped-data") || !strings.Contains(plain, "number is 536-22-8145.") {
		t.Errorf("openssl reads %q of\n%s", plain, mail)
	}
	if got := openssl(t, certs, "", append([]string{"cms", "-decrypt", "-inform", "DER", "-binary", "-in", path + ".p7m"}, who...)...); got != phiFile {
		t.Errorf("the file opens to %q", got)
	}
	items := g.held()
	if len(items) != 1 {
		t.Fatalf("held %+v, want Carol's alone", items)
	}
	if said := g.refused("quarantine", "release", items[0].ID, "--unencrypted=false"); !strings.Contains(said, "--unencrypted") || len(g.delivered()) != 1 {
		t.Errorf("in the clear though that was refused: %q", said)
	}
	g.must("quarantine", "release", items[0].ID)
	eventually(t, "Carol's is released", func() bool { return len(g.delivered()) == 2 })
	fs, code := g.doctor("fips")
	if code != 0 || !has(fs, "ok", "the running serve runs with Go's FIPS 140-3 module", "") || !has(fs, "warn", "vault outside FIPS 140: age", "") ||
		!has(fs, "warn", "not modern", "trust.txt") || has(fs, "warn", g.share, "") || has(fs, "warn", "OpenPGP", "") {
		t.Errorf("with the module: exit %d: %+v", code, fs)
	}
}

// TestReviewersWithCertificates runs with the module on and the vault by certificates:
// what openssl made opens what is held, one at a time; by their keys alone what was
// held before, by age, opens too; and doctor finds nothing outside in the vault.
func TestReviewersWithCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, kind := range map[string][]string{"ann": {"rsa:2048"}, "ben": {"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, "eve": {"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}} {
		openssl(t, dir, "", append([]string{"req", "-x509", "-nodes", "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".pem", "-newkey"}, kind...)...)
	}
	g := newGateway(t, options{extra: quietPolicy})
	g.start()
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	g.stop()
	write(t, g.config, read(t, g.config)+fmt.Sprintf("[vault]\nreviewer_certificates = [%q, %q]\nreviewers_only = true\n", at("ann.pem"), at("ben.pem")), 0o600)
	g.must("config", "check")
	g.start("GODEBUG=fips140=on")
	second := strings.Replace(phiMail, "Subject: ", "Subject: second ", 1)
	if _, err := g.send("ada@clinic.example", outside, second); err != nil {
		t.Fatal(err)
	}
	items := g.held()
	if len(items) != 2 {
		t.Fatalf("%d held, want 2", len(items))
	}
	if out := g.must("vault", "keys"); strings.Count(out, "certificate SHA-256") != 10 || strings.Contains(out, "age1") {
		t.Errorf("keys, of two who read five periods:\n%s", out)
	}
	for _, it := range items {
		if said := g.refused("quarantine", "show", it.ID); !strings.Contains(said, "--identity") {
			t.Errorf("without a key: %q", said)
		}
		if said := g.refused("quarantine", "show", it.ID, "--identity", at("eve.key")); !strings.Contains(said, "not the key of anybody") {
			t.Errorf("with a stranger's key: %q", said)
		}
		for _, who := range []string{"ann.key", "ben.key"} {
			if out := g.must("quarantine", "export", it.ID, "--reveal", "--identity", at(who)); !strings.HasSuffix(out, phiMail+"\r\n") && !strings.HasSuffix(out, second+"\r\n") {
				t.Errorf("%s exports %q", who, out)
			}
		}
	}
	if fs, _ := g.doctor("fips"); has(fs, "warn", "vault", "") || !has(fs, "warn", "outbox", "") {
		t.Errorf("doctor: %+v", fs)
	}
	g.must("quarantine", "release", items[0].ID, "--identity", at("ben.key"))
	eventually(t, "it is delivered", func() bool { return len(g.delivered()) == 1 })

	// Ann goes: her key opens it no longer once Ben has sealed the keys anew.
	g.stop()
	write(t, g.config, strings.Replace(read(t, g.config), fmt.Sprintf("%q, ", at("ann.pem")), "", 1), 0o600)
	g.start("GODEBUG=fips140=on")
	g.must("vault", "reseal", "--identity", at("ben.key"))
	g.refused("quarantine", "show", items[1].ID, "--identity", at("ann.key"))
	g.must("quarantine", "release", items[1].ID, "--identity", at("ben.key"))
	eventually(t, "both are delivered", func() bool { return len(g.delivered()) == 2 })
	g.must("audit", "verify")
}
