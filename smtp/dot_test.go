package smtp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stanch-dlp/stanch/smtp"
)

func params(o smtp.MailOptions) string {
	s := fmt.Sprintf("SIZE=%d", o.Size)
	if o.Body != "" {
		s += " BODY=" + o.Body
	}
	if o.UTF8 {
		s += " SMTPUTF8"
	}
	return s + smtp.DSNParams(o.MailParams)
}

func TestEndOfData(t *testing.T) {
	const tail = "MAIL FROM:<x@y.test>\r\n.\r\n"
	for _, tc := range []struct {
		name, wire string
		body       string
		refused    bool
	}{
		{"plain", "a\r\n.\r\n", "a\r\n", false},
		{"empty message", ".\r\n", "", false},
		{"empty line before", "a\r\n\r\n.\r\n", "a\r\n\r\n", false},
		{"stuffed dot", "a\r\n..\r\n.\r\n", "a\r\n.\r\n", false},
		{"stuffed dot first", "..a\r\n.\r\n", ".a\r\n", false},
		{"dot not doubled", "a\r\n.b\r\n.\r\n", "a\r\nb\r\n", false},
		{"dot and space", "a\r\n. \r\n.\r\n", "a\r\n \r\n", false},
		{"stuffed dot and NUL", "a\r\n..\x00\r\n.\r\n", "a\r\n.\x00\r\n", false},
		{"dot between NULs in text", "a\x00.\x00b\r\n.\r\n", "a\x00.\x00b\r\n", false},
		{"NUL and a word with a dot", "a\r\n\x00.b\r\n.\r\n", "a\r\n\x00.b\r\n", false},
		{"vertical tab", "a\x0b.\r\n.\r\n", "a\x0b.\r\n", false},
		{"next line", "a\xc2\x85.\r\n.\r\n", "a\xc2\x85.\r\n", false},
		{"bare LF and CR in text", "a\nb\rc\r\n.\r\n", "a\nb\rc\r\n", false},
		{"CR CRLF line ends", "a\r\r\nb\r\n.\r\n", "a\r\r\nb\r\n", false},
		{"bare LF, then text after a dot", "a\n.b\r\n.\r\n", "a\n.b\r\n", false},
		{"bare LF before the mark", "a\n\r\n.\r\n", "a\n\r\n", false},

		{"LF.LF", "a\n.\n", "", true},
		{"LF.CRLF", "a\n.\r\n", "", true},
		{"CRLF.LF", "a\r\n.\n", "", true},
		{"CR.CR", "a\r.\r", "", true},
		{"CR.CRLF", "a\r.\r\n", "", true},
		{"CRLF.CR", "a\r\n.\r", "", true},
		{"CR.LF", "a\r.\n", "", true},
		{"LF.CR", "a\n.\r", "", true},
		{"LFLF.CRLF", "a\n\n.\r\n", "", true},
		{"CRLF.CRCRLF", "a\r\n.\r\r\n", "", true},
		{"CR CRLF.CRLF", "a\r\r\n.\r\n", "", true},
		{"CRLF NUL.CRLF", "a\r\n\x00.\r\n", "", true},
		{"CRLF NULs.NUL CRLF", "a\r\n\x00\x00\x00.\x00\r\n", "", true},
		{"CRLF.NUL CRLF", "a\r\n.\x00\r\n", "", true},
		{"CRLF.NUL.", "a\r\n.\x00.\r\n", "", true},
		{"LF.NUL LF", "a\n.\x00\n", "", true},
		{"LF NUL.LF", "a\n\x00.\n", "", true},
		{"CRLF.CR NUL LF", "a\r\n.\r\x00\n", "", true},
		{"CR NUL LF.CRLF", "a\r\x00\n.\r\n", "", true},
		{"dot first, LF", ".\n", "", true},
		{"dot first, CR", ".\rx", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sizes := range [][]int{{1}, {2}, {3}, {1 << 20}} {
				body, rest, done, err := smtp.Unstuff([]byte(tc.wire+tail), sizes)
				if (err != nil) != tc.refused {
					t.Fatalf("in pieces of %v: got %v, want refused %v", sizes, err, tc.refused)
				}
				if tc.refused {
					if got := codes(err); got != "554 5.6.0" {
						t.Errorf("got %q, want 554 5.6.0", got)
					}
					continue
				}
				if !done || string(body) != tc.body || string(rest) != tail {
					t.Errorf("in pieces of %v: got %q, rest %q, done %v, want %q, rest %q", sizes, body, rest, done, tc.body, tail)
				}
			}
		})
	}
}

