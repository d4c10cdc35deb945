package formats

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/doc"
	"github.com/stanch-dlp/stanch/internal/extract/msg"
	"github.com/stanch-dlp/stanch/internal/extract/offcrypto"
	"github.com/stanch-dlp/stanch/internal/extract/ole1"
	"github.com/stanch-dlp/stanch/internal/extract/ppt"
	"github.com/stanch-dlp/stanch/internal/extract/propset"
	"github.com/stanch-dlp/stanch/internal/extract/vba"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// nativeStream holds the file that an object is. [MS-OLEDS] 2.3.6.
const nativeStream = "\x01Ole10Native"

// compound is one storage of a compound file on its way out: a document and
// what is embedded in it.
type compound struct {
	j    *job
	at   place
	f    *cfb.File
	dir  *cfb.Entry
	d    *officeDoc
	used map[*cfb.Entry]bool // streams that were read, or say nothing
	n    int                 // members so far

	slides []byte // of a presentation, whose objects are yet to be read
}

// oleKind is what a storage is, found from the streams that it holds.
type oleKind struct {
	stream string // that makes it one
	media  string
	read   func(*compound) error // nil: there is no reader
	detail string                // of the gap where there is none
	cause  dlp.Cause
}

// oleKinds are tried in this order.
func oleKinds() []oleKind {
	const unsupported = dlp.Unsupported
	return []oleKind{
		{"\x09DRMContent", "application/x-ole-storage", (*compound).rightsManaged, "", 0},
		{"EncryptedPackage", "application/x-ole-storage", (*compound).encryptedPackage, "", 0},
		{"WordDocument", "application/msword", (*compound).word, "", 0},
		{"VisioDocument", "application/vnd.visio", nil, "visio", unsupported},
		{"Quill", "application/x-mspublisher", (*compound).publisher, "", 0},
		{"MatOST", "application/vnd.ms-works", nil, "works", unsupported},
		{"BodyText", "application/x-hwp", nil, "hwp", unsupported},
		{"Workbook", "application/vnd.ms-excel", (*compound).excel, "", 0},
		{"Book", "application/vnd.ms-excel", (*compound).excel, "", 0},
		{"PowerPoint Document", "application/vnd.ms-powerpoint", (*compound).powerpoint, "", 0},
		{"PP40", "application/vnd.ms-powerpoint", nil, "powerpoint 4", unsupported},
		{"__properties_version1.0", "application/vnd.ms-outlook", nil, "msg", unsupported},
		{"\u4840\u3f7f\u4164\u422f\u4836", "application/x-msi", nil, "msi", unsupported}, // _Tables, in an installer's own letters
		{nativeStream, "application/x-ole-storage", (*compound).embedded, "", 0},
		{"Package", "application/x-ole-storage", (*compound).embedded, "", 0},
		{"CONTENTS", "application/x-ole-storage", (*compound).embedded, "", 0},
		{"VBA", "application/vnd.ms-office.vbaproject", (*compound).macros, "", 0},
	}
}

// oleKindOf finds what a storage is; the last kind of all stands for none.
func oleKindOf(f *cfb.File, dir *cfb.Entry) (oleKind, bool) {
	for _, k := range oleKinds() {
		if f.Child(dir, k.stream) != nil {
			return k, true
		}
	}
	return oleKind{media: "application/x-ole-storage", detail: "ole2", cause: dlp.Unsupported}, false
}

// ole2 reads a compound file.
func (j *job) ole2(at place, b []byte) error {
	f, err := cfb.Open(b)
	if f == nil {
		j.part(at, "application/x-ole-storage")
		if bytes.Contains(b, wide("EncryptedPackage")) { // a damaged one, but what it was is known
			return gapOf(dlp.Encrypted, "ooxml")
		}
		return gapOf(dlp.Corrupt, "ole2")
	}
	if msg.Is(f) {
		if e := j.msg(at, f); e != nil {
			return e
		}
	} else {
		j.compound(at, f, f.Root(), int64(len(b)))
	}
	if err != nil {
		return oleError(err)
	}
	return nil
}

