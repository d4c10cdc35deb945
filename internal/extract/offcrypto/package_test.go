package offcrypto_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/offcrypto"
)

func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func digest(newHash func() hash.Hash, parts ...[]byte) []byte {
	h := newHash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func spun(newHash func() hash.Hash, salt []byte, password string, spins int) []byte {
	var wide []byte
	for _, u := range utf16.Encode([]rune(password)) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	h := digest(newHash, salt, wide)
	for i := range spins {
		h = digest(newHash, le32(i), h)
	}
	return h
}

func padded(b []byte, n int) []byte { // as the format fills up hashes
	for len(b) < n {
		b = append(b, 0x36)
	}
	return b[:n]
}

func seal(t testing.TB, key, iv, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(plain), make([]byte, (16-len(plain)%16)%16)...)
	if iv == nil {
		for i := 0; i < len(out); i += 16 {
			block.Encrypt(out[i:], out[i:])
		}
	} else {
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
	}
	return out
}

// agile enciphers as [MS-OFFCRYPTO] 2.3.4.10 to 2.3.4.15 tell writers to.
func agile(t testing.TB, name string, newHash func() hash.Hash, bits, spins int, password string, plain []byte) (info, stream []byte) {
	t.Helper()
	salt, dataSalt := []byte("a salt of sixtee"), []byte("another sixteen.")
	key := bytes.Repeat([]byte("k3y!"), 8)[:bits/8]
	h, b64 := spun(newHash, salt, password, spins), base64.StdEncoding.EncodeToString
	part := func(purpose []byte, plain []byte) string {
		return b64(seal(t, padded(digest(newHash, h, purpose), bits/8), salt, plain))
	}
	input := []byte("sixteen at will.")
	attrs := fmt.Sprintf(`saltSize="16" blockSize="16" keyBits="%d" hashSize="%d" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="%s"`, bits, newHash().Size(), name)
	xml := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><encryption xmlns="http://schemas.microsoft.com/office/2006/encryption" xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password">`+
		`<keyData %s saltValue="%s"/><keyEncryptors><keyEncryptor uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password"><p:encryptedKey spinCount="%d" %s saltValue="%s" `+
		`encryptedVerifierHashInput="%s" encryptedVerifierHashValue="%s" encryptedKeyValue="%s"/></keyEncryptor></keyEncryptors></encryption>`,
		attrs, b64(dataSalt), spins, attrs, b64(salt),
		part([]byte{0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79}, input),
		part([]byte{0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e}, digest(newHash, input)),
		part([]byte{0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6}, key))
	info = append([]byte{4, 0, 4, 0, 0x40, 0, 0, 0}, xml...)
	stream = binary.LittleEndian.AppendUint64(nil, uint64(len(plain)))
	n := 0
	for c := range slices.Chunk(plain, 4096) {
		stream = append(stream, seal(t, key, padded(digest(newHash, dataSalt, le32(n)), 16), c)...)
		n++
	}
	return info, stream
}

// standard enciphers as [MS-OFFCRYPTO] 2.3.4.5 to 2.3.4.9 tell writers to.
func standard(t testing.TB, bits int, password string, plain []byte) (info, stream []byte) {
	t.Helper()
	salt := []byte("a salt of sixtee")
	h := digest(sha1.New, spun(sha1.New, salt, password, 50000), le32(0))
	var key []byte
	for _, c := range []byte{0x36, 0x5c} {
		b := bytes.Repeat([]byte{c}, 64)
		for i := range h {
			b[i] ^= h[i]
		}
		key = append(key, digest(sha1.New, b)...)
	}
	key = key[:bits/8]
	input := []byte("sixteen at will.")
	info = slices.Concat([]byte{3, 0, 2, 0}, le32(0x24), le32(34), le32(0x24), le32(0), le32(0x660e+bits/64-2), le32(0x8004), le32(bits), le32(0x18), le32(0), le32(0), []byte{'A', 0},
		le32(16), salt, seal(t, key, nil, input), le32(20), seal(t, key, nil, digest(sha1.New, input)))
	return info, append(binary.LittleEndian.AppendUint64(nil, uint64(len(plain))), seal(t, key, nil, plain)...)
}

