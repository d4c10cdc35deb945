package spool_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

func openHand(t *testing.T, path string) *spool.Hand {
	t.Helper()
	h, err := spool.OpenHand(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // a test closes it too, or leaves it as a process that died
	return h
}

func TestHandTellsWhatWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hand")
	h := openHand(t, path)
	if got := h.Left(); len(got) != 0 {
		t.Errorf("of a new one: %v", got)
	}
	a, b, c, d := dlp.NewID(), dlp.NewID(), dlp.NewID(), dlp.NewID()
	doneA := h.Take(a)
	h.Take(b)
	doneC := h.Take(c)
	doneA()
	h.Take(d) // in the place of a
	doneC()

	next := openHand(t, path)
	got := next.Left()
	slices.Sort(got)
	want := []dlp.ID{b, d}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	if again := openHand(t, path).Left(); len(again) != 2 {
		t.Errorf("left, before it was forgotten: %v", again)
	}
	if err := next.Forget(); err != nil || len(next.Left()) != 0 || len(openHand(t, path).Left()) != 0 {
		t.Errorf("forgotten: %v, %v", next.Left(), err)
	}
	done := next.Take(a)
	if got := openHand(t, path).Left(); !slices.Equal(got, []dlp.ID{a}) {
		t.Errorf("left %v, want %v", got, a)
	}
	done()
	if got := openHand(t, path).Left(); len(got) != 0 {
		t.Errorf("after an orderly end: %v", got)
	}
}

// What is torn, foreign or there twice does not count.
func TestHandReadsOnlyIDs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hand")
	id := string(dlp.NewID())
	text := "--------------------------\n" + id + "\n" + id + "\n\nrubbish\n" + strings.ToUpper(id) + "\n" + id[:20]
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := openHand(t, path).Left(); len(got) != 1 || string(got[0]) != id {
		t.Errorf("left %v, want %s once", got, id)
	}
}

func TestHandHasABound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hand")
	h := openHand(t, path)
	var done []func()
	for range 1030 {
		done = append(done, h.Take(dlp.NewID()))
	}
	if got := len(openHand(t, path).Left()); got != 1024 {
		t.Errorf("%d noted, want 1024", got)
	}
	for _, d := range done {
		d()
	}
	if got := openHand(t, path).Left(); len(got) != 0 {
		t.Errorf("left %d", len(got))
	}
}

func TestNoHandNotesNothing(t *testing.T) {
	var h *spool.Hand
	h.Take("x")()
	if err := h.Forget(); err != nil || h.Left() != nil || h.Close() != nil {
		t.Error("want nothing at all")
	}
}
