package patterns_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/patterns"
)

// TestEveryMistake: each thing that can be wrong in a rule file is told with
// its file, its line and its key, by itself and without the rest being in doubt.
func TestEveryMistake(t *testing.T) {
	big := strings.Repeat("x", 65<<10)
	tests := []struct {
		name     string
		from, to string
		want     string // after the file's name; the only error
	}{
		{"schema of another type", "schema = 1", `schema = "1"`, ":1: schema: a whole number"},
		{"schema before the first", "schema = 1", "schema = 0", ":1: schema: 1"},
		{"a key twice", `id = "badge"`, "id = \"badge\"\nid = \"other\"", ":6: rules.id: TOML:"},
		{"a table that is none", `[keywords]` + "\n" + `badge = ["badge", "badge no"]`, `keywords = ["badge"]`, ":2: keywords: a table"},
		{"rules that are no tables", "[[rules]]\nid", "[rules]\nid", ":4: rules: tables written as [[rules]]"},
		{"a list that is none", `badge = ["badge", "badge no"]`, `badge = "badge"`, ":3: keywords.badge: an array of strings"},
		{"a word that is none", `"badge no"]`, `7]`, ":3: keywords.badge[1]: a string"},
		{"an empty word", `"badge no"]`, `"  "]`, ":3: keywords.badge[1]: a word"},
		{"a word that begins with a sign", `"badge no"]`, `"#badge"]`, ":3: keywords.badge[1]: a word that begins with"},
		{"a word too long", `"badge no"]`, `"` + big[:65] + `"]`, ":3: keywords.badge[1]: at most 64 bytes"},
		{"a list of another file that is not built in", `"badge no"]`, `"@nobody"]`, `:3: keywords.badge[1]: a list in this file's [keywords] or built in: there is no "@nobody"`},
		{"no id", "id = \"badge\"\n", "", ":4: rules[0].id: an id of"},
		{"an id in capitals", `id = "badge"`, `id = "Badge"`, ":5: rules[0].id: an id of"},
		{"an id too long", `id = "badge"`, `id = "` + big[:65] + `"`, ":5: rules[0].id: an id of"},
		{"an id that is a number", `id = "badge"`, `id = 7`, ":5: rules[0].id: a string"},
		{"no type", "type = \"CUSTOM\"\n", "", ":4: rules[0].type: one of SSN"},
		{"a tag with a space", `["identifier"]`, `["patient id"]`, ":8: rules[0].tags[0]: a tag of"},
		{"a severity unknown", `boundary = "number"`, "boundary = \"number\"\nseverity = \"grave\"", ":10: rules[0].severity: one of high, medium, low"},
		{"a count unknown", `boundary = "number"`, "boundary = \"number\"\ncount = \"some\"", ":10: rules[0].count: one of unique, all"},
		{"coaching of two lines", `boundary = "number"`, "boundary = \"number\"\ncoaching = \"one\\ntwo\"", ":10: rules[0].coaching: one line"},
		{"coaching that turns the text around", `boundary = "number"`, "boundary = \"number\"\ncoaching = \"one \\u202E two\"", ":10: rules[0].coaching: one line"},
		{"coaching of nothing", `boundary = "number"`, "boundary = \"number\"\ncoaching = \" \"", ":10: rules[0].coaching: one line"},
		{"too much coaching", `boundary = "number"`, "boundary = \"number\"\ncoaching = \"" + big[:501] + `"`, ":10: rules[0].coaching: one line of at most 500"},
		{"coaching at a place in the clear", `boundary = "number"`, "boundary = \"number\"\ncoaching = \"x\"\ncoaching_url = \"http://a.example/\"", ":11: rules[0].coaching_url: an https://"},
		{"coaching at a script", `boundary = "number"`, "boundary = \"number\"\ncoaching = \"x\"\ncoaching_url = \"javascript:alert(1)\"", ":11: rules[0].coaching_url: an https://"},
		{"coaching at a place with a password", `boundary = "number"`, "boundary = \"number\"\ncoaching = \"x\"\ncoaching_url = \"https://a:b@a.example/\"", ":11: rules[0].coaching_url: an https://"},
		{"a coaching address alone", `boundary = "number"`, "boundary = \"number\"\ncoaching_url = \"https://a.example/\"", ":10: rules[0].coaching_url: coaching too"},
		{"a type that is a number", `type = "CUSTOM"`, `type = 7`, ":6: rules[0].type: a string"},
		{"an empty allowlist value", `values = ["B000001"]`, `values = ["B000001", " "]`, ":16: rules[0].allowlists[0].values[1]: a value, not nothing"},
		{"a digest that is none", `values = ["B000001"]`, `digests = ["B000001"]`, ":16: rules[0].allowlists[0].digests[0]: what `stanch rules digest` prints"},
		{"an allowlist value of separators", `values = ["B000001"]`, `values = ["B000001", "--/."]`, ":16: rules[0].allowlists[0].values[1]: a value: values are compared"},
		{"extends nothing", `id = "badge"`, "id = \"badge\"\nextends = \"\"", ":6: rules[0].extends: the id of a rule"},
		{"no confidence", "  confidence = \"medium\"\n", "", ":10: rules[0].patterns[0].confidence: "},
		{"an empty regex", `'''B\d{6}'''`, `''`, ":12: rules[0].patterns[0].regex: "},
		{"neither regex nor formats", "  regex = '''B\\d{6}'''\n", "", ":10: rules[0].patterns[0].regex: one of regex, words or formats"},
		{"regex and words", "regex = ", "words = [\"badge\"]\n  regex = ", ":13: rules[0].patterns[0].regex: one of regex, words or formats"},
		{"words that are no array", `regex = '''B\d{6}'''`, `words = "badge"`, ":12: rules[0].patterns[0].words: an array of strings"},
		{"no words", `regex = '''B\d{6}'''`, `words = []`, `:12: rules[0].patterns[0].words: an array of words or "@list" names`},
		{"words of a list unknown", `regex = '''B\d{6}'''`, `words = ["@badges"]`, ":12: rules[0].patterns[0].words[0]: a list in this file"},
		{"a word that is a sign", `regex = '''B\d{6}'''`, `words = ["badge", "#1"]`, ":12: rules[0].patterns[0].words[1]: a word that begins with a letter or digit"},
		{"a word too long", `regex = '''B\d{6}'''`, `words = ["` + strings.Repeat("b", 65) + `"]`, ":12: rules[0].patterns[0].words[0]: at most 64 bytes"},
		{"a plural without words", "regex = ", "plural = true\n  regex = ", ":12: rules[0].patterns[0].plural: no such key without words"},
		{"a plural of another type", `regex = '''B\d{6}'''`, "words = [\"badge\"]\n  plural = 1", ":13: rules[0].patterns[0].plural: true or false"},
		{"distinctive without formats", "regex = ", "distinctive = true\n  regex = ", ":12: rules[0].patterns[0].distinctive: no such key without formats"},
		{"distinctive of another type", "regex = ", "distinctive = 1\n  regex = ", ":12: rules[0].patterns[0].distinctive: true or false"},
		{"a back reference", `B\d{6}`, `(B)\d{6}\1`, ":12: rules[0].patterns[0].regex: an RE2 expression: invalid escape"},
		{"two values", `B\d{6}`, `(?P<value>B)|(?P<value>\d{6})`, ":12: rules[0].patterns[0].regex: "},
		{"a star", `B\d{6}`, `B\d*`, ":12: rules[0].patterns[0].regex: a bounded repeat"},
		{"a repeat past RE2's", `B\d{6}`, `B\d{1001}`, ":12: rules[0].patterns[0].regex: an RE2 expression: invalid repeat"},
		{"an end of line", `B\d{6}`, `B\d{6}(?m:$)`, ":12: rules[0].patterns[0].regex: an expression without ^"},
		{"what cannot match", `B\d{6}`, `B[^\x00-\x{10FFFF}]`, ":12: rules[0].patterns[0].regex: an expression that can match"},
		{"evidence that is no table", `{ any = ["@badge"], proximity = 40 }`, `["@badge"]`, ":13: rules[0].patterns[0].supporting: a table"},
		{"evidence without words", `any = ["@badge"]`, `any = []`, ":13: rules[0].patterns[0].supporting.any: an array of words"},
		{"evidence that leaves any out", `any = ["@badge"], `, ``, ":13: rules[0].patterns[0].supporting.any: an array of words"},
		{"proximity below nothing", "proximity = 40", "proximity = -1", ":13: rules[0].patterns[0].supporting.proximity: 0 to 2000 bytes"},
		{"proximity past the bound", "proximity = 40", "proximity = 2001", ":13: rules[0].patterns[0].supporting.proximity: 0 to 2000 bytes"},
		{"side unknown", "proximity = 40", `proximity = 40, side = "after"`, ":13: rules[0].patterns[0].supporting.side: one of any, before"},
		{"header of another type", "proximity = 40", `proximity = 40, header = "yes"`, ":13: rules[0].patterns[0].supporting.header: true or false"},
		{"a demotion with a key unknown", "  [[rules.allowlists]]", "  [[rules.demote]]\n  any = [\"x1\"]\n  delete = true\n  [[rules.allowlists]]", ":16: rules[0].demote[0].delete: a known key"},
		{"an allowlist with a key unknown", "  values = [", "  regex = 'B'\n  values = [", ":16: rules[0].allowlists[0].regex: a known key"},
		{"an allowlist without values", `values = ["B000001"]`, `values = []`, ":16: rules[0].allowlists[0].values: an array of values"},
		{"an allowed value that is a number", `values = ["B000001"]`, `values = [1]`, ":16: rules[0].allowlists[0].values[0]: a string"},
		{"a date that is none", `expires = "2026-01-31"`, `expires = "2026-02-31"`, ":17: rules[0].allowlists[0].expires: a date"},
		{"a date that is a number", `expires = "2026-01-31"`, `expires = 2026`, ":17: rules[0].allowlists[0].expires: a date"},
		{"tests that are no table", "  [rules.tests]\n  match = [\"badge B123456\"]\n  no_match = [\"B123456\", \"badge B000001\"]", `  tests = ["badge B123456"]`, ": rules[0].allowlists[0].tests: a known key"},
		{"a test with a key unknown", `match = ["badge B123456"]`, "match = [\"badge B123456\"]\n  maybe = [\"x\"]", ":20: rules[0].tests.maybe: a known key"},
		{"a test that is a number", `match = ["badge B123456"]`, `match = [7]`, ":19: rules[0].tests.match[0]: a text or {"},
		{"an empty test", `match = ["badge B123456"]`, `match = [""]`, ":19: rules[0].tests.match[0]: a text of 1 to 65536 bytes"},
		{"a test too long", `match = ["badge B123456"]`, `match = ["` + big + `"]`, ":19: rules[0].tests.match[0]: a text of 1 to 65536 bytes"},
		{"a test read as what is unknown", `match = ["badge B123456"]`, `match = [{ text = "badge B123456", as = "pdf" }]`, ":19: rules[0].tests.match[0].as: one of csv"},
		{"a test with a key of its own unknown", `match = ["badge B123456"]`, `match = [{ text = "badge B123456", like = "csv" }]`, ":19: rules[0].tests.match[0].like: a known key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, err := loadSpoiled(t, tt.from, tt.to)
			rest, ok := strings.CutPrefix(err.Error(), path)
			if !ok || !strings.HasPrefix(rest, tt.want) && !(strings.HasPrefix(tt.want, ": ") && strings.Contains(rest, tt.want)) {
				t.Errorf("error\n%v\nwant FILE%s", err, tt.want)
			}
			if n := strings.Count(err.Error(), path); n != 1 {
				t.Errorf("%d errors\n%v\nwant one", n, err)
			}
			// and hides nothing at the other end of the file
			path = write(t, "more.toml", strings.Replace(good, tt.from, tt.to, 1)+"[colour]\nx = 1\n")
			_, err = load(t, patterns.Source{Paths: []string{path}})
			if ends := strings.Contains(tt.want, ": schema: ") || strings.Contains(tt.want, ": TOML:"); !ends && (err == nil || !strings.Contains(err.Error(), ": colour: a known key") || strings.Count(err.Error(), path) != 2) {
				t.Errorf("with an unknown table behind it: %v, want two errors", err)
			}
		})
	}
}

