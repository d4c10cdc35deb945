// Package offcrypto opens what Office encrypts: the binary formats with RC4 in
// both its forms and with Excel's obfuscation by XOR, OOXML packages with AES.
//
// Source: [MS-OFFCRYPTO] 2.3.4 to 2.3.7.
package offcrypto

import (
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/binary"
	"unicode/utf16"
)

// DefaultPassword opens workbooks that are protected against change and not
// against reading: Excel puts it in by itself.
const DefaultPassword = "VelvetSweatshop"

// Key makes the key of each block of a stream.
type Key struct {
	start []byte // hash of password and salt
	bits  int
	sha   bool // RC4 CryptoAPI; else the first form
}

// Open checks a password against a header, which begins with its version; nil
// where the password does not open it or the header is not known.
func Open(header []byte, password string) *Key {
	if len(header) < 4 {
		return nil
	}
	major, minor := binary.LittleEndian.Uint16(header), binary.LittleEndian.Uint16(header[2:])
	switch {
	case major == 1 && minor == 1:
		return openRC4(header[4:], password)
	case major >= 2 && major <= 4 && minor == 2:
		return openCryptoAPI(header[4:], password)
	}
	return nil
}

func wide(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// openRC4 reads salt, verifier and its hash. [MS-OFFCRYPTO] 2.3.6.1, 2.3.6.2.
func openRC4(b []byte, password string) *Key {
	if len(b) < 48 {
		return nil
	}
	first := md5.Sum(wide(password))
	var mixed []byte
	for range 16 {
		mixed = append(append(mixed, first[:5]...), b[:16]...)
	}
	second := md5.Sum(mixed)
	k := &Key{start: second[:5], bits: 128}
	plain := make([]byte, 32)
	k.stream(0).XORKeyStream(plain, b[16:48])
	if sum := md5.Sum(plain[:16]); string(sum[:]) != string(plain[16:]) {
		return nil
	}
	return k
}

// openCryptoAPI reads header and verifier. [MS-OFFCRYPTO] 2.3.5.1, 2.3.5.2, 2.3.3.
func openCryptoAPI(b []byte, password string) *Key {
	if len(b) < 8 {
		return nil
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if size < 20 || 8+size+4+16+16+4+20 > int64(len(b)) {
		return nil
	}
	const rc4ID = 0x6801
	head, v := b[8:8+size], b[8+size:]
	if id := binary.LittleEndian.Uint32(head[8:]); id != rc4ID && id != 0 || binary.LittleEndian.Uint32(v) != 16 {
		return nil
	}
	bits := int(binary.LittleEndian.Uint32(head[16:]))
	if bits == 0 {
		bits = 40
	}
	if bits < 40 || bits > 128 || bits%8 != 0 {
		return nil
	}
	start := sha1.Sum(append(append([]byte{}, v[4:20]...), wide(password)...))
	k := &Key{start: start[:], bits: bits, sha: true}
	plain := make([]byte, 36)
	c := k.stream(0)
	c.XORKeyStream(plain[:16], v[20:36])
	c.XORKeyStream(plain[16:], v[40:60])
	if sum := sha1.Sum(plain[:16]); string(sum[:]) != string(plain[16:]) {
		return nil
	}
	return k
}

// stream returns the cipher of a block.
func (k *Key) stream(block uint32) *rc4.Cipher {
	b := binary.LittleEndian.AppendUint32(append([]byte{}, k.start...), block)
	var key []byte
	if k.sha {
		sum := sha1.Sum(b)
		key = sum[:k.bits/8]
		if k.bits == 40 { // [MS-OFFCRYPTO] 2.3.5.2: eleven zero bytes behind it
			key = append(append([]byte{}, key...), make([]byte, 11)...)
		}
	} else {
		sum := md5.Sum(b)
		key = sum[:]
	}
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic("offcrypto: key of no bytes") // it has 5 to 16
	}
	return c
}

// Decrypt returns a stream whose key changes at each of so many bytes.
func (k *Key) Decrypt(b []byte, block int) []byte {
	out := make([]byte, len(b))
	for at, n := 0, uint32(0); at < len(b); at, n = at+block, n+1 {
		end := min(len(b), at+block)
		k.stream(n).XORKeyStream(out[at:end], b[at:end])
	}
	return out
}

// XORKey returns the bytes that Excel's obfuscation mixes in, for a password
// of 1 to 15 ASCII letters; false where key and hash are another password's.
//
// Source: [MS-OFFCRYPTO] 2.3.7.1, 2.3.7.2.
func XORKey(key, hash uint16, password string) (out [16]byte, ok bool) {
	n := len(password)
	if n == 0 || n > 15 {
		return out, false
	}
	base, end, k := uint16(0x8000), uint16(0xffff), uint16(0)
	turn := func(v uint16) uint16 {
		if v = v<<1 | v>>15; v&1 != 0 {
			v ^= 0x1020
		}
		return v
	}
	h := uint16(n) ^ 0xce4b
	for i := n - 1; i >= 0; i-- {
		c := password[i] & 0x7f
		for range 8 {
			if base = turn(base); c&1 != 0 {
				k ^= base
			}
			c >>= 1
			end = turn(end)
		}
	}
	for i := range n { // turned within 15 bits
		c, turns := uint16(password[i]), i+1
		h ^= (c<<turns | c>>(15-turns)) & 0x7fff
	}
	if k ^= end; k != key || h != hash {
		return out, false
	}
	fill := [...]byte{0xbb, 0xff, 0xff, 0xba, 0xff, 0xff, 0xb9, 0x80, 0, 0xbe, 0x0f, 0, 0xbf, 0x0f, 0}
	copy(out[:], password)
	copy(out[n:], fill[:])
	for i := range out {
		c := out[i] ^ byte(k>>(8*(i&1)))
		out[i] = c<<2 | c>>6
	}
	return out, true
}
