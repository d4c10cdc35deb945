package formats

import (
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/bits"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/charmap"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/deflate64"
	"github.com/stanch-dlp/stanch/internal/extract/pkzip"
	"github.com/stanch-dlp/stanch/internal/extract/ppmd8"
	"github.com/stanch-dlp/stanch/internal/extract/xz"
	"github.com/stanch-dlp/stanch/internal/extract/zipcrypt"
)

// zipMember reads one member.
func (j *job) zipMember(at place, f *zip.File) {
	if strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 == 0 && f.CompressedSize64 == 0 {
		return
	}
	packed, size := int64(min(f.CompressedSize64, 1<<40)), int64(min(f.UncompressedSize64, 1<<40))
	if f.Flags&1 == 0 && (f.Method == zip.Store || f.Method == zip.Deflate) {
		r, err := f.Open()
		if err != nil {
			j.shut(at, dlp.Corrupt, "zip member", packed)
			return
		}
		defer r.Close() // it was only read
		j.member(at, r, packed, size, "zip member")
		return
	}
	raw, err := f.OpenRaw()
	if err != nil {
		j.shut(at, dlp.Corrupt, "zip member", packed)
		return
	}
	m := zipEntry{flags: f.Flags, method: f.Method, time: f.ModifiedTime, crc: f.CRC32, extra: f.Extra, packed: packed, size: size}
	if f.Flags&1 != 0 {
		data, err := io.ReadAll(io.LimitReader(raw, j.lim.Memory))
		if err != nil {
			j.shut(at, dlp.Corrupt, "zip member", packed)
			return
		}
		j.lockedMember(at, &m, data)
		return
	}
	j.unpackedMember(at, &m, raw)
}

// zipEntry is what a zip says of a member, in its directory or in front of it.
type zipEntry struct {
	flags, method uint16
	time          uint16
	crc           uint32
	extra         []byte
	packed, size  int64
}

// unpackedMember reads a member from its content.
func (j *job) unpackedMember(at place, m *zipEntry, content io.Reader) {
	r, err := j.unzip(m, content)
	if err != nil {
		ge, ok := err.(*gapError) //nolint:errorlint // unzip wraps none
		if !ok {
			ge = &gapError{dlp.Corrupt, "zip member"}
		}
		j.shut(at, ge.cause, ge.detail, m.packed)
		return
	}
	j.member(at, &checked{r: r, want: m.crc, sum: crc32.NewIEEE()}, m.packed, m.size, "zip member")
}

// unzip returns the plain content of a member.
//
// Source: APPNOTE.TXT 4.4.5, 5.8 for LZMA, 5.10 for PPMd.
func (j *job) unzip(m *zipEntry, content io.Reader) (io.Reader, error) {
	switch m.method {
	case 0:
		return content, nil
	case 1, 2, 3, 4, 5, 6, 10:
		return j.unzipEarly(m, content)
	case 8:
		return flate.NewReader(content), nil
	case 9:
		return deflate64.NewReader(content), nil
	case 12:
		return bzip2.NewReader(content), nil
	case 14:
		var h [9]byte // version, length of the properties, properties
		if _, err := io.ReadFull(content, h[:]); err != nil || binary.LittleEndian.Uint16(h[2:]) != 5 {
			return nil, gapOf(dlp.Corrupt, "zip LZMA")
		}
		size, dict := m.size, int64(binary.LittleEndian.Uint32(h[5:]))
		if m.flags&2 != 0 { // a mark ends it
			size = -1
		} else {
			dict = min(dict, size)
		}
		if dict > j.dictionary() {
			return nil, gapOf(dlp.TooLarge, "dictionary")
		}
		return rawLZMA(content, h[4], max(dict, 4096), size)
	case 20, 93:
		return zstd.NewReader(content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(1<<(bits.Len64(uint64(j.dictionary()))-1)))
	case 95:
		b, err := io.ReadAll(content)
		if err != nil {
			return nil, err
		}
		return xz.NewReader(bytes.NewReader(b), j.dictionary())
	case 98:
		size := m.size
		if size == 0 { // it stands behind the content: a mark ends that
			size = -1
		}
		r, err := ppmd8.NewReader(content, size, 2*j.dictionary()) // it is touched only as far as the content needs it
		switch {
		case errors.Is(err, ppmd8.ErrMemory):
			return nil, gapOf(dlp.TooLarge, "dictionary")
		case errors.Is(err, ppmd8.ErrMethod):
			return nil, gapOf(dlp.Unsupported, zipMethod(m.method))
		}
		return r, err
	}
	return nil, gapOf(dlp.Unsupported, zipMethod(m.method))
}

// zipMethod names a method that is not read. APPNOTE.TXT 4.4.5.
func zipMethod(method uint16) string {
	switch {
	case method == 96:
		return "zip JPEG"
	case method == 97:
		return "zip WavPack"
	case method == 98:
		return "zip PPMd"
	}
	return "zip method " + itoa(int(method))
}

