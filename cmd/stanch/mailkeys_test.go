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
	const at = ":5: encrypt.smime_dir: "
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
	for _, want := range []string{"1 of them hold a secret key", "1 of them cannot be read"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor: %q, want %q", out, want)
		}
	}
	if strings.Contains(errs+out, "partner.example") {
		t.Errorf("somebody is named: %q %q", errs, out)
	}
}
