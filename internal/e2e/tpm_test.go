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
	eventually(t, "swtpm listens", func() bool { return exists(socket) })
	return socket
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
