package age

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt/strict"
)

// MaxRecipients bounds the header of one file; each costs 100 to 2,000 bytes.
const MaxRecipients = 100

// maxIdentities and maxIdentityLine bound an identity file.
const (
	maxIdentities   = 100
	maxIdentityLine = 4096
)

// ParseRecipients reads public keys as `age-keygen` prints them ("age1…",
// "age1pq1…"). The error says which one, counted from 1, and what was
// expected.
func ParseRecipients(recipients []string) ([]filippo.Recipient, error) {
	if len(recipients) == 0 {
		return nil, errors.New("age: no recipient: want at least one public key that begins with age1")
	}
	if len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("age: %d recipients: want at most %d", len(recipients), MaxRecipients)
	}
	out := make([]filippo.Recipient, 0, len(recipients))
	for i, s := range recipients {
		r, err := parseRecipient(s)
		if err != nil {
			return nil, fmt.Errorf("age: recipient %d: %w", i+1, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRecipient(s string) (filippo.Recipient, error) {
	switch {
	case strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-"):
		return nil, errors.New("this is a secret key: want its public key, which begins with age1")
	case strings.HasPrefix(s, "ssh-"):
		return nil, errors.New("ssh keys are not read: want a public key that begins with age1")
	case strings.HasPrefix(s, "age1pq1"):
		if r, err := filippo.ParseHybridRecipient(s); err == nil {
			return r, nil
		}
	case strings.HasPrefix(s, "age1"):
		if r, err := filippo.ParseX25519Recipient(s); err == nil {
			return r, nil
		}
	}
	return nil, errors.New("want a public key that begins with age1, whole and unaltered")
}

// ParseIdentities reads an identity file as `age-keygen` writes it: one secret
// key a line, empty lines and lines that begin with # apart. The error names
// the line and never quotes it.
func ParseIdentities(r io.Reader) ([]filippo.Identity, error) {
	var ids []filippo.Identity
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxIdentityLine), maxIdentityLine)
	for n := 1; lines.Scan(); n++ {
		s := strings.TrimSpace(lines.Text())
		if s == "" || s[0] == '#' {
			continue
		}
		id, err := parseIdentity(s)
		if err != nil {
			return nil, fmt.Errorf("age: identity file: line %d: %w", n, err)
		}
		if ids = append(ids, id); len(ids) > maxIdentities {
			return nil, fmt.Errorf("age: identity file: want at most %d keys", maxIdentities)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("age: identity file: a line is too long or the file cannot be read")
	}
	if len(ids) == 0 {
		return nil, errors.New("age: identity file: no secret key in it")
	}
	return ids, nil
}

func parseIdentity(s string) (filippo.Identity, error) {
	if k, err := strict.ParseKey(s); err == nil {
		return strictIdentity{k}, nil
	}
	if id, ok := shortIdentity(s); ok {
		return id, nil
	}
	if strings.HasPrefix(s, "AGE-SECRET-KEY-PQ-1") {
		if id, err := filippo.ParseHybridIdentity(s); err == nil {
			return id, nil
		}
	} else if id, err := filippo.ParseX25519Identity(s); err == nil {
		return id, nil
	}
	return nil, errors.New("want a secret key that begins with AGE-SECRET-KEY-1")
}
