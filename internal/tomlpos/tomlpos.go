// Package tomlpos finds the line on which a key of a TOML file stands. It
// promises the true line for every key of a file that a TOML decoder accepts,
// and neither panic nor endless work for any other.
package tomlpos

import (
	"slices"
	"strconv"
	"strings"
)

// MaxDepth is how many names and places in arrays the path of a key may have
// before the rest of the file is not indexed. No configuration or rule file comes
// near it. A decoder may take memory with the square of the depth, or end the
// program: what is deeper is not to be given to one.
const MaxDepth = 32

// Key is one key of a file, in the order in which the file has them.
type Key struct {
	Path []any // string for a table's key, int for the place in an array, from 0
	Line int   // from 1
}

// Positions is where the keys of one file stand. The zero value knows none.
type Positions struct {
	keys  []Key
	exact map[string]int
	deep  int
}

// Index reads src, which should be TOML that a decoder has accepted. Of any
// other bytes it indexes what it can make out before the first fault.
func Index(src []byte) *Positions {
	p := &Positions{exact: map[string]int{}}
	s := &scanner{src: src, line: 1, pos: p, arrays: map[string]int{}}
	s.file()
	return p
}

// Deep returns the line on which a key or a value is deeper than MaxDepth, 0
// where none is.
func (p *Positions) Deep() int { return p.deep }

// Line returns the line of a key given as strings and, for the place in an
// array, ints: Line("watch", 1, "path"). Where the file does not have the key,
// it is the line of the nearest table or array around it, 1 in the end.
func (p *Positions) Line(key ...any) int {
	line, _ := p.Lookup(key...)
	return line
}

// Lookup is Line, and says whether the file has the very key.
func (p *Positions) Lookup(key ...any) (line int, found bool) {
	for n := len(key); n > 0; n-- {
		if line, ok := p.exact[join(key[:n])]; ok {
			return line, n == len(key)
		}
	}
	return 1, false
}

// Keys returns every key of the file, in file order. Tables and arrays of
// tables stand among them, each element of an array by its index.
func (p *Positions) Keys() []Key { return slices.Clone(p.keys) }

// Lines returns the lines of every key whose path without array indexes is
// key, in file order: what a decoder names "policies.all.typ" may stand in
// several policies. Nil where there is none.
func (p *Positions) Lines(key ...string) []int {
	var lines []int
	for _, k := range p.keys {
		if _, index := k.Path[len(k.Path)-1].(int); !index && slices.Equal(Names(k.Path), key) {
			lines = append(lines, k.Line)
		}
	}
	return lines
}

// Names returns the strings of a path, that is the path without the places in
// arrays.
func Names(path []any) []string {
	var names []string
	for _, e := range path {
		if s, ok := e.(string); ok {
			names = append(names, s)
		}
	}
	return names
}

// Parse splits a key as error messages write it, such as "watch[1].path", into
// the path that Line takes. Keys that need quotes in TOML are not split.
func Parse(key string) []any {
	var path []any
	for name := range strings.SplitSeq(key, ".") {
		name, rest, _ := strings.Cut(name, "[")
		if name != "" {
			path = append(path, name)
		}
		for place := range strings.SplitSeq(rest, "[") {
			if i, err := strconv.Atoi(strings.TrimSuffix(place, "]")); err == nil {
				path = append(path, i)
			}
		}
	}
	return path
}

// Format is the inverse of Parse.
func Format(path []any) string {
	var b strings.Builder
	for _, e := range path {
		switch e := e.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(e) + "]")
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(e)
		}
	}
	return b.String()
}

// add records the first place of a path; later ones, such as the second header
// of a table that dotted keys opened, do not move it.
func (p *Positions) add(path []any, line int) {
	k := join(path)
	if _, ok := p.exact[k]; ok {
		return
	}
	p.exact[k] = line
	p.keys = append(p.keys, Key{Path: slices.Clone(path), Line: line})
}

// join makes one string of a path, different for different paths.
func join(path []any) string {
	var b strings.Builder
	for _, e := range path {
		switch e := e.(type) {
		case int:
			b.WriteString("#" + strconv.Itoa(e))
		case string:
			b.WriteString(strconv.Quote(e))
		}
	}
	return b.String()
}
