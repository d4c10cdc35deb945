package ways_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// authority is one that the openssl commands run: it issues certificates, revokes
// them, and answers for them on a server.
type authority struct {
	t     *testing.T
	dir   string
	url   string
	csr   string       // whose key is certified: its file's name
	asked atomic.Int64 // how often
}

const authorityConfig = `[ca]
default_ca = it
[it]
dir = DIR
database = DIR/index.txt
serial = DIR/serial
new_certs_dir = DIR
certificate = DIR/ca.pem
private_key = DIR/ca.key
default_md = sha256
default_crl_days = 1
policy = any
unique_subject = no
crl_extensions = plain
[any]
commonName = supplied
[plain]
authorityKeyIdentifier = keyid
[point]
issuingDistributionPoint = critical,@here
[here]
fullname = URI:URL/list/point
[elsewhere]
issuingDistributionPoint = critical,@there
[there]
fullname = URI:http://elsewhere.example/
`

func newAuthority(t *testing.T) *authority {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	a := &authority{t: t, dir: t.TempDir(), csr: "csr.pem"}
	s := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(s.Close)
	a.url = s.URL
	write(t, a.dir, "ca.cnf", strings.NewReplacer("DIR", a.dir, "URL", a.url).Replace(authorityConfig))
	write(t, a.dir, "index.txt", "")
	write(t, a.dir, "serial", "1000\n")
	a.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", a.file("ca.key"), "-out", a.file("ca.pem"), "-subj", "/CN=Invented Authority",
		"-days", "90", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	a.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", a.file("key.pem"), "-out", a.file("csr.pem"), "-subj", "/CN=Somebody")
	for name, key := range otherKeys {
		a.openssl(append([]string{"req", "-nodes", "-keyout", a.file(name + ".key"), "-out", a.file(name), "-subj", "/CN=Somebody"}, key...)...)
	}
	a.issue("responder", "extendedKeyUsage=OCSPSigning")
	a.issue("person", mail, "subjectAltName=email:person@partner.example")
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) openssl(args ...string) {
	a.t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		a.t.Fatalf("openssl %s: %v: %s", args[0], err, out)
	}
}

// issue makes NAME.pem in a's folder, good for the days to come.
func (a *authority) issue(name string, exts ...string) string {
	a.t.Helper()
	return a.issueFor(name, time.Now(), time.Now().Add(30*24*time.Hour), exts...)
}

