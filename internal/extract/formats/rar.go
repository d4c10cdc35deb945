package formats

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/nwaples/rardecode/v2"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const rarMagic = "Rar!\x1a\x07"

const mediaRar = "application/vnd.rar"

// rar reads the members of a RAR archive of version 1.5 to 7. Links are names and
// nothing else.
func (j *job) rar(at place, b []byte) error {
	start := bytes.Index(b[:min(len(b), 1<<20)], []byte(rarMagic))
	if start < 0 {
		j.part(at, mediaRar)
		return gapOf(dlp.Corrupt, "rar")
	}
	front := b[:start]
	a := &rarArchive{j: j, b: b[start:], further: at.further, packed: int64(len(b))}
	for _, v := range at.further {
		a.packed += int64(len(v))
	}
	heads, err := a.heads("")
	if errors.Is(err, rardecode.ErrArchiveEncrypted) && !a.costly() {
		if pw, ok := j.unlock(func(pw string) bool {
			h, err := a.heads(pw)
			heads = h
			return err == nil || len(h) > 0
		}); ok {
			a.pw, at.opened = pw, true
			_, err = a.heads(pw)
		}
	}
	j.part(at, mediaRar)
	if err != nil && len(heads) == 0 {
		return rarGap(err, false)
	}
	l := &list{j: j, at: at}
	locked := false
	for _, h := range heads {
		l.name(h.Name, "name")
		l.name(h.LinkTarget, "name")
		locked = locked || h.Encrypted
	}
	if locked && !a.costly() {
		a.unlock()
	}
	used := 1
	if a.volumes != nil {
		used = a.volumes()
	}
	w := walkRar(a.b, a.pw)
	a.comments(l, w)
	if err := a.members(at, len(heads)); err != nil {
		return err
	}
	if err != nil {
		return rarGap(err, false)
	}
	if !w.whole { // the library takes an end between blocks, or within one that it passes over, for the archive's
		j.gap(at, dlp.Corrupt, "rar", 0)
	}
	if err := j.beside(&at, front, w.rest); err != nil {
		return err
	}
	return a.behind(&at, used)
}

// behind looks at the volumes behind the first, of which the archive's own are the
// first used: members that none has, and what stands behind the end of each.
func (a *rarArchive) behind(at *place, used int) error {
	if used <= len(a.further) {
		a.j.gap(*at, dlp.Corrupt, "rar: volumes that are not of the archive", 0)
	}
	for _, b := range a.further {
		w := walkRar(b, a.pw)
		if !w.whole {
			a.j.gap(*at, dlp.Corrupt, "rar", 0)
		}
		if err := a.j.beside(at, w.rest); err != nil {
			return err
		}
	}
	return nil
}

// rarArchive is one archive on its way out.
type rarArchive struct {
	j       *job
	b       []byte
	further [][]byte   // the volumes behind b
	volumes func() int // that the last reader has come to
	packed  int64      // bytes of all volumes
	pw      string
	opens   map[int]bool // members that are encrypted and that pw opens, by number
}

// costly reports an archive whose passwords are not tried: each try takes longer than
// any program's does.
func (a *rarArchive) costly() bool {
	return walkRar(a.b, a.pw).costly || slices.ContainsFunc(a.further, func(b []byte) bool { return walkRar(b, a.pw).costly })
}

func (a *rarArchive) reader(pw string) (*rardecode.Reader, error) {
	opts := []rardecode.Option{rardecode.MaxDictionarySize(a.j.dictionary())}
	if pw != "" {
		opts = append(opts, rardecode.Password(pw))
	}
	if len(a.further) == 0 {
		return rardecode.NewReader(bytes.NewReader(a.b), opts...)
	}
	r, err := rardecode.OpenReader(rarFirst, append(opts, rardecode.FileSystem(rarFS(slices.Concat([][]byte{a.b}, a.further))))...)
	if err != nil {
		return nil, err
	}
	a.volumes = func() int { return len(r.Volumes()) } // it has nothing to close
	return &r.Reader, nil
}

// heads lists the members. What comes before an error is returned with it.
func (a *rarArchive) heads(pw string) ([]*rardecode.FileHeader, error) {
	r, err := a.reader(pw)
	if err != nil {
		return nil, err
	}
	var all []*rardecode.FileHeader
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil || len(all) > a.j.lim.Members {
			return all, err
		}
		all = append(all, h)
	}
}

// comments writes the archive's comment, which programs show beside the names.
func (a *rarArchive) comments(l *list, w rarBlocks) {
	if w.old {
		a.j.gap(l.at, dlp.Unsupported, "rar: comment of before RAR 3", 0)
	}
	if w.more {
		a.j.gap(l.at, dlp.TooLarge, "rar: comments", 0)
	}
	for _, b := range w.comments {
		if err := a.comment(l, b); err != nil {
			ge := rarGap(err, false)
			a.j.gap(l.at, ge.cause, ge.detail, int64(len(b)))
		}
	}
}

