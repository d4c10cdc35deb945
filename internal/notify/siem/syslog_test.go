package siem_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify/siem"
)

// rsyslog is a real receiver of syslog over TLS.
type rsyslog struct {
	t       *testing.T
	dir     string
	addr    string
	program string
	cmd     *exec.Cmd
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	program, err := exec.LookPath("rsyslogd")
	if err != nil {
		program = "/usr/sbin/rsyslogd"
	}
	modules, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_gtls.so")
	if _, err := os.Stat(program); err != nil || len(modules) == 0 {
		t.Skip("rsyslog with rsyslog-gnutls is not installed")
	}
	var ln net.Listener
	for err = net.ErrClosed; err != nil; { // a port that no outgoing connection is given while rsyslog is down
		ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(22_000)))
	}
	defer ln.Close()
	r := &rsyslog{t: t, dir: t.TempDir(), addr: ln.Addr().String(), program: program}
	certificate(t, filepath.Join(r.dir, "cert.pem"), filepath.Join(r.dir, "key.pem"))
	_, port, _ := net.SplitHostPort(r.addr)
	write(t, filepath.Join(r.dir, "conf"), strings.NewReplacer("DIR", r.dir, "PORT", port).Replace(`
global(workDirectory="DIR" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="DIR/cert.pem"
       defaultNetstreamDriverCertFile="DIR/cert.pem" defaultNetstreamDriverKeyFile="DIR/key.pem")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" port="PORT" address="127.0.0.1")
template(name="fields" type="string" string="%pri%|%hostname%|%app-name%|%msgid%|%timereported:::date-rfc3339%|%msg%\n")
action(type="omfile" file="DIR/out" template="fields")
`))
	t.Cleanup(r.stop)
	return r
}

func certificate(t *testing.T, certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "collector.example"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certPath, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, keyPath, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})))
}

func (r *rsyslog) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.program, "-n", "-f", filepath.Join(r.dir, "conf"), "-i", filepath.Join(r.dir, "pid"))
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rsyslog) stop() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// lines is what it wrote: PRI|HOSTNAME|APP-NAME|MSGID|TIME|MSG.
func (r *rsyslog) lines() (out [][]string) {
	b, _ := os.ReadFile(filepath.Join(r.dir, "out"))
	for line := range strings.Lines(string(b)) {
		out = append(out, strings.SplitN(strings.TrimSpace(line), "|", 6))
	}
	return out
}

// TestSyslog: a real rsyslog takes the events as CEF and as OCSF over TLS, also
// those that happened while it was killed, in order; one whose certificate does
// not lead to tls_ca is sent nothing.
//
// long: one story, each step of which needs the one before
func TestSyslog(t *testing.T) {
	for _, format := range []string{"", "ocsf"} {
		t.Run("format "+format, func(t *testing.T) {
			p, r := newPlace(t), newRsyslog(t)
			every := dlp.Duration(time.Hour)
			p.cfg = siem.Config{Name: "soc", URL: "syslog://" + r.addr, Format: format, TLSCA: filepath.Join(r.dir, "cert.pem"), CheckpointEvery: every}
			r.start()
			_, stop := p.run(nil)
			want := []dlp.ID{p.hold()}
			eventually(t, "an event and a checkpoint", func() bool { return len(r.lines()) == 2 })
			r.stop()
			for range 250 { // more than one batch
				want = append(want, p.hold())
			}
			want = append(want, p.event(audit.Event{Kind: audit.BypassOn, Actor: "uid:0", Until: time.Now().Add(time.Hour)}))
			r.start()
			eventually(t, "all events", func() bool {
				return slices.ContainsFunc(r.lines(), func(l []string) bool { return strings.Contains(l[len(l)-1], string(want[len(want)-1])) })
			})
			stop()
			var got [][]string
			seen := map[string]bool{}
			for _, l := range r.lines() {
				if len(l) != 6 {
					t.Fatalf("got %q, want six fields", l)
				}
				if l[3] != "checkpoint" && !seen[l[5]] { // at least once
					seen[l[5]] = true
					got = append(got, l)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("got %d events, want %d", len(got), len(want))
			}
			for i, l := range got {
				if !strings.Contains(l[5], string(want[i])) {
					t.Fatalf("event %d is not about %s: %v", i, want[i], l)
				}
			}
			l, last := got[0], got[len(got)-1]
			if l[0] != "109" || l[1] != "gw.example" || l[2] != "stanch" || l[3] != "decision" || last[0] != "108" || last[3] != "bypass_on" {
				t.Errorf("got %v and %v", l, last)
			}
			if format == "" {
				const head = "CEF:0|stanch|stanch|1.2.3|decision:quarantine|Held for review|6|rt="
				for _, part := range []string{head, " externalId=1-", " act=quarantine ", " cs3Label=rules cs3=us_ssn ", " cn1Label=findings cn1=1 "} {
					if !strings.Contains(l[5]+" ", part) {
						t.Errorf("got %s, want %q in it", l[5], part)
					}
				}
				return
			}
			var f struct {
				Class    int `json:"class_uid"`
				Type     int `json:"type_uid"`
				Metadata struct{ Version string }
				Info     struct{ UID, Title string } `json:"finding_info"`
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(l[5], "\ufeff")), &f); err != nil || f.Class != 2006 || f.Type != 200601 || f.Metadata.Version != "1.4.0" || f.Info.UID != string(want[0]) {
				t.Errorf("got %+v, %v of %s", f, err, l[5])
			}
		})
	}
	t.Run("another's certificate", func(t *testing.T) {
		p, r := newPlace(t), newRsyslog(t)
		p.cfg.URL, p.cfg.SecretFile = "syslog://"+r.addr, "" // with the tls_ca of another
		r.start()
		eventually(t, "rsyslog listens", func() bool {
			c, err := net.Dial("tcp", r.addr)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		tried := make(chan struct{})
		refused := sync.OnceFunc(func() { close(tried) })
		p.heard = func(msg string) {
			if strings.Contains(msg, "certificate") {
				refused()
			}
		}
		_, stop := p.run(nil)
		p.hold()
		select {
		case <-tried:
		case <-time.After(time.Minute):
			t.Error("no try was refused")
		}
		stop()
		if n := len(r.lines()); n != 0 {
			t.Errorf("it was sent %d events", n)
		}
	})
}
