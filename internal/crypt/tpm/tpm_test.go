package tpm_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/tpm"
)

// simulator starts swtpm and returns its socket.
func simulator(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("swtpm is not installed: .ci/deps does that")
		}
		t.Skip("swtpm is not installed: .ci/deps does that")
	}
	dir, err := os.MkdirTemp("", "tpm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // of a test
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), program, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is gone already, or goes by this
		_ = cmd.Wait()         // says that it was killed
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if listens(socket) {
			return socket
		} else if time.Now().After(end) {
			t.Fatal("swtpm does not listen")
		}
	}
}

// listens tells whether somebody listens on the socket, which is there before.
func listens(socket string) bool {
	b, _ := os.ReadFile("/proc/net/unix") // nobody is seen where it cannot be read
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 8 && f[7] == socket && f[3] == "00010000" {
			return true
		}
	}
	return false
}

func open(t *testing.T, socket string) *tpm.TPM {
	t.Helper()
	d, err := tpm.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // of a test
	return d
}

func TestSeal(t *testing.T) {
	t.Parallel()
	mine, others := open(t, simulator(t)), open(t, simulator(t))
	if maker, err := mine.Maker(); maker != "IBM" || err != nil {
		t.Errorf("maker %q, %v", maker, err)
	}
	secret := bytes.Repeat([]byte("x"), tpm.MaxSecret)
	for range 8 { // places of objects are given back
		for _, pin := range [][]byte{nil, []byte("a good PIN, of more than thirty-two bytes")} {
			blob, err := mine.Seal(secret, pin)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(blob, secret[:16]) {
				t.Error("the secret lies open")
			}
			if got, err := mine.Unseal(blob, pin); err != nil || !bytes.Equal(got, secret) {
				t.Fatalf("got %q, %v", got, err)
			}
			if _, err := others.Unseal(blob, pin); !errors.Is(err, tpm.ErrOther) {
				t.Errorf("on another TPM: %v", err)
			}
			damaged := bytes.Clone(blob)
			damaged[20] ^= 1
			if _, err := mine.Unseal(damaged, pin); !errors.Is(err, tpm.ErrOther) {
				t.Errorf("damaged: %v", err)
			}
		}
	}
	if _, err := mine.Seal(make([]byte, tpm.MaxSecret+1), nil); err == nil {
		t.Error("a secret that is too long was sealed")
	}
	for _, bad := range [][]byte{nil, {0}, {0, 4, 1, 2}, bytes.Repeat([]byte{255}, 600), make([]byte, 8<<10)} {
		if _, err := mine.Unseal(bad, nil); !errors.Is(err, tpm.ErrForm) {
			t.Errorf("%d bytes of nothing: %v", len(bad), err)
		}
	}
}

// TestLockout: wrong PINs are told, and lock the TPM, the right one too.
func TestLockout(t *testing.T) {
	t.Parallel()
	d := open(t, simulator(t))
	blob, err := d.Seal([]byte("secret"), []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	var said error
	for range 50 {
		if _, said = d.Unseal(blob, []byte("wrong")); !errors.Is(said, tpm.ErrPIN) {
			break
		}
	}
	if !errors.Is(said, tpm.ErrLocked) {
		t.Errorf("after many: %v", said)
	}
	if _, err := d.Unseal(blob, []byte("right")); !errors.Is(err, tpm.ErrLocked) {
		t.Errorf("the right one while it is locked: %v", err)
	}
}

func TestNoTPM(t *testing.T) {
	t.Parallel()
	if _, err := tpm.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, tpm.ErrNone) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Open(file); err == nil {
		t.Error("a file is a TPM")
	}
}
