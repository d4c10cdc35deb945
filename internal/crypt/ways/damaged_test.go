package ways_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/ways"
)

// TestImportDamaged: a certificate that cannot be read is told as one, not as a key
// for OpenPGP.
func TestImportDamaged(t *testing.T) {
	cfg := ways.Default()
	cfg.SMIMEDir, cfg.OpenPGPDir = t.TempDir(), t.TempDir()
	cert, _, _ := certificate(t, named("bob@partner.example"))
	lines := strings.Split(cert, "\n")
	for name, text := range map[string]string{
		"bytes that are no certificate": lines[0] + "\nAAAA\n" + strings.Join(lines[len(lines)-2:], "\n"),
		"no base64":                     strings.Replace(cert, lines[1], "!!"+lines[1], 1),
		"no end":                        lines[0] + "\n" + lines[1] + "\n",
		"the second of two":             cert + lines[0] + "\n" + lines[1] + "\n",
	} {
		if _, err := ways.Import(cfg, []byte(text), "", false, time.Now); !errors.Is(err, ways.ErrCertificate) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := ways.Import(cfg, []byte("nothing"), "", false, time.Now); err == nil || errors.Is(err, ways.ErrCertificate) {
		t.Errorf("nothing at all: got %v", err)
	}
	if k, err := ways.Import(cfg, []byte(cert), "", false, time.Now); err != nil || k.Unfit != "" {
		t.Errorf("a good one: %+v, %v", k, err)
	}
}