// TestMistakesHideNoOther: all that is wrong in a file is told at once, in the order
// of its lines, also behind an expression whose escapes TOML does not know.
func TestMistakesHideNoOther(t *testing.T) {
	text := "schema = 1\n[[rules]]\nid = \"badge\"\ntype = \"CUSTOM\"\n[[rules.patterns]]\nconfidence = \"medium\"\n" +
		`regex = "\bB\d{6}\.\d*"` + "\n[[rules.patterns]]\nconfidence = \"medium\"\n" + `regex = "C\.\d{3}"` + "\n" +
		"[[rules.patterns]]\nconfidence = \"sure\"\nregex = 'D+'\n[[rules.pattern]]\nconfidence = \"low\"\n[colour]\nx = 1\n"
	path := write(t, "site.toml", text)
	_, err := load(t, patterns.Source{Paths: []string{path}})
	if err == nil {
		t.Fatal("loaded, want errors")
	}
	want := []string{":7: rules.patterns.regex: TOML: invalid escape in string '\\d'; between ''' and '''", ":10: rules.patterns.regex: TOML: invalid escape in string '\\.'",
		":12: rules[0].patterns[2].confidence: one of", ":13: rules[0].patterns[2].regex: a bounded repeat", ":14: rules[0].pattern: a known key", ":16: colour: a known key"}
	got := strings.Split(err.Error(), "\n")
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("error %q, want none", got[i])
		case i >= len(got):
			t.Errorf("no error %q", want[i])
		case !strings.HasPrefix(strings.TrimPrefix(got[i], path), want[i]):
			t.Errorf("error %q, want FILE%s", got[i], want[i])
		}
	}
	// Past a bound, and where a quotation mark is missing, the rest cannot be judged.
	for n, text := range map[int]string{
		33: "schema = 1\n[keywords]\nw = [\n" + strings.Repeat(`"\d",`+"\n", 60) + "]\n",
		2:  "schema = 1\na = \"\\d\"\nb = \"\nc = 1\n",
	} {
		_, err := load(t, patterns.Source{Paths: []string{write(t, "site.toml", text)}})
		if err == nil || strings.Count(err.Error(), ": TOML: ") != n || strings.Count(err.Error(), "\n") != n-1 {
			t.Errorf("errors\n%v\nwant %d of TOML", err, n)
		}
	}
}

