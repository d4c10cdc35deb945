package lzw_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/lzw"
)

// TestPrograms reads what compress writes.
func TestPrograms(t *testing.T) {
	if _, err := exec.LookPath("compress"); err != nil {
		t.Skip("compress is not installed")
	}
	r := rand.New(rand.NewPCG(1, 2))
	noise, words := make([]byte, 300<<10), &bytes.Buffer{}
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for words.Len() < 2<<20 {
		words.WriteString([]string{"patient ", "ward ", "SSN ", "536-22-8145\n", "dose "}[r.IntN(5)])
	}
	for name, want := range map[string][]byte{
		"one byte": []byte("x"), "repeated": bytes.Repeat([]byte("a"), 100000), "words": words.Bytes(), "noise": noise,
		"words, then noise": append(words.Bytes()[:1<<20:1<<20], noise...),
	} {
		for _, bits := range []string{"10", "12", "13", "16"} { // what it writes with 9, it cannot read itself
			t.Run(name+" "+bits, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), "compress", "-c", "-f", "-b", bits)
				cmd.Stdin = bytes.NewReader(want)
				b, err := cmd.Output()
				if err != nil && len(b) == 0 {
					t.Fatal(err)
				}
				z, err := lzw.NewReader(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(z)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, want %d; %v", len(got), len(want), err)
				}
			})
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x1f\x9d\x90\x61\xc4\x8c\x01"))
	f.Add([]byte("\x1f\x9d\x09abcdefghi"))
	f.Add([]byte("\x1f\x9d\x90" + strings.Repeat("\x00\x01\xff", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := lzw.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, io.LimitReader(z, 16<<20)) // damage ends it
		if n > int64(len(b))*90000 {
			t.Errorf("%d bytes out of %d", n, len(b))
		}
	})
}
