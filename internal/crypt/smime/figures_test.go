package smime_test

import (
	"crypto/elliptic"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
)

// megabyte is a message of 1 MB: a letter and an attachment in base64.
func megabyte() string {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	return "From: alice@clinic.example\r\nTo: bob@partner.example\r\nSubject: Befund\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n" +
		"--o\r\nContent-Type: text/plain\r\n\r\nEnclosed.\r\n--o\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat(line, 1_000_000/len(line)) + "--o--\r\n"
}

// TestSMIMEFigures measures one message of 1 MB made by us beside openssl, in
// turns: encrypted, and signed and encrypted. Starting openssl is taken off by
// the time it takes for an empty message.
func TestSMIMEFigures(t *testing.T) {
	if os.Getenv("STANCH_BENCH") == "" {
		t.Skip("measures; STANCH_BENCH=1 or make bench-smime runs it")
	}
	a := newAuthority()
	bob := a.person(t, "bob@partner.example", rsaKey(2048))
	alice := a.person(t, "alice@clinic.example", rsaKey(2048))
	text := megabyte()
	dir := t.TempDir()
	files := map[string]string{"empty": filepath.Join(dir, "empty"), "full": filepath.Join(dir, "full")}
	write(t, files["empty"], nil)
	write(t, files["full"], []byte(text))
	const runs = 15
	for _, tc := range []struct {
		name   string
		cipher cms.Cipher
		flag   string
	}{{"AES-256-CBC", cms.AES256CBC, "-aes256"}, {"AES-256-GCM", cms.AES256GCM, "-aes-256-gcm"}} {
		var ours, signed, theirs, start []time.Duration
		for range runs {
			ours = append(ours, took(func() {
				if err := smime.Encrypt(io.Discard, protected(t, text), class(tc.cipher, bob), nil, time.Now()); err != nil {
					t.Fatal(err)
				}
			}))
			signed = append(signed, took(func() {
				if err := smime.Encrypt(io.Discard, protected(t, text), class(tc.cipher, bob), &cms.Signer{Key: alice.key, Cert: alice.cert}, time.Now()); err != nil {
					t.Fatal(err)
				}
			}))
			for name, to := range map[string]*[]time.Duration{"empty": &start, "full": &theirs} {
				*to = append(*to, took(func() {
					if _, err := run(t, nil, "openssl", "cms", "-encrypt", "-binary", "-in", files[name], "-out", filepath.Join(dir, "out"), tc.flag, bob.certFile); err != nil {
						t.Fatal(err)
					}
				}))
			}
		}
		net := median(theirs) - median(start)
		mbs := func(d time.Duration) float64 { return float64(len(text)) / 1e6 / d.Seconds() }
		t.Logf("%s: encrypted %.0f MB/s, signed and encrypted %.0f MB/s; openssl cms -encrypt %.0f MB/s net of its start, %.0f MB/s with it; ratio %.2f encrypted, %.2f signed and encrypted",
			tc.name, mbs(median(ours)), mbs(median(signed)), mbs(net), mbs(median(theirs)), float64(net)/float64(median(ours)), float64(net)/float64(median(signed)))
	}
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

func BenchmarkEncrypt(b *testing.B) {
	a := newAuthority()
	bob := a.person(b, "bob@partner.example", rsaKey(2048))
	alice := a.person(b, "alice@clinic.example", rsaKey(2048))
	text := megabyte()
	for name, c := range map[string]cms.Cipher{"CBC": cms.AES256CBC, "GCM": cms.AES256GCM} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := smime.Encrypt(io.Discard, protected(b, text), class(c, bob), &cms.Signer{Key: alice.key, Cert: alice.cert}, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestMemory makes sure that a message of AES-CBC is written as it is read.
func TestMemory(t *testing.T) {
	a := newAuthority()
	bob := a.person(t, "bob@partner.example", ecKey(elliptic.P256()))
	text := megabyte()
	text = strings.TrimSuffix(text, "--o--\r\n") + strings.Repeat(text[len(text)-1000:len(text)-7], 20_000) + "\r\n--o--\r\n"
	p := protected(t, text)
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := smime.Encrypt(io.Discard, p, class(cms.AES256CBC, bob), nil, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if max := int64(1 << 20); got > max {
		t.Errorf("a message of %d bytes takes %d bytes of memory, want %d at most", len(text), got, max)
	}
}
