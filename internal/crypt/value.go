package crypt

import (
	"encoding/hex"
	"fmt"
)

// kindValue binds a digest to values of rules.
const kindValue = "rule value"

// ValueDigests returns the keyed digest by which a rule file names a value
// without telling it. It reads the index key of the folder dir, and makes none.
func ValueDigests(dir string) (func(canonical []byte) string, error) {
	key, err := load(dir, indexFile, false, newIndex, parseIndex)
	if err != nil {
		return nil, err
	}
	r, err := newRing(key, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("crypt: derive: %w", err)
	}
	return r.ValueDigest, nil
}

// ValueDigest is 16 bytes in lower-case hex.
func (r *Ring) ValueDigest(canonical []byte) string {
	sum := r.MAC(kindValue, canonical)
	return hex.EncodeToString(sum[:16])
}
