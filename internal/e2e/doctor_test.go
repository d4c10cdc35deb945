package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/smalldisk"
)

// finding is one line of doctor --format json.
type finding struct{ Check, Object, Level, Found, Remedy string }

// doctor runs the checks named by only and returns what they found: of what is
// not sound each with its remedy.
func (g *gateway) doctor(only string, args ...string) ([]finding, int) {
	g.t.Helper()
	args = append([]string{"doctor", "--format", "json"}, args...)
	if only != "" {
		args = append(args, "--only", only)
	}
	out, code := g.cli(args...)
	var fs []finding
	if err := json.Unmarshal([]byte(out), &fs); err != nil {
		g.t.Fatalf("doctor: exit %d: %v: %s", code, err, out)
	}
	for _, f := range fs {
		if (f.Remedy == "") != (f.Level == "ok") {
			g.t.Errorf("want a remedy with what is not sound, and with that alone: %+v", f)
		}
	}
	return fs, code
}

// has reports whether a finding of that level holds both texts.
func has(fs []finding, level, found, remedy string) bool {
	return slices.ContainsFunc(fs, func(f finding) bool {
		return f.Level == level && strings.Contains(f.Object+" "+f.Found, found) && strings.Contains(f.Remedy, remedy)
	})
}

// change rewrites the configuration, and puts it back when the test ends.
func (g *gateway) change(t *testing.T, old, with string) {
	t.Helper()
	text := read(t, g.config)
	if !strings.Contains(text, old) {
		t.Fatalf("the configuration has no %q", old)
	}
	write(t, g.config, strings.Replace(text, old, with, 1), 0o600)
	t.Cleanup(func() { write(t, g.config, text, 0o600) })
}

