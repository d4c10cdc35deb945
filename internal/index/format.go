package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// Version is the newest form of the files that this package reads, and the one
// it writes (docs/patient-index.md, "The files"). Form 1 has no secPairs.
const Version = 2

const (
	magic     = "stanch-patients\n" // first of a file, and last
	headSize  = len(magic) + 8      // magic, version, zero
	blockSize = 4096
	recSize   = 16
	perBlock  = 255 // records of a block; 16 bytes are left for how many, the block's number and a CRC-32C
	sealSize  = 32
)

// kind is what a file does.
type kind uint32

const (
	kindMain   kind = 1 + iota // all patients
	kindAdd                    // more of them
	kindRemove                 // patients whose rows in files before this one are not there any more
)

// String returns the kind's name in output.
func (k kind) String() string {
	return [...]string{"unknown", "main", "added", "removed"}[min(uint32(k), 3)&3]
}

// section is a stretch of a file.
type section struct {
	Off, Len uint64
	Sum      [32]byte // SHA-256
}

// The sections, in the order in which they stand.
const (
	secRows   = iota // a record a row: patient 8, born 4, family 4; of kindRemove: patient, zeros
	secTable         // a record a token, ascending: token 12, row<<2|field 4
	secDir           // the first eight bytes of each block of the table
	secFilter        // the partitions of the filter
	secPairs         // the partitions of the filter of names
	numSections
)

// footer stands at the end of a file, before its seal and the magic.
type footer struct {
	Version  uint32
	Kind     kind
	Seq      uint64 // files count up; a main file takes the place of all with a lower number
	Created  int64  // Unix seconds
	KeyID    [16]byte
	Rows     uint64
	Entries  uint64
	Tokens   [numFields]uint64 // entries by field
	Common   uint64            // tokens left out, since they stand in too many rows
	Parts    uint32            // partitions of the filter, a power of two
	Pairs    uint32            // those of the filter of names; 0 in form 1
	Sections [numSections]section
}

// footerSize is how long the footer of a form is.
func footerSize(version uint32) int {
	if version == 1 {
		return binary.Size(footer{}) - binary.Size(section{})
	}
	return binary.Size(footer{})
}

// tailSize is what follows the sections in a file of a form.
func tailSize(version uint32) int { return footerSize(version) + sealSize + len(magic) }

// tail returns what ends a file.
func (f *footer) tail(k *Key) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.BigEndian, f) // a buffer takes every write
	seal := k.derive(tagFooter, b.Bytes())
	b.Write(seal[:])
	b.WriteString(magic)
	return b.Bytes()
}

// head returns what begins a file.
func head() []byte {
	b := append([]byte(magic), 0, 0, 0, Version)
	return append(b, 0, 0, 0, 0)
}

// readHead returns the form of a file that begins with b, if it can be read.
func readHead(b []byte) (version uint32, err error) {
	if len(b) < headSize || string(b[:len(magic)]) != magic {
		return 0, fmt.Errorf("%w: not a patient index", ErrDamaged)
	}
	version = binary.BigEndian.Uint32(b[len(magic):])
	if version > Version {
		return 0, fmt.Errorf("%w: form %d, this one reads up to %d", ErrNewer, version, Version)
	} else if version == 0 {
		return 0, fmt.Errorf("%w: not a patient index", ErrDamaged)
	}
	return version, nil
}

// readTail reads the end of a file of that size and form.
func readTail(b []byte, size int64, version uint32, k *Key) (*footer, [sealSize]byte, error) {
	var seal [sealSize]byte
	if len(b) != tailSize(version) || string(b[len(b)-len(magic):]) != magic {
		return nil, seal, fmt.Errorf("%w: it does not end as one", ErrDamaged)
	}
	raw := b[:footerSize(version)]
	f := &footer{}
	if _, err := binary.Decode(append(bytes.Clone(raw), make([]byte, binary.Size(section{}))...), binary.BigEndian, f); err != nil {
		return nil, seal, ErrDamaged
	}
	if version == 1 { // what it lacks stands, empty, behind the rest
		last := f.Sections[secFilter]
		f.Sections[secPairs] = section{Off: last.Off + last.Len, Sum: sha256.Sum256(nil)}
	}
	copy(seal[:], b[len(raw):])
	id := k.derive(tagKeyID)
	if !bytes.Equal(f.KeyID[:], id[:16]) {
		return nil, seal, ErrWrongKey
	}
	if want := k.derive(tagFooter, raw); seal != want {
		return nil, seal, fmt.Errorf("%w: its seal does not hold", ErrDamaged)
	}
	return f, seal, f.check(size, version)
}

// check sees to it that what the footer says fits a file of that size and form,
// so that nothing is made larger than the file.
func (f *footer) check(size int64, version uint32) error {
	bad := fmt.Errorf("%w: its parts do not fit", ErrDamaged)
	if f.Version != version || f.Kind < kindMain || f.Kind > kindRemove || f.Rows > maxRows || f.Entries > maxRows*maxTokens {
		return bad
	}
	at := uint64(headSize)
	end := uint64(size) - uint64(tailSize(version))
	for _, s := range f.Sections {
		if s.Off != at || s.Len > end-at {
			return bad
		}
		at += s.Len
	}
	blocks := func(n uint64) uint64 { return (n + perBlock - 1) / perBlock }
	if at != end || f.Sections[secRows].Len != blocks(f.Rows)*blockSize || f.Sections[secTable].Len != blocks(f.Entries)*blockSize ||
		f.Sections[secDir].Len != blocks(f.Entries)*8 || !validParts(f.Parts) || version > 1 && !validParts(f.Pairs) {
		return bad
	}
	return nil
}

func validParts(n uint32) bool { return n > 0 && n&(n-1) == 0 && n <= maxParts }

// name is that of the file.
func (f *footer) name() string {
	if f.Kind == kindMain {
		return MainFile
	}
	return deltaName(f.Seq)
}

// created is when the file was made.
func (f *footer) created() time.Time { return time.Unix(f.Created, 0).UTC() }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealBlock puts at the end of block b how many records it has, which of its
// section it is, and the check.
func sealBlock(b []byte, records int, n uint64) {
	binary.BigEndian.PutUint32(b[perBlock*recSize:], uint32(records))
	binary.BigEndian.PutUint64(b[perBlock*recSize+4:], n)
	binary.BigEndian.PutUint32(b[blockSize-4:], crc32.Checksum(b[:blockSize-4], castagnoli))
}

// checkBlock returns how many records block b has, the n-th of its section.
func checkBlock(b []byte, n uint64) (records int, err error) {
	k := binary.BigEndian.Uint32(b[perBlock*recSize:])
	if k > perBlock || binary.BigEndian.Uint64(b[perBlock*recSize+4:]) != n ||
		binary.BigEndian.Uint32(b[blockSize-4:]) != crc32.Checksum(b[:blockSize-4], castagnoli) {
		return 0, fmt.Errorf("%w: block %d", ErrDamaged, n)
	}
	return int(k), nil
}