func (a *authority) issueFor(name string, from, until time.Time, exts ...string) string {
	a.t.Helper()
	const form = "060102150405Z"
	write(a.t, a.dir, "ext", strings.Join(append([]string{"basicConstraints=CA:FALSE"}, exts...), "\n")+"\n")
	a.openssl("ca", "-batch", "-notext", "-config", a.file("ca.cnf"), "-in", a.file(a.csr), "-out", a.file(name+".pem"), "-extfile", a.file("ext"),
		"-startdate", from.UTC().Format(form), "-enddate", until.UTC().Format(form))
	b, err := os.ReadFile(a.file(name + ".pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(b)
}

func (a *authority) revoke(name string) {
	a.t.Helper()
	a.openssl("ca", "-config", a.file("ca.cnf"), "-revoke", a.file(name+".pem"))
}

// serve answers as the path says.
func (a *authority) serve(rw http.ResponseWriter, r *http.Request) {
	a.asked.Add(1)
	run := func(in io.Reader, args ...string) {
		cmd := exec.Command("openssl", args...)
		cmd.Stdin = in
		out, err := cmd.Output()
		if err != nil {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		rw.Write(out) // the client tells
	}
	list := []string{"ca", "-config", a.file("ca.cnf"), "-gencrl"}
	switch _, what, _ := strings.Cut(r.URL.Path[1:], "/"); what {
	case "responder", "person", "undated":
		question, err := os.CreateTemp(a.dir, "question")
		if err != nil {
			panic(err)
		}
		defer question.Close()
		if _, err := io.Copy(question, r.Body); err != nil {
			panic(err)
		}
		signer := strings.Replace(what, "undated", "responder", 1)
		args := []string{"ocsp", "-index", a.file("index.txt"), "-CA", a.file("ca.pem"), "-rsigner", a.file(signer + ".pem"), "-rkey", a.file("key.pem"),
			"-reqin", question.Name(), "-respout", question.Name() + ".out"}
		if what != "undated" {
			args = append(args, "-nmin", "5")
		}
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			a.t.Errorf("%v: %s", err, out)
		}
		http.ServeFile(rw, r, question.Name()+".out")
	case "all":
		var pem bytes.Buffer
		cmd := exec.Command("openssl", list...)
		if cmd.Stdout = &pem; cmd.Run() == nil {
			run(&pem, "crl", "-outform", "DER")
		}
	case "point", "elsewhere":
		var pem bytes.Buffer
		cmd := exec.Command("openssl", append(list, "-crlexts", what)...)
		if cmd.Stdout = &pem; cmd.Run() == nil {
			run(&pem, "crl", "-outform", "DER")
		}
	case "huge":
		zeros := make([]byte, 1<<20)
		for range 10 {
			if _, err := rw.Write(zeros); err != nil {
				return
			}
		}
	case "away":
		http.Redirect(rw, r, "ftp://127.0.0.1/x", http.StatusFound)
	case "nonsense":
		fmt.Fprint(rw, "nonsense")
	default:
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
}

// otherKeys are what others than P-256 are asked for with.
var otherKeys = map[string][]string{
	"rsa": {"-newkey", "rsa:2048"}, "rsa4096": {"-newkey", "rsa:4096"},
	"p384": {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, "p521": {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"},
}

const mail = "keyUsage=digitalSignature,keyAgreement\nextendedKeyUsage=emailProtection"

// TestChain: where authorities are named a certificate counts for what they say of
// it, and whoever is pinned counts all the same.
func TestChain(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	for _, tc := range []struct {
		name          string
		exts          string // "" : mail
		for_          string // whom it names; "": whom it is for
		ocsp, list    string // where it says to ask
		revoked       bool
		late          time.Duration
		change        func(name, cert string) string // what lies in the folder
		hard          ways.Reason
		softer, quiet bool // with "soft", and "off", it can be used
	}{
		{name: "good", ocsp: "responder", softer: true, quiet: true},
		{name: "revoked", ocsp: "responder", revoked: true, hard: ways.Revoked, quiet: true},
		{name: "listless", list: "all", softer: true, quiet: true},
		{name: "listed", list: "all", revoked: true, hard: ways.Revoked, quiet: true},
		{name: "down", ocsp: "down", list: "down", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "downlisted", ocsp: "down", list: "all", revoked: true, hard: ways.Revoked, quiet: true},
		{name: "downlist", ocsp: "down", list: "all", softer: true, quiet: true},
		{name: "nowhere", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "stale", ocsp: "responder", late: time.Hour, hard: ways.NoStatus, softer: true, quiet: true},
		{name: "undated", ocsp: "undated", softer: true, quiet: true},
		{name: "staleundated", ocsp: "undated", late: time.Hour, hard: ways.NoStatus, softer: true, quiet: true},
		{name: "stalelist", list: "all", late: 48 * time.Hour, hard: ways.NoStatus, softer: true, quiet: true},
		{name: "huge", ocsp: "huge", list: "huge", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "nonsense", ocsp: "nonsense", list: "nonsense", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "away", ocsp: "away", list: "away", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "forged", ocsp: "person", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "point", list: "point", softer: true, quiet: true},
		{name: "elsewhere", list: "elsewhere", hard: ways.NoStatus, softer: true, quiet: true},
		{name: "lapsed", ocsp: "responder", late: 31 * 24 * time.Hour, hard: ways.Expired},
		{name: "expired", ocsp: "responder", hard: ways.Expired, change: func(name, _ string) string {
			return a.issueFor(name, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour), mail, "subjectAltName=email:"+name+"@partner.example")
		}},
		{name: "signs", exts: "keyUsage=digitalSignature", ocsp: "responder", hard: ways.Cannot},
		{name: "server", exts: "extendedKeyUsage=serverAuth", ocsp: "responder", hard: ways.Cannot},
		{name: "person", for_: "email:eve@partner.example", ocsp: "responder", hard: ways.OtherPerson},
		{name: "nobody", for_: "DNS:partner.example", ocsp: "responder", hard: ways.OtherPerson},
		{name: "strange", hard: ways.NoChain, change: func(name, _ string) string {
			return other.issue(name, mail, "subjectAltName=email:"+name+"@partner.example")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := tc.name + "@partner.example"
			exts := []string{mail, "subjectAltName=email:" + to}
			if tc.exts != "" {
				exts[0] = tc.exts
			}
			if tc.for_ != "" {
				exts[1] = "subjectAltName=" + tc.for_
			}
			if tc.ocsp != "" {
				exts = append(exts, "authorityInfoAccess=OCSP;URI:"+a.url+"/ocsp/"+tc.ocsp)
			}
			if tc.list != "" {
				exts = append(exts, "crlDistributionPoints=URI:"+a.url+"/list/"+tc.list)
			}
			cert := a.issue(tc.name, exts...)
			if tc.revoked {
				a.revoke(tc.name)
			}
			if tc.change != nil {
				cert = tc.change(tc.name, cert)
			}
			write(t, dir, to+".pem", cert)
			for mode, want := range map[string]ways.Reason{"hard": tc.hard, "soft": tc.hard, "off": tc.hard} {
				if mode == "soft" && tc.softer || mode == "off" && tc.quiet {
					want = ""
				}
				cfg := ways.Default()
				cfg.SMIMEDir, cfg.SMIMERoots, cfg.SMIMERevocation = dir, a.file("ca.pem"), mode
				w, err := ways.Open(cfg, func() time.Time { return time.Now().Add(tc.late) })
				if err != nil {
					t.Fatal(err)
				}
				before := a.asked.Load()
				got := w.Choices(t.Context(), dlp.Address{}, addr(to))[0]
				if got.Unfit != want || (got.Key.Trust == ways.Chain) != (want == "") {
					t.Errorf("%s: got %q, trust %q; want %q", mode, got.Unfit, got.Key.Trust, want)
				}
				once := a.asked.Load()
				if off := once == before; mode == "off" && !off || mode == "hard" && off && (tc.ocsp != "" || tc.list != "") && want != ways.Expired && want != ways.Cannot && want != ways.OtherPerson {
					t.Errorf("%s: asked %d times", mode, once-before)
				}
				if again := w.Choices(t.Context(), dlp.Address{}, addr(to))[0]; again.Unfit != want || a.asked.Load() != once {
					t.Errorf("%s: the second time %q, and asked %d times more", mode, again.Unfit, a.asked.Load()-once)
				}
			}
		})
	}
	print := ""
	for _, k := range chained(t, dir, a).Keys() {
		if k.File == "strange@partner.example.pem" {
			print = k.Fingerprint
		}
	}
	write(t, dir, ways.TrustFile, "pin "+print+" strange@partner.example\n")
	if got := chained(t, dir, a).Choices(t.Context(), dlp.Address{}, addr("strange@partner.example"))[0]; got.Unfit != "" || got.Key.Trust != ways.Pinned {
		t.Errorf("pinned: %q, trust %q", got.Unfit, got.Key.Trust)
	}
	for name, text := range map[string]string{"none.pem": "nothing", "person.pem": "", "key.pem": ""} {
		if text != "" {
			write(t, a.dir, name, text)
		}
		cfg := ways.Default()
		cfg.SMIMERoots = a.file(name)
		if _, err := ways.Open(cfg, time.Now); err == nil || !strings.Contains(err.Error(), "smime_roots") {
			t.Errorf("%s as authorities: got %v", name, err)
		}
	}
}

func chained(t *testing.T, dir string, a *authority) *ways.Ways {
	t.Helper()
	return open(t, "", func(c *ways.Config) { c.OpenPGPDir, c.SMIMEDir, c.SMIMERoots = "", dir, a.file("ca.pem") })
}

// TestChainOfEachKey: of each kind of key a certificate that holds is used, and one
// that is revoked (by an answer, by a list), expired, for signatures alone, somebody
// else's or of another authority is not, for that reason.
func TestChainOfEachKey(t *testing.T) {
	if testing.Short() {
		t.Skip("makes keys of each kind")
	}
	a, other := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	cfg := ways.Default()
	cfg.SMIMEDir, cfg.SMIMERoots, cfg.SMIMERevocation = dir, a.file("ca.pem"), "hard"
	want := map[string]ways.Reason{}
	for key := range otherKeys {
		a.csr, other.csr = key, key
		use := "keyUsage=digitalSignature,keyAgreement"
		if strings.HasPrefix(key, "rsa") {
			use = "keyUsage=digitalSignature,keyEncipherment"
		}
		use += "\nextendedKeyUsage=emailProtection"
		ask, list := "authorityInfoAccess=OCSP;URI:"+a.url+"/ocsp/responder", "crlDistributionPoints=URI:"+a.url+"/list/all"
		for what, reason := range map[string]ways.Reason{
			"good": "", "listless": "", "revoked": ways.Revoked, "listed": ways.Revoked, "expired": ways.Expired, "signs": ways.Cannot, "person": ways.OtherPerson, "strange": ways.NoChain,
		} {
			name := what + "-" + key
			to := name + "@partner.example"
			want[to] = reason
			exts := []string{use, "subjectAltName=email:" + to, ask}
			cert := ""
			switch what {
			case "listless", "listed":
				exts[2] = list
			case "expired":
				cert = a.issueFor(name, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour), exts...)
			case "signs":
				exts[0] = "keyUsage=digitalSignature"
			case "person":
				exts[1] = "subjectAltName=email:eve@partner.example"
			case "strange":
				cert = other.issue(name, exts...)
			}
			if cert == "" {
				cert = a.issue(name, exts...)
			}
			if reason == ways.Revoked {
				a.revoke(name)
			}
			write(t, dir, to+".pem", cert)
		}
	}
	w, err := ways.Open(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for to, reason := range want {
		got := w.Choices(t.Context(), dlp.Address{}, addr(to))[0]
		if got.Unfit != reason || (got.Key.Trust == ways.Chain) != (reason == "") {
			t.Errorf("%s: got %q, trust %q; want %q", to, got.Unfit, got.Key.Trust, reason)
		}
	}
}
