package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lookEvery is how old what was read from a file may be before the file is
// looked at again.
const lookEvery = time.Second

// followed is what was read from files; it is read anew when one of them has
// changed. What cannot be read leaves in force what was.
type followed[T any] struct {
	paths []string
	load  func() (T, error)
	log   *slog.Logger

	mu     sync.Mutex // guards all below
	looked time.Time
	stamps []fileStamp
	value  T
	failed bool // the files as they are now cannot be read, and that was told
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	size     int64
	modified time.Time
	inode    uint64
}

// follow reads the files for the first time; log may be nil.
func follow[T any](log *slog.Logger, load func() (T, error), paths ...string) (*followed[T], error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &followed[T]{paths: paths, load: load, log: log, looked: time.Now()}
	var err error
	if f.stamps, err = stampsOf(paths); err != nil {
		return nil, err
	}
	f.value, err = load()
	return f, err
}

// get returns what the files say now, or said when they could last be read.
func (f *followed[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if since := now.Sub(f.looked); since >= 0 && since < lookEvery {
		return f.value
	}
	f.looked = now
	stamps, err := stampsOf(f.paths)
	if err == nil && !f.failed && equalStamps(stamps, f.stamps) {
		return f.value
	}
	var v T
	if err == nil {
		v, err = f.load()
	}
	if err != nil {
		if !f.failed {
			f.log.LogAttrs(context.Background(), slog.LevelWarn, "a certificate or password file has changed and cannot be read; what was read before stays in force")
		}
		f.failed = true
		return f.value
	}
	if f.failed || !equalStamps(stamps, f.stamps) {
		f.log.LogAttrs(context.Background(), slog.LevelInfo, "a certificate or password file was read anew")
	}
	f.value, f.stamps, f.failed = v, stamps, false
	return v
}

func stampsOf(paths []string) ([]fileStamp, error) {
	var out []fileStamp
	for _, p := range paths {
		fi, err := os.Stat(p)
		if err != nil {
			return nil, cause(err)
		}
		s := fileStamp{size: fi.Size(), modified: fi.ModTime()}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			s.inode = st.Ino
		}
		out = append(out, s)
	}
	return out, nil
}

func equalStamps(a, b []fileStamp) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].size != b[i].size || a[i].inode != b[i].inode || !a[i].modified.Equal(b[i].modified) {
			return false
		}
	}
	return true
}

// KeyPair is a certificate with its key. It follows its files: a renewed
// certificate is used from the next handshake on. It is safe for use by many
// goroutines.
type KeyPair struct {
	files *followed[*tls.Certificate]
}

// LoadKeyPair reads a certificate, its chain after it, and its key from PEM
// files. log hears of later changes; it may be nil.
func LoadKeyPair(cert, key string, log *slog.Logger) (*KeyPair, error) {
	f, err := follow(log, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}, cert, key)
	if err != nil {
		return nil, fmt.Errorf("smtp: load certificate %s with key %s: %w", cert, key, cause(err))
	}
	return &KeyPair{f}, nil
}

// Certificate returns the pair as its files have it now.
func (k *KeyPair) Certificate() *tls.Certificate { return k.files.get() }

// Roots are the certificates that a next hop's must go back to. They follow
// their file. The nil *Roots are those of the system.
type Roots struct {
	files *followed[*x509.CertPool]
}

// errNoCertificate says that a file of roots holds none.
var errNoCertificate = errors.New("no certificate in PEM form")

// LoadRoots reads roots, or the very certificates that are to be accepted, from
// a PEM file. log hears of later changes; it may be nil.
func LoadRoots(path string, log *slog.Logger) (*Roots, error) {
	f, err := follow(log, func() (*x509.CertPool, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(b) {
			return nil, errNoCertificate
		}
		return pool, nil
	}, path)
	if err != nil {
		return nil, fmt.Errorf("smtp: load roots %s: %w", path, cause(err))
	}
	return &Roots{f}, nil
}

// pool returns nil for the system's, as crypto/x509 has it.
func (r *Roots) pool() *x509.CertPool {
	if r == nil {
		return nil
	}
	return r.files.get()
}

// Credentials are the name and the password with which stanch logs in at a
// next hop. They follow their file.
type Credentials struct {
	files *followed[credentials]
}

type credentials struct{ user, password string }

// What is wrong with a password file.
var (
	errOpenFile    = errors.New("others may read it: want mode 0600")
	errCredentials = errors.New("want one line USER:PASSWORD")
)

// LoadCredentials reads a file of one line, "USER:PASSWORD", that nobody but
// its owner may read. log hears of later changes; it may be nil.
func LoadCredentials(path string, log *slog.Logger) (*Credentials, error) {
	f, err := follow(log, func() (credentials, error) { return readCredentials(path) }, path)
	if err != nil {
		return nil, fmt.Errorf("smtp: load password %s: %w", path, cause(err))
	}
	return &Credentials{f}, nil
}

func readCredentials(path string) (credentials, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return credentials{}, err
	}
	if fi.Mode().Perm()&(fs.ModePerm&0o077) != 0 {
		return credentials{}, errOpenFile
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return credentials{}, err
	}
	line := strings.TrimRight(string(b), "\r\n")
	user, password, ok := strings.Cut(line, ":")
	if !ok || user == "" || password == "" || len(b) > 4096 || bytes.ContainsAny(b[:len(line)], "\x00\r\n") {
		return credentials{}, errCredentials
	}
	return credentials{user, password}, nil
}