// lockedMember reads an encrypted member where a password is known.
func (j *job) lockedMember(at place, m *zipEntry, data []byte) {
	cipher := zipCipher(m)
	held := *m
	strength, method, ok := zipAES(m.extra)
	if ok {
		held.method = method
	}
	var plain io.Reader
	fits := func(pw []byte) bool {
		if m.flags&0x40 != 0 {
			return false
		}
		var err error
		if ok {
			plain, err = zipcrypt.AES(data, pw, strength)
			return err == nil
		}
		checks := []byte{byte(m.crc >> 24)}
		if m.flags&8 != 0 {
			checks = append(checks, byte(m.time>>8))
		}
		open := func() (io.Reader, error) { return zipcrypt.Traditional(data, pw, checks...) }
		if !j.provesZip(&held, open) {
			return false
		}
		plain, err = open()
		return err == nil
	}
	_, at.opened = j.unlock(func(pw string) bool { return tryEncodings(pw, fits) })
	if !at.opened {
		j.shut(at, dlp.Encrypted, cipher, m.packed)
		return
	}
	j.unpackedMember(at, &held, plain)
}

// tryEncodings tries a password in the encodings that programs hand on to a zip.
func tryEncodings(pw string, fits func([]byte) bool) bool {
	if fits([]byte(pw)) {
		return true
	}
	for _, cs := range []*charmap.Charmap{charmap.CodePage437, charmap.CodePage850, charmap.Windows1252} {
		b, err := cs.NewEncoder().Bytes([]byte(pw))
		if err == nil && string(b) != pw && fits(b) {
			return true
		}
	}
	return false
}

// provesZip reports whether what is opened unpacks to what has the checksum that
// it must have: the older cipher lets one wrong password in 256 pass.
func (j *job) provesZip(m *zipEntry, open func() (io.Reader, error)) bool {
	if m.crc == 0 && m.size != 0 {
		return false
	}
	return j.proves(m, func() (io.Reader, error) {
		plain, err := open()
		if err != nil {
			return nil, err
		}
		return j.unzip(m, plain)
	})
}

// proves reports whether what is opened has the member's size and checksum.
func (j *job) proves(m *zipEntry, open func() (io.Reader, error)) bool {
	spent := j.decoded
	defer func() { j.decoded = spent }() // it is counted when it is read
	return guardedTry(func() bool {
		r, err := open()
		if err != nil {
			return false
		}
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, &budget{j: j, r: r, packed: m.packed})
		return err == nil && sum.Sum32() == m.crc && (n == m.size || m.size == 0)
	})
}

// unzipEarly returns the plain content of a member of the methods of before 1993 and of method 10.
// One whose flags were once meant otherwise is read as its checksum tells.
func (j *job) unzipEarly(m *zipEntry, content io.Reader) (io.Reader, error) {
	size := m.size
	if size == 0 && m.packed > 0 { // it was not told
		size = -1
	}
	if m.method != 6 || !pkzip.Ambiguous(m.flags) {
		return pkzip.MethodReader(content, m.method, m.flags, size, false)
	}
	b, err := io.ReadAll(io.LimitReader(content, j.lim.Memory+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(b)) > j.lim.Memory: // a part of it could have the checksum
		return nil, gapOf(dlp.TooLarge, "more than may be held")
	}
	as := func(early bool) func() (io.Reader, error) {
		return func() (io.Reader, error) {
			return pkzip.MethodReader(bytes.NewReader(b), m.method, m.flags, size, early)
		}
	}
	return as(!j.proves(m, as(false)) && j.proves(m, as(true)))()
}

// zipAES returns what WinZip's extra field says: strength and the method under
// the encryption.
func zipAES(extra []byte) (strength int, method uint16, ok bool) {
	for x := extra; len(x) >= 4; {
		id, n := binary.LittleEndian.Uint16(x), int(binary.LittleEndian.Uint16(x[2:]))
		if n > len(x)-4 {
			break
		}
		if id == 0x9901 && n >= 7 {
			return int(x[4+4]), binary.LittleEndian.Uint16(x[4+5:]), true
		}
		x = x[4+n:]
	}
	return 0, 0, false
}

// zipCipher names what a member is encrypted with. APPNOTE.TXT 4.4.4, 7;
// WinZip AE-2 for the extra field 0x9901.
func zipCipher(m *zipEntry) string {
	if strength, _, ok := zipAES(m.extra); ok {
		switch strength {
		case 1:
			return "zip AES-128"
		case 2:
			return "zip AES-192"
		}
		return "zip AES-256"
	}
	if m.method == 99 {
		return "zip AES-256"
	}
	if m.flags&0x40 != 0 {
		return "zip strong encryption"
	}
	return "zip ZipCrypto"
}