func TestStuff(t *testing.T) {
	for _, tc := range []struct {
		name, body, wire string
		refused          bool
	}{
		{"empty", "", ".\r\n", false},
		{"plain", "a\r\n", "a\r\n.\r\n", false},
		{"dots", ".\r\n..\r\n", "..\r\n...\r\n.\r\n", false},
		{"no line end", "a", "a\r\n.\r\n", false},
		{"bare LF at the end", "a\n", "a\n\r\n.\r\n", false},
		{"bare ones inside", "a\nb\rc\r\n", "a\nb\rc\r\n.\r\n", false},
		{"dot at the end", "a\r\n.", "a\r\n..\r\n.\r\n", false},
		{"dot after bare LF, then text", "a\n.b\r\n", "a\n.b\r\n.\r\n", false},
		{"bare CR at the end", "a\r", "", true},
		{"CR CRLF at the end", "a\r\r\n", "", true},
		{"LF.LF", "a\n.\nb\r\n", "", true},
		{"CR.CR", "a\r.\rb\r\n", "", true},
		{"LF.CRLF", "a\n.\r\n", "", true},
		{"LF. at the end", "a\n.", "", true},
		{"CRLF NUL.CRLF", "a\r\n\x00.\r\n", "", true},
		{"NUL.NUL", "a\r\n\x00.\x00b", "", true},
		{"NUL. at the end", "a\r\n\x00.", "", true},
		{"a dot and NUL", "a\r\n.\x00\r\n", "a\r\n..\x00\r\n.\r\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 1 << 20} {
				got, err := smtp.Stuff([]byte(tc.body), size)
				if (err != nil) != tc.refused || string(got) != tc.wire {
					t.Errorf("in pieces of %d: got %q, %v, want %q, refused %v", size, got, err, tc.wire, tc.refused)
				}
			}
		})
	}
}

// lineEnds are what some server or other takes for the end of a line.
var lineEnds = []string{"\r\n", "\n", "\r"}

// onlyTrueEnd fails when wire has, before its last five bytes, a dot alone
// between line ends of any kind, also for who drops NUL bytes.
func onlyTrueEnd(t *testing.T, wire []byte) {
	t.Helper()
	onlyEnd(t, wire)
	onlyEnd(t, bytes.ReplaceAll(wire, []byte{0}, nil))
}

func onlyEnd(t *testing.T, wire []byte) {
	t.Helper()
	seen := append([]byte("\r\n"), wire[:len(wire)-len(".\r\n")]...)
	for _, a := range lineEnds {
		for _, b := range lineEnds {
			if i := bytes.Index(seen, []byte(a+"."+b)); i >= 0 {
				t.Fatalf("end mark %q at %d of %q", a+"."+b, i-2, wire)
			}
		}
	}
}

func FuzzDot(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\n", "..\r\n.\r\n", "a\n.\n", "a\r\r\n.\r\n", "\r\n.\r", ".", "\x00.\x00\r\n", "a\r\n\x00\x00.\n", "a\r\n.b\r\n.\r\nMAIL"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		// As a body: what is written reads back, and holds no other end.
		if wire, err := smtp.Stuff(in, int(size)); err == nil {
			onlyTrueEnd(t, wire)
			body, rest, done, err := smtp.Unstuff(append(wire, "QUIT\r\n"...), []int{int(size), 1})
			if err != nil || !done || string(rest) != "QUIT\r\n" {
				t.Fatalf("wire form %q of %q: done %v, rest %q, %v", wire, in, done, rest, err)
			}
			if want := ended(in); !bytes.Equal(body, want) {
				t.Fatalf("got %q, want %q", body, want)
			}
		}
		// As a wire form: however it is cut, it means the same; what is taken
		// can be sent on.
		body, rest, done, err := smtp.Unstuff(in, []int{int(size), 2})
		body2, rest2, done2, err2 := smtp.Unstuff(in, []int{1 << 20})
		if done != done2 || (err == nil) != (err2 == nil) || done && (!bytes.Equal(body, body2) || !bytes.Equal(rest, rest2)) {
			t.Fatalf("%q cut otherwise: %q %v %v, then %q %v %v", in, body, done, err, body2, done2, err2)
		}
		if done {
			if !bytes.HasSuffix(append([]byte("\r\n"), in[:len(in)-len(rest)]...), []byte("\r\n.\r\n")) {
				t.Fatalf("%q ended without CRLF.CRLF, rest %q", in, rest)
			}
			wire, err := smtp.Stuff(body, int(size))
			if err != nil {
				t.Fatalf("took %q, cannot send it on: %v", body, err)
			}
			onlyTrueEnd(t, wire)
		}
	})
}

