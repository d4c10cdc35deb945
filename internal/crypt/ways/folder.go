package ways

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
)

// Bounds of a folder of keys.
const (
	maxFiles = 10_000
	maxTrust = 1 << 20 // bytes of TrustFile
)

// Who changes what others may change at this moment, TrustFile or a key that was
// seen, takes the lock of the folder and waits for it as long.
const (
	lockFile = ".lock"
	lockWait = 10 * time.Second
)

// TrustFile is the name of the file in a folder of keys that says more about
// them, a line each: "pin FINGERPRINT ADDRESS", "revoke FINGERPRINT", and for
// certificates "modern FINGERPRINT"; "fetched FINGERPRINT ADDRESS TIME SOURCE" says that it
// came from a directory. Lines that are empty or begin with # say
// nothing.
const TrustFile = "trust.txt"

// ErrTooMany says that a folder has more keys than are read.
var ErrTooMany = fmt.Errorf("more than %d keys", maxFiles)

// file is one file of a folder of keys.
type file struct {
	name string // in the folder
	whom string // an address or a domain, folded
	data []byte // nil: it could not be read
	err  error
}

// readFolder reads the files of dir whose names end in ext, in the order of
// their names, each max bytes at most.
func readFolder(dir, ext string, max int64) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, bare(err)
	}
	var out []file
	for _, e := range entries {
		whom, ok := strings.CutSuffix(e.Name(), ext)
		if !ok || whom == "" || strings.HasPrefix(whom, ".") {
			continue
		}
		if len(out) == maxFiles {
			return nil, ErrTooMany
		}
		f := file{name: e.Name(), whom: fold(whom)}
		f.data, f.err = readFile(filepath.Join(dir, e.Name()), max)
		out = append(out, f)
	}
	return out, nil
}

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("too large")
)

func readFile(path string, max int64) ([]byte, error) {
	fi, err := os.Stat(path) // a link is followed: the folder is the administrator's
	if err != nil {
		return nil, bare(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, bare(err)
	}
	if int64(len(b)) > max {
		return nil, errTooLarge
	}
	return b, nil
}

// bare is err without the path, which names a person.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// How many digits a fingerprint has: of an OpenPGP key of version 4, and of a
// certificate.
const (
	sha1Digits   = 40
	sha256Digits = 64
)

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// trust is what a TrustFile says.
type trust struct {
	pins    map[string]string // address, folded → the fingerprint of the one key that counts
	revoked map[string]bool   // by fingerprint
	fetched map[string]origin // by fingerprint, blank, address: keys that came from a directory, on nobody's word
	modern  map[string]bool   // by fingerprint: certificates whose owner reads AES-256-GCM and OAEP
}

// reads is what programs of a certificate's owner read, where it shows what they do.
func (t trust) reads(print string, shown smime.Capabilities) smime.Capabilities {
	if t.modern[print] {
		return smime.Capabilities{AES256GCM: true, RSAOAEP: true}
	}
	return shown
}

// revokes reports a key of which a subkey is barred: what a reader of the key has
// at hand may be the subkey's fingerprint.
func (t trust) revokes(key *openpgp.Key) bool {
	return slices.ContainsFunc(key.Subkeys(), func(print string) bool { return t.revoked[print] })
}

// origin is when a key came, and from where.
type origin struct {
	at   time.Time // zero: the line does not say
	from string
}

// fingerprint reports 40 or 64 small hexadecimal digits.
func fingerprint(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// ParseFingerprint reads a fingerprint as programs print it, with or without
// spaces and colons: 40 or 64 hex digits, which it returns in lower case.
func ParseFingerprint(s string) (string, bool) {
	s = fold(strings.NewReplacer(" ", "", ":", "").Replace(s))
	return s, fingerprint(s)
}

// readTrust reads the TrustFile of dir; without one nothing is said. A line
// that cannot be read is an error: it may revoke a key.
func readTrust(dir string, digits int) (trust, error) {
	b, err := readFile(filepath.Join(dir, TrustFile), maxTrust)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return trust{}, fmt.Errorf("%s: %w", TrustFile, err)
	}
	return parseTrust(b, digits)
}

func parseTrust(b []byte, digits int) (trust, error) {
	t := trust{pins: map[string]string{}, revoked: map[string]bool{}, fetched: map[string]origin{}, modern: map[string]bool{}}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		ok := false
		if len(words) >= 2 {
			var print string
			print, ok = ParseFingerprint(words[1])
			ok = ok && len(print) == digits // one of another kind would never be met
			switch {
			case words[0] == "pin" && len(words) == 3:
				t.pins[fold(words[2])] = print
			case words[0] == "revoke" && len(words) == 2:
				t.revoked[print] = true
			case words[0] == "fetched" && len(words) == 5:
				at, _ := time.Parse(time.RFC3339, words[3]) // a person may have written it
				t.fetched[print+" "+fold(words[2])] = origin{at, words[4]}
			case words[0] == "modern" && len(words) == 2 && digits == sha256Digits:
				t.modern[print] = true
			default:
				ok = false
			}
		}
		if !ok {
			want := `"pin FINGERPRINT ADDRESS" or "revoke FINGERPRINT"`
			if digits == sha256Digits {
				want = `"pin FINGERPRINT ADDRESS", "revoke FINGERPRINT" or "modern FINGERPRINT"`
			}
			return t, fmt.Errorf("%s:%d: want %s, a fingerprint having %d digits", TrustFile, n, want, digits)
		}
	}
	return t, lines.Err()
}
