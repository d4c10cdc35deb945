package wire_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// cutPipe takes so many bytes; then its process is ended.
type cutPipe struct {
	bytes.Buffer
	room int
}

var errEnded = errors.New("ended")

func (p *cutPipe) Write(b []byte) (int, error) {
	n := min(len(b), p.room-p.Len())
	p.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errEnded
	}
	return n, nil
}

// frames appends to to what r holds, an op and the text's beginning each.
func frames(to []string, r *wire.Reader) []string {
	for {
		op, b, err := r.Next()
		if err != nil {
			return to
		}
		to = append(to, string(op)+string(b[:min(len(b), 8)]))
	}
}

// TestWriterLeft holds that whenever a child is ended, each frame that it told
// is either received or left, once and in order.
func TestWriterLeft(t *testing.T) {
	type frame struct {
		op wire.Op
		b  []byte
	}
	all := []frame{{wire.OpReady, nil}, {wire.OpBegin, []byte("one")}, {wire.OpPart, []byte("two")}, {wire.OpText, bytes.Repeat([]byte("large"), 20<<10)},
		{wire.OpFinish, nil}, {wire.OpText, bytes.Repeat([]byte("huge"), 100<<10)}, {wire.OpBegin, []byte("three")},
		{wire.OpText, bytes.Repeat([]byte("ample"), 10<<10)}, {wire.OpBegin, []byte("four")}}
	var want []string
	for _, f := range all {
		want = append(want, string(f.op)+string(f.b[:min(len(f.b), 8)]))
	}
	for room := 0; room < 600<<10; room += 1 + room/16 {
		pipe, mem := &cutPipe{room: room}, make([]byte, wire.SharedSize)
		w := wire.NewWriter(pipe, mem)
		put := 0
		for i, f := range all {
			err := w.Put(f.op, f.b)
			if err == nil && i == 0 {
				err = w.Flush()
			}
			if err != nil {
				break
			}
			put++
		}
		received := wire.NewReader(bytes.NewReader(pipe.Bytes()))
		got := frames(nil, received)
		got = frames(got, wire.NewReader(bytes.NewReader(wire.Left(mem, received.Got()))))
		if len(got) < put || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("ended after %d bytes, %d frames told: got %q, want %q", room, put, got, want[:put])
		}
	}
}

// TestWriterSent holds that what is flushed arrives as it was put, with memory
// of its own as with shared memory.
func TestWriterSent(t *testing.T) {
	for name, mem := range map[string][]byte{"own": nil, "shared": make([]byte, wire.SharedSize)} {
		var pipe bytes.Buffer
		w := wire.NewWriter(&pipe, mem)
		var want bytes.Buffer
		for n := range 100 {
			b := bytes.Repeat([]byte{byte(n)}, n*n*40)
			if err := w.Put(wire.OpText, b); err != nil {
				t.Fatal(err)
			}
			if err := wire.Write(&want, wire.OpText, b); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(pipe.Bytes(), want.Bytes()) {
			t.Errorf("%s: got %d bytes, want %d, the same", name, pipe.Len(), want.Len())
		}
		if mem != nil && len(bytes.Trim(mem[16:], "\x00")) > 0 { // behind the two numbers
			t.Error("what was sent stays in shared memory")
		}
	}
	if err := wire.NewWriter(io.Discard, nil).Put(wire.OpText, make([]byte, wire.MaxFrame+1)); err == nil {
		t.Error("a frame past MaxFrame was taken")
	}
}

// FuzzLeft holds that no memory that a child leaves behind disturbs who reads it.
func FuzzLeft(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 64), int64(-1))
	f.Add(append([]byte{5, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0}, "Bonetwothree"...), int64(7))
	f.Fuzz(func(t *testing.T, mem []byte, got int64) {
		if b := wire.Left(mem, got); len(b) > len(mem) {
			t.Errorf("got %d bytes of %d", len(b), len(mem))
		}
	})
}
