package age_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
)

// typageProgram is where .ci/deps puts age-encryption, age in TypeScript, on
// cryptography of its own.
const typageProgram = "/var/cache/stanch-tests/typage/node_modules/age-encryption/dist/index.js"

const typageScript = `
import { readFileSync } from "node:fs";
const [program, what, ...args] = process.argv.slice(2);
const age = await import(program);
const take = () => new Uint8Array(readFileSync(0));
let out;
if (what === "key") {
  const secret = await age.generateHybridIdentity();
  out = secret + "\n" + await age.identityToRecipient(secret) + "\n";
} else if (what === "open") {
  const d = new age.Decrypter();
  d.addIdentity(args[0]);
  out = await d.decrypt(take());
} else {
  const e = new age.Encrypter();
  for (const r of args) e.addRecipient(r);
  out = await e.encrypt(take());
}
process.stdout.write(out);
`

// typage runs it.
func typage(t *testing.T, in []byte, args ...string) ([]byte, error) {
	t.Helper()
	if _, err := os.Stat(typageProgram); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("age-encryption is not installed: .ci/deps installs it")
		}
		t.Skip("age-encryption is not installed: .ci/deps installs it")
	}
	script := filepath.Join(t.TempDir(), "typage.mjs")
	if err := os.WriteFile(script, []byte(typageScript), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script, typageProgram}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Logf("typage %s: %v: %.200s", args[0], err, &errs)
	}
	return out, err
}

// TestPostQuantumByAnotherProgram: a post-quantum key of another program is taken, it
// opens what goes to that key, files and sealed contents, and not what was altered or
// is for somebody else; and we open what it wrote.
func TestPostQuantumByAnotherProgram(t *testing.T) {
	pair, err := typage(t, nil, "key")
	if err != nil {
		t.Fatal(err)
	}
	secret, public, _ := strings.Cut(strings.TrimSpace(string(pair)), "\n")
	if _, err := age.ParseRecipients([]string{public}); err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(strings.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte{0, 1, '\r', '\n', 0xff}, 50_000)
	var ours bytes.Buffer
	if err := age.EncryptFile(&ours, bytes.NewReader(plain), []string{stranger.Recipient().String(), public}); err != nil {
		t.Fatal(err)
	}
	if got, err := typage(t, ours.Bytes(), "open", secret); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("it opens ours to %d bytes, %v; want %d", len(got), err, len(plain))
	}
	var alone bytes.Buffer
	if err := age.EncryptFile(&alone, bytes.NewReader(plain), []string{public}); err != nil {
		t.Fatal(err)
	}
	if got, err := typage(t, alone.Bytes(), "open", stranger.String()); err == nil || len(got) > 0 {
		t.Errorf("with a stranger's key: %d bytes, %v", len(got), err)
	}
	for _, at := range []int{200, alone.Len() / 2, alone.Len() - 1} { // the sealed key, the text, its end
		bad := bytes.Clone(alone.Bytes())
		bad[at] ^= 1
		if got, err := typage(t, bad, "open", secret); err == nil || len(got) > 0 {
			t.Errorf("byte %d of %d altered: %d bytes, %v", at, len(bad), len(got), err)
		}
	}
	p := periods(t, age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Reviewers: []string{public}, Only: true})
	h, found := hold(t, p), false
	for _, x := range p.Stands(true).Periods { // as docs/vault.md says
		if x.ID != h.period {
			continue
		}
		found = true
		key, err := typage(t, x.Sealed[0], "open", secret)
		if err != nil {
			t.Fatal(err)
		}
		_, key, _ = bytes.Cut(bytes.TrimSpace(key), []byte("\n"))
		want := "stanch-sealed/1 vault " + string(h.id) + "\n" + secretText
		if got, err := typage(t, h.sealed, "open", string(key)); err != nil || string(got) != want {
			t.Errorf("it opens what is held to %q, %v; want %q", got, err, want)
		}
	}
	if !found {
		t.Error("the period of what is held is not listed")
	}
	theirs, err := typage(t, plain, "seal", public)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := age.Decrypt(&got, bytes.NewReader(theirs), ids); err != nil || !bytes.Equal(got.Bytes(), plain) {
		t.Errorf("we open theirs to %d bytes, %v; want %d", got.Len(), err, len(plain))
	}
}