// ended is body as it reads back: with a CRLF at its end.
func ended(body []byte) []byte {
	if len(body) == 0 || bytes.HasSuffix(body, []byte("\r\n")) {
		return body
	}
	return append(bytes.Clone(body), "\r\n"...)
}

func TestLines(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []string
		err      string
	}{
		{"two", "NOOP\r\nQUIT\r\n", []string{"NOOP", "QUIT"}, ""},
		{"empty line", "\r\n", []string{""}, ""},
		{"bare LF", "NOOP\nQUIT\r\n", nil, "500 5.5.2"},
		{"bare CR", "NOOP\rQUIT\r\n", nil, "500 5.5.2"},
		{"bare CR, no line end in sight", "NOOP\rQUIT", nil, "500 5.5.2"},
		{"CR CRLF", "NOOP\r\r\n", nil, "500 5.5.2"},
		{"LF alone", "\n", nil, "500 5.5.2"},
		{"longest", strings.Repeat("x", 2046) + "\r\n", []string{strings.Repeat("x", 2046)}, ""},
		{"too long", strings.Repeat("x", 2047) + "\r\n", nil, "500 5.5.2"},
		{"no end", strings.Repeat("x", 1<<20), nil, "500 5.5.2"},
		{"cut", "NOO", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(tc.in), "in bytes": iotest.OneByteReader(strings.NewReader(tc.in))} {
				got, err := smtp.Lines(r)
				if tc.err == "" && !errors.Is(err, io.EOF) || tc.err != "" && codes(err) != tc.err {
					t.Errorf("%s: got %v, want %q", name, err, tc.err)
				}
				if strings.Join(got, "|") != strings.Join(tc.want, "|") {
					t.Errorf("%s: got %d lines, want %d", name, len(got), len(tc.want))
				}
			}
		})
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"NOOP\r\nQUIT\r\n", "A\nB\r\n", "A\r\r\n", "\r\n\r\n",
		"A\rB" + strings.Repeat("x", 2100) + "\n", strings.Repeat("x", 2047) + "\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := smtp.Lines(bytes.NewReader(in))
		one, err1 := smtp.Lines(iotest.OneByteReader(bytes.NewReader(in)))
		if fmt.Sprint(got, err) != fmt.Sprint(one, err1) {
			t.Fatalf("got %q %v, in bytes %q %v", got, err, one, err1)
		}
		all := ""
		for _, l := range got {
			if strings.ContainsAny(l, "\r\n") || len(l) > 2046 {
				t.Fatalf("line %q", l)
			}
			all += l + "\r\n"
		}
		if !strings.HasPrefix(string(in), all) {
			t.Fatalf("got %q out of %q", got, in)
		}
	})
}

func TestReceivedIsCounted(t *testing.T) {
	for _, tc := range []struct {
		name, msg string
		want      int
	}{
		{"none", "Subject: x\r\n\r\n", 0},
		{"two", "Received: a\r\nRECEIVED : b\r\nSubject: x\r\n\r\nReceived: c\r\n", 2},
		{"folded line is none", "Subject:\r\n Received: x\r\n\r\n", 0},
		{"longer name is none", "Received-SPF: pass\r\n\r\n", 0},
		{"bare LF", "Received: a\nReceived: b\n\nReceived: c\n", 2},
		{"body at once", "\r\nReceived: c\r\n", 0},
		{"many", strings.Repeat("Received: a\r\n", 250), 250},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{1, 5, 1 << 20} {
				if got := smtp.Received([]byte(tc.msg), size); got != tc.want {
					t.Errorf("in pieces of %d: got %d, want %d", size, got, tc.want)
				}
			}
		})
	}
}

func BenchmarkUnstuff(b *testing.B) {
	line := []byte("Some ordinary prose, e.g. about the weather in Springfield. And so on.\r\n")
	wire := append(bytes.Repeat(line, 1<<20/len(line)), ".\r\n"...)
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		smtp.Unstuff(wire, []int{64 << 10})
	}
}

// randomBody is a body of n bytes with line ends and dots of every kind that a
// next hop must not be able to misread.
func randomBody(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 0, n+8)
	for len(out) < n {
		switch r.IntN(12) {
		case 0:
			out = append(out, "\r\n."...)
		case 1:
			out = append(out, "\r\n"...)
		case 2:
			out = append(out, "\nx"...)
		case 3:
			out = append(out, "\rx"...)
		case 4:
			out = append(out, ".."...)
		default:
			out = append(out, byte('a'+r.IntN(26)), 0xe4)
		}
	}
	return append(out, "\r\n"...)
}
