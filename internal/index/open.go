package index

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Index is an index that is searched. All methods may be called at the same
// time. Its files stay open until Close, or until nothing refers to it any more:
// what is searched when others take its place is searched to the end.
type Index struct {
	id   string
	segs []*segment // by number
	pool sync.Pool  // of *search
}

// segment is one file.
type segment struct {
	f      *os.File
	name   string
	foot   *footer
	seal   [sealSize]byte
	dir    []uint64 // the first eight bytes of each block of the table
	filter *filter
	pairs  *filter  // of names without their date; nil in form 1
	gone   []uint64 // of kindRemove: patients, ascending
}

// search is the memory of one look-up.
type search struct {
	*hasher
	block [blockSize]byte
	rows  [8]record // read last, by their low bits: of what stands near a match, the same few are asked for again and again
}

// record is what a row holds of a patient.
type record struct {
	known        bool
	row          uint64
	patient      uint64
	born, family uint32 // 0 for none
}

// Open opens the index in dir. ErrNone, ErrWrongKey, ErrNewer and ErrDamaged say
// why it cannot be used. Headers, directory and filter are read and checked; a
// block of the table is checked when it is read.
func Open(dir string, key *Key) (*Index, error) {
	for try := 0; ; try++ {
		ix, err := open(dir, key)
		if errors.Is(err, fs.ErrNotExist) && try < 5 {
			continue // a build took deltas away since they were listed
		}
		return ix, err
	}
}

func open(dir string, key *Key) (_ *Index, err error) {
	last, err := readNewest(dir, key) // before the others, which may become more
	if err != nil {
		return nil, err
	}
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, ErrNone
	}
	ix := &Index{}
	ix.pool.New = func() any { return &search{hasher: newHasher(key)} }
	defer func() {
		if err != nil {
			_ = ix.Close() // it was read only
		}
	}()
	for _, name := range names {
		s, err := openSegment(filepath.Join(dir, name), key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.name = name
		ix.segs = append(ix.segs, s)
		if name != s.foot.name() {
			return nil, fmt.Errorf("%s: %w: it was written as %s", name, ErrDamaged, s.foot.name())
		}
	}
	if names[0] != MainFile {
		return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, MainFile)
	}
	after := ix.segs[0].foot.Seq
	ix.segs = slices.DeleteFunc(ix.segs, func(s *segment) bool {
		stale := s.foot.Kind != kindMain && s.foot.Seq <= after
		if stale {
			_ = s.f.Close() // it was read only
		}
		return stale
	})
	for i, s := range ix.segs { // by number, as by name: each follows the one before
		if want := after + uint64(i); s.foot.Seq != want {
			return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, deltaName(want))
		}
	}
	if there := ix.segs[len(ix.segs)-1].foot.Seq; last.main == ix.segs[0].seal && last.seq > there {
		return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, deltaName(there+1))
	}
	h := sha256.New()
	for _, s := range ix.segs {
		h.Write(s.seal[:]) // a hash takes every write
	}
	ix.id = hex.EncodeToString(h.Sum(nil)[:16])
	return ix, nil
}

// Close closes the files.
func (ix *Index) Close() error {
	var errs []error
	for _, s := range ix.segs {
		errs = append(errs, safefile.Classify("close", s.f.Close()))
	}
	return errors.Join(errs...)
}

// openSegment opens one file. Its errors name no path.
func openSegment(path string, key *Key) (_ *segment, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, safefile.Classify("open", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // it was read only
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, safefile.Classify("stat", err)
	}
	s := &segment{f: f}
	first := make([]byte, headSize)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(headSize)), first); err != nil {
		return nil, fmt.Errorf("%w: not a patient index", ErrDamaged)
	}
	version, err := readHead(first)
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size < int64(headSize+tailSize(version)) {
		return nil, fmt.Errorf("%w: it does not end as one", ErrDamaged)
	}
	end := make([]byte, tailSize(version))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return nil, safefile.Classify("read", err)
	}
	if s.foot, s.seal, err = readTail(end, size, version, key); err != nil {
		return nil, err
	}
	return s, s.load()
}

