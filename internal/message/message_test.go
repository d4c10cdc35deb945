package message_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

var alice = dlp.Address{Local: "alice", Domain: "clinic.example"}

func TestReadHeader(t *testing.T) {
	for _, tc := range []struct {
		name      string
		in        string
		wantNames []string
		wantRead  string // the bytes of all fields
	}{
		{"plain", "From: a\r\nTo: b\r\n\r\nbody: no\r\n", []string{"From", "To"}, "From: a\r\nTo: b\r\n"},
		{"bare LF", "From: a\nTo: b\n\nx", []string{"From", "To"}, "From: a\nTo: b\n"},
		{"folded", "Subject: a\r\n b\r\n\tc\r\nTo: d\r\n\r\n", []string{"Subject", "To"}, "Subject: a\r\n b\r\n\tc\r\nTo: d\r\n"},
		{"space before the colon", "Subject : a\r\n\r\n", []string{"Subject"}, "Subject : a\r\n"},
		{"no body", "From: a\r\nTo: b", []string{"From", "To"}, "From: a\r\nTo: b"},
		{"no header", "\r\nFrom: a\r\n", nil, ""},
		{"nothing", "", nil, ""},
		{"body without an empty line", "From: a\r\nhello there\r\nTo: b\r\n", []string{"From"}, "From: a\r\n"},
		{"mbox line", "From x Thu\r\nFrom: a\r\n\r\n", []string{"", "From"}, "From x Thu\r\nFrom: a\r\n"},
		{"folded line of white space", "A: 1\r\n \r\nB: 2\r\n\r\n", []string{"A", "B"}, "A: 1\r\n \r\nB: 2\r\n"},
		{"bare CR ends no line", "A: 1\rB: 2\r\n\r\n", []string{"A"}, "A: 1\rB: 2\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs, err := message.ReadHeader(strings.NewReader(tc.in), 1000)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var read []byte
			for _, f := range fs {
				got = append(got, f.Name())
				read = append(read, f.Raw...)
			}
			if !slices.Equal(got, tc.wantNames) {
				t.Errorf("names = %q, want %q", got, tc.wantNames)
			}
			if string(read) != tc.wantRead {
				t.Errorf("bytes = %q, want %q", read, tc.wantRead)
			}
		})
	}
}

func TestHeaderIsBounded(t *testing.T) {
	in := "From: a\r\nX: " + strings.Repeat("x", 1000) + "\r\n\r\n"
	fs, err := message.ReadHeader(strings.NewReader(in), 100)
	if !errors.Is(err, message.ErrTooLarge) || len(fs) != 1 {
		t.Errorf("Header = %d fields, %v, want 1, ErrTooLarge", len(fs), err)
	}
	if _, err := message.ReadHeader(strings.NewReader("A: 1\r\n\r\nbody"), 6); err != nil {
		t.Errorf("a header of just the bound: %v", err)
	}
	boom := errors.New("boom")
	if _, err := message.ReadHeader(iotest.ErrReader(boom), 100); !errors.Is(err, boom) {
		t.Errorf("reader's error = %v", err)
	}
}

