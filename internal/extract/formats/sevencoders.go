package formats

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"unicode/utf16"

	"github.com/bodgit/sevenzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stangelandcl/ppmd"
	"github.com/ulikunitz/xz/lzma"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/xz"
)

// errSevenLocked says that something of a 7z archive is encrypted, and that no
// password was given.
var errSevenLocked = errors.New("formats: 7z is encrypted")

// sevenMemory is the most that a decoder of a 7z archive may hold, in bytes: a
// quarter more than what 7z takes for PPMd at its hardest would pass a child's
// own limit.
const sevenMemory = 128 << 20

// registerSevenCoders puts decoders that are bounded, and a cipher that tells of
// a missing password, in the place of the library's own. The library keeps them
// for the whole process.
var registerSevenCoders = sync.OnceFunc(func() {
	reg := func(f sevenzip.Decompressor, id ...byte) { sevenzip.RegisterDecompressor(id, f) }
	reg(sevenLZMA, 3, 1, 1)
	reg(sevenLZMA2, 0x21)
	reg(sevenPPMd, 3, 4, 1)
	reg(sevenZstd, 4, 0xf7, 0x11, 1)
	reg(sevenAES, 6, 0xf1, 7, 1)
	reg(sevenBranch(10), 10) // ARM64
	reg(sevenBranch(11), 11) // RISC-V
})

var errSevenMemory = gapOf(dlp.TooLarge, "dictionary")

type readerAndCloser struct {
	io.Reader
	io.Closer
}

func sevenLZMA(p []byte, size uint64, in []io.ReadCloser) (io.ReadCloser, error) {
	if len(p) != 5 || len(in) != 1 {
		return nil, gapOf(dlp.Corrupt, "7z")
	}
	dict := min(uint64(binary.LittleEndian.Uint32(p[1:])), size)
	if dict > sevenMemory {
		return nil, errSevenMemory
	}
	r, err := rawLZMA(bufio.NewReader(in[0]), p[0], int64(max(dict, lzma.MinDictCap)), int64(size))
	if err != nil {
		return nil, err
	}
	return readerAndCloser{r, in[0]}, nil
}

func sevenLZMA2(p []byte, size uint64, in []io.ReadCloser) (io.ReadCloser, error) {
	if len(p) != 1 || len(in) != 1 || p[0] > 40 {
		return nil, gapOf(dlp.Corrupt, "7z")
	}
	dict := size
	if p[0] < 40 {
		dict = min(size, uint64(2|p[0]&1)<<(p[0]/2+11))
	}
	if dict > sevenMemory {
		return nil, errSevenMemory
	}
	r, err := lzma.Reader2Config{DictCap: int(max(dict, lzma.MinDictCap))}.NewReader2(bufio.NewReader(in[0]))
	if err != nil {
		return nil, err
	}
	return readerAndCloser{r, in[0]}, nil
}

func sevenPPMd(p []byte, size uint64, in []io.ReadCloser) (io.ReadCloser, error) {
	if len(p) != 5 || len(in) != 1 || size > 1<<62 {
		return nil, gapOf(dlp.Corrupt, "7z")
	}
	memory := binary.LittleEndian.Uint32(p[1:])
	if memory > 2*sevenMemory { // it is touched only as far as the content needs it
		return nil, errSevenMemory
	}
	r, err := ppmd.NewH7zReader(bufio.NewReader(in[0]), int(p[0]), int(memory), int(size))
	if err != nil {
		return nil, err
	}
	return readerAndCloser{&r, in[0]}, nil
}

// sevenBranch undoes a filter for programs, which has the same identifier as in xz.
// Its property, where it has one, is the place at which the program begins.
func sevenBranch(id uint64) sevenzip.Decompressor {
	return func(p []byte, _ uint64, in []io.ReadCloser) (io.ReadCloser, error) {
		if len(in) != 1 || len(p) != 0 && len(p) != 4 {
			return nil, gapOf(dlp.Corrupt, "7z")
		}
		start := uint32(0)
		if len(p) == 4 {
			start = binary.LittleEndian.Uint32(p)
		}
		return readerAndCloser{xz.NewBranch(in[0], id, start), in[0]}, nil
	}
}

func sevenZstd(_ []byte, _ uint64, in []io.ReadCloser) (io.ReadCloser, error) {
	if len(in) != 1 {
		return nil, gapOf(dlp.Corrupt, "7z")
	}
	r, err := zstd.NewReader(in[0], zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(sevenMemory))
	if err != nil {
		return nil, err
	}
	return readerAndCloser{r, in[0]}, nil
}

