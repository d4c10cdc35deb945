package config

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/notify/siem"
	"github.com/stanch-dlp/stanch/internal/tomlpos"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/watch"
)

// decoder fills a Config from a parsed file. Unlike the TOML library's own it
// goes on after a mistake, and knows the element of an array and so the line.
type decoder struct {
	pos      *tomlpos.Positions
	mistakes []*Error
}

// config fills c from the whole tree.
func (d *decoder) config(tree map[string]any, c *Config) {
	d.table(nil, tree, reflect.ValueOf(c).Elem())
}

// add notes a mistake at path.
func (d *decoder) add(path []any, want string) {
	d.mistakes = append(d.mistakes, &Error{Line: d.pos.Line(path...), Key: tomlpos.Format(path), Want: want})
}

// table fills the struct dst.
func (d *decoder) table(path []any, src map[string]any, dst reflect.Value) {
	known := map[string]reflect.Value{}
	for f := range fields(dst) {
		known[f.key] = f.value
	}
	for _, key := range slices.Sorted(maps.Keys(src)) {
		at := append(slices.Clone(path), key)
		if field, ok := known[key]; ok {
			d.value(at, src[key], field)
		} else {
			d.add(at, "no such key"+suggest(key, slices.Sorted(maps.Keys(known))))
		}
	}
}

// value fills dst, whatever its kind.
func (d *decoder) value(path []any, src any, dst reflect.Value) {
	switch own := dst.Addr().Interface().(type) {
	case toml.Unmarshaler:
		if err := own.UnmarshalTOML(src); err != nil {
			d.add(path, expected(err))
		}
		return
	case encoding.TextUnmarshaler:
		d.text(path, src, own)
		return
	}
	switch dst.Kind() {
	case reflect.Struct:
		if t, ok := src.(map[string]any); ok {
			d.table(path, t, dst)
			return
		}
		d.add(path, "a table, ["+tomlpos.Format(path)+"]")
	case reflect.Slice:
		d.list(path, src, dst)
	case reflect.String:
		if s, ok := src.(string); ok {
			dst.SetString(s)
			return
		}
		d.add(path, "a string in quotes")
	case reflect.Bool:
		if b, ok := src.(bool); ok {
			dst.SetBool(b)
			return
		}
		d.add(path, "true or false")
	case reflect.Int:
		if n, ok := src.(int64); ok && !dst.OverflowInt(n) {
			dst.SetInt(n)
			return
		}
		d.add(path, "a whole number")
	default:
		panic("config: no TOML for a field of kind " + dst.Kind().String()) // a new Config field: the tests decode every one
	}
}

// text hands a string, or a whole number's digits, to dst.
func (d *decoder) text(path []any, src any, dst encoding.TextUnmarshaler) {
	var s string
	switch v := src.(type) {
	case string:
		s = v
	case int64:
		s = strconv.FormatInt(v, 10)
	}
	if err := dst.UnmarshalText([]byte(s)); err != nil {
		d.add(path, expected(err))
	}
}

// expected makes what was expected of an unmarshaler's error.
func expected(err error) string { return strings.TrimPrefix(err.Error(), "want ") }

// list fills the slice dst, whose elements start from their defaults.
func (d *decoder) list(path []any, src any, dst reflect.Value) {
	var elements []any
	switch v := src.(type) {
	case []any:
		elements = v
	case []map[string]any:
		for _, t := range v {
			elements = append(elements, t)
		}
	default:
		want := "a list in brackets"
		if dst.Type().Elem().Kind() == reflect.Struct {
			want = "an array of tables, [[" + tomlpos.Format(path) + "]]"
		}
		d.add(path, want)
		return
	}
	list := reflect.MakeSlice(dst.Type(), 0, len(elements))
	for i, e := range elements {
		one := element(dst.Type().Elem())
		d.value(append(slices.Clone(path), i), e, one)
		list = reflect.Append(list, one)
	}
	dst.Set(list)
}

// element returns a new element of a list with its defaults.
func element(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch e := v.Addr().Interface().(type) {
	case *watch.Config:
		*e = watch.DefaultConfig()
	case *smtp.Route:
		*e = smtp.DefaultRoute()
	case *siem.Config:
		*e = siem.DefaultConfig()
	}
	return v
}

// field is one key of a table.
type field struct {
	key   string
	def   reflect.StructField
	value reflect.Value
}

// fields yields the keys of the struct v; those of embedded structs are its
// own.
func fields(v reflect.Value) func(yield func(field) bool) {
	return func(yield func(field) bool) { walkFields(v, yield) }
}

func walkFields(v reflect.Value, yield func(field) bool) bool {
	for i := range v.NumField() {
		def := v.Type().Field(i)
		key, _, _ := strings.Cut(def.Tag.Get("toml"), ",")
		switch {
		case def.Anonymous && key == "":
			if !walkFields(v.Field(i), yield) {
				return false
			}
		case key == "" || key == "-" || !def.IsExported():
		case !yield(field{key, def, v.Field(i)}):
			return false
		}
	}
	return true
}

// suggest names the known key that is nearest to an unknown one, if any is.
func suggest(key string, known []string) string {
	best, least := "", max(len(key)/3, 1)+1
	for _, k := range known {
		if n := distance(strings.ToLower(key), k, least); n < least {
			best, least = k, n
		}
	}
	if best == "" {
		return "; docs/config.md lists them"
	}
	return `; did you mean "` + best + `"?`
}

// distance is the number of letters to add, remove, change or swap with their
// neighbour to make b of a, at most limit.
func distance(a, b string, limit int) int {
	if len(a) > 64 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit)
}
