package dlp_test

import (
	"encoding/base32"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

func TestZeroValuesAreCareful(t *testing.T) {
	var (
		action  dlp.Action
		cause   dlp.Cause
		kind    dlp.OutcomeKind
		verdict dlp.Verdict
	)
	for _, tc := range []struct{ name, got, want string }{
		{"action", action.String(), "quarantine"},
		{"cause", cause.String(), "corrupt"},
		{"outcome", kind.String(), "try_again"},
		{"verdict", verdict.Strictest().Action.String(), "quarantine"},
		{"unknown action", dlp.Action(200).String(), "quarantine"},
		{"unknown cause", dlp.Cause(200).String(), "corrupt"},
		{"unknown outcome", dlp.OutcomeKind(200).String(), "try_again"},
		{"channel", dlp.Channel(0).String(), "none"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, tc.got, tc.want)
		}
	}
}

func TestStrictest(t *testing.T) {
	mildToStrict := []dlp.Action{dlp.Allow, dlp.AddTag, dlp.Encrypt, dlp.Hold, dlp.Reject}
	for i, a := range mildToStrict {
		for j, b := range mildToStrict {
			v := dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Action: a, Policy: "first"}, {Action: b, Policy: "second"}}}
			want := "first"
			if j > i {
				want = "second"
			}
			if got := v.Strictest(); got.Policy != want {
				t.Errorf("%s and %s: got the %s, want the %s", a, b, got.Policy, want)
			}
		}
	}
	v := dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Action: dlp.Allow, Rules: []dlp.RuleID{"x"}}, {Policy: "first", Rules: []dlp.RuleID{"a", "c"}, Causes: []dlp.Cause{dlp.Image}},
		{Policy: "second", Rules: []dlp.RuleID{"b", "c"}}, {Action: 200, Causes: []dlp.Cause{dlp.Encrypted, dlp.Image}}}}
	for range 2 { // it changes nothing
		if got := v.Strictest(); got.Policy != "first" || !slices.Equal(got.Rules, []dlp.RuleID{"a", "b", "c"}) || len(got.Causes) != 2 {
			t.Errorf("of equals: %+v; want the first, with what all of them have", got)
		}
	}
	if _, ok := v.Of(dlp.Reject); ok {
		t.Error("an action that nobody has is found")
	}
	if got, want := dlp.Action(200).Strictness(), dlp.Hold.Strictness(); got != want {
		t.Errorf("unknown action: got strictness %d, want %d", got, want)
	}
}

func TestParseID(t *testing.T) {
	id := string(dlp.NewID())
	for _, tc := range []struct {
		name, in string
		ok       bool
	}{
		{"fresh", id, true},
		{"empty", "", false},
		{"short", id[:25], false},
		{"long", id + "a", false},
		{"capitals", "A" + id[1:], false},
		{"path", "../" + id[3:], false},
		{"line end inside", id[:10] + "\n" + id[10:], false},
		{"line end behind", id + "\r\n", false},
		{"spare bits", strings.Repeat("a", 25) + "b", false},
		{"padded", id + "======", false},
	} {
		got, err := dlp.ParseID(tc.in)
		if (err == nil) != tc.ok || tc.ok && string(got) != tc.in {
			t.Errorf("%s: got %q, %v, want ok %v", tc.name, got, err, tc.ok)
		}
	}
	coding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	for c := range 256 { // the last character alone decides: 16 bytes leave two of its bits unused
		in := id[:25] + string([]byte{byte(c)})
		b, err := coding.DecodeString(in)
		want := err == nil && coding.EncodeToString(b) == in
		if _, err := dlp.ParseID(in); (err == nil) != want {
			t.Errorf("%q: got %v, want ok %v", in, err, want)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("abcdefghijklmnopqrstuvwxya")
	f.Add("abcdefghij\nklmnopqrstuvwxya")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := dlp.ParseID(s)
		if err != nil {
			return
		}
		if len(id) != 26 || strings.Trim(string(id), "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("got %q as an id", id)
		}
	})
}

func TestAddressOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   dlp.Address
		want string
	}{
		{"null", dlp.Address{}, ""},
		{"plain", dlp.Address{Local: "ann.o'hara", Domain: "x.test"}, "ann.o'hara@x.test"},
		{"postmaster", dlp.Address{Local: "postmaster"}, "postmaster"},
		{"space", dlp.Address{Local: "ward 3", Domain: "x.test"}, `"ward 3"@x.test`},
		{"bracket", dlp.Address{Local: "a>b", Domain: "x.test"}, `"a>b"@x.test`},
		{"quotation mark and backslash", dlp.Address{Local: `a"\`, Domain: "x.test"}, `"a\"\\"@x.test`},
		{"dots", dlp.Address{Local: "a..b", Domain: "x.test"}, `"a..b"@x.test`},
		{"dot in front", dlp.Address{Local: ".a", Domain: "x.test"}, `".a"@x.test`},
		{"empty local part", dlp.Address{Domain: "x.test"}, `""@x.test`},
		{"address literal", dlp.Address{Local: "a", Domain: "[192.0.2.1]"}, "a@[192.0.2.1]"},
	} {
		if got := tc.in.String(); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestWordsReadBack(t *testing.T) {
	for _, c := range dlp.Causes() {
		if got, ok := dlp.ParseCause(c.String()); !ok || got != c {
			t.Errorf("cause %s: got %v, %v", c, got, ok)
		}
	}
	for _, a := range []dlp.Action{dlp.Hold, dlp.Allow, dlp.AddTag, dlp.Encrypt, dlp.Reject} {
		if got, ok := dlp.ParseAction(a.String()); !ok || got != a {
			t.Errorf("action %s: got %v, %v", a, got, ok)
		}
	}
	if got, ok := dlp.ParseAction("report"); !ok || got != dlp.Allow {
		t.Errorf("report: got %v, %v, want allow", got, ok)
	}
	if got, ok := dlp.ParseAction("deny"); ok || got != dlp.Hold {
		t.Errorf("an unknown action: got %v, %v, want quarantine and false", got, ok)
	}
	for _, word := range []string{"low", "medium", "high"} {
		var c dlp.Confidence
		var s dlp.Severity
		if err := c.UnmarshalText([]byte(word)); err != nil || c.String() != word {
			t.Errorf("confidence %s: got %s, %v", word, c, err)
		}
		if err := s.UnmarshalText([]byte(word)); err != nil || s.String() != word {
			t.Errorf("severity %s: got %s, %v", word, s, err)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want time.Duration
		out  string
	}{
		{"90s", 90 * time.Second, "1m30s"}, {"10m", 10 * time.Minute, "10m"}, {"5d", 120 * time.Hour, "5d"},
		{"24h", 24 * time.Hour, "1d"}, {"1h", time.Hour, "1h"}, {"0s", 0, "0s"}, {"1ms", time.Millisecond, "1ms"},
	} {
		var d dlp.Duration
		err := d.UnmarshalText([]byte(tc.in))
		out, _ := d.MarshalText() // never fails
		if err != nil || d.D() != tc.want || string(out) != tc.out {
			t.Errorf("%s: got %v written %s, %v, want %v written %s", tc.in, d.D(), out, err, tc.want, tc.out)
		}
	}
	for _, tc := range []struct {
		in   string
		want int64
		out  string
	}{
		{"50MiB", 50 << 20, "50MiB"}, {"64 KiB", 64 << 10, "64KiB"}, {"1000", 1000, "1000"}, {"2MB", 2_000_000, "2000000"},
		{"1024MiB", 1 << 30, "1GiB"}, {"0", 0, "0"}, {"9223372036854775807", math.MaxInt64, "9223372036854775807"},
	} {
		var z dlp.Size
		err := z.UnmarshalText([]byte(tc.in))
		out, _ := z.MarshalText() // never fails
		if err != nil || int64(z) != tc.want || string(out) != tc.out {
			t.Errorf("%s: got %d written %s, %v, want %d written %s", tc.in, z, out, err, tc.want, tc.out)
		}
	}
	for _, bad := range []string{"", "-1s", "5", "d", "-5d", "99999999d", "one minute"} {
		var d dlp.Duration
		if d.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("duration %q: got %v, want an error", bad, d.D())
		}
	}
	for _, bad := range []string{"", "-1", "1.5MiB", "MiB", "9223372036854775807KiB", "5 potatoes"} {
		var z dlp.Size
		if z.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("size %q: got %d, want an error", bad, z)
		}
	}
}

func TestValidate(t *testing.T) {
	open := func() (io.ReadSeekCloser, error) { return nil, io.EOF }
	rcpt := []dlp.Address{{Local: "a", Domain: "x.test"}}
	for _, tc := range []struct {
		name string
		doc  dlp.Document
		ok   bool
	}{
		{"mail", dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Rcpts: rcpt, Open: open}, true},
		{"file", dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Open: open}, true},
		{"no id", dlp.Document{Channel: dlp.File, Open: open}, false},
		{"no content", dlp.Document{ID: dlp.NewID(), Channel: dlp.File}, false},
		{"no channel", dlp.Document{ID: dlp.NewID(), Open: open}, false},
		{"mail to nobody", dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Open: open}, false},
	} {
		if err := tc.doc.Validate(); (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want ok %v", tc.name, err, tc.ok)
		}
	}
}
