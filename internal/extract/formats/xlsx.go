package formats

import (
	"archive/zip"
	"bytes"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/xlsb"
)

// Bounds of a workbook.
const (
	maxShared  = 64 << 20 // bytes of shared strings that are held
	maxStyles  = 1 << 16  // cell formats
	maxTabs    = 64       // empty cells in a row that are written
	maxRowText = 1 << 20  // bytes of a row that are held
	maxCell    = 64 << 10 // bytes of one cell; a spreadsheet allows 32,767 letters
	maxAbove   = 10       // rows of a sheet above which its names may stand
)

// What parts of a workbook are for, by the ends of their relationships' types.
const (
	roleWorkbook = "workbook"
	roleStrings  = "sharedStrings"
	roleStyles   = "styles"
)

// workbook is what the sheets of a workbook share.
type workbook struct {
	shared  strings.Builder
	offs    []int    // where each shared string begins
	seen    []bool   // of each, whether a cell showed it
	formats []string // number format of each cell style, "" for none
	names   map[string]string
	date04  bool
	err     error // the first thing that passed a bound
}

// workbook reads shared strings, styles and sheet names, before any sheet. They
// are done with then, but for a binary workbook's own part.
//
// Source: ECMA-376-1 12.3; ECMA-376-2 6.2.2 for names, in which case does not count.
func (d *officeDoc) workbook(files []*zip.File) error {
	rels, sheets := map[string]string{}, map[string]string{}
	roles := map[string]string{} // by the name of a part
	for _, f := range files {
		if dir, base := path.Split(strings.ToLower(f.Name)); dir == "xl/_rels/" {
			roles["xl/"+strings.TrimSuffix(base, ".rels")] = roleWorkbook
			if err := d.scan(f, &relations{rels: rels, roles: roles}); err != nil {
				return err
			}
		}
	}
	named := map[string]bool{}
	for _, role := range roles {
		named[role] = true
	}
	bin := &binaryShared{binaryPart: binaryPart{newRows(d)}, sheets: sheets, custom: map[int]string{}}
	for _, f := range files {
		var h xmlHandler // nil for a part in binary form
		name := strings.ToLower(f.Name)
		if !strings.HasPrefix(name, "xl/") {
			continue
		}
		switch base := path.Base(name); {
		case base == "sharedstrings.bin", base == "styles.bin", base == "workbook.bin":
			bin.again = base == "workbook.bin"
		case path.Ext(base) == ".bin", d.done[f]:
			continue
		case roles[name] == roleStrings, base == "sharedstrings.xml" && !named[roleStrings]:
			h = &sharedStrings{wb: &d.wb}
		case roles[name] == roleStyles, base == "styles.xml" && !named[roleStyles]:
			h = &styles{wb: &d.wb, custom: map[string]string{}}
		case base == "workbook.xml", roles[name] == roleWorkbook:
			h = &sheetNames{wb: &d.wb, sheets: sheets, d: d}
		default:
			continue
		}
		if err := d.part(f, func(r io.Reader) error {
			if h == nil {
				return xlsbError(xlsb.Read(r, bin))
			}
			return d.j.conn.xml.scan(r, h)
		}); err != nil {
			return err
		}
		d.done[f] = h != nil || !bin.again
		if d.wb.err != nil {
			return d.wb.err
		}
	}
	d.wb.names = map[string]string{}
	for id, name := range sheets {
		d.wb.names[path.Join("xl", rels[id])] = name
	}
	return nil
}

// str returns the shared string that a cell shows.
func (wb *workbook) str(i int) string {
	if i < 0 || i >= len(wb.offs) {
		return ""
	}
	wb.seen[i] = true
	return wb.at(i)
}

func (wb *workbook) at(i int) string {
	all := wb.shared.String()
	switch {
	case i+1 == len(wb.offs):
		return all[wb.offs[i]:]
	}
	return all[wb.offs[i]:wb.offs[i+1]]
}