// TestOpenPackage holds that what a writer enciphers comes back whole with its
// password, and with no other.
func TestOpenPackage(t *testing.T) {
	plain := []byte(strings.Repeat("536-22-8145 of a package. ", 400)) // three segments, the last cut
	for name, c := range map[string]func(password string) (info, stream []byte){
		"agile, SHA-512, AES-256": func(p string) ([]byte, []byte) { return agile(t, "SHA512", sha512.New, 256, 100000, p, plain) },
		"agile, SHA-1, AES-128":   func(p string) ([]byte, []byte) { return agile(t, "SHA1", sha1.New, 128, 1000, p, plain) },
		"agile, SHA-1, AES-256":   func(p string) ([]byte, []byte) { return agile(t, "SHA1", sha1.New, 256, 1000, p, plain) },
		"agile, SHA-384, AES-192": func(p string) ([]byte, []byte) { return agile(t, "SHA384", sha512.New384, 192, 1, p, plain) },
		"agile, SHA-256, no spin": func(p string) ([]byte, []byte) { return agile(t, "SHA256", sha256.New, 256, 0, p, plain) },
		"standard, AES-128":       func(p string) ([]byte, []byte) { return standard(t, 128, p, plain) },
		"standard, AES-192":       func(p string) ([]byte, []byte) { return standard(t, 192, p, plain) },
		"standard, AES-256":       func(p string) ([]byte, []byte) { return standard(t, 256, p, plain) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, password := range []string{"Geheimnis ü", ""} {
				info, stream := c(password)
				key := offcrypto.OpenPackage(info, password)
				if key == nil {
					t.Fatalf("%q does not open it", password)
				}
				if got := key.Decrypt(stream); !bytes.Equal(got, plain) {
					t.Errorf("got %d bytes, want %d", len(got), len(plain))
				}
				if got := key.Decrypt(stream[:5000]); len(got) == 0 || !bytes.HasPrefix(plain, got) {
					t.Errorf("cut: got %d bytes", len(got))
				}
				if offcrypto.OpenPackage(info, password+"x") != nil {
					t.Error("another password opens it")
				}
			}
		})
	}
}

// TestOpenPackageNot holds that a header that asks for too much, or is damaged,
// opens nothing.
func TestOpenPackageNot(t *testing.T) {
	good, _ := agile(t, "SHA512", sha512.New, 256, 10, "x", nil)
	for name, info := range map[string][]byte{
		"empty":        nil,
		"cut":          good[:len(good)/2],
		"spins":        bytes.Replace(good, []byte(`spinCount="10"`), []byte(`spinCount="10000000"`), 1),
		"below zero":   bytes.Replace(good, []byte(`spinCount="10"`), []byte(`spinCount="-1"`), 1),
		"cipher":       bytes.ReplaceAll(good, []byte(`"AES"`), []byte(`"RC2"`)),
		"key bits":     bytes.ReplaceAll(good, []byte(`keyBits="256"`), []byte(`keyBits="8"`)),
		"hash size":    bytes.ReplaceAll(good, []byte(`hashSize="64"`), []byte(`hashSize="99"`)),
		"long":         append(bytes.Clone(good), make([]byte, 1<<16)...),
		"standard cut": append([]byte{3, 0, 2, 0}, make([]byte, 40)...),
	} {
		if offcrypto.OpenPackage(info, "x") != nil {
			t.Errorf("%s: opened", name)
		}
	}
	if offcrypto.OpenPackage(good, "x") == nil {
		t.Error("the good one does not open")
	}
}

func FuzzOpenPackage(f *testing.F) {
	info, stream := agile(f, "SHA512", sha512.New, 256, 10, "x", []byte("536-22-8145"))
	f.Add(info, stream)
	info, stream = standard(f, 128, "x", []byte("536-22-8145"))
	f.Add(info, stream)
	f.Fuzz(func(t *testing.T, info, stream []byte) {
		if k := offcrypto.OpenPackage(info, "x"); k != nil && len(k.Decrypt(stream)) > len(stream) {
			t.Fatal("length")
		}
	})
}
