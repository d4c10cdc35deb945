package index

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const (
	maxRecord  = 64 << 10 // bytes of one row of an extract
	maxLines   = 16       // of one cell: more are rows that a quote took in
	maxColumns = 512
	maxPhones  = 4 // columns of telephone numbers
	maxShown   = 20
)

// column is what a column of the extract holds.
type column string

const (
	colMRN    column = "mrn"
	colSSN    column = "ssn"
	colName   column = "name"
	colFirst  column = "first"
	colLast   column = "last"
	colBorn   column = "dob"
	colPhone  column = "phone"
	colIgnore column = ""
)

// headers are the names by which columns are known, without blanks, signs and
// capitals.
//
// Source: what extracts of Epic (PAT_MRN_ID), Cerner (PERSON), Meditech, HL7
// field names and spreadsheets call them.
func headers() map[column][]string {
	return map[column][]string{
		colMRN: {"mrn", "patmrnid", "patmrn", "patientmrn", "medicalrecordnumber", "medicalrecordno", "medrecno", "mrnumber", "recordnumber", "chartnumber",
			"patientid", "patid", "hospitalnumber", "unitnumber"},
		colSSN:   {"ssn", "ssnumber", "ssno", "socialsecuritynumber", "socialsecurity", "patientssn", "patssn", "ssnumberpatient"},
		colName:  {"name", "patientname", "patname", "fullname", "namefullformatted"},
		colFirst: {"first", "firstname", "given", "givenname", "fname", "patfirstname", "patientfirstname", "namefirst"},
		colLast:  {"last", "lastname", "surname", "family", "familyname", "lname", "patlastname", "patientlastname", "namelast"},
		colBorn:  {"dob", "dateofbirth", "birthdate", "birthdt", "birthday", "birthdttm", "patdob", "patientdob", "patientbirthdate"},
		colPhone: {"phone", "phonenumber", "phoneno", "telephone", "tel", "homephone", "phonehome", "mobile", "mobilephone", "cell", "cellphone", "workphone", "patphone",
			"patientphone"},
	}
}

// Problem is what is wrong with a row, or with many: Line is where, or where
// first. It tells nothing of what stands there.
type Problem struct {
	Line int
	What string
}

// The problems of a row.
const (
	wrongCount  = "another number of fields than the header"
	wrongQuote  = "quotes that do not match"
	wrongMRN    = "a record number of fewer than 4 or more than 24 letters and digits, or with fewer than 3 digits"
	wrongSSN    = "a Social Security number that is none"
	wrongPhone  = "a telephone number that is none"
	wrongBorn   = "a date of birth that is none"
	wrongName   = "a name without a given or a family name"
	wrongNobody = "nothing that a patient could be known by"
)

// row is what an extract says of one patient. The slices are good until the next
// row is read.
type row struct {
	line          int
	mrn, ssn      []byte
	given, family []byte
	born          []byte
	phones        [][]byte
}

// reader reads an extract.
type reader struct {
	in    *limited
	csv   *csv.Reader
	what  []column
	width int
	line  int // of the row that comes next, at the earliest
	row   row
	buf   []byte
}

// limited ends a record that goes on for ever.
type limited struct {
	r    io.Reader
	left int
}

var errLong = errors.New("too long")

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLong
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// LineError is what ends the reading of an extract: the line, and what was
// expected. It quotes nothing of the file.
type LineError struct {
	Line int
	Want string
}

// Error returns "LINE: what was expected".
func (e *LineError) Error() string { return strconv.Itoa(e.Line) + ": want " + e.Want }

// newReader reads the header. named says what columns are by their header, beside
// those that are known; of a field that it names no other column counts.
func newReader(r io.Reader, named map[string]string) (*reader, error) {
	b := bufio.NewReaderSize(r, maxRecord)
	first, _ := b.Peek(maxRecord) // short: the whole file
	if bytes.HasPrefix(first, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3) // they are there
		first = first[3:]
	}
	line, _, _ := bytes.Cut(first, []byte("\n"))
	if bytes.IndexByte(line, 0) >= 0 {
		return nil, &LineError{1, "text in UTF-8"}
	}
	x := &reader{row: row{line: 1}, in: &limited{r: b, left: 2 * maxRecord}}
	x.csv = csv.NewReader(x.in)
	x.csv.Comma = delimiter(line)
	x.csv.ReuseRecord, x.csv.FieldsPerRecord = true, -1
	head, err := x.csv.Read()
	if err != nil || len(head) > maxColumns {
		return nil, &LineError{1, fmt.Sprintf("a header of at most %d columns", maxColumns)}
	}
	x.width = len(head)
	if err := x.swallowed(head); err != nil {
		return nil, err
	}
	return x, x.columns(head, named)
}

