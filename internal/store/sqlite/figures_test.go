package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// TestFiguresOfAPeriod: whatever its ends, a period is the sum of its days, also where
// blocks of days are read instead of them.
func TestFiguresOfAPeriod(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	const from, days = 20_000 - 17, 200
	r := rand.New(rand.NewPCG(1, 2))
	perDay := make([]map[string]int64, days)
	var all []store.Count
	for d := range days {
		perDay[d] = map[string]int64{}
		for range r.IntN(4) {
			of, n := fmt.Sprintf("g%d m%d", r.IntN(3), r.IntN(4)), int64(1+r.IntN(3))
			perDay[d][of] += n
			all = append(all, store.Count{Day: from + d, What: "x", Of: of, N: n, Doc: dlp.ID(fmt.Sprint("doc", d))}, store.Count{Day: from + d, What: "y", Of: of, N: 1})
		}
	}
	for i := 0; i < len(all); i += 50 { // as they come, over many commits
		if err := in.db.AddFigures(t.Context(), all[i:min(len(all), i+50)], []byte("place"), false); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		first := r.IntN(days)
		last := first + r.IntN(days-first)
		want, lastDay := map[string]int64{}, map[string]int{}
		for d := first; d <= last; d++ {
			for of, n := range perDay[d] {
				want[of] += n
				lastDay[of] = d
			}
		}
		cs, err := in.db.FiguresOf(t.Context(), "x", from+first, from+last)
		got := map[string]int64{}
		for _, c := range cs {
			got[c.Of] = c.N
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("days %d to %d: %v, %v; want %v", first, last, got, err, want)
		}
		top, err := in.db.FiguresTop(t.Context(), "x", from+first, from+last, 2)
		if err != nil || len(top) != min(2, len(want)) {
			t.Fatalf("top: %v, %v", top, err)
		}
		for _, c := range top {
			if c.N != want[c.Of] || c.Doc != dlp.ID(fmt.Sprint("doc", lastDay[c.Of])) {
				t.Fatalf("days %d to %d: %+v; want %d, the last on day %d", first, last, c, want[c.Of], lastDay[c.Of])
			}
			for of, n := range want {
				if n > c.N && of != top[0].Of {
					t.Fatalf("days %d to %d: %s has %d and is not among %v", first, last, of, n, top)
				}
			}
		}
		twice, members := map[string]int{}, map[string]int{}
		for of, n := range want {
			members[of[:2]]++
			if n > 1 {
				twice[of[:2]]++
			}
		}
		rs, err := in.db.FiguresRepeats(t.Context(), "x", from+first, from+last, 2)
		if err != nil || len(rs) != len(members) {
			t.Fatalf("repeats: %v, %v", rs, err)
		}
		for _, x := range rs {
			if x.Members != members[x.Of] || x.Twice != twice[x.Of] || len(x.Most) != min(2, twice[x.Of]) {
				t.Fatalf("days %d to %d: %+v; want %d of %d", first, last, x, twice[x.Of], members[x.Of])
			}
			for i, c := range x.Most {
				if c.N != want[x.Of+" "+c.Of] || i > 0 && c.N > x.Most[i-1].N || c.Doc != dlp.ID(fmt.Sprint("doc", lastDay[x.Of+" "+c.Of])) {
					t.Fatalf("%+v", x)
				}
			}
		}
		daily, err := in.db.Figures(t.Context(), []string{"x"}, from+first, from+first)
		if err != nil || len(daily) != len(perDay[first]) {
			t.Fatalf("day %d: %v, %v", first, daily, err)
		}
	}
	if err := in.db.PruneFigures(t.Context(), store.Block(from+100)+5); err != nil {
		t.Fatal(err)
	}
	cs, err := in.db.FiguresOf(t.Context(), "x", store.Block(from+100), from+days)
	var got, want int64
	for _, c := range cs {
		got += c.N
	}
	for d := store.Block(from+100) - from; d < days; d++ {
		for _, n := range perDay[d] {
			want += n
		}
	}
	if err != nil || got != want {
		t.Errorf("after what is old was forgotten a block of which a day is kept has %d, %v; want %d", got, err, want)
	}
	if cs, err := in.db.FiguresOf(t.Context(), "x", from, store.Block(from+100)-1); err != nil || len(cs) != 0 {
		t.Errorf("what was forgotten: %v, %v", cs, err)
	}
}