// compound reads the document of a storage, its properties and what is
// embedded in it.
func (j *job) compound(at place, f *cfb.File, dir *cfb.Entry, size int64) {
	c := &compound{j: j, at: at, f: f, dir: dir, d: &officeDoc{j: j, at: at, packed: size}, used: map[*cfb.Entry]bool{}}
	k, _ := oleKindOf(f, dir)
	j.part(at, k.media)
	if k.read == nil {
		j.gap(at, k.cause, k.detail, size)
	} else {
		j.guarded(at, func() error { return oleError(k.read(c)) })
	}
	c.words(dir)
	if c.slides != nil {
		j.guarded(at, func() error { return oleError(ppt.Read(c.slides, true, c)) })
	}
	c.members(dir, k.read != nil)
}

// oleError turns a parser's error into a gap's.
func oleError(err error) error {
	if _, ok := errors.AsType[*gapError](err); ok || err == nil {
		return err
	}
	switch {
	case errors.Is(err, cfb.ErrTooMany):
		return gapOf(dlp.TooMany, "ole2 entries")
	case errors.Is(err, cfb.ErrTooLarge), errors.Is(err, vba.ErrTooLarge):
		return gapOf(dlp.TooLarge, "more than may be held")
	case errors.Is(err, doc.ErrEncrypted):
		return gapOf(dlp.Encrypted, "doc")
	case errors.Is(err, doc.ErrVersion):
		return gapOf(dlp.Unsupported, "doc before word 6")
	}
	if errors.Is(err, ppt.ErrEncrypted) {
		return gapOf(dlp.Encrypted, "ppt")
	}
	return xlsError(err)
}

// stream returns the bytes of a stream of the document's storage, nil where it
// has none. An error stands beside what could be read.
func (c *compound) stream(name string) ([]byte, error) {
	e := c.f.Child(c.dir, name)
	if e == nil || e.Storage {
		return nil, nil
	}
	return c.read(e)
}

func (c *compound) read(e *cfb.Entry) ([]byte, error) {
	c.used[e] = true
	before := c.f.Copied()
	b, err := c.f.Read(e, max(0, c.j.lim.Memory-c.j.held))
	c.j.hold(c.f.Copied() - before)
	return b, err
}

// Write writes a document's text, counted against the job's bounds.
func (c *compound) Write(b []byte) (int, error) {
	if err := c.d.repeat(len(b)); err != nil {
		return 0, err
	}
	c.j.out.write(b)
	return len(b), c.j.out.err
}

// opens reports whether fits takes a password: first the one that Excel puts in by
// itself, then those that the document and the site's list offer.
func (c *compound) opens(fits func(password string) bool) bool {
	if fits(offcrypto.DefaultPassword) {
		return true
	}
	_, ok := c.j.unlock(fits)
	return ok
}

// word reads a document of Word's.
func (c *compound) word() error {
	main, err := c.stream("WordDocument")
	name, locked := doc.TableName(main)
	if locked != nil && !errors.Is(locked, doc.ErrEncrypted) {
		return locked
	}
	s := doc.Streams{Main: main}
	var e error
	if name != "" {
		s.Table, e = c.stream(name)
		err = errors.Join(err, e)
	}
	s.Data, e = c.stream("Data")
	err = errors.Join(err, e)
	if locked != nil {
		size := int64(len(s.Main) + len(s.Table) + len(s.Data))
		c.j.hold(size)
		if c.j.held > c.j.lim.Memory || !c.opens(func(password string) bool {
			open, ok := doc.Unlock(s, password)
			if ok {
				s = open
			}
			return ok
		}) {
			c.useAll()
			return locked
		}
	}
	for _, other := range []string{"0Table", "1Table"} {
		if t := c.f.Child(c.dir, other); t != nil {
			c.used[t] = true // of an earlier save
		}
	}
	pictures, e := doc.Read(s, c)
	if pictures {
		c.j.gap(c.at, dlp.Image, "pictures of a document", 0)
		e = errors.Join(e, c.metafiles(s.Main), c.metafiles(s.Data))
	}
	return errors.Join(e, err)
}

