package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Level says how sound something is. Its zero value is Fail.
type Level uint8

// The levels.
const (
	Fail Level = iota // does not work, or will not protect
	Warn              // works, and is better changed
	OK
)

// String returns "fail", "warn" or "ok".
func (l Level) String() string {
	switch l {
	case OK:
		return "ok"
	case Warn:
		return "warn"
	}
	return "fail"
}

// MarshalText is String, for JSON.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Finding is one thing that was looked at.
type Finding struct {
	Check  string `json:"check"`            // the name of the check, such as "data_dir"
	Object string `json:"object"`           // what was looked at
	Level  Level  `json:"level"`            // how sound it is
	Found  string `json:"found"`            // what was seen
	Remedy string `json:"remedy,omitempty"` // what to do: a sentence with the exact key or command; "" when it is sound
}

// Check looks at one kind of thing.
type Check struct {
	Name string
	// Within bounds Run. 0: 10 s.
	Within time.Duration
	// Run returns what it saw; it is to end with its context.
	Run func(context.Context) []Finding
}

const (
	withinDefault = 10 * time.Second
	atOnce        = 8               // checks at the same time; most of them wait
	grace         = 2 * time.Second // for a check to notice that its time is over
	maxFindings   = 200             // of one check; a share of ten thousand folders is one finding, not ten thousand
)

// Run runs all checks, some at the same time, and returns their findings in the
// order of checks. A check that does not end within its bound, or that breaks,
// is a finding that fails: nobody knows that the thing is sound. Its goroutine
// is given up: a network file system may keep it for good.
func Run(ctx context.Context, checks []Check) []Finding {
	results := make([][]Finding, len(checks))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = runOne(ctx, c)
		})
	}
	wg.Wait()
	var out []Finding
	for _, r := range results {
		out = append(out, r...)
	}
	return out
}

func runOne(ctx context.Context, c Check) []Finding {
	within := c.Within
	if within <= 0 {
		within = withinDefault
	}
	cctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []Finding{{Object: c.Name, Found: "the check itself broke", Remedy: "Report it: see SECURITY.md."}}
			}
		}()
		done <- c.Run(cctx)
	}()
	t := time.NewTimer(within + grace)
	defer t.Stop()
	var fs []Finding
	select {
	case fs = <-done:
	case <-t.C:
		fs = []Finding{{Object: c.Name, Found: fmt.Sprintf("did not end within %s", within),
			Remedy: "Look at what it waits for: a name server, a next hop or a network file system that does not answer."}}
	}
	if len(fs) > maxFindings {
		fs = append(fs[:maxFindings], poor(c.Name, fmt.Sprintf("and %d more", len(fs)-maxFindings), "Mend what is shown, then look again."))
	}
	for i := range fs {
		fs[i].Check = c.Name
	}
	return fs
}

// Worst returns the worst level among fs, OK for none.
func Worst(fs []Finding) Level {
	worst := OK
	for _, f := range fs {
		worst = min(worst, f.Level)
	}
	return worst
}

// good, poor and bad make findings.
func good(object, format string, args ...any) Finding {
	return Finding{Object: object, Level: OK, Found: fmt.Sprintf(format, args...)}
}

func poor(object, found, remedy string) Finding {
	return Finding{Object: object, Level: Warn, Found: found, Remedy: remedy}
}

func bad(object, found, remedy string) Finding {
	return Finding{Object: object, Level: Fail, Found: found, Remedy: remedy}
}