func (a *rarArchive) comment(l *list, b []byte) error {
	r, err := (&rarArchive{j: a.j, b: b, packed: int64(len(b))}).reader(a.pw)
	if err != nil {
		return err
	}
	h, err := r.Next()
	if err != nil || h.Name != rarComment {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(&budget{j: a.j, r: r, packed: int64(len(b))}, maxAside))
	if n := h.UnPackedSize; !h.UnKnownSize && n >= 0 && n < int64(len(text)) {
		text = text[:n] // behind it a cipher's padding
	}
	charset := ""
	if h.Attributes&1 != 0 && bytes.HasPrefix(b, []byte(rar4Magic)) {
		charset = encUTF16LE
	}
	l.name(strings.TrimRight(decodeText(text, charset), "\x00\r\n"), "comment")
	return err
}

// unlock finds a password for the members and which of them it opens: that takes
// unpacking them once, for RAR 4 tells a wrong password by noise alone.
func (a *rarArchive) unlock() {
	prove := func(pw string, all bool) bool {
		a.opens = map[int]bool{}
		r, err := a.reader(pw)
		if err != nil {
			return false
		}
		spent := a.j.decoded
		defer func() { a.j.decoded = spent }() // it is counted when it is read
		for n := 1; n <= a.j.lim.Members; n++ {
			h, err := r.Next()
			if err != nil {
				break
			}
			if h.IsDir || !h.Encrypted && !h.Solid {
				continue
			}
			_, err = io.Copy(io.Discard, &budget{j: a.j, r: r, packed: a.packed})
			if err == nil && h.Encrypted {
				a.opens[n] = true
			}
			if errors.Is(err, rardecode.ErrBadPassword) || err != nil && !all && h.Encrypted {
				break
			}
			if !all && h.Encrypted {
				return true
			}
		}
		return len(a.opens) > 0
	}
	if a.pw == "" {
		a.pw, _ = a.j.unlock(func(pw string) bool { return guardedTry(func() bool { return prove(pw, false) }) })
	}
	if a.pw == "" || !guardedTry(func() bool { return prove(a.pw, true) }) {
		a.opens = nil
	}
}

// guardedTry is try, false where a decoder breaks on the noise that a wrong
// password makes.
func guardedTry(try func() bool) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return try()
}

func (a *rarArchive) members(at place, most int) error {
	j := a.j
	r, err := a.reader(a.pw)
	if err != nil {
		return rarGap(err, false)
	}
	broken := false
	for n := 1; n <= most && j.more(); n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return rarGap(err, false)
		}
		in := at.inside(itoa(n))
		in.name = decodeText([]byte(h.Name), "")
		if h.IsDir || h.LinkType != rardecode.LinkTypeNone {
			continue
		}
		if h.Encrypted && !a.opens[n] {
			j.shut(in, dlp.Encrypted, "rar AES", h.PackedSize)
			broken = true
			continue
		}
		if h.Solid && broken {
			j.shut(in, dlp.Corrupt, "rar: follows a member that was not read", h.PackedSize)
			continue
		}
		in.opened = h.Encrypted
		size := h.UnPackedSize
		if h.UnKnownSize {
			size = 0
		}
		c := &catcher{r: r}
		j.member(in, c, a.packed, max(size, 0), "rar member")
		if c.err == nil { // a solid archive is unpacked in order
			_, _ = io.Copy(io.Discard, &budget{j: j, r: c, packed: a.packed}) // told by overspent, or by c
		}
		if c.err != nil {
			ge := rarGap(c.err, h.Encrypted)
			j.gap(in, ge.cause, ge.detail, h.PackedSize)
			broken = true
			if ge.cause == dlp.Unsupported && errors.Is(c.err, rardecode.ErrMultiVolume) {
				return nil // the rest is in the next volume
			}
		}
		if err := j.overspent(); err != nil {
			return err
		}
	}
	return nil
}

// rarGap returns what an error of the library means.
func rarGap(err error, encrypted bool) *gapError {
	switch {
	case errors.Is(err, rardecode.ErrArchiveEncrypted), errors.Is(err, rardecode.ErrArchivedFileEncrypted), errors.Is(err, rardecode.ErrBadPassword), encrypted:
		return &gapError{dlp.Encrypted, "rar AES"}
	case errors.Is(err, rardecode.ErrMultiVolume), errors.Is(err, rardecode.ErrFileNameRequired), errors.Is(err, fs.ErrNotExist), errors.Is(err, rardecode.ErrBadVolumeNumber), errors.Is(err, rardecode.ErrInvalidFileBlock):
		return &gapError{dlp.Unsupported, "rar: one of several volumes"}
	case errors.Is(err, rardecode.ErrDictionaryTooLarge):
		return &gapError{dlp.TooLarge, "dictionary"}
	case errors.Is(err, rardecode.ErrUnsupportedDecoder), errors.Is(err, rardecode.ErrUnknownDecoder), errors.Is(err, rardecode.ErrUnknownEncryptMethod):
		return &gapError{dlp.Unsupported, "rar method"}
	}
	return &gapError{dlp.Corrupt, "rar"}
}
