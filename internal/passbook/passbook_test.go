package passbook

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

var (
	ada = dlp.Address{Local: "ada", Domain: "clinic.example"}
	sam = dlp.Address{Local: "sam", Domain: "partner.example"}
	eve = dlp.Address{Local: "eve", Domain: "elsewhere.example"}
)

func to(a ...dlp.Address) []dlp.Address { return a }

// TestBook holds who gets what: both of a pair, nobody else.
func TestBook(t *testing.T) {
	b := New(time.Now)
	b.Note(ada, to(sam), []string{"likely", "less", ""})
	b.Note(ada, to(sam), []string{"later"})
	b.Note(dlp.Address{}, to(sam), []string{"a report's"})
	for _, c := range []struct {
		name string
		from dlp.Address
		to   []dlp.Address
		want []string
	}{
		{"the same way", ada, to(sam), []string{"later", "likely", "less"}},
		{"a reply", sam, to(ada), []string{"later", "likely", "less"}},
		{"written otherwise", dlp.Address{Local: "ADA", Domain: "clinic.example"}, to(sam), []string{"later", "likely", "less"}},
		{"one of several", ada, to(eve, sam), []string{"later", "likely", "less"}},
		{"another recipient", ada, to(eve), nil},
		{"another sender", eve, to(sam), nil},
		{"the null reverse-path", dlp.Address{}, to(sam), nil},
	} {
		if got := b.Words(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	b.Note(sam, to(ada), []string{"less"})
	if got, want := b.Words(ada, to(sam)), []string{"less", "later", "likely"}; !slices.Equal(got, want) {
		t.Errorf("said again: got %q, want %q", got, want)
	}
}

// TestHour holds that a word is not told once its hour is over, and is wiped
// within a minute more; that a word named again has its hour anew.
func TestHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(ctx) })
		b.Note(ada, to(sam), []string{"first"})
		word := b.order.Front().Value.(*entry).word
		time.Sleep(Kept / 2)
		b.Note(ada, to(sam), []string{"second"})
		time.Sleep(Kept/2 - time.Second)
		if got := b.Words(ada, to(sam)); len(got) != 2 {
			t.Errorf("within the hour: got %q", got)
		}
		time.Sleep(time.Second)
		if got := b.Words(ada, to(sam)); !slices.Equal(got, []string{"second"}) {
			t.Errorf("after an hour: got %q", got)
		}
		if string(word) != "\x00\x00\x00\x00\x00" {
			t.Errorf("what is over is not wiped: %q", word)
		}
		word = b.order.Front().Value.(*entry).word
		time.Sleep(Kept/2 + sweepEach)
		synctest.Wait()
		if n := b.order.Len(); n != 0 || len(b.pairs) != 0 || word[0] != 0 {
			t.Errorf("without a look: %d words of %d pairs are left, %q", n, len(b.pairs), word)
		}
		b.Note(ada, to(sam), []string{"third"})
		word = b.order.Front().Value.(*entry).word
		cancel()
		wg.Wait()
		if b.order.Len() != 0 || word[0] != 0 {
			t.Errorf("at the end %q is left", word)
		}
	})
}

// TestBounds holds the bounds for a pair, for a mail and in all.
func TestBounds(t *testing.T) {
	b := New(time.Now)
	var many []string
	for i := range 3 * maxPair {
		many = append(many, fmt.Sprint("word", i))
	}
	b.Note(ada, to(sam), many)
	if got := b.Words(ada, to(sam)); !slices.Equal(got, many[:maxPair]) {
		t.Errorf("of a long list: got %q", got)
	}
	b.Note(ada, to(sam), []string{"new"})
	if got := b.Words(ada, to(sam)); len(got) != maxPair || got[0] != "new" || slices.Contains(got, many[maxPair-1]) {
		t.Errorf("one more: got %q", got)
	}
	crowd := make([]dlp.Address, 2*maxRcpts)
	for i := range crowd {
		crowd[i] = dlp.Address{Local: fmt.Sprint("r", i), Domain: "partner.example"}
	}
	b.Note(ada, crowd, []string{"x"})
	if got := b.Words(ada, crowd[maxRcpts:]); got != nil {
		t.Errorf("a recipient past the bound: got %q", got)
	}
	if got := b.Words(ada, append(crowd[:1:1], sam)); len(got) != maxPair+1 || got[0] != "x" {
		t.Errorf("of two recipients: got %q", got)
	}
	for i := range maxWords {
		b.Note(eve, to(dlp.Address{Local: fmt.Sprint(i), Domain: "partner.example"}), []string{"flood"})
	}
	if b.order.Len() != maxWords || len(b.pairs) != maxWords || b.Words(ada, to(sam)) != nil {
		t.Errorf("in all: %d words of %d pairs", b.order.Len(), len(b.pairs))
	}
}
