package formats

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

// TestRarCostly: an archive tells when a try of a password takes more rounds of a key
// than any program writes, for its headers or for a member.
func TestRarCostly(t *testing.T) {
	for _, c := range []struct {
		file         string
		head, rounds int // where they stand
	}{{"head5.rar", 8, 17}, {"locked5.rar", 0x51, 0x76}} {
		b, err := os.ReadFile(filepath.Join("testdata", "rar", c.file))
		if err != nil {
			t.Fatal(err)
		}
		for rounds, want := range map[byte]bool{15: false, mostRounds: false, mostRounds + 1: true, 24: true} {
			b[c.rounds] = rounds
			end := c.head + 5 + int(b[c.head+4])
			binary.LittleEndian.PutUint32(b[c.head:], crc32.ChecksumIEEE(b[c.head+4:end]))
			if got := (&rarArchive{b: b}).costly(); got != want {
				t.Errorf("%s: 2^%d rounds: got %v, want %v", c.file, rounds, got, want)
			}
			if got := (&rarArchive{further: [][]byte{b}}).costly(); got != want {
				t.Errorf("%s in a further volume: 2^%d rounds: got %v, want %v", c.file, rounds, got, want)
			}
		}
	}
}
