package formats

import (
	"math/rand/v2"
	"testing"
)

// TestMayHead holds that mayHead, which looks at eight bytes at a time, says what
// looking at one by one says.
func TestMayHead(t *testing.T) {
	slow := func(line []byte) (may, parted, odd bool) {
		if len(line) < 4 || len(line) > 1<<10 {
			return false, false, false
		}
		blanks, drawn := 0, line[0] == '|'
		for i, c := range line {
			switch headByte[c] {
			case 0:
				if !drawn {
					return false, parted, false
				}
			case 2:
				if !drawn && (i < 3 || !icdBefore(line[:i])) {
					return false, parted, parted
				}
			case 5:
				if !drawn {
					return false, parted, parted
				}
			case 3:
				if blanks++; i > 0 && line[i-1] == ' ' {
					blanks, parted = 0, true
				} else if blanks > 8 {
					return false, false, false
				}
			case 4:
				blanks, parted = 0, true
			}
		}
		return true, parted, false
	}
	pieces := []string{"a", "Name", "MRN", " ", " ", "  ", "\t", "|", ",", ";", "ICD10", "ICD-9", "1", ".", "@", "%", "[", "`", "{", "Z", "é", "│", "\x00", "DOB ", "of "}
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[[3]bool]int{}
	for range 200_000 {
		var line []byte
		for range 1 + r.IntN(24) {
			line = append(line, pieces[r.IntN(1+r.IntN(len(pieces)))]...)
		}
		may, parted, odd := mayHead(line)
		wantMay, wantParted, wantOdd := slow(line)
		if may != wantMay || parted != wantParted || odd != wantOdd {
			t.Fatalf("%q: %v %v %v, want %v %v %v", line, may, parted, odd, wantMay, wantParted, wantOdd)
		}
		seen[[3]bool{may, parted, odd}]++
	}
	if len(seen) < 5 {
		t.Errorf("only these outcomes were tried: %v", seen)
	}
}
