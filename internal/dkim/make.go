package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Kinds of keys.
const (
	RSA     = "rsa"
	Ed25519 = "ed25519"
)

// Make makes a key of that kind in a new file at path, mode 0600.
func Make(kind, path string) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	if kind == Ed25519 {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, minRSA)
	}
	if err != nil {
		return nil, fmt.Errorf("dkim: make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("dkim: make key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, safefile.Classify("create key", err)
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return nil, errors.Join(safefile.Classify("write key", err), os.Remove(path))
	}
	return key, nil
}

// Zone returns the record as a line of a zone file, in strings of at most 255
// bytes. RFC 1035 3.3.14.
func Zone(domain, selector, record string) string {
	var parts []string
	for len(record) > 255 {
		parts = append(parts, record[:255])
		record = record[255:]
	}
	return selector + "._domainkey." + domain + ". IN TXT ( \"" + strings.Join(append(parts, record), "\"\n\t\"") + "\" )"
}