// add begins a shared string.
func (wb *workbook) add() {
	wb.offs, wb.seen = append(wb.offs, wb.shared.Len()), append(wb.seen, false)
}

// unseen writes the shared strings that no cell shows: rows that were deleted may
// have left them.
func (d *officeDoc) unseen() error {
	for i, seen := range d.wb.seen {
		if s := d.wb.at(i); !seen && s != "" {
			d.line([]byte(s))
			if err := d.spent(len(s)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sharedStrings keeps the text of each <si>. ECMA-376-1 18.4.
type sharedStrings struct {
	wb  *workbook
	inT bool
}

func (s *sharedStrings) start(name string, _ attrs) {
	switch name {
	case "si":
		s.wb.add()
	case "t":
		s.inT = true
	}
}

func (s *sharedStrings) end(name string) {
	if name == "t" {
		s.inT = false
	}
}

func (s *sharedStrings) text(b []byte) {
	if !s.inT || s.wb.err != nil {
		return
	}
	if s.wb.shared.Len()+len(b) > maxShared {
		s.wb.err = gapOf(dlp.TooLarge, "shared strings")
		return
	}
	s.wb.shared.Write(b)
}

// styles keeps the number format of each cell style. ECMA-376-1 18.8.
type styles struct {
	quiet
	wb     *workbook
	custom map[string]string
	inXfs  bool
}

func (s *styles) start(name string, a attrs) {
	switch name {
	case "numFmt":
		if len(s.custom) < maxStyles {
			s.custom[a.get("numFmtId")] = a.get("formatCode")
		}
	case "cellXfs":
		s.inXfs = true
	case "xf":
		if s.inXfs && len(s.wb.formats) < maxStyles {
			id := a.get("numFmtId")
			f, ok := s.custom[id]
			if !ok {
				f = builtinFormat(id)
			}
			s.wb.formats = append(s.wb.formats, f)
		}
	}
}

func (s *styles) end(name string) {
	if name == "cellXfs" {
		s.inXfs = false
	}
}

type relations struct {
	quiet
	rels  map[string]string
	roles map[string]string // what shared parts are for
}

func (r *relations) start(name string, a attrs) {
	if name == "Relationship" && len(r.rels) < maxStyles {
		target := strings.TrimPrefix(a.get("Target"), "/xl/")
		r.rels[a.get("Id")] = target
		if role := path.Base(a.get("Type")); role == roleStrings || role == roleStyles {
			r.roles[strings.ToLower(path.Join("xl", target))] = role
		}
	}
}

// sheetNames keeps the sheets' names and writes the defined names' values.
type sheetNames struct {
	quiet
	wb      *workbook
	d       *officeDoc
	sheets  map[string]string
	defined bool
}

func (s *sheetNames) start(name string, a attrs) {
	switch name {
	case "sheet":
		if len(s.sheets) < maxStyles {
			s.sheets[a.get("id")] = a.get("name")
		}
	case "customWorkbookView":
		s.d.line([]byte(a.get("name")))
	case "workbookPr":
		v := a.get("date1904")
		s.wb.date04 = v == "1" || v == "true"
	}
	if s.defined = name == "definedName"; s.defined {
		for _, k := range []string{"name", "comment", "description"} {
			if v := a.get(k); v != "" && !strings.HasPrefix(v, "_") { // which are the program's
				s.d.line([]byte(v))
			}
		}
	}
}

func (s *sheetNames) text(b []byte) {
	if s.defined && (bytes.IndexByte(b, '"') >= 0 || longDigits(b)) { // constants; references say nothing
		s.d.line(b)
	}
}

// sheet writes a worksheet: each row a line, cells parted by tabs, each cell a
// span with its column's name and its row's number.
//
// Source: ECMA-376-1 18.3.1.
type sheet struct {
	d      *officeDoc
	name   string
	labels []string
	header bool // a row holds the names
	above  int  // rows that were seen
	sole   bool // the names are those of a row of one cell, which may be a title
	width  int  // cells of the last row
	row    uint32

	cells []cell // of the row at hand
	held  int    // bytes of their text
	words []byte // formulas of the row that hold words of their own
	cur   cell
	typ   string
	style int
	buf   []byte
	in    string // the element whose text counts: v, t, f, or of a header or rule
	below bool   // the rows have ended
}

type cell struct {
	col  int
	text string // as shown
	raw  string // as kept, where that differs

	label string // its own, "" where its column's will do
}

func newSheet(d *officeDoc, file string) *sheet {
	return &sheet{d: d, name: d.wb.names[file], header: true}
}

func (s *sheet) start(name string, a attrs) {
	switch name {
	case "sheetData", "dialogsheet":
		if s.name != "" {
			s.d.j.out.field(s.name, "sheet", 0)
			s.d.j.out.writeString("\n")
		}
	case "row":
		s.cells, s.held = s.cells[:0], 0
	case "c":
		s.cur = cell{col: column(a.get("r"), len(s.cells))}
		s.typ, s.buf = a.get("t"), s.buf[:0]
		s.style, _ = strconv.Atoi(a.get("s"))
	case "v", "t", "f", "oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter",
		"formula", "formula1", "formula2": // of rules
		s.in = name
	case "hyperlink", "dataValidation", "scenario", "inputCells", "protectedRange", "filter", "customFilter", "cfRule":
		for _, k := range []string{"location", "tooltip", "display", "prompt", "promptTitle", "error", "errorTitle", "comment", "val", "name", "user", "text"} {
			if v := a.get(k); v != "" {
				s.d.line([]byte(v))
			}
		}
	}
}

func (s *sheet) text(b []byte) {
	switch s.in {
	case "f", "formula", "formula1", "formula2":
		if len(s.words) > maxCell {
			s.flush()
		}
		if bytes.IndexByte(b, '"') >= 0 || s.in != "f" && longDigits(b) {
			s.words = append(append(s.words, b...), '\n')
		}
	case "v", "t":
		if len(s.buf)+len(b) <= maxCell {
			s.buf = append(s.buf, b...)
		} else if s.d.wb.err == nil {
			s.d.wb.err = gapOf(dlp.TooLarge, "cell")
		}
	case "oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter":
		s.d.line(b)
	}
}

func (s *sheet) end(name string) {
	switch name {
	case "c":
		s.endCell()
	case "row":
		s.endRow()
		s.flush()
	case s.in:
		s.in = ""
		if s.below {
			s.flush()
		}
	case "sheetData":
		s.below = true
	}
}

// flush writes the formulas at hand.
func (s *sheet) flush() {
	if len(s.words) > 0 && s.d.wb.err == nil {
		s.d.j.out.write(s.words)
	}
	s.words = s.words[:0]
}

func (s *sheet) endCell() {
	if s.d.wb.err != nil {
		return // no more of the sheet is written
	}
	switch s.typ {
	case "s":
		i, err := strconv.Atoi(string(bytes.TrimSpace(s.buf)))
		if err != nil {
			i = -1
		}
		s.cur.text = s.d.wb.str(i)
		s.showText()
	case "", "n", "d":
		v := string(s.buf)
		s.cur.text = v
		if s.style >= 0 && s.style < len(s.d.wb.formats) {
			if shown := s.d.wb.show(v, s.d.wb.formats[s.style]); shown != "" && shown != v {
				s.cur.text, s.cur.raw = shown, v
			}
		}
	default:
		s.cur.text = string(s.buf)
		s.showText()
	}
	s.add(s.cur)
	s.cur = cell{}
}

// showText writes the words around a text that its format shows.
func (s *sheet) showText() {
	if s.style >= 0 && s.style < len(s.d.wb.formats) {
		if shown := showText(s.cur.text, s.d.wb.formats[s.style]); shown != "" && shown != s.cur.text {
			s.cur.text, s.cur.raw = shown, s.cur.text
		}
	}
}

// add takes a cell into the row at hand. A row past the bounds is written in
// pieces.
func (s *sheet) add(c cell) {
	if c.text != "" {
		s.cells = append(s.cells, c)
		s.held += len(c.text)
	}
	if s.held > maxRowText || len(s.cells) >= 1<<14 { // ECMA-376's most columns
		s.endRow()
		s.cells, s.held = s.cells[:0], 0
	}
}

func (s *sheet) endRow() {
	if len(s.cells) == 0 || s.d.wb.err != nil {
		return
	}
	out := s.d.j.out
	names := s.header && s.isHeader()
	if names {
		s.labels = s.labels[:0]
		for _, c := range s.cells {
			if c.col < maxColumns {
				s.labels = append(s.labels, make([]string, max(0, c.col+1-len(s.labels)))...)
				s.labels[c.col] = columnLabel(c.text)
			}
		}
	} else {
		s.row++
	}
	at := 0
	size := 1
	for i, c := range s.cells {
		if i > 0 && c.col == s.cells[i-1].col { // of a column that repeats
			out.writeString(", ")
		}
		for n := 0; at < c.col && n < maxTabs; n++ {
			out.writeString("\t")
			at++
		}
		at = c.col
		label := ""
		if c.col < len(s.labels) {
			label = s.labels[c.col]
		}
		if c.label != "" {
			label = c.label
		}
		if names {
			out.writeString(c.text)
		} else {
			out.field(c.text, label, s.row)
		}
		if c.raw != "" {
			out.writeString(" (")
			if names {
				out.writeString(c.raw)
			} else {
				out.field(c.raw, label, s.row)
			}
			out.writeString(")")
		}
		size += len(c.text) + len(c.raw) + 4
	}
	out.writeString("\n")
	s.flush()
	if err := s.d.repeat(size); err != nil {
		s.d.wb.err = err
	}
}

// declared writes the names that a format gives its columns apart from any row, and
// labels their cells so.
func (s *sheet) declared(columns []string, label func(string) string) error {
	size := 0
	for i, c := range columns {
		c = validString(c)
		if i > 0 {
			s.d.j.out.writeString("\t")
		}
		s.d.j.out.writeString(c)
		size += len(c) + 1
		if i < maxColumns {
			s.labels = append(s.labels, label(c))
		}
	}
	s.d.j.out.writeString("\n")
	return s.d.spent(size)
}

// isHeader reports that the row at hand holds the names of the columns below it:
// the first row of a sheet, or one below a title, that is a header by itself; and
// any that has a name that columns of patients have, among the first ones or where
// rows get wider or narrower, as below a table that ended.
func (s *sheet) isHeader() bool {
	row := make([]string, 0, len(s.cells))
	odd := false
	for _, c := range s.cells {
		odd = odd || c.raw != ""
		row = append(row, c.text)
	}
	first, title := s.above == 0, s.sole && s.above < maxAbove
	other := s.above < maxAbove || len(row) != s.width
	s.above, s.width = min(s.above+1, maxAbove), len(row)
	switch {
	case first:
		if !headsPatients(row) && (odd || !headerRow(row)) {
			return false
		}
	case title && len(row) > 1 && !odd && headerRow(row):
	case other && len(row) > 1 && namesOfPatients(row):
	default:
		return false
	}
	s.sole = len(row) == 1
	return true
}

// column reads the column of a reference such as "AB12", from 0.
func column(ref string, next int) int {
	n := 0
	for i := 0; i < len(ref) && i < 3 && ref[i] >= 'A' && ref[i] <= 'Z'; i++ {
		n = n*26 + int(ref[i]-'A') + 1
	}
	if n == 0 {
		return next
	}
	return n - 1
}