// powerpoint reads a presentation. Its objects wait until its words are told.
func (c *compound) powerpoint() error {
	user, _ := c.stream("Current User") // without it a presentation is as readable
	if ppt.Encrypted(user) {
		c.useAll()
		return ppt.ErrEncrypted
	}
	b, err := c.stream("PowerPoint Document")
	e := ppt.Read(b, false, c)
	if errors.Is(e, ppt.ErrEncrypted) {
		c.useAll()
		return e
	}
	c.slides = b
	if pictures := c.f.Child(c.dir, "Pictures"); pictures != nil && !pictures.Storage {
		c.used[pictures] = true
		if pictures.Size > 0 {
			c.j.gap(c.at, dlp.Image, "pictures of slides", pictures.Size)
			p, _ := c.read(pictures) // a damaged one is among the pictures that are told
			e = errors.Join(e, c.metafiles(p))
		}
	}
	return errors.Join(e, err)
}

// Line writes a text of a presentation's.
func (c *compound) Line(text string) error {
	if err := c.d.repeat(len(text) + 1); err != nil {
		return err
	}
	c.d.line([]byte(text))
	return c.j.out.err
}

// Object reads an object that is embedded in a presentation.
func (c *compound) Object(r io.Reader, size, packed int64) error {
	if c.j.full || c.j.out.err != nil {
		return nil // no more is wanted
	}
	c.n++
	c.j.member(c.at.inside(itoa(c.n)), r, packed, size, "object of a slide")
	return nil
}

// encryptedPackage reads an encrypted OOXML document where a password opens it:
// the package is its only member. [MS-OFFCRYPTO] 2.3.4.4.
func (c *compound) encryptedPackage() error {
	locked := gapOf(dlp.Encrypted, "ooxml")
	for i := range c.f.Entries() {
		if c.f.Entries()[i].Name == "DRMEncryptedDataSpace" { // [MS-OFFCRYPTO] 2.2.2
			locked = gapOf(dlp.Encrypted, "ooxml rights management")
		}
	}
	defer c.useAll()
	info, err := c.stream("EncryptionInfo")
	if err != nil {
		return locked
	}
	var key *offcrypto.PackageKey
	if !c.opens(func(password string) bool {
		key = offcrypto.OpenPackage(info, password)
		return key != nil
	}) {
		return locked
	}
	packed, err := c.stream("EncryptedPackage")
	c.j.hold(int64(len(packed))) // opening takes a copy
	if c.j.held > c.j.lim.Memory {
		return gapOf(dlp.TooLarge, "more than may be held")
	}
	c.n++
	in := c.at.inside(itoa(c.n))
	in.opened = true
	plain := key.Decrypt(packed)
	if len(plain) == 0 && err == nil {
		err = cfb.ErrCorrupt
	}
	c.j.leaf(in, memory(plain))
	return err
}

// rightsManaged tells of a document that only a server's key opens. [MS-OFFCRYPTO] 2.2.
func (c *compound) rightsManaged() error {
	c.useAll()
	return gapOf(dlp.Encrypted, "office rights management")
}

// useAll marks all streams but properties: what they hold was told. Properties
// are often left in clear.
func (c *compound) useAll() {
	for i := range c.f.Entries() {
		if e := &c.f.Entries()[i]; !e.Storage && !strings.HasPrefix(e.Name, "\x05") {
			c.used[e] = true
		}
	}
}

// embedded stands for a storage that holds nothing but a file.
func (c *compound) embedded() error { return nil }

// words writes what the document's storages say outside its own text: before
// any member, since a member is a part of its own.
func (c *compound) words(dir *cfb.Entry) {
	for _, e := range c.f.Within(dir) {
		switch {
		case c.used[e]:
		case e.Storage:
			if _, known := oleKindOf(c.f, e); !known {
				c.words(e)
			}
		case strings.HasPrefix(e.Name, "\x05"):
			c.j.guarded(c.at, func() error { return c.properties(e) })
		case e.Name == nativeStream:
			b, _ := c.read(e) // an error is told where the file is read
			c.used[e] = false
			if o, ok := ole1.Native(b); ok && o.Name != "" {
				c.j.out.field(validString(o.Name), "name", 0)
				c.j.out.writeString("\n")
			}
		}
	}
}

