package audit

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the Merkle tree over all lines, as far as it is needed to add to it:
// the roots of the largest whole subtrees, one for each set bit of n.
//
// Source: RFC 6962 2.1, by golang.org/x/mod/sumdb/tlog.
type tree struct {
	n     int64 // lines
	roots [64]tlog.Hash
}

var errFrontier = errors.New("audit: hash asked for that is no frontier")

// ReadHashes implements tlog.HashReader for the hashes that adding a line, or
// the tree's root, asks for.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, k := tlog.SplitStoredHashIndex(x)
		if (t.n>>level)&1 != 1 || k != t.n>>level-1 {
			return nil, errFrontier
		}
		out[i] = t.roots[level]
	}
	return out, nil
}

// add adds a line and returns the hashes that are stored for it.
func (t *tree) add(line []byte) []tlog.Hash {
	hs, err := tlog.StoredHashes(t.n, line, t)
	if err != nil {
		panic(err) // ReadHashes has what StoredHashes asks for
	}
	t.roots[len(hs)-1] = hs[len(hs)-1]
	t.n++
	return hs
}

func (t *tree) root() tlog.Hash {
	h, err := tlog.TreeHash(t.n, t)
	if err != nil {
		panic(err) // ReadHashes has what TreeHash asks for
	}
	return h
}

// load reads the frontier of a tree of n lines from stored hashes.
func (t *tree) load(n int64, r tlog.HashReader) error {
	t.n = n
	var indexes []int64
	for level := range 63 {
		if (n>>level)&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, n>>level-1))
		}
	}
	hs, err := r.ReadHashes(indexes)
	if err != nil {
		return err
	}
	i := 0
	for level := range 63 {
		if (n>>level)&1 == 1 {
			t.roots[level] = hs[i]
			i++
		}
	}
	return nil
}

// storedHashes reads the file of hashes.
type storedHashes struct{ f file }

// ReadHashes implements tlog.HashReader.
func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if _, err := s.f.ReadAt(out[i][:], x*tlog.HashSize); err != nil {
			return nil, err
		}
	}
	return out, nil
}
