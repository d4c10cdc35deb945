package scanner

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// canonical puts into c.value what the key of a value is made of, and returns the
// canonical value in it.
func (c *Scan) canonical(t dlp.Type, value string) []byte {
	c.value = append(append(c.value[:0], t...), 0)
	from := len(c.value)
	c.value = canonical(c.value, t, value)
	return c.value[from:]
}

// valueKey returns the key of what c.value holds under this Scan's own random
// key.
func (c *Scan) valueKey() (k dlp.ValueKey) {
	if c.mac == nil {
		c.mac = newCMAC()
	}
	c.mac.sum(c.value, (*[aes.BlockSize]byte)(&k))
	return k
}

// cmac is AES-128-CMAC, which takes a tenth of the time of HMAC-SHA-256 for what
// is as short as most values.
//
// Source: RFC 4493; NIST SP 800-38B.
type cmac struct {
	block  cipher.Block
	k1, k2 [aes.BlockSize]byte
	x      [aes.BlockSize]byte
}

// newCMAC returns one with a random key.
func newCMAC() *cmac {
	var key [16]byte
	rand.Read(key[:]) // never fails: it ends the program instead
	return cmacOf(key)
}

func cmacOf(key [16]byte) *cmac {
	m := &cmac{}
	var err error
	if m.block, err = aes.NewCipher(key[:]); err != nil {
		panic("scanner: AES refuses 16 bytes of key")
	}
	m.block.Encrypt(m.k1[:], m.k1[:])
	double(&m.k1)
	m.k2 = m.k1
	double(&m.k2)
	return m
}

// double multiplies by x in GF(2^128): RFC 4493 2.3.
func double(k *[aes.BlockSize]byte) {
	carry := byte(0)
	for i := len(k) - 1; i >= 0; i-- {
		k[i], carry = k[i]<<1|carry, k[i]>>7
	}
	k[len(k)-1] ^= carry * 0x87
}

func (m *cmac) mix(b *[aes.BlockSize]byte) {
	for i := 0; i < aes.BlockSize; i += 8 {
		binary.LittleEndian.PutUint64(m.x[i:], binary.LittleEndian.Uint64(m.x[i:])^binary.LittleEndian.Uint64(b[i:]))
	}
}

// sum puts the code of msg into to: RFC 4493 2.4.
func (m *cmac) sum(msg []byte, to *[aes.BlockSize]byte) {
	m.x = [aes.BlockSize]byte{}
	for ; len(msg) > aes.BlockSize; msg = msg[aes.BlockSize:] {
		m.mix((*[aes.BlockSize]byte)(msg))
		m.block.Encrypt(m.x[:], m.x[:])
	}
	var last [aes.BlockSize]byte
	if copy(last[:], msg) < aes.BlockSize {
		last[len(msg)] = 0x80
		m.mix(&m.k2)
	} else {
		m.mix(&m.k1)
	}
	m.mix(&last)
	m.block.Encrypt(m.x[:], m.x[:])
	*to = m.x
}
