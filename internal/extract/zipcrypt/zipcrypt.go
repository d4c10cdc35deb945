// Package zipcrypt decrypts members of zip files: the cipher of PKZIP 2 and
// WinZip's AES.
//
// It promises that a wrong password is told as one as far as the format allows:
// always for AES, in 255 of 256 cases for the older cipher, whose plain text a
// caller must hold against its checksum.
package zipcrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Errors of opening a member.
var (
	ErrPassword = errors.New("zipcrypt: wrong password")
	ErrDamaged  = errors.New("zipcrypt: damaged")
)

// keys are the state of the older cipher.
type keys struct {
	k0, k1, k2 uint32
	table      *crc32.Table
}

func newKeys(password []byte) keys {
	k := keys{0x12345678, 0x23456789, 0x34567890, crc32.IEEETable}
	for _, c := range password {
		k.update(c)
	}
	return k
}

func (k *keys) update(c byte) {
	k.k0 = k.table[byte(k.k0)^c] ^ k.k0>>8
	k.k1 = (k.k1+k.k0&0xff)*134775813 + 1
	k.k2 = k.table[byte(k.k2)^byte(k.k1>>24)] ^ k.k2>>8
}

func (k *keys) decrypt(c byte) byte {
	t := uint16(k.k2 | 2)
	c ^= byte(uint32(t) * uint32(t^1) >> 8)
	k.update(c)
	return c
}

// Traditional returns the plain text of data, a member's content with its header
// of twelve bytes. checks are the values of which the header's last byte must be
// one. The error is ErrPassword or ErrDamaged.
//
// Source: APPNOTE.TXT 6.1.
func Traditional(data, password []byte, checks ...byte) (io.Reader, error) {
	if len(data) < 12 {
		return nil, ErrDamaged
	}
	k := newKeys(password)
	var last byte
	for _, c := range data[:12] {
		last = k.decrypt(c)
	}
	for _, c := range checks {
		if c == last {
			return &traditional{k: k, b: data[12:]}, nil
		}
	}
	return nil, ErrPassword
}

type traditional struct {
	k keys
	b []byte
}

func (t *traditional) Read(p []byte) (int, error) {
	if len(t.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.b)
	t.b = t.b[n:]
	for i := range p[:n] {
		p[i] = t.k.decrypt(p[i])
	}
	return n, nil
}

// AES returns the plain text of data, a member's content as WinZip encrypts it:
// salt, verifier, cipher text, code. strength is 1, 2 or 3, for keys of 128, 192
// and 256 bits. The code is checked first. The error is ErrPassword or
// ErrDamaged.
//
// Source: WinZip, "AES Encryption Information: Encryption Specification AE-1 and
// AE-2".
func AES(data, password []byte, strength int) (io.Reader, error) {
	if strength < 1 || strength > 3 {
		return nil, ErrDamaged
	}
	size := 8 + 8*strength // of the key
	salt := size / 2
	const verifier, code = 2, 10
	if len(data) < salt+verifier+code {
		return nil, ErrDamaged
	}
	made, err := pbkdf2.Key(sha1.New, string(password), data[:salt], 1000, 2*size+verifier)
	if err != nil {
		return nil, ErrDamaged
	}
	defer clear(made)
	if subtle.ConstantTimeCompare(made[2*size:], data[salt:salt+verifier]) != 1 {
		return nil, ErrPassword
	}
	text := data[salt+verifier : len(data)-code]
	mac := hmac.New(sha1.New, made[size:2*size])
	_, _ = mac.Write(text) // a hash returns no error
	if !hmac.Equal(mac.Sum(nil)[:code], data[len(data)-code:]) {
		return nil, ErrPassword // or damaged: one in 65,536 wrong passwords comes here
	}
	block, err := aes.NewCipher(made[:size])
	if err != nil {
		return nil, ErrDamaged
	}
	return &counter{block: block, b: text}, nil
}

// counter is AES in counter mode, with a counter whose little end comes first
// and that begins at 1.
type counter struct {
	block  cipher.Block
	b      []byte
	n      uint64
	stream [aes.BlockSize]byte
	used   int // of stream; 0: make the next
}

func (c *counter) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b)
	c.b = c.b[n:]
	for i := range p[:n] {
		if c.used == 0 {
			c.n++
			var at [aes.BlockSize]byte
			binary.LittleEndian.PutUint64(at[:], c.n)
			c.block.Encrypt(c.stream[:], at[:])
		}
		p[i] ^= c.stream[c.used]
		c.used = (c.used + 1) % aes.BlockSize
	}
	return n, nil
}
