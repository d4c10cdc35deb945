package tomlpos_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/tomlpos"
)

const sample = "# a comment with [brackets] and \"quotes\n" + // 1
	"data_dir = \"var\" # [not] = a table\n" + // 2
	"\n" + // 3
	"[smtp]\r\n" + // 4
	"listen = [\n" + // 5
	"  \"127.0.0.1:2525\", # one = 1\n" + // 6
	"  \"[::1]:2525\",\n" + // 7
	"]\n" + // 8
	"tls.cert = 'a\\b'\n" + // 9
	"\"next hop\" = '''one\n" + // 10
	"[two]\n" + // 11
	"three = 3''''\n" + // 12
	"after = \"\"\"x \\\"\"\" = \n" + // 13
	"y\"\"\" \n" + // 14
	"\n" + // 15
	"[[watch]]\n" + // 16
	"path = \"/a\"\n" + // 17
	"  [watch.nested]\n" + // 18
	"  deep = 1979-05-27 07:32:00\n" + // 19
	"[[watch]]\n" + // 20
	"path = \"/b\"\n" + // 21
	"  [watch.nested]\n" + // 22
	"  deep = 2\n" + // 23
	"[[policies]]\n" + // 24
	"where = { channels = [\"mail\"], recipients = \"external\" }\n" + // 25
	"all = [ { tag = \"a\" },\n" + // 26
	"        { typ = \"b\" } ]\n" + // 27
	"[[policies.sub]]\n" + // 28
	"x = 1\n" + // 29
	"[[policies.sub]]\n" + // 30
	"x = 2\n" + // 31
	"[ \"quo.ted\" . 'k' ]\n" + // 32
	"\"\\u0061b\" = true" // 33

func TestLine(t *testing.T) {
	pos := tomlpos.Index([]byte(sample))
	tests := []struct {
		name  string
		key   []any
		line  int
		found bool
	}{
		{"top key", []any{"data_dir"}, 2, true},
		{"table", []any{"smtp"}, 4, true},
		{"array over lines", []any{"smtp", "listen"}, 5, true},
		{"array element", []any{"smtp", "listen", 1}, 7, true},
		{"dotted key", []any{"smtp", "tls", "cert"}, 9, true},
		{"table opened by a dotted key", []any{"smtp", "tls"}, 9, true},
		{"quoted key", []any{"smtp", "next hop"}, 10, true},
		{"behind a literal string over lines", []any{"smtp", "after"}, 13, true},
		{"text of a string is no table", []any{"two"}, 1, false},
		{"array of tables", []any{"watch", 0}, 16, true},
		{"first element's key", []any{"watch", 0, "path"}, 17, true},
		{"second element's key", []any{"watch", 1, "path"}, 21, true},
		{"table in an element", []any{"watch", 1, "nested", "deep"}, 23, true},
		{"inline table", []any{"policies", 0, "where", "recipients"}, 25, true},
		{"array of inline tables", []any{"policies", 0, "all", 1, "typ"}, 27, true},
		{"nested array of tables", []any{"policies", 0, "sub", 1, "x"}, 31, true},
		{"quoted table name with a dot", []any{"quo.ted", "k"}, 32, true},
		{"escaped key", []any{"quo.ted", "k", "ab"}, 33, true},
		{"absent key of a table", []any{"smtp", "hostname"}, 4, false},
		{"absent key of an element", []any{"watch", 1, "settle"}, 20, false},
		{"absent table", []any{"metrics", "listen"}, 1, false},
		{"no key", nil, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line, found := pos.Lookup(tt.key...)
			if line != tt.line || found != tt.found {
				t.Errorf("got line %d, %v, want %d, %v", line, found, tt.line, tt.found)
			}
			if got := pos.Line(tt.key...); got != tt.line {
				t.Errorf("Line: got %d, want %d", got, tt.line)
			}
		})
	}
}

func TestLines(t *testing.T) {
	pos := tomlpos.Index([]byte(sample))
	tests := []struct {
		name string
		key  []string
		want []int
	}{
		{"in each element", []string{"watch", "path"}, []int{17, 21}},
		{"in an inline table", []string{"policies", "all", "typ"}, []int{27}},
		{"array itself once", []string{"watch"}, []int{16}},
		{"nowhere", []string{"watch", "typ"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := pos.Lines(tt.key...); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDeep: what nests deeper than any file of ours is told before a decoder sees it.
func TestDeep(t *testing.T) {
	times := strings.Repeat
	for _, tt := range []struct {
		name, src string
		line      int
	}{
		{"arrays", "a = 1\nb = " + times("[", 100_000), 2},
		{"arrays over lines", "a = " + times("[\n", 100_000), tomlpos.MaxDepth + 1},
		{"tables", "\na = " + times("{a=", 100_000), 2},
		{"both", "\na = " + times("[{a=", 100_000), 2},
		{"a dotted key", "\n" + times("a.", 100_000) + "b = 1", 2},
		{"dotted keys in tables", "\na = " + times("{"+times("a.", 20)+"b = ", 1000), 2},
		{"a dotted table", "\n\n[" + times("a.", 100_000) + "b]", 3},
		{"what a file may have", "a = " + times("[", tomlpos.MaxDepth-1) + times("]", tomlpos.MaxDepth-1), 0},
		{"in a string", "a = '" + times("[", 100_000) + "'", 0},
		{"in a comment", "a = 1 # " + times("[", 100_000), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tomlpos.Index([]byte(tt.src)).Deep(); got != tt.line {
				t.Errorf("got line %d, want %d", got, tt.line)
			}
		})
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		key  string
		want []any
	}{
		{"smtp.listen", []any{"smtp", "listen"}},
		{"watch[1].path", []any{"watch", 1, "path"}},
		{"policies[0].all[2].tag", []any{"policies", 0, "all", 2, "tag"}},
		{"a[1][2]", []any{"a", 1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			got := tomlpos.Parse(tt.key)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if back := tomlpos.Format(got); back != tt.key {
				t.Errorf("Format: got %q, want %q", back, tt.key)
			}
		})
	}
}

// FuzzIndex holds that every key a decoder finds has a line, that lines lie in
// the file, and that nothing makes Index panic.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("a = [[1, 2], ['x', \"y\"]]\nb = {c = {d = []}}"))
	f.Add([]byte("\xef\xbb\xbfa.b.c = 1_000\n[a.b.d]\n[[e]]\n[e.f]\n[[e]]\n[e.f]\n"))
	f.Add([]byte("[a\nb = '''"))
	f.Fuzz(func(t *testing.T, src []byte) {
		pos := tomlpos.Index(src)
		last := bytes.Count(src, []byte{'\n'}) + 1
		for _, k := range pos.Keys() {
			if k.Line < 1 || k.Line > last {
				t.Fatalf("line %d of %d for %v", k.Line, last, k.Path)
			}
		}
		if pos.Deep() > 0 {
			return
		}
		var v map[string]any
		md, err := toml.Decode(string(src), &v)
		if err != nil || bytes.ContainsRune(src, '\\') {
			return // escapes: decoders differ, see unescape
		}
		for _, k := range md.Keys() {
			if len(pos.Lines(k...)) == 0 {
				t.Fatalf("no line for %q", k)
			}
		}
	})
}