// properties writes a property set, each value a field under its name.
func (c *compound) properties(e *cfb.Entry) error {
	b, err := c.read(e)
	props, damage := propset.Read(b)
	for _, p := range props {
		if e := c.d.repeat(len(p.Name) + len(p.Value) + 3); e != nil {
			return e
		}
		name := validString(p.Name)
		if name != "" {
			c.j.out.writeString(name + ": ")
		}
		c.j.out.field(validString(p.Value), cutLabel(name), 0)
		c.j.out.writeString("\n")
	}
	if err != nil || damage != nil && len(b) > 0 {
		return gapOf(dlp.Corrupt, "properties")
	}
	return nil
}

// silent are streams that hold no text of anybody's: class names, positions,
// a printer's settings, pictures of objects that are read themselves.
var silent = []string{"\x01CompObj", "\x01Ole", "\x03ObjInfo", "\x03LinkInfo", "\x03PRINT", "\x03EPRINT", "\x03ACCESSOBJSITEDATA", "\x03OCXNAME", "Current User"}

// members reads what is embedded in a storage, and with all set every stream
// that nothing has read.
func (c *compound) members(dir *cfb.Entry, all bool) {
	streams, pictured := 0, false
	for _, e := range c.f.Within(dir) {
		if c.j.full || c.j.out.err != nil {
			return
		}
		if isSilent(e.Name) || strings.HasPrefix(e.Name, "\x05") {
			continue
		}
		streams++
		switch {
		case c.used[e]:
		case e.Storage:
			if _, known := oleKindOf(c.f, e); known {
				c.storage(e)
			} else {
				c.members(e, all)
			}
		case e.Size == 0:
		case strings.HasPrefix(e.Name, "\x02OlePres") || e.Name == "\x03META":
			streams, pictured = streams-1, true
		case e.Name == nativeStream:
			c.packaged(e)
		case all:
			c.member(e.Name, func() ([]byte, error) { return c.read(e) })
		}
	}
	if dir != c.f.Root() && streams == 0 && pictured { // of an object there is nothing but its picture
		c.j.gap(c.at, dlp.Image, "picture of an object", 0)
	}
}

func isSilent(name string) bool {
	for _, s := range silent {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// storage reads an embedded document.
func (c *compound) storage(e *cfb.Entry) {
	c.n++
	in := c.at.inside(itoa(c.n))
	in.name = validString(e.Name)
	if !c.j.admit(in) {
		return
	}
	size := int64(0)
	for _, k := range c.f.Within(e) {
		size += k.Size
	}
	c.j.unit(in, wire.Normal, func() error {
		c.j.compound(in, c.f, e, min(size, c.d.packed))
		return nil
	})
}

// packaged reads a file that was put into the document as it was.
func (c *compound) packaged(e *cfb.Entry) {
	b, err := c.read(e)
	o, ok := ole1.Native(b)
	if (o.Cut || !ok) && err == nil {
		err = cfb.ErrCorrupt
	}
	c.member(o.Name, func() ([]byte, error) { return o.Data, err })
}

// member reads a file within the document.
func (c *compound) member(name string, get func() ([]byte, error)) {
	c.n++
	in := c.at.inside(itoa(c.n))
	in.name = validString(strings.TrimLeft(name, "\x00\x01\x02\x03\x04\x05"))
	held := c.j.held
	b, err := get()
	if len(b) > 0 {
		c.j.leaf(in, memory(b))
	}
	c.j.held = held
	if err != nil {
		c.j.guarded(in, func() error { return oleError(err) })
	}
}

func wide(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for i := 0; i < len(s); i++ {
		b = append(b, s[i], 0)
	}
	return b
}
