package wire_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

func TestFrame(t *testing.T) {
	var b bytes.Buffer
	for _, s := range []string{"", "a", "hello"} {
		if err := wire.Write(&b, wire.OpData, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	r := wire.NewReader(&b)
	for _, want := range []string{"", "a", "hello"} {
		op, got, err := r.Next()
		if err != nil || op != wire.OpData || string(got) != want {
			t.Errorf("Next() = %c %q %v, want D %q", op, got, err, want)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("Next() at the end: %v, want io.EOF", err)
	}
}

func TestFrameBounds(t *testing.T) {
	if err := wire.Write(io.Discard, wire.OpData, make([]byte, wire.MaxFrame+1)); err == nil {
		t.Error("a frame past MaxFrame was written")
	}
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"length past the bound": {[]byte{'D', 0xff, 0xff, 0xff, 0xff}, wire.ErrFrame},
		"cut head":              {[]byte{'D', 1}, io.ErrUnexpectedEOF},
		"cut body":              {[]byte{'D', 2, 0, 0, 0, 'x'}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := wire.NewReader(bytes.NewReader(c.in)).Next(); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	job := &wire.Job{Size: 12, Mail: true, Most: wire.PDF, Logos: true, Burned: true, Limits: wire.Limits{Depth: 1, Members: 2, Decoded: 3, Memory: 4, Ratio: 5, Pixels: 6, Pages: 7},
		Skip: []wire.Skip{{Path: "2"}, {Path: "3/1", Broken: true}}, Passwords: []string{"geheim", "ß"}, Tries: 7, TriesAll: 70, Names: true}
	if got, err := wire.DecodeJob(wire.AppendJob(nil, job)); err != nil || !reflect.DeepEqual(got, job) {
		t.Errorf("job: got %+v %v", got, err)
	}
	named := []string{"geheim", "ß"}
	if got, err := wire.DecodeNamed(wire.AppendNamed(nil, named)); err != nil || !reflect.DeepEqual(got, named) {
		t.Errorf("named: got %q %v", got, err)
	}
	unit := wire.Unit{Path: "2/3.1", Name: "ä.txt", Class: wire.Slow}
	if got, err := wire.DecodeUnit(wire.AppendUnit(nil, unit)); err != nil || got != unit {
		t.Errorf("unit: got %+v %v", got, err)
	}
	part := dlp.PartInfo{Path: "HEADER", Name: "n", MediaType: "text/plain", Opened: true}
	if got, err := wire.DecodePart(wire.AppendPart(nil, part)); err != nil || got != part {
		t.Errorf("part: got %+v %v", got, err)
	}
	gap := dlp.Gap{Path: "2~2", Name: "n", Cause: dlp.Image, Detail: "image/png", Inline: true, Size: 9}
	if got, err := wire.DecodeGap(wire.AppendGap(nil, gap)); err != nil || got != gap {
		t.Errorf("gap: got %+v %v", got, err)
	}
	win := dlp.Window{Offset: 100, Text: []byte("a,b\n1,2\n"), Spans: []dlp.Span{
		{Start: 104, End: 105, Label: "a", Group: 1}, {Start: 106, End: 900, Label: "b", Type: "SSN", Group: 1}}}
	if got, err := wire.DecodeWindow(wire.AppendWindow(nil, win)); err != nil || !reflect.DeepEqual(got, win) {
		t.Errorf("window: got %+v %v", got, err)
	}
	for i := range int64(60) { // more names than stand in a row, each twice
		win.Spans = append(win.Spans, dlp.Span{Start: 106, End: 107, Label: "column " + strconv.FormatInt(i%30, 10), Type: "MRN"})
	}
	if got, err := wire.DecodeWindow(wire.AppendWindow(nil, win)); err != nil || !reflect.DeepEqual(got, win) {
		t.Errorf("window of many names: got %+v %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, err := range map[string]error{
		"a path with text in it": second(wire.DecodePart(wire.AppendPart(nil, dlp.PartInfo{Path: "jane doe"}))),
		"a detail not of ours":   second(wire.DecodeGap(wire.AppendGap(nil, dlp.Gap{Detail: "jané"}))),
		"an unknown cause":       second(wire.DecodeGap(wire.AppendGap(nil, dlp.Gap{Cause: 99}))),
		"an unknown type":        second(wire.DecodeWindow(wire.AppendWindow(nil, dlp.Window{Spans: []dlp.Span{{Type: "X"}}}))),
		"text not UTF-8":         second(wire.DecodeWindow(wire.AppendWindow(nil, dlp.Window{Text: []byte{0xff}}))),
		"a span before the text": second(wire.DecodeWindow(wire.AppendWindow(nil, dlp.Window{Offset: 9, Spans: []dlp.Span{{Start: 3}}}))),
		"a name not UTF-8":       second(wire.DecodeNamed(wire.AppendNamed(nil, []string{"\xff"}))),
		"too many names":         second(wire.DecodeNamed(append([]byte{wire.MaxNamed + 1}, make([]byte, wire.MaxNamed+1)...))),
		"a window too long":      second(wire.DecodeWindow(wire.AppendWindow(nil, dlp.Window{Text: make([]byte, dlp.MaxWindow+1)}))),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, wire.ErrFrame) {
				t.Errorf("got %v, want ErrFrame", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// FuzzDecode holds that no bytes make a decoder panic, and that what decodes
// encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add(wire.AppendJob(nil, &wire.Job{Skip: []wire.Skip{{Path: "1"}}}))
	f.Add(wire.AppendUnit(nil, wire.Unit{Path: "2/1", Class: wire.Stream}))
	f.Add(wire.AppendPart(nil, dlp.PartInfo{Path: "2", MediaType: "text/csv"}))
	f.Add(wire.AppendGap(nil, dlp.Gap{Path: "2", Cause: dlp.TooDeep, Detail: "zip"}))
	f.Add(wire.AppendWindow(nil, dlp.Window{Offset: 7, Text: []byte("x\n"), Spans: []dlp.Span{{Start: 7, End: 8, Label: "l"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if j, err := wire.DecodeJob(b); err == nil {
			if k, err := wire.DecodeJob(wire.AppendJob(nil, j)); err != nil || !reflect.DeepEqual(j, k) {
				t.Errorf("job: %v", err)
			}
		}
		if n, err := wire.DecodeNamed(b); err == nil {
			if m, err := wire.DecodeNamed(wire.AppendNamed(nil, n)); err != nil || !reflect.DeepEqual(n, m) {
				t.Errorf("named: %v", err)
			}
		}
		if u, err := wire.DecodeUnit(b); err == nil {
			if v, err := wire.DecodeUnit(wire.AppendUnit(nil, u)); err != nil || u != v {
				t.Errorf("unit: %v", err)
			}
		}
		if p, err := wire.DecodePart(b); err == nil {
			if q, err := wire.DecodePart(wire.AppendPart(nil, p)); err != nil || p != q {
				t.Errorf("part: %v", err)
			}
		}
		if g, err := wire.DecodeGap(b); err == nil {
			if h, err := wire.DecodeGap(wire.AppendGap(nil, g)); err != nil || g != h {
				t.Errorf("gap: %v", err)
			}
		}
		if w, err := wire.DecodeWindow(b); err == nil {
			v, err := wire.DecodeWindow(wire.AppendWindow(nil, w))
			if err != nil || w.Offset != v.Offset || !bytes.Equal(w.Text, v.Text) || !reflect.DeepEqual(w.Spans, v.Spans) {
				t.Errorf("window: %v", err)
			}
		}
	})
}
