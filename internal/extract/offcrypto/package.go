package offcrypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"hash"
)

// Bounds of what a header may ask for.
const (
	maxInfo  = 64 << 10 // bytes of a header; writers make 1 to 2 KiB
	maxSpins = 1000000  // hashes for one password; Office takes 50,000 and 100,000, the format allows ten times this
)

// segment is how many bytes agile encryption ciphers at a time. [MS-OFFCRYPTO] 2.3.4.15.
const segment = 4096

// OpenPackage checks a password against the stream EncryptionInfo of an
// encrypted OOXML document; nil where the password does not open it, or the
// header is not known. Certificates and rights management are not.
//
// Source: [MS-OFFCRYPTO] 2.3.4.
func OpenPackage(info []byte, password string) *PackageKey {
	if len(info) < 8 || len(info) > maxInfo {
		return nil
	}
	major, minor := binary.LittleEndian.Uint16(info), binary.LittleEndian.Uint16(info[2:])
	switch {
	case major == 4 && minor == 4:
		return openAgile(info[8:], password)
	case major >= 2 && major <= 4 && minor == 2:
		return openStandard(info[4:], password)
	}
	return nil
}

// PackageKey deciphers the stream EncryptedPackage.
type PackageKey struct {
	block cipher.Block
	hash  func() hash.Hash // of agile encryption; nil: standard, which has no vectors
	salt  []byte
}

// Decrypt returns the package, which is a zip; empty where the stream holds
// none. What is cut comes as far as it goes.
func (k *PackageKey) Decrypt(stream []byte) []byte {
	if len(stream) < 8 {
		return nil
	}
	size := binary.LittleEndian.Uint64(stream)
	stream = stream[8:]
	stream = stream[:len(stream)/aes.BlockSize*aes.BlockSize]
	out := make([]byte, len(stream))
	if k.hash == nil {
		for i := 0; i < len(stream); i += aes.BlockSize {
			k.block.Decrypt(out[i:], stream[i:])
		}
	} else {
		for at, n := 0, uint32(0); at < len(stream); at, n = at+segment, n+1 {
			end := min(len(stream), at+segment)
			iv := sum(k.hash, k.salt, binary.LittleEndian.AppendUint32(nil, n))
			cipher.NewCBCDecrypter(k.block, fit(iv, aes.BlockSize)).CryptBlocks(out[at:end], stream[at:end])
		}
	}
	return out[:min(size, uint64(len(out)))]
}

// openStandard reads header and verifier. [MS-OFFCRYPTO] 2.3.4.5 to 2.3.4.9.
func openStandard(b []byte, password string) *PackageKey {
	if len(b) < 8 {
		return nil
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if size < 20 || 8+size+4+16+16+4+32 > int64(len(b)) {
		return nil
	}
	head, v := b[8:8+size], b[8+size:]
	bits := binary.LittleEndian.Uint32(head[16:])
	switch binary.LittleEndian.Uint32(head[8:]) { // AlgID
	case 0x660e, 0x660f, 0x6610:
	case 0: // [MS-OFFCRYPTO] 2.3.2: as the flags say, and AES is all that is left
	default:
		return nil
	}
	if bits != 128 && bits != 192 && bits != 256 || binary.LittleEndian.Uint32(v) != 16 {
		return nil
	}
	const spins = 50000
	h := spin(sha1.New, v[4:20], password, spins)
	h = sum(sha1.New, h, make([]byte, 4))
	key := append(sum(sha1.New, filled(0x36, h)), sum(sha1.New, filled(0x5c, h))...)[:bits/8]
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil // it has one of three lengths
	}
	plain := make([]byte, 48)
	for i := 0; i < 16; i += aes.BlockSize {
		block.Decrypt(plain[i:], v[20+i:])
	}
	for i := 0; i < 32; i += aes.BlockSize {
		block.Decrypt(plain[16+i:], v[40+i:])
	}
	want := sha1.Sum(plain[:16])
	if subtle.ConstantTimeCompare(want[:], plain[16:36]) != 1 {
		return nil
	}
	return &PackageKey{block: block}
}

// filled returns 64 bytes of c with h mixed into the first.
func filled(c byte, h []byte) []byte {
	b := bytes.Repeat([]byte{c}, 64)
	subtle.XORBytes(b, b, h)
	return b
}