func TestGet(t *testing.T) {
	fs, err := message.ReadHeader(strings.NewReader("Subject: a\r\n  b \r\nX-Case: 1\r\nx-case: 2\r\n\r\n"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
	}{
		{"Subject", "a  b"},
		{"X-CASE", "1"},
		{"To", ""},
	} {
		if got := fs.Get(tc.name); got != tc.want {
			t.Errorf("Get(%q) = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestRepeatDigest(t *testing.T) {
	const (
		head = "From: a@clinic.example\r\nSubject: x\r\n y\r\n"
		body = "\r\nReceived: in the body\r\n.\r\n"
	)
	for _, tc := range []struct {
		name string
		in   string
		want string // what is hashed
	}{
		{"nothing to leave out", head + body, head + body},
		{"received, folded", "Received: from x\r\n by y\r\n\t; date\r\n" + head + body, head + body},
		{"any case", "rEcEiVeD: from x\r\nRETURN-PATH: <>\r\nx-stanch-id: q\r\nX-STANCH-Tag: p\r\n" + head + body, head + body},
		{"between others", "A: 1\r\nReceived: x\r\n y\r\nB: 2\r\n\r\n", "A: 1\r\nB: 2\r\n\r\n"},
		{"longer names stay", "Received-SPF: pass\r\nX-Stanchion: 1\r\n\r\n", "Received-SPF: pass\r\nX-Stanchion: 1\r\n\r\n"},
		{"space before the colon", "Received : x\r\nA: 1\r\n\r\n", "A: 1\r\n\r\n"},
		{"bare LF", "Received: x\n y\nA: 1\n\nb", "A: 1\n\nb"},
		{"no body", "Received: x\r\nA: 1", "A: 1"},
		{"only left out", "Received: x", ""},
		{"nothing", "", ""},
		{"not in the body", "\r\nReceived: x\r\n", "\r\nReceived: x\r\n"},
		{"body without an empty line", "A: 1\r\nhello\r\nReceived: x\r\n", "A: 1\r\nhello\r\nReceived: x\r\n"},
		{"mbox line", "From x\r\nReceived: x\r\nA: 1\r\n\r\n", "From x\r\nA: 1\r\n\r\n"},
		{"continuation of nothing", " x\r\nReceived: x\r\nA: 1\r\n\r\n", " x\r\nA: 1\r\n\r\n"},
		{"long line left out", "Received: " + strings.Repeat("x ", 20_000) + "\r\n y\r\nA: 1\r\n\r\n", "A: 1\r\n\r\n"},
		{"long line kept", "B: " + strings.Repeat(" Received:", 9_000) + "\r\nA: 1\r\n\r\n", "B: " + strings.Repeat(" Received:", 9_000) + "\r\nA: 1\r\n\r\n"},
		{"long body line", "A: 1\r\n\r\n" + strings.Repeat("x", 100_000), "A: 1\r\n\r\n" + strings.Repeat("x", 100_000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := message.RepeatDigest(iotest.OneByteReader(strings.NewReader(tc.in)))
			if err != nil {
				t.Fatal(err)
			}
			if want := sha256.Sum256([]byte(tc.want)); got != want {
				t.Error("the digest is of other bytes")
			}
		})
	}
	boom := errors.New("boom")
	for _, in := range []string{"", "A: 1\r\n\r\nbody"} {
		r := io.MultiReader(strings.NewReader(in), iotest.ErrReader(boom))
		if _, err := message.RepeatDigest(r); !errors.Is(err, boom) {
			t.Errorf("reader's error after %q = %v", in, err)
		}
	}
}

func TestAutoSubmitted(t *testing.T) {
	for _, tc := range []struct {
		name string
		from dlp.Address
		in   string
		want bool
	}{
		{"a person", alice, "Subject: x\r\n", false},
		{"null reverse-path", dlp.Address{}, "Subject: x\r\n", true},
		{"no", alice, "Auto-Submitted: no\r\n", false},
		{"no, with more", alice, "auto-submitted: NO (really); x=y\r\n", false},
		{"replied", alice, "Auto-Submitted: auto-replied\r\n", true},
		{"generated, with more", alice, "Auto-Submitted: auto-generated; owner=x\r\n", true},
		{"empty", alice, "Auto-Submitted:\r\n", true},
		{"second of two", alice, "Auto-Submitted: no\r\nAuto-Submitted: auto-replied\r\n", true},
		{"bulk", alice, "Precedence: Bulk\r\n", true},
		{"junk", alice, "Precedence: junk\r\n", true},
		{"first class", alice, "Precedence: first-class\r\n", false},
		{"list", alice, "List-Id: <x.example>\r\n", true},
		{"list, folded", alice, "LIST-UNSUBSCRIBE:\r\n <https://x.example>\r\n", true},
		{"report", alice, "Content-Type: multipart/report; boundary=x\r\n", true},
		{"mixed", alice, "Content-Type: multipart/mixed; boundary=x\r\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs, err := message.ReadHeader(strings.NewReader(tc.in+"\r\n"), 1000)
			if err != nil {
				t.Fatal(err)
			}
			if got := message.AutoSubmitted(fs, tc.from); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestComposeFields(t *testing.T) {
	for _, tc := range []struct {
		name  string
		value string
		want  string
	}{
		{"short", "hello there", "X: hello there\r\n"},
		{"empty", "", "X: \r\n"},
		{"can add no field", "a\r\nBcc: b\x00", "X: a Bcc: b\r\n"},
		{"folded", strings.Repeat("word ", 20), "X:" + strings.Repeat(" word", 14) + "\r\n" + strings.Repeat(" word", 6) + "\r\n"},
		{"a word too long", strings.Repeat("w", 100), "X: " + strings.Repeat("w", 100) + "\r\n"},
		{"beyond ASCII", "Grüße", "X: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := message.Block([]message.Named{{Name: "X", Value: tc.value}}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestComposeText(t *testing.T) {
	for _, tc := range []struct {
		name, text, wantEncoding, want string
	}{
		{"ASCII", "a\nb", "7bit", "a\r\nb\r\n"},
		{"empty", "", "7bit", ""},
		{"CR and CRLF", "a\r\nb\rc\n", "7bit", "a\r\nb\r\nc\r\n"},
		{"beyond ASCII", "Prüfung\n", "quoted-printable", "Prüfung\r\n"},
		{"long line", strings.Repeat("x", 2000), "quoted-printable", strings.Repeat("x", 2000) + "\r\n"},
		{"mbox line", "From here\n", "quoted-printable", "From here\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := mail.ReadMessage(bytes.NewReader(message.Entity{Text: tc.text}.Compose()))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Header.Get("Content-Transfer-Encoding"); got != tc.wantEncoding {
				t.Errorf("encoding = %q, want %q", got, tc.wantEncoding)
			}
			body := m.Body
			if tc.wantEncoding == "quoted-printable" {
				body = quotedprintable.NewReader(body)
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != tc.want {
				t.Errorf("text = %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

// FuzzReadHeader: the fields, joined, are the start of the message; the digest is
// the same with a trace field in front.
func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("From: a\r\nSubject: b\r\n c\r\n\r\nbody"))
	f.Add([]byte("From x\nReceived: y\n z\n\nb"))
	f.Add([]byte(" \r\n: x\r\nA : \r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fs, err := message.ReadHeader(bytes.NewReader(in), 1000)
		if err != nil && !errors.Is(err, message.ErrTooLarge) {
			t.Fatal(err)
		}
		var read []byte
		for _, f := range fs {
			read = append(read, f.Raw...)
			f.Value()
		}
		if !bytes.HasPrefix(in, read) || len(read) > 1000 {
			t.Errorf("fields %q are not the start of %q", read, in)
		}
		if len(in) > 0 && (in[0] == ' ' || in[0] == '\t' || bytes.HasPrefix(in, []byte("From ")) || bytes.HasPrefix(in, []byte(">From "))) {
			return // with a field in front, such a line means something else
		}
		got, err := message.RepeatDigest(bytes.NewReader(append([]byte("Received: from x\r\n by y\r\n"), in...)))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := message.RepeatDigest(bytes.NewReader(in)); err != nil || got != want {
			t.Errorf("digest changes by a trace field in front: %v", err)
		}
	})
}

// FuzzComposeField: a value adds no field and is read back when it is clean.
func FuzzComposeField(f *testing.F) {
	f.Add("hello")
	f.Add("a\r\nBcc: b")
	f.Add("Grüße an alle, und noch viel mehr Grüße an alle anderen, die es lesen wollen")
	f.Fuzz(func(t *testing.T, value string) {
		got := message.Block([]message.Named{{Name: "X", Value: value}})
		fs, err := message.ReadHeader(strings.NewReader(got+"\r\n"), 1<<30)
		if err != nil || len(fs) != 1 || string(fs[0].Raw) != got {
			t.Fatalf("%q became %q: %d fields, %v", value, got, len(fs), err)
		}
		for i := range len(got) {
			if got[i] >= 0x80 {
				t.Fatalf("%q became %q, which is not ASCII", value, got)
			}
		}
		if _, err := new(mime.WordDecoder).DecodeHeader(fs[0].Value()); err != nil {
			t.Errorf("%q became %q: %v", value, got, err)
		}
	})
}

func TestPick(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		max      int64
		want     [2][]string // of Message-ID and X-A
	}{
		{"none", "Subject: x\r\n\r\nMessage-ID: <b>\r\n", 1000, [2][]string{}},
		{"nothing", "", 1000, [2][]string{}},
		{"one", "Message-ID: <a>\r\n\r\n", 1000, [2][]string{{"<a>"}}},
		{"any case, folded", "message-id:\r\n <a>\r\nX-a: 1\r\n\t2\r\nSubject: x\r\nx-A: 3\r\n\r\n", 1000, [2][]string{{"<a>"}, {"1\t2", "3"}}},
		{"bare LF, no body", "X-A: 1\nMessage-ID: <a>", 1000, [2][]string{{"<a>"}, {"1"}}},
		{"mbox line", "From x\r\nX-A: 1\r\n\r\n", 1000, [2][]string{nil, {"1"}}},
		{"body without an empty line", "X-A: 1\r\nhello\r\nX-A: 2\r\n", 1000, [2][]string{nil, {"1"}}},
		{"too long", "X-A: " + strings.Repeat("x", 5000) + "\r\n y\r\nX-A: 2\r\n\r\n", 10_000, [2][]string{nil, {"2"}}},
		{"behind a long line", "Subject: " + strings.Repeat("X-A: 9 ", 5000) + "\r\nX-A: 2\r\n\r\n", 100_000, [2][]string{nil, {"2"}}},
		{"past the bound", "Subject: x\r\nX-A: 1\r\n\r\n", 12, [2][]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := message.Pick(iotest.OneByteReader(strings.NewReader(tc.in)), tc.max, "Message-ID", "X-A")
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tc.want {
				if !slices.Equal(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
	boom := errors.New("boom")
	if _, err := message.Pick(iotest.ErrReader(boom), 100, "X-A"); !errors.Is(err, boom) {
		t.Errorf("reader's error = %v", err)
	}
}

// FuzzPick: it finds what ReadHeader finds.
func FuzzPick(f *testing.F) {
	f.Add([]byte("X-A: a\r\nSubject: b\r\n c\r\nx-a : d\r\n e\r\n\r\nX-A: body"))
	f.Add([]byte("From x\nX-A: y\n z\n\nb"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fs, err := message.ReadHeader(bytes.NewReader(in), 1<<20)
		if err != nil {
			return
		}
		var want []string
		for _, f := range fs {
			if f.Is("X-A") && len(f.Raw) <= 4<<10 {
				want = append(want, f.Value())
			}
		}
		got, err := message.Pick(bytes.NewReader(in), 1<<20, "X-A")
		if err != nil || !slices.Equal(got[0], want) {
			t.Errorf("got %q, %v, want %q", got[0], err, want)
		}
	})
}