// load reads what is kept in memory.
func (s *segment) load() error {
	dir, err := s.section(secDir)
	if err != nil {
		return err
	}
	s.dir = make([]uint64, len(dir)/8)
	for i := range s.dir {
		s.dir[i] = binary.BigEndian.Uint64(dir[8*i:])
	}
	if s.foot.Kind == kindRemove {
		return s.loadGone()
	}
	if s.filter, err = s.readFilter(secFilter, s.foot.Parts); err != nil || s.foot.Version == 1 {
		return err
	}
	s.pairs, err = s.readFilter(secPairs, s.foot.Pairs)
	return err
}

func (s *segment) readFilter(sec int, parts uint32) (*filter, error) {
	b, err := s.section(sec)
	if err != nil {
		return nil, err
	}
	return readFilter(b, parts)
}

func (s *segment) loadGone() error {
	if s.foot.Rows > maxRemove {
		return fmt.Errorf("%w rows of a removal", ErrTooMany)
	}
	var block [blockSize]byte
	for n := uint64(0); n*perBlock < s.foot.Rows; n++ {
		k, err := s.block(block[:], secRows, n)
		if err != nil {
			return err
		}
		for i := range k {
			s.gone = append(s.gone, binary.BigEndian.Uint64(block[i*recSize:]))
		}
	}
	slices.Sort(s.gone)
	return nil
}

// section reads a section whole and checks it.
func (s *segment) section(n int) ([]byte, error) {
	sec := s.foot.Sections[n]
	b := make([]byte, sec.Len)
	if _, err := s.f.ReadAt(b, int64(sec.Off)); err != nil && len(b) > 0 {
		return nil, safefile.Classify("read", err)
	}
	if sha256.Sum256(b) != sec.Sum {
		return nil, fmt.Errorf("%w: a part is not what was written", ErrDamaged)
	}
	return b, nil
}

// block reads block n of a section into b and returns how many records it has.
func (s *segment) block(b []byte, sec int, n uint64) (int, error) {
	if _, err := s.f.ReadAt(b, int64(s.foot.Sections[sec].Off+n*blockSize)); err != nil {
		return 0, fmt.Errorf("index: %w", safefile.Classify("read", err))
	}
	return checkBlock(b, n)
}

// ID names what is found: it changes with every file.
func (ix *Index) ID() string { return ix.id }

// Verify reads all of the index and says whether it is as it was written.
func (ix *Index) Verify() error {
	for _, s := range ix.segs {
		for n, sec := range s.foot.Sections {
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(s.f, int64(sec.Off), int64(sec.Len))); err != nil {
				return fmt.Errorf("%s: index: %w", s.name, safefile.Classify("read", err))
			}
			if [32]byte(h.Sum(nil)) != s.foot.Sections[n].Sum {
				return fmt.Errorf("%s: %w: a part is not what was written", s.name, ErrDamaged)
			}
		}
	}
	return nil
}

// Segment is one file of an index, for people.
type Segment struct {
	File    string           `json:"file"`
	Kind    string           `json:"kind"` // main, added or removed
	Created time.Time        `json:"created"`
	Rows    int64            `json:"rows"`
	Tokens  map[string]int64 `json:"tokens"`
	Common  int64            `json:"common"`
	Bytes   int64            `json:"bytes"`
	KeyID   string           `json:"key_id"`
}

// Segments returns the files in the order in which they count.
func (ix *Index) Segments() []Segment {
	var out []Segment
	for _, s := range ix.segs {
		v := Segment{File: s.name, Kind: s.foot.Kind.String(), Created: s.foot.created(), Rows: int64(s.foot.Rows), Tokens: map[string]int64{},
			Common: int64(s.foot.Common), KeyID: hex.EncodeToString(s.foot.KeyID[:])}
		for f := range numFields {
			v.Tokens[f.String()] = int64(s.foot.Tokens[f])
		}
		last := s.foot.Sections[numSections-1]
		v.Bytes = int64(last.Off+last.Len) + int64(tailSize(s.foot.Version))
		out = append(out, v)
	}
	return out
}
