package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Bounds of an index.
const (
	maxRows   = 100_000_000
	maxTokens = 3 + maxPhones // of a row
	maxDeltas = 32            // a look-up asks each of them
	maxRemove = 1_000_000     // rows of a removal, kept in memory
)

// Options say how an extract is taken in.
type Options struct {
	Dir string // of the index; made, mode 0700, where it is missing
	Key *Key
	// Tmp is the folder of the files that are sorted, which have no name; "" for
	// Dir. They take 16 bytes a token.
	Tmp string
	// Columns names the header of a field's column, for headers that are not
	// known by themselves: "mrn" to "PATIENT_ID".
	Columns map[string]string
	Now     time.Time
	// Fewer lets Build take an extract of less than half the rows that the index
	// has. Without it such a one is taken for cut short.
	Fewer bool
	// Ready, if not nil, is called when all is written but the name: an error
	// ends it there. It is where a first key is saved.
	Ready func() error
	// RunEntries bounds what is sorted in memory at once; 0 for the default.
	RunEntries int
}

// Report is what was taken in. It holds no values.
type Report struct {
	Rows     int64            `json:"rows"`     // of patients
	Tokens   map[string]int64 `json:"tokens"`   // by field
	Common   int64            `json:"common"`   // tokens left out: in more than 16 rows
	Problems map[string]int64 `json:"problems"` // rows by what is wrong with them
	First    []Problem        `json:"first"`    // the first 20
}

func (r *Report) note(line int, what string) {
	r.Problems[what]++
	if len(r.First) < maxShown {
		r.First = append(r.First, Problem{line, what})
	}
}

// Build makes the index anew of the extract in. What was there stays in force
// until the new one is whole, and deltas go with it.
func Build(ctx context.Context, o Options, in io.Reader) (*Report, error) {
	return take(ctx, o, kindMain, in)
}

// Add takes in more patients, or more of what is known of them, without a
// rebuild.
func Add(ctx context.Context, o Options, in io.Reader) (*Report, error) {
	return take(ctx, o, kindAdd, in)
}

// Remove makes the rows of patients count no more that were taken in before. A
// patient is known by the record number, without one by the SSN, else by name
// and date of birth.
func Remove(ctx context.Context, o Options, in io.Reader) (*Report, error) {
	return take(ctx, o, kindRemove, in)
}

// take makes a file of the extract in and puts it beside the others.
func take(ctx context.Context, o Options, k kind, in io.Reader) (_ *Report, err error) {
	if err := safefile.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("index: folder: %w", err)
	}
	lock, err := safefile.Lock(filepath.Join(o.Dir, "lock"))
	if errors.Is(err, safefile.ErrLocked) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	there, err := survey(o, k)
	if err != nil {
		return nil, err
	}
	name := MainFile
	if k != kindMain {
		name = deltaName(there.seq)
	}
	r, err := newReader(in, o.Columns)
	if err != nil {
		return nil, err
	}
	f, err := createFile(filepath.Join(o.Dir, name), k, there.seq, o.Now, o.Key)
	if err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, o: o, f: f, had: there.rows, h: newHasher(o.Key), report: &Report{Tokens: map[string]int64{}, Problems: map[string]int64{}}}
	defer b.h.forget()
	if err := b.run(r); err != nil {
		return b.report, errors.Join(err, f.abort())
	}
	if o.Ready != nil {
		if err := o.Ready(); err != nil {
			return b.report, errors.Join(err, f.abort())
		}
	}
	seal, err := f.commit(o.Key)
	if err != nil {
		return b.report, err
	}
	if k == kindMain {
		there.main = seal
	}
	err = there.newest.write(o.Dir, o.Key)
	if k == kindMain { // they count no more; one that stays is passed over
		for _, n := range there.names {
			if n != MainFile {
				err = errors.Join(err, safefile.Remove(filepath.Join(o.Dir, n)))
			}
		}
	}
	return b.report, err
}

// standing is what is there before a file is written.
type standing struct {
	names  []string // the files
	rows   uint64   // of the main one
	newest          // with the number of the file that is written
}

// survey looks at what is there, and sweeps what a crash left.
func survey(o Options, k kind) (there standing, err error) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return there, fmt.Errorf("index: folder: %w", safefile.Classify("read", err))
	}
	for _, e := range entries {
		if safefile.IsTemp(e.Name()) {
			if err := safefile.Remove(filepath.Join(o.Dir, e.Name())); err != nil {
				return there, fmt.Errorf("index: sweep: %w", err)
			}
		}
	}
	if there.names, err = list(o.Dir); err != nil {
		return there, err
	}
	there.seq = 1
	ix, err := Open(o.Dir, o.Key)
	switch {
	case err == nil:
		defer ix.Close()
		there.seq, there.rows, there.main = ix.segs[len(ix.segs)-1].foot.Seq+1, ix.segs[0].foot.Rows, ix.segs[0].seal
		if k != kindMain && len(ix.segs) > maxDeltas {
			return there, fmt.Errorf("%w deltas, %d: build the index anew", ErrTooMany, maxDeltas)
		}
	case k != kindMain:
		return there, err
	}
	for _, n := range there.names { // also where Open refused them: a rebuild mends that
		if d, ok := deltaSeq(n); ok {
			there.seq = max(there.seq, d+1)
		}
	}
	return there, nil
}

// MainFile is the name of the file with all patients, in the folder of an index.
const MainFile = "main.idx"

// The names of the others.
const (
	deltaPrefix = "delta-"
	suffix      = ".idx"
)

func deltaName(seq uint64) string { return fmt.Sprintf("%s%08d%s", deltaPrefix, seq, suffix) }

