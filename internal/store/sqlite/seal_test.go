package sqlite_test

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// sealedSize is what is sealed and copied, in bytes.
const sealedSize = 256 << 20

// BenchmarkSealBesideCopy seals 256 MiB to the vault, by age and by what FIPS 140
// approves, and copies the same to a synced file, in turns, and tells the medians of
// the rounds' ratios.
func BenchmarkSealBesideCopy(b *testing.B) {
	dir := b.TempDir()
	in := open(b, filepath.Join(dir, "data"), sqlite.Options{})
	from := filepath.Join(dir, "content")
	f, err := os.Create(from)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), sealedSize); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	vaults := []*vault.Vault{in.vault, strictVault(b, in)}
	var ratios [2][]float64
	var sealing [2]time.Duration
	var copying time.Duration
	for b.Loop() {
		start := time.Now()
		plainCopy(b, from, filepath.Join(dir, "copy"))
		copied := time.Since(start)
		copying += copied
		for i, v := range vaults {
			doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Open: func() (io.ReadSeekCloser, error) { return os.Open(from) }}
			start = time.Now()
			item, err := v.Seal(b.Context(), doc, vault.Case{})
			if err != nil {
				b.Fatal(err)
			}
			took := time.Since(start)
			if err := v.Discard(b.Context(), item); err != nil {
				b.Fatal(err)
			}
			ratios[i] = append(ratios[i], took.Seconds()/copied.Seconds())
			sealing[i] += took
		}
	}
	rounds := time.Duration(len(ratios[0]))
	b.ReportMetric((copying / rounds).Seconds(), "s-copy")
	for i, how := range []string{"seal", "strict"} {
		slices.Sort(ratios[i])
		b.ReportMetric(ratios[i][len(ratios[i])/2], how+"/copy")
		b.ReportMetric((sealing[i] / rounds).Seconds(), "s-"+how)
	}
}

// strictVault seals beside in's own, to a reviewer with a certificate.
func strictVault(b *testing.B, in *install) *vault.Vault {
	b.Helper()
	_, _, cert, err := age.NewCertificate("of a benchmark", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	reader, err := strict.ReadReader(cert)
	if err != nil {
		b.Fatal(err)
	}
	keys, err := age.OpenPeriods(age.PeriodsConfig{Path: filepath.Join(b.TempDir(), "vault.keys"), Reviewers: []string{reader}, Only: true}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return vault.New(in.db, in.db.VaultContents(), in.ring, keys)
}

// plainCopy copies and syncs, as a sealed content is synced.
func plainCopy(b *testing.B, from, to string) {
	b.Helper()
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	defer dst.Close()
	// Through a buffer, as every program copies that looks at what it copies: not
	// by the kernel alone.
	if _, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 64<<10)); err != nil {
		b.Fatal(err)
	}
	if err := dst.Sync(); err != nil {
		b.Fatal(err)
	}
}
