package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// newestFile is the name of the file that says which of the others was written
// last. Of those between, numbers without one tell; that the last is gone, nothing
// else.
const newestFile = "newest"

// newest is which file of an index was written last: its number, and the seal of
// the main file that it follows. Of an index of another main file, which was
// carried here or has just been built, it says nothing.
type newest struct {
	main [sealSize]byte
	seq  uint64
}

const newestSize = headSize + 16 + sealSize + 8 // head, name of the key, newest; then a seal

// write puts n beside the index in dir.
func (n *newest) write(dir string, k *Key) error {
	id := k.derive(tagKeyID)
	b := append(head(), id[:16]...)
	b = append(b, n.main[:]...)
	b = binary.BigEndian.AppendUint64(b, n.seq)
	seal := k.derive(tagNewest, b)
	if err := safefile.WriteFile(filepath.Join(dir, newestFile), append(b, seal[:]...), 0o600); err != nil {
		return fmt.Errorf("index: %s: %w", newestFile, err)
	}
	return nil
}

// readNewest reads what write wrote to dir. It is zero, which says nothing, where an
// older stanch wrote none or another key was in force.
func readNewest(dir string, k *Key) (n newest, err error) {
	f, err := os.Open(filepath.Join(dir, newestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return n, fmt.Errorf("%s: %w", newestFile, safefile.Classify("open", err))
	}
	defer f.Close() // read only: nothing to lose
	b, err := io.ReadAll(io.LimitReader(f, int64(newestSize+sealSize+1)))
	if err != nil {
		return n, fmt.Errorf("%s: %w", newestFile, safefile.Classify("read", err))
	}
	if len(b) != newestSize+sealSize {
		return n, fmt.Errorf("%s: %w", newestFile, ErrDamaged)
	}
	if _, err := readHead(b[:headSize]); err != nil {
		return n, fmt.Errorf("%s: %w", newestFile, err)
	}
	b, seal := b[:newestSize], b[newestSize:]
	if id := k.derive(tagKeyID); !bytes.Equal(b[headSize:headSize+16], id[:16]) {
		return n, nil
	}
	if want := k.derive(tagNewest, b); !bytes.Equal(seal, want[:]) {
		return n, fmt.Errorf("%s: %w: its seal does not hold", newestFile, ErrDamaged)
	}
	n.seq = binary.BigEndian.Uint64(b[newestSize-8:])
	copy(n.main[:], b[headSize+16:])
	return n, nil
}