func deltaSeq(name string) (uint64, bool) {
	mid, ok := strings.CutPrefix(name, deltaPrefix)
	mid, ok2 := strings.CutSuffix(mid, suffix)
	n, err := strconv.ParseUint(mid, 10, 32)
	return n, ok && ok2 && err == nil && name == deltaName(n)
}

// list returns the files of the index in dir, the main one first, then deltas by
// number.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("index: folder: %w", safefile.Classify("read", err))
	}
	var names []string
	for _, e := range entries {
		if _, delta := deltaSeq(e.Name()); delta {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == MainFile }) {
		names = slices.Insert(names, 0, MainFile)
	}
	return names, nil
}

// builder turns rows into tokens.
type builder struct {
	ctx    context.Context
	o      Options
	f      *file
	had    uint64 // rows of the main file that is there
	h      *hasher
	report *Report
	rows   blocks
	sort   sorter
	pairs  sorter // names without their dates, as token.hi
}

// run writes all sections.
func (b *builder) run(r *reader) error {
	tmp := b.o.Tmp
	if tmp == "" {
		tmp = b.o.Dir
	}
	b.sort = sorter{dir: tmp, max: b.o.RunEntries}
	if b.sort.max <= 0 {
		b.sort.max = runEntries
	}
	defer b.sort.close()
	b.pairs = sorter{dir: tmp, max: max(b.sort.max/4, 1)}
	defer b.pairs.close()
	b.rows.f = b.f
	b.f.begin(secRows)
	for {
		row, err := r.next(b.report.note)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = b.take(row)
		}
		if err == nil && b.report.Rows&0xfff == 0 {
			err = b.ctx.Err()
		}
		if err == nil {
			err = b.f.err
		}
		if err != nil {
			return err
		}
	}
	b.rows.flush()
	b.f.end(secRows)
	b.f.foot.Rows = uint64(b.report.Rows)
	if err := b.plausible(); err != nil {
		return err
	}
	w := newTableWriter(b.f, b.sort.n)
	if err := b.sort.each(w.add); err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	if err := b.writePairs(); err != nil {
		return err
	}
	b.report.Common = int64(b.f.foot.Common)
	for f := range numFields {
		b.report.Tokens[f.String()] = int64(b.f.foot.Tokens[f])
	}
	return nil
}

// writePairs writes the filter of names.
func (b *builder) writePairs() error {
	w := newFilterWriter(b.pairs.n)
	if err := b.pairs.each(func(e entry) { w.add(e.hi) }); err != nil {
		return err
	}
	out, err := w.close()
	if err != nil {
		return err
	}
	b.f.foot.Pairs = w.parts
	b.f.begin(secPairs)
	b.f.write(out)
	b.f.end(secPairs)
	return b.f.err
}

// plausible refuses an extract that would take protection away: one of the wrong
// columns, or cut short.
func (b *builder) plausible() error {
	rows, bad := b.report.Rows, b.report.Problems[wrongNobody]+b.report.Problems[wrongCount]+b.report.Problems[wrongQuote]
	switch {
	case rows == 0:
		return &LineError{2, "at least one row with a patient"}
	case bad > rows:
		return &LineError{b.report.First[0].Line, fmt.Sprintf("most rows with a patient, not %d of %d: are the columns those that are meant", rows, rows+bad)}
	case b.f.foot.Kind == kindMain && !b.o.Fewer && uint64(rows) < b.had/2:
		return fmt.Errorf("%w: %d rows, where the index has %d", ErrFewer, rows, b.had)
	}
	return nil
}

// take enters one row.
func (b *builder) take(r *row) error {
	var have [maxTokens]entry
	tokens := have[:0]
	no := uint32(b.report.Rows)
	add := func(f Field, t token, ok bool, wrong string) {
		if ok {
			tokens = append(tokens, entry{t, no<<2 | uint32(f)})
		} else {
			b.report.note(r.line, wrong)
		}
	}
	if r.mrn != nil {
		t, ok := b.h.single(MRN, trim(r.mrn))
		add(MRN, t, ok, wrongMRN)
	}
	if r.ssn != nil {
		t, ok := b.h.single(SSN, trim(r.ssn))
		add(SSN, t, ok, wrongSSN)
	}
	if r.born != nil {
		if b.h.value, _ = appendDate(b.h.value[:0], r.born); len(b.h.value) == 0 {
			b.report.note(r.line, wrongBorn)
			r.born = nil
		}
	}
	if r.born != nil && len(r.given) > 0 && len(r.family) > 0 {
		pair, ok := b.h.pair(r.given, r.family)
		var t token
		if ok {
			t, ok = b.h.bornOn(r.born)
		}
		add(Person, t, ok, wrongName)
		if ok && b.f.foot.Kind != kindRemove {
			if err := b.pairs.add(entry{token: token{hi: pair}}); err != nil {
				return err
			}
		}
	}
	if len(tokens) == 0 {
		b.report.note(r.line, wrongNobody)
		return nil
	}
	patient := tokens[0].hi // by MRN, else SSN, else name and date of birth
	for _, p := range r.phones {
		t, ok := b.h.single(Phone, trim(p))
		add(Phone, t, ok, wrongPhone)
	}
	if no >= maxRows || b.f.foot.Kind == kindRemove && no >= maxRemove {
		return fmt.Errorf("%w rows", ErrTooMany)
	}
	b.report.Rows++
	if b.f.foot.Kind == kindRemove {
		b.rows.add(patient, 0, 0)
		return nil
	}
	b.rows.add(patient, b.h.born(patient, r.born), b.h.family(patient, r.family))
	for _, e := range tokens {
		if err := b.sort.add(e); err != nil {
			return err
		}
	}
	return nil
}
