package tables

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/scanner/check"
)

// Error is one thing wrong in a file that was to be imported.
type Error struct {
	File string // as it was named
	Line int    // from 1; the last one for what concerns the file as a whole
	Key  string // the column
	Want string // what was expected
}

// Error returns "FILE:LINE: KEY: what was expected".
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Key, e.Want)
}

// Bounds of an order file.
const (
	maxOrder  = 64 << 20 // bytes, unpacked; that of 2021 has 14 million
	maxLine   = 1000     // bytes; the longest of 2021 has 304
	minCodes  = 80_000   // 2021: 95,358
	maxWrong  = 20       // errors that are told
	maxMissed = 16       // categories of the built-in structure that may be gone, in decades
)

// ReadOrder makes a table of CMS's order file of ICD-10-CM, plain or packed by
// gzip, which file names in errors. Anything in it that is not as such a file is
// makes it an error: *Errors, joined, at most twenty.
//
// Source: CMS, "ICD-10-CM Order File" (columns: order number 1 to 5, code 7 to
// 13, 0 for a heading and 1 for a code at 15, short description 17 to 76, long
// description from 78).
func ReadOrder(r io.Reader, file, version string) (*Table, error) {
	if err := ValidVersion(version); err != nil {
		return nil, fmt.Errorf("version: want %w", err)
	}
	whole := sha256.New()
	buffered := bufio.NewReader(io.TeeReader(r, whole))
	text, err := unpacked(buffered, file)
	if err != nil {
		return nil, err
	}
	o := order{file: file, next: 1, least: minCodes, lines: map[uint64]int{}}
	if err := o.read(bufio.NewReaderSize(io.LimitReader(text, maxOrder+1), 64<<10)); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, buffered); err != nil { // what a packed file has behind its end
		return nil, err
	}
	return newTable(About{Name: ICD10CM, Version: version, Source: hex.EncodeToString(whole.Sum(nil))}, o.entries)
}

// unpacked returns the text of r, whatever it is packed in.
func unpacked(r *bufio.Reader, file string) (io.Reader, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK")):
		return nil, &Error{File: file, Line: 1, Key: "file", Want: "the order file itself, plain or packed by gzip: unpack this archive first"}
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, &Error{File: file, Line: 1, Key: "file", Want: "a whole gzip file: " + err.Error()}
		}
		return z, nil
	}
	return r, nil
}

// order is an order file being read.
type order struct {
	file    string
	least   int // codes that there are to be; 0: it is a part of a file
	line    int
	next    int // order number
	bytes   int64
	errs    []error
	lines   map[uint64]int // line of each code, by its packed form
	within  []heading      // the code of the line before, and the headings around it, outermost first
	entries []uint64
}

// heading is a line that later ones may stand below.
type heading struct {
	code     string
	line     int
	heading  bool
	children int
}

func (o *order) errorf(line int, key, format string, args ...any) {
	o.errs = append(o.errs, &Error{File: o.file, Line: line, Key: key, Want: fmt.Sprintf(format, args...)})
}

func (o *order) read(r *bufio.Reader) error {
	for len(o.errs) < maxWrong {
		line, err := r.ReadSlice('\n')
		o.bytes += int64(len(line))
		if len(line) > 0 || errors.Is(err, bufio.ErrBufferFull) {
			o.line++
		}
		switch {
		case o.bytes > maxOrder:
			o.errorf(o.line, "file", "at most %d bytes", maxOrder)
			return errors.Join(o.errs...)
		case errors.Is(err, bufio.ErrBufferFull):
			o.errorf(o.line, "line", "at most %d bytes: this is no order file", maxLine)
			return errors.Join(o.errs...)
		case errors.Is(err, io.EOF):
			if len(line) > 0 {
				o.take(line)
			}
			o.end()
			return errors.Join(o.errs...)
		case err != nil:
			o.errorf(max(o.line, 1), "file", "a whole file: %s", err)
			return errors.Join(o.errs...)
		}
		o.take(line)
	}
	o.errorf(o.line, "file", "an order file as CMS has it: no more errors are told")
	return errors.Join(o.errs...)
}

