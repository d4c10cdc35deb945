package loop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/loop"
	"github.com/stanch-dlp/stanch/internal/message"
)

// newKeys are those of a data folder.
func newKeys(t testing.TB) *crypt.Ring {
	t.Helper()
	ring, err := crypt.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

const id = "<a.1@clinic.example>"

var (
	sam = dlp.Address{Local: "sam", Domain: "partner.example"}
	ann = dlp.Address{Local: "ann", Domain: "partner.example"}
)

// people returns n recipients, none of whom is sam or ann.
func people(n int) (rs []dlp.Address) {
	for i := range n {
		rs = append(rs, dlp.Address{Local: fmt.Sprint("p", i), Domain: "partner.example"})
	}
	return rs
}

// values marks a message for each list of recipients, and returns what stands
// in its fields.
func values(t testing.TB, g *loop.Guard, messageID string, passes ...[]dlp.Address) (out []string) {
	t.Helper()
	for _, rcpts := range passes {
		m, err := g.Mark(messageID, rcpts)
		if err != nil {
			t.Fatal(err)
		}
		fs, err := message.ReadHeader(strings.NewReader(string(m)+"\r\n"), 1000)
		if err != nil || len(fs) != 1 || !fs[0].Is(loop.Name) {
			t.Fatalf("a mark is %d fields, %v: %q", len(fs), err, m)
		}
		out = append([]string{fs[0].Value()}, out...)
	}
	return out
}

func TestLoops(t *testing.T) {
	type rs = []dlp.Address
	for _, tc := range []struct {
		name   string
		max    int
		passes []rs
		to     rs
		want   bool
	}{
		{"never here", 2, nil, rs{sam}, false},
		{"once", 2, []rs{{sam}}, rs{sam}, false},
		{"twice", 2, []rs{{sam}, {sam}}, rs{sam}, true},
		{"once, where once is all", 1, []rs{{sam}}, rs{sam}, true},
		{"to a list and on to its readers", 2, []rs{{ann}, {ann}}, rs{sam}, false},
		{"in another case", 2, []rs{{{Local: "SAM", Domain: "Partner.Example"}}, {sam}}, rs{sam}, true},
		{"one of several", 2, []rs{{ann, sam}, {sam, ann}}, rs{sam}, true},
		{"one new among them", 2, []rs{{sam}, {sam}}, rs{sam, ann}, false},
		{"all of several", 2, []rs{{sam, ann}, {sam, ann}}, rs{ann, sam}, true},
		{"as many as are told apart", 2, []rs{people(24), people(24)}, people(24)[:1], true},
		{"too many to tell apart", 2, []rs{people(25), people(25), people(25)}, people(25), false},
		{"too many to tell apart, ten times", 2, []rs{people(25), people(25), people(25), people(25), people(25), people(25), people(25), people(25), people(25), people(25)}, rs{sam}, true},
		{"to another each time, ten times", 2, []rs{{ann}, {ann}, {ann}, {ann}, {ann}, {ann}, {ann}, {ann}, {ann}, {ann}}, rs{sam}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := loop.New(loop.Config{MaxPasses: tc.max}, newKeys(t), time.Now)
			if got := g.Loops(id, tc.to, values(t, g, id, tc.passes...)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestOnlyOurOwnMarksCount: what is not ours, or not of this message, has no
// mail refused.
func TestOnlyOurOwnMarksCount(t *testing.T) {
	k := newKeys(t)
	g := loop.New(loop.Default(), k, time.Now)
	rcpts := []dlp.Address{sam}
	ours := values(t, g, id, rcpts, rcpts)
	if !g.Loops(id, rcpts, ours) {
		t.Fatal("our own marks do not count")
	}
	alter := func(s string, i int) string {
		c := byte('A')
		if s[i] == 'A' {
			c = 'B'
		}
		return s[:i] + string(c) + s[i+1:]
	}
	for name, tc := range map[string]struct {
		id     string
		values []string
	}{
		"of another message":  {"<b.1@clinic.example>", ours},
		"of another site":     {id, values(t, loop.New(loop.Default(), newKeys(t), time.Now), id, rcpts, rcpts)},
		"altered":             {id, []string{alter(ours[0], 30), alter(ours[1], 40)}},
		"cut short":           {id, []string{ours[0][:60], ours[1]}},
		"of a form to come":   {id, []string{"v2" + ours[0][2:], "v2" + ours[1][2:]}},
		"no base64":           {id, []string{"v1; ***", "v1;", "v1", ""}},
		"very long":           {id, []string{"v1; " + strings.Repeat("QUJD", 1000), ours[0]}},
		"behind a hundred":    {id, append(slicesOf("v1; QUJD", 100), ours...)},
		"none":                {id, nil},
		"of a message of old": {id, values(t, loop.New(loop.Default(), k, func() time.Time { return time.Now().Add(-31 * 24 * time.Hour) }), id, rcpts, rcpts)},
	} {
		t.Run(name, func(t *testing.T) {
			if g.Loops(tc.id, rcpts, tc.values) {
				t.Error("a loop is seen")
			}
		})
	}
}

func slicesOf(s string, n int) (out []string) {
	for range n {
		out = append(out, s)
	}
	return out
}

// TestMarkSaysNothing: neither by its length nor by its bytes, which differ
// each time.
func TestMarkSaysNothing(t *testing.T) {
	g := loop.New(loop.Default(), newKeys(t), time.Now)
	seen := map[string]bool{}
	for _, n := range []int{1, 1, 2, 24, 25, 1000} {
		m, err := g.Mark(id, people(n))
		if err != nil {
			t.Fatal(err)
		}
		if len(m) != 225 || seen[string(m)] {
			t.Errorf("%d recipients: %d bytes, seen before %v: %q", n, len(m), seen[string(m)], m)
		}
		seen[string(m)] = true
		for line := range strings.Lines(string(m)) {
			if len(line) > 80 || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("line %q", line)
			}
		}
	}
}

// TestGuideKnowsMarks: the rule that a guide gives matches a mark as another server
// sees it, unfolded (RFC 5322 2.2.3: the white space of the fold stays).
func TestGuideKnowsMarks(t *testing.T) {
	page, err := os.ReadFile("../../docs/microsoft365.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile(`-HeaderMatchesMessageHeader (\S+) -HeaderMatchesPatterns "([^"]+)"`).FindAllStringSubmatch(string(page), -1)
	if len(rules) == 0 {
		t.Fatal("the guide has no rule for marks")
	}
	m, err := loop.New(loop.Default(), newKeys(t), time.Now).Mark(id, people(3))
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(strings.ReplaceAll(string(m), "\r\n", ""), ":")
	for _, r := range rules {
		pattern := regexp.MustCompile(r[2])
		if !strings.EqualFold(r[1], name) || !pattern.MatchString(strings.TrimSpace(value)) || pattern.MatchString("of another program") {
			t.Errorf("%s matching %q is no rule for %q", r[1], r[2], m)
		}
	}
}

// FuzzLoops: whatever stands in a field, it is no loop and no panic.
func FuzzLoops(f *testing.F) {
	g := loop.New(loop.Config{MaxPasses: 1}, newKeys(f), time.Now)
	f.Add("v1; QUJDREVGRw==", id)
	f.Add("v1;\t"+strings.Repeat("A", 195)+"=", "")
	f.Fuzz(func(t *testing.T, value, messageID string) {
		if g.Loops(messageID, []dlp.Address{sam}, []string{value}) {
			t.Errorf("%q is taken for a mark of ours", value)
		}
	})
}

func BenchmarkMark(b *testing.B) {
	g := loop.New(loop.Default(), newKeys(b), time.Now)
	for b.Loop() {
		if _, err := g.Mark(id, []dlp.Address{sam}); err != nil {
			b.Fatal(err)
		}
	}
}
