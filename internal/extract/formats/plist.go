package formats

import (
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/plist"
)

const mediaPlist = "application/x-bplist"

// propertyList reads a binary property list: its texts, a line each under its key, and
// its data as members. A web archive of Safari's is one.
func (j *job) propertyList(at place, b []byte) error {
	j.part(at, mediaPlist)
	p := &plistParts{pictureText: pictureText{j: j, packed: int64(len(b))}}
	err := plist.Read(b, p)
	for i, f := range p.files {
		in := at.inside(itoa(i + 1))
		in.name, in.media, in.charset = f.name, f.media, f.charset
		j.leaf(in, memory(f.b))
	}
	if p.full {
		j.gap(at, dlp.TooMany, "data of a property list", 0)
	}
	if errors.Is(err, plist.ErrCorrupt) {
		return gapOf(dlp.Corrupt, "property list")
	}
	return err
}

// plistParts writes a list's texts and keeps its data until they are all told.
type plistParts struct {
	pictureText
	files []plistFile
	full  bool
}

type plistFile struct {
	b                    []byte
	name, media, charset string
}

// Text implements plist.Sink.
func (p *plistParts) Text(key, text string) error {
	if key == "" {
		key = "value"
	}
	return p.Line(key, text)
}

// Data implements plist.Sink. A web archive says beside it what it is.
func (p *plistParts) Data(b []byte, beside func(string) string) error {
	if len(b) == 0 {
		return nil
	}
	if p.full = p.full || len(p.files) >= p.j.lim.Members; !p.full {
		p.files = append(p.files, plistFile{b: b, media: strings.ToLower(beside("WebResourceMIMEType")), charset: beside("WebResourceTextEncodingName")})
	}
	return nil
}
