package formats

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const mediaEPUB = "application/epub+zip"

// isEPUB reports a publication: a zip that says where its package is.
//
// Source: EPUB 3.3, 4.2.6.1, 4.2.6.3.1.
func isEPUB(z *zip.Reader) bool {
	return slices.ContainsFunc(z.File, func(f *zip.File) bool { return f.Name == "META-INF/container.xml" }) &&
		slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(strings.ToLower(f.Name), ".opf") })
}

// publication is what the packages of an EPUB say of it.
type publication struct {
	order  map[string]int  // of a file's name, from 1: where its reader comes upon it
	locked map[string]bool // files that are encrypted
}

// epub reads a publication: what its package says of it, then its files, those
// first that a reader comes upon, in that order.
func (j *job) epub(at place, z *zip.Reader) error {
	j.part(at, mediaEPUB)
	if len(z.File) > j.lim.Members {
		return gapOf(dlp.TooMany, "parts of a package")
	}
	l := &list{j: j, at: at}
	for _, f := range z.File {
		l.name(f.Name, "name")
		l.name(f.Comment, "comment")
	}
	l.name(z.Comment, "comment")
	p, err := j.publication(z)
	if err != nil {
		return err
	}
	numbers := make([]int, len(z.File))
	for i := range numbers {
		numbers[i] = i
	}
	place := func(i int) int { return cmp.Or(p.order[z.File[i].Name], len(z.File)+1) }
	slices.SortStableFunc(numbers, func(a, b int) int { return cmp.Compare(place(a), place(b)) })
	for _, i := range numbers {
		f := z.File[i]
		in := at.inside(itoa(i + 1))
		in.name = decodeText([]byte(f.Name), "")
		if !j.more() {
			break
		}
		if err := j.overspent(); err != nil {
			return err
		}
		if p.locked[f.Name] && !j.opens(f) {
			j.shut(in, dlp.Encrypted, "epub", int64(min(f.CompressedSize64, 1<<40)))
			continue
		}
		j.zipMember(in, f)
	}
	return nil
}

// opens reports a file that is of a known kind or text, whatever is said of it.
func (j *job) opens(f *zip.File) bool {
	if f.Flags&1 != 0 || f.Method != zip.Store && f.Method != zip.Deflate {
		return false
	}
	r, err := f.Open()
	if err != nil {
		return false
	}
	defer r.Close() // it was only read
	head, err := io.ReadAll(io.LimitReader(r, headSize))
	if err != nil {
		return false
	}
	k := sniff(head, place{})
	return k.format != fBinary || k.detail != "binary"
}

// publication reads the packages that the container names, and writes what they
// say of the publication.
func (j *job) publication(z *zip.Reader) (*publication, error) {
	p := &publication{order: map[string]int{}, locked: map[string]bool{}}
	byName := make(map[string]*zip.File, len(z.File))
	for _, f := range z.File {
		byName[f.Name] = f
	}
	scan := func(name string, h xmlHandler) error {
		f := byName[name]
		if f == nil || f.Flags&1 != 0 {
			return nil
		}
		r, err := f.Open()
		if err != nil {
			return nil //nolint:nilerr // told when the member is read
		}
		defer r.Close() // it was only read
		all, err := io.ReadAll(io.LimitReader(&budget{j: j, r: r, packed: int64(min(f.CompressedSize64, 1<<40))}, maxPackageFile))
		if ge, ok := errors.AsType[*gapError](err); ok {
			return ge
		}
		_ = scanXML(bytes.NewReader(all), h) // damage is told when the member is read
		return nil
	}
	roots := &rootFiles{}
	locked := &lockedFiles{of: p.locked}
	if err := errors.Join(scan("META-INF/container.xml", roots), scan("META-INF/encryption.xml", locked)); err != nil {
		return nil, err
	}
	for _, root := range roots.names {
		o := &packageFile{j: j, dir: path.Dir(root), items: map[string]string{}}
		if err := scan(root, o); err != nil {
			return nil, err
		}
		for _, id := range o.spine {
			if name := o.items[id]; name != "" && p.order[name] == 0 {
				p.order[name] = len(p.order) + 1
			}
		}
	}
	return p, nil
}

// maxPackageFile bounds what is looked at of a package file; all of it is read as
// a member.
const maxPackageFile = 4 << 20

// rootFiles collects the packages of a container. EPUB 3.3, 4.2.6.3.1.
type rootFiles struct {
	quiet
	names []string
}

func (c *rootFiles) start(name string, a attrs) {
	if n := a.get("full-path"); name == "rootfile" && n != "" && len(c.names) < 100 && !slices.Contains(c.names, n) {
		c.names = append(c.names, n)
	}
}

// lockedFiles collects what is encrypted. Fonts may be obfuscated, which locks
// nothing.
//
// Source: EPUB 3.3, 4.2.6.3.2, 4.3 (font obfuscation); Adobe's algorithm likewise.
type lockedFiles struct {
	quiet
	of   map[string]bool
	font bool // of the EncryptedData at hand
}

func (c *lockedFiles) start(name string, a attrs) {
	switch name {
	case "EncryptedData":
		c.font = false
	case "EncryptionMethod":
		m := a.get("Algorithm")
		c.font = m == "http://www.idpf.org/2008/embedding" || m == "http://ns.adobe.com/pdf/enc#RC"
	case "CipherReference":
		if n, err := url.PathUnescape(a.get("URI")); err == nil && !c.font && len(c.of) < maxLocked {
			c.of[strings.TrimPrefix(n, "/")] = true
		}
	}
}

const maxLocked = 1 << 16

// packageFile writes the metadata of a package, each under its name, and collects
// its files and the order in which they are read.
//
// Source: EPUB 3.3, 5.5 (metadata), 5.6 (manifest), 5.7 (spine); OPF 2.0.1.
type packageFile struct {
	j     *job
	dir   string
	items map[string]string // id: name
	spine []string          // ids

	inside bool   // the metadata
	label  string // of the element at hand
	value  []byte
}

const maxMetadata = 64 << 10 // bytes of one value; more stands in the member

func (o *packageFile) start(name string, a attrs) {
	switch name {
	case "metadata":
		o.inside = true
	case "item":
		href, _, _ := strings.Cut(a.get("href"), "#")
		if n, err := url.PathUnescape(href); err == nil && len(o.items) < maxLocked {
			o.items[a.get("id")] = path.Join(o.dir, n)
		}
	case "itemref":
		if len(o.spine) < maxLocked {
			o.spine = append(o.spine, a.get("idref"))
		}
	}
	if !o.inside || name == "metadata" {
		return
	}
	o.tell()
	o.label = name
	if name == "meta" {
		o.label = cmp.Or(a.get("property"), a.get("name"), "meta")
		o.value = append(o.value, a.get("content")...)
	}
}

func (o *packageFile) text(b []byte) {
	if o.inside && o.label != "" && len(o.value) < maxMetadata {
		o.value = append(o.value, b...)
	}
}

func (o *packageFile) end(name string) {
	if o.inside {
		o.tell()
	}
	if name == "metadata" {
		o.inside = false
	}
}

// tell writes the value at hand.
func (o *packageFile) tell() {
	if v := bytes.TrimSpace(o.value); len(v) > 0 {
		label := o.label[strings.LastIndexByte(o.label, ':')+1:]
		label = validString(label[:min(len(label), 256)])
		o.j.out.writeString(label + ": ")
		o.j.out.field(validString(string(v)), label, 0)
		o.j.out.writeString("\n")
	}
	o.label, o.value = "", o.value[:0]
}
