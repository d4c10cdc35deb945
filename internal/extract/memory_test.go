package extract_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// attach writes a mail with files attached in base64.
func attach(files ...[]byte) []byte {
	var b bytes.Buffer
	b.WriteString("Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	for _, f := range files {
		b.WriteString("--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		enc := base64.StdEncoding.EncodeToString(f)
		for len(enc) > 0 {
			n := min(76, len(enc))
			b.WriteString(enc[:n] + "\r\n")
			enc = enc[n:]
		}
	}
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

// table returns n bytes of CSV whose last row holds a number to look for.
func table(n int) []byte {
	var b bytes.Buffer
	b.WriteString("Name,Account\n")
	for i := 0; b.Len() < n-40; i++ {
		fmt.Fprintf(&b, "Example %d,%09d\n", i, i*7919%1e9)
	}
	b.WriteString("Last,536-22-8145\n")
	return b.Bytes()
}

// zipTable packs a table and noise, which does not shrink, into a zip of n bytes.
func zipTable(t *testing.T, n int) []byte {
	t.Helper()
	noise := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise) // it has no errors
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range map[string][]byte{"noise.bin": noise, "table.csv": table(40 << 20)} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMemory reads four mails of 25 MB at a time and holds that no child needs
// more than 256 MiB: one that does is killed, and a gap tells of it.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of megabytes")
	}
	for name, b := range map[string][]byte{
		"one attachment":    attach(table(18 << 20)),
		"three attachments": attach(table(6<<20), table(6<<20), table(6<<20)),
		"zip":               attach(zipTable(t, 12<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, func(c *extract.Config) { c.MaxMemory, c.Workers = 256<<20, 4 })
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					n := &last{}
					if err := p.Extract(t.Context(), document(dlp.Mail, b), n); err != nil {
						t.Error(err)
					}
					for _, g := range n.gaps {
						if g.Cause != dlp.Unsupported {
							t.Errorf("gap: %v", g.Cause)
						}
					}
					if !n.found {
						t.Error("the last row was not read")
					}
				})
			}
			wg.Wait()
			t.Logf("mail of %d MiB, peaks of the children in MiB: %v", len(b)>>20, peaks(t))
		})
	}
}

// last keeps nothing but gaps and whether the last row came.
type last struct {
	gaps  []dlp.Gap
	found bool
}

func (l *last) Part(dlp.PartInfo) error { return nil }
func (l *last) Gap(g dlp.Gap) error     { l.gaps = append(l.gaps, g); return nil }
func (l *last) Text(w dlp.Window) error {
	l.found = l.found || bytes.Contains(w.Text, []byte("536-22-8145"))
	return nil
}

// peaks returns the most resident memory that each living child had, in MiB.
func peaks(t *testing.T) (mib []int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for pid := range strings.FieldsSeq(string(b)) {
			status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
			if err != nil {
				continue // the child has ended
			}
			for line := range strings.Lines(string(status)) {
				var kib int
				if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
					mib = append(mib, kib>>10)
				}
			}
		}
	}
	return mib
}
