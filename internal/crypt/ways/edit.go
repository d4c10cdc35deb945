package ways

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Errors of changes to the folders.
var (
	ErrNoFolder = errors.New("the configuration names no folder for it")
	ErrWhose    = errors.New("the key does not name one address: say whose it is")
	ErrThere    = errors.New("another key is there")
	ErrPrivate  = errors.New("it holds a private key: want the certificate alone")
)

// Import puts the key or certificate in b into its folder under the name of whom
// it is for, an address or for a certificate a domain; "" is the one address that
// it names. It replaces another only where replace says so. What it returns is how
// the key then stands.
func Import(cfg Config, b []byte, whom string, replace bool, now func() time.Time) (Key, error) {
	dir, ext, named := cfg.OpenPGPDir, ".asc", []string(nil)
	if chain, err := certificates(b, maxChain); err == nil {
		dir, ext, named = cfg.SMIMEDir, ".pem", smime.Addresses(chain[0])
	} else if errors.Is(err, errSecretPEM) {
		return Key{}, ErrPrivate
	} else if errors.Is(err, ErrCertificate) {
		return Key{}, err
	} else if k, err := openpgp.ReadKey(bytes.NewReader(b)); err != nil {
		return Key{}, err
	} else {
		named = k.Addresses(now())
	}
	if dir == "" {
		return Key{}, ErrNoFolder
	}
	if whom == "" {
		for i := range named {
			named[i] = fold(named[i])
		}
		slices.Sort(named)
		if named = slices.Compact(named); len(named) != 1 {
			return Key{}, ErrWhose
		}
		whom = named[0]
	}
	whom = fold(whom)
	if at := strings.LastIndexByte(whom, '@'); strings.ContainsAny(whom, "/\x00") || strings.HasPrefix(whom, ".") || at == 0 || at == len(whom)-1 || ext == ".asc" && at < 0 {
		return Key{}, ErrWhose
	}
	name := whom + ext
	files, err := readFolder(dir, ext, maxPEM)
	if err != nil {
		return Key{}, err
	}
	for _, f := range files {
		if f.whom != whom {
			continue
		}
		if !bytes.Equal(f.data, b) && !replace {
			return Key{}, ErrThere
		}
		name = f.name // as it is written there
	}
	if err := safefile.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		return Key{}, err
	}
	w, err := Open(Config{SMIMEDir: cfg.SMIMEDir, OpenPGPDir: cfg.OpenPGPDir, SMIMERoots: cfg.SMIMERoots, SMIMERevocation: revocationOff}, now)
	if err != nil {
		return Key{}, err
	}
	for _, k := range w.Keys() {
		if k.File == name {
			return k, nil
		}
	}
	return Key{}, ErrWhose
}

// ErrOther says that a key from a directory does not name whom it was asked for.
var ErrOther = errors.New("the key names other addresses")

// ImportFetched puts a key or certificate that a directory gave for address into its
// folder, with a line in the trust file that says from where and when. It does not
// count until it is pinned, or for a certificate its chain holds. One that is
// there already stays as it is.
func ImportFetched(cfg Config, b []byte, address, source string, replace bool, now func() time.Time) (Key, error) {
	if c, err := x509.ParseCertificate(b); err == nil {
		b = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	address = fold(address)
	dir, ext, print, named := cfg.OpenPGPDir, ".asc", "", []string(nil)
	if chain, err := certificates(b, maxChain); err == nil {
		dir, ext, print, named = cfg.SMIMEDir, ".pem", sha256Of(chain[0].Raw), smime.Addresses(chain[0])
	} else if !errors.Is(err, errNoCertificate) {
		return Key{}, err
	} else if k, err := openpgp.ReadKey(bytes.NewReader(b)); err != nil {
		return Key{}, err
	} else {
		print, named = k.Fingerprint(), k.Addresses(now())
	}
	switch {
	case dir == "":
		return Key{}, ErrNoFolder
	case !slices.ContainsFunc(named, func(n string) bool { return fold(n) == address }):
		return Key{}, ErrOther
	}
	w, err := Open(Config{SMIMEDir: cfg.SMIMEDir, OpenPGPDir: cfg.OpenPGPDir, SMIMERoots: cfg.SMIMERoots, SMIMERevocation: revocationOff}, now)
	if err != nil {
		return Key{}, err
	}
	for _, k := range w.Keys() {
		if k.For != address || !strings.HasSuffix(k.File, ext) {
			continue
		}
		if k.Fingerprint == print {
			return k, nil
		}
		if !replace {
			return Key{}, ErrThere
		}
	}
	// Before the key: so at no moment it is taken for one that the administrator put there.
	if err := say(cfg, print, fmt.Sprintf("fetched %s %s %s %s\n", print, address, now().UTC().Format(time.RFC3339), source)); err != nil {
		return Key{}, err
	}
	return Import(cfg, b, address, replace, now)
}

// Pin has only the key with that fingerprint count for address, also if it names
// another. A fingerprint is as ParseFingerprint returns it.
func Pin(cfg Config, fingerprint, address string) error {
	return say(cfg, fingerprint, fmt.Sprintf("pin %s %s\n", fingerprint, fold(address)))
}

// Revoke bars the key with that fingerprint, or with a subkey of that fingerprint,
// whoever has it.
func Revoke(cfg Config, fingerprint string) error {
	return say(cfg, fingerprint, fmt.Sprintf("revoke %s\n", fingerprint))
}

// say adds a line to the trust file of the folder that keys with such
// fingerprints lie in. What stands there stays, also what others add at this moment:
// a line may revoke a key.
func say(cfg Config, fingerprint, line string) error {
	dir, digits := cfg.OpenPGPDir, sha1Digits
	if len(fingerprint) == sha256Digits {
		dir, digits = cfg.SMIMEDir, sha256Digits
	}
	if dir == "" {
		return ErrNoFolder
	}
	lock, err := safefile.LockWithin(filepath.Join(dir, lockFile), lockWait)
	if err != nil {
		return fmt.Errorf("%s: %w", TrustFile, err)
	}
	defer lock.Unlock() // it ends with the process all the same

	path := filepath.Join(dir, TrustFile)
	b, err := readFile(path, maxTrust)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", TrustFile, err)
	}
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b, '\n')
	}
	b = append(b, line...)
	if _, err := parseTrust(b, digits); err != nil { // it is not made worse: without it nothing is encrypted
		return err
	}
	if len(b) > maxTrust {
		return fmt.Errorf("%s: %w", TrustFile, errTooLarge)
	}
	return safefile.WriteFile(path, b, 0o644)
}
