package audit

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// origin names the log in its checkpoints, and the key.
const origin = "stanch-audit"

// keys signs the head, and seals and checks lines. Of a public key only
// verifier and public are set.
type keys struct {
	signer   note.Signer
	verifier note.Verifier
	public   string    // as in golang.org/x/mod/sumdb/note, NAME+HASH+KEY
	line     hash.Hash // HMAC of the lines; for one goroutine
}

var errKey = errors.New("audit: key: not an Ed25519 key in the form of a signed note")

// makeKey makes a key pair: the private key at path, mode 0600, and the public
// one beside it as path.pub.
func makeKey(path string) error {
	private, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return fmt.Errorf("audit: make key: %w", err)
	}
	if err := safefile.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("audit: make key: %w", err)
	}
	if err := safefile.WriteFile(path+".pub", []byte(public+"\n"), 0o644); err != nil {
		return fmt.Errorf("audit: make key: %w", err)
	}
	if err := safefile.WriteFile(path, []byte(private+"\n"), 0o600); err != nil {
		return fmt.Errorf("audit: make key: %w", err)
	}
	return nil
}

// loadKeys reads a private or a public key. fs.ErrNotExist when there is none.
func loadKeys(path string) (*keys, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("audit: key: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, failed("key", err)
	}
	s := strings.TrimSpace(string(b))
	if !strings.HasPrefix(s, "PRIVATE+KEY+") {
		v, err := note.NewVerifier(s)
		if err != nil || v.Name() != origin {
			return nil, errKey
		}
		return &keys{verifier: v, public: s}, nil
	}
	signer, err := note.NewSigner(s)
	if err != nil || signer.Name() != origin {
		return nil, errKey
	}
	// PRIVATE+KEY+NAME+HASH+BASE64(algorithm byte and seed); base64 may hold a plus.
	f := strings.SplitN(s, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(f[len(f)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errKey
	}
	seed := raw[1:]
	public, err := note.NewEd25519VerifierKey(origin, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, errKey
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, errKey
	}
	line, err := hkdf.Key(sha256.New, seed, nil, "stanch audit line v1", 32)
	if err != nil {
		return nil, errKey
	}
	return &keys{signer: signer, verifier: v, public: public, line: hmac.New(sha256.New, line)}, nil
}
