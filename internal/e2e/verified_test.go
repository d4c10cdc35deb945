package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNextHopMustProveItself: under "verified" a next hop whose STARTTLS was
// taken out, that is another or whose certificate has run out gets nothing of a
// message, its envelope included.
func TestNextHopMustProveItself(t *testing.T) {
	t.Parallel()
	if tools == "" {
		t.Skip("the sink is not beside the checkout")
	}
	for _, tt := range []struct {
		name, host string
		until      time.Duration // how long the certificate holds yet
		offers     bool
		want       string // beginning of the refusal, "" for none
	}{
		{"itself", "hop.example", time.Hour, true, ""},
		{"STARTTLS taken out", "hop.example", time.Hour, false, "451 4.4.1"},
		{"another's name", "other.example", time.Hour, true, "451 4.4.1"},
		{"a certificate that has run out", "hop.example", -time.Hour, true, "451 4.4.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key := authorityFor(t, dir, tt.host, tt.until)
			cmds := filepath.Join(dir, "commands.jsonl")
			args := []string{"-cmdlog", cmds}
			if tt.offers {
				args = append(args, "-tls", "-cert", cert, "-key", key)
			}
			sinkAddr, sinkLedger := startSink(t, dir, args...)
			g := newGateway(t, options{nextHop: sinkAddr, smtp: fmt.Sprintf(
				"next_hop_tls = \"verified\"\nnext_hop_name = \"hop.example\"\nnext_hop_ca = %q", cert)})
			g.start()
			answer, err := g.send("ada@clinic.example", outside, cleanMail)
			if got := refused(err); tt.want != "" && !strings.HasPrefix(got, tt.want) || tt.want == "" && err != nil {
				t.Errorf("answered %q, %s; want %q", answer, got, tt.want)
			}
			said, err := os.ReadFile(cmds)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && strings.Contains(string(said), "MAIL FROM") {
				t.Errorf("the next hop was told %s", said)
			}
			if took := strings.Count(read(t, sinkLedger), `"outcome":"250"`); (took == 1) != (tt.want == "") {
				t.Errorf("the next hop took %d", took)
			}
		})
	}
}

// authorityFor writes a certificate for host, which is its own authority, and
// its key.
func authorityFor(t *testing.T, dir, host string, until time.Duration) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(until), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "hop.pem"), filepath.Join(dir, "hop.key")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), 0o600)
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
	return certFile, keyFile
}
