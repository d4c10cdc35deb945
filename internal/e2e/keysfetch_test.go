package e2e

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// httpsDirectory answers by HTTPS on its own address of this machine, at port, with what
// it has; it is example.com's and all below it's, by the authority in the file ca.
func httpsDirectory(t *testing.T, at string, has func(r *http.Request) string) (addr, ca string) {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Skipf("no address for a directory: %v", err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b := has(r); b != "" {
			io.WriteString(w, b) // the client tells
			return
		}
		http.NotFound(w, r)
	}))
	s.Listener.Close() // another takes its place
	s.Listener = ln
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})), 0o600)
	return ln.Addr().String(), ca
}

// TestKeysFetchByHTTPS: `keys fetch` takes the key of the domain's own directory (WKD),
// and the certificate of a directory that is named, from a server that proves itself;
// neither counts until it is pinned.
func TestKeysFetchByHTTPS(t *testing.T) {
	t.Parallel()
	certs, keys, made := t.TempDir(), t.TempDir(), t.TempDir()
	const sam, cara, joe = "sam@example.com", "cara@example.com", "Joe.Doe@example.com"
	certificate(t, made, "cara", "email:"+cara)
	key := newPerson(t, joe).gpg("", "--export", joe)
	named, ca := httpsDirectory(t, "127.0.0.1:0", func(r *http.Request) string {
		if r.URL.Path == "/by" && r.URL.Query().Get("mail") == cara {
			return read(t, filepath.Join(made, "cara.pem"))
		}
		return ""
	})
	wkd, _ := httpsDirectory(t, fmt.Sprintf("127.%d.%d.%d:443", 1+rand.N(250), rand.N(250), 1+rand.N(250)), func(r *http.Request) string {
		const hash = "iy9q119eutrkn8s1mk4r39qejnbu3n5q" // of joe.doe: the draft's own, section 3.1
		if r.Host == "openpgpkey.example.com" && r.URL.RequestURI() == "/.well-known/openpgpkey/example.com/hu/"+hash+"?l=Joe.Doe" {
			return key
		}
		return ""
	})
	config := newGateway(t, options{extra: fmt.Sprintf("[encrypt]\nsmime_dir = %q\nopenpgp_dir = %q\ndirectories = [\"https://%s/by?mail={address}\"]\n", certs, keys, named)}).config
	hosts := filepath.Join(made, "hosts")
	ip, _, _ := net.SplitHostPort(wkd)
	write(t, hosts, ip+" openpgpkey.example.com\n", 0o644)
	// fetch runs the command where openpgpkey.example.com is the server above.
	fetch := func(whom, ca string) (out string, code int) {
		t.Helper()
		need(t, "unshare")
		cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts || exit 99; exec "$@"`, hosts, stanch, "keys", "fetch", whom, "--config", config)
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+ca, "SSL_CERT_DIR="+made)
		b, err := cmd.CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || cmd.ProcessState.ExitCode() == 99 {
			t.Skipf("no place of its own for a program: %v: %s", err, b)
		}
		return string(b), cmd.ProcessState.ExitCode()
	}
	for _, whom := range []string{joe, cara} {
		if out, code := fetch(whom, filepath.Join(made, "cara.pem")); code != 1 {
			t.Errorf("%s from a server that is not proved: exit %d: %s", whom, code, out)
		}
	}
	if out, code := fetch(sam, ca); code != 1 {
		t.Errorf("somebody whom neither has: exit %d: %s", code, out)
	}
	for _, dir := range []string{certs, keys} {
		if es, err := os.ReadDir(dir); err != nil || len(es) != 0 {
			t.Fatalf("taken all the same: %v, %v", es, err)
		}
	}
	way := func(whom string) string {
		t.Helper()
		out, _ := runStanch(t, "keys", "test", whom, "--format", "json", "--config", config)
		var got struct{ Way string }
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return got.Way
	}
	fingerprint := regexp.MustCompile(`fingerprint ([0-9A-Fa-f:]+),`)
	for whom, want := range map[string]struct{ from, way string }{joe: {"Web Key Directory: ", "openpgp"}, cara: {named, "smime"}} {
		out, code := fetch(whom, ca)
		m := fingerprint.FindStringSubmatch(out)
		if code != 0 || !strings.Contains(out, want.from) || !strings.Contains(out, "trust fetched") || m == nil {
			t.Errorf("%s: exit %d: %s", whom, code, out)
			continue
		}
		if got := way(whom); got != "" {
			t.Errorf("%s goes by %q before it is pinned", whom, got)
		}
		if out, code := runStanch(t, "keys", "pin", whom, m[1], "--config", config); code != 0 {
			t.Fatalf("exit %d: %s", code, out)
		}
		if got := way(whom); got != want.way {
			t.Errorf("%s, pinned, goes by %q, want %q", whom, got, want.way)
		}
	}
}
