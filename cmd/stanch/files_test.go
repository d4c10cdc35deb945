package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// TestNamedFiles: what names a file that is not there is told by line, key and path.
func TestNamedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stanch.toml")
	text := "data_dir = \"var\"\n[smtp]\nhostname = \"gw.example\"\nlisten = [\"127.0.0.1:2525\"]\ninternal_domains = [\"clinic.example\"]\nnext_hop = \"127.0.0.1:2526\"\n" +
		"tls_cert = \"/nowhere/c\"\ntls_key = \"/nowhere/k\"\n" +
		"[[smtp.routes]]\nname = \"a\"\nrecipients = [\"a.example\"]\nnext_hops = [\"127.0.0.1:1\"]\n" +
		"[[smtp.routes]]\nname = \"b\"\nrecipients = [\"b.example\"]\nnext_hops = [\"127.0.0.1:2\"]\ntls = \"required\"\nauth = \"/nowhere/a\"\n" +
		"[[watch]]\npath = \"/nowhere/folder\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	err = named(cfg)
	for _, want := range []string{":7: smtp.tls_cert: ", "/nowhere/c with key /nowhere/k", ":18: smtp.routes[1].auth: ", "password /nowhere/a"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if got := missingFolders(cfg); len(got) != 1 || !strings.Contains(got[0].Error(), ":20: watch[0].path: ") {
		t.Errorf("folders: %v", got)
	}
}

// TestPolicyOf: (on_gap) is said only of what a gap spoke for.
func TestPolicyOf(t *testing.T) {
	for want, h := range map[string]gateway.Held{"p": {Policy: "p"}, "(on_gap)": {Causes: []string{"encrypted"}}, "(none)": {}} {
		if got := policyOf(h); got != want {
			t.Errorf("%+v: got %s, want %s", h, got, want)
		}
	}
}