// TestDoctorFindsWhatIsBroken breaks one thing of a real installation at a time.
//
// long: a table
func TestDoctorFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	sink, _ := startSMTPSink(t)
	g := newGateway(t, options{nextHop: sink, smtp: "networks = [\"127.0.0.0/8\"]"})
	g.start()
	if _, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, "Subject: x\r\n\r\nHer social security number is 536-22-8145.\r\n"); err != nil {
		t.Fatal(err)
	}
	fs, code := g.doctor("")
	for _, f := range fs {
		if f.Level == "fail" {
			t.Errorf("sound, and it says: %+v", f)
		}
	}
	if code != 0 || !has(fs, "ok", "runs as process", "") || !has(fs, "ok", "1 held", "") {
		t.Errorf("a sound installation that serves: exit %d, %+v", code, fs)
	}
	g.kill()
	if fs, code := g.doctor("serve,data_dir,keys,store,audit"); code != 0 || !has(fs, "ok", "cut short by a crash", "") || !has(fs, "ok", "1 held", "") {
		t.Errorf("after kill -9: exit %d, %+v", code, fs)
	}
	g.start()
	g.stop()
	if fs, code := g.doctor("serve,store,audit"); code != 0 || !has(fs, "warn", "does not run", "systemctl start stanch") || !has(fs, "ok", "closed whole", "") {
		t.Errorf("a sound installation that does not serve: exit %d, %+v", code, fs)
	}
	// Each case puts back what it broke.
	in := func(name string) string { return filepath.Join(g.data(), name) }
	rewrite := func(t *testing.T, path string, change func([]byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { write(t, path, string(b), info.Mode().Perm()); os.Chmod(path, info.Mode().Perm()) })
		if c := change(slices.Clone(b)); c == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, c, info.Mode().Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod := func(t *testing.T, path string, mode os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, info.Mode().Perm()) })
	}
	for _, tc := range []struct {
		name, only    string
		breakIt       func(t *testing.T)
		level         string
		found, remedy string
		exit          int
	}{
		{"data folder open to others", "data_dir", func(t *testing.T) { chmod(t, g.data(), 0o755) }, "fail", "other users can enter", "chmod 0700 " + g.data(), 1},
		{"data folder gone", "data_dir", func(t *testing.T) { g.change(t, g.data(), g.data()+"-x") }, "warn", "not there yet", "first `stanch serve`", 0},
		{"configuration open to others", "configuration", func(t *testing.T) { chmod(t, g.config, 0o666) }, "fail", "others than its owner", "chmod go-w", 1},
		{"a key is missing", "keys", func(t *testing.T) { rewrite(t, in("keys/work.agekey"), func([]byte) []byte { return nil }) }, "fail", "work.agekey", "backup", 1},
		{"a key is another's", "keys", func(t *testing.T) {
			rewrite(t, in("keys/index.key"), func(b []byte) []byte { return []byte(strings.Repeat("ab", 32) + "\n") })
		}, "fail", "index.key", "backup", 1},
		{"a key is open to others", "keys", func(t *testing.T) { chmod(t, in("keys/release.agekey"), 0o644) }, "fail", "release.agekey", "chmod 0600", 1},
		{"the signing key is gone", "keys", func(t *testing.T) { rewrite(t, in("keys/audit.key"), func([]byte) []byte { return nil }) }, "fail", "signing key is missing", "backup", 1},
		{"the log's end is cut", "audit", func(t *testing.T) { rewrite(t, in("audit/log"), func(b []byte) []byte { return b[:len(b)-40] }) }, "fail", "audit", "audit verify", 1},
		{"the log's last line is changed", "audit", func(t *testing.T) {
			rewrite(t, in("audit/log"), func(b []byte) []byte { b[len(b)-30] ^= 1; return b })
		}, "fail", "audit", "audit verify", 1},
		{"the head is gone", "audit", func(t *testing.T) { rewrite(t, in("state/audit.head"), func([]byte) []byte { return nil }) }, "fail", "head", "audit verify", 1},
		{"the database is damaged", "store", func(t *testing.T) {
			rewrite(t, in("stanch.db"), func(b []byte) []byte {
				for i := 4096; i < len(b); i++ {
					b[i] = 0x5a
				}
				return b
			})
		}, "fail", "damaged", "backup", 1},
		{"a rule does not load", "rules", func(t *testing.T) {
			write(t, filepath.Join(g.dir, "bad.toml"), "schema = 1\n[[rules]]\nid = \"x\"\n", 0o600)
			g.change(t, "[[site.mrn]]", "[rules]\npaths = [\"bad.toml\"]\n[[site.mrn]]")
		}, "fail", "bad.toml", "rules lint", 1},
		{"no record number form", "rules", func(t *testing.T) {
			g.change(t, "[[site.mrn]]\nissuer = \"Main campus\"\nregex = '''E\\d{7}'''\ndistinctive = true\n", "")
		}, "warn", "record number form is not known", "[[site.mrn]]", 0},
		{"a policy that never holds", "rules", func(t *testing.T) {
			g.change(t, "[metrics]", "[[policies]]\nid = \"never\"\nall = [{ tag = \"healht\" }]\naction = \"quarantine\"\n[metrics]")
		}, "warn", "this condition never holds", "stanch rules list", 0},
		{"a policy in monitor mode", "policies", func(t *testing.T) {
			g.change(t, "[metrics]", "[[policies]]\nid = \"leaves\"\nmode = \"monitor\"\nany = [{ type = \"SSN\" }]\naction = \"quarantine\"\n[metrics]")
		}, "fail", "no policy in force", "enforce", 1},
		{"nothing is scanned", "policies", func(t *testing.T) { g.change(t, "[metrics]", "[scan]\nenabled = false\n[metrics]") }, "fail", "switched off", "scan.enabled = true", 1},
		{"the next hop is down", "next_hop", func(t *testing.T) { g.change(t, sink, freeAddr(t)) }, "fail", "connection refused", "smtp.next_hop", 1},
		{"the next hop is stanch itself", "next_hop", func(t *testing.T) { g.change(t, sink, "localhost:"+port(g.addr)) }, "fail", "round in a circle", "behind stanch", 1},
		{"the next hop says nothing", "next_hop", func(t *testing.T) { g.change(t, sink, silent(t)) }, "fail", "no answer in time", "smtp.next_hop", 1},
		{"a watched folder is gone", "watch", func(t *testing.T) {
			os.Rename(g.share, g.share+"-x")
			t.Cleanup(func() { os.Rename(g.share+"-x", g.share) })
		}, "fail", "is not there", "[[watch]]", 1},
		{"the certificate's key is open to all", "tls", func(t *testing.T) { withCert(t, g, "gw.example", time.Hour*24*90, 0o644) }, "fail", "every user can read the key", "chmod o-rwx", 1},
		{"the certificate has ended", "tls", func(t *testing.T) { withCert(t, g, "gw.example", -time.Hour, 0o600) }, "fail", "ended on", "Renew", 1},
		{"the certificate ends soon", "tls", func(t *testing.T) { withCert(t, g, "gw.example", 5*24*time.Hour, 0o600) }, "warn", "ends on", "Renew", 0},
		{"the certificate is another's", "tls", func(t *testing.T) { withCert(t, g, "other.example", 90*24*time.Hour, 0o600) }, "warn", "not for gw.example", "smtp.hostname", 0},
		{"the certificate is signed by itself", "tls", func(t *testing.T) { withCert(t, g, "gw.example", 90*24*time.Hour, 0o600) }, "warn", "signed by itself", "authority", 0},
		{"the hostname does not resolve", "dns", func(t *testing.T) { g.change(t, "gw.example", "gw.nowhere.test") }, "warn", "gw.nowhere.test", "", 0},
		{"more connections than files", "limits", func(t *testing.T) {
			g.change(t, "networks =", "max_connections = 100000000\nnetworks =")
		}, "fail", "needed", "LimitNOFILE=", 1},
		{"more children than memory", "limits", func(t *testing.T) {
			g.change(t, "[metrics]", "[extract]\nworkers = 200\nmax_memory = \"16GiB\"\n[metrics]")
		}, "fail", "kernel may kill", "extract.workers", 1},
		{"the clock was set back", "clock", func(t *testing.T) {
			at := time.Now().Add(time.Hour)
			if err := os.Chtimes(in("stanch.db"), at, at); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chtimes(in("stanch.db"), time.Now(), time.Now()) })
		}, "fail", "from now", "NTP", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.breakIt(t)
			fs, code := g.doctor(tc.only)
			if code != tc.exit || !has(fs, tc.level, tc.found, tc.remedy) {
				t.Errorf("got exit %d and %+v, want exit %d and %s %q with %q", code, fs, tc.exit, tc.level, tc.found, tc.remedy)
			}
		})
	}
	if fs, code := g.doctor("data_dir,keys,audit,store"); code != 0 {
		t.Errorf("after all is put back: exit %d, %+v", code, fs)
	}
	g.change(t, "[metrics]", "nonsense = 1\n[metrics]")
	if _, code := g.cli("doctor"); code != 2 {
		t.Errorf("a configuration with an unknown key: exit %d, want 2", code)
	}
	if _, code := g.cli("doctor", "--only", "nothing"); code != 2 {
		t.Errorf("an unknown check: exit %d, want 2", code)
	}
}

