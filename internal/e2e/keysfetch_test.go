package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// slapd runs OpenLDAP's server on loopback for dc=partner,dc=example, with the
// certificate of NAME.pem in dir for mail, and returns its ldaps address.
func slapd(t *testing.T, dir, name, mail string) string {
	t.Helper()
	program := "/usr/sbin/slapd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("slapd is not installed: .ci/deps installs it")
	}
	openssl(t, dir, "", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", "ldap.pem", "-keyout", "ldap.key")
	pem := strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, name+".pem"))), "\n")
	write(t, filepath.Join(dir, "data.ldif"), fmt.Sprintf("dn: dc=partner,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: partner\ndc: partner\n\n"+
		"dn: cn=somebody,dc=partner,dc=example\nobjectClass: inetOrgPerson\ncn: somebody\nsn: x\nmail: %s\nuserCertificate;binary:: %s\n", mail, strings.Join(pem[1:len(pem)-1], "")), 0o600)
	conf := filepath.Join(dir, "slapd.conf")
	write(t, conf, fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile %[1]s/ldap.pem
TLSCertificateKeyFile %[1]s/ldap.key
pidfile %[1]s/pid
database mdb
maxsize 1048576
suffix "dc=partner,dc=example"
directory %[2]s
`, dir, t.TempDir()), 0o600)
	output(t, program, "-T", "add", "-f", conf, "-l", filepath.Join(dir, "data.ldif"))
	addr := freeAddr(t)
	cmd := exec.Command(program, "-f", conf, "-h", "ldaps://"+addr, "-d", "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its folder goes with it
		_ = cmd.Wait()
	})
	eventually(t, "slapd listens", func() bool { return listens(addr) })
	_, port, _ := net.SplitHostPort(addr)
	return "ldaps://localhost:" + port + "/dc=partner,dc=example"
}

// TestKeysFetchByLDAP: a certificate that an LDAP directory has does not count
// until it is pinned; another authority's server is told nothing.
func TestKeysFetchByLDAP(t *testing.T) {
	t.Parallel()
	dir, certs := t.TempDir(), t.TempDir()
	certificate(t, dir, "sam", "email:sam@partner.example")
	certificate(t, dir, "other", "DNS:localhost")
	url := slapd(t, dir, "sam", "sam@partner.example")
	at := func(ca string) string {
		return newGateway(t, options{extra: fmt.Sprintf("[encrypt]\nsmime_dir = %q\n[[encrypt.ldap]]\nurl = %q\nca = %q\n", certs, url, filepath.Join(dir, ca))}).config
	}
	if out, code := runStanch(t, "keys", "fetch", "sam@partner.example", "--config", at("other.pem")); code != 1 {
		t.Errorf("from a server that is not proved: exit %d: %s", code, out)
	}
	config := at("ldap.pem")
	if out, code := runStanch(t, "keys", "fetch", "carol@partner.example", "--config", config); code != 1 {
		t.Errorf("somebody whom it has not: exit %d: %s", code, out)
	}
	way := func() string {
		t.Helper()
		out, _ := runStanch(t, "keys", "test", "sam@partner.example", "--format", "json", "--config", config)
		var got struct {
			Way  string
			Ways []struct{ Way, Unfit string }
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return got.Way + " " + got.Ways[0].Unfit
	}
	if got := way(); got != " no_key" {
		t.Errorf("before: %q", got)
	}
	out, code := runStanch(t, "keys", "fetch", "sam@partner.example", "--config", config)
	if code != 0 || !strings.Contains(out, "trust fetched") {
		t.Fatalf("exit %d: %s", code, out)
	}
	if got := way(); got != " not_checked" {
		t.Errorf("fetched: %q", got)
	}
	print := openssl(t, dir, "", "x509", "-in", "sam.pem", "-noout", "-fingerprint", "-sha256")
	_, print, _ = strings.Cut(strings.TrimSpace(print), "=")
	if out, code := runStanch(t, "keys", "pin", "sam@partner.example", print, "--config", config); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	if got := way(); got != "smime " {
		t.Errorf("pinned: %q", got)
	}
}