// delimiter is the sign that parts the columns of a header.
func delimiter(line []byte) rune {
	best, most := ',', 0
	for _, c := range ",\t;|" {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// columns finds out what the columns hold.
func (x *reader) columns(head []string, named map[string]string) error {
	x.what = make([]column, len(head))
	count := map[column]int{}
	for field, name := range named {
		if _, known := headers()[column(field)]; !known {
			return fmt.Errorf("--columns: want mrn, ssn, name, first, last, dob or phone, not %q", field)
		}
		i := slices.IndexFunc(head, func(h string) bool { return plainHeader(h) == plainHeader(name) })
		if i < 0 {
			return fmt.Errorf("--columns: want a column that the header has for %s", field)
		}
		x.what[i] = column(field)
		count[column(field)]++
	}
	for i, h := range head {
		for field, names := range headers() {
			if x.what[i] == colIgnore && named[string(field)] == "" && slices.Contains(names, plainHeader(h)) {
				x.what[i] = field
				count[field]++
			}
		}
	}
	for _, field := range []column{colMRN, colSSN, colName, colFirst, colLast, colBorn} {
		if count[field] > 1 {
			return &LineError{1, "one column for " + string(field) + ", not several: choose with --columns"}
		}
	}
	if count[colPhone] > maxPhones {
		return &LineError{1, fmt.Sprintf("at most %d columns of telephone numbers", maxPhones)}
	}
	person := count[colBorn] > 0 && (count[colName] > 0 || count[colFirst] > 0 && count[colLast] > 0)
	if count[colMRN]+count[colSSN] == 0 && !person {
		return &LineError{1, "a header with a column for mrn, ssn, or name and dob: name them with --columns mrn=HEADER,…"}
	}
	return nil
}

// plainHeader is a header without blanks, signs and capitals.
func plainHeader(h string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, h)
}

// next reads the next row; what is wrong with it goes to note. io.EOF ends, and
// any other error is one of the file as a whole.
func (x *reader) next(note func(line int, what string)) (*row, error) {
	for {
		x.in.left = maxRecord + 4096 // csv.Reader reads ahead by as much
		rec, err := x.csv.Read()
		switch pe := (*csv.ParseError)(nil); {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case errors.As(err, &pe) && !errors.Is(err, errLong):
			if pe.Line > pe.StartLine {
				return nil, openQuote(pe.StartLine)
			}
			x.line = pe.Line + 1
			note(pe.StartLine, wrongQuote)
			continue
		case errors.Is(err, errLong):
			return nil, &LineError{x.line, fmt.Sprintf("rows of at most %d bytes: a quote that is not closed", maxRecord)}
		case err != nil:
			return nil, fmt.Errorf("index: read the extract: %w", plainError(err))
		}
		line, _ := x.csv.FieldPos(0)
		if err := x.swallowed(rec); err != nil {
			return nil, err
		}
		if len(rec) != x.width {
			note(line, wrongCount)
			continue
		}
		x.fill(rec, line, note)
		return &x.row, nil
	}
}

// swallowed returns an error where a cell of rec holds rows: it has more than
// maxLines lines, or as many delimiters to each line as a row has, or the row,
// of several lines, has another number of fields than the header. Each such row
// would be a patient who is not looked for. It notes where the next row may begin.
func (x *reader) swallowed(rec []string) error {
	for i, cell := range rec {
		ends := strings.Count(cell, "\n")
		line, _ := x.csv.FieldPos(i)
		x.line = line + ends + 1
		rows := x.width >= 4 && strings.Count(cell, string(x.csv.Comma)) >= ends*(x.width-1) // of fewer columns an address has as many commas
		if ends > 0 && (rows || ends >= maxLines || len(rec) != x.width) {
			return openQuote(line)
		}
	}
	return nil
}

// openQuote is the error of a quote that took in the rows behind it.
func openQuote(line int) error {
	return &LineError{line, "a quote in this row to be closed: it goes on over the rows below"}
}

// plainError keeps of an error only what holds no path.
func plainError(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// fill makes x.row of a record.
func (x *reader) fill(rec []string, line int, note func(int, string)) {
	x.row = row{line: line, phones: x.row.phones[:0]}
	x.buf = x.buf[:0]
	for i, what := range x.what {
		if what == colIgnore {
			continue
		}
		value := strings.TrimSpace(rec[i])
		if value == "" {
			continue
		}
		if !utf8.ValidString(value) { // what spreadsheets of Windows write
			if s, err := charmap.Windows1252.NewDecoder().String(value); err == nil {
				value = s
			}
		}
		switch what {
		case colMRN:
			x.row.mrn = x.keep(value)
		case colSSN:
			x.row.ssn = x.keep(padSSN(value))
		case colName:
			given, family := splitName(value)
			if given == "" || family == "" {
				note(line, wrongName)
				continue
			}
			x.row.given, x.row.family = x.keep(given), x.keep(family)
		case colFirst:
			x.row.given = x.keep(firstWord(value))
		case colLast:
			x.row.family = x.keep(strings.Join(nameWords(value), " "))
		case colBorn:
			x.row.born = x.keep(value)
		case colPhone:
			x.row.phones = append(x.row.phones, x.keep(value))
		}
	}
}

// keep copies s into x.buf.
func (x *reader) keep(s string) []byte {
	from := len(x.buf)
	x.buf = append(x.buf, s...)
	return x.buf[from:len(x.buf):len(x.buf)]
}

// padSSN gives seven and eight digits the zeros back that a spreadsheet took.
func padSSN(s string) string {
	if n := len(s); (n == 7 || n == 8) && strings.Trim(s, "0123456789") == "" {
		return "00"[:9-n] + s
	}
	return s
}
