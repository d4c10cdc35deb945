package index

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Field is a kind of token.
type Field uint8

// The fields.
const (
	MRN Field = iota
	SSN
	Phone
	Person // given name, family name and date of birth together
	numFields
)

// String returns the field's name in rules and output.
func (f Field) String() string {
	return [...]string{"mrn", "ssn", "phone", "name+dob", "unknown"}[min(f, numFields)]
}

// What else the key is used for, told apart by the first byte.
const (
	tagBorn   byte = 0x10 + iota // a row's date of birth, with the patient's number
	tagFamily                    // a row's family name, with the patient's number
	tagKeyID                     // the name of the key
	tagFooter                    // the seal of a file
	tagPairs                     // the key of the filter of names
	tagNewest                    // the seal of newestFile
)

// token is 96 bits of HMAC-SHA-256(key, field || value). Of 40 million of them
// and 10^12 values that are none, not one is taken for one: 5 in 10^10.
type token struct {
	hi uint64
	lo uint32
}

// hasher makes tokens. It is for one goroutine.
type hasher struct {
	mac   hash.Hash
	pairs sipKey
	sum   []byte
	value []byte // the tag or field, then the normalised value
	spare []byte
}

func newHasher(k *Key) *hasher {
	pairs := k.derive(tagPairs)
	return &hasher{pairs: newSipKey([16]byte(pairs[:16])), mac: hmac.New(sha256.New, k.secret[:]), sum: make([]byte, 0, sha256.Size), value: make([]byte, 0, 512)}
}

// done returns the digest of h.value.
func (h *hasher) done() []byte {
	h.mac.Reset()
	h.mac.Write(h.value) // a hash takes every write
	h.sum = h.mac.Sum(h.sum[:0])
	return h.sum
}

func (h *hasher) token() token {
	s := h.done()
	return token{binary.BigEndian.Uint64(s), binary.BigEndian.Uint32(s[8:])}
}

// single makes the token of a field of one value; ok is false for what is no
// value of it.
func (h *hasher) single(f Field, raw []byte) (t token, ok bool) {
	h.value = append(h.value[:0], byte(f))
	switch f {
	case MRN:
		h.value, ok = appendMRN(h.value, raw)
	case SSN:
		h.value, ok = appendSSN(h.value, raw)
	case Phone:
		h.value, ok = appendPhone(h.value, raw)
	}
	if !ok {
		return token{}, false
	}
	return h.token(), true
}

// pair makes what stands for a name in the filter of names, and leaves the name
// in h.value for bornOn.
func (h *hasher) pair(given, family []byte) (sum uint64, ok bool) {
	h.value = append(h.value[:0], byte(Person))
	if h.value, h.spare, ok = appendName(h.value, family, h.spare); !ok {
		return 0, false
	}
	h.value = append(h.value, 0)
	if h.value, h.spare, ok = appendName(h.value, given, h.spare); !ok {
		return 0, false
	}
	h.value = append(h.value, 0)
	return h.pairs.sum(h.value), true
}

// bornOn makes the token of the name that pair was asked for, with a date of
// birth.
func (h *hasher) bornOn(born []byte) (t token, ok bool) {
	if h.value, ok = appendDate(h.value, born); !ok {
		return token{}, false
	}
	return h.token(), true
}

// born makes what a row keeps of its date of birth; 0 stands for none.
func (h *hasher) born(patient uint64, raw []byte) uint32 {
	var ok bool
	h.value = binary.BigEndian.AppendUint64(append(h.value[:0], tagBorn), patient)
	if h.value, ok = appendDate(h.value, raw); !ok {
		return 0
	}
	return max(binary.BigEndian.Uint32(h.done()), 1)
}

// family makes what a row keeps of its family name; 0 stands for none.
func (h *hasher) family(patient uint64, raw []byte) uint32 {
	var ok bool
	h.value = binary.BigEndian.AppendUint64(append(h.value[:0], tagFamily), patient)
	if h.value, h.spare, ok = appendName(h.value, raw, h.spare); !ok {
		return 0
	}
	return max(binary.BigEndian.Uint32(h.done()), 1)
}

// forget overwrites the value that was hashed last.
func (h *hasher) forget() { clear(h.value[:cap(h.value)]); clear(h.spare[:cap(h.spare)]) }

// trim returns raw without blanks around it, nil where it is too long to be a
// value.
func trim(raw []byte) []byte {
	if raw = bytes.TrimSpace(raw); len(raw) > maxRaw {
		return nil
	}
	return raw
}
