package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// version is that of the archive (docs/backup.md).
const version = 1

// The first and the last entry of an archive.
const (
	headName = "stanch-backup.json"
	sumsName = "stanch-sums.json"
)

// maxMeta bounds either, in bytes.
const maxMeta = 256 << 20

// Errors a caller chooses by.
var (
	// ErrNotWhole says that an archive is cut short or altered, or was never
	// ended.
	ErrNotWhole = errors.New("backup: the archive is not whole: copy it here anew, or take another")
	// ErrNotBackup says that a file is no archive of this package.
	ErrNotBackup = errors.New("backup: not a backup of stanch")
	// ErrNewer says that a later version of stanch wrote it.
	ErrNewer = errors.New("backup: written by a later version of stanch")
	// ErrWrongKey says that none of the identities opens it.
	ErrWrongKey = errors.New("backup: none of these keys opens it: it takes the secret key of one of those that it was made for")
)

// Head says what an archive is.
type Head struct {
	V       int       `json:"v"`
	Made    time.Time `json:"made"`
	Version string    `json:"version"` // of stanch
	// Periods has the public key of each period of the vault by its id, so that
	// the file of keys beside the archive can be told from a changed one. Nil
	// in archives of before.
	Periods map[dlp.ID]string `json:"periods,omitempty"`
}

// sum is what the end of an archive says of one entry.
type sum struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Writer writes one archive. It must end in Close; without it what was written
// is not whole.
type Writer struct {
	ctx    context.Context // of the one archive that the Writer lives for
	sealed io.WriteCloser
	tar    *tar.Writer
	sums   []sum
}

// NewWriter begins an archive on dst, for recipients to open.
func NewWriter(ctx context.Context, dst io.Writer, h Head, recipients []filippo.Recipient) (*Writer, error) {
	sealed, err := filippo.Encrypt(dst, recipients...)
	if err != nil {
		return nil, fmt.Errorf("backup: encrypt: %w", err)
	}
	w := &Writer{ctx: ctx, sealed: sealed, tar: tar.NewWriter(sealed)}
	h.V = version
	return w, w.meta(headName, h)
}

func (w *Writer) meta(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return w.entry(name, int64(len(b)), strings.NewReader(string(b)))
}

// Add adds the first size bytes of src under name, a path with slashes.
func (w *Writer) Add(name string, size int64, src io.Reader) error {
	digest := sha256.New()
	if err := w.entry(name, size, io.TeeReader(io.LimitReader(src, size), digest)); err != nil {
		return err
	}
	w.sums = append(w.sums, sum{Name: name, Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))})
	return nil
}

func (w *Writer) entry(name string, size int64, src io.Reader) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	// Large sizes and long names make it a PAX header, which any tar reads.
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("backup: write: %w", err)
	}
	n, err := io.Copy(w.tar, src)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("backup: %w", safefile.Classify("write", err))
	}
	return nil
}

// Close ends the archive: with what it holds, and the last chunk of its seal.
func (w *Writer) Close() error {
	if err := w.meta(sumsName, w.sums); err != nil {
		return err
	}
	if err := errors.Join(w.tar.Close(), w.sealed.Close()); err != nil {
		return fmt.Errorf("backup: end: %w", err)
	}
	return nil
}

// Read reads a whole archive and calls each for every entry; each may leave
// part of it unread. What each was given stands only once Read has returned
// nil. ErrNotWhole, ErrNotBackup, ErrNewer, ErrWrongKey.
func Read(src io.Reader, identities []filippo.Identity, each func(name string, size int64, r io.Reader) error) (Head, error) {
	opened, err := filippo.Decrypt(src, identities...)
	if err != nil {
		if _, ok := errors.AsType[*filippo.NoIdentityMatchError](err); ok {
			return Head{}, ErrWrongKey
		}
		return Head{}, ErrNotBackup // or one of which the first 200 bytes and less are left
	}
	r := &reader{tar: tar.NewReader(opened), each: each}
	if err := r.head(); err != nil {
		return Head{}, err
	}
	if err := r.entries(); err != nil {
		return r.is, err
	}
	// The seal says by its last chunk that nothing is missing behind.
	if _, err := io.Copy(io.Discard, opened); err != nil {
		return r.is, ErrNotWhole
	}
	return r.is, nil
}

type reader struct {
	tar  *tar.Reader
	each func(string, int64, io.Reader) error
	is   Head
	sums []sum
}

func (r *reader) head() error {
	h, err := r.tar.Next()
	if err != nil { // the seal opens for its readers, and what is in it ends
		return ErrNotWhole
	}
	if h.Name != headName {
		return ErrNotBackup
	}
	if json.NewDecoder(io.LimitReader(r.tar, maxMeta)).Decode(&r.is) != nil {
		return ErrNotBackup
	}
	if r.is.V > version {
		return fmt.Errorf("%w: it has form %d, this version knows %d", ErrNewer, r.is.V, version)
	}
	return nil
}

func (r *reader) entries() error {
	for {
		h, err := r.tar.Next()
		if err != nil { // io.EOF too: the sums come last
			return ErrNotWhole
		}
		if h.Name == sumsName {
			return r.compare()
		}
		if h.Typeflag != tar.TypeReg || !ours(h.Name) {
			return fmt.Errorf("%w: it has an entry that no backup has", ErrNotBackup)
		}
		digest := sha256.New()
		in := &source{r: io.TeeReader(r.tar, digest)}
		if err := r.each(h.Name, h.Size, in); err != nil {
			if in.err != nil {
				return ErrNotWhole
			}
			return err
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			return ErrNotWhole
		}
		r.sums = append(r.sums, sum{Name: h.Name, Size: h.Size, SHA256: hex.EncodeToString(digest.Sum(nil))})
	}
}

// source remembers that reading failed: what failed is then the archive.
type source struct {
	r   io.Reader
	err error
}

// Read reads on.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (r *reader) compare() error {
	var want []sum
	if json.NewDecoder(io.LimitReader(r.tar, maxMeta)).Decode(&want) != nil || len(want) != len(r.sums) {
		return ErrNotWhole
	}
	for i, s := range want {
		if s != r.sums[i] {
			return ErrNotWhole
		}
	}
	return nil
}

// ours reports whether name is one that a restore may write: a file of a data
// folder, by a plain path inside of it.
func ours(name string) bool {
	if name != path.Clean(name) || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
		return false
	}
	for _, p := range places {
		if name == p || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
