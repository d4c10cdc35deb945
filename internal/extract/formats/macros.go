package formats

import (
	"cmp"
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/vba"
)

// macros reads a VBA project: the source of its modules, and the words that stand
// in what was compiled of it and in what programs keep for themselves. Forms are
// members of no known kind.
//
// Source: [MS-OVBA] 2.2.
func (c *compound) macros() error {
	streams := map[string]*cfb.Entry{} // by their names in small letters: [MS-CFB] 2.6.4
	var own []*cfb.Entry               // what programs keep for themselves
	for _, e := range c.f.Within(c.f.Child(c.dir, "VBA")) {
		if e.Storage {
			continue
		}
		name := strings.ToLower(e.Name)
		if name == "_vba_project" || strings.HasPrefix(name, "__srp_") {
			own = append(own, e)
			continue
		}
		streams[name] = e
	}
	dir := streams["dir"]
	if dir == nil {
		return gapOf(dlp.Corrupt, "vba")
	}
	packed, err := c.read(dir)
	b, uerr := c.unpack(packed)
	project, derr := vba.ReadDir(b)
	err = cmp.Or(err, uerr, derr)
	for _, w := range project.Words {
		if e := c.Line(validString(w)); e != nil {
			return e
		}
	}
	for _, m := range project.Modules {
		e := streams[strings.ToLower(m.Stream)]
		if e == nil {
			err = cmp.Or(err, vba.ErrDamaged)
			continue
		}
		delete(streams, strings.ToLower(m.Stream)) // each once
		b, damage := c.read(e)
		at := min(int(m.Offset), len(b))
		source, uerr := c.unpack(b[at:])
		err = cmp.Or(err, damage, uerr)
		if e := c.Line(codepage.Decode(project.Page, source)); e != nil {
			return e
		}
		err = cmp.Or(err, c.compiled(b[:at])) // a program of the same version shows what was compiled instead
	}
	for _, name := range []string{"PROJECT", "PROJECTwm", "PROJECTlk"} {
		e := c.f.Child(c.dir, name)
		switch {
		case e == nil || e.Storage:
			continue
		case name != "PROJECT":
			own = append(own, e)
			continue
		}
		b, damage := c.read(e)
		err = cmp.Or(err, damage)
		if e := c.Line(codepage.Decode(project.Page, b)); e != nil {
			return e
		}
	}
	for _, e := range own {
		b, damage := c.read(e)
		err = cmp.Or(err, damage, c.compiled(b))
	}
	switch {
	case errors.Is(err, vba.ErrTooLarge):
		return err
	case err != nil:
		return gapOf(dlp.Corrupt, "vba")
	}
	return nil
}

// compiled writes the words of what is no source; ErrTooLarge where there are more.
func (c *compound) compiled(b []byte) error {
	if !c.j.looseWords(b) {
		return vba.ErrTooLarge
	}
	return nil
}

// unpack unpacks a stream of the project within what may be held.
func (c *compound) unpack(b []byte) ([]byte, error) {
	return vba.Unpack(b, max(0, c.j.lim.Memory-c.j.held))
}
