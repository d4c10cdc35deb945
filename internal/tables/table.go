// Package tables holds the code tables that a site has imported, made from the
// files of those who issue the codes.
//
// What it promises: a table is taken in whole and verified, or not at all; what
// lies on disk is replaced atomically, carries its own checksum, and is refused
// with a clear error where it is damaged or from a newer program; a look-up
// allocates nothing. docs/tables.md has the bytes.
package tables

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ICD10CM names the table of ICD-10-CM, as rules do in dictionary.
const ICD10CM = "icd10cm"

// Format is the newest form of a table file that this program reads.
const Format = 1

// Errors of a table file.
var (
	// ErrNewer says that a newer program wrote it.
	ErrNewer error = fault{"written by a newer stanch", "newer"}
	// ErrDamaged says that it is not what was written.
	ErrDamaged error = fault{"damaged", "damaged"}
)

// fault is an error with the word that stands for it in the log.
type fault struct{ text, kind string }

func (f fault) Error() string { return f.text }

// ErrKind is that word.
func (f fault) ErrKind() string { return f.kind }

// Table is the codes of one version. It does not change, and may be shared.
type Table struct {
	About
	packed []byte // packedBytes for each code, ascending
	digest string
}

// About is what a Table says of itself.
type About struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`       // "2025" for a fiscal year, "2021-01" for an update within one
	Imported time.Time `json:"imported"`      // UTC, whole seconds
	Source   string    `json:"source_sha256"` // of the file it was made from, as it was given; lower-case hex
	Codes    int       `json:"codes"`         // headings included
	Billable int       `json:"billable"`      // those that are no headings
}

// A code is kept as seven digits to base 37: 0 for none, 1 to 10 for 0 to 9, 11
// to 36 for A to Z. One bit more says that it is billable.
const (
	longest     = 7 // characters of a code
	base        = 37
	packedBytes = 5 // 37^7 * 2 < 2^40
)

// pack returns code, three to seven letters and digits in either case with or
// without a dot behind the third, as a number; 0 for what is no code.
func pack(code string) uint64 {
	var n uint64
	at := 0
	for i := range len(code) {
		c := code[i]
		if i == 3 && c == '.' && len(code) > 4 {
			continue
		}
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0' + 1
		case c >= 'A' && c <= 'Z':
			digit = c - 'A' + 11
		case c >= 'a' && c <= 'z':
			digit = c - 'a' + 11
		default:
			return 0
		}
		if at++; at > longest {
			return 0
		}
		n = n*base + uint64(digit)
	}
	if at < 3 {
		return 0
	}
	for ; at < longest; at++ {
		n *= base
	}
	return n
}

// at returns entry i: the packed code, doubled, and 1 more where it is billable.
func (t *Table) at(i int) uint64 {
	b := t.packed[i*packedBytes:][:packedBytes]
	return uint64(b[0])<<32 | uint64(b[1])<<24 | uint64(b[2])<<16 | uint64(b[3])<<8 | uint64(b[4])
}

// Lists reports whether the table has value, a code or a heading, with its dot
// or without, in either case.
func (t *Table) Lists(value string) bool { return t.find(value) != 0 }

// Bills is Lists for codes alone: a heading cannot be billed.
func (t *Table) Bills(value string) bool { return t.find(value)&1 != 0 }

// find returns the entry of value, 0 for none.
func (t *Table) find(value string) uint64 {
	code := pack(value)
	if code == 0 {
		return 0
	}
	lo, hi := 0, len(t.packed)/packedBytes
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch got := t.at(mid); {
		case got>>1 == code:
			return got
		case got>>1 < code:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0
}

// Digest names the content of the table, whenever and from whatever file it was
// imported: lower-case hex.
func (t *Table) Digest() string { return t.digest }

// newTable makes a Table of entries as at returns them, in any order. The error
// is that of two entries for one code.
func newTable(about About, entries []uint64) (*Table, error) {
	slices.Sort(entries)
	t := &Table{About: about, packed: make([]byte, 0, len(entries)*packedBytes)}
	t.Codes, t.Billable = len(entries), 0
	for i, e := range entries {
		if i > 0 && entries[i-1]>>1 == e>>1 {
			return nil, errors.New("a code stands twice")
		}
		t.Billable += int(e & 1)
		t.packed = append(t.packed, byte(e>>32), byte(e>>24), byte(e>>16), byte(e>>8), byte(e))
	}
	t.digest = digest(t)
	return t, nil
}

func digest(t *Table) string {
	h := sha256.New()
	h.Write([]byte(t.Name + "\n"))
	h.Write(t.packed)
	return hex.EncodeToString(h.Sum(nil))
}

// Bounds of a table file, in bytes and codes.
const (
	maxAbout = 4 << 10
	maxCodes = 200_000
	maxTable = 64 + maxAbout + maxCodes*packedBytes + sha256.Size
)

const magic = "stanch table "

// encode returns t as it lies on disk.
func (t *Table) encode() ([]byte, error) {
	about, err := json.Marshal(t.About)
	if err != nil {
		return nil, err
	}
	b := append([]byte(magic+strconv.Itoa(Format)+"\n"), about...)
	b = append(b, '\n')
	b = append(b, t.packed...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}

// decode reads what encode wrote. The error is ErrNewer or ErrDamaged, and says
// how it can be seen.
func decode(b []byte) (*Table, error) {
	damaged := func(how string) error { return fmt.Errorf("%w: %s", ErrDamaged, how) }
	first, rest, ok := bytes.Cut(b, []byte("\n"))
	form, isTable := strings.CutPrefix(string(first[:min(len(first), 64)]), magic)
	if !ok || !isTable {
		return nil, damaged("it does not begin as a table does")
	}
	if n, err := strconv.Atoi(form); err != nil || n < 1 {
		return nil, damaged("its format has no number")
	} else if n > Format {
		return nil, fmt.Errorf("%w: its format is %d, and this program reads up to %d", ErrNewer, n, Format)
	}
	if len(b) > maxTable {
		return nil, damaged("it is too long")
	}
	if len(rest) < sha256.Size {
		return nil, damaged("it is cut short")
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, damaged("its checksum does not hold: it was changed or cut short")
	}
	line, packed, ok := bytes.Cut(rest[:len(rest)-sha256.Size], []byte("\n"))
	t := &Table{packed: bytes.Clone(packed)}
	if !ok || len(line) > maxAbout || json.Unmarshal(line, &t.About) != nil {
		return nil, damaged("what it says of itself cannot be read")
	}
	if err := t.consistent(); err != nil {
		return nil, err
	}
	t.digest = digest(t)
	return t, nil
}

// consistent looks whether the codes are as a look-up needs them, and as many
// as the table says.
func (t *Table) consistent() error {
	if t.Name != ICD10CM || ValidVersion(t.Version) != nil {
		return fmt.Errorf("%w: it has no known name or version", ErrDamaged)
	}
	if len(t.packed)%packedBytes != 0 || len(t.packed)/packedBytes != t.Codes {
		return fmt.Errorf("%w: it has not as many codes as it says", ErrDamaged)
	}
	billable := 0
	for i := range t.Codes {
		if i > 0 && t.at(i)>>1 <= t.at(i-1)>>1 {
			return fmt.Errorf("%w: its codes are out of order", ErrDamaged)
		}
		billable += int(t.at(i) & 1)
	}
	if billable != t.Billable {
		return fmt.Errorf("%w: it has not as many billable codes as it says", ErrDamaged)
	}
	return nil
}

// expression compiles an expression when it is first used: a reader is this program
// too, and compiles none as it starts.
func expression(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

var (
	versionForm = expression(`^20[0-9]{2}(-(0[1-9]|1[0-2]))?$`)
	yearInName  = expression(`(?i)(?:(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-_ ]*(?:[0-3]?[0-9][-_ ]+)?)?(?:fy)?(20[0-9]{2})(?:[^0-9]|$)`)
)

// ValidVersion says what a version looks like where v is none.
func ValidVersion(v string) error {
	if !versionForm().MatchString(v) {
		return errors.New(`a fiscal year such as "2025", or the year and month of an update such as "2025-04"`)
	}
	return nil
}

// VersionOf reads the version from a file's name as CMS gives it: "2025" from
// icd10cm_order_2025.txt, "2021-01" from icd10cm-order-Jan-2021.txt.gz. It is ""
// where the name does not tell.
func VersionOf(file string) string {
	m := yearInName().FindStringSubmatch(file)
	if m == nil {
		return ""
	}
	month := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(m[1]))
	if m[1] == "" {
		return m[2]
	}
	return fmt.Sprintf("%s-%02d", m[2], month/3+1)
}

// FiscalYear is the year of ICD-10-CM that is in force at t: it begins on
// 1 October of the calendar year before.
func FiscalYear(t time.Time) int {
	if t.Month() >= time.October {
		return t.Year() + 1
	}
	return t.Year()
}

// FiscalYear is the year that the table is of.
func (a *About) FiscalYear() int {
	year, month, _ := strings.Cut(a.Version, "-")
	y, _ := strconv.Atoi(year) // a version has been seen to be valid
	if cmp.Compare(month, "10") >= 0 {
		return y + 1
	}
	return y
}
