package formats

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/chm"
)

const mediaCHM = "application/vnd.ms-htmlhelp"

// chm reads the files of compiled help, those packed as one in their order. Of
// those that the compiler adds for its viewer, the words are read.
func (j *job) chm(at place, b []byte) error {
	j.part(at, mediaCHM)
	h, err := chm.Open(b)
	if err != nil {
		j.looseWords(b)
		return gapOf(dlp.Corrupt, "chm")
	}
	l := &list{j: j, at: at}
	order := make([]int, 0, min(len(h.Files), j.lim.Members+1))
	for i, f := range h.Files {
		if strings.HasPrefix(f.Name, "::") || f.Size == 0 || strings.HasSuffix(f.Name, "/") {
			continue
		}
		if l.name(f.Name, "name"); len(order) <= j.lim.Members { // one more, so that the gap is told
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int {
		f, g := h.Files[x], h.Files[y]
		return cmp.Or(cmp.Compare(f.Section, g.Section), cmp.Compare(f.Offset, g.Offset))
	})
	s := &solid{j: j, what: "chm file"}
	for _, i := range order {
		if !j.more() {
			return nil
		}
		f := h.Files[i]
		in := at.inside(itoa(i + 1))
		in.name = decodeText([]byte(f.Name), "")
		in.helper = strings.HasPrefix(f.Name, "/#") || strings.HasPrefix(f.Name, "/$")
		switch f.Section {
		case chm.Stored:
			content, whole := h.Bytes(f)
			if err := j.slice(in, content); err != nil {
				return err
			}
			if !whole {
				j.gap(in, dlp.Corrupt, "chm file", 0)
			}
		case chm.Packed:
			if s.open == nil {
				s.of(h.Open, h.PackedSize())
			}
			s.member(in, f.Offset, f.Size)
		default:
			j.shut(in, dlp.Unsupported, "chm: a section of another kind", f.Size)
		}
		if err := j.overspent(); err != nil {
			return err
		}
	}
	if h.Cut {
		return gapOf(dlp.Corrupt, "chm")
	}
	return nil
}