// TestDoctorAsRoot looks at the installation of another user, and leaves nothing
// there that its owner could not use.
func TestDoctorAsRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	const nobody = 65534
	g := newGateway(t, options{})
	g.start()
	g.kill()
	// The cache is other gateways' too, and is this one's alone from here on.
	cache := filepath.Join(g.data(), "cache")
	if err := errors.Join(os.RemoveAll(cache), os.CopyFS(cache, os.DirFS(warmed)), os.Chmod(cache, 0o700)); err != nil {
		t.Fatal(err)
	}
	each := func(do func(path string)) {
		if err := filepath.WalkDir(g.data(), func(path string, _ os.DirEntry, err error) error { do(path); return err }); err != nil {
			t.Fatal(err)
		}
	}
	each(func(path string) {
		if err := os.Lchown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	})
	fs, code := g.doctor("")
	if code != 0 || !has(fs, "ok", "seen only by the user that serves", "") || !has(fs, "ok", "belongs to user 65534", "") {
		t.Errorf("exit %d, %+v", code, fs)
	}
	each(func(path string) {
		if info, err := os.Lstat(path); err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody {
			t.Errorf("%s was left as root's, %v", path, err)
		}
	})
	if err := os.Lchown(filepath.Join(g.data(), "keys"), 0, 0); err != nil {
		t.Fatal(err)
	}
	if fs, code := g.doctor("data_dir"); code != 1 || !has(fs, "fail", "belongs to user 0, the folder to user 65534", "chown -R 65534:65534") {
		t.Errorf("what root left: exit %d, %+v", code, fs)
	}
}