// agileCipher says how something is enciphered. [MS-OFFCRYPTO] 2.3.4.10.
type agileCipher struct {
	KeyBits   int    `xml:"keyBits,attr"`
	BlockSize int    `xml:"blockSize,attr"`
	HashSize  int    `xml:"hashSize,attr"`
	Cipher    string `xml:"cipherAlgorithm,attr"`
	Chaining  string `xml:"cipherChaining,attr"`
	Hash      string `xml:"hashAlgorithm,attr"`
	Salt      string `xml:"saltValue,attr"`
}

type agileInfo struct {
	KeyData agileCipher `xml:"keyData"`
	Keys    []struct {
		agileCipher
		Spins int    `xml:"spinCount,attr"`
		Input string `xml:"encryptedVerifierHashInput,attr"`
		Value string `xml:"encryptedVerifierHashValue,attr"`
		Key   string `xml:"encryptedKeyValue,attr"`
	} `xml:"keyEncryptors>keyEncryptor>encryptedKey"`
}

// known reports a cipher that is AES in CBC, and returns its hash.
func (c *agileCipher) known() (func() hash.Hash, bool) {
	h, ok := map[string]func() hash.Hash{"SHA1": sha1.New, "SHA-1": sha1.New, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New}[c.Hash]
	return h, ok && c.Cipher == "AES" && c.Chaining == "ChainingModeCBC" && c.BlockSize == aes.BlockSize &&
		(c.KeyBits == 128 || c.KeyBits == 192 || c.KeyBits == 256) && c.HashSize == h().Size()
}

// openAgile reads the header in XML. [MS-OFFCRYPTO] 2.3.4.10 to 2.3.4.13.
func openAgile(b []byte, password string) *PackageKey {
	var info agileInfo
	if xml.Unmarshal(b, &info) != nil {
		return nil
	}
	dataHash, ok := info.KeyData.known()
	if !ok {
		return nil
	}
	dataSalt, err := base64.StdEncoding.DecodeString(info.KeyData.Salt)
	if err != nil {
		return nil
	}
	for i := range min(len(info.Keys), 4) { // others are for certificates
		k := &info.Keys[i]
		newHash, ok := k.known()
		salt, err := base64.StdEncoding.DecodeString(k.Salt)
		if !ok || err != nil || k.Spins < 0 || k.Spins > maxSpins {
			continue
		}
		h := spin(newHash, salt, password, k.Spins)
		open := func(purpose, text string) []byte {
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil || len(b) == 0 || len(b)%aes.BlockSize != 0 {
				return nil
			}
			block, err := aes.NewCipher(fit(sum(newHash, h, []byte(purpose)), k.KeyBits/8))
			if err != nil {
				return nil // known has checked the length
			}
			cipher.NewCBCDecrypter(block, fit(salt, aes.BlockSize)).CryptBlocks(b, b)
			return b
		}
		input := open("\xfe\xa7\xd2\x76\x3b\x4b\x9e\x79", k.Input)
		value := open("\xd7\xaa\x0f\x6d\x30\x61\x34\x4e", k.Value)
		key := open("\x14\x6e\x0b\xe7\xab\xac\xd0\xd6", k.Key)
		if len(input) == 0 || len(value) < k.HashSize || len(key) < info.KeyData.KeyBits/8 ||
			subtle.ConstantTimeCompare(sum(newHash, input), value[:k.HashSize]) != 1 {
			continue
		}
		block, err := aes.NewCipher(key[:info.KeyData.KeyBits/8])
		if err != nil {
			continue // known has checked the length
		}
		return &PackageKey{block: block, hash: dataHash, salt: dataSalt}
	}
	return nil
}

// spin makes a password's hash slow. [MS-OFFCRYPTO] 2.3.4.7, 2.3.4.11.
func spin(newHash func() hash.Hash, salt []byte, password string, spins int) []byte {
	h := newHash()
	h.Write(salt)
	h.Write(wide(password))
	last := h.Sum(nil)
	var n [4]byte
	for i := range spins {
		binary.LittleEndian.PutUint32(n[:], uint32(i))
		h.Reset()
		h.Write(n[:])
		h.Write(last)
		last = h.Sum(last[:0])
	}
	return last
}

func sum(newHash func() hash.Hash, parts ...[]byte) []byte {
	h := newHash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// fit cuts b to n bytes, or fills it up. [MS-OFFCRYPTO] 2.3.4.11.
func fit(b []byte, n int) []byte {
	out := bytes.Repeat([]byte{0x36}, n)
	copy(out, b)
	return out
}
