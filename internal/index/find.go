package index

import (
	"encoding/binary"
	"sort"
)

// A row is named by its segment and its number in it: segment<<32 | row.

// Find appends to into the rows whose field, "mrn", "ssn" or "phone", has that
// value, however it is written. An error says that it could not be looked up.
func (ix *Index) Find(into []uint64, field string, value []byte) ([]uint64, error) {
	var f Field
	switch field {
	case "mrn":
		f = MRN
	case "ssn":
		f = SSN
	case "phone":
		f = Phone
	default:
		return into, nil
	}
	s := ix.pool.Get().(*search)
	defer ix.pool.Put(s)
	t, ok := s.single(f, trim(value))
	if !ok {
		return into, nil
	}
	return ix.rows(s, into, t, f)
}

// FindPerson appends to into the rows of who bears that name and was born then.
func (ix *Index) FindPerson(into []uint64, given, family, born []byte) ([]uint64, error) {
	s := ix.pool.Get().(*search)
	defer ix.pool.Put(s)
	pair, ok := s.pair(given, family)
	if !ok || !ix.mayPair(pair) {
		return into, nil
	}
	t, ok := s.bornOn(born)
	if !ok {
		return into, nil
	}
	return ix.rows(s, into, t, Person)
}

// mayPair reports whether a name may be some patient's, born whenever.
func (ix *Index) mayPair(pair uint64) bool {
	for _, seg := range ix.segs {
		if seg.filter != nil && (seg.pairs == nil || seg.pairs.may(pair)) {
			return true
		}
	}
	return false
}

// Has reports whether the row's field, "dob" or "name" (the family name), has
// that value.
func (ix *Index) Has(row uint64, field string, value []byte) (bool, error) {
	s := ix.pool.Get().(*search)
	defer ix.pool.Put(s)
	r, err := ix.row(s, row)
	if err != nil {
		return false, err
	}
	switch field {
	case "dob":
		return r.born != 0 && s.born(r.patient, value) == r.born, nil
	case "name":
		return r.family != 0 && s.hasher.family(r.patient, value) == r.family, nil
	}
	return false, nil
}

// Patient returns the number of the row's patient: the same for every row with
// that record number, of whichever file.
func (ix *Index) Patient(row uint64) (uint64, error) {
	s := ix.pool.Get().(*search)
	defer ix.pool.Put(s)
	r, err := ix.row(s, row)
	return r.patient, err
}

// row reads a row.
func (ix *Index) row(s *search, row uint64) (record, error) {
	kept := &s.rows[row%uint64(len(s.rows))]
	if kept.known && kept.row == row {
		return *kept, nil
	}
	seg, n := int(row>>32), row&(1<<32-1)
	if seg >= len(ix.segs) || n >= ix.segs[seg].foot.Rows {
		return record{}, ErrDamaged
	}
	k, err := ix.segs[seg].block(s.block[:], secRows, n/perBlock)
	if err != nil {
		return record{}, err
	}
	if int(n%perBlock) >= k {
		return record{}, ErrDamaged
	}
	b := s.block[n%perBlock*recSize:]
	*kept = record{known: true, row: row, patient: binary.BigEndian.Uint64(b), born: binary.BigEndian.Uint32(b[8:]), family: binary.BigEndian.Uint32(b[12:])}
	return *kept, nil
}

// rows appends the rows in which f has token t, but for those of patients who
// were removed since.
func (ix *Index) rows(s *search, into []uint64, t token, f Field) ([]uint64, error) {
	from := len(into)
	for i, seg := range ix.segs {
		if seg.filter == nil || !seg.filter.may(t.hi) {
			continue
		}
		var err error
		if into, err = seg.find(s, into, uint64(i)<<32, t, f); err != nil {
			return into[:from], err
		}
	}
	if len(into) == from || !ix.removes() {
		return into, nil
	}
	kept := into[:from]
	for _, row := range into[from:] {
		r, err := ix.row(s, row)
		if err != nil {
			return into[:from], err
		}
		if !ix.gone(int(row>>32), r.patient) {
			kept = append(kept, row)
		}
	}
	return kept, nil
}

func (ix *Index) removes() bool {
	for _, s := range ix.segs {
		if len(s.gone) > 0 {
			return true
		}
	}
	return false
}

// gone reports whether a patient was removed after segment seg.
func (ix *Index) gone(seg int, patient uint64) bool {
	for _, s := range ix.segs[seg+1:] {
		i := sort.Search(len(s.gone), func(i int) bool { return s.gone[i] >= patient })
		if i < len(s.gone) && s.gone[i] == patient {
			return true
		}
	}
	return false
}

// find appends the rows with token t in the table.
func (seg *segment) find(s *search, into []uint64, base uint64, t token, f Field) ([]uint64, error) {
	// The block before the first that begins with as much may hold it too.
	lo, hi := 0, len(seg.dir)
	for lo < hi {
		if mid := (lo + hi) / 2; seg.dir[mid] < t.hi {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for n, found := max(lo-1, 0), 0; n < len(seg.dir) && seg.dir[n] <= t.hi && found <= maxShared; n++ {
		k, err := seg.block(s.block[:], secTable, uint64(n))
		if err != nil {
			return into, err
		}
		a, z := 0, k
		for a < z {
			if mid := (a + z) / 2; binary.BigEndian.Uint64(s.block[mid*recSize:]) < t.hi {
				a = mid + 1
			} else {
				z = mid
			}
		}
		for ; a < k && found <= maxShared; a++ {
			b := s.block[a*recSize:]
			ref := binary.BigEndian.Uint32(b[12:])
			if binary.BigEndian.Uint64(b) != t.hi {
				return into, nil
			}
			if binary.BigEndian.Uint32(b[8:]) == t.lo && Field(ref&3) == f {
				into = append(into, base|uint64(ref>>2))
				found++
			}
		}
	}
	return into, nil
}
