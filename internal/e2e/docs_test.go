package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tomlBlock is a block of configuration or rules in a page.
var tomlBlock = regexp.MustCompile("(?ms)^[ \t]*```toml[^\n]*\n(.*?)^[ \t]*```")

// documented is what a page's block may take for granted: a host and a folder.
const documented = `[smtp]
hostname = "gw.clinic.example"
[[watch]]
path = "/srv/share"
`

// TestDocumentedConfigurations: what the documents tell an administrator to write
// holds, whole or beside what they take for granted, with the files that it names;
// and what they show as rules passes its own tests.
func TestDocumentedConfigurations(t *testing.T) {
	t.Parallel()
	dir := documentedFiles(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	with := map[string]int{}
	for _, page := range append(pages, "../../README.md") {
		for _, m := range tomlBlock.FindAllStringSubmatch(read(t, page), -1) {
			with[filepath.Base(page)]++
			text := strings.NewReplacer("/etc/stanch/", dir+"/", "/var/lib/stanch/seen", dir+"/seen").Replace(m[1])
			if regexp.MustCompile(`(?m)^schema *= *1$`).MatchString(text) {
				write(t, filepath.Join(dir, "rules.toml"), text, 0o600)
				if r := shell(t, dir, "", "rules", "test", "rules.toml", "--config", "none.toml"); r.code != 0 {
					t.Errorf("%s: got exit %d, %s%s; want these rules to hold:\n%s", page, r.code, r.out, r.errs, m[1])
				}
				continue
			}
			check := func(text string) ran {
				write(t, filepath.Join(dir, "stanch.toml"), text, 0o600)
				return shell(t, dir, "", "config", "check", "--config", "stanch.toml")
			}
			alone := check(text)
			if alone.code == 0 {
				continue
			}
			if beside := check(documented + text); beside.code != 0 {
				t.Errorf("%s: got exit %d, %sand beside\n%sexit %d, %s; want it to hold:\n%s", page, alone.code, alone.errs, documented, beside.code, beside.errs, m[1])
			}
		}
	}
	for _, page := range []string{"README.md", "doctor.md", "exchange.md", "flow.md", "next-hops.md", "policy.md", "postfix.md", "rules.md",
		"sandbox.md", "sendmail.md", "smtp.md", "watch.md"} {
		if with[page] == 0 {
			t.Errorf("%s: got no configuration, want at least one", page)
		}
	}
}

// documentedFiles makes a folder with the files that the documents' blocks name.
func documentedFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cert, key := authorityFor(t, dir, "gw.clinic.example", time.Hour)
	for _, sub := range []string{"tls", "private", "smime", "seen"} {
		mkdir(t, filepath.Join(dir, sub))
	}
	for to, from := range map[string]string{"gw.pem": cert, "gw.key": key, "tls/gw.pem": cert, "tls/gw.key": key, "mail-authorities.pem": cert, "log-ca.pem": cert} {
		write(t, filepath.Join(dir, to), read(t, from), 0o600)
	}
	write(t, filepath.Join(dir, "smarthost.auth"), "clinic:correct horse battery\n", 0o600)
	write(t, filepath.Join(dir, "soc.secret"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0o600)
	write(t, filepath.Join(dir, "oidc.secret"), "correct horse battery staple\n", 0o600)
	write(t, filepath.Join(dir, "none.toml"), documented, 0o600)
	write(t, filepath.Join(dir, "stanch.toml"), "[smtp]\ntls_cert = \"gw.pem\"\ntls_key = \"gw.key\"\n[smtp.auth]\nusers = \"users\"\n", 0o600)
	if r := shell(t, dir, "correct horse battery\n", "smtp-user", "set", "ann@clinic.example"); r.code != 0 {
		t.Fatalf("smtp-user: %s", r.errs)
	}
	if r := shell(t, dir, "", "dkim", "init", "--domain", "clinic.example", "--out", filepath.Join("private", "dkim.pem")); r.code != 0 {
		t.Fatalf("dkim init: %s", r.errs)
	}
	if err := os.Remove(filepath.Join(dir, "stanch.toml")); err != nil {
		t.Fatal(err)
	}
	return dir
}