// TestFilesThatCannotBeRules: what is no rule file at all is told by its name.
func TestFilesThatCannotBeRules(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	two := strings.Replace(good, "[[rules]]", "[[rules]]\nid = \"badge\"\ntype = \"CUSTOM\"\n[[rules.patterns]]\nconfidence = \"low\"\nregex = 'C1'\n[[rules]]", 1)
	var many strings.Builder
	many.WriteString("schema = 1\n")
	for i := range 4200 {
		fmt.Fprintf(&many, "[[rules]]\nid = \"r%d\"\ntype = \"CUSTOM\"\n[[rules.patterns]]\nconfidence = \"low\"\nregex = 'B%d'\n", i, i)
	}
	long := "schema = 1\n[keywords]\nw = [" + strings.Repeat(`"w0",`, 3)
	for i := range 20001 {
		long += fmt.Sprintf(`"w%d",`, i)
	}
	words := "schema = 1\n[keywords]\nw = [" + strings.Repeat(`"w0",`, 3)
	for i := range 20000 {
		words += fmt.Sprintf(`"w%d",`, i)
	}
	words += "]\n[[rules]]\nid = \"r\"\ntype = \"CUSTOM\"\n" + strings.Repeat("[[rules.patterns]]\nconfidence = \"low\"\nwords = [\"@w\"]\n", 6)
	pipe := filepath.Join(dir, "pipe.toml")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(dir, "linked.toml")
	if err := os.Symlink(pipe, linked); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, want string }{
		{"a pipe", pipe, ":0: file: a file, or a link to one"},
		{"a link to a pipe", linked, ":0: file: a file, or a link to one"},
		{"a device", "/dev/zero", ":0: file: a file, or a link to one"},
		{"too many words", file("words.toml", words), "rules: at most 100000 words as patterns in all, not 120000"},
		{"not there", filepath.Join(dir, "none.toml"), ":0: file: a file that can be read: no such file or directory"},
		{"empty", file("empty.toml", ""), ":1: schema: schema = 1 at the top"},
		{"not UTF-8", file("latin.toml", "schema = 1\n# \xe9\n[keywords]\na = [\"\xff\"]\n"), ": TOML:"},
		{"with a NUL", file("nul.toml", "schema = 1\nx = \"\x00\"\n"), ": TOML:"},
		{"too many rules", file("rules.toml", "schema = 1\n"+strings.Repeat("[[rules]]\n", 10_001)), "rules: at most 10000 rules in one file, not 10001"},
		{"too large", file("large.toml", "schema = 1\n#"+strings.Repeat("x", 4<<20)), ":0: file: at most 4194304 bytes"},
		{"one id twice", file("twice.toml", two), "rules[1].id: an id that no other rule of this file has"},
		{"too many patterns", file("many.toml", many.String()), "rules: at most 4096 patterns in all, not 4200"},
		{"a list too long", file("list.toml", long+"]\n"), ":3: keywords.w: at most 20000 words"},
		{"arrays too deep", file("arrays.toml", "schema = 1\nx = "+strings.Repeat("[", 2<<20)), ":2: toml: tables and arrays that nest at most 32 deep"},
		{"tables too deep", file("tables.toml", "schema = 1\nx = "+strings.Repeat("{a=", 1<<20)), ":2: toml: tables and arrays that nest at most 32 deep"},
		{"a key too deep", file("key.toml", "schema = 1\n\n["+strings.Repeat("a.", 1<<20)+"a]\n"), ":3: toml: tables and arrays that nest at most 32 deep"},
		{"no TOML", file("prose.toml", "These are our rules.\n"), ":1: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := load(t, patterns.Source{Paths: []string{tt.path}})
			if set != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if e, ok := errors.AsType[*patterns.Error](err); !ok || e.Key == "" {
				t.Errorf("error %v, want a *patterns.Error with a key", err)
			}
		})
	}
	// A folder tells of each of its files, and of the good ones nothing.
	folder := t.TempDir()
	for name, text := range map[string]string{"a.toml": "schema = 9\n", "b.toml": good, "c.toml": "schema = 1\nx = 1\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(folder, "d.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, patterns.Source{Paths: []string{folder}})
	if err == nil {
		t.Fatal("loaded, want errors")
	}
	for _, want := range []string{"a.toml:1: schema: at most 1", "c.toml:2: x: a known key", "d.toml:0: file: a file, or a link to one"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("errors %q, want one with %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 2 {
		t.Errorf("errors %q, want three", err)
	}
}