// sevenCipher decrypts AES-256 in CBC mode, once it has its password.
type sevenCipher struct {
	in     io.ReadCloser
	cycles byte
	salt   []byte
	iv     [aes.BlockSize]byte
	mode   cipher.BlockMode
	buf    [4096]byte
	plain  []byte // of buf, not yet taken
}

func sevenAES(p []byte, _ uint64, in []io.ReadCloser) (io.ReadCloser, error) {
	if len(in) != 1 || len(p) < 1 {
		return nil, gapOf(dlp.Corrupt, "7z")
	}
	c := &sevenCipher{in: in[0], cycles: p[0] & 0x3f}
	salt, iv := int(p[0]>>7), int(p[0]>>6&1)
	rest := p[1:]
	if salt+iv > 0 {
		if len(p) < 2 {
			return nil, gapOf(dlp.Corrupt, "7z")
		}
		salt, iv, rest = salt+int(p[1]>>4), iv+int(p[1]&0xf), p[2:]
	}
	if len(rest) != salt+iv {
		return nil, gapOf(dlp.Corrupt, "7z")
	}
	c.salt = rest[:salt]
	copy(c.iv[:], rest[salt:])
	return c, nil
}

// Password implements sevenzip.CryptoReadCloser.
func (c *sevenCipher) Password(pw string) error {
	if pw == "" {
		return errSevenLocked
	}
	if c.cycles > 20 && c.cycles != 0x3f { // 7-Zip writes 19: more is there to keep us busy
		return errSevenLocked
	}
	key := sevenKeys().key(pw, c.cycles, c.salt)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return err
	}
	c.mode = cipher.NewCBCDecrypter(block, c.iv[:])
	return nil
}

func (c *sevenCipher) Read(p []byte) (int, error) {
	if len(c.plain) == 0 {
		if c.mode == nil {
			return 0, errSevenLocked
		}
		n, err := io.ReadFull(c.in, c.buf[:])
		if n -= n % aes.BlockSize; n == 0 {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return 0, err
		}
		c.mode.CryptBlocks(c.buf[:n], c.buf[:n])
		c.plain = c.buf[:n]
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *sevenCipher) Close() error { return c.in.Close() }

// sevenKeys holds the last keys that were derived: each takes half a million
// rounds, and an archive asks again for each of its streams.
var sevenKeys = sync.OnceValue(func() *keyCache { return &keyCache{} })

type keyCache struct {
	mu   sync.Mutex // guards made
	made []sevenKey
}

type sevenKey struct {
	pw     string
	cycles byte
	salt   string
	key    [32]byte
}

func (k *keyCache) key(pw string, cycles byte, salt []byte) [32]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.made {
		if m.pw == pw && m.cycles == cycles && m.salt == string(salt) {
			return m.key
		}
	}
	m := sevenKey{pw, cycles, string(salt), deriveSeven(pw, cycles, salt)}
	const most = 8
	if len(k.made) == most {
		k.made = append(k.made[:0], k.made[1:]...)
	}
	k.made = append(k.made, m)
	return m.key
}

// wipe forgets all keys.
func (k *keyCache) wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.made)
	k.made = nil
}

// deriveSeven makes a key of a password: SHA-256 over salt, password in UTF-16 and
// a counter, 2^cycles times.
//
// Source: 7zAes.cpp of the LZMA SDK.
func deriveSeven(pw string, cycles byte, salt []byte) (key [32]byte) {
	round := append([]byte(nil), salt...)
	for _, u := range utf16.Encode([]rune(pw)) {
		round = binary.LittleEndian.AppendUint16(round, u)
	}
	if cycles == 0x3f {
		copy(key[:], round)
		return key
	}
	n := len(round)
	round = append(round, make([]byte, 8)...)
	const batch = 64 // rounds hashed at a time
	all := make([]byte, 0, batch*len(round))
	h := sha256.New()
	for i := uint64(0); i < 1<<cycles; {
		all = all[:0]
		for range min(batch, 1<<cycles-i) {
			binary.LittleEndian.PutUint64(round[n:], i)
			all = append(all, round...)
			i++
		}
		_, _ = h.Write(all) // a hash returns no error
	}
	clear(all)
	h.Sum(key[:0])
	return key
}
