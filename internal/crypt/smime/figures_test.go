package smime_test

import (
	"crypto/elliptic"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
// turns: encrypted, and signed and encrypted. Times are the processor's; those of
// openssl are less what it takes for an empty message, which is its start.
func TestSMIMEFigures(t *testing.T) {
	if os.Getenv("STANCH_BENCH") == "" {
		t.Skip("measures; STANCH_BENCH=1 or make bench-smime runs it")
	}
	a := newAuthority()
	bob := a.person(t, "bob@partner.example", rsaKey(2048))
	alice := a.person(t, "alice@clinic.example", rsaKey(2048))
	text := megabyte()
	dir := t.TempDir()
	empty, full := filepath.Join(dir, "empty"), filepath.Join(dir, "full")
	write(t, empty, nil)
	write(t, full, []byte(text))
	for _, tc := range []struct {
		name   string
		cipher cms.Cipher
		flag   string
	}{{"AES-256-CBC", cms.AES256CBC, "-aes256"}, {"AES-256-GCM", cms.AES256GCM, "-aes-256-gcm"}} {
		ours := func(signer *cms.Signer) time.Duration {
			const times = 10 // one is short
			start := processorTime(t)
			for range times {
				if err := smime.Encrypt(io.Discard, protected(t, text), class(tc.cipher, bob), signer, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			return (processorTime(t) - start) / times
		}
		theirs := func(file string) time.Duration {
			cmd := exec.Command("openssl", "cms", "-encrypt", "-binary", "-in", file, "-out", filepath.Join(dir, "out"), tc.flag, bob.certFile)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("openssl: %v\n%s", err, out)
			}
			return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		var encrypted, signed, net []time.Duration
		for range 15 {
			encrypted = append(encrypted, ours(nil))
			signed = append(signed, ours(&cms.Signer{Key: alice.key, Cert: alice.cert}))
			net = append(net, theirs(full)-theirs(empty))
		}
		speed := func(d time.Duration) float64 { return float64(len(text)) / 1e6 / d.Seconds() }
		e, s, n := median(encrypted), median(signed), median(net)
		t.Logf("%s: encrypted %.0f MB/s, signed and encrypted %.0f MB/s; openssl cms -encrypt %.0f MB/s; ratio %.2f encrypted, %.2f signed and encrypted (wanted: 0.5)",
			tc.name, speed(e), speed(s), speed(n), float64(n)/float64(e), float64(n)/float64(s))
	}
}

// processorTime is what this process has used.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
