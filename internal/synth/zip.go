package synth

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Member is one file of an archive, or one attachment.
type Member struct {
	Name string // slash-separated
	Data []byte
}

// fixedTime stands in archives and messages for the clock.
func fixedTime() time.Time { return time.Date(2026, time.October, 5, 9, 30, 0, 0, time.UTC) }

// Zip writes an archive of deflated members.
func Zip(members ...Member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.Name, Method: zip.Deflate, Modified: fixedTime()})
		must(err)
		_, err = w.Write(m.Data)
		must(err)
	}
	must(z.Close())
	return b.Bytes()
}

// ZipCrypto writes an archive whose members are encrypted with the traditional
// PKWARE cipher under password, as most desktop programs still do.
//
// Source: PKWARE APPNOTE 6.3.10, 6.1.
func ZipCrypto(password string, members ...Member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		sum := crc32.ChecksumIEEE(m.Data)
		head := sha256.Sum256([]byte(m.Name + "\x00" + password)) // stands for eleven random bytes: same input, same archive
		plain := append(head[:11:11], byte(sum>>24))              // APPNOTE 6.1.6: the last byte checks the password
		plain = append(plain, deflate(m.Data)...)
		keys := newPKWARE(password)
		raw(z, &zip.FileHeader{Name: m.Name, Method: zip.Deflate, Flags: 0x1, CRC32: sum}, keys.encrypt(plain), len(m.Data))
	}
	must(z.Close())
	return b.Bytes()
}

// ZipAES writes an archive whose members are encrypted with AES-256 (AE-2)
// under password, as 7-Zip and WinZip do.
//
// Source: WinZip, "AES Encryption Information", AE-2.
func ZipAES(password string, members ...Member) []byte {
	const methodAES = 99
	extra := []byte{0x01, 0x99, 7, 0, 2, 0, 'A', 'E', 3, 0, 0} // header ID, length, AE-2, vendor, 256 bits, method
	binary.LittleEndian.PutUint16(extra[9:], zip.Deflate)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		salt := sha256.Sum256([]byte(m.Name + "\x00" + password)) // sixteen bytes of it, for the same reason as above
		key, err := pbkdf2.Key(sha1.New, password, salt[:16], 1000, 32+32+2)
		must(err)
		sealed := deflate(m.Data)
		ctrLittleEndian(key[:32], sealed)
		mac := hmac.New(sha1.New, key[32:64])
		mac.Write(sealed)
		data := append(salt[:16:16], key[64:]...)
		data = append(data, sealed...)
		data = append(data, mac.Sum(nil)[:10]...)
		raw(z, &zip.FileHeader{Name: m.Name, Method: methodAES, Flags: 0x1, Extra: extra}, data, len(m.Data)) // AE-2: the CRC is 0
	}
	must(z.Close())
	return b.Bytes()
}

// raw adds a member whose stored bytes are made already.
func raw(z *zip.Writer, h *zip.FileHeader, data []byte, size int) {
	h.Modified = fixedTime()
	h.ModifiedDate, h.ModifiedTime = dosTime(h.Modified) //nolint:staticcheck // CreateRaw takes these, not Modified
	h.CompressedSize64, h.UncompressedSize64 = uint64(len(data)), uint64(size)
	w, err := z.CreateRaw(h)
	must(err)
	_, err = w.Write(data)
	must(err)
}

// dosTime returns t as MS-DOS keeps it. APPNOTE 4.4.6.
func dosTime(t time.Time) (date, clock uint16) {
	date = uint16(t.Day() + int(t.Month())<<5 + (t.Year()-1980)<<9)
	clock = uint16(t.Second()/2 + t.Minute()<<5 + t.Hour()<<11)
	return date, clock
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	must(err)
	_, err = w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// pkware is the state of the traditional cipher. APPNOTE 6.1.5.
type pkware [3]uint32

func newPKWARE(password string) *pkware {
	k := &pkware{0x12345678, 0x23456789, 0x34567890}
	for i := range len(password) {
		k.update(password[i])
	}
	return k
}

func (k *pkware) update(b byte) {
	k[0] = crcByte(k[0], b)
	k[1] = (k[1]+k[0]&0xff)*134775813 + 1
	k[2] = crcByte(k[2], byte(k[1]>>24))
}

// encrypt encrypts p in place and returns it.
func (k *pkware) encrypt(p []byte) []byte {
	for i, c := range p {
		t := uint16(k[2] | 2)
		p[i] = c ^ byte(uint32(t)*uint32(t^1)>>8)
		k.update(c)
	}
	return p
}

func crcByte(crc uint32, b byte) uint32 { return crc32.IEEETable[byte(crc)^b] ^ crc>>8 }

// ctrLittleEndian encrypts p in place with AES in counter mode, the counter
// little-endian from 1 as WinZip has it.
func ctrLittleEndian(key, p []byte) {
	block, err := aes.NewCipher(key)
	must(err)
	var counter, stream [aes.BlockSize]byte
	for n := uint64(1); len(p) > 0; n++ {
		binary.LittleEndian.PutUint64(counter[:], n)
		block.Encrypt(stream[:], counter[:])
		for i := range min(len(p), aes.BlockSize) {
			p[i] ^= stream[i]
		}
		p = p[min(len(p), aes.BlockSize):]
	}
}
