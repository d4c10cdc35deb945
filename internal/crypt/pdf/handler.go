package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
)

// MaxPassphrase and MinPassphrase bound a passphrase, in bytes. A longer one is
// cut by readers (ISO 32000-2 7.6.4.3.2); a shorter one can be found by trying,
// which whoever has the file can do without end.
const (
	MaxPassphrase = 127
	MinPassphrase = 16
)

// FitPassphrase reports a passphrase of MinPassphrase to MaxPassphrase printable
// ASCII characters: with others it depends on the reader's program what is typed.
func FitPassphrase(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) >= MinPassphrase && len(s) <= MaxPassphrase
}

// permissions lets who has the passphrase do everything. ISO 32000-2 table 22.
const permissions = 0xFFFFFFFC

// handler is the standard security handler, revision 6.
type handler struct {
	block cipher.Block // of the file's key
	dict  string       // the encryption dictionary
}

// newHandler draws the key of a file and seals it with passphrase.
//
// Source: ISO 32000-2 7.6.4.4.7 (algorithm 8: U, UE), 7.6.4.4.8 (9: O, OE),
// 7.6.4.4.9 (10: Perms).
func newHandler(passphrase string) (*handler, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand.Read ends the program instead
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	entries := func(u []byte) (check, sealed []byte, err error) {
		salts := make([]byte, 16)
		rand.Read(salts) // likewise
		check, err = hash([]byte(passphrase), salts[:8], u)
		if err != nil {
			return nil, nil, err
		}
		kek, err := hash([]byte(passphrase), salts[8:], u)
		if err != nil {
			return nil, nil, err
		}
		b, err := aes.NewCipher(kek)
		if err != nil {
			return nil, nil, err
		}
		sealed = make([]byte, 32)
		cipher.NewCBCEncrypter(b, make([]byte, aes.BlockSize)).CryptBlocks(sealed, key)
		return append(check, salts...), sealed, nil
	}
	u, ue, err := entries(nil)
	if err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	o, oe, err := entries(u)
	if err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	perms := make([]byte, 16)
	binary.LittleEndian.PutUint32(perms, permissions)
	copy(perms[4:], "\xff\xff\xff\xffTadb")
	rand.Read(perms[12:]) // likewise
	block.Encrypt(perms, perms)
	return &handler{block, fmt.Sprintf("<</Filter/Standard/V 5/R 6/Length 256/P -4/U<%x>/UE<%x>/O<%x>/OE<%x>/Perms<%x>"+
		"/CF<</StdCF<</AuthEvent/DocOpen/CFM/AESV3/Length 32>>>>/StmF/StdCF/StrF/StdCF>>", u, ue, o, oe, perms)}, nil
}

// hash makes a key of 32 bytes from a passphrase; u is empty but for the owner's.
//
// Source: ISO 32000-2 7.6.4.3.4 (algorithm 2.B).
func hash(passphrase, salt, u []byte) ([]byte, error) {
	sum := sha256.Sum256(bytes.Join([][]byte{passphrase, salt, u}, nil))
	k := sum[:]
	for round := 0; ; round++ {
		e := bytes.Repeat(bytes.Join([][]byte{passphrase, k, u}, nil), 64)
		b, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil, err
		}
		cipher.NewCBCEncrypter(b, k[16:32]).CryptBlocks(e, e)
		rest := 0 // of the first 16 bytes as a number, by 3: 256 is 1 by 3
		for _, c := range e[:16] {
			rest += int(c)
		}
		switch rest % 3 {
		case 0:
			s := sha256.Sum256(e)
			k = s[:]
		case 1:
			s := sha512.Sum384(e)
			k = s[:]
		default:
			s := sha512.Sum512(e)
			k = s[:]
		}
		if round >= 63 && int(e[len(e)-1]) <= round-31 {
			return k[:32], nil
		}
	}
}

// seal returns b as a string or a short stream is encrypted: the initialisation
// vector first, padded. ISO 32000-2 7.6.3.1.
func (h *handler) seal(b []byte) []byte {
	pad := aes.BlockSize - len(b)%aes.BlockSize
	out := make([]byte, aes.BlockSize, aes.BlockSize+len(b)+pad)
	rand.Read(out) // likewise
	out = append(append(out, b...), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(h.block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], out[aes.BlockSize:])
	return out
}
