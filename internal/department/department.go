// Package department says whose department the sender of a mail is.
//
// It promises an answer for each address, the same until it is opened anew, at a
// cost that does not grow with the addresses of its file.
package department

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// Bounds on the file.
const (
	maxFile  = 16 << 20
	maxLines = 200_000
	maxLine  = 1 << 10 // bytes
)

// What is wrong with a file of departments, inside a FileError.
var (
	ErrKind    = errors.New("want a regular file")
	ErrLarge   = errors.New("want at most 200,000 lines and 16 MiB")
	ErrLine    = errors.New("want ADDRESS,DEPARTMENT: an address with a domain and without a comma or quotes, one comma, and a name of at most 60 bytes, in UTF-8")
	ErrTwice   = errors.New("the address stands in an earlier line with another department")
	ErrTooMany = errors.New("want at most 200 departments, with those of departments.list")
)

// FileError says what is wrong with the file, and where. It holds nothing of it.
type FileError struct {
	Path string
	Line int // from 1; 0 where it is the file as a whole
	Err  error
}

// Error returns PATH:LINE: what, or PATH: what.
func (e *FileError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// Book knows the departments of senders. It does not change; a nil Book knows none.
type Book struct {
	names   []string       // sorted
	file    map[string]int // by folded address: the place in all
	address map[string]int // patterns without a *, by folded address: the place in list
	domain  map[string]int // and by folded domain
	globs   policy.Senders // the others, in order
	places  []int          // of globs: the place in list
	list    []string
	all     []string // names, by place in the file
}

// Open reads what c names, which Validate has passed. Its error is a *FileError.
func Open(c Config) (*Book, error) {
	if !c.On() {
		return nil, nil
	}
	b := &Book{file: map[string]int{}, address: map[string]int{}, domain: map[string]int{}}
	var globs []string
	for place, d := range c.List {
		b.list = append(b.list, d.Name)
		for _, s := range d.Senders {
			if strings.Contains(s, "*") {
				globs, b.places = append(globs, s), append(b.places, place)
			} else {
				b.add(place, s)
			}
		}
	}
	var err error
	if b.globs, err = policy.ParseSenders(globs); err != nil {
		return nil, fmt.Errorf("department: %w", err)
	}
	if c.File != "" {
		if err := b.read(c.File); err != nil {
			return nil, err
		}
	}
	b.names = slices.Concat(b.list, b.all)
	slices.Sort(b.names)
	b.names = slices.Compact(b.names)
	if len(b.names) > maxDepartments {
		return nil, &FileError{Path: c.File, Err: ErrTooMany}
	}
	return b, nil
}

// add takes a pattern in that means one address, or everybody of one domain.
func (b *Book) add(place int, pattern string) {
	into, key := b.domain, dlp.FoldAddress(pattern)
	if strings.Contains(pattern, "@") {
		into = b.address
	}
	if _, earlier := into[key]; !earlier {
		into[key] = place
	}
}

// read takes the lines of the file in. It is no folder, device or pipe.
func (b *Book) read(path string) error {
	fail := func(line int, err error) error {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // without the path, which is told once
		}
		return &FileError{Path: path, Line: line, Err: err}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe that nobody writes to must not stop us
	if err != nil {
		return fail(0, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fail(0, err)
	case !info.Mode().IsRegular():
		return fail(0, ErrKind)
	case info.Size() > maxFile:
		return fail(0, ErrLarge)
	}
	places := map[string]int{}
	in := bufio.NewScanner(io.LimitReader(f, maxFile))
	in.Buffer(make([]byte, 0, maxLine), maxLine)
	n := 0
	for in.Scan() {
		if n++; n > maxLines {
			return fail(0, ErrLarge)
		}
		text := strings.TrimSpace(in.Text())
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text == "" || text[0] == '#' || n == 1 && strings.EqualFold(text, "address,department") {
			continue
		}
		address, name, ok := strings.Cut(text, ",")
		address, name = dlp.FoldAddress(strings.TrimSpace(address)), strings.TrimSpace(name)
		if !ok || !goodAddress(address) || !goodName(name) || strings.ContainsAny(name, `,"`) {
			return fail(n, ErrLine)
		}
		place, known := places[name]
		if !known {
			if place = len(b.all); place == maxDepartments {
				return fail(n, ErrTooMany)
			}
			places[name], b.all = place, append(b.all, name)
		}
		if was, there := b.file[address]; there && was != place {
			return fail(n, ErrTwice)
		}
		b.file[address] = place
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fail(n+1, ErrLine)
	} else if err != nil {
		return fail(0, err)
	}
	return nil
}

// goodAddress reports one address that a pattern could mean, and no pattern.
func goodAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	_, err := policy.ParseSenders([]string{s})
	return ok && err == nil && local != "" && domain != "" && utf8.ValidString(s) && !strings.ContainsAny(s, "*\"") && !strings.Contains(domain, "@")
}

// Of returns the name of a's department, "" for none: what the file says, else what
// the first of the list says that means a.
func (b *Book) Of(a dlp.Address) string {
	if b == nil || a.IsNull() {
		return ""
	}
	local, domain := dlp.FoldAddress(a.Local), dlp.FoldAddress(a.Domain)
	whole := local + "@" + domain
	if place, ok := b.file[whole]; ok {
		return b.all[place]
	}
	first := len(b.list)
	for _, exact := range []struct {
		in  map[string]int
		key string
	}{{b.address, whole}, {b.domain, domain}} {
		if place, ok := exact.in[exact.key]; ok {
			first = min(first, place)
		}
	}
	if i := b.globs.First(a); i >= 0 {
		first = min(first, b.places[i])
	}
	if first == len(b.list) {
		return ""
	}
	return b.list[first]
}

// Names returns the names of all departments, sorted.
func (b *Book) Names() []string {
	if b == nil {
		return nil
	}
	return slices.Clone(b.names)
}