// TestDoctorOnSmallAndLostDisks looks at a data folder in memory with no room.
func TestDoctorOnSmallAndLostDisks(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	small := filepath.Join(g.dir, "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	smalldisk.Mount(t, small, 0, "size=32m,mode=0700,nr_inodes=500")
	g.change(t, g.data(), small)
	fs, code := g.doctor("data_dir")
	if code != 1 || !has(fs, "fail", "lies on tmpfs, in memory", "a folder on a disk") || !has(fs, "fail", "free of 32.0 MiB", "Make room") || !has(fs, "fail", "inodes free of 500", "Make room") {
		t.Errorf("a data folder on a small tmpfs: exit %d, %+v", code, fs)
	}
	if err := syscall.Mount("", small, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if fs, _ := g.doctor("data_dir"); !has(fs, "fail", "does not reach stable storage", "findmnt") || !has(fs, "fail", "is mounted read-only", "findmnt") {
		t.Errorf("a data folder that is read-only: %+v", fs)
	}
}

// silent listens and never greets.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// withCert gives the mail door a certificate of its own making.
func withCert(t *testing.T, g *gateway, name string, lasts time.Duration, keyMode os.FileMode) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ends := time.Now().Add(lasts)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: ends.Add(-100 * 24 * time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), keyMode)
	if err := os.Chmod(keyFile, keyMode); err != nil {
		t.Fatal(err)
	}
	g.change(t, "networks =", fmt.Sprintf("tls_cert = %q\ntls_key = %q\nnetworks =", cert, keyFile))
}

// postconfFile writes what postconf prints of a Postfix with these settings.
func postconfFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postconf")
	write(t, path, strings.Join(lines, "\n")+"\n", 0o600)
	return path
}

// TestDoctorBesidePostfix reads a real Postfix, and the settings of others.
func TestDoctorBesidePostfix(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.change(t, `hostname = "gw.example"`, "hostname = \"gw.example\"\nscan_timeout = \"80s\"")
	usual := []string{"message_size_limit = 10240000", "milter_default_action = tempfail", "smtp_data_done_timeout = 600s", "smtpd_proxy_timeout = 100s"}
	for _, tc := range []struct {
		name          string
		lines         []string
		level         string
		found, remedy string
	}{
		{"relay", []string{"relayhost = [127.0.0.1]:" + port(g.addr)}, "ok", "waits 10m0s", ""},
		{"nothing goes through stanch", []string{"relayhost = "}, "warn", "sends nothing through stanch", "postconf -e 'relayhost = [127.0.0.1]:" + port(g.addr)},
		{"proxy filter that gives up while the next hop answers", []string{"smtp/inet/smtpd_proxy_filter = 127.0.0.1:" + port(g.addr), "smtp inet n - y - - smtpd"},
			"warn", "waits 1m40s", "postconf -e 'smtpd_proxy_timeout = 570s'"},
		{"proxy filter that gives up before", []string{"smtpd_proxy_filter = 127.0.0.1:" + port(g.addr), "smtpd_proxy_timeout = 60s"},
			"fail", "smtp.scan_timeout = 1m20s", `scan_timeout = "30s"`},
		{"larger mail than stanch takes", []string{"relayhost = [127.0.0.1]:" + port(g.addr), "message_size_limit = 0"}, "warn", "any size", "message_size_limit = 52428800"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs, _ := g.doctor("postfix", "--postconf", postconfFile(t, append(slices.Clone(usual), tc.lines...)...))
			if !has(fs, tc.level, tc.found, tc.remedy) {
				t.Errorf("got %+v, want %s %q with %q", fs, tc.level, tc.found, tc.remedy)
			}
		})
	}
	p := startPostfix(t, g.addr)
	fs, code := g.doctor("postfix", "--postconf", p.dir)
	if code != 0 || !has(fs, "ok", "relayhost Postfix sends what leaves through stanch", "") || !has(fs, "ok", "smtp_data_done_timeout", "") {
		t.Errorf("a real Postfix: exit %d, %+v", code, fs)
	}
	if out, err := exec.Command("/usr/sbin/postconf", "-c", p.dir, "-e", "smtp_data_done_timeout = 90s").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if fs, code := g.doctor("postfix", "--postconf", p.dir); code != 1 || !has(fs, "fail", "waits 1m30s", "postconf -e 'smtp_data_done_timeout = 570s'") {
		t.Errorf("a real Postfix that does not wait: exit %d, %+v", code, fs)
	}
	for _, set := range []string{"relayhost =", "smtp_data_done_timeout = 600s", "smtpd_proxy_filter = 127.0.0.1:" + port(g.addr), "smtpd_proxy_timeout = 60s"} {
		p.run("postconf", "-c", p.dir, "-e", set)
	}
	if fs, code := g.doctor("postfix", "--postconf", p.dir); code != 1 || !has(fs, "fail", "smtpd_proxy_timeout", `scan_timeout = "30s"`) {
		t.Errorf("a real Postfix whose proxy filter gives up before stanch does: exit %d, %+v", code, fs)
	}
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
