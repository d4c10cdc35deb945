// Package rulebench measures what each rule of a set costs.
//
// It promises that what it counts is the same each time, that times are those of
// the processor, taken in turns, so that what else the machine does falls on all
// scans alike, and that it holds no more of a text than its bound.
package rulebench

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// DefaultMaxBytes is how much text a Corpus holds where it is not said.
const DefaultMaxBytes = 64 << 20

// leastBytes is how much text a scan goes over at least, a smaller Corpus again and
// again: some milliseconds.
const leastBytes = 256 << 10

// Corpus is the text of documents as extraction hands it on, kept so that it can
// be scanned again and again.
type Corpus struct {
	MaxBytes int64 // 0: DefaultMaxBytes
	docs     []document
	bytes    int64
	cut      bool
}

type document struct{ parts []part }

type part struct {
	info    dlp.PartInfo
	windows []dlp.Window
}

// Bytes is how much text it holds.
func (c *Corpus) Bytes() int64 { return c.bytes }

// Cut reports whether there was more text than it holds.
func (c *Corpus) Cut() bool { return c.cut }

// Document returns the sink of the next document.
func (c *Corpus) Document() dlp.Sink {
	c.docs = append(c.docs, document{})
	return &keeper{c: c, doc: len(c.docs) - 1}
}

type keeper struct {
	c    *Corpus
	doc  int
	full bool // a window of the open part was left out
}

func (k *keeper) Part(p dlp.PartInfo) error {
	d := &k.c.docs[k.doc]
	d.parts, k.full = append(d.parts, part{info: p}), false
	return nil
}

func (k *keeper) Text(w dlp.Window) error {
	d := &k.c.docs[k.doc]
	if len(d.parts) == 0 {
		return fmt.Errorf("rulebench: text without a part")
	}
	room := cmp.Or(k.c.MaxBytes, DefaultMaxBytes) - k.c.bytes
	if k.full || int64(len(w.Text)) > room {
		k.full, k.c.cut = true, true
		return nil
	}
	w.Text, w.Spans = slices.Clone(w.Text), slices.Clone(w.Spans)
	k.c.bytes += int64(len(w.Text))
	p := &d.parts[len(d.parts)-1]
	p.windows = append(p.windows, w)
	return nil
}

func (k *keeper) Gap(dlp.Gap) error { return nil }

// Cost is what one rule costs on a Corpus.
type Cost struct {
	Rule       *patterns.Rule
	Alone      time.Duration // of the processor: of a scan for it alone, less that of a scan for nothing
	Added      time.Duration // of a scan for all rules, less that for all others; noise may put it below 0
	Candidates int           // matches that were to be proved
	Findings   int           // of a scan for it alone
	Slow       []int         // its patterns that nothing rare in the text leads to, see Reason
}

// Result is what a Corpus costs.
type Result struct {
	Bytes   int64
	Repeats int           // how often a scan goes over the Corpus, so that its clock tells something
	Nothing time.Duration // of a scan for no rule: reading and normalising
	All     time.Duration // of a scan for all rules
	Rules   []Cost        // by Alone, the dearest first
}

// Run measures the rules of set that measured has, or all of them for nil, as the
// median of runs scans each. tick is called now and then with how far it is.
func Run(ctx context.Context, set *patterns.Set, measured []*patterns.Rule, c *Corpus, runs int, tick func(done, of int)) (Result, error) {
	if measured == nil {
		measured = set.Rules()
	}
	runtime.LockOSThread() // whose time is taken
	defer runtime.UnlockOSThread()
	b := &bench{corpus: c, repeats: int(max(1, (leastBytes+c.bytes-1)/max(1, c.bytes)))}
	nothing, all := b.add(set.Only()), b.add(set)
	type pairOf struct{ alone, without int }
	var of []pairOf
	res := Result{Bytes: c.bytes, Repeats: b.repeats}
	for _, r := range measured {
		of = append(of, pairOf{b.add(set.Only(r.ID)), b.add(set.Without(r.ID))})
		res.Rules = append(res.Rules, b.count(set, r))
	}
	total := (runs + 1) * len(b.scanners)
	for run := range runs + 1 { // the first only makes the automata
		for i := range b.scanners {
			if err := ctx.Err(); err != nil {
				return Result{}, fmt.Errorf("rulebench: %w", err)
			}
			took := b.scan(i)
			if run > 0 {
				b.times[i] = append(b.times[i], took)
			}
			tick(run*len(b.scanners)+i+1, total)
		}
	}
	res.Nothing, res.All = b.median(nothing), b.median(all)
	for i := range res.Rules {
		res.Rules[i].Alone = max(0, b.median(of[i].alone)-res.Nothing)
		res.Rules[i].Added = res.All - b.median(of[i].without)
	}
	slices.SortStableFunc(res.Rules, func(a, b Cost) int { return cmp.Compare(b.Alone, a.Alone) })
	return res, nil
}

// bench is scanners whose times are taken in turns.
type bench struct {
	corpus   *Corpus
	repeats  int
	scanners []*scanner.Scanner
	times    [][]time.Duration
	list     []dlp.Finding // of the last scan, of which only the number counts: the next one's memory
}

func (b *bench) add(set *patterns.Set) int {
	b.scanners, b.times = append(b.scanners, scanner.New(set)), append(b.times, nil)
	return len(b.scanners) - 1
}

func (b *bench) scan(i int) time.Duration {
	start := threadTime()
	for range b.repeats {
		for k := range b.corpus.docs {
			b.list = b.corpus.docs[k].feed(b.scanners[i].Begin(scanner.Options{Into: b.list[:0]}))
		}
	}
	return (threadTime() - start) / time.Duration(b.repeats)
}

// threadTime is how long the processor has worked for this thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("rulebench: no clock of the thread") // Linux has had it since 2.6.12
	}
	return time.Duration(t.Nano())
}

// feed scans the document and returns what is found.
func (d *document) feed(s *scanner.Scan) []dlp.Finding {
	for i := range d.parts {
		p := &d.parts[i]
		if s.Part(p.info) != nil {
			break // a Scan takes every part
		}
		for _, w := range p.windows {
			if s.Text(w) != nil {
				break // and the windows were kept in their order
			}
		}
	}
	found, _ := s.Finish()
	return found
}

func (b *bench) median(i int) time.Duration {
	t := slices.Sorted(slices.Values(b.times[i]))
	if len(t) == 0 {
		return 0
	}
	return t[len(t)/2]
}

// count counts what r has to prove and finds.
func (b *bench) count(set *patterns.Set, r *patterns.Rule) Cost {
	s := scanner.New(set.Only(r.ID))
	cost := Cost{Rule: r}
	for k := range b.corpus.docs {
		b.list = b.corpus.docs[k].feed(s.Begin(scanner.Options{Into: b.list[:0], OnProof: func(int, scanner.Step) { cost.Candidates++ }}))
		cost.Findings += len(b.list)
	}
	refs := s.Patterns()
	for n, way := range s.Ways() {
		if way == scanner.ByAnything {
			cost.Slow = append(cost.Slow, refs[n].Pattern)
		}
	}
	return cost
}

// Reason is why a Slow pattern is slow, and what helps.
const Reason = "no digit and no rare sign stands near the beginning of all its matches, so each place where one may begin is tried: begin it with a digit, " +
	"or with a sign or literal that is rare in text, give it a longer run of one class, or demand a word in front of it as part of the expression"
