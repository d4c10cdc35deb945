package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// simulatedTPM starts swtpm and returns its socket.
func simulatedTPM(t *testing.T) string {
	t.Helper()
	need(t, "swtpm")
	dir, err := os.MkdirTemp("", "tpm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // of a test
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is gone already, or goes by this
		_ = cmd.Wait()         // says that it was killed
	})
	eventually(t, "swtpm listens", func() bool { return listensAt(socket) })
	return socket
}

// listensAt tells whether somebody listens on the socket, which is there before.
func listensAt(socket string) bool {
	b, _ := os.ReadFile("/proc/net/unix") // nobody is seen where it cannot be read
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 8 && f[7] == socket && f[3] == "00010000" {
			return true
		}
	}
	return false
}

// withLine runs a subcommand with a line on its standard input.
func (g *gateway) withLine(line string, args ...string) (out string, err error) {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), stanch, append(args, "--config", g.config)...)
	cmd.Stdin = strings.NewReader(line + "\n")
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// TestReviewersKeyInATPM: what is held opens with the TPM that a reviewer's key was
// made in, with its PIN, and by no copy of the key's file elsewhere.
func TestReviewersKeyInATPM(t *testing.T) {
	t.Parallel()
	mine, others := simulatedTPM(t), simulatedTPM(t)
	key := filepath.Join(t.TempDir(), "ann.key")
	const pin = "864213"
	g := newGateway(t, options{extra: quietPolicy})
	public, err := g.withLine(pin, "reviewers", "key", key, "--tpm", "--pin", "--tpm-device", mine)
	public = strings.TrimSpace(public)
	if err != nil || !strings.HasPrefix(public, "age1") {
		t.Fatalf("%v: %s", err, public)
	}
	if b := read(t, key); strings.Contains(b, "AGE-SECRET-KEY") || strings.Contains(b, pin) || !strings.Contains(b, public) {
		t.Errorf("the key's file is\n%s", b)
	}
	if said, err := g.withLine(pin, "reviewers", "key", key, "--tpm", "--pin", "--tpm-device", mine); err == nil || !strings.Contains(said, "never overwritten") {
		t.Errorf("over a key that is there: %q", said)
	}
	write(t, g.config, read(t, g.config)+fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", public), 0o600)
	g.start()
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	id := g.held()[0].ID
	for name, tc := range map[string]struct{ pin, device, want string }{
		"no TPM":      {pin, filepath.Join(t.TempDir(), "none"), "there is no TPM here"},
		"another TPM": {pin, others, "made by another TPM"},
		"wrong PIN":   {"111111", mine, "the PIN is wrong"},
		"no PIN":      {"", mine, "no PIN of"},
	} {
		if said, err := g.withLine(tc.pin, "quarantine", "export", id, "--reveal", "--identity", key, "--tpm-device", tc.device); err == nil || !strings.Contains(said, tc.want) {
			t.Errorf("%s: %v: %q, want %q", name, err, said, tc.want)
		}
	}
	if out, err := g.withLine(pin, "quarantine", "export", id, "--reveal", "--identity", key, "--tpm-device", mine); err != nil || out != phiMail+"\r\n" {
		t.Errorf("export: %v: %q", err, out)
	}
	if out, err := g.withLine(pin, "quarantine", "release", id, "--identity", key, "--tpm-device", mine); err != nil {
		t.Errorf("release: %v: %q", err, out)
	}
	eventually(t, "it is delivered", func() bool { return len(g.delivered()) == 1 })
	if out := g.must("doctor", "--only", "tpm"); !strings.Contains(out, "TPM") {
		t.Errorf("doctor: %s", out)
	}
}

// TestCertificateKeyInATPM: the private key of a reviewer's certificate opens what is
// held by what FIPS 140 approves, and a file that openssl encrypted to the certificate,
// with the TPM that it was made in and no other; one in a file does without.
func TestCertificateKeyInATPM(t *testing.T) {
	t.Parallel()
	mine, others, dir := simulatedTPM(t), simulatedTPM(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	const pin = "864213"
	g := newGateway(t, options{extra: quietPolicy})
	made := func(args ...string) (string, error) {
		return g.withLine(pin, append([]string{"reviewers", "key", "--tpm-device", mine}, args...)...)
	}
	for who, args := range map[string][]string{"ann": {"--tpm", "--pin"}, "ben": nil} {
		if out, err := made(append(args, at(who+".key"), "--certificate", at(who+".pem"))...); err != nil || strings.TrimSpace(out) != at(who+".pem") {
			t.Fatalf("%v: %s", err, out)
		}
		if got := openssl(t, dir, "", "x509", "-in", who+".pem", "-noout", "-subject", "-text"); !strings.Contains(got, "stanch reviewer "+who) || !strings.Contains(got, "secp384r1") {
			t.Errorf("the certificate is %s", got)
		}
	}
	if b := read(t, at("ann.key")); strings.Contains(b, "PRIVATE") || strings.Contains(b, pin) {
		t.Errorf("the key's file is\n%s", b)
	}
	if out, err := made(at("eve.key"), "--certificate", at("ann.pem")); err == nil || !strings.Contains(out, "never overwritten") || exists(at("eve.key")) {
		t.Errorf("over a certificate that is there: %v: %s", err, out)
	}
	if out, err := made(at("eve.key"), "--certificate", at("eve.pem"), "--post-quantum"); err == nil || exists(at("eve.key")) {
		t.Errorf("a post-quantum certificate: %s", out)
	}
	write(t, g.config, read(t, g.config)+fmt.Sprintf("[vault]\nreviewer_certificates = [%q, %q]\nreviewers_only = true\n", at("ann.pem"), at("ben.pem")), 0o600)
	g.must("config", "check")
	g.start("GODEBUG=fips140=on")
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	id := g.held()[0].ID
	export := []string{"quarantine", "export", id, "--reveal", "--identity"}
	if out, err := g.withLine(pin, append(export, at("ann.key"), "--tpm-device", mine)...); err != nil || out != phiMail+"\r\n" {
		t.Errorf("export: %v: %q", err, out)
	}
	if out, err := g.withLine("", append(export, at("ben.key"))...); err != nil || out != phiMail+"\r\n" {
		t.Errorf("export by a file: %v: %q", err, out)
	}
	if said, err := g.withLine(pin, append(export, at("ann.key"), "--tpm-device", others)...); err == nil || !strings.Contains(said, "made by another TPM") {
		t.Errorf("another TPM: %v: %q", err, said)
	}

	path := at("patients.csv")
	write(t, path, phiFile, 0o640)
	openssl(t, dir, "", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", "-recip", "ann.pem", "-aes256-wrap", "-keyopt", "ecdh_kdf_md:sha256", "-in", path, "-out", path+".p7m")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	decrypt := func(key, device string) (string, error) {
		cmd := exec.CommandContext(t.Context(), stanch, "decrypt", path+".p7m", "--identity", key, "--tpm-device", device)
		cmd.Stdin = strings.NewReader(pin + "\n")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for what, by := range map[string][2]string{"another TPM": {at("ann.key"), others}, "another's key": {at("ben.key"), mine}, "the certificate": {at("ann.pem"), mine}} {
		if out, err := decrypt(by[0], by[1]); err == nil || exists(path) {
			t.Errorf("%s brings it back: %s", what, out)
		}
	}
	if out, err := decrypt(at("ann.key"), mine); err != nil || read(t, path) != phiFile {
		t.Errorf("decrypt: %v: %s", err, out)
	}
}
