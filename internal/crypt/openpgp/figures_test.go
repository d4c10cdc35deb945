package openpgp_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
)

// BenchmarkEncrypt encrypts a message of 1 MB, a letter and an attachment in base64,
// to a key of each common kind.
func BenchmarkEncrypt(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	text := "From: alice@clinic.example\r\nTo: bob@partner.example\r\nSubject: Befund\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
		"--o\r\nContent-Type: text/plain\r\n\r\nEnclosed.\r\n--o\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat(line, 1_000_000/len(line)) + "--o--\r\n"
	g := newGnuPG(b)
	for name, key := range map[string][]byte{
		"Curve25519": g.key("c@partner.example", "future-default", "default", "1y"),
		"RSA-2048":   g.key("r@partner.example", "rsa2048", "cert,encr", "1y"),
	} {
		b.Run(name, func(b *testing.B) {
			keys := []*openpgp.Key{read(b, key)}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := openpgp.Encrypt(io.Discard, protected(b, text), keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
