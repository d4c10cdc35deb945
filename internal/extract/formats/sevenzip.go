package formats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"github.com/bodgit/sevenzip"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// sevenMagic begins a 7z archive. 7zFormat.txt of the LZMA SDK.
const sevenMagic = "7z\xbc\xaf\x27\x1c"

const mediaSeven = "application/x-7z-compressed"

// sevenZip reads a 7z archive's members. What a link points to is its content.
func (j *job) sevenZip(at place, b []byte) error {
	start := bytes.Index(b[:min(len(b), 1<<20)], []byte(sevenMagic))
	if start < 0 || len(b)-start < 32 {
		j.part(at, mediaSeven)
		return gapOf(dlp.Corrupt, "7z")
	}
	from, size := binary.LittleEndian.Uint64(b[start+12:]), binary.LittleEndian.Uint64(b[start+20:])
	if from > 1<<40 || size > 1<<40 || 32+from+size > uint64(len(b)-start) {
		j.part(at, mediaSeven)
		if sevenVolume(at.name) {
			return gapOf(dlp.Unsupported, "7z: one of several volumes")
		}
		return gapOf(dlp.Corrupt, "7z cut, or one of several volumes")
	}
	end := start + int(32+from+size)
	a := &sevenArchive{j: j, b: b[start:end]}
	front, behind := b[:start], b[end:]
	if size == 0 { // an archive without members has no header
		j.part(at, mediaSeven)
		return j.beside(&at, front, behind)
	}
	registerSevenCoders()
	defer sevenKeys().wipe()
	err := a.open("")
	if errors.Is(err, errSevenLocked) {
		if pw, ok := j.unlock(func(pw string) bool { return a.open(pw) == nil }); ok {
			a.pw, at.opened, err = pw, true, nil
		}
	}
	j.part(at, mediaSeven)
	if err != nil {
		return sevenGap(err)
	}
	if len(a.z.File) > 2*j.lim.Members {
		return gapOf(dlp.TooMany, "members of a 7z")
	}
	l := &list{j: j, at: at}
	for _, f := range a.z.File {
		l.name(f.Name, "name")
	}
	if err := a.members(at); err != nil {
		return err
	}
	return j.beside(&at, front, behind)
}

// sevenVolume reports the name that 7z gives the first of several volumes; the
// others have no mark of their own.
func sevenVolume(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".7z.001") }

// sevenArchive is one archive on its way out.
type sevenArchive struct {
	j  *job
	b  []byte
	z  *sevenzip.Reader
	pw string // with which z was opened

	locked map[int]bool // streams that are encrypted: whether no password is known
}

func (a *sevenArchive) open(pw string) (err error) {
	defer func() { // the library trusts some of a header's numbers
		if recover() != nil {
			err = gapOf(dlp.Corrupt, "7z header")
		}
	}()
	z, err := sevenzip.NewReaderWithPassword(bytes.NewReader(a.b), int64(len(a.b)), pw)
	if err == nil {
		a.z = z
	}
	return err
}

func (a *sevenArchive) members(at place) error {
	j := a.j
	dead := -1 // the stream that unpacks to too much
	for i, f := range a.z.File {
		if !j.more() {
			break
		}
		in := at.inside(itoa(i + 1))
		in.name = decodeText([]byte(f.Name), "")
		if f.UncompressedSize == 0 || strings.HasSuffix(f.Name, "/") {
			continue
		}
		if f.Stream == dead {
			j.shut(in, dlp.TooLarge, "unpacks beyond the ratio", 0)
			continue
		}
		follows := i+1 < len(a.z.File) && a.z.File[i+1].Stream == f.Stream
		if !a.member(in, i, follows) {
			dead = f.Stream
		}
		if err := j.overspent(); err != nil {
			return err
		}
	}
	return nil
}

// member reads one member; false when the rest of its stream cannot be had.
func (a *sevenArchive) member(at place, i int, follows bool) bool {
	j, f := a.j, a.z.File[i]
	r, err := f.Open()
	if errors.Is(err, errSevenLocked) || err == nil && a.pw != "" {
		at.opened = a.unlocked(f)
		if at.opened {
			f = a.z.File[i] // a password gave another reader
			r, err = f.Open()
		} else if errors.Is(err, errSevenLocked) {
			j.shut(at, dlp.Encrypted, "7z AES-256", int64(min(f.UncompressedSize, 1<<40)))
			return true
		}
	}
	if err != nil {
		ge := sevenGap(err)
		j.shut(at, ge.cause, ge.detail, 0)
		return ge.cause != dlp.TooLarge
	}
	defer r.Close() // it was only read
	s := &checked{r: r, want: f.CRC32, sum: crc32.NewIEEE()}
	c := &catcher{r: s}
	packed := int64(len(a.b))
	j.member(at, c, packed, int64(min(f.UncompressedSize, 1<<40)), "7z member")
	if c.err != nil {
		ge := sevenGap(c.err)
		j.gap(at, ge.cause, ge.detail, 0)
		return false
	}
	if follows { // what was not looked at is unpacked on the way to the next
		rest := &budget{j: j, r: r, packed: packed}
		if _, err := io.Copy(io.Discard, rest); err != nil {
			return false
		}
	}
	return true
}

// unlocked reports whether a stream is encrypted and a password for it is in
// force. It is proved by the first member, whose checksum tells.
func (a *sevenArchive) unlocked(f *sevenzip.File) bool {
	if locked, known := a.locked[f.Stream]; known {
		return !locked
	}
	if a.locked == nil {
		a.locked = map[int]bool{}
	}
	ok := a.pw != "" && a.proves(f.Stream)
	if !ok {
		_, ok = a.j.unlock(func(pw string) bool {
			old := a.z
			if a.open(pw) != nil {
				return false
			}
			if a.proves(f.Stream) {
				a.pw = pw
				return true
			}
			a.z = old
			return false
		})
	}
	a.locked[f.Stream] = !ok
	return ok
}

// proves reports whether the smallest member near the front of a stream comes
// out of it with the checksum that it must have.
func (a *sevenArchive) proves(stream int) (ok bool) {
	defer func() { // noise where a decoder expects its own
		if recover() != nil {
			ok = false
		}
	}()
	for _, f := range a.z.File {
		if f.Stream != stream || f.UncompressedSize == 0 || strings.HasSuffix(f.Name, "/") || f.CRC32 == 0 {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return false
		}
		sum := crc32.NewIEEE()
		_, err = io.Copy(sum, &budget{j: a.j, r: r, packed: int64(len(a.b))})
		_ = r.Close() // it was only read
		return err == nil && sum.Sum32() == f.CRC32
	}
	return false
}

// checked is a reader that ends with an error where the checksum differs.
type checked struct {
	r    io.Reader
	want uint32 // 0: none is known
	sum  hash.Hash32
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	_, _ = c.sum.Write(p[:n]) // a hash returns no error
	if errors.Is(err, io.EOF) && c.want != 0 && c.sum.Sum32() != c.want {
		err = gapOf(dlp.Corrupt, "checksum")
	}
	return n, err
}

// sevenGap returns what an error of the library means.
func sevenGap(err error) *gapError {
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	switch {
	case errors.Is(err, errSevenLocked):
		return &gapError{dlp.Encrypted, "7z AES-256"}
	case strings.Contains(err.Error(), "unsupported compression algorithm"):
		return &gapError{dlp.Unsupported, "7z method"}
	case strings.Contains(err.Error(), "more than one output stream"):
		return &gapError{dlp.Unsupported, "7z method"}
	}
	return &gapError{dlp.Corrupt, "7z"}
}
