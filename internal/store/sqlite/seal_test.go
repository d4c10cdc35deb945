package sqlite_test

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// sealedSize is what is sealed and copied, in bytes.
const sealedSize = 256 << 20

// BenchmarkSealBesideCopy seals 256 MiB to the vault and copies the same to a
// synced file, in turns, and tells the median of the rounds' ratios.
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
	var ratios []float64
	var sealing, copying time.Duration
	for b.Loop() {
		start := time.Now()
		plainCopy(b, from, filepath.Join(dir, "copy"))
		copied := time.Since(start)
		doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Open: func() (io.ReadSeekCloser, error) { return os.Open(from) }}
		start = time.Now()
		item, err := in.vault.Seal(b.Context(), doc, vault.Case{})
		if err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		if err := in.vault.Discard(b.Context(), item); err != nil {
			b.Fatal(err)
		}
		ratios = append(ratios, took.Seconds()/copied.Seconds())
		sealing, copying = sealing+took, copying+copied
	}
	slices.Sort(ratios)
	rounds := time.Duration(len(ratios))
	b.ReportMetric(ratios[len(ratios)/2], "seal/copy")
	b.ReportMetric((sealing / rounds).Seconds(), "s-seal")
	b.ReportMetric((copying / rounds).Seconds(), "s-copy")
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
