package formats

import (
	"errors"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/mapi"
	"github.com/stanch-dlp/stanch/internal/extract/pst"
	"github.com/stanch-dlp/stanch/internal/wire"
)

const mediaPST = "application/vnd.ms-outlook-pst"

// pst reads a store of Outlook: the names of its folders, then each item as a
// message of its own.
func (j *job) pst(at place, b []byte) error {
	j.part(at, mediaPST)
	f, err := pst.Open(b, j.spend)
	if err != nil {
		j.looseWords(b)
		return pstError(err)
	}
	l := &list{j: j, at: at}
	damage := f.Folders(func(ps mapi.Props) bool {
		page := mapi.FindPage(ps)
		for _, id := range []uint16{mapi.DisplayName, mapi.Comment} {
			l.name(ps.Text(id, page), "name")
		}
		return j.more() && !l.full
	})
	if _, over := errors.AsType[*gapError](damage); over {
		return damage
	}
	n := 0
	err = f.Items(func(i pst.Item) bool {
		n++
		in := at.inside(itoa(n))
		if !j.more() || !j.admit(in) {
			return j.more()
		}
		j.unit(in, wire.Normal, func() error {
			m, err := i.Read()
			j.outlook(place{path: in.path + "/", depth: in.depth, mail: true}, m, nil)
			return pstError(err)
		})
		return j.overspent() == nil
	})
	if over := j.overspent(); over != nil {
		return over
	}
	return pstError(errors.Join(err, damage))
}

func pstError(err error) error {
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pst.ErrEncrypted):
		return gapOf(dlp.Encrypted, "pst")
	case errors.Is(err, pst.ErrVersion):
		return gapOf(dlp.Unsupported, "pst of that version")
	}
	return gapOf(dlp.Corrupt, "pst")
}
