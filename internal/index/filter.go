package index

import (
	"encoding/binary"
	"fmt"

	"github.com/FastFilter/xorfilter"
)

const (
	// partKeys is how many keys a partition of the filter has about: building one
	// takes some 30 bytes a key.
	partKeys = 400_000
	maxParts = 4096
	partHead = 24 // seed 8, segment length 4, segments 4, fingerprints 8
)

// filter says of most keys that they are not among those it was made of. It is in
// partitions by the first bits of the key, so that it can be built piece by piece
// while a table is written.
type filter struct {
	shift uint // 64 less the bits that choose the partition
	parts []xorfilter.BinaryFuse[uint8]
}

// partsFor returns how many partitions n keys take.
func partsFor(n uint64) uint32 {
	p := uint32(1)
	for uint64(p)*partKeys < n && p < maxParts {
		p *= 2
	}
	return p
}

// shiftFor returns filter.shift for that many partitions.
func shiftFor(parts uint32) uint {
	shift := uint(64)
	for ; parts > 1; parts /= 2 {
		shift--
	}
	return shift
}

// may reports whether key may be among them.
func (f *filter) may(key uint64) bool {
	p := &f.parts[key>>f.shift]
	return len(p.Fingerprints) > 0 && p.Contains(key)
}

// appendPart appends the partition of keys, which it may change.
func appendPart(out []byte, b *xorfilter.BinaryFuseBuilder, keys []uint64) ([]byte, error) {
	if len(keys) == 0 {
		return append(out, make([]byte, partHead)...), nil
	}
	p, err := xorfilter.BuildBinaryFuse[uint8](b, keys)
	if err != nil {
		return nil, fmt.Errorf("index: build filter: %w", err)
	}
	out = binary.BigEndian.AppendUint64(out, p.Seed)
	out = binary.BigEndian.AppendUint32(out, p.SegmentLength)
	out = binary.BigEndian.AppendUint32(out, p.SegmentCount)
	out = binary.BigEndian.AppendUint64(out, uint64(len(p.Fingerprints)))
	return append(out, p.Fingerprints...), nil
}

// filterWriter makes a filter of keys that come in ascending order.
type filterWriter struct {
	builder xorfilter.BinaryFuseBuilder
	out     []byte
	parts   uint32
	part    uint64
	keys    []uint64 // of the partition in hand
	err     error    // the first
}

// newFilterWriter prepares for at most n keys.
func newFilterWriter(n uint64) *filterWriter { return &filterWriter{parts: partsFor(n)} }

// add takes the next key, which may be the one before again.
func (w *filterWriter) add(key uint64) {
	w.upTo(key >> shiftFor(w.parts))
	if n := len(w.keys); n == 0 || w.keys[n-1] != key {
		w.keys = append(w.keys, key)
	}
}

// upTo ends the partitions before part.
func (w *filterWriter) upTo(part uint64) {
	for ; w.part < part && w.err == nil; w.part++ {
		w.out, w.err = appendPart(w.out, &w.builder, w.keys)
		w.keys = w.keys[:0]
	}
}

// close returns the filter.
func (w *filterWriter) close() ([]byte, error) {
	w.upTo(uint64(w.parts))
	return w.out, w.err
}

// readFilter reads parts partitions from b, and keeps b. Contains indexes
// without looking, so nothing is taken whose numbers do not fit each other.
func readFilter(b []byte, parts uint32) (*filter, error) {
	f := &filter{shift: shiftFor(parts), parts: make([]xorfilter.BinaryFuse[uint8], parts)}
	bad := fmt.Errorf("%w: its filter does not fit", ErrDamaged)
	for i := range f.parts {
		if len(b) < partHead {
			return nil, bad
		}
		length, segments, n := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint64(b[16:])
		seed := binary.BigEndian.Uint64(b)
		b = b[partHead:]
		if n == 0 {
			continue
		}
		if n > uint64(len(b)) || length == 0 || length&(length-1) != 0 || segments == 0 || uint64(segments)*uint64(length) >= 1<<31 ||
			n != (uint64(segments)+2)*uint64(length) {
			return nil, bad
		}
		f.parts[i] = xorfilter.BinaryFuse[uint8]{Seed: seed, SegmentLength: length, SegmentLengthMask: length - 1, SegmentCount: segments,
			SegmentCountLength: segments * length, Fingerprints: b[:n:n]}
		b = b[n:]
	}
	if len(b) > 0 {
		return nil, bad
	}
	return f, nil
}