// take judges a line, and enters its code.
func (o *order) take(raw []byte) {
	line := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	before := len(o.errs)
	wide := columns(line)
	switch {
	case len(line) > maxLine:
		o.errorf(o.line, "line", "at most %d bytes", maxLine)
	case strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }):
		o.errorf(o.line, "line", "text without control characters")
	case wide < 78:
		o.errorf(o.line, "line", "at least 78 columns, not %d: order number 1-5, code 7-13, header flag 15, short description 17-76, long description from 78", wide)
	}
	if len(o.errs) > before {
		return
	}
	n, err := strconv.ParseUint(line[:5], 10, 32)
	if err != nil || line[5] != ' ' {
		o.errorf(o.line, "order number", "five digits in columns 1-5")
		n = uint64(o.next)
	} else if int(n) != o.next {
		o.errorf(o.line, "order number", "%05d, not %05d: lines are numbered without a gap", o.next, n)
	}
	o.next = int(n) + 1
	code := strings.TrimRight(line[6:13], " ")
	if !codeForm(code) || line[13] != ' ' {
		o.errorf(o.line, "code", "a capital letter and two to six capital letters or digits in columns 7-13")
		return
	}
	if line[14] != '0' && line[14] != '1' || line[15] != ' ' {
		o.errorf(o.line, "header flag", "0 for a heading or 1 for a code in column 15")
		return
	}
	short, long := split(line)
	if strings.TrimSpace(short) == "" {
		o.errorf(o.line, "short description", "words in columns 17-76")
	}
	if strings.TrimSpace(long) == "" {
		o.errorf(o.line, "long description", "words from column 78 on")
	}
	o.place(code, line[14] == '0')
}

// columns is how wide a line is: characters, or bytes where it is no UTF-8.
func columns(line string) int {
	if utf8.ValidString(line) {
		return utf8.RuneCountInString(line)
	}
	return len(line)
}

// split returns the descriptions of a line that is wide enough.
func split(line string) (short, long string) {
	if utf8.ValidString(line) && utf8.RuneCountInString(line) != len(line) {
		r := []rune(line)
		if len(r) < 78 {
			return "", ""
		}
		return string(r[16:76]), string(r[77:])
	}
	return line[16:76], line[77:]
}

func codeForm(s string) bool {
	if len(s) < 3 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'A' || s[i] > 'Z') {
			return false
		}
	}
	return true
}

// place enters a code below the headings it belongs to: those of the line
// before, as far as they begin it.
func (o *order) place(code string, isHeading bool) {
	packed := pack(code)
	if line, twice := o.lines[packed]; twice {
		o.errorf(o.line, "code", "a code that no other line has: %s stands in line %d", code, line)
		return
	}
	o.lines[packed] = o.line
	for len(o.within) > 0 && !strings.HasPrefix(code, o.within[len(o.within)-1].code) {
		o.leave()
	}
	if len(o.within) == 0 && len(code) > 3 {
		if o.spoilt() { // its category may stand in a line that is reported
			return
		}
		o.errorf(o.line, "code", "a code behind its category: %s, or a code of it, does not stand before", code[:3])
		return
	}
	if n := len(o.within); n > 0 {
		if up := &o.within[n-1]; !up.heading {
			o.errorf(up.line, "header flag", "0: %s stands below %s", code, up.code)
		}
		o.within[n-1].children++
	}
	o.within = append(o.within, heading{code: code, line: o.line, heading: isHeading})
	entry := packed << 1
	if !isHeading {
		entry |= 1
	}
	o.entries = append(o.entries, entry)
}

// spoilt reports that a line could not be read, so that others may seem to
// stand in the wrong place.
func (o *order) spoilt() bool { return len(o.errs) > 0 }

// leave ends the innermost heading.
func (o *order) leave() {
	last := o.within[len(o.within)-1]
	o.within = o.within[:len(o.within)-1]
	if last.heading && last.children == 0 && !o.spoilt() {
		o.errorf(last.line, "header flag", "1, or codes below %s in the lines that follow: is the file whole?", last.code)
	}
}

// end judges the file as a whole, once nothing else is wrong with it.
func (o *order) end() {
	for len(o.within) > 0 {
		o.leave()
	}
	if len(o.errs) > 0 {
		return
	}
	if n := len(o.entries); n < o.least || n > maxCodes {
		o.errorf(max(o.line, 1), "file", "%d to %d codes, not %d: is the file whole, and ICD-10-CM?", o.least, maxCodes, n)
		return
	}
	if o.least == 0 {
		return
	}
	var missed []string
	eachCategory(func(c string) {
		if o.lines[pack(c)] == 0 {
			missed = append(missed, c)
		}
	})
	if len(missed) > maxMissed {
		o.errorf(o.line, "file", "all categories of ICD-10-CM: %d are not there, %s and %s among them; is the file whole?", len(missed), missed[0], missed[len(missed)-1])
	}
}

// eachCategory calls f with every category of the built-in structure.
func eachCategory(f func(string)) {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, a := range letters[10:] {
		for _, b := range letters {
			for _, c := range letters {
				if s := string([]rune{a, b, c}); check.ICD10CM(s) {
					f(s)
				}
			}
		}
	}
}
