package formats_test

import (
	"bytes"
	"crypto/aes"
	"crypto/sha1"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// encryptedOOXML puts a package into a compound file, enciphered with a password
// of ASCII letters by standard encryption. [MS-OFFCRYPTO] 2.3.4.4 to 2.3.4.9;
// [MS-CFB] 2.2, 2.6.
func encryptedOOXML(t *testing.T, password, pack string) []byte {
	t.Helper()
	u32 := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
	salt := []byte("a salt of sixtee")
	hash := sha1.Sum(append(bytes.Clone(salt), strings.Join(strings.Split(password, ""), "\x00")+"\x00"...))
	for i := range 50000 {
		hash = sha1.Sum(append(u32(i), hash[:]...))
	}
	hash = sha1.Sum(append(hash[:], 0, 0, 0, 0))
	mixed := bytes.Repeat([]byte{0x36}, 64)
	for i := range hash {
		mixed[i] ^= hash[i]
	}
	key := sha1.Sum(mixed)
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		t.Fatal(err)
	}
	seal := func(b []byte) []byte {
		b = append(bytes.Clone(b), make([]byte, (16-len(b)%16)%16)...)
		for i := 0; i < len(b); i += 16 {
			block.Encrypt(b[i:], b[i:])
		}
		return b
	}
	input := sha1.Sum([]byte("sixteen at will."))
	info := slices.Concat([]byte{3, 0, 2, 0}, u32(0x24), u32(34), u32(0x24), u32(0), u32(0x660e), u32(0x8004), u32(128), u32(0x18), u32(0), u32(0), []byte{'A', 0},
		u32(16), salt, seal([]byte("sixteen at will.")), u32(20), seal(input[:]))
	stream := append(binary.LittleEndian.AppendUint64(nil, uint64(len(pack))), seal([]byte(pack))...)
	for _, s := range []*[]byte{&info, &stream} { // so that neither is a short stream, and each fills its sectors
		*s = append(*s, make([]byte, max(4096-len(*s), 0))...)
		*s = append(*s, make([]byte, (512-len(*s)%512)%512)...)
	}
	const end, free = 0xfffffffe, 0xffffffff
	entry := func(name string, kind byte, right, child, start, size int) []byte {
		e := make([]byte, 128)
		for i := range len(name) {
			e[2*i] = name[i]
		}
		e[64], e[66], e[67] = byte(2*len(name)+2), kind, 1
		for at, v := range map[int]int{68: free, 72: right, 76: child, 116: start, 120: size} {
			copy(e[at:], u32(v))
		}
		return e
	}
	head := make([]byte, 76)
	copy(head, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	for at, v := range map[int]int{24: 0x3e, 26: 3, 28: 0xfffe, 30: 9, 32: 6, 44: 1, 48: 1, 56: 4096, 60: end, 68: end} {
		binary.LittleEndian.PutUint16(head[at:], uint16(v))
		if v == end {
			copy(head[at:], u32(end))
		}
	}
	for i := range 109 {
		if i == 0 {
			head = append(head, u32(0)...)
		} else {
			head = append(head, u32(free)...)
		}
	}
	fat := slices.Concat(u32(0xfffffffd), u32(end)) // sector 0 is this table, 1 the directory
	for _, s := range [][]byte{info, stream} {
		for n := len(s) / 512; n > 1; n-- {
			fat = append(fat, u32(len(fat)/4+1)...)
		}
		fat = append(fat, u32(end)...)
	}
	fat = append(fat, bytes.Repeat([]byte{0xff}, 512-len(fat))...)
	return slices.Concat(head, fat, entry("Root Entry", 5, free, 1, end, 0), entry("EncryptionInfo", 2, 2, free, 2, len(info)),
		entry("EncryptedPackage", 2, free, free, 2+len(info)/512, len(stream)), make([]byte, 128), info, stream)
}

// TestEncryptedOOXML holds that a package is read with the password that Excel
// puts in by itself, and told as encrypted where it has another.
func TestEncryptedOOXML(t *testing.T) {
	pack := zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"word/document.xml", `<w:document><w:p><w:r><w:t>SSN 536-22-8145</w:t></w:r></w:p></w:document>`})
	a := serve(t, false, limits, encryptedOOXML(t, "VelvetSweatshop", pack))
	if !strings.Contains(a.texts["1"], "SSN 536-22-8145") || len(a.gaps) > 0 {
		t.Errorf("got %q, gaps %v", a.texts, a.told())
	}
	mail := crlf("Subject: the password is: Kolibri-77", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "", b64(string(encryptedOOXML(t, "Kolibri-77", pack))))
	a = withPasswords(t, true, []byte(mail), 50, 200)
	if !strings.Contains(a.texts["1/1"], "SSN 536-22-8145") || len(a.gaps) > 0 {
		t.Errorf("a password of the message: got %q, gaps %v", a.texts, a.told())
	}
	a = serve(t, false, limits, encryptedOOXML(t, "another", pack))
	if got := a.told(); !slices.Equal(got, []string{"encrypted ooxml"}) {
		t.Errorf("another password: got gaps %v, texts %q", got, a.texts)
	}
}
