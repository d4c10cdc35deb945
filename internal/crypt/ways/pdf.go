package ways

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/stanch-dlp/stanch/internal/crypt/pdf"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// maxPassFile bounds the file of a passphrase, in bytes.
const maxPassFile = 4 << 10

// passphrase is one file of encrypt.pdf_dir.
type passphrase struct {
	Key
	words string // "" where it cannot be used
}

// readPDF reads the passphrases that were agreed on, ADDRESS.pass and
// DOMAIN.pass.
func (w *Ways) readPDF(dir string) error {
	files, err := readFolder(dir, ".pass", maxPassFile)
	if err != nil {
		return err
	}
	for _, f := range files {
		p := &passphrase{Key: Key{Way: dlp.PDF, File: f.name, For: f.whom, Trust: Folder}}
		if at := strings.LastIndexByte(f.whom, '@'); at == 0 || at == len(f.whom)-1 || w.pdf[f.whom] != nil {
			p.Unfit = BadName
			w.other = append(w.other, p.Key)
			continue
		}
		w.pdf[f.whom] = p
		words := string(bytes.TrimSuffix(bytes.TrimSuffix(f.data, []byte("\n")), []byte("\r")))
		switch fi, err := os.Stat(filepath.Join(dir, f.name)); {
		case f.err != nil || err != nil:
			p.Unfit = Unreadable
		case fi.Mode().Perm()&0o077 != 0:
			p.Unfit = Exposed
		case !pdf.FitPassphrase(words):
			p.Unfit = Weak
		default:
			p.words = words
		}
	}
	return nil
}

// passphraseFor is that of the address, or where it has no file that of its
// domain; nil for none. One of the address that cannot be used is not made up for
// by its domain's: another phrase was agreed on.
func (w *Ways) passphraseFor(rcpt dlp.Address) *passphrase {
	if p, ok := w.pdf[nameOf(rcpt)]; ok {
		return p
	}
	return w.pdf[fold(rcpt.Domain)]
}

func (w *Ways) pdfChoice(rcpt dlp.Address) Choice {
	p := w.passphraseFor(rcpt)
	if p == nil {
		return Choice{Way: dlp.PDF, Unfit: NoKey}
	}
	k := p.Key
	return Choice{Way: dlp.PDF, Unfit: k.Unfit, Key: &k}
}

// pdfClasses has those together who share a passphrase.
func (w *Ways) pdfClasses(rcpts []dlp.Address) (out [][]dlp.Address) {
	at := map[string]int{}
	for _, r := range rcpts {
		p := w.passphraseFor(r)
		if p == nil || p.words == "" {
			out = append(out, []dlp.Address{r}) // Encrypt says that there is none
			continue
		}
		i, ok := at[p.words]
		if !ok {
			i, out = len(out), append(out, nil)
			at[p.words] = i
		}
		out[i] = append(out[i], r)
	}
	return out
}

func (w *Ways) encryptPDF(dst io.Writer, open func() (io.ReadCloser, error), rcpts []dlp.Address) error {
	words := ""
	for i, r := range rcpts {
		p := w.passphraseFor(r)
		if p == nil || p.words == "" || i > 0 && p.words != words {
			return dlp.ErrNoWay
		}
		words = p.words
	}
	m, err := message.Protect(open, message.Protection{NoLegacyDisplay: true}) // the page shows the header
	if err != nil {
		return fmt.Errorf("ways: %w", err)
	}
	if err := pdf.Encrypt(dst, m, words); err != nil {
		return fmt.Errorf("ways: %w", err)
	}
	return nil
}
