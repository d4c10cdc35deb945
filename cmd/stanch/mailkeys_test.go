package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMailKeysAreLookedAt: config check and doctor warn of a secret key, and of what
// is no key, among the keys that mail is encrypted to, and name nobody.
func TestMailKeysAreLookedAt(t *testing.T) {
	dir := t.TempDir()
	conf, keys := filepath.Join(dir, "stanch.toml"), filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(conf, "data_dir = \"data\"\n[extract]\nsandbox = \"off\"\n[encrypt]\nsmime_dir = \"keys\"\n")
	const at = ":4: encrypt: "
	if _, errs, code := stanch(t, "config", "check", "--config", conf); code != 0 || strings.Contains(errs, at) {
		t.Errorf("no keys: exit %d, %q", code, errs)
	}
	put(filepath.Join(keys, "ann@partner.example.pem"), "no certificate\n")
	put(filepath.Join(keys, "bob@partner.example.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	_, errs, code := stanch(t, "config", "check", "--config", conf)
	for _, want := range []string{"1 of them hold a secret key", "1 of them cannot be read"} {
		if code != 0 || !strings.Contains(errs, "stanch: WARNING: "+conf+at+want) {
			t.Errorf("config check: exit %d, %q, want %q", code, errs, want)
		}
	}
	out, _, _ := stanch(t, "doctor", "--config", conf, "--only", "encrypt")
	for _, want := range []string{"2 certificates, keys and passphrases, 0 of which mail can be encrypted to", "1 of them hold a secret key", "1 of them cannot be read"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor: %q, want %q", out, want)
		}
	}
	if strings.Contains(errs+out, "partner.example") {
		t.Errorf("somebody is named: %q %q", errs, out)
	}

	passphrase := filepath.Join(keys, "cat@partner.example.pass")
	put(conf, "data_dir = \"data\"\n[extract]\nsandbox = \"off\"\n[encrypt]\npdf_dir = \"keys\"\n")
	for _, x := range []struct {
		text string
		mode os.FileMode
		poor bool
	}{{"correct horse battery staple\n", 0o600, false}, {"correct horse battery staple\n", 0o640, true}, {"short\n", 0o600, true}} {
		put(passphrase, x.text)
		if err := os.Chmod(passphrase, x.mode); err != nil {
			t.Fatal(err)
		}
		_, errs, code := stanch(t, "config", "check", "--config", conf)
		if code != 0 || strings.Contains(errs, at+"1 of them are passphrases") != x.poor {
			t.Errorf("a passphrase of mode %v: exit %d, %q", x.mode, code, errs)
		}
	}
}

// TestKeysSayWhatIsWrong: what no way leads to is said in words, and that a file holds
// the private key of a certificate.
func TestKeysSayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	conf, private := filepath.Join(dir, "stanch.toml"), filepath.Join(dir, "bob.key")
	for path, text := range map[string]string{
		conf:    "data_dir = \"data\"\n[extract]\nsandbox = \"off\"\n",
		private: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, code := stanch(t, "keys", "test", "sam@partner.example", "--config", conf); code != 1 || !strings.Contains(errs, "no way leads there") {
		t.Errorf("keys test: exit %d, %q", code, errs)
	}
	if _, errs, code := stanch(t, "keys", "import", private, "--config", conf); code != 2 || !strings.Contains(errs, "bob.key: it holds a private key") {
		t.Errorf("keys import: exit %d, %q", code, errs)
	}
	if _, errs, code := stanch(t, "backup", filepath.Join(dir, "none", "b"), "--recipient", "age1jaq964ak34ktatxmvmmwrw7h9hhk42wsvtptzjgwmvzspmxwaulq9g85fk", "--config", conf); code != 2 || !strings.Contains(errs, "no such folder: make it first") {
		t.Errorf("backup: exit %d, %q", code, errs)
	}
}
